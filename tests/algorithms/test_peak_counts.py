"""Counts of large products, against all of the products."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_sqrtlasso.algorithms.peak_counts import count_above


@pytest.mark.parametrize("positive", [False, True])
def test_products_above_the_level_are_counted(positive):
    rng = np.random.default_rng(0)
    products = rng.standard_normal((6, 37)).astype(np.float32)
    places = rng.integers(0, 6, (20, 2))
    factors = rng.standard_normal((20, 2)).astype(np.float32)
    before = rng.integers(0, 9, 20)
    counts = before.copy()
    count_above(products, places, factors, np.float32(1.2), positive, counts)
    values = np.einsum("ik,ikj->ij", factors.astype(float), products[places])
    values = values if positive else np.abs(values)
    assert_array_equal(counts - before, np.sum(values > 1.2, axis=1))
    assert 0 < np.sum(counts - before) < values.size / 2
