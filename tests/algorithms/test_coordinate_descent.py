"""Coordinate descent on products or sparse columns, against plain sweeps on data."""

import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.algorithms.coordinate_descent import sweep_columns, sweep_gram
from tests import oracles, sized

shapes = st.tuples(st.integers(2, 9), st.integers(1, 9), st.integers(0, 10**6))
fractions, floors = st.floats(0.05, 1.5), st.sampled_from([0.0, 0.2, 1.0])


def problem(shape, fraction):
    """Return columns, a target of unit norm and a penalty."""
    n, p, seed = shape
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, p)), rng.standard_normal(n)
    y /= np.linalg.norm(y)
    return X, y, fraction * np.abs(X.T @ y).max()


def swept(X, y, w, alpha, floor=0.0, positive=False, max_sweeps=1, tol=0.0):
    """Return coefficients, correlations, the energy left, and whether sweeps ended."""
    w, r = w.copy(), y - X @ w
    c, G = X.T @ r, X.T @ X
    each = np.full(len(w), alpha)
    given = G, w, c, r @ r, floor, each, positive, tol, max_sweeps
    square, ended = sweep_gram(*given)
    return w, c, square, ended


def objective(X, y, alpha, w):
    return oracles.coding_objective(y, w, X.T, alpha, root=True)


@given(shapes, fractions, floors, st.booleans())
def test_a_sweep_is_that_of_the_twin(shape, fraction, floor, positive):
    X, y, alpha = problem(shape, fraction)
    w = np.random.default_rng(0).standard_normal(X.shape[1])
    w = np.maximum(w, 0) if positive else w
    ours = swept(X, y, w, alpha, floor, positive)[0]
    # the energy left is updated: its rounding, of 1e-16 of the largest, has a root
    unit = np.abs(w).sum() + 1 / np.linalg.norm(X, axis=0).min()
    theirs = oracles.sweep(X, y, w, alpha, floor, positive)
    assert_allclose(ours, theirs, atol=1e-7 * unit * max(1, fraction))


@given(shapes, fractions, st.booleans())
def test_sweeps_never_raise_the_objective(shape, fraction, positive):
    X, y, alpha = problem(shape, fraction)
    w = np.zeros(X.shape[1])
    for _ in range(sized(10, 5)):
        before = objective(X, y, alpha, w)
        w, c, square, _ = swept(X, y, w, alpha, 0.0, positive)
        assert objective(X, y, alpha, w) <= before * (1 + 1e-9)
        assert_allclose(c, X.T @ (y - X @ w), atol=1e-9 * np.abs(X.T @ y).max())
        assert_allclose(square, np.sum((y - X @ w) ** 2), atol=1e-9)


@given(shapes, fractions, st.booleans())
def test_correlations_and_energy_stay_exact_as_sweeps_go_on(shape, fraction, positive):
    X, y, alpha = problem(shape, fraction)
    nothing = np.zeros(X.shape[1])
    w, c, square, _ = swept(X, y, nothing, alpha, 0.0, positive, sized(10, 5))
    assert_allclose(c, X.T @ (y - X @ w), atol=1e-9 * np.abs(X.T @ y).max())
    assert_allclose(square, np.sum((y - X @ w) ** 2), atol=1e-9)


@given(st.integers(0, 10**6), st.floats(0.2, 0.9), st.booleans())
def test_where_sweeps_end_the_optimality_conditions_hold(seed, fraction, positive):
    X, y, alpha = problem((12, 5, seed), fraction)
    nothing = np.zeros(X.shape[1])
    w = swept(X, y, nothing, alpha, 0.0, positive, 1000, 1e-10)[0]
    mu = alpha * np.linalg.norm(y - X @ w)
    # steps of 1e-10 are left, of as many columns and in as many directions
    assert oracles.lasso_violation(y, w, X.T, mu, positive) <= 1e-7 * np.abs(X).max()


def test_a_column_of_zeros_stays_out():
    X, y, alpha = problem((6, 4, 0), 0.3)
    X[:, 1] = 0
    w = swept(X, y, np.zeros(4), alpha, max_sweeps=10)[0]
    assert w[1] == 0
    assert w.any()


def test_a_penalty_above_all_correlations_changes_nothing():
    X, y, alpha = problem((6, 4, 0), 1.01)
    w, c, square, _ = swept(X, y, np.zeros(4), alpha, max_sweeps=10)
    assert not w.any()
    assert_array_equal(c, X.T @ y)
    assert_allclose(square, 1)


def test_a_large_tolerance_ends_after_one_sweep():
    X, y, alpha = problem((6, 4, 0), 0.1)
    one = swept(X, y, np.zeros(4), alpha)[0]
    many, *_, ended = swept(X, y, np.zeros(4), alpha, max_sweeps=10)
    assert not ended
    early, *_, ended = swept(X, y, np.zeros(4), alpha, 0.0, False, 10, 1e9)
    assert ended
    assert_array_equal(early, one)
    assert not np.array_equal(one, many)


def sparse_problem(shape, fraction, centred):
    """Return sparse columns, their means along a vector, what they stand for, and y."""
    n, p, seed = shape
    rng = np.random.default_rng(seed)
    S = sp.random_array((n, p), density=0.5, format="csc", rng=rng)
    v = rng.uniform(0.1, 1, n)
    v *= centred / np.linalg.norm(v)
    means = v @ S
    X, y = S.toarray() - np.outer(v, means), rng.standard_normal(n)
    y -= v * (v @ y)
    y /= np.linalg.norm(y)
    return S, means, X, y, fraction * np.abs(X.T @ y).max()


@given(shapes, fractions, floors, st.booleans(), st.booleans())
def test_sweeps_over_sparse_columns_are_those_on_their_products(
    shape, fraction, floor, positive, centred
):
    S, means, X, y, alpha = sparse_problem(shape, fraction, centred)
    n_sweeps = sized(6, 3)
    W = np.zeros((n_sweeps + 1, X.shape[1]))
    squares = np.where(np.diff(S.indptr) > 1, (X**2).sum(axis=0), 0.0)
    columns = S.data, S.indices, S.indptr, means, squares
    given = floor, np.full(X.shape[1], alpha), positive, 0.0
    made, ended = sweep_columns(columns, W, y.copy(), 1.0, *given)
    assert 1 <= made <= n_sweeps
    assert ended or made == n_sweeps
    X[:, squares == 0] = 0  # columns of norm zero are skipped
    for m in range(made):
        theirs = swept(X, y, W[m], alpha, floor, positive)[0]
        assert_allclose(W[m + 1], theirs, atol=1e-6 * (1 + np.abs(theirs).max()))


def test_sweeps_over_sparse_columns_end_where_steps_are_small():
    S, means, X, y, alpha = sparse_problem((12, 5, 0), 0.3, True)
    columns = S.data, S.indices, S.indptr, means, (X**2).sum(axis=0)
    for tol, most in ((1e9, 1), (1e-9, 200)):
        W = np.zeros((201, 5))
        given = y.copy(), 1.0, 0.0, np.full(5, alpha), False, tol
        made, ended = sweep_columns(columns, W, *given)
        assert ended
        assert made <= most
        assert not W[made + 1 :].any()
    mu = alpha * np.linalg.norm(y - X @ W[made])
    assert oracles.lasso_violation(y, W[made], X.T, mu) <= 1e-7
