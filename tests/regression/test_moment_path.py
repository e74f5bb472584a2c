"""Paths on moments against those on the rows, and their bounds of gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.regression.designs import design_of
from sklearn_sqrtlasso.regression.moment_path import (
    count_exact,
    follow_moment_path,
)
from sklearn_sqrtlasso.regression.moments import gather
from sklearn_sqrtlasso.regression.solver import (
    SolverOptions,
    regress,
    regression_alpha_max,
)

FALLING = np.geomspace(1.1, 1e-3, 12)


def table(seed, n=60, p=8, rho=0.5):
    rng = np.random.default_rng(seed)
    X = np.sqrt(1 - rho) * rng.standard_normal((n, p))
    X += np.sqrt(rho) * rng.standard_normal((n, 1)) + 1
    y = X[:, :2].sum(axis=1) + rng.standard_normal(n)
    return X * 10.0 ** rng.uniform(-1, 1, p), y, rng.integers(1, 4, n).astype(float)


def both(X, y, weights, positive=False, intercept=True):
    """Return penalties, the path on moments and fits to the rows."""
    design = design_of(X, weights / weights.sum(), intercept)
    alphas = FALLING * regression_alpha_max(design, y, positive)
    fits, _ = regress(design, y, alphas, SolverOptions(positive, 1e-12, 100))
    given = gather(X, y, weights, np.arange(len(y)))
    return alphas, follow_moment_path(given, alphas, intercept, positive), fits


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("rho", [0.0, 0.9])
@given(st.integers(0, 10**6))
def test_moments_have_the_solutions_of_their_rows(rho, positive, intercept, seed):
    X, y, weights = table(seed, rho=rho)
    _, path, fits = both(X, y, weights, positive, intercept)
    wanted = np.array([fit.coef for fit in fits])
    size = X.std(axis=0) / y.std()
    assert_allclose(path.coef * size, wanted * size, atol=1e-9)
    assert (path.gaps <= 1e-8).all()  # rounding included


@given(st.integers(0, 10**6))
def test_a_gap_is_at_least_the_excess(seed):
    X, y, weights = table(seed)
    alphas, path, fits = both(X, y, weights)
    v = weights / weights.sum()
    A, b = X - v @ X, y - v @ y

    def objective(w, alpha):
        return np.sqrt(v @ (b - A @ w) ** 2) + alpha * np.abs(w).sum()

    for alpha, w, fit, gap in zip(alphas, path.coef, fits, path.gaps, strict=True):
        excess = objective(w, alpha) - objective(fit.coef, alpha)
        assert excess <= (gap + fit.gap) * np.sqrt(v @ b**2) + 1e-14


def test_columns_of_zeros_and_copies_do_no_harm():
    X, y, weights = table(0)
    X = np.column_stack([X, np.full(60, 0.1), X[:, 0], np.zeros(60)])
    _, path, fits = both(X, y, weights)
    assert (path.gaps <= 1e-8).all()  # rounding included
    assert not path.coef[:, [8, 10]].any()
    for w, fit in zip(path.coef, fits, strict=True):
        assert_allclose(X @ (w - fit.coef), X[0] @ (w - fit.coef), atol=1e-9)


def test_a_vanishing_residual_is_not_called_solved():
    X, _, weights = table(0)
    _, path, _ = both(X, X[:, 0] + X[:, 1], weights)
    assert path.gaps[-1] > 1e-9


@pytest.mark.parametrize("positive", [True, False])
@given(st.integers(0, 10**6))
def test_one_penalty_without_a_residual_is_left_to_the_rows(positive, seed):
    X, y, weights = table(seed)
    X = np.column_stack([X, np.ones(len(y))])
    exact = X[:, 0] + X[:, 1]
    for target, vanishes in ((exact, True), (y, False), (-exact, not positive)):
        alphas, path, fits = both(X, target, weights, positive)
        # fits to rows are solved to a gap of 1e-6: a residual of noise, or none
        assert (fits[-1].sigma < 1e-5 * np.std(y)) == vanishes
        moments = gather(X, target, weights, np.arange(len(y)))
        for place, is_unknown in ((-1, vanishes), (0, False)):
            one = alphas[[place]]
            alone = follow_moment_path(moments, one, True, positive)
            assert alone.gaps[0] > 1e-6 or not is_unknown
            if not is_unknown:
                assert_allclose(alone.coef[0], path.coef[place], atol=1e-9)


def test_no_more_rows_than_columns_are_followed_to_where_the_residual_vanishes():
    X, y, weights = table(3, n=14, p=20)
    alphas, path, fits = both(X, y, weights)
    n_exact = count_exact(
        path.gaps, path.gaps[None] + 1, np.zeros((1, len(alphas))), 1e-9
    )
    assert 3 < n_exact < len(alphas)
    assert all(fit.sigma > 1e-3 * np.std(y) for fit in fits[:n_exact])
    size = X.std(axis=0) / y.std()
    for w, fit in zip(path.coef[:n_exact], fits, strict=False):
        assert_allclose(w * size, fit.coef * size, atol=1e-9)
