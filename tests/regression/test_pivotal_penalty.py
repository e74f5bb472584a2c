"""The penalty of pure noise: its figures, its promise, and what it does not see."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from sklearn.preprocessing import scale
from sklearn.utils import check_random_state

from sklearn_sqrtlasso.regression.design import design_of
from sklearn_sqrtlasso.regression.pivotal_penalty import (
    asymptotic_alpha,
    simulated_alpha,
)


def gaussian(n, p, seed=0):
    return scale(np.random.default_rng(seed).standard_normal((n, p)))


def design(X, weights=None, intercept=True):
    weights = np.ones(X.shape[0]) if weights is None else weights
    return design_of(X, weights / weights.sum(), intercept)


def pivot(X, weights=None, positive=False, seed=0, intercept=True):
    rng = check_random_state(seed)
    n_rows = X.shape[0] if weights is None else weights.sum()
    made = design(X, weights, intercept)
    return simulated_alpha(made, n_rows, 0.95, positive, rng)


# Of Gaussian designs: Phi^-1(1 - q / (2 p)) 1.1 / sqrt(n), and the quantile itself.
@pytest.mark.parametrize(
    ("p", "n", "closed", "exact"),
    [(500, 100, 0.4280, 0.3768), (1000, 200, 0.3155, 0.2808), (100, 100, 0.3829, 0.34)],
)
def test_the_figures_of_the_theory(p, n, closed, exact):
    X = gaussian(n, p)
    assert_allclose(asymptotic_alpha(design(X), n, 0.95), closed, atol=1e-4)
    assert_allclose(pivot(X), exact, rtol=0.03)  # of 1000 draws


@pytest.mark.parametrize("p", [20, 700])
@pytest.mark.parametrize("positive", [True, False])
def test_one_in_twenty_of_pure_noise_exceeds_it(p, positive):
    X, rng = gaussian(50, p), np.random.default_rng(1)
    alpha = pivot(X, positive=positive)
    E = scale(rng.standard_normal((50, 2000)))
    C = X.T @ E / 50
    peak = (C if positive else np.abs(C)).max(axis=0)
    assert_allclose(np.mean(peak > alpha), 0.05, atol=0.025)


@pytest.mark.parametrize("p", [20, 700])
def test_it_scales_with_x(p):
    X = gaussian(40, p)
    assert_allclose(pivot(1024 * X), 1024 * pivot(X))
    assert_allclose(
        asymptotic_alpha(design(5 * X), 40, 0.95),
        5 * asymptotic_alpha(design(X), 40, 0.95),
    )


@pytest.mark.parametrize("p", [20, 700])
@pytest.mark.parametrize("intercept", [True, False])
def test_storage_does_not_matter(p, intercept):
    X = gaussian(40, p) + 1
    dense = pivot(X, intercept=intercept)
    assert_allclose(pivot(sp.csc_array(X), intercept=intercept), dense, rtol=1e-4)
    assert_allclose(pivot(X.astype(np.float32), intercept=intercept), dense, rtol=1e-4)


@pytest.mark.parametrize("p", [20, 700])
def test_a_row_of_weight_two_is_two_rows(p):
    X = gaussian(40, p)
    weights = np.repeat([1.0, 2.0, 0.0], [20, 15, 5])
    rows = np.repeat(np.arange(40), weights.astype(int))
    by_weight, by_rows = pivot(X, weights), pivot(X[rows])
    assert_allclose(by_weight, by_rows, rtol=1e-9 if p == 20 else 0.03)


@pytest.mark.parametrize("p", [20, 700])
def test_correlated_columns_ask_for_less(p):
    rng = np.random.default_rng(0)
    common, own = rng.standard_normal((40, 1)), rng.standard_normal((40, p))
    assert pivot(scale(common + 0.1 * own)) < 0.9 * pivot(scale(own))


def test_constant_columns_ask_for_nothing():
    assert pivot(np.full((10, 3), 0.1)) < 1e-12
