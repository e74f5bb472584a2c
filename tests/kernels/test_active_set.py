"""Laws of the exact solution of a regression: factors, breakpoints and optimality."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.kernels.active_set import (
    append_column,
    drop_column,
    factorize,
    solve_exactly,
    solve_factored,
)

shapes = st.tuples(st.integers(2, 9), st.integers(1, 9), st.integers(0, 10**6))


def problem(shape, kind=np.asarray):
    n, p, seed = shape
    rng = np.random.default_rng(seed)
    X, y = kind(rng.standard_normal((n, p))), rng.standard_normal(n)
    return X, y / np.linalg.norm(y), rng


def storage(n, p):
    size = min(n, p)
    return np.zeros((size, size)), np.zeros(size, dtype=np.intp)


def follow(X, y, alpha, w, positive=False, floors=(0.0, 0.0)):
    G, w = X.T @ X, w.copy()
    L, act = storage(*X.shape)
    k = factorize(G, w, L, act)
    r = y - X @ w
    square, _, n_breakpoints = solve_exactly(
        G, w, X.T @ r, r @ r, np.array(floors), alpha, positive, L, act, k, 1000
    )
    assert n_breakpoints < 1000
    return w, square


def objective(X, y, alpha, w):
    return np.linalg.norm(y - X @ w) + alpha * np.abs(w).sum()


def violation(X, y, alpha, w, positive=False):
    """Return how far correlations are from what optimality asks, relative to sigma."""
    r = y - X @ w
    sigma = np.linalg.norm(r)
    c = X.T @ r / sigma
    off = c if positive else np.abs(c)
    return max(
        np.max(off - alpha, where=w == 0, initial=0.0),
        np.max(np.abs(c - alpha * np.sign(w)), where=w != 0, initial=0.0),
    )


@given(st.tuples(st.integers(2, 24), st.integers(2, 24), st.integers(0, 10**6)))
def test_a_factor_grown_and_shrunk_is_that_of_the_columns_left(shape):
    X, _, rng = problem(shape)
    G = X.T @ X
    L, act = storage(*X.shape)
    k = 0
    for j in range(len(L)):
        k += append_column(L, act, k, G, j)
    place = int(rng.integers(k))
    drop_column(L, act, k, place)
    on = act[: k - 1]
    assert_allclose(np.tril(L[: k - 1, : k - 1]) @ np.tril(L[: k - 1, : k - 1]).T,
                    G[np.ix_(on, on)], atol=1e-9 * np.abs(G).max())  # fmt: skip


@given(shapes)
def test_solve_inverts_a_factor(shape):
    n, p, seed = shape
    A = np.random.default_rng(seed).standard_normal((p, p + n))
    G, x = A @ A.T, np.arange(1.0, p + 1)
    b = x.copy()
    solve_factored(np.linalg.cholesky(G), p, b)
    assert_allclose(G @ b, x, rtol=1e-6)


def test_a_dependent_column_is_not_appended():
    X = np.array([[1.0, 2.0], [1.0, 2.0]])
    L, act = np.zeros((2, 2)), np.zeros(2, dtype=np.intp)
    assert append_column(L, act, 0, X.T @ X, 0)
    assert not append_column(L, act, 1, X.T @ X, 1)


def test_what_a_dependent_column_carries_moves_to_the_others():
    X = np.array([[1.0, 2.0], [0.0, 0.0]])
    w = np.array([1.0, 1.0])
    L, act = storage(2, 2)
    assert factorize(X.T @ X, w, L, act) == 1
    assert_allclose(w, [3.0, 0.0])


@given(shapes)
def test_moving_to_independent_columns_keeps_fit_and_signs(shape):
    X, _, rng = problem(shape)
    before = rng.standard_normal(X.shape[1])
    w = before.copy()
    L, act = storage(*X.shape)
    k = factorize(X.T @ X, w, L, act)
    assert_allclose(X @ w, X @ before, atol=1e-8 * np.abs(X).max())
    assert np.all(w * before >= 0)
    assert sorted(act[:k]) == np.flatnonzero(w).tolist()
    assert_allclose(L[:k, :k] @ L[:k, :k].T, (X.T @ X)[np.ix_(act[:k], act[:k])])


@given(shapes, st.floats(0.05, 1.5), st.booleans())
def test_a_path_from_zero_ends_at_the_optimum(shape, fraction, positive):
    X, y, _ = problem(shape)
    alpha = fraction * np.abs(X.T @ y).max()
    w, square = follow(X, y, alpha, np.zeros(X.shape[1]), positive)
    if square > 1e-12:  # else the residual has vanished
        assert violation(X, y, alpha, w, positive) <= 1e-6 * alpha
        assert_allclose(square, np.sum((y - X @ w) ** 2), rtol=1e-6)
    assert not positive or np.all(w >= 0)


@given(shapes, st.floats(0.3, 1.0))
def test_a_path_ends_at_one_place_wherever_it_begins(shape, fraction):
    X, y, rng = problem(shape)
    alpha = fraction * np.abs(X.T @ y).max()
    w, _ = follow(X, y, alpha, np.zeros(X.shape[1]))
    begin = rng.standard_normal(X.shape[1]) * (rng.random(X.shape[1]) < 0.5)
    v, _ = follow(X, y, alpha, begin, floors=(0.03, 0.0))
    best = objective(X, y, alpha, w)
    assert_allclose(objective(X, y, alpha, v), best, rtol=1e-7)


@pytest.mark.parametrize("copies", [2, 5])
def test_equal_columns_do_no_harm(copies):
    X, y, _ = problem((6, 3, 0), lambda X: np.repeat(X, copies, axis=1))
    alpha = 0.3 * np.abs(X.T @ y).max()
    w, _ = follow(X, y, alpha, np.zeros(X.shape[1]))
    assert violation(X, y, alpha, w) <= 1e-9


@given(st.integers(0, 10**6))
def test_copies_of_columns_are_not_exchanged_for_ever(seed):
    X, y, rng = problem((10, 8, seed), lambda X: np.repeat(X, 3, axis=1))
    alpha = 0.05 * np.abs(X.T @ y).max()
    begin = rng.standard_normal(24) * (rng.random(24) < 0.3)
    w, _ = follow(
        X, y, alpha, begin, floors=(0.03, 0.01)
    )  # in fewer than 1000 breakpoints
    best, _ = follow(X, y, alpha, np.zeros(24), floors=(0.03, 0.01))
    ours, others = objective(X, y, alpha, w), objective(X, y, alpha, best)
    assert_allclose(ours, others, rtol=1e-6)


def test_the_floor_makes_a_lasso_of_it():
    X, y, _ = problem((8, 6, 3))
    alpha, floor = 0.1 * np.abs(X.T @ y).max(), 0.9
    w, _ = follow(X, y, alpha, np.zeros(6), floors=(floor, floor))
    c = X.T @ (y - X @ w)
    assert np.linalg.norm(y - X @ w) < np.sqrt(floor)
    assert_allclose(c[w != 0], alpha * np.sqrt(floor) * np.sign(w[w != 0]))
