"""ANAMOAutoencoder: what it promises beyond what all encoders do."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits

from sklearn_sqrtlasso import ANAMOAutoencoder, NeLUAutoencoder
from sklearn_sqrtlasso.learning.binarization import SCHEMES
from tests.estimators.encoders import PUBLISHED

SHORT = {"n_components": 6, "max_iter": 4, "random_state": 0, "tol": 0.0}
SELECTORS = {
    "default": {},
    "published": PUBLISHED,
    "exact": {"prox": "exact"},
    "batches": {"batch_size": 50},
    "other methods": {"encoder_method": "adam", "decoder_method": "lbfgs"},
    "relu": {"encoder_activation": "relu"},
    "helu": {"encoder_activation": "helu", "width": 0.5},
    "held out": {"early_stopping": True},
    **{name: {"binary": name} for name in SCHEMES},
}
SELECTORS = {
    name: ANAMOAutoencoder(**SHORT, **given) for name, given in SELECTORS.items()
}
WHOLE = [name for name in SELECTORS if name not in {"batches", "held out"}]

each = pytest.mark.parametrize("name", SELECTORS)
each_binary = pytest.mark.parametrize("binary", SCHEMES)


def digits(n_rows=150):
    return load_digits().data[:n_rows] / 16


@pytest.mark.parametrize("name", WHOLE)
def test_the_loss_never_rises(name):
    coder = clone(SELECTORS[name]).set_params(max_iter=8).fit(digits())
    assert coder.loss_curve_.shape == coder.time_curve_.shape == (coder.n_iter_,)
    assert np.all(np.diff(coder.loss_curve_) <= 0)
    assert np.all(coder.decoder_loss_curve_ <= coder.encoder_loss_curve_)
    assert np.all(np.diff(coder.time_curve_) > 0)


@pytest.mark.parametrize(
    "name", ["default", "published", "exact", "other methods", "relu"]
)
def test_the_loss_is_that_of_the_formula(name):
    X, coder = digits(), clone(SELECTORS[name]).fit(digits())
    miss = np.sum((coder.reconstruct(X) - X) ** 2, axis=1)
    size = coder.alpha_ * np.abs(coder.transform(X)).sum(axis=1)
    assert coder.loss_curve_[-1] == pytest.approx(np.mean(miss + size), rel=1e-10)


@each
def test_another_seed_gives_other_weights(name):
    one = clone(SELECTORS[name]).fit(digits())
    other = clone(SELECTORS[name]).set_params(random_state=1).fit(digits())
    assert np.any(one.components_ != other.components_)


@each_binary
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_bits_are_zero_or_one(binary, dtype):
    X = digits().astype(dtype)
    coder = clone(SELECTORS[binary]).fit(X)
    Z = coder.transform(X)
    assert Z.dtype == X.dtype
    assert set(np.unique(Z)) == {0, 1}
    miss = np.sum((coder.reconstruct(X) - X) ** 2, axis=1)
    told = np.mean(miss + coder.alpha_ * Z.sum(axis=1))
    assert coder.binary_losses_["encoded"] == pytest.approx(told, rel=1e-5)


def test_relaxed_bits_of_digits():
    X = load_digits().data[np.random.default_rng(0).permutation(1797)] / 16
    X, new = X[:1000], X[1000:]
    given = {**PUBLISHED, "binary": "relaxed", "max_iter": 30, "random_state": 0}
    free = ANAMOAutoencoder(16, tol=0, **given)
    coder = clone(free).set_params(tol=1e-4).fit(X)
    losses, size = coder.binary_losses_, 0.1 * coder.transform(X).sum(axis=1).mean()
    assert losses["encoded"] < losses["regressed"] < losses["refitted"]
    assert losses["flipped"] < losses["refitted"] < losses["binarized"]
    assert losses["binarized"] == coder.validation_curve_.min()
    assert losses["binarized"] - size < 2.23  # squared errors alone
    assert losses["refitted"] - size < 1.7
    assert np.mean(np.sum((coder.reconstruct(new) - new) ** 2, axis=1)) < 1.73
    assert free.fit(X).loss_curve_[-1] < 0.92


@pytest.mark.parametrize("name", ["default", "relu", "smoothstep", "subgradient"])
def test_learning_goes_on_where_it_ended(name):
    X, coder = digits(), clone(SELECTORS[name]).set_params(warm_start=True)
    coder.fit(X).fit(X)
    assert coder.n_iter_ == len(coder.loss_curve_) == 8
    coder.partial_fit(X)
    assert coder.n_iter_ == len(coder.time_curve_) == 9
    if coder.binary is None:
        assert np.all(np.diff(coder.loss_curve_) <= 1e-12)


def test_another_unit_of_rows_is_the_same_learning():
    X = digits()
    for alpha, louder in (("auto", "auto"), (0.1, 102.4)):
        coder = clone(SELECTORS["relu"]).set_params(max_iter=3, alpha=alpha)
        one = coder.fit(X).reconstruct(X)
        coder.set_params(alpha=louder).fit(1024 * X)
        assert_array_equal(coder.reconstruct(1024 * X), 1024 * one)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_default_penalty_has_the_unit_that_it_needs(activation):
    given = {"encoder_activation": activation, "max_iter": 1}
    coder, X = ANAMOAutoencoder(4, **given), digits()
    spread = np.sqrt(np.mean((X - X.mean(axis=0)) ** 2))
    for c in (1.0, 1e-6, 1e6):
        size = c * spread if activation == "relu" else (c * spread) ** 2
        assert coder.fit(c * X).alpha_ == pytest.approx(0.01 * size)


@each
def test_sparse_rows_are_learnt_as_dense_ones(name):
    X, coder = digits(), clone(SELECTORS[name])
    dense = coder.fit(X).reconstruct(X)
    assert_array_equal(coder.fit(sp.csr_array(X)).reconstruct(X), dense)


def dead_share(width):
    coder = ANAMOAutoencoder(32, encoder_activation="helu", width=width, random_state=0)
    coder.set_params(encoder_method="adam", decoder_method="adam", batch_size=50)
    return coder.set_params(max_iter=3).fit(digits()).report(digits()).dead_share


def test_a_wider_window_keeps_more_units_alive():
    assert dead_share(1e-9) > dead_share(0.2) > dead_share(1.0)


BAD = {
    "exact relu": (
        {"prox": "exact", "encoder_activation": "relu"},
        "encoder_activation='relu'.*prox='smooth'",
    ),
    "exact adam": ({"prox": "exact", "encoder_method": "adam"}, "got 'adam'"),
    "codes by adam": ({"binary": "relaxed", "encoder_method": "adam"}, "got 'adam'"),
    "codes in batches": ({"binary": "relaxed", "batch_size": 9}, "batch_size=9"),
    "a length for lbfgs": (
        {"decoder_method": "lbfgs", "decoder_step": 0.5},
        r"decoder_step=0\.5.*'auto'",
    ),
    "an exact step too long": (
        {"prox": "exact", "encoder_step": 1e6},
        r"encoder_step=1000000\.0 is too long",
    ),
    "nothing held out": (
        {"early_stopping": True, "validation_fraction": 1e-4},
        r"validation_fraction=0\.0001",
    ),
    "no slope": ({"decoder_activation": "sign"}, "'sign'"),
}


@pytest.mark.parametrize(("given", "told"), BAD.values(), ids=BAD)
def test_what_makes_no_sense_is_refused(given, told):
    coder = ANAMOAutoencoder(**given)
    with pytest.raises(ValueError, match=told):
        coder.fit(digits())
    assert not hasattr(coder, "components_")


@pytest.mark.parametrize(
    "coder",
    [
        ANAMOAutoencoder(encoder_activation="helu", decoder_activation="sigmoid"),
        ANAMOAutoencoder(encoder_activation="sigmoid"),
        NeLUAutoencoder(activation="sigmoid", alpha=0.0),
        NeLUAutoencoder(activation="helu", alpha=0.1),
    ],
    ids=lambda coder: f"{type(coder).__name__}",
)
@pytest.mark.parametrize("exponent", [-700, -200, 200, 700])
def test_single_precision_resumes_what_was_learnt_from_any_size(coder, exponent):
    X = np.random.default_rng(0).standard_normal((20, 3))
    coder = clone(coder).set_params(max_iter=2, random_state=0, warm_start=True)
    coder.fit(2.0**exponent * X)
    coder.fit(X.astype("f4"))  # the weights of the fit before are no single numbers
    names = coder._parameters()
    assert all(np.isfinite(getattr(coder, name)).all() for name in names)
    assert np.isfinite(coder.loss_curve_[-1])
    assert np.isfinite(coder.alpha_).all()


def test_the_noise_of_rows_that_are_restored_beyond_all_numbers_is_infinite():
    coder = NeLUAutoencoder(activation="tanh", max_iter=1, random_state=0)
    coder.fit(np.eye(3)).decoder_[:] = 1e300
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_array_equal(coder.noise_scale(np.ones((2, 3), "f4")), np.inf)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("encoder", ["sign", "tanh", "relu"])
def test_a_penalty_beyond_all_rows_leaves_single_precision_finite(encoder, method):
    X = np.random.default_rng(0).standard_normal((9, 3)).astype("f4")
    coder = ANAMOAutoencoder(
        2,
        alpha=1.0,
        encoder_activation=encoder,
        decoder_activation="identity",
        encoder_method="adam",
        decoder_method="adam",
        max_iter=2,
        random_state=0,
    )
    getattr(coder, method)(np.float32(1e-30) * X)
    assert np.isfinite(coder.optimizer_state_["encoder"]["square"]).all()
    assert all(np.isfinite(getattr(coder, name)).all() for name in coder._parameters())
