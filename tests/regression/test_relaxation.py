"""The relaxed square-root lasso against a conic solver, and its laws."""

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.regression.designs import design_of
from sklearn_sqrtlasso.regression.fit import fit_of
from sklearn_sqrtlasso.regression.moment_path import follow_moment_path
from sklearn_sqrtlasso.regression.moments import gather
from sklearn_sqrtlasso.regression.relaxation import (
    estimated_sigma,
    regress_relaxed,
    relax_moment_path,
)
from sklearn_sqrtlasso.regression.solver import SolverOptions

PHIS = np.array([1.0, 0.7, 0.4, 0.1, 0.0])


class Problem:
    """Correlated columns, of which a refit turns signs, and unequal weights."""

    def __init__(self, seed, alpha=0.05, intercept=True, positive=False, form=np.array):
        rng = np.random.default_rng(seed)
        self.X = rng.standard_normal((30, 25)) + 2 * rng.standard_normal((30, 1))
        self.y = self.X[:, :2].sum(axis=1) + 3 * rng.standard_normal(30) + 7
        self.weights = rng.dirichlet(np.full(30, 2.0))
        self.alpha, self.intercept, self.positive = alpha, intercept, positive
        self.design = design_of(form(self.X), self.weights, intercept)

    def solve(self, phis=PHIS, alphas=None):
        """Return coefficients and noise levels, each with an axis of shares."""
        options = SolverOptions(self.positive, 1e-12, 100)
        alphas = [self.alpha] if alphas is None else alphas
        fits, _ = regress_relaxed(self.design, self.y, alphas, phis, options)
        return tuple(
            np.squeeze([[getattr(fit, name) for fit in row] for row in fits])
            for name in ("coef", "sigma")
        )

    def columns(self, on):
        """Return columns and target, centred and weighted."""
        centred = [A - self.intercept * (self.weights @ A) for A in (self.X, self.y)]
        root = np.sqrt(self.weights)
        return root[:, None] * centred[0][:, on], root * centred[1]


def by_conic_solver(problem, coef, sigma, phi):
    """Return the relaxed lasso on the support of coefficients, and their objectives."""
    on = coef[0] != 0
    A, t = problem.columns(on)
    tau = phi * problem.alpha * sigma[0]
    v = cp.Variable(on.sum(), nonneg=problem.positive)
    goal = cp.sum_squares(t - A @ v) / 2 + tau * cp.norm1(v)
    cp.Problem(cp.Minimize(goal)).solve(solver="CLARABEL")
    return [
        np.sum((t - A @ w) ** 2) / 2 + tau * np.abs(w).sum()
        for w in (coef[list(PHIS).index(phi)][on], v.value)
    ]


@pytest.mark.parametrize("form", [np.array, sp.csc_array])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_solutions_are_those_of_a_conic_solver(intercept, positive, form):
    problem = Problem(3, intercept=intercept, positive=positive, form=form)
    coef, sigma = problem.solve()
    for phi in PHIS:
        ours, witness = by_conic_solver(problem, coef, sigma, phi)
        assert ours <= witness + 1e-9
    assert not positive or np.all(coef >= 0)


def test_signs_turn_in_these_problems():
    problems = [Problem(seed) for seed in range(5)]
    turned = [np.any(w[0] * w[-1] < 0) for w, _ in map(Problem.solve, problems)]
    assert any(turned)


@given(st.integers(0, 10**6), st.sampled_from([0.3, 0.1, 0.02]), st.booleans())
@settings(max_examples=25, deadline=None)
def test_coefficients_are_continuous_in_the_share_and_residuals_fall(
    seed, alpha, positive
):
    problem, phis = Problem(seed, alpha, positive=positive), np.linspace(1, 0, 201)
    coef, sigma = problem.solve(phis)
    assert np.all(np.diff(sigma) <= 0)
    on = coef[0] != 0
    assert_array_equal(coef[:, ~on], 0)
    A, _ = problem.columns(on)
    least = np.linalg.eigvalsh(A.T @ A)[0] if on.any() else 1.0
    slope = alpha * sigma[0] * np.sqrt(on.sum()) / least  # the steepest linear piece
    steps = np.linalg.norm(np.diff(coef, axis=0), axis=1)
    assert np.all(steps <= slope / 200 * (1 + 1e-6) + 1e-9)


@given(st.integers(0, 10**6), st.sampled_from([0.3, 0.1, 0.02]))
@settings(max_examples=25, deadline=None)
def test_a_share_of_zero_is_least_squares(seed, alpha):
    problem = Problem(seed, alpha)
    coef, sigma = problem.solve()
    on = coef[0] != 0
    A, t = problem.columns(on)
    expected = np.linalg.lstsq(A, t, rcond=None)[0]
    assert_allclose(coef[-1][on], expected, rtol=1e-7, atol=1e-9)
    assert_allclose(sigma[-1], np.linalg.norm(t - A @ expected), atol=1e-9)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_without_a_turn_it_is_the_mean_of_both_ends(seed):
    coef, _ = Problem(seed, 0.2).solve()
    if np.all((coef[0] * coef[-1] > 0) | (coef[0] == 0)):
        mixed = np.outer(PHIS, coef[0]) + np.outer(1 - PHIS, coef[-1])
        assert_allclose(coef, mixed, atol=1e-9)


def test_the_order_of_shares_does_not_matter():
    order = np.array([2, 0, 4, 1, 3])
    coef, _ = Problem(0).solve()
    assert_allclose(Problem(0).solve(PHIS[order])[0], coef[order], atol=1e-12)


@pytest.mark.parametrize("twins", [2, 30])
def test_equal_columns_and_interpolation_change_nothing(twins):
    problem = Problem(1, alpha=1e-3)
    problem.X = np.hstack([problem.X] * twins)
    problem.design = design_of(problem.X, problem.weights, True)
    coef, sigma = problem.solve()
    assert np.all(np.isfinite(coef))
    assert np.all(np.diff(sigma) <= 0)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_moments_give_what_rows_give(intercept, positive):
    problem = Problem(2, intercept=intercept, positive=positive)
    problem.X = problem.X[:, :6] * 10.0 ** np.arange(-2, 4)
    problem.design = design_of(problem.X, problem.weights, intercept)
    alphas = np.geomspace(1, 1e-3, 7) * np.abs(problem.X).max()
    moments = gather(problem.X, problem.y, problem.weights, np.arange(30))
    way = intercept, positive
    path = follow_moment_path(moments, alphas, *way)
    coef, _ = problem.solve(alphas=alphas)
    sizes = np.abs(coef).max(axis=(0, 1)) + 1e-300
    for least in (path.least, np.full_like(path.least, np.nan)):
        known = path._replace(least=least)
        found = relax_moment_path(moments, known, alphas, PHIS, *way)
        assert_allclose(found / sizes, coef / sizes, atol=1e-8)


def test_the_noise_level_is_by_degrees_of_freedom():
    coef = np.array([1.0, 0, 2.0])
    fit = fit_of(coef, sigma=2.0, gap=0.0, n_iter=1)
    assert estimated_sigma(fit, 1.0, 10, True) == 2.0
    assert_allclose(estimated_sigma(fit, 0.0, 10, True), 2 * np.sqrt(10 / 7))
    assert_allclose(estimated_sigma(fit, 0.5, 10, False), 2 * np.sqrt(10 / 9))
    assert estimated_sigma(fit, 0.0, 3, True) == 2.0
