"""Scaling a row scales its code: exactly by powers of two, and at any magnitude."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.algorithms.shrinkage import shrink_groups
from tests import sized
from tests.algorithms.test_shrinkage import gap, gaussian_rows, shrink

# Powers of two are exact as long as no entry, and no threshold, becomes subnormal.
RANGES = {"f8": (400, 2.0**-30), "f4": (40, 2.0**-20)}
each_dtype = pytest.mark.parametrize("dtype", RANGES)


def entries(dtype):
    smallest = RANGES[dtype][1]
    large = st.floats(smallest, 1024, width=32) | st.floats(-1024, -smallest, width=32)
    return st.sampled_from([0.0, 1.0, -1.0, 2.0]) | large


@st.composite
def scaled_problems(draw):
    """Draw rows, energies out of reach, a penalty and a power of two, in one dtype."""
    dtype = draw(st.sampled_from(list(RANGES)))
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 9)))
    U = draw(hnp.arrays(dtype, shape, elements=entries(dtype)))
    outside = np.abs(draw(hnp.arrays(dtype, shape[0], elements=entries(dtype))))
    alpha = draw(st.sampled_from([0.5, 0.5**0.5, 1.0]) | st.floats(0.05, 1.5))
    largest = RANGES[dtype][0]
    return U, outside, alpha, 2.0 ** draw(st.integers(-largest, largest))


@given(scaled_problems(), st.booleans())
def test_a_power_of_two_scales_codes_and_levels_exactly(problem, positive):
    U, outside, alpha, c = problem
    c = U.dtype.type(c)
    for groups in (None, [0, len(U)]):
        Z, level = shrink(U, alpha, outside, positive, groups)
        by_c = shrink(c * U, alpha, c * outside, positive, groups)
        assert_array_equal(by_c[0], c * Z)
        assert_array_equal(by_c[1], c * level)


@pytest.mark.parametrize("exponent", [-400, -150, -1, 1, 150, 400])
def test_a_power_of_two_scales_long_runs_exactly(exponent):
    U, c = gaussian_rows(sized(500, 20), 64), 2.0**exponent
    Z, level = shrink(U, 0.25, groups=[0, len(U)])
    by_c = shrink(c * U, 0.25, groups=[0, len(U)])
    assert_array_equal(by_c[0], c * Z)
    assert_array_equal(by_c[1], c * level)


@pytest.mark.parametrize(
    ("dtype", "scale"), [("f8", 1e150), ("f8", 1e-150), ("f4", 1e18), ("f4", 1e-18)]
)
@pytest.mark.parametrize("groups", [None, [0, 7, 50]])
def test_huge_and_tiny_rows_are_coded_like_others(dtype, scale, groups):
    U = gaussian_rows(50, 20, dtype)
    scale = U.dtype.type(scale)
    Z, level = shrink(U, 0.3, groups=groups)
    by_scale = shrink(scale * U, 0.3, groups=groups)
    # scale * U is rounded, and the level passes that on, enlarged by 1 / (1 - k a^2)
    rounding = 100 * float(np.finfo(dtype).eps)
    assert_allclose(by_scale[0] / scale, Z, rtol=0, atol=rounding)
    assert_allclose(by_scale[1] / scale, level, rtol=rounding)


@pytest.mark.parametrize("scale", [1e150, 1e-150, 1e300, 1e-300])
def test_the_duality_gap_closes_at_any_scale(scale):
    for u in scale * gaussian_rows(20, 30):
        Z, _ = shrink(u, 0.25)
        assert gap(u[None], Z, 0.25) <= 1e-9


@pytest.mark.parametrize("scale", [1e-310, 1e-318, 5e-324])
def test_subnormal_rows_are_coded_to_their_last_bit(scale):
    U = np.rint(50 * gaussian_rows(20, 9)) * 5e-324 * np.rint(scale / 5e-324)
    Z, level = shrink(U, 0.4)
    exact = shrink(U * 2.0**600, 0.4)
    # thresholds and levels are rounded to a multiple of the smallest number
    assert_allclose(Z * 2.0**600, exact[0], rtol=0, atol=2.0**600 * 1e-323)
    assert_allclose(level * 2.0**600, exact[1], rtol=1e-15, atol=2.0**600 * 1e-323)


def test_subnormal_rows_in_single_precision_are_coded_to_their_last_bit():
    U = np.rint(50 * gaussian_rows(20, 9)).astype("f4") * np.float32(1e-44)
    exact = shrink(U.astype("f8"), 0.4)
    for ours, best in zip(shrink(U, 0.4), exact, strict=True):
        assert_allclose(ours, best, rtol=1e-6, atol=3e-45)


@each_dtype
def test_a_huge_entry_does_not_hide_the_level_of_tiny_ones(dtype):
    U = np.full((1, 100), 1e-9, dtype)
    U[0, 3] = 1e9
    Z, level = shrink(U, 0.5)
    assert np.flatnonzero(Z[0]).tolist() == [3]
    # 99 entries stay below: t^2 (1 - alpha^2) = 99e-18, to float32 precision
    assert_allclose(level, np.sqrt(99e-18 / 0.75), rtol=1e-6)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("alpha", [0.05, 0.5, 1.5])
def test_rows_that_are_not_finite_still_end(value, alpha, positive):
    for U in (np.full((3, 30), value), np.where(np.arange(30) == 4, value, 1.0)[None]):
        out, level, outside = np.empty_like(U), np.empty(len(U)), np.zeros(len(U))
        alphas = np.full(30, alpha)
        for groups in (np.arange(len(U) + 1), np.array([0, len(U)])):
            steps = np.empty((2, 4))
            shrink_groups(U, outside, alphas, positive, groups, steps, out, level)
        assert not np.any(np.isfinite(level))
        assert np.all(np.isnan(out[:, 4]))


SPANS = {"f8": 300, "f4": 30}  # decades of entries, either way


@st.composite
def uneven_groups(draw):
    """Draw a group with entries of any sizes, penalties, and what is outside."""
    dtype = draw(st.sampled_from(sorted(SPANS)))
    decades = st.integers(-SPANS[dtype], SPANS[dtype])
    m, d = draw(st.tuples(st.integers(1, 4), st.integers(1, 6)))

    def numbers(*shape):
        size = math.prod(shape)
        powers = draw(st.lists(decades, min_size=size, max_size=size))
        seed = draw(st.integers(0, 99))
        values = np.random.default_rng(seed).standard_normal(size)
        return (values * 10.0 ** np.array(powers)).reshape(shape).astype(dtype)

    outside = np.abs(numbers(m)) * draw(st.sampled_from([0, 1]))
    alpha = draw(st.sampled_from([0.2, 0.5, 0.7745460924061848, 1.0, 1.3]))
    return numbers(m, d), alpha, outside.astype(dtype), draw(st.booleans())


# Three rows, the second 1e-393 times the first: not all of them can be active.
UNEVEN = np.outer([1e105, 1e-288, 1e15], np.linspace(1, 3, 11))
TWO_SIZES = np.array([[1e299, 1e-20, 2e-20, 3e-20]])


@given(uneven_groups())
@example((UNEVEN, 0.3594, np.zeros(3), False))
@example((TWO_SIZES, 0.6, np.zeros(1), False))
@example((TWO_SIZES, 0.2, np.full(1, 1e-200), True))
def test_the_scale_is_a_root_whatever_the_sizes_of_entries(group):
    U, alpha, outside, positive = group
    m = len(U)
    Z, scale = shrink(U, alpha, outside, positive, groups=[0, m])
    wide = np.longdouble
    t, u, a = wide(scale[0]), U.astype(wide), wide(U.dtype.type(alpha))
    sizes = np.where(positive & (u < 0), 0, np.abs(u))
    on = sizes > a * t
    tail = np.sum(outside.astype(wide) ** 2) + np.sum(u**2, where=~on)
    slack = m - np.sum(on) * a**2
    eps = 64 * np.finfo(U.dtype).eps
    assert slack > -eps * m  # at smaller roots it is negative
    root = np.sqrt(tail / max(slack, eps * m))
    if slack > 1e-3:  # else the root is ill conditioned
        assert abs(t - root) <= 1e3 * eps * root + np.finfo(U.dtype).smallest_normal
    assert_array_equal(Z[(sizes < a * t * (1 - eps)) & (t > 0)], 0)
