"""What rows are to become: clean rows, codes, and the epoch that restores best."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sklearn_sqrtlasso import NeLUAutoencoder
from sklearn_sqrtlasso.estimators.progress import Progress

N_ROWS, N_FEATURES, N_UNITS = 120, 6, 4
GROUPS = np.arange(N_ROWS) % 9
LEARNT = ["components_", "decoder_", "alpha_"]


def make_pairs(seed=0):
    """Return noisy rows, the clean ones, and the codes that made them."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((N_ROWS, N_UNITS)) * (rng.random((N_ROWS, N_UNITS)) < 0.4)
    clean = Z @ rng.standard_normal((N_UNITS, N_FEATURES))
    return clean + 0.3 * rng.standard_normal(clean.shape), clean, Z


def make_coder(**given):
    return NeLUAutoencoder(
        N_UNITS, max_iter=3, batch_size=32, learning_rate=0.01, random_state=0
    ).set_params(**given)


def targets():
    _, clean, Z = make_pairs()
    return {"none": {}, "clean": {"X_clean": clean}, "codes": {"Z": Z}}


LEARNING = ["fit", "partial_fit", "resumed"]
each_target = pytest.mark.parametrize("target", targets().values(), ids=targets())


@each_target
@pytest.mark.parametrize("groups", [None, GROUPS, "all"], ids=["alone", "runs", "all"])
def test_to_fit_and_transform_is_to_fit_and_then_transform(target, groups):
    X, coder = make_pairs()[0], make_coder()
    Z = clone(coder).fit_transform(X, **target, groups=groups)
    coder.fit(X, **target, groups=groups)
    assert_array_equal(Z, coder.transform(X, groups=groups))


def test_the_target_is_learnt_from():
    X = make_pairs()[0]
    codes = [make_coder().fit_transform(X, **target) for target in targets().values()]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(codes[one] - codes[other]).max() > 0.01  # of entries of order 1


def test_rows_that_are_to_become_themselves_are_their_own_target():
    X = make_pairs()[0]
    coder = make_coder().set_params(noise_std=0.0)
    alone, pairs = clone(coder).fit(X), clone(coder).fit(X, X_clean=X)
    for name in LEARNT:
        assert_array_equal(getattr(alone, name), getattr(pairs, name))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_sparse_targets_are_learnt_as_dense_ones(method):
    X, clean, _ = make_pairs()
    dense = getattr(make_coder(), method)(X, X_clean=clean)
    sparse = getattr(make_coder(), method)(X, X_clean=sp.csr_array(clean))
    assert_array_equal(dense.components_, sparse.components_)


def test_batches_bring_rows_nearer_to_what_they_are_to_become():
    X, clean, _ = make_pairs()
    wanted, paired, blind, errors = clean / 8, make_coder(), make_coder(), []
    for _ in range(100):
        paired.partial_fit(X, X_clean=wanted)
        errors.append(np.mean((paired.reconstruct(X) - wanted) ** 2))
        blind.partial_fit(X)
    assert errors[-1] < 0.5 * errors[0]
    assert errors[-1] < 0.5 * np.mean((blind.reconstruct(X) - wanted) ** 2)


def test_batches_bring_codes_nearer_to_given_ones():
    X, _, Z = make_pairs()  # units that learnt from rows have an order of their own
    coder = make_coder(decoder="tied", learning_rate=0.03).fit(X)
    before = np.mean((coder.transform(X) - Z) ** 2)
    for _ in range(100):
        coder.partial_fit(X, Z=Z)
    assert np.mean((coder.transform(X) - Z) ** 2) < 0.5 * before


@pytest.mark.parametrize("decoder", ["free", "pinv"])
@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**-400, 1024.0, 2.0**900])
def test_codes_that_are_pure_numbers_have_no_unit(scale, decoder):
    X, _, Z = make_pairs()
    Z = 1 / (1 + np.exp(-Z))
    coder = make_coder(activation="sigmoid", alpha=0.0, decoder=decoder)
    ours, other = clone(coder).fit(X, Z=Z), coder.fit(scale * X, Z=Z)
    assert_allclose(other.transform(scale * X), ours.transform(X), rtol=1e-10)
    assert_allclose(other.decoder_, scale * ours.decoder_, rtol=1e-10)


@pytest.mark.parametrize("activation", ["nelu", "nelu_helu", "sigmoid"])
def test_codes_that_rows_do_not_explain_start_from_zero_weights(activation):
    X, Z = np.eye(6, 3), np.eye(6, 2)[::-1]  # no row has both
    alpha = 0.0 if activation == "sigmoid" else "pivotal"
    coder = make_coder(activation=activation, alpha=alpha, n_components=2)
    coder.fit(X, Z=Z)
    assert all(np.isfinite(getattr(coder, name)).all() for name in LEARNT)
    if activation != "sigmoid":
        assert_array_equal(coder.transform(X), 0)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "sign"])
@pytest.mark.parametrize(("dtype", "near"), [("f8", 1e49), ("f4", 1e14)])
def test_codes_that_are_pure_numbers_are_not_far_from_one(activation, dtype, near):
    X, _, Z = make_pairs()
    coder = make_coder(activation=activation, alpha=0.0)
    for size in (near, 1 / near):
        coder.fit(X.astype(dtype), Z=size * Z)
        assert all(np.isfinite(getattr(coder, name)).all() for name in LEARNT)
        with pytest.raises(ValueError, match=r"Z must have entries .* of 1, as pure"):
            coder.fit(X.astype(dtype), Z=size**1.1 * Z)


SIZES = st.sampled_from([0.0, 1e-309, 1e-200, 1e-60, 1e-20, 1.0, 1e20, 1e60, 1e200])
FACTORS = {"f8": 1e50, "f4": 1e15}  # by which sizes of targets and rows may differ


@given(SIZES, SIZES, st.sampled_from(sorted(FACTORS)), st.sampled_from(LEARNING))
@example(0.0, 1.0, "f8", "partial_fit")
@example(0.0, 1e299, "f8", "resumed")
@example(1e-309, 1.0, "f8", "fit")
@example(1.0, 1e-200, "f8", "resumed")
@example(1.0, 1e20, "f4", "fit")
def test_clean_rows_of_any_size_are_learnt_or_named(rows, clean, dtype, method):
    X, target, _ = (of[:12] for of in make_pairs())
    single = dtype == "f4"
    with np.errstate(over="ignore", under="ignore"):
        given = [
            (c * of if not single or c < 1e36 else of).astype(dtype)
            for c, of in ((rows, X), (clean, target))
        ]
    tops = [np.abs(of).max().astype(np.longdouble) for of in given]
    coder = make_coder(max_iter=1)
    if method == "resumed":
        coder.fit(X.astype(dtype))
    learn = coder.fit if method == "fit" else coder.partial_fit
    ratio = tops[1] / tops[0] if min(tops) > 0 else 1
    if 1 / FACTORS[dtype] < ratio < FACTORS[dtype]:
        learn(given[0], X_clean=given[1])
        assert all(np.isfinite(getattr(coder, name)).all() for name in LEARNT)
        assert np.isfinite(coder.loss_curve_).all()
    else:
        with pytest.raises(ValueError, match="X_clean must have entries within"):
            learn(given[0], X_clean=given[1])


def wrong(name):
    """Return targets that make no sense, and what is said of them."""
    X, clean, Z = make_pairs()
    gap = clean.copy()
    gap[3, 1] = np.nan
    return {
        "few rows": (
            {"X_clean": clean[:9]},
            r"X_clean must have the shape of X, \(120",
        ),
        "few columns": ({"X_clean": clean[:, :2]}, r"got \(120, 2\)"),
        "a list": ({"X_clean": clean[0]}, "1D array"),
        "a gap": ({"X_clean": gap}, "X_clean contains NaN"),
        "infinite": ({"X_clean": np.full_like(X, np.inf)}, "X_clean contains infinity"),
        "few codes": (
            {"Z": Z[:9]},
            r"Z must have the shape .*= \(120, 4\), got \(9, 4",
        ),
        "narrow codes": ({"Z": Z[:, :2]}, r"got \(120, 2\)"),
        "a gap in codes": ({"Z": np.full_like(Z, np.nan)}, "Z contains NaN"),
        "both": ({"X_clean": clean, "Z": Z}, "X_clean and Z were both given"),
    }[name]


WRONG = ["few rows", "few columns", "a list", "a gap", "infinite", "few codes"]
WRONG += ["narrow codes", "a gap in codes", "both"]


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_transform"])
@pytest.mark.parametrize("is_fitted", [False, True])
def test_targets_that_make_no_sense_are_refused_and_change_nothing(
    name, method, is_fitted
):
    X, coder = make_pairs()[0], make_coder(warm_start=True)
    coder = coder.fit(X) if is_fitted else coder
    before, (target, told) = dict(vars(coder)), wrong(name)
    with pytest.raises(ValueError, match=told):
        getattr(coder, method)(X, **target)
    assert vars(coder).keys() == before.keys()
    assert all(value is before[key] for key, value in vars(coder).items())


def by_epoch(monkeypatch, coder, X, **target):
    """Fit; return what was learnt after each epoch."""
    epochs = []

    def note(self, n_iter, objective, attributes):
        learnt = attributes()
        epochs.append({name: np.copy(learnt[name]) for name in LEARNT})
        return False

    monkeypatch.setattr(Progress, "step", note)
    coder.fit(X, **target)
    return epochs


ROUGH = {"early_stopping": True, "learning_rate": 0.3, "max_iter": 30}


@each_target
def test_early_stopping_keeps_the_parameters_of_the_best_epoch(monkeypatch, target):
    X, coder = make_pairs()[0], make_coder(**ROUGH)
    epochs = by_epoch(monkeypatch, coder, X, **target)
    best = int(np.argmin(coder.validation_curve_))
    assert best + 1 < len(epochs) == coder.n_iter_  # or the last one is kept anyway
    for name in LEARNT:
        assert_array_equal(getattr(coder, name), epochs[best][name])
    assert (coder.components_ != epochs[-1]["components_"]).any()


def test_without_held_out_rows_the_last_epoch_is_kept(monkeypatch):
    coder = make_coder(learning_rate=0.3, max_iter=10)
    epochs = by_epoch(monkeypatch, coder, make_pairs()[0])
    for name in LEARNT:
        assert_array_equal(getattr(coder, name), epochs[-1][name])


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_columns_of_a_clean_frame_are_matched_by_name(kind):
    frames = pytest.importorskip(kind)
    X, clean, _ = make_pairs()
    names = [f"c{j}" for j in range(X.shape[1])]
    noisy, wanted = (
        frames.DataFrame({name: of[:, j] for j, name in enumerate(names)})
        for of in (X, clean)
    )
    ours = make_coder().fit(noisy, X_clean=wanted)
    if not hasattr(ours, "feature_names_in_"):
        pytest.skip(f"this scikit-learn sees no names in a frame of {kind}")
    turned = make_coder().fit(noisy, X_clean=wanted[names[::-1]])
    assert_array_equal(turned.components_, ours.components_)
    other = wanted.rename({"c0": "d"}) if kind == "polars" else wanted.add_prefix("d")
    with pytest.raises(ValueError, match="X_clean must have the columns of X"):
        make_coder().fit(noisy, X_clean=other)
