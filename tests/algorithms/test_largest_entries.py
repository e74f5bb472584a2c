"""The largest entries of a row, beside a sorted copy of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from sklearn_sqrtlasso.algorithms.largest_entries import keep_largest

ENTRIES = st.one_of(
    st.integers(-2, 2).map(float),
    st.floats(-1e300, 1e300),
    st.sampled_from([5e-324, -5e-324, 1.0, 1 + 2**-52, -np.finfo(float).max]),
)


def kept(U, k, positive):
    Z = np.empty_like(U)
    keep_largest(U, k, positive, Z)
    return Z


def of_sorted(u, k, positive):
    size = np.maximum(u, 0) if positive else np.abs(u)
    bound = np.sort(size)[max(len(u) - k, 0)]
    return np.where((size >= bound) & (size > 0), u, 0)


@given(arrays(float, st.tuples(st.just(2), st.integers(1, 40)), elements=ENTRIES),
       st.integers(1, 45), st.booleans())  # fmt: skip
def test_they_are_those_of_a_sorted_row(U, k, positive):
    for u, z in zip(U, kept(U, k, positive), strict=True):
        assert_array_equal(z, of_sorted(u, k, positive))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 7, 300])
def test_long_rows(dtype, k):
    u = np.random.default_rng(0).standard_normal((1, 1000)).astype(dtype)
    Z = kept(u, k, False)
    assert Z.dtype == dtype
    assert_array_equal(Z[0], of_sorted(u[0], k, False))
    assert np.count_nonzero(Z) == k
