"""NeLUAutoencoder: what it promises beyond what all encoders do."""

import tracemalloc

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_sqrtlasso import NeLUAutoencoder
from sklearn_sqrtlasso.datasets import make_sparse_codes
from sklearn_sqrtlasso.learning.loop import DivergedError
from sklearn_sqrtlasso.metrics import denoising_scorer
from tests.estimators.common import N_ROWS, ROUNDING, SCATTERED, make_rows

SHORT = {"max_iter": 3, "batch_size": 64, "random_state": 0}
SELECTORS = {
    "default": {},
    "adaptive": {"activation": "nelu_adaptive", "noise_std": (0.1, 1.0)},
    "hysteresis": {"activation": "nelu_helu", "alpha": 0.3, "learn_alpha": "shared"},
    "positive": {"positive": True, "n_components": 20, "decoder": "tied"},
    "under": {"n_components": 5, "decoder": "pinv", "learn_alpha": False, "alpha": 0.3},
    "unit rows": {"n_components": 20, "unit_rows": True},
    "unrolled": {"n_unrolled": 4},
    "soft": {"activation": "soft", "alpha": 0.5},
    "relu": {"activation": "relu", "alpha": 0.0, "noise_std": 0.3},
    "helu": {"activation": "helu", "alpha": 0.1},
    "topk": {"activation": "topk", "alpha": 0.5},
    "sigmoid": {"activation": "sigmoid", "alpha": 0.0},
    "tanh": {"activation": "tanh", "alpha": 0.0},
    "sign": {"activation": "sign", "alpha": 0.0, "unit_rows": True},
    "identity": {"activation": "identity", "alpha": 0.0, "early_stopping": True},
}
SELECTORS = {
    name: NeLUAutoencoder(**SHORT, **given) for name, given in SELECTORS.items()
}

each = pytest.mark.parametrize("name", SELECTORS)


def fitted(name, **given):
    return clone(SELECTORS[name]).set_params(**given).fit(make_rows(), groups=SCATTERED)


def near_a_plane(n_rows=600, n_features=16, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n_rows, 2)) @ rng.standard_normal((2, n_features))


@each
def test_learning_lowers_the_loss(name):
    rng = np.random.default_rng(1)
    X = near_a_plane() + 0.3 * rng.standard_normal((600, 16))
    coder = clone(SELECTORS[name]).set_params(max_iter=40, noise_std=0.5).fit(X)
    assert coder.loss_curve_.shape == (coder.n_iter_,)
    assert coder.loss_curve_[-1] < 0.8 * coder.loss_curve_[0]


@each
def test_another_seed_gives_other_weights(name):
    one, other = fitted(name), fitted(name, random_state=1)
    assert np.any(one.components_ != other.components_)


@each
@pytest.mark.parametrize("exponent", [-300, 300])
def test_the_unit_of_the_rows_changes_nothing(name, exponent):
    c, given = 2.0**exponent, SELECTORS[name].get_params()
    units = {}
    if given["noise_std"] != "auto":
        units = {"noise_std": np.multiply(c, given["noise_std"]).tolist()}
    if name in ("soft", "relu", "helu", "identity"):
        units["alpha"] = c * given["alpha"]
    restored = fitted(name).reconstruct(make_rows())
    ours = clone(SELECTORS[name]).set_params(**units)
    ours.fit(c * make_rows(), groups=SCATTERED)
    assert_allclose(ours.reconstruct(c * make_rows()) / c, restored, **ROUNDING)


@each
def test_noise_is_what_the_restoration_removes(name):
    X, coder = make_rows(), fitted(name)
    removed = X - coder.reconstruct(X, groups=SCATTERED)
    sigma = coder.noise_scale(X, groups=SCATTERED)
    for label in range(7):
        expected = np.sqrt(np.mean(removed[label == SCATTERED] ** 2))
        assert_allclose(sigma[label == SCATTERED], expected, rtol=1e-9)


@pytest.mark.parametrize("unit", [1e39, 1e300])
def test_noise_is_infinite_only_in_groups_whose_restoration_is(unit):
    coder = fitted("identity", early_stopping=False)
    coder.decoder_ = unit * coder.decoder_
    X, groups = np.ones((7, 12), np.float32), [0, 1, 1, 2, 2, 3, 3]
    X[[1, 3, 5]], X[4], X[6] = 1e-5, 2e-5, 0
    sigma = coder.noise_scale(X, groups=groups)
    codes = X.astype("f8") @ coder.components_.T - coder.alpha_
    removed = X - codes @ coder.decoder_
    squares = np.bincount(groups, np.mean((removed / unit) ** 2, axis=1))
    expected = unit * np.sqrt(squares / np.bincount(groups))[groups]
    with np.errstate(over="ignore"):
        assert_allclose(sigma, expected.astype("f4"), rtol=1e-5)
    assert np.isinf(sigma).sum() == (3 if unit == 1e39 else 7)


@pytest.mark.parametrize("decoder", ["tied", "pinv"])
def test_the_decoder_is_that_which_is_asked_for(decoder):
    coder = fitted("default", decoder=decoder)
    W = coder.components_
    expected = {"tied": W, "pinv": np.linalg.pinv(W).T}[decoder]
    assert_allclose(coder.decoder_, expected, rtol=1e-8, atol=1e-10)


def test_penalties_are_learnt_as_asked_for():
    assert fitted("default").alpha_.shape == (12,)
    assert isinstance(fitted("default", learn_alpha="shared").alpha_, float)
    assert fitted("default", learn_alpha=False, alpha=0.3).alpha_ == 0.3
    assert fitted("adaptive").kappa_.shape == (12,)
    assert not hasattr(fitted("default"), "kappa_")
    assert fitted("unrolled").step_ > 0


def test_unit_rows_stay_unit_rows():
    norms = np.linalg.norm(fitted("unit rows").components_, axis=1)
    assert_allclose(norms, 1, rtol=1e-12)


def test_a_warm_start_goes_on():
    X = near_a_plane()
    coder = clone(SELECTORS["default"]).set_params(warm_start=True, noise_std=0.0)
    first = coder.fit(X).loss_curve_
    coder.fit(X)
    assert coder.n_iter_ == 6
    assert_array_equal(coder.loss_curve_[:3], first)
    assert coder.loss_curve_[-1] < first[-1]
    coder.set_params(n_components=9)
    with pytest.raises(ValueError, match=r"from 16 to 9 .*warm_start=False"):
        coder.fit(X)


def test_partial_fit_goes_on_batch_by_batch():
    X, coder = near_a_plane(), clone(SELECTORS["relu"])
    for _ in range(20):
        coder.partial_fit(X[:300]).partial_fit(X[300:])
    assert coder.n_iter_ == 40
    assert coder.loss_curve_[-1] < 0.8 * coder.loss_curve_[0]


def test_early_stopping_keeps_the_best_epoch():
    coder = clone(SELECTORS["default"]).set_params(early_stopping=True, max_iter=30)
    coder.set_params(learning_rate=0.3, noise_std=1.0).fit(near_a_plane())
    curve = coder.validation_curve_
    assert len(curve) == coder.n_iter_ == 30
    assert curve.min() < curve[-1]
    short = clone(coder).fit(near_a_plane()[:, :1])
    assert_allclose(short.validation_curve_.shape, short.loss_curve_.shape)


def test_a_loss_that_settles_ends_learning():
    coder = NeLUAutoencoder(max_iter=500, tol=0.01, n_iter_no_change=5, random_state=0)
    assert coder.fit(near_a_plane()).n_iter_ < 500


def test_pairs_of_noisy_and_clean_rows_are_learnt():
    clean, rng = near_a_plane(), np.random.default_rng(1)
    noisy = clean + 0.7 * rng.standard_normal(clean.shape)
    coder = NeLUAutoencoder(32, max_iter=60, batch_size=64, random_state=0)
    paired = clone(coder).fit(noisy, X_clean=clean)
    blind = clone(coder).fit(noisy)
    fresh = clean + 0.7 * rng.standard_normal(clean.shape)

    def error(fit):
        return np.mean((fit.reconstruct(fresh) - clean) ** 2)

    assert error(paired) < 0.7 * error(blind)
    assert error(paired) < 0.5 * np.mean((fresh - clean) ** 2)


def test_codes_are_learnt_from_pairs():
    data = make_sparse_codes(1200, 16, n_nonzero=2, noise_std=0.05, random_state=0)
    X, Z, new = data.X[:800], data.Z[:800], slice(800, None)
    coder = NeLUAutoencoder(max_iter=150, batch_size=64, random_state=0).fit(X, Z=Z)
    linear = np.linalg.lstsq(X, Z, rcond=None)[0]
    ours = np.mean((coder.transform(data.X[new]) - data.Z[new]) ** 2)
    assert ours < 0.5 * np.mean((data.X[new] @ linear - data.Z[new]) ** 2)
    left = coder.inverse_transform(data.Z[new]) - data.X[new]
    assert np.sqrt(np.mean(left**2)) < 0.06  # the noise is .05


def test_a_stack_stays_homogeneous_and_runs_back():
    X = near_a_plane()
    first, second = NeLUAutoencoder(24, **SHORT), NeLUAutoencoder(12, **SHORT)
    pipe = make_pipeline(first, second).fit(X)
    Z = pipe.transform(X)
    assert_array_equal(pipe.transform(2.0**90 * X), 2.0**90 * Z)
    back = pipe[0].inverse_transform(pipe[1].inverse_transform(Z))
    assert_array_equal(pipe.inverse_transform(Z), back)
    assert back.shape == X.shape


def test_a_search_passes_clean_rows_on():
    clean = near_a_plane(200)
    noisy = clean + np.random.default_rng(1).standard_normal(clean.shape)
    with sklearn.config_context(enable_metadata_routing=True):
        coder = NeLUAutoencoder(**SHORT).set_fit_request(X_clean=True)
        scorer = denoising_scorer([0.5])
        search = GridSearchCV(coder, {"alpha": [0.2, 0.4]}, scoring=scorer, cv=2)
        search.fit(noisy, X_clean=clean)
    again = clone(search.best_estimator_).fit(noisy, X_clean=clean)
    assert_array_equal(search.best_estimator_.components_, again.components_)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divergence_keeps_the_last_good_parameters():
    X = near_a_plane().astype("f4")
    coder = NeLUAutoencoder(**SHORT, warm_start=True).fit(X)
    before = clone(coder).fit(X).components_
    coder.set_params(learning_rate=1e20, activation="nelu")
    with pytest.raises(DivergedError, match=r"Lower learning_rate=1e\+20"):
        coder.fit(X)
    assert_array_equal(coder.components_, before)
    assert np.isfinite(coder.score(X))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divergence_from_the_start_keeps_nothing():
    X = near_a_plane().astype("f4")
    coder = NeLUAutoencoder(**SHORT, learning_rate=1e20)
    with pytest.raises(FloatingPointError, match="iteration 1"):
        coder.fit(X)
    assert not hasattr(coder, "components_")
    assert not hasattr(coder, "n_features_in_")


def test_learning_holds_no_copy_of_the_rows():
    X = np.random.default_rng(0).standard_normal((60_000, 64))
    coder = NeLUAutoencoder(64, noise_std=(0.1, 1.0), max_iter=1, random_state=0)
    coder.fit(X[:1000])
    tracemalloc.start()
    coder.fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * X.nbytes  # an order of the rows, and blocks


BAD = {
    "a threshold that follows noise": (
        {"activation": "relu", "alpha": "pivotal"},
        "'relu'.*a number, or 'auto'",
    ),
    "steps of another activation": (
        {"n_unrolled": 3, "activation": "soft", "alpha": 0.1},
        "activation='soft'; set n_unrolled=None",
    ),
    "a penalty of 1": ({"alpha": 1.0}, r"below 1.*got 1\.0"),
    "a negative penalty": ({"alpha": -0.1, "learn_alpha": False}, r"got -0\.1"),
    "a negative threshold": ({"alpha": -1.0, "activation": "soft"}, r"got -1\.0"),
    "nan": ({"alpha": np.nan, "activation": "relu"}, "got nan"),
    "bounds upside down": ({"noise_std": (2.0, 1.0)}, r"low <= high.*\(2\.0, 1\.0\)"),
    "a bound of zero": ({"noise_std": (0.0, 1.0)}, r"0 < low"),
    "three bounds": ({"noise_std": (1, 2, 3)}, r"pair.*\(1, 2, 3\)"),
    "nothing held out": (
        {"early_stopping": True, "validation_fraction": 1e-4},
        r"validation_fraction=0\.0001",
    ),
}


@pytest.mark.parametrize(("given", "told"), BAD.values(), ids=BAD)
def test_what_makes_no_sense_is_refused(given, told):
    coder = NeLUAutoencoder(**given)
    with pytest.raises(ValueError, match=told):
        coder.fit(make_rows())
    assert not hasattr(coder, "components_")


def test_targets_must_fit():
    X, coder = make_rows(), NeLUAutoencoder(4)
    with pytest.raises(ValueError, match="not both"):
        coder.fit(X, X_clean=X, Z=X)
    with pytest.raises(ValueError, match=r"X_clean must have the shape of X"):
        coder.fit(X, X_clean=X[:, :3])
    with pytest.raises(ValueError, match=rf"= \({N_ROWS}, 4\), got \({N_ROWS}, 12\)"):
        coder.fit(X, Z=X)
    with pytest.raises(ValueError, match="X_clean contains NaN"):
        coder.fit(X, X_clean=np.full_like(X, np.nan))


def test_a_learnt_threshold_does_not_become_negative():
    X = np.random.default_rng(0).standard_normal((60, 3))
    coder = NeLUAutoencoder(activation="soft", alpha=0.01, random_state=0, max_iter=300)
    alpha = coder.fit(X).alpha_
    assert np.all(alpha >= 0)
    U = X @ coder.components_.T
    assert np.all(np.abs(coder.transform(X)) <= np.abs(U))


@pytest.mark.parametrize("decoder", ["free", "tied", "pinv"])
@pytest.mark.parametrize("activation", ["nelu", "topk", "sigmoid"])
def test_a_batch_leaves_the_arrays_of_earlier_ones_as_they_were(decoder, activation):
    X = np.random.default_rng(0).standard_normal((60, 6))
    alpha = {"alpha": 0.5} if activation == "topk" else {}
    coder = NeLUAutoencoder(
        8, activation=activation, decoder=decoder, random_state=0, **alpha
    ).partial_fit(X)
    state = coder.optimizer_state_
    arrays = [coder.components_, coder.decoder_]
    arrays += [*state["mean"].values(), *state["square"].values()]
    before = [of.copy() for of in arrays]
    assert not np.shares_memory(coder.components_, coder.decoder_)
    coder.partial_fit(2 * X)
    assert not np.array_equal(coder.components_, before[0])
    for now, was in zip(arrays, before, strict=True):
        assert_array_equal(now, was)
