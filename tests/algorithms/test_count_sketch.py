"""Signed sums of rows, against a product with a matrix of signs."""

import numpy as np
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.algorithms.count_sketch import add_signed_rows


def test_rows_are_added_to_their_buckets():
    rng = np.random.default_rng(0)
    X, places = rng.standard_normal((30, 7)), rng.integers(0, 4, 30)
    signs, adder = rng.choice(np.array([-1.0, 1.0]), 30), np.zeros((4, 30))
    adder[places, np.arange(30)] = signs
    sketch, squares = np.zeros((4, 7), dtype=np.float32), np.zeros(7)
    add_signed_rows(X, places, signs, sketch, squares)
    assert_allclose(sketch, adder @ X, rtol=0, atol=1e-5)
    assert_allclose(squares, (X**2).sum(axis=0), rtol=1e-12)
