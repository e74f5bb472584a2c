"""Streams of batches, and what resumes after a parameter has changed."""

import contextlib
import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    RelaxedSparseCoder,
    SqrtLassoTransform,
)
from sklearn_sqrtlasso.estimators.progress import Progress
from tests.estimators.common import low_rank, wine

N_FEATURES, N_BATCHES = 12, 30
BASIS = np.random.default_rng(99).standard_normal((4, N_FEATURES))


def batch(seed, n_rows=60):
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n_rows, 4)) * (rng.random((n_rows, 4)) < 0.5)
    return Z @ BASIS + 0.05 * rng.standard_normal((n_rows, N_FEATURES))


USUAL, TEST = [batch(seed) for seed in range(N_BATCHES)], batch(1000, 300)
NOISE = np.random.default_rng(5).standard_normal((100, N_FEATURES))
SHAPES = {
    "like the others": batch(77),
    "of one row": batch(77)[:1],
    "constant": np.ones((100, N_FEATURES)),
    "noise": NOISE,
}
SIZES = [0.0, 1e-6, 1e6]
LINEAR = {"encoder_activation": "identity", "decoder_activation": "identity"}
STREAMS = {
    "frame": SqrtLassoTransform(
        alpha=0.3, init="random", center=False, random_state=0
    ),
    "centred": SqrtLassoTransform(alpha=0.3, init="random", random_state=0),
    "penalties": SqrtLassoTransform(),
    "atoms": RelaxedSparseCoder(8, alpha=0.2, random_state=0),
    "counted atoms": RelaxedSparseCoder(
        8, selector="omp", n_nonzero_coefs=2, random_state=0
    ),
    "nelu": NeLUAutoencoder(16, alpha=0.3, learning_rate=0.01, random_state=0),
    "thresholds": NeLUAutoencoder(
        16, activation="soft", alpha=0.1, learning_rate=0.01, random_state=0
    ),
    "steps": NeLUAutoencoder(
        16, alpha=0.3, n_unrolled=3, learning_rate=0.02, random_state=0
    ),
    "adam": ANAMOAutoencoder(
        8, alpha=1e-3, **LINEAR, encoder_method="adam", decoder_method="adam",
        random_state=0,
    ),
    "bits": ANAMOAutoencoder(
        8, alpha=0.0, encoder_activation="sigmoid", decoder_activation="identity",
        random_state=0,
    ),
}  # fmt: skip

OFFSET = 10 * np.random.default_rng(8).standard_normal(N_FEATURES)


def moved(name, rows):
    """Return rows far from zero, for encoders that follow the column means."""
    return rows + OFFSET if name in ("centred", "penalties") else rows


def learn_from(coder, batches):
    coder = copy.deepcopy(coder)
    for rows in batches:
        coder.partial_fit(rows)
    return coder


def usual(name):
    return [moved(name, rows) for rows in USUAL]


def shapes(name):
    return {shape: moved(name, rows) for shape, rows in SHAPES.items()}


def score(name, batches, size=1.0):
    coder = learn_from(STREAMS[name], batches)
    return coder.score(size * moved(name, TEST))


@pytest.fixture(scope="module")
def usual_scores():
    return {name: score(name, usual(name)) for name in STREAMS}


@pytest.mark.parametrize("name", STREAMS)
def test_a_batch_in_single_precision_leaves_parameters_in_double(name):
    coder = learn_from(STREAMS[name], usual(name)[:3])
    after = learn_from(coder, [moved(name, USUAL[3]).astype(np.float32)])
    before = {k: v for k, v in vars(coder).items() if isinstance(v, np.ndarray)}
    now = {k: v.dtype for k, v in vars(after).items() if isinstance(v, np.ndarray)}
    assert now == {k: v.dtype for k, v in before.items()}
    assert after.transform(TEST[:2].astype(np.float32)).dtype == np.float32
    assert np.any(after.components_ != coder.components_)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_recovers_from_a_first_batch_of_any_size(
    name, shape, size, usual_scores
):
    first = size * shapes(name)[shape]
    assert score(name, [first, *usual(name)]) > usual_scores[name] - 0.2


@pytest.mark.parametrize("n_batches", [6, 20])
@pytest.mark.parametrize("in_order", [False, True])
def test_small_batches_of_one_kind_each_are_learnt_from(in_order, n_batches):
    X = wine()  # sorted by its three kinds, so that later batches are unlike the first
    X = X if in_order else X[np.random.default_rng(0).permutation(len(X))]
    coder = learn_from(ANAMOAutoencoder(random_state=0), np.array_split(X, n_batches))
    assert coder.score(X) > (0.7 if in_order else 0.8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", STREAMS)
def test_a_batch_of_any_size_hardly_matters_in_the_middle(name, size, usual_scores):
    before, after = usual(name)[:12], usual(name)[12:]
    for shape in shapes(name).values():
        middle = [*before, size * shape, *after]
        assert score(name, middle) > usual_scores[name] - 0.05


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", STREAMS)
def test_the_size_of_the_last_batch_hardly_matters(name, size):
    coder, test = learn_from(STREAMS[name], usual(name)), moved(name, TEST)
    for shape in shapes(name).values():
        last = learn_from(coder, [size * shape]).score(test)
        alike = learn_from(coder, [shape]).score(test)
        assert last > min(alike, 0.5) - 0.3


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_follows_a_lasting_change_of_scale(name, usual_scores):
    for size in (1e-4, 1e4):
        changed = usual(name)[:10] + [size * of for of in usual(name)]
        assert score(name, changed, size) > usual_scores[name] - 0.2


# Means and penalties of a stream


@pytest.mark.parametrize("name", ["centred", "penalties"])
def test_means_and_penalties_are_learnt_row_by_row_too(name):
    rows = moved(name, np.vstack(USUAL[:6]))
    coder = learn_from(STREAMS[name], rows[:, None])
    assert coder.score(moved(name, TEST)) > 0.95
    # the mean of 360 rows, of which recent ones weigh more: five standard errors
    assert np.all(np.abs(coder.mean_ - rows.mean(axis=0)) < 5 * rows.std(axis=0) / 16)


def test_means_forget_rows_as_the_moment_does():
    coder = learn_from(STREAMS["centred"], USUAL)
    weights = np.arange(1.0, N_BATCHES + 1)
    expected = np.average([of.mean(axis=0) for of in USUAL], axis=0, weights=weights)
    assert_allclose(coder.mean_, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_batches_of_another_size_leave_means_and_penalties(size):
    coder = learn_from(STREAMS["penalties"], usual("penalties"))
    after = learn_from(coder, [size * of for of in (NOISE + OFFSET,)])
    assert_array_equal(after.mean_, coder.mean_)
    assert_array_equal(after.alpha_, coder.alpha_)


def test_a_changed_unit_changes_the_means_at_the_second_batch():
    before = learn_from(STREAMS["penalties"], usual("penalties"))
    first, second = (1e5 * of for of in usual("penalties")[:2])
    coder = learn_from(before, [first])
    assert_array_equal(coder.mean_, before.mean_)
    coder.partial_fit(second)
    assert_allclose(coder.mean_, 1e5 * before.mean_, rtol=0.05)
    assert_allclose(coder.alpha_, before.alpha_, rtol=0.3)


@pytest.mark.parametrize("unit", [2.0**-900, 2.0**900])
def test_means_follow_units_that_are_far_apart(unit):
    batches = [of / unit for of in USUAL[:3]] + [of * unit for of in USUAL[:9]]
    coder = learn_from(STREAMS["penalties"], batches)
    assert np.isfinite(coder.mean_).all()
    assert coder.score(unit * TEST) > 0.8


def test_few_rows_do_not_tell_better_penalties_than_a_fit():
    coder = copy.deepcopy(STREAMS["penalties"]).fit(batch(7, 10))
    assert_array_equal(learn_from(coder, [TEST[:11]]).alpha_, coder.alpha_)
    assert np.any(learn_from(coder, [TEST[:12]]).alpha_ != coder.alpha_)


@pytest.mark.parametrize("size", [1, 3, 10, 60])
def test_batches_of_any_size_tell_penalties(size):
    rows, others = low_rank(300, 20)
    batches = np.split(rows, range(size, len(rows), size))
    coder = learn_from(SqrtLassoTransform(), batches)
    fit = SqrtLassoTransform().fit(rows)
    assert coder.score(others) > fit.score(others) - 0.02
    kept = coder.recent_rows_["rows"]
    assert len(kept) <= 2 * len(coder.components_)
    assert_array_equal(kept, rows[-len(kept) :])


def test_another_penalty_acts_at_the_next_batch():
    coder = learn_from(STREAMS["penalties"], USUAL)
    coder.set_params(alpha=0.3).partial_fit(TEST)
    assert coder.alpha_ == 0.3
    coder.set_params(alpha="auto").partial_fit(TEST)
    assert coder.alpha_.shape == (N_FEATURES,)


# After a parameter has changed

X, Z = batch(1), np.abs(batch(2, 60)[:, :8])
GOES_ON = {
    "codes, then rows": ({}, {"Z": Z}, {}, {}),
    "rows, then codes": ({}, {}, {}, {"Z": Z}),
    "a free decoder": ({"decoder": "tied"}, {}, {"decoder": "free"}, {}),
    "a tied decoder": ({"decoder": "free"}, {}, {"decoder": "tied"}, {}),
    "penalties fixed": ({}, {}, {"learn_alpha": False}, {}),
    "a penalty each": ({"learn_alpha": "shared"}, {}, {"learn_alpha": True}, {}),
    "a given penalty": ({"learn_alpha": False}, {}, {"alpha": 0.7}, {}),
    "another batch size": ({}, {}, {"batch_size": 3, "learning_rate": 0.1}, {}),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("case", GOES_ON)
def test_a_network_goes_on_with_another_set_of_parameters(case, method):
    first, target, change, other = GOES_ON[case]
    coder = NeLUAutoencoder(8, alpha=0.4, max_iter=2, warm_start=True, random_state=0)
    coder.set_params(**first).fit(X, **target)
    before = coder.components_
    getattr(coder.set_params(**change), method)(X, **other)
    moments = coder.optimizer_state_["mean"]
    assert coder.components_.shape == moments["W"].shape == before.shape
    assert ("V" in moments) == (coder.decoder == "free" and not other)
    assert 0 < np.abs(coder.components_ - before).max() < 1
    assert np.isfinite(coder.score(X))


def test_learnt_penalties_stay_when_they_are_no_longer_learnt():
    coder = NeLUAutoencoder(8, alpha=0.4, max_iter=5, warm_start=True, random_state=0)
    alpha = coder.fit(X).alpha_
    assert np.ptp(alpha) > 0
    coder.set_params(learn_alpha=False).fit(X)
    assert_array_equal(coder.alpha_, alpha)
    coder.set_params(alpha=0.3).fit(X)
    assert coder.alpha_ == np.float64(0.3)


CANNOT = {
    "n_components": (NeLUAutoencoder(8), 4),
    "activation": (NeLUAutoencoder(8, alpha=0.1), "soft"),
    "n_unrolled": (NeLUAutoencoder(8), 3),
    "learn_alpha": (NeLUAutoencoder(8), "shared"),
    "encoder_activation": (ANAMOAutoencoder(8), "relu"),
    "decoder_activation": (ANAMOAutoencoder(8), "sigmoid"),
    "binary": (ANAMOAutoencoder(8), "relaxed"),
    "width": (ANAMOAutoencoder(8, encoder_activation="helu"), 0.3),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", CANNOT)
def test_a_change_that_cannot_go_on_is_named_with_a_way_out(name, method):
    coder, value = clone(CANNOT[name][0]), CANNOT[name][1]
    coder.set_params(max_iter=3, warm_start=True, random_state=0).fit(X)
    before = getattr(coder, name)
    coder.set_params(**{name: value})
    message = f"{name} cannot change from {before!r} to {value!r} .*{name}={before!r}"
    with pytest.raises(ValueError, match=f"{message}.* fit with warm_start=False"):
        getattr(coder, method)(X)
    getattr(copy.deepcopy(coder).set_params(**{name: before}), method)(X)
    fresh = clone(coder).fit(X)
    coder.set_params(warm_start=False).fit(X)
    assert_array_equal(coder.components_, fresh.components_)


@pytest.mark.parametrize("name", ["frame", "atoms"])
def test_another_number_of_components_is_refused_where_there_is_no_warm_start(name):
    coder = learn_from(STREAMS[name], USUAL[:1]).set_params(n_components=3)
    with pytest.raises(ValueError, match=r"n_components cannot .* 3 .* or call fit to"):
        coder.partial_fit(X)
    assert len(coder.fit(X).components_) == 3


# As it was fitted

CHANGES = [
    ("atoms", {"phi": 0.5, "positive": True, "selector": "lasso", "alpha": 3.0}),
    ("counted atoms", {"selector": "topk", "n_nonzero_coefs": None}),
    ("frame", {"positive": True, "alpha": 0.9}),
    ("nelu", {"activation": "relu", "alpha": 0.5, "positive": True}),
    ("nelu", {"activation": "nelu_adaptive", "n_unrolled": 4}),
    ("bits", {"encoder_activation": "relu", "decoder_activation": "sigmoid"}),
    ("bits", {"binary": "relaxed", "width": 0.1}),
]


@pytest.mark.parametrize(("name", "change"), CHANGES)
def test_rows_are_coded_as_the_fit_learnt_until_the_next(name, change):
    coder = learn_from(STREAMS[name], [X])
    before = [coder.transform(TEST), coder.reconstruct(TEST), coder.noise_scale(TEST)]
    coder.set_params(**change)
    after = [coder.transform(TEST), coder.reconstruct(TEST), coder.noise_scale(TEST)]
    for ours, other in zip(before, after, strict=True):
        assert_array_equal(ours, other)


def test_the_same_atoms_code_otherwise_as_a_given_dictionary():
    coder = learn_from(STREAMS["atoms"], USUAL)
    shrunk = RelaxedSparseCoder(dictionary=coder.components_, alpha=0.2, phi=1.0)
    Z, relaxed = shrunk.fit_transform(TEST), coder.transform(TEST)
    assert_array_equal(Z != 0, relaxed != 0)
    assert np.abs(Z).sum() < np.abs(relaxed).sum()


# As a whole


@pytest.mark.parametrize("name", STREAMS)
def test_an_interrupted_fit_keeps_its_finished_iterations(name, monkeypatch):
    def interrupt(self, n_iter, *_):
        if n_iter == 2:
            raise KeyboardInterrupt

    coder = clone(STREAMS[name]).set_params(max_iter=4, tol=0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "step", interrupt)
        with pytest.warns(ConvergenceWarning, match="2 finished"):
            coder.fit(X)
    assert coder.n_iter_ == 2
    assert np.isfinite(coder.score(TEST))


@pytest.mark.parametrize("name", ["frame", "nelu", "atoms", "bits"])
def test_other_threads_see_no_half_of_a_fit(name):
    coder = clone(STREAMS[name]).set_params(max_iter=2, tol=0.0).fit(X)
    refit, codes = True, [coder.transform(TEST)]

    def keep_fitting():
        while refit:
            coder.fit(X)
            with contextlib.suppress(ValueError):
                coder.fit(X * np.inf)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(keep_fitting)
        codes += [coder.transform(TEST) for _ in range(50)]
        refit = False
        other.result()
    for Z in codes[1:]:
        assert_array_equal(Z, codes[0])
