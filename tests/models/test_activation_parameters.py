"""Parameters are learnt as real numbers, and mapped to allowed values and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.models.activation_parameters import OFFSET, PARAMETERS, PENALTY

EPS = np.finfo(np.float64).eps
STEP = 1e-6  # of central differences, whose own error is of order STEP^2
ALL = {"penalty": PENALTY, "offset": OFFSET, **PARAMETERS}

each = pytest.mark.parametrize("name", ALL)
raws = st.floats(-15, 15)


@each
@given(raw=raws)
def test_the_way_to_raw_numbers_is_the_inverse(name, raw):
    parameter = ALL[name]
    value = parameter.from_raw(raw)
    # a value is rounded by EPS, and its inverse is as steep as 1 / slope
    steep = max(1.0, abs(value), 1.0 / parameter.slope(value))
    assert_allclose(parameter.to_raw(value), raw, rtol=4 * EPS, atol=4 * EPS * steep)


@each
@given(raw=raws)
def test_the_slope_is_the_derivative(name, raw):
    parameter = ALL[name]
    value = parameter.from_raw(raw)
    around = parameter.from_raw(raw + STEP) - parameter.from_raw(raw - STEP)
    # differences of rounded values, of which the raw ones are rounded too
    atol = 4 * EPS * max(1.0, abs(value), abs(raw * parameter.slope(value))) / STEP
    assert_allclose(parameter.slope(value), around / (2 * STEP), rtol=1e-9, atol=atol)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@given(raw=st.floats(-1e6, 1e6), value=st.floats(0, 1))
def test_a_penalty_stays_between_0_and_1(dtype, raw, value):
    penalties = PENALTY.from_raw(np.array([raw], dtype))
    assert penalties.dtype == dtype
    assert 0 < penalties[0] < 1
    assert np.isfinite(PENALTY.to_raw(np.array([value], dtype))).all()


@given(raw=raws)
def test_a_factor_and_a_step_stay_positive(raw):
    assert PARAMETERS["kappa"].from_raw(raw) > 0
    assert PARAMETERS["step"].from_raw(raw) > 0


@given(raws, raws)
def test_larger_raw_numbers_are_larger_values(one, other):
    for parameter in ALL.values():
        low, high = (parameter.from_raw(raw) for raw in sorted((one, other)))
        assert low <= high
        assert low < high or abs(one - other) < 1e-6


@each
def test_the_first_value_is_an_allowed_one(name):
    start = ALL[name].start
    if start is not None:
        back = ALL[name].from_raw(ALL[name].to_raw(start))
        assert_allclose(back, start, rtol=2 * EPS)


@each
def test_single_precision_stays(name):
    raw = np.linspace(-3, 3, 7, dtype=np.float32)
    value = ALL[name].from_raw(raw)
    assert value.dtype == np.float32
    assert ALL[name].to_raw(value).dtype == np.float32
    assert (value * ALL[name].slope(value)).dtype == np.float32
