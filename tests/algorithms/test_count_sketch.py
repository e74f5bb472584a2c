"""Signed sums of rows, against a product with a matrix of signs."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.algorithms.count_sketch import add_signed_rows


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_are_added_to_their_buckets(dtype):
    rng = np.random.default_rng(0)
    X, places = rng.standard_normal((30, 7)).astype(dtype), rng.integers(0, 4, 30)
    roots, scale, centers = (rng.standard_normal(size) for size in (30, 7, 7))
    sketch, squares = np.zeros((4, 7), dtype=np.float32), np.zeros(7)
    add_signed_rows(X, roots, places, scale, centers, sketch, squares)
    rows, adder = roots[:, None] * (scale * X - centers), np.zeros((4, 30))
    adder[places, np.arange(30)] = 1.0
    assert_allclose(sketch, adder @ rows, rtol=0, atol=1e-5)
    assert_allclose(squares, (rows**2).sum(axis=0), rtol=1e-12)
