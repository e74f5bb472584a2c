"""Sparse rows about a mean give the numbers of dense ones, to rounding."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.blockwise.sparse_rows import (
    FEW_DIGITS,
    SparseProjection,
    add_moments,
    dense_batches,
    differ_from,
    distances,
    nonzeros,
    squared_distances,
)
from tests.estimators.test_sparse_matrices import peak_of

EPS = np.finfo(np.float64).eps


def problem(seed, *, n_rows=9, n_features=7, n_components=3, centred=True, size=1.0):
    """Return rows of some zeros, one of them all zero, a mean, and orthonormal W."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, n_features)) * (
        rng.random((n_rows, n_features)) < 0.4
    )
    X[rng.integers(n_rows)] = 0
    mean = rng.standard_normal(n_features) if centred else None
    shape = (n_features, max(n_components, n_features))
    W = np.linalg.qr(rng.standard_normal(shape[::-1]))[0][:n_components]
    return size * X, mean if mean is None else size * mean, W


seeds = st.integers(0, 10**6)
each_size = pytest.mark.parametrize("size", [1e-160, 1e-90, 1.0, 1e90, 1e160])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("index", ["i4", "i8"])
def test_kernels_take_entries_of_one_type(dtype, index):
    x = sp.csr_array(np.eye(3, dtype=dtype))
    x.indices, x.indptr = x.indices.astype(index), x.indptr.astype(index)
    data, indices, indptr = nonzeros(x)
    assert (data.dtype, indices.dtype, indptr.dtype) == ("f8", np.intp, np.intp)
    x.data.flags.writeable = False
    assert nonzeros(x)[0].flags.writeable


@each_size
@pytest.mark.parametrize("centred", [False, True])
@given(seeds)
def test_distances_are_those_of_dense_rows(size, centred, seed):
    X, mean, _ = problem(seed, centred=centred, size=size)
    expected = np.linalg.norm((X - (0 if mean is None else mean)) / size, axis=1)
    found = distances(sp.csr_array(X), mean)
    assert_allclose(found / size, expected, rtol=16 * EPS / FEW_DIGITS**0.5, atol=0)


def test_a_row_near_a_far_mean_is_said_to_be_inaccurate():
    mean = np.full(5, 1e9)
    X = mean + np.array([[0, 1, 0, 0, 0], [1e9, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
    squares, lost = squared_distances(sp.csr_array(X), mean)
    assert_array_equal(lost, [True, False, True])
    assert_allclose(squares[1], 1e18)
    assert_allclose(distances(sp.csr_array(X), mean), [1, 1e9, 0])


@pytest.mark.parametrize("n_components", [1, 3, 7, 9])
@pytest.mark.parametrize("centred", [False, True])
@given(seeds)
def test_projections_are_those_of_dense_rows(n_components, centred, seed):
    X, mean, W = problem(seed, n_components=n_components, centred=centred)
    x = X - (0 if mean is None else mean)
    U, outside, lost = SparseProjection(W, mean).project(sp.csr_array(X))
    assert_allclose(U, x @ W.T, rtol=0, atol=64 * EPS)
    expected = np.linalg.norm(x - x @ W.T @ W, axis=1)
    if n_components >= 7:
        assert not outside.any()
        return
    assert_allclose(outside[~lost], expected[~lost], rtol=0, atol=1e-12)
    assert lost.sum() <= np.sum(expected <= 0.1 * np.linalg.norm(x, axis=1))


@pytest.mark.parametrize("centred", [False, True])
@given(seeds)
def test_rounded_orthonormal_rows_stand_for_those_nearby(centred, seed):
    X, mean, W = problem(seed, n_components=3, centred=centred)
    rounded, x = W.astype(np.float32), sp.csr_array(X)
    left, _, right = np.linalg.svd(rounded.astype(np.float64), full_matrices=False)
    U, outside, lost = SparseProjection(rounded, mean, True).project(x)
    nearby, norms, also = SparseProjection(left @ right, mean, True).project(x)
    assert_allclose(U, nearby, rtol=0, atol=1e-12)
    fine = ~(lost | also)
    assert_allclose(outside[fine], norms[fine], rtol=0, atol=1e-9)


def single_rows(seed, size):
    """Return rows of few and of many entries, one nearly in the span, and W."""
    rng = np.random.default_rng(seed)
    W = np.linalg.qr(rng.standard_normal((200, 5)))[0].T.astype(np.float32)
    few = sp.random_array((20, 200), density=0.04, rng=seed).toarray()
    few[3] = 0
    few[5] = np.roll(few[5], 1) * 1e-4
    X = np.vstack([few, rng.standard_normal((3, 200)), W[0], W[1] + 1e-3 * few[:1]])
    W[2], X[2] = 0, 0
    W[2, 7], X[2, 7], X[2, 9] = 1, 1, 1e-3  # few entries, and nearly in the span
    W[:2, 7] = W[3:, 7] = 0
    W = np.linalg.svd(W.astype(np.float64), full_matrices=False)
    return sp.csr_array((size * X).astype(np.float32)), W[0] @ W[2]


@pytest.mark.parametrize("size", [1e-30, 1e-3, 1.0, 1e15, 1e30])
@pytest.mark.parametrize("centred", [False, True])
@given(seeds)
def test_sums_in_single_precision_are_as_exact_as_their_rows(size, centred, seed):
    x, W = single_rows(seed, size)
    mean = None
    if centred:
        mean = (0.03 * size * np.cos(np.arange(200))).astype(np.float32)
    y = (x.toarray() - (0 if mean is None else mean)).astype(np.float64) / size
    U, outside, lost = SparseProjection(W.astype(np.float32), mean, True).project(x)
    whole = np.linalg.norm(y, axis=1)
    eps = np.finfo(np.float32).eps
    assert np.all(np.abs(U / size - y @ W.T) <= 16 * eps * whole[:, None])
    expected = np.linalg.norm(y - y @ W.T @ W, axis=1)
    sure = ~lost
    assert np.all(np.abs(outside / size - expected)[sure] <= 16 * eps * whole[sure])


@given(seeds)
def test_a_row_is_projected_in_single_precision_whatever_its_neighbours(seed):
    x, W = single_rows(seed, 1.0)
    projection = SparseProjection(W.astype(np.float32), None, True)
    together = projection.project(x)
    for row in range(x.shape[0]):
        alone = projection.project(x[row : row + 1])
        for one, all_rows in zip(alone, together, strict=True):
            assert_array_equal(one[0], all_rows[row])


def test_what_is_left_of_a_row_in_the_span_keeps_its_digits_in_single_precision():
    W = np.eye(3, 50, dtype=np.float32)
    X = np.zeros((2, 50), np.float32)
    X[:, 1], X[0, 9], X[1, 9] = 1.0, 0.01, 0.5
    outside = SparseProjection(W, None, True).project(sp.csr_array(X))[1]
    assert_allclose(outside, X[:, 9], rtol=1e-7)


def test_weights_in_single_precision_are_not_copied():
    rng, shape = np.random.default_rng(0), (16, 100_000)
    W = np.asfortranarray(rng.standard_normal(shape, dtype=np.float32))
    x = sp.random_array((20, shape[1]), density=0.001, format="csr", rng=0)

    def work():
        projection = SparseProjection(W, np.ones(shape[1], np.float32))
        projection.squared_errors(x, np.ones((20, 16)))

    work()  # kernels are compiled beforehand
    assert peak_of(work) < W.nbytes


def test_rows_in_the_span_are_said_to_be_inaccurate():
    _, _, W = problem(0)
    X = np.vstack([np.ones(3) @ W, np.ones(7), np.zeros(7)])
    lost = SparseProjection(W).project(sp.csr_array(X))[2]
    assert_array_equal(lost, [True, False, False])


@pytest.mark.parametrize("n_components", [1, 3, 9])
@pytest.mark.parametrize("centred", [False, True])
@given(seeds)
def test_errors_of_decoded_rows_are_those_of_dense_rows(n_components, centred, seed):
    X, mean, W = problem(seed, n_components=n_components, centred=centred)
    W = W * np.random.default_rng(seed).uniform(0.5, 2, (len(W), 1))  # any weights
    Z = np.random.default_rng(seed + 1).standard_normal((9, len(W)))
    residual = X - (0 if mean is None else mean) - Z @ W
    expected = np.sum(residual**2, axis=1)
    found, lost = SparseProjection(W, mean).squared_errors(sp.csr_array(X), Z)
    assert_allclose(found[~lost], expected[~lost], rtol=1e-8, atol=1e-12)
    assert lost.sum() <= np.sum(expected <= 0.01)


def test_exact_codes_are_said_to_have_inaccurate_errors():
    X, mean, W = problem(0, n_components=7)
    Z = (X - mean) @ W.T
    assert SparseProjection(W, mean).squared_errors(sp.csr_array(X), Z)[1].all()


@pytest.mark.parametrize("size", [1e8, 1e200])
@given(seeds)
def test_errors_are_accurate_where_decoded_atoms_cancel(size, seed):
    X, _, W = problem(seed, n_components=3, centred=False)
    W, Z = np.vstack([W, W[0]]), np.random.default_rng(seed).standard_normal((9, 4))
    Z[::2, 0], Z[::2, 3] = size, -size
    lost = SparseProjection(W, None).squared_errors(sp.csr_array(X), Z)[1]
    assert lost[::2].all()
    assert not lost[1::2].all()


@given(seeds)
def test_moments_are_added(seed):
    X, _, _ = problem(seed)
    Z, out = X[:, :2].astype("f4"), np.ones((7, 2))
    add_moments(sp.csr_array(X), Z, out)
    assert_allclose(out, 1 + X.T @ Z.astype("f8"), rtol=0, atol=64 * EPS)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_moments_are_those_of_columns_in_their_units(dtype):
    X, _, _ = problem(0)
    x, units = sp.csr_array(X.astype(dtype)), 2.0 ** np.arange(-3, 4)
    Z, out, before = X[:, :2], np.ones((7, 2)), x.data.copy()
    add_moments(x, Z, out, units)
    assert_allclose(out, 1 + (x.toarray() / units).T @ Z, rtol=0, atol=64 * EPS)
    assert_array_equal(x.data, before)


def test_rows_differ_from_a_mean_where_any_entry_does():
    mean = np.array([0.0, 2, 0, -1])
    X = np.array([mean, [0, 2, 0, 0], [0, 2, 1, -1], [0, 0, 0, 0], [0, 2, 0, -2]])
    stored = sp.csr_array(X)
    assert_array_equal(differ_from(stored, mean), [False, True, True, True, True])
    assert_array_equal(
        differ_from(stored, np.zeros(4)), [True, True, True, False, True]
    )


def test_few_rows_are_made_dense_at_a_time():
    parts = list(dense_batches(np.arange(5), 2**17))
    assert [list(part) for part in parts] == [[0, 1], [2, 3], [4]]
    assert [list(part) for part in dense_batches(np.arange(2), 2**30)] == [[0], [1]]
