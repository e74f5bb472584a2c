"""Norms and second moments about a mean, dense or sparse, near or far from zero."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.blockwise import linalg, spread
from sklearn_sqrtlasso.blockwise.linalg import column_means, unit_near
from sklearn_sqrtlasso.blockwise.spread import (
    mean_norm,
    root_mean_spread,
    second_moment,
    sparse_gram,
)
from tests.blockwise.test_linalg import EPS, each_container, far_rows, rows


@each_container
@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_moments_and_norms_about_a_mean_are_those_of_dense_rows(contain, scale):
    X, unit = rows(), unit_near(8 * scale)
    for mean in (np.zeros(4), np.array([0.5, -1, 0, 2])):
        with np.errstate(all="raise"):
            moment = second_moment(contain(scale * X), scale * mean, unit)
            norm = mean_norm(contain(scale * X), scale * mean, unit)
        x = (X - mean) * (scale / unit)
        assert_allclose(moment, x.T @ x, rtol=64 * EPS, atol=64 * EPS)
        assert_allclose(norm, np.linalg.norm(x, axis=1).mean(), rtol=64 * EPS)


@each_container
def test_moments_and_norms_far_from_zero_keep_the_spread(contain):
    X, spread, offset = far_rows()
    assert_array_equal(second_moment(contain(X), offset, 8.0), spread.T @ spread / 64)
    expected = np.linalg.norm(spread, axis=1).mean() / 8
    assert_allclose(mean_norm(contain(X), offset, 8.0), expected, rtol=1e-12)


def test_rows_at_their_mean_have_norm_one():
    assert mean_norm(np.full((3, 2), 5.0), np.full(2, 5.0), 1.0) == 1.0
    assert mean_norm(np.zeros((3, 2)), np.zeros(2), 1.0) == 1.0


@each_container
def test_the_spread_is_that_of_numpy(contain, monkeypatch):
    X = rows() + np.array([0.0, 2, 0, -1])
    expected = np.sqrt(np.mean((X - X.mean(axis=0)) ** 2))
    assert_allclose(root_mean_spread(contain(X)), expected, rtol=16 * EPS)
    monkeypatch.setattr(linalg, "BLOCK_ENTRIES", 8)
    assert_allclose(root_mean_spread(contain(X)), expected, rtol=16 * EPS)
    assert column_means(contain(X))[1] == X.mean(axis=0)[1]


@pytest.mark.parametrize("scale", [1e-100, 1.0, 1e100])
def test_products_of_sparse_rows_are_those_about_the_mean(scale):
    X, mean = scale * rows(), scale * np.array([0.5, 0, -1, 2])
    found = sparse_gram(sp.csr_array(X), mean)
    expected = (X - mean) @ (X - mean).T
    assert_allclose(found, expected, rtol=64 * EPS, atol=64 * EPS * expected.max())


def test_products_that_would_lose_digits_are_not_returned():
    X, _, offset = far_rows(20)
    assert sparse_gram(sp.csr_array(X), offset) is None


def test_rows_beyond_the_range_of_squares_are_no_products_and_have_no_spread():
    X = 1e200 * sp.csr_array(rows()[:1])
    mean = column_means(X)
    with np.errstate(all="raise"):
        assert sparse_gram(X, mean) is None
        assert_array_equal(second_moment(X, mean, 1.0), np.zeros((4, 4)))


def test_the_second_moment_of_sparse_rows_copies_few_of_them(monkeypatch):
    X = sp.random_array((20_000, 16), density=0.5, format="csr", rng=0)
    expected = X.toarray().T @ X.toarray()
    monkeypatch.setattr(spread, "PRODUCT_ENTRIES", 2**12)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        moment = second_moment(X, np.zeros(16), 1.0)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert_allclose(moment, expected, rtol=1e-10)
    assert peak <= X.data.nbytes / 4
