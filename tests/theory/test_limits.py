"""The penalty from which on a code is zero."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from sklearn_sqrtlasso.theory.limits import alpha_max
from tests.algorithms.test_shrinkage import shrink

entries = st.sampled_from([0.0, 1.0, -1.0]) | st.floats(0.01, 99) | st.floats(-99, -1)
rows = hnp.arrays(
    np.float64, st.tuples(st.just(1), st.integers(2, 9)), elements=entries
)
rests = st.sampled_from([0.0, 1.0]) | st.floats(0.01, 99)


@given(rows, rests, st.booleans())
def test_from_alpha_max_on_codes_are_zero(U, outside, positive):
    alpha = alpha_max(U, [outside], positive=positive)[0]
    for above in (1 + 1e-12, 1.01, 10):  # a hair above, for the rounding of a square
        assert not shrink(U, above * alpha + 1e-12, outside, positive)[0].any()


@given(rows, rests, st.booleans())
def test_below_alpha_max_codes_are_not_zero(U, outside, positive):
    alpha = alpha_max(U, [outside], positive=positive)[0]
    if alpha > 0:
        assert shrink(U, (1 - 1e-9) * alpha, outside, positive)[0].any()


@given(rows, rests)
def test_alpha_max_is_a_pure_number(U, outside):
    ours = alpha_max(U, [outside])
    assert_array_equal(alpha_max(2.0**300 * U, [2.0**300 * outside]), ours)
    assert_array_equal(alpha_max(2.0**-300 * U, [2.0**-300 * outside]), ours)
    assert 0 <= ours[0] <= 1


@pytest.mark.parametrize("scale", [1e-310, 1e-150, 1e150, 1e307])
def test_alpha_max_is_finite_at_any_scale(scale):
    ours = alpha_max(np.array([[3.0, -4.0]]) * scale)
    assert abs(ours[0] - 0.8) < 1e-12


def test_nonnegative_codes_look_at_the_largest_entry():
    U = [[3.0, -4.0], [-3.0, -4.0]]
    assert_array_equal(alpha_max(U, positive=True), [0.6, 0.0])


def test_rows_of_zeros_have_alpha_max_zero():
    assert_array_equal(alpha_max(np.zeros((2, 3))), 0)
    assert_array_equal(alpha_max(np.zeros((2, 3)), outside=[0.0, 1.0]), 0)
