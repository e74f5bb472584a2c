"""Fits to moments against fits to the rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.regression import pivotal_penalty
from sklearn_sqrtlasso.regression.designs import design_of
from sklearn_sqrtlasso.regression.moment_design import MomentDesign, moment_design_of
from sklearn_sqrtlasso.regression.moments import moments_of, pooled
from sklearn_sqrtlasso.regression.pivotal_penalty import simulated_alpha
from sklearn_sqrtlasso.regression.relaxation import regress_relaxed
from sklearn_sqrtlasso.regression.solver import SolverOptions, regression_alpha_max

PHIS = np.array([1.0, 0.4, 0.0])
ROUNDING = 1e-9  # of coefficients for columns and target of spread one


def table(seed, n=80, p=6, q=2):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 0.7 * rng.standard_normal((n, 1)) + 1
    Y = X[:, :q] + rng.standard_normal((n, q)) + 3
    return X * 10.0 ** rng.uniform(-3, 3, p), Y.T * [[2.0], [1e4]], rng.uniform(1, 3, n)


def both(X, targets, weights, intercept=True):
    one = moment_design_of(X, targets, weights, intercept)
    return one, design_of(X, weights / weights.sum(), intercept)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("positive", [True, False])
@settings(max_examples=8)
@given(st.integers(0, 10**6), st.sampled_from([0.013, 0.07, 0.31, 0.83, 1.1]))
def test_moments_have_the_fits_of_their_rows(intercept, positive, seed, share):
    X, targets, weights = table(seed)
    one, two = both(X, targets, weights, intercept)
    options = SolverOptions(positive, 1e-9, 100)
    for k, y in enumerate(targets):
        largest = regression_alpha_max(two, y, positive)
        assert_allclose(regression_alpha_max(one, k, positive), largest)
        alphas = [share * largest]
        fits, moved = regress_relaxed(one, k, alphas, PHIS, options)
        wanted, there = regress_relaxed(two, y, alphas, PHIS, options)
        size = y.std() / X.std(axis=0)
        for (fit,), (other,) in zip(fits, wanted, strict=True):
            assert_allclose(fit.coef / size, other.coef / size, atol=ROUNDING)
            assert_allclose(fit.sigma, other.sigma, rtol=ROUNDING)
            assert other.gap <= fit.gap <= 1e-9
        assert_allclose(moved, there, atol=1e-7 * np.abs(y).max())


@pytest.mark.parametrize("intercept", [True, False])
def test_constant_columns_and_copies_do_no_harm(intercept):
    X, targets, weights = table(1)
    X = np.column_stack([X, np.full(80, 0.1), X[:, 0], np.zeros(80)])
    one, two = both(X, targets, weights, intercept)
    alphas = [0.05 * regression_alpha_max(two, targets[0], False)]
    options = SolverOptions(False, 1e-9, 100)
    (fit,), wanted = (
        regress_relaxed(design, y, alphas, np.ones(1), options)[0][0]
        for design, y in ((one, 0), (two, targets[0]))
    )
    assert_allclose(X @ fit.coef, X @ wanted[0].coef, atol=1e-8 * targets[0].std())
    assert fit.gap <= 1e-9
    assert not fit.coef[8]
    assert fit.coef[6] == 0 or not intercept


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.integers(1, 79))
def test_moments_of_slices_are_added_and_fitted(seed, cut):
    X, targets, weights = table(seed)
    halves = slice(None, cut), slice(cut, None)
    parts = [moments_of(X[i], targets.T[i], weights[i]) for i in halves]
    one = MomentDesign(pooled(parts), 2, True, X.dtype)
    two = moment_design_of(X, targets, weights, True)
    options = SolverOptions(False, 1e-9, 100)
    alphas = [0.1 * regression_alpha_max(two, 1, False)]
    (fit,), (wanted,) = (
        regress_relaxed(design, 1, alphas, np.ones(1), options)[0][0]
        for design in (one, two)
    )
    size = targets[1].std() / X.std(axis=0)
    assert_allclose(fit.coef / size, wanted.coef / size, atol=ROUNDING)
    assert one.rank == two.rank == 79


@pytest.mark.parametrize("intercept", [True, False])
@settings(max_examples=5)
@given(st.integers(0, 10**6))
def test_the_pivotal_penalty_is_that_of_the_rows(intercept, seed):
    """It is drawn from products, of as many columns as there are."""
    X, targets, weights = table(seed)
    designs = both(X, targets, weights, intercept)

    def drawn(design):
        return simulated_alpha(design, 80, 0.95, False, np.random.default_rng(seed))

    by_products = [drawn(design) for design in designs]
    assert_allclose(*by_products, rtol=1e-9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pivotal_penalty, "BY_PRODUCTS", 0)
        assert drawn(designs[0]) == by_products[0]


def test_a_vanishing_residual_is_not_called_solved():
    X, _, weights = table(0)
    design = moment_design_of(X, X[:, :2].T, weights, True)
    options = SolverOptions(False, 1e-9, 100)
    alpha = 1e-6 * regression_alpha_max(design, 0, False)
    ((fit,),), _ = regress_relaxed(design, 0, [alpha], np.ones(1), options)
    assert fit.gap > 1e-9


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e-100, 1e200])
def test_extreme_columns_are_left_to_the_rows(scale):
    X, targets, weights = table(0)
    X[:, 2] *= scale
    assert moment_design_of(X, targets, weights, True) is None
    assert moment_design_of(X[:, :2], targets, weights, True) is not None
    assert moment_design_of(X[:, :2], 0 * targets, weights, True) is None


def test_constant_columns_alone_say_nothing(capfd):
    """Nor does LAPACK, which is asked for nothing."""
    design = moment_design_of(np.ones((20, 3)), table(2, n=20)[1], np.ones(20), True)
    assert design.factor.shape == (0, 3)
    assert capfd.readouterr() == ("", "")
