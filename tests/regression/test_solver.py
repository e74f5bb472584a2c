"""Regression against a conic solver, the lasso and an independent certificate."""

from itertools import pairwise

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Lasso

from sklearn_sqrtlasso.regression.designs import design_of
from sklearn_sqrtlasso.regression.solver import (
    Regression,
    SolverOptions,
    regress,
    regression_alpha_max,
)
from tests import oracles, sized

# The conic solver is asked for more than it can always reach.
pytestmark = pytest.mark.filterwarnings("ignore:Solution may be inaccurate:UserWarning")

EXACT = 1e-8  # relative to the objective at zero

shapes = st.tuples(st.integers(1, 12), st.integers(1, 15), st.integers(0, 10**6))
fractions = st.sampled_from([1e-3, 0.1, 0.3, 1.0]) | st.floats(1e-3, 1.2)


def make(n, p, seed=0, noise=0.3):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    w = np.where(np.arange(p) < 3, 1.0, 0.0)
    return X, X @ w + noise * rng.standard_normal(n) + 1


def equal_weights(X):
    return np.full(X.shape[0], 1 / X.shape[0])


def fit(X, y, alpha, *, positive=False, intercept=True, weights=None, tol=1e-9):
    weights = equal_weights(X) if weights is None else weights / weights.sum()
    design = design_of(X, weights, intercept)
    (one,), (b,) = regress(design, y, [alpha], SolverOptions(positive, tol, 100))
    return one, b


def top(X, y, positive=False, intercept=True):
    return regression_alpha_max(design_of(X, equal_weights(X), intercept), y, positive)


def objective(X, y, alpha, w, b=0.0, weights=None):
    weights = equal_weights(X) if weights is None else weights / weights.sum()
    return np.sqrt(weights @ (y - X @ w - b) ** 2) + alpha * np.abs(w).sum()


def gap(X, y, alpha, w, b=0.0, positive=False):
    """Return the relative gap of ``y - X w - b`` as dual point, from its definition."""
    n, r = len(y), y - X @ w - b
    c = X.T @ r / n
    pull = max((c if positive else np.abs(c)).max(), 0)
    scale = max(np.sqrt(np.mean(r**2)), pull / alpha)
    return (objective(X, y, alpha, w, b) - y @ r / n / scale) / np.std(y)


def conic(X, y, alpha, positive=False, intercept=True, weights=None):
    weights = np.ones(len(y)) if weights is None else weights
    w, b = cp.Variable(X.shape[1], nonneg=positive), cp.Variable()
    r = cp.multiply(np.sqrt(weights), y - X @ w - (b if intercept else 0))
    goal = cp.norm(r) / np.sqrt(weights.sum()) + alpha * cp.norm1(w)
    exact = {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11}
    return cp.Problem(cp.Minimize(goal)).solve(solver="CLARABEL", **exact)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.7])
@pytest.mark.parametrize("shape", [(12, 30), (30, 8), (10, 10)])
def test_no_conic_solution_is_better(shape, fraction, sparse, positive, intercept):
    X, y = make(*shape)
    if sparse:
        X = sp.csc_array(X * (np.abs(X) > 0.7))
    alpha = fraction * top(X, y)
    one, b = fit(X, y, alpha, positive=positive, intercept=intercept)
    A = X.toarray() if sparse else X
    best = conic(A, y, alpha, positive, intercept)
    ours = objective(A, y, alpha, one.coef, b)
    assert abs(ours - best) <= EXACT * np.linalg.norm(y) / np.sqrt(len(y))
    assert one.gap <= 1e-9


def test_no_weighted_conic_solution_is_better():
    X, y = make(20, 30)
    weights = np.arange(20.0)
    alpha = 0.2 * top(X, y)
    one, b = fit(X, y, alpha, weights=weights)
    ours = objective(X, y, alpha, one.coef, b, weights)
    assert abs(ours - conic(X, y, alpha, weights=weights)) <= EXACT


@given(shapes, fractions, st.booleans())
@example((6, 9, 1), 1e-3, True)  # more features than the rank, all of them in use
def test_the_gap_is_what_its_definition_says(shape, fraction, positive):
    X, y = make(*shape)
    alpha = fraction * top(X, y, positive)
    assume(alpha > 0)
    one, b = fit(X, y, alpha, positive=positive)
    assert one.gap <= 1e-9
    if one.sigma > 1e-6 * np.std(y):  # else the residual is lost in rounding
        assert gap(X, y, alpha, one.coef, b, positive) <= 2e-9
    assert not positive or np.all(one.coef >= 0)


@given(shapes, st.sampled_from([1e-9, 1e-6, 0.1]), st.booleans())
def test_it_is_never_worse_than_nothing(shape, fraction, positive):
    n, p, seed = shape
    X, y = make(n, 2 * p, seed)
    X[:, p:] = X[:, :p] + 1e-6 * X[:, p:]  # rounding is in the way
    alpha = fraction * top(X, y, positive)
    one, b = fit(X, y, alpha, positive=positive)
    assert objective(X, y, alpha, one.coef, b) <= np.std(y) * (1 + 1e-9)
    assert one.gap <= 1


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.6])
def test_it_is_the_lasso_at_alpha_sigma(fraction):
    X, y = make(60, 20)
    alpha = fraction * top(X, y)
    one, b = fit(X, y, alpha)
    lasso = Lasso(alpha * one.sigma, tol=1e-15, max_iter=10**6).fit(X, y)
    assert_allclose(one.coef, lasso.coef_, atol=1e-8)
    assert_allclose(b, lasso.intercept_, atol=1e-8)


@given(shapes, fractions, st.sampled_from([0.25, 1024.0, 2.0**300, 2.0**-300]))
def test_scaling_y_scales_coefficients_to_the_bit(shape, fraction, c):
    X, y = make(*shape)
    alpha = fraction * top(X, y)
    one, two = fit(X, y, alpha)[0], fit(X, c * y, alpha)[0]
    assert_array_equal(c * one.coef, two.coef)
    assert_allclose(c * one.sigma, two.sigma)


@given(shapes, fractions, st.sampled_from([0.25, 1024.0, 2.0**300, 2.0**-300]))
def test_scaling_x_and_alpha_divides_coefficients_to_the_bit(shape, fraction, c):
    X, y = make(*shape)
    alpha = fraction * top(X, y)
    one, two = fit(X, y, alpha)[0], fit(c * X, y, c * alpha)[0]
    assert_array_equal(one.coef, c * two.coef)


@pytest.mark.parametrize("sparse", [True, False])
def test_zero_from_alpha_max_on_and_not_below(sparse):
    X, y = make(30, 50)
    X = sp.csc_array(X) if sparse else X
    largest = top(X, y)
    assert not fit(X, y, largest * (1 + 1e-12))[0].coef.any()
    assert np.count_nonzero(fit(X, y, largest * (1 - 1e-6))[0].coef) == 1


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_storage_does_not_matter(order, dtype):
    X, y = make(40, 300)
    X = X.astype(dtype)
    alpha = 0.3 * top(X.astype(np.float64), y)
    dense = fit(np.asarray(X, order=order), y, alpha)[0]
    sparse = fit(sp.csc_array(X.astype(np.float64)), y, alpha)[0]
    assert_allclose(dense.coef, sparse.coef, atol=1e-9)


def test_a_sparse_design_is_centred_without_being_made_dense():
    X = sp.random_array((300, 4000), density=0.01, format="csc", rng=0)
    y = X[:, :3].sum(axis=1) + 0.01 * np.random.default_rng(0).standard_normal(300)
    alpha = 0.4 * top(X, y)
    one, two = fit(X, y, alpha)[0], fit(X.toarray(), y, alpha)[0]
    assert_allclose(one.coef, two.coef, atol=1e-9)


@pytest.mark.parametrize("kind", ["exact", "interpolating", "zero alpha"])
@pytest.mark.parametrize("shape", [(15, 40), (40, 15), (20, 400)])
def test_vanishing_residuals_are_solved_and_certified(shape, kind):
    X, y = make(*shape, noise=0.0 if kind == "exact" else 0.3)
    largest = top(X, y)
    alpha = {"exact": 0.3, "interpolating": 0.01, "zero alpha": 0.0}[kind] * largest
    one, _b = fit(X, y, alpha, tol=1e-8)
    assert one.gap <= 1e-8
    if shape[0] < shape[1]:
        assert one.sigma <= 1e-7 * np.std(y)
        assert np.count_nonzero(one.coef) < shape[0]
    if kind == "zero alpha" and shape[0] > shape[1]:
        A = np.column_stack([X, np.ones(len(y))])
        assert_allclose(one.coef, np.linalg.lstsq(A, y)[0][:-1], rtol=1e-5)


@pytest.mark.parametrize("positive", [True, False])
@given(st.integers(0, 10**6), st.floats(0.02, 0.9))
def test_a_target_without_noise_is_fitted_like_one_with_next_to_none(
    positive, seed, fraction
):
    rng = np.random.default_rng(seed)
    X, w, noise = rng.standard_normal((40, 6)), np.zeros(6), rng.standard_normal(40)
    w[:3] = rng.uniform(-1, 1, 3)
    alpha = fraction * top(X, X @ w)
    one, two = (
        fit(X, X @ w + size * noise, alpha, positive=positive, tol=1e-8)[0]
        for size in (0.0, 1e-6)
    )
    assert max(one.gap, two.gap) <= 1e-8
    assert_allclose(one.coef, two.coef, atol=1e-4)


def test_interpolation_is_that_of_smallest_l1_norm():
    X, y = make(15, 40)
    one, _ = fit(X, y, 1e-4 * top(X, y), tol=1e-12, intercept=False)
    w = cp.Variable(40)
    best = cp.Problem(cp.Minimize(cp.norm1(w)), [X @ w == y]).solve(solver="CLARABEL")
    assert_allclose(np.abs(one.coef).sum(), best, rtol=1e-7)


@given(st.integers(3, 18), st.floats(1.2, 4), st.integers(0, 10**6), st.booleans())
def test_without_penalty_rows_of_any_weight_are_met_by_least_l1_norm(
    n, wide, seed, dense
):
    rng = np.random.default_rng(seed)
    X = rng.random((n, int(wide * n)))
    y, weights = rng.integers(0, 3, n) + 0.5, rng.integers(0, 4, n)
    on = weights > 0
    assume(on.any())
    A = X if dense else sp.csc_array(X)
    one, _ = fit(A, y, 0.0, intercept=False, weights=weights, tol=1e-6)
    least = oracles.basis_pursuit(y[on], X[on].T)
    assert_allclose((X @ one.coef)[on], y[on], rtol=1e-9)
    # 1e-12 of the objective is 1e-4 of its penalty, whose factor is 1e-8
    assert_allclose(np.abs(one.coef).sum(), least, rtol=1e-4)


@pytest.mark.parametrize(
    "columns",
    [
        lambda X: np.repeat(X, 2, axis=1),
        lambda X: np.hstack([X, -X]),
        lambda X: np.hstack([X, np.full((len(X), 2), 7.0), np.zeros((len(X), 1))]),
        lambda X: np.hstack([X, X[:, :2] @ np.ones((2, 1))]),
        np.sign,
    ],
    ids=["twice", "mirrored", "constant", "dependent", "ties"],
)
@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.3])
def test_degenerate_columns_do_no_harm(columns, fraction):
    X, y = make(20, 12)
    X = columns(X)
    one, _ = fit(X, y, fraction * top(X, y), tol=1e-7)
    assert one.gap <= 1e-7
    assert np.all(np.isfinite(one.coef))


@pytest.mark.parametrize("y", [np.zeros(9), np.full(9, 0.1), np.full(9, 1e200)])
def test_a_constant_target_has_no_coefficients(y):
    one, b = fit(make(9, 4)[0], y, 1e-3)
    assert not one.coef.any()
    assert one.gap == 0
    assert_allclose(b, y[0])


def test_a_path_is_the_same_as_its_points():
    X, y = make(40, sized(400, 60))
    alphas = top(X, y) * np.geomspace(1, 0.01, 12)
    design = design_of(X, equal_weights(X), True)
    along, _ = regress(design, y, alphas, SolverOptions(False, 1e-10, 100))
    for alpha, point in zip(alphas, along, strict=True):
        assert_allclose(point.coef, fit(X, y, alpha)[0].coef, atol=1e-6)
        assert point.gap <= 1e-9


def test_a_warm_start_ends_where_a_cold_one_does():
    X, y = make(50, 80)
    alpha = 0.2 * top(X, y)
    cold = fit(X, y, alpha)[0]
    design = design_of(X, equal_weights(X), True)
    start = np.random.default_rng(1).standard_normal(80)
    (warm,), _ = regress(design, y, [alpha], SolverOptions(False, 1e-9, 100), start)
    assert_allclose(warm.coef, cold.coef, atol=1e-8)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("fraction", [0.0, 0.1])
def test_a_warm_start_is_left_where_no_column_helps(fraction, positive):
    X = np.array([[1.0, 1, 1, 1, 0, 0, 0, 0]]).T
    y = np.array([0.0, 0, 0, 0, -1, -1, -1, -1])  # orthogonal, and it was 0.677
    design = design_of(X, np.full(8, 1 / 8), False)
    options = SolverOptions(positive, 1e-6, 100)
    (fit,), _ = regress(design, y, [fraction], options, np.array([0.677]))
    assert_array_equal(fit.coef, 0.0)
    assert fit.gap == 0.0
    assert_allclose(fit.sigma, np.sqrt(0.5))


@pytest.mark.parametrize("factor", [1e150, 1e-150])
def test_extreme_scales_neither_overflow_nor_vanish(factor):
    X, y = make(20, 10)
    alpha = 0.2 * top(X, y)
    with np.errstate(all="raise", under="ignore"):
        one = fit(factor * X, y / factor, factor * alpha)[0]
    assert_allclose(factor * (factor * one.coef), fit(X, y, alpha)[0].coef, atol=1e-9)


@pytest.mark.parametrize("kind", [np.asarray, sp.csc_array, np.asfortranarray])
@pytest.mark.parametrize("positive", [False, True])
def test_the_first_of_equal_columns_takes_the_coefficient_of_all(kind, positive):
    for seed, fraction in enumerate((0.5, 0.1, 0.01)):
        X, y = make(60, 120, seed)
        X *= np.random.default_rng(seed).random(X.shape) < 0.5
        copies = np.random.default_rng(seed).permutation(np.repeat(np.arange(120), 3))
        alpha = fraction * top(X, y, positive)
        alone, b = fit(X, y, alpha, positive=positive)
        many, of_many = fit(kind(X[:, copies]), y, alpha, positive=positive)
        assert many.gap <= 1e-8
        first = np.unique(copies, return_index=True)[1]
        assert_allclose(many.coef[first], alone.coef, atol=1e-7)
        assert_allclose(of_many, b, atol=1e-7)
        assert not np.delete(many.coef, first).any()


@pytest.mark.parametrize("kind", [np.asarray, sp.csc_array])
def test_pairs_of_columns_are_equal_where_all_entries_are(kind):
    X, _ = make(9, 4)
    X[:, 1], X[:, 3] = X[:, 0], X[:, 2]
    X[4, 3] = np.nextafter(X[4, 2], np.inf)
    design = design_of(kind(X), equal_weights(X), True)
    one, other = np.array([0, 0, 2, 1]), np.array([1, 2, 3, 0])
    assert design.are_equal(one, other).tolist() == [True, False, False, True]


def test_of_equal_columns_one_of_the_least_penalty_is_used():
    X, y = make(60, 120)
    twice = np.hstack([X, X])
    design = design_of(twice, equal_weights(X), True)
    design.load(np.repeat([2.0, 1.0], 120))
    alpha = 0.05 * regression_alpha_max(design, y, False)
    (one,), _ = regress(design, y, [alpha], SolverOptions(False, 1e-9, 100))
    assert one.gap <= 1e-8
    assert not one.coef[:120].any()
    assert_allclose(one.coef[120:], fit(X, y, alpha)[0].coef, atol=1e-7)


@pytest.mark.parametrize("positive", [False, True])
def test_where_the_residual_has_vanished_all_smaller_penalties_are_solved(positive):
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((12, 40)), np.abs(rng.standard_normal(40))
    design, options = design_of(X, np.full(12, 1 / 12), True), (1e-9, 100)
    y = design.target(X @ w).vector

    def regression():
        return Regression(design, y, positive)

    alphas = np.append(regression().alpha_max * np.geomspace(1, 1e-9, 40), 0.0)
    fits = list(regression().solve_each(alphas, *options))
    shared = [one.values is other.values for one, other in pairwise(fits)]
    assert sum(shared) > 20
    for alpha, fit in zip(alphas, fits, strict=True):
        alone = regression().solve(alpha, *options)
        assert max(fit.gap, alone.gap) <= options[0]
        assert_allclose(fit.coef, alone.coef, atol=1e-6 * np.abs(alone.coef).max())
        assert_allclose(fit.sigma, alone.sigma, atol=1e-7)
