"""Functions of an entry: their slopes, inverses, widths, and what their rows claim."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.models.pointwise import BITS, POINTWISE, helu, smoothstep
from tests import oracles

EPS = np.finfo(np.float64).eps
STEP = 1e-6  # of central differences, whose own error is of order STEP^2
ALL = {**POINTWISE, "smoothstep": smoothstep(0.7), "bits": BITS}
SLOPED = [name for name, row in ALL.items() if not row.surrogate]
INVERTIBLE = [name for name, row in ALL.items() if row.inverse is not None]
WIDE = [name for name, row in ALL.items() if row.with_width is not None]

each = pytest.mark.parametrize("name", ALL)


def inputs(dtype="f8"):
    U, b = np.random.default_rng(0).standard_normal((2, 8, 5)).astype(dtype)
    return U, b[0]


@pytest.mark.parametrize("name", SLOPED)
def test_the_pull_back_is_the_gradient(name):
    (U, b), row = inputs(), ALL[name]
    G = np.random.default_rng(1).standard_normal(U.shape)
    Z, memory = row.value(U, b)
    H, by_b = row.pull_back(Z, memory, G)
    rounding = {"rtol": 0, "atol": EPS * np.abs(G * Z).sum() / STEP}  # of two losses
    by_value = oracles.gradient(lambda V: np.sum(G * row.value(V, b)[0]), U, STEP)
    by_bias = oracles.gradient(lambda c: np.sum(G * row.value(U, c)[0]), b, STEP)
    assert_allclose(H, by_value, **rounding)
    assert_allclose(by_b, by_bias, **rounding)


@each
def test_the_bias_gathers_the_gradients_of_its_unit(name):
    (U, b), row = inputs(), ALL[name]
    H, by_b = row.pull_back(*row.value(U, b), U)
    assert_allclose(by_b, H.sum(axis=0), rtol=0, atol=8 * EPS * np.abs(H).sum())


@each
def test_input_and_bias_are_added_and_left_as_they_are(name):
    (U, b), row = inputs(), ALL[name]
    before = U.copy(), b.copy()
    Z = row.value(U, b)[0]
    assert not np.shares_memory(Z, U)
    assert_array_equal(Z, row.value(U + b, 0 * b)[0])
    assert_array_equal(U, before[0])
    assert_array_equal(b, before[1])


@pytest.mark.parametrize("name", INVERTIBLE)
def test_the_inverse_inverts(name):
    v = np.linspace(-5, 5, 41)[:, None]
    z = ALL[name].value(v, np.zeros(1))[0]
    # the sigmoid rounds to EPS of numbers whose logit is as steep as e^5
    assert_allclose(ALL[name].inverse(z), v, rtol=0, atol=4 * EPS * np.exp(5))


@each
def test_single_precision_stays(name):
    (U, b), row = inputs("f4"), ALL[name]
    Z, memory = row.value(U, b)
    H, by_b = row.pull_back(Z, memory, np.ones_like(U))
    assert Z.dtype == H.dtype == by_b.dtype == np.float32


@each
def test_a_step_is_what_does_not_change_between_jumps(name):
    (U, b), row = inputs(), ALL[name]
    assert np.abs(U + b).min() > STEP  # no jump is met
    moved = row.value(U + STEP, b)[0] - row.value(U, b)[0]
    assert row.is_step == (not moved.any())
    assert row.surrogate or not row.is_step


@each
def test_what_scales_is_homogeneous_and_the_rest_are_pure_numbers(name):
    (U, b), row = inputs(), ALL[name]
    Z, by_8 = row.value(U, b)[0], row.value(8 * U, 8 * b)[0]
    assert row.scales == np.array_equal(by_8, 8 * Z)
    assert row.scales or np.abs(row.value(1e3 * U, b)[0]).max() <= 1


@each
def test_a_width_has_a_default(name):
    assert (ALL[name].with_width is None) == (ALL[name].default_width is None)


@pytest.mark.parametrize("name", WIDE)
def test_the_default_width_is_that_of_the_row(name):
    U, b = inputs()
    row, again = ALL[name], ALL[name].with_width(ALL[name].default_width)
    other = ALL[name].with_width(2 * ALL[name].default_width)
    U[0] = -1.5 * row.default_width - b
    Z, memory = row.value(U, b)
    H = [one.pull_back(Z, memory, np.ones_like(U))[0] for one in (row, again, other)]
    assert_array_equal(again.value(U, b)[0], Z)
    assert_array_equal(H[0], H[1])
    assert (H[0] != H[2]).any()
    assert other._replace(value=None, pull_back=None, inverse=None) == (
        row._replace(value=None, pull_back=None, inverse=None)
    )


def test_helu_of_no_width_learns_as_relu():
    U, b = inputs()
    H = [row.pull_back(*row.value(U, b), U)[0] for row in (helu(0.0), ALL["relu"])]
    assert_array_equal(*H)


def test_a_smooth_step_rises_from_0_to_1_within_its_width():
    v = np.array([[-9.0, 0.0, 0.35, 0.7, 9.0]])
    assert_array_equal(smoothstep(0.7).value(v, np.zeros(5))[0], [[0, 0, 0.5, 1, 1]])


def test_a_bit_is_where_the_sigmoid_passes_one_half():
    U, b = inputs()
    assert_array_equal(BITS.value(U, b)[0], ALL["sigmoid"].value(U, b)[0] >= 0.5)
