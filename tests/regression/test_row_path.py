"""Paths on the columns of small tables, against working sets and the definition."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.regression.designs import design_of
from sklearn_sqrtlasso.regression.row_path import follow_row_path
from sklearn_sqrtlasso.regression.solver import (
    Regression,
    SolverOptions,
    regress,
    regression_alpha_max,
)

FALLING, ROUNDING = np.geomspace(1.1, 1e-2, 12), 1e-12
seeds = st.integers(0, 10**6)
shapes = st.sampled_from([(6, 40), (30, 30), (50, 7), (20, 1), (25, 60)])


def table(seed, shape, sparse=False):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal(shape) + 0.5 * rng.standard_normal((shape[0], 1))
    X *= np.exp(rng.standard_normal(shape[1]))
    y = X[:, : 1 + shape[1] // 10].sum(axis=1) + rng.standard_normal(shape[0])
    weights = rng.uniform(0.5, 1, shape[0])
    X[:, 1:2] = 0.3  # a constant
    return sp.csc_array(X) if sparse else X, 3 + y, weights / weights.sum()


def solved(design, y, alphas, options):
    """Return coefficients by working sets."""
    target = design.target(y)
    regression = Regression(design, target.vector, options.positive)
    fits = list(regression.solve_each(alphas, options.tol, options.max_iter))
    w = np.array([fit.coef for fit in fits])
    return np.ldexp(w, target.exponent - design.exponents)


def gap(X, y, weights, alpha, w, intercept, positive):
    """Return the duality gap from the definition."""
    if intercept:
        X, y = X - weights @ X, y - weights @ y
    r, size = y - X @ w, np.sqrt(weights @ y**2)
    sigma, c = np.sqrt(weights @ r**2), (weights * r) @ X
    worst = (np.maximum(c, 0) if positive else np.abs(c)).max() / alpha
    dual = max((weights * r) @ y / max(sigma, worst), 0.0)
    return (sigma + alpha * np.abs(w).sum() - dual) / size


@pytest.mark.parametrize("sparse", [False, True])
@given(seeds, shapes, st.booleans(), st.booleans())
@settings(max_examples=25)
def test_a_path_has_the_fits_of_working_sets(sparse, seed, shape, intercept, positive):
    X, y, weights = table(seed, shape, sparse)
    design, options = (
        design_of(X, weights, intercept),
        SolverOptions(positive, 1e-9, 99),
    )
    alphas = FALLING * regression_alpha_max(design, y, positive)
    if not alphas[0] > 0:
        return
    fits, intercepts = follow_row_path(design, design.target(y), alphas, options)
    assert len(fits) == len(intercepts) >= 3
    X = X.toarray() if sparse else X
    size, n = np.abs(fits[-1].coef).max(), len(fits)
    for fit, moved, alpha in zip(fits, intercepts, alphas, strict=False):
        assert fit.gap <= 1e-9
        if fit.sigma > 1e-6 * size:  # else residuals are rounding
            exact = gap(X, y, weights, alpha, fit.coef, intercept, positive)
            assert -ROUNDING <= exact <= fit.gap + ROUNDING
        r = y - X @ fit.coef - moved
        assert_allclose(fit.sigma, np.sqrt(weights @ r**2), 1e-9, ROUNDING * size)
        assert_allclose(moved, weights @ (y - X @ fit.coef) * intercept, atol=1e-12)
    wanted = solved(design, y, alphas[:n], options)
    assert_allclose([fit.coef for fit in fits], wanted, atol=1e-5 * size)
    whole, _ = regress(design, y, alphas, options)
    assert_array_equal([fit.coef for fit in whole[:n]], [fit.coef for fit in fits])
    assert max(fit.gap for fit in whole) <= 1e-9


def test_there_is_no_path_where_numbers_are_unusual():
    X, y, weights = table(0, (20, 5))
    options = SolverOptions(False, 1e-6, 100)

    def count(X, y, alphas):
        design = design_of(X, weights, True)
        return len(follow_row_path(design, design.target(y), alphas, options)[0])

    usual = np.array([0.1, 0.01])
    assert count(X, y, usual) == 2
    assert count(X, np.ones(20), usual) == 0
    assert count(X, y, np.zeros(1)) == 0
    assert count(X, y, np.array([0.1, 1e-9])) == 1
    assert count(1e300 * X, 1e-20 * y, 1e300 * usual) == 0  # coefficients below 1e-308


@pytest.mark.parametrize("positive", [False, True])
def test_where_the_residual_vanishes_all_smaller_penalties_are_solved(positive):
    X, y, weights = table(3, (6, 40))
    design, options = design_of(X, weights, True), SolverOptions(positive, 1e-9, 100)
    alphas = np.geomspace(1, 1e-3, 60) * regression_alpha_max(design, y, positive)
    fits, intercepts = follow_row_path(design, design.target(y), alphas, options)
    n_before = sum(fit.sigma > 1e-9 * y.std() for fit in fits)
    assert 3 < n_before < len(fits) == 60
    assert max(fit.gap for fit in fits) <= 1e-9
    for fit, moved in zip(fits[n_before:], intercepts[n_before:], strict=True):
        assert fit.values is fits[-1].values
        assert_allclose(X @ fit.coef + moved, y, atol=1e-9)
    wanted = solved(design, y, alphas[-1:], options)[0]
    assert_allclose(np.abs(fits[-1].coef).sum(), np.abs(wanted).sum(), rtol=1e-8)


def test_one_penalty_of_many_active_columns_is_left_to_working_sets():
    X, y, weights = table(0, (300, 100))
    design, options = design_of(X, weights, False), SolverOptions(False, 1e-9, 100)
    alphas = np.array([1e-4]) * regression_alpha_max(design, y, False)
    assert follow_row_path(design, design.target(y), alphas, options)[0] == []
    assert regress(design, y, alphas, options)[0][0].gap <= 1e-9
    alphas = np.geomspace(1, 1e-4, 40) * 1e4 * alphas
    assert len(follow_row_path(design, design.target(y), alphas, options)[0]) == 40
