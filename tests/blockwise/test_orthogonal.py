"""What is made of a matrix in its place is what another one would hold."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.blockwise.orthogonal import (
    add_in_place,
    column_batches,
    orthonormal_rows,
    products_of_rows,
    rotated,
    solve_lower,
    subtract_outer,
)
from tests import sized

SHAPE = 8, sized(50_000, 500)
each_order = pytest.mark.parametrize("order", ["C", "F"])


def make_rows(order, seed=0, shape=SHAPE):
    return np.asarray(np.random.default_rng(seed).standard_normal(shape), order=order)


@each_order
@pytest.mark.parametrize("alike", [0.0, 0.9, 0.999])
def test_orthonormal_rows_times_the_factor_are_the_rows(alike, order):
    A = make_rows(order)
    A *= np.geomspace(1, 1e-2, len(A))[:, None]
    A[1:] = (1 - alike) * A[1:] + alike * A[0]
    Q = A.copy(order="K")
    factor = orthonormal_rows(Q)
    assert_allclose(factor @ Q, A, rtol=0, atol=1e-13 * np.abs(A).max())
    assert_allclose(Q @ Q.T, np.eye(len(A)), rtol=0, atol=1e-13)
    assert_array_equal(factor, np.tril(factor))
    assert (factor.diagonal() > 0).all()


@each_order
@pytest.mark.parametrize("change", [0.0, 1e-9, np.inf])
def test_rows_that_products_do_not_tell_apart_stay_as_they_are(change, order):
    A = make_rows(order)
    A[3] = A[2]
    A[3, 0] += change
    given = A.copy()
    assert orthonormal_rows(A) is None
    assert_array_equal(A, given)


@each_order
def test_a_matrix_is_changed_in_its_place(order):
    A, B = make_rows(order), make_rows("F", seed=1)
    T, right = np.random.default_rng(2).standard_normal((8, 8)), B[0].copy()
    expected = T @ A
    assert rotated(T, A) is A
    assert_allclose(A, expected, rtol=1e-12, atol=1e-12)
    add_in_place(A, 0.3, B)
    assert_allclose(A, expected + 0.3 * B, rtol=1e-12, atol=1e-12)
    subtract_outer(A, T[0], right)
    expected = expected + 0.3 * B - np.outer(T[0], right)
    assert_allclose(A, expected, rtol=1e-12, atol=1e-12)
    L = np.tril(T) + 4 * np.eye(8)
    solve_lower(L, A)
    assert_allclose(L @ A, expected, rtol=1e-12, atol=1e-12)


@each_order
def test_no_matrix_of_its_size_is_made(order):
    shape = 8, 200_000
    A, B, T = make_rows(order, shape=shape), make_rows("C", 1, shape), np.eye(8)
    tracemalloc.start()
    try:
        orthonormal_rows(A)
        rotated(T, A)
        add_in_place(A, 0.3, B)
        subtract_outer(A, T[0], B[0])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < A.nbytes / 3


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (200_000, 3)])
def test_batches_of_columns_are_all_columns(shape):
    A = np.broadcast_to(0.0, shape)
    columns = np.concatenate([np.arange(shape[1])[of] for of in column_batches(A)])
    assert_array_equal(columns, np.arange(shape[1]))


@each_order
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_of_rows_are_those_in_double_precision(dtype, order):
    A = make_rows(order).astype(dtype, order="K")
    whole = A.astype(np.float64)
    assert_allclose(products_of_rows(A), whole @ whole.T, rtol=1e-12, atol=1e-9)
