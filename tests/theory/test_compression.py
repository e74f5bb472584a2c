"""The compression limit: published values, laws, and training that reaches it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_sqrtlasso import NeLUAutoencoder
from sklearn_sqrtlasso.theory.compression import gaussian_compression_limit
from tests import JIT

RATES = [0.25, 0.5, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0]
RISKS = [0.8408, 0.6817, 0.4907, 0.3634, 0.3223, 0.2756, 0.2220, 0.1599]

spectra = st.lists(st.floats(0.01, 100), min_size=2, max_size=30)
rates = st.integers(1, 60)


@pytest.mark.parametrize(("rate", "risk"), zip(RATES, RISKS, strict=True))
def test_published_values(rate, risk):
    assert_allclose(gaussian_compression_limit(rate), risk, atol=5e-5)


@pytest.mark.parametrize("rate", RATES)
def test_a_flat_spectrum_is_isotropic(rate):
    flat = gaussian_compression_limit(rate, np.full(100, 2.5))
    assert_allclose(flat, 2.5 * gaussian_compression_limit(rate), rtol=1e-12)


@given(spectrum=spectra, n_units=rates, exponent=st.integers(-20, 20))
def test_the_risk_has_the_unit_of_the_variance(spectrum, n_units, exponent):
    rate, c = n_units / len(spectrum), 2.0**exponent
    risk = gaussian_compression_limit(rate, spectrum)
    scaled = gaussian_compression_limit(rate, c * np.array(spectrum))
    assert_allclose(scaled, c * risk, rtol=1e-12)


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
    assert risk >= np.mean(np.minimum(low, spectrum)) * (1 - 1e-9)


@given(spectrum=spectra)
def test_linear_units_reach_what_principal_components_reach(spectrum):
    d = len(spectrum)
    for n_units in (1, d // 2 or 1, d):
        risk = gaussian_compression_limit(n_units / d, spectrum, "identity")
        left = np.sum(np.sort(spectrum)[: d - n_units]) / d
        assert_allclose(risk, left, rtol=1e-9, atol=1e-9 * max(spectrum))


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
        unit_rows=True, learning_rate=0.01, max_iter=10, random_state=0,
    ).fit(X)  # fmt: skip
    risk = np.mean((coder.reconstruct(new) - new) ** 2)
    limit = gaussian_compression_limit(rate)
    # 60 000 rows tell the risk to .1 %, and the least squares of the decoder adds .2 %
    assert 0.995 * limit < risk < 1.01 * limit


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
