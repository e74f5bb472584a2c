"""Products by few nonzeros, beside dense ones."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.blockwise.blocks import thread_map
from sklearn_sqrtlasso.blockwise.products import (
    FEW,
    DenseProducts,
    FewProducts,
    decode_rows,
    products_of,
)
from sklearn_sqrtlasso.blockwise.sparse_units import multiply_units


def few_codes(n_units=200, dtype=float):
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((30, n_units)).astype(dtype)
    Z[rng.random(Z.shape) > 0.5 / FEW] = 0
    Z[3] = 0
    return Z, rng.standard_normal((n_units, 7)).astype(dtype)


@pytest.mark.parametrize(("dtype", "tol"), [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_they_are_those_of_dense_rows(dtype, tol):
    Z, V = few_codes(dtype=dtype)
    G = np.random.default_rng(1).standard_normal((30, 7)).astype(dtype)
    few, dense = products_of(Z), DenseProducts(Z)
    assert isinstance(few, FewProducts)
    assert_allclose(few.times(V), dense.times(V), rtol=0, atol=tol)
    assert_allclose(few.moment(G), dense.moment(G), rtol=0, atol=tol)
    expected = dense.slopes(G, V) * (Z != 0)
    assert_allclose(few.slopes(G, V), expected, rtol=0, atol=tol)
    assert few.times(V).dtype == few.moment(G).dtype == dtype


def test_rows_of_many_nonzeros_are_dense():
    Z = few_codes()[0]
    Z[:10] = 1.0
    assert type(products_of(Z)) is DenseProducts
    assert type(products_of(few_codes()[0], sparse=False)) is DenseProducts
    assert type(products_of(np.empty((0, 5)))) is DenseProducts


def test_decoded_rows_exceed_numbers_only_if_they_must():
    Z, V = few_codes()
    assert_allclose(decode_rows(Z, V), Z @ V, atol=1e-13)
    assert_allclose(decode_rows(sp.csr_array(Z), V), Z @ V, atol=1e-13)
    Z[0, :2] = 1.0
    V[0], V[1] = 1e308, 1e308
    Z[1] = 0
    Z[1, :2] = 1.0, -1.0
    assert np.isinf(decode_rows(Z, V)[0]).all()
    assert_array_equal(decode_rows(Z, V)[1], 0)


IN_PARTS = [  # rows, units and features, and how many parts
    ((0, 3, 2), 1),
    ((1, 1, 1), 1),
    ((257, 257, 64), 2),
    ((9, 5, 4500), 2),
    ((4000, 100, 200), 8),
]


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(("shape", "n_parts"), IN_PARTS)
def test_a_product_in_parts_is_the_product(shape, n_parts, n_jobs):
    rng, parts = np.random.default_rng(0), []
    A, W = rng.standard_normal(shape[:2]), rng.standard_normal(shape[1:])
    out = np.full((len(A), W.shape[1]), np.nan)
    with thread_map(n_jobs) as pmap:

        def counted(function, items):
            parts.append(len(items))
            return pmap(function, items)

        multiply_units(A, W, out, counted)
    assert_allclose(out, A @ W, rtol=1e-12, atol=1e-12)
    assert parts == [n_parts]
