"""The compression limit: published values, laws, and training that reaches it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso import NeLUAutoencoder
from sklearn_sqrtlasso.theory.compression import (
    best_sign_decoder,
    gaussian_compression_limit,
)
from tests import JIT

RATES = [0.25, 0.5, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0]
RISKS = [0.8408, 0.6817, 0.4907, 0.3634, 0.3223, 0.2756, 0.2220, 0.1599]

EPS = np.finfo(np.float64).eps
ROOTS = (
    8 * 30 * EPS
)  # sums of at most 30 roots, squared, on either side, and their ratio
QUAD = 1e-12  # absolute error that is asked of each of the two integrals

spectra = st.lists(st.floats(0.01, 100), min_size=2, max_size=30)
rates = st.integers(1, 60)


@pytest.mark.parametrize(("rate", "risk"), list(zip(RATES, RISKS, strict=True)))
def test_published_values(rate, risk):
    assert_allclose(
        gaussian_compression_limit(rate), risk, rtol=0, atol=5e-5
    )  # 4 digits


@pytest.mark.parametrize("rate", RATES)
def test_a_flat_spectrum_is_isotropic(rate):
    flat = gaussian_compression_limit(rate, np.full(100, 2.5))
    isotropic = 2.5 * gaussian_compression_limit(rate)
    assert_allclose(flat, isotropic, rtol=2 * 100 * EPS)  # a square of a sum of 100


@given(spectrum=spectra, n_units=rates, exponent=st.integers(-20, 20))
def test_the_risk_has_the_unit_of_the_variance(spectrum, n_units, exponent):
    rate, c = n_units / len(spectrum), 2.0**exponent
    risk = gaussian_compression_limit(rate, spectrum)
    scaled = gaussian_compression_limit(rate, c * np.array(spectrum))
    assert_allclose(scaled, c * risk, rtol=ROOTS)


@given(spectrum=spectra, n_units=rates)
def test_more_units_restore_better_and_none_restores_nothing(spectrum, n_units):
    d = len(spectrum)
    risk = gaussian_compression_limit(n_units / d, spectrum)
    more = gaussian_compression_limit((n_units + 1) / d, spectrum)
    assert 0 < more <= risk < np.mean(spectrum)


@given(spectrum=spectra, n_units=rates)
def test_no_bit_beats_the_rate_distortion_bound(spectrum, n_units):
    low, high = 0.0, max(spectrum)  # reverse water-filling by bisection
    for _ in range(100):
        level = (low + high) / 2
        left = np.minimum(level, spectrum)
        bits = 0.5 * np.sum(np.log2(np.array(spectrum) / left))
        low, high = (low, level) if bits < n_units else (level, high)
    risk = gaussian_compression_limit(n_units / len(spectrum), spectrum)
    assert risk > np.mean(np.minimum(low, spectrum))  # codes of one row never reach it


@given(spectrum=spectra)
def test_linear_units_reach_what_principal_components_reach(spectrum):
    d = len(spectrum)
    # kappa, which is 0, errs by twice QUAD for either integral, and multiplies the mean
    atol = (4 * QUAD + ROOTS) * np.mean(spectrum)
    for n_units in (1, d // 2 or 1, d):
        risk = gaussian_compression_limit(n_units / d, spectrum, "identity")
        left = np.sum(np.sort(spectrum)[: d - n_units]) / d
        assert_allclose(risk, left, rtol=0, atol=atol)


def test_a_function_stands_for_its_name():
    by_name = gaussian_compression_limit(0.7, activation="tanh")
    assert gaussian_compression_limit(0.7, activation=np.tanh) == by_name


@pytest.mark.skipif(not JIT, reason="too long without a compiler")
@pytest.mark.parametrize("rate", [0.5, 1.0, 2.0])
def test_a_sign_autoencoder_reaches_the_limit(rate):
    d, n_rows = 50, 60_000
    rng = np.random.default_rng(0)
    X, new = rng.standard_normal((2, n_rows, d), dtype=np.float32)
    coder = NeLUAutoencoder(
        int(rate * d), activation="sign", alpha=0.0, learn_alpha=False,
        unit_rows=True, noise_std=0.0, learning_rate=0.01, max_iter=10, random_state=0,
    ).fit(X)  # fmt: skip
    limit, best = (
        gaussian_compression_limit(rate),
        best_sign_decoder(coder.components_)[1],
    )
    # ten epochs leave 0.02, 0.13 and 0.66 % to be learnt, and float32 projects to 1e-6
    assert limit * (1 - 1e-6) <= best < 1.01 * limit
    risk, error = mean_and_error((coder.reconstruct(new) - new) ** 2)
    # a decoder that is fitted to as many rows errs by n_units / n_rows of the risk
    assert abs(risk - best) < 4 * error + coder.n_components / n_rows * best


def mean_and_error(squares):
    """Return the mean over independent rows, and its standard error."""
    rows = np.mean(squares, axis=1, dtype=np.float64)
    return rows.mean(), rows.std() / np.sqrt(len(rows))


BAD = [
    ({"rate": 0}, "rate must be a positive, finite number, got 0"),
    ({"rate": np.inf}, "got inf"),
    ({"rate": 1, "spectrum": []}, "spectrum"),
    ({"rate": 1, "spectrum": [1.0, -1.0]}, "at least 0"),
    ({"rate": 1, "spectrum": [1.0, np.nan]}, "finite"),
    ({"rate": 0.1, "spectrum": [1.0, 2.0]}, "at least one unit, got 0.2"),
    ({"rate": 1, "activation": "cube"}, "'sign', 'tanh'], got 'cube'"),
]


@pytest.mark.parametrize(("given", "told"), BAD)
def test_what_makes_no_sense_is_refused(given, told):
    with pytest.raises(ValueError, match=told):
        gaussian_compression_limit(**given)


@pytest.mark.parametrize("n_units", [3, 8, 20])
def test_the_best_decoder_is_that_of_least_squares(n_units):
    rng = np.random.default_rng(0)
    B, root = rng.standard_normal((n_units, 8)), rng.standard_normal((8, 8))
    X = rng.standard_normal((200_000, 8)) @ root.T
    signs = np.sign(X @ B.T)
    decoder, risk = best_sign_decoder(B, root @ root.T)
    fitted, *_ = np.linalg.lstsq(signs, X, rcond=None)
    scatter = np.diag(np.linalg.inv(signs.T @ signs))
    noise = np.mean((X - signs @ fitted) ** 2, axis=0)
    # 160 weights within 4 standard errors of least squares: one seed in a hundred fails
    assert (np.abs(decoder - fitted) < 4 * np.sqrt(np.outer(scatter, noise))).all()
    for one in (decoder, fitted):  # which fits its own rows better by 1e-4, less than:
        told, error = mean_and_error((X - signs @ one) ** 2)
        assert abs(told - risk) < 4 * error


@pytest.mark.parametrize("rate", [0.25, 0.5, 1.0])
def test_orthonormal_projections_reach_the_limit(rate):
    B = np.linalg.qr(np.random.default_rng(0).standard_normal((40, 40)))[0]
    risk = best_sign_decoder(B[: int(40 * rate)])[1]
    # the integrals of the limit; 40 inner products of rounding add less
    assert risk == pytest.approx(gaussian_compression_limit(rate), rel=4 * QUAD, abs=0)


@given(n_units=st.integers(1, 30), spectrum=spectra, seed=st.integers(0, 5))
def test_no_decoder_passes_the_limit(n_units, spectrum, seed):
    d = len(spectrum)
    B = np.random.default_rng(seed).standard_normal((n_units, d))
    risk = best_sign_decoder(B, np.diag(spectrum))[1]
    limit = gaussian_compression_limit(n_units / d, spectrum)
    assert risk >= limit * (1 - 4 * QUAD)  # one unit and a flat spectrum reach it


def test_lengths_of_projections_and_units_of_rows_change_no_sign():
    B = np.random.default_rng(0).standard_normal((6, 4))
    decoder, risk = best_sign_decoder(B)
    lengths = 2.0 ** np.arange(-500, 501, 200)[:, None]  # powers of two round nothing
    scaled, same = best_sign_decoder(B * lengths)
    assert_array_equal(scaled, decoder)
    assert same == risk
    louder, more = best_sign_decoder(B, 1024.0**2 * np.eye(4))
    assert_array_equal(louder, 1024 * decoder)
    assert more == 1024**2 * risk


@pytest.mark.parametrize(
    ("components", "covariance", "told"),
    [
        (np.zeros((2, 3)), None, "2 rows that see none"),
        (np.ones(3), None, r"got shape \(3,\)"),
        (np.full((2, 3), np.nan), None, "finite matrix"),
        (np.eye(3), np.eye(2), r"shape \(3, 3\), got shape \(2, 2\)"),
    ],
)
def test_a_decoder_of_nonsense_is_refused(components, covariance, told):
    with pytest.raises(ValueError, match=told):
        best_sign_decoder(components, covariance)
