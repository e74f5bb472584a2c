"""Numbers of which most are equal are read like an array of all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_sqrtlasso.regression.mostly_equal import mostly_equal

numbers = st.lists(st.integers(-4, 4), min_size=1, max_size=30).map(np.array)
seeds = st.integers(0, 10**6)


def some_of(size, seed):
    """Return slices and indices, repeated and in any order, also none at all."""
    rng = np.random.default_rng(seed)
    first, last = np.sort(rng.integers(0, size + 1, 2))
    return slice(None), slice(first, last), rng.integers(0, size, rng.integers(0, 9))


@given(numbers, seeds)
def test_they_are_read_like_an_array(values, seed):
    held = mostly_equal(values)
    assert len(held.others) == len(values) - max(np.bincount(values + 4))
    assert (held.min(), held.max()) == (values.min(), values.max())
    for columns in some_of(len(values), seed):
        assert_array_equal(held[columns], values[columns])
        assert_array_equal(held.map(np.exp2)[columns], np.exp2(values[columns]))


@given(numbers, seeds)
def test_some_are_replaced(values, seed):
    rng, held = np.random.default_rng(seed), mostly_equal(values)
    columns = np.flatnonzero(rng.random(len(values)) < 0.3)
    new, expected = rng.integers(-9, 9, len(columns)), values.copy()
    expected[columns] = new
    assert_array_equal(held.replaced(columns, new)[:], expected)
    assert_array_equal(held[:], values)


@given(numbers, seeds)
def test_numbers_are_scaled_in_place(values, seed):
    held, rng = mostly_equal(values).map(np.float64), np.random.default_rng(seed)
    for columns in some_of(len(values), seed):
        expected = values[columns].astype(float)
        c = rng.standard_normal(len(expected))
        expected *= c
        held.scale(c, columns)
        assert_array_equal(c, expected)


@pytest.mark.parametrize("size", [1.0, np.inf, -np.inf])
def test_what_is_scaled_by_zero_is_zero(size):
    scale = mostly_equal(np.array([2, 2, 2])).replaced(np.array([1]), 0)
    c = np.array([1.0, size, 3.0])
    scale.scale(c, slice(0, 3))
    assert_array_equal(c, [2.0, 0.0, 6.0])
