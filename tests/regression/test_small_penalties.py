"""Penalties near interpolation: solved along the path from above, in any order."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.regression.designs import design_of
from sklearn_sqrtlasso.regression.solver import Regression
from sklearn_sqrtlasso.regression.working_set import WorkingSet
from tests import oracles, sized

TOL = 1e-6
FALLING = np.geomspace(0.9, 1e-3, sized(25, 6))
ORDERS = {
    "falling": FALLING,
    "rising": FALLING[::-1],
    "shuffled": np.random.default_rng(0).permutation(FALLING),
    "back and forth": np.tile([0.5, 1e-3, 0.02, 0.05, 0.052], sized(3, 1)),
}


def correlated(n, p, rho, rng):
    X = rng.standard_normal((n, p))
    for j in range(1, p):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * X[:, j]
    return X


def genotypes(n, p, rng):
    shares = rng.uniform(0.05, 0.5, p)
    return sum((rng.random((n, p)) < shares).astype(float) for _ in range(2))


def sums(n, p, rng):
    """Return columns every third of which is nearly a sum of the two before."""
    X = rng.standard_normal((n, p))
    last = X[:, 2::3]
    last *= 1e-4
    last += (X[:, : p - 2 : 3] + X[:, 1 : p - 1 : 3]) / np.sqrt(2)
    return X


COLUMNS = {
    "independent": lambda n, p, rng: correlated(n, p, 0.0, rng),
    "correlated": lambda n, p, rng: correlated(n, p, 0.9, rng),
    "close": lambda n, p, rng: correlated(n, p, 0.99, rng),
    "genotypes": genotypes,
    "sums": sums,
    "twice": lambda n, p, rng: np.tile(correlated(n, p // 2, 0.3, rng), 2),
    "mirrored": lambda n, p, rng: (
        np.tile(correlated(n, p // 2, 0.3, rng), 2) * np.repeat([1, -1], p // 2)
    ),
}


def problem(columns, n, p, seed=0):
    rng = np.random.default_rng(seed)
    X = COLUMNS[columns](n, p, rng)
    y = X[:, :3].sum(axis=1) + rng.standard_normal(n)
    return X, y


def regression_of(X, y):
    design = design_of(X, np.full(len(y), 1 / len(y)), True)
    return Regression(design, design.centered(y)[0], False)


@pytest.fixture
def breakpoints(monkeypatch):
    """Count the breakpoints of all paths."""
    counts, solve = [], WorkingSet.solve

    def counting(self, *given):
        counts.append(solve(self, *given))
        return counts[-1]

    monkeypatch.setattr(WorkingSet, "solve", counting)
    return counts


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("columns", COLUMNS)
def test_no_penalty_takes_longer_than_the_path_from_above(columns, order, breakpoints):
    n, p = sized((60, 160), (20, 50))
    X, y = problem(columns, n, p)
    regression = regression_of(X, y)
    for fraction in ORDERS[order]:
        breakpoints.clear()
        fit = regression.solve(fraction * regression.alpha_max, TOL, 100)
        assert fit.gap <= TOL
        assert fit.n_iter <= 40
        assert sum(breakpoints) <= 5 * (n + 64)  # a path adds and drops few times n


@pytest.mark.parametrize("fraction", [1e-3, 1e-5])
@pytest.mark.parametrize("columns", COLUMNS)
def test_a_small_penalty_interpolates_by_the_least_l1_norm(columns, fraction):
    X, y = problem(columns, *sized((40, 120), (15, 40)))
    regression = regression_of(X, y)
    fit = regression.solve(fraction * regression.alpha_max, 1e-9, 100)
    least = oracles.basis_pursuit(y - y.mean(), (X - X.mean(axis=0)).T)
    coef = np.ldexp(fit.coef, -regression.design.exponents)  # in units of X
    assert_allclose(np.abs(coef).sum(), least, rtol=1e-6)
    assert fit.sigma <= 1e-9 * np.std(y)


@pytest.mark.parametrize("fraction", [0.5, 0.05, 1e-3])
def test_a_poor_start_is_left(fraction, breakpoints):
    X, y = problem("independent", *sized((60, 160), (20, 50)))
    cold, rng = regression_of(X, y), np.random.default_rng(1)
    alpha = fraction * cold.alpha_max
    wanted = cold.solve(alpha, TOL, 100)
    spent = sum(breakpoints)
    few = rng.standard_normal(X.shape[1]) * (rng.random(X.shape[1]) < 0.05)
    for start in (rng.standard_normal(X.shape[1]), np.linalg.lstsq(X, y)[0], 9 * few):
        breakpoints.clear()
        warm = regression_of(X, y)
        warm.start_from(np.arange(len(start)), start)
        assert_allclose(warm.solve(alpha, TOL, 100).coef, wanted.coef, atol=1e-6)
        assert sum(breakpoints) == spent


def test_it_ends_where_rounding_is_in_the_way():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8, 1)) + 1e-9 * rng.standard_normal((8, 6))
    y = rng.standard_normal(8)
    regression = regression_of(X, y)
    for fraction in (0.3, 0.03, 0.003):
        fit = regression.solve(fraction * regression.alpha_max, 0.0, 1000)
        assert fit.n_iter < 100
        assert fit.gap <= 1e-4


def test_a_small_residual_is_a_start_for_the_next_penalty():
    n, p = sized((60, 200), (20, 60))
    rng = np.random.default_rng(0)
    X = 0.1 * rng.standard_normal((n, p)) + rng.standard_normal((n, 1))
    y = X[:, 0] + X[:, 1]  # then features are rounded: a residual of 1e-8 is left
    regression = regression_of(X.astype(np.float32), y)
    alphas = regression.alpha_max * np.geomspace(0.5, 1e-2, sized(40, 10))
    fits = [regression.solve(alpha, TOL, 100) for alpha in alphas]
    assert max(fit.gap for fit in fits) <= TOL
    assert fits[-1].sigma <= 1e-6 * np.std(y)
    assert max(fit.n_iter for fit in fits[1:]) <= 2


def test_sweeps_that_reach_the_tolerance_are_followed_by_a_path():
    rng, n = np.random.default_rng(123), sized(200, 40)
    X = rng.standard_normal((n, n))
    X[:, rng.random(n) < 0.5] = 1
    y = X[:, :3].sum(axis=1) + 1e-6 * rng.standard_normal(n)
    regression = regression_of(X.astype(np.float32), y)
    for fraction in np.sort(10.0 ** rng.uniform(-3, 1, 6))[::-1] / 3:
        fit = regression.solve(fraction * regression.alpha_max, TOL, 100)
        assert fit.gap <= TOL
        assert not regression.is_swept
