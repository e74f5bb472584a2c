"""Products of sparse rows, against those of scipy and of dense ones."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.algorithms.sparse_products import (
    CACHED_BYTES,
    add_moment_product,
    add_sparse_gram,
    add_sparse_products,
    add_to_columns,
    count_nonzeros,
    gather_columns,
    gather_nonzeros,
    multiply_at_entries,
    multiply_sparse_rows,
    sum_squares_about,
)

SHAPES = [(5, 7), (1, 3), (6, 1)]


def stored(seed, shape):
    """Return sparse rows, some of them empty, and their arrays for a kernel."""
    rng = np.random.default_rng(seed)
    X = sp.csr_array(rng.standard_normal(shape) * (rng.random(shape) < 0.4))
    return X, (X.data, X.indices.astype(np.intp), X.indptr.astype(np.intp))


@pytest.mark.parametrize("shape", SHAPES)
@given(st.integers(0, 10**6))
def test_nonzeros_of_dense_rows_are_gathered(shape, seed):
    X, (data, indices, indptr) = stored(seed, shape)
    Z, bounds = X.toarray(), np.zeros_like(indptr)
    assert count_nonzeros(Z, np.count_nonzero(Z), bounds[1:])
    np.cumsum(bounds, out=bounds)
    assert_array_equal(bounds, indptr)
    found = np.empty_like(data), np.empty_like(indices)
    gather_nonzeros(Z, bounds, *found)
    assert_array_equal(found[0], data)
    assert_array_equal(found[1], indices)


def test_rows_are_counted_while_there_are_few_nonzeros():
    Z, counts = np.array([[1.0, 0.0], [2.0, 3.0], [4.0, 0.0]]), np.full(3, -1)
    assert not count_nonzeros(Z, 2, counts)
    assert_array_equal(counts, [1, 2, -1])


@pytest.mark.parametrize("shape", SHAPES)
@given(st.integers(0, 10**6))
def test_a_product_is_known_at_the_entries(shape, seed):
    X, (data, indices, indptr) = stored(seed, shape)
    rng, out = np.random.default_rng(seed), np.full_like(data, np.nan)
    A, B = rng.standard_normal((shape[0], 4)), rng.standard_normal((shape[1], 4))
    multiply_at_entries(indices, indptr, A, B, out)
    assert_allclose(out, (A @ B.T)[X.nonzero()], rtol=0, atol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
@given(st.integers(0, 10**6))
def test_rows_are_multiplied(shape, seed):
    X, arrays = stored(seed, shape)
    V = np.random.default_rng(seed).standard_normal((shape[1], 4))
    out = np.full((shape[0], 4), np.nan)
    multiply_sparse_rows(*arrays, V, out)
    assert_allclose(out, X.toarray() @ V, rtol=0, atol=1e-13)
    assert_allclose(out, X @ V, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("shape", SHAPES)
@given(st.integers(0, 10**6))
def test_the_moment_of_rows_is_multiplied(shape, index, dtype, seed):
    X, (data, indices, indptr) = stored(seed, shape)
    v = np.random.default_rng(seed).standard_normal(shape[1])
    X.data = data = data.astype(dtype)
    out, x = np.ones(shape[1]), X.toarray().astype("f8")
    arrays = data, indices.astype(index), indptr.astype(index)
    total = add_moment_product(*arrays, v, 0.3, out)
    assert_allclose(out, 1 + x.T @ (x @ v - 0.3), rtol=0, atol=1e-13)
    assert_allclose(total, np.sum(x @ v - 0.3), rtol=0, atol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
@given(st.integers(0, 10**6))
def test_squares_about_a_mean_are_summed(shape, seed):
    X, arrays = stored(seed, shape)
    mean = np.random.default_rng(seed).standard_normal(shape[1])
    at_mean, at_entries = np.full((2, shape[0]), np.nan)
    sum_squares_about(*arrays, mean, at_mean, at_entries)
    present = X.toarray() != 0
    assert_allclose(at_mean, present @ mean**2, rtol=1e-12, atol=1e-14)
    expected = np.where(present, (X.toarray() - mean) ** 2, 0).sum(axis=1)
    assert_allclose(at_entries, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", SHAPES)
@given(st.integers(0, 10**6))
def test_products_with_codes_are_added(shape, seed):
    X, arrays = stored(seed, shape)
    Z = np.random.default_rng(seed).standard_normal((shape[0], 4))
    out = np.ones((shape[1], 4))
    add_sparse_products(*arrays, Z, out)
    assert_allclose(out, 1 + X.toarray().T @ Z, rtol=0, atol=1e-13)
    add_sparse_products(*arrays, Z, out)
    assert_allclose(out, 1 + 2 * (X.T @ Z), rtol=0, atol=1e-13)


@pytest.mark.parametrize("order", ["increasing", "any"])
def test_matrices_larger_than_the_cache_are_multiplied(order):
    _, (data, indices, indptr) = stored(0, (6, 300))
    rng = np.random.default_rng(0)
    if order == "any":
        for first, last in pairwise(indptr):
            places = first + rng.permutation(last - first)
            data[first:last], indices[first:last] = data[places], indices[places]
    rows = np.repeat(np.arange(6), np.diff(indptr))
    V, Z = rng.standard_normal((300, 256)), rng.standard_normal((6, 256))
    assert V.nbytes > 2 * CACHED_BYTES
    out, by_rows, entries = np.empty_like(Z), np.zeros_like(V), np.empty_like(data)
    multiply_sparse_rows(data, indices, indptr, V, out)
    add_sparse_products(data, indices, indptr, Z, by_rows)
    multiply_at_entries(indices, indptr, Z, V, entries)
    dense = np.zeros((6, 300))
    dense[rows, indices] = data
    assert_allclose(out, dense @ V, rtol=0, atol=1e-12)
    assert_allclose(by_rows, dense.T @ Z, rtol=0, atol=1e-12)
    assert_allclose(entries, (Z @ V.T)[rows, indices], rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@given(st.integers(0, 10**6))
def test_products_with_themselves_are_added(shape, seed):
    X, arrays = stored(seed, shape)
    out = np.ones((shape[1], shape[1]))
    add_sparse_gram(*arrays, out)
    assert_allclose(out, 1 + (X.T @ X).toarray(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("columns", [[], [2], [0, 3, 6]])
def test_columns_are_gathered_and_added_to(columns):
    rng, columns = np.random.default_rng(0), np.array(columns, np.intp)
    W, out = rng.standard_normal((4, 7)), np.full((len(columns), 4), np.nan)
    gather_columns(W, columns, out)
    assert_array_equal(out, W[:, columns].T)
    doubled = W.copy()
    doubled[:, columns] *= 2
    add_to_columns(out, columns, W)
    assert_array_equal(W, doubled)
