"""Regressions on columns of any scale and offset, judged by others than our gap.

Witnesses are a conic solver on columns that are centred and scaled in extended
precision, and the objective in extended precision, for the problem as it was given.
"""

import warnings

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.regression.certificate import Span, value_without_penalties
from sklearn_sqrtlasso.regression.designs import design_of
from sklearn_sqrtlasso.regression.solver import (
    SolverOptions,
    regress,
    regression_alpha_max,
)
from tests import sized

LONG = np.longdouble
FORMS = {"dense": np.asarray, "by columns": np.asfortranarray, "sparse": sp.csc_array}
WITNESS = 1e-9  # accuracy of the conic solver, relative to the objective at zero

each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def columns_of(X, y, weights, intercept):
    """Return weights, columns and target, centred in extended precision."""
    v = weights.astype(LONG) / weights.astype(LONG).sum()
    A, b = X.astype(LONG), y.astype(LONG)
    for _ in range(2 if intercept else 0):
        A, b = A - v @ A, b - v @ b
    return v, A, b


def objective(X, y, alpha, w, weights, intercept):
    v, A, b = columns_of(X, y, weights, intercept)
    w = np.asarray(w, dtype=LONG)
    return np.sqrt(v @ (b - A @ w) ** 2) + LONG(alpha) * np.abs(w).sum()


def conic(X, y, alpha, weights, intercept, positive):
    """Return coefficients by a conic solver, in columns of norm one."""
    v, A, b = columns_of(X, y, weights, intercept)
    norms, size = np.sqrt(v @ A**2), np.sqrt(v @ b**2)
    on = np.flatnonzero(norms > LONG(alpha))  # others have no coefficient
    w = np.zeros(X.shape[1], dtype=LONG)
    if len(on) and size > 0:
        D = (np.sqrt(v)[:, None] * A[:, on] / norms[on]).astype(float)
        share = (LONG(alpha) / norms[on]).astype(float)
        z = cp.Variable(len(on), nonneg=positive)
        r = (np.sqrt(v) * b / size).astype(float) - D @ z
        goal = cp.Minimize(cp.norm(r) + np.where(share < 1e-25, 0, share) @ cp.abs(z))
        exact = {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # asked for more than it can
            cp.Problem(goal).solve(solver="CLARABEL", **exact)
        w[on] = np.asarray(z.value, dtype=LONG) * size / norms[on]
    return np.maximum(w, 0) if positive else w


def hostile(seed):
    """Return a regression whose columns differ in scale, offset and dependence."""
    rng = np.random.default_rng(seed)
    n, p = rng.integers(3, 14), rng.integers(2, 14)
    X = rng.standard_normal((n, p))
    X = np.rint(2 * X) / 2 if rng.random() < 0.3 else X
    if rng.random() < 0.3:
        X[:, 1] = X[:, 0] * rng.choice([1, -1])
    if rng.random() < 0.3 and p > 3:
        X[:, 2] = X[:, 0] + X[:, 3]
    y = X[:, :2].sum(axis=1) + rng.choice([0, 0.1, 1]) * rng.standard_normal(n)
    X *= rng.random((n, p)) < rng.choice([0.5, 1])
    reach = rng.choice([0, 2, 12, 250])
    X *= 10.0 ** rng.integers(-reach, reach + 1, p)
    if rng.random() < 0.3:
        j = rng.integers(p)
        X[:, j] += 10.0 ** rng.integers(1, 10) * np.abs(X[:, j]).max()
    y = (y + rng.choice([0, 1e6])) * 10.0 ** rng.integers(-30, 31)
    weights = rng.integers(0, 4, n) + (np.arange(n) == 0.0)
    norms = np.abs(X).max(axis=0)
    size = np.median(norms[norms > 0]) if norms.any() else 1.0
    alpha = size * rng.choice([0, 1e-10, 1e-6, 1e-3, 0.03, 0.1, 0.3])
    return X, y, float(alpha), weights.astype(float), *(rng.random(2) < [0.6, 0.3])


def solve(form, X, y, alpha, weights, intercept=True, positive=False):
    on = weights > 0
    design = design_of(form(X[on]), weights[on] / weights.sum(), bool(intercept))
    options = SolverOptions(bool(positive), 1e-6, 100)
    (one,), (b,) = regress(design, y[on], [alpha], options)
    return one, b


def excess(X, y, alpha, w, weights, intercept, positive):
    """Return by how much an objective exceeds that of the witness, and 1 if at zero."""
    others = conic(X, y, alpha, weights, intercept, positive)
    ours, theirs, zero = (
        objective(X, y, alpha, v, weights, intercept) for v in (w, others, 0 * others)
    )
    return float((ours - min(theirs, zero)) / zero) if zero > 0 else 0.0


@settings(max_examples=sized(300, 60))
@given(st.integers(0, 10**6), st.sampled_from(sorted(FORMS)))
def test_no_reported_gap_is_smaller_than_the_excess_over_a_witness(seed, form):
    X, y, alpha, weights, intercept, positive = hostile(seed)
    one, _ = solve(FORMS[form], X, y, alpha, weights, intercept, positive)
    found = excess(X, y, alpha, one.coef, weights, intercept, positive)
    assert found <= one.gap + WITNESS


@settings(max_examples=sized(200, 40))
@given(
    st.integers(0, 10**6),
    st.sampled_from([2, 12, 250]),
    st.sampled_from([1e-3, 0.03, 0.1, 0.3]),
    st.sampled_from(sorted(FORMS)),
    st.booleans(),
    st.booleans(),
)
def test_columns_of_any_scale_are_solved(seed, reach, share, form, intercept, positive):
    rng = np.random.default_rng(seed)
    n, p = rng.integers(8, 16), rng.integers(2, 7)
    X, weights = rng.standard_normal((n, p)), np.ones(n)
    y = X[:, :2].sum(axis=1) + 0.3 * rng.standard_normal(n)
    X *= 10.0 ** rng.integers(-reach, reach + 1, p)
    alpha = float(share * rng.choice(np.abs(X).max(axis=0)))
    one, _ = solve(FORMS[form], X, y, alpha, weights, intercept, positive)
    assert one.gap <= 1e-6
    assert excess(X, y, alpha, one.coef, weights, intercept, positive) <= 1e-6


def usual(n=60):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 4))
    return X, X @ [1.0, -2.0, 1.7, 3.0] + 0.1 * rng.standard_normal(n)


@each_form
def test_a_column_of_extreme_scale_hides_no_other(form):
    X, y = usual()
    X[:, 3] *= 1e10
    one, _ = solve(form, X, y, 0.1, np.ones(60))
    assert one.gap <= 1e-9
    assert_allclose(one.coef[:3], [0.981456, -1.993376, 1.700331], atol=1e-6)
    assert excess(X, y, 0.1, one.coef, np.ones(60), True, False) <= WITNESS
    # three coefficients were zero, and the objective was 2.64
    assert_allclose(objective(X, y, 0.1, one.coef, np.ones(60), True), 0.573133838)


@settings(max_examples=sized(200, 40))
@given(
    st.integers(0, 10**6),
    st.sampled_from(["rows", "entry", "twin rows"]),
    st.sampled_from([0.0, 0.01, 0.1, 1.0]),
    st.sampled_from(sorted(FORMS)),
    st.booleans(),
    st.booleans(),
)
def test_rows_of_any_size_have_the_gap_that_is_reported(
    seed, kind, alpha, form, intercept, positive
):
    rng = np.random.default_rng(seed)
    n, p = rng.integers(3, 14), rng.integers(1, 9)
    X, y = rng.standard_normal((n, p)), rng.standard_normal(n)
    if kind == "rows":
        X = np.rint(2 * X) * 10.0 ** rng.uniform(-290, 290, (n, 1))
    elif kind == "entry":
        X[0, 0] = 1e299
    else:
        X = X[np.arange(n) // 2] * 10.0 ** rng.uniform(-8, 8, p)
    weights = rng.integers(1, 4, n).astype(float)
    one, _ = solve(FORMS[form], X, y, alpha, weights, intercept, positive)
    found = excess(X, y, alpha, one.coef, weights, intercept, positive)
    assert found <= one.gap + WITNESS


@each_form
def test_a_penalty_for_usual_columns_is_not_that_of_a_huge_one(form):
    X, y = usual()
    X[0, 3] = 1e299
    one, _ = solve(form, X, y, 0.1, np.ones(60))
    assert one.gap <= 1e-9
    assert np.all(one.coef[1:] != 0)
    # the huge column fits its row, and has no share in the penalty
    C = np.eye(60)[:, :1] - 1 / 60
    alone, _ = solve(form, np.hstack([X[:, :3], 1e9 * C]), y, 0.1, np.ones(60))
    assert_allclose(one.coef[:3], alone.coef[:3], rtol=1e-6)
    assert excess(X, y, 0.1, one.coef, np.ones(60), True, False) <= WITNESS


@each_form
@given(
    st.integers(-1070, 1020),
    st.integers(-1000, 1000),
    st.integers(1, 5),
)
def test_constant_columns_of_any_size_are_zero(form, of_x, of_constant, n):
    X = np.random.default_rng(0).standard_normal((n, 3))
    X = np.ldexp(X, of_x)
    X[:, 1:] = np.ldexp([0.7, -0.3], [of_constant, -of_constant])
    design = design_of(form(X), np.full(n, 1 / n), True)
    assert_array_equal(design.norms[1:], 0.0)
    assert np.isfinite(design.norms).all()
    assert np.isfinite(design.means).all()
    assert_array_equal(design.correlate(np.ones(n))[1:], 0.0)


@each_form
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_coefficient_that_is_a_rounding_error_may_vanish(form, dtype):
    X, y = usual()
    tiny = float(np.finfo(dtype).tiny)
    X = (X * (1e-2 / tiny) ** 0.999).astype(dtype)
    design = design_of(form(X), np.full(60, 1 / 60), True)
    largest = regression_alpha_max(design, y, False)
    options = SolverOptions(False, 1e-6, 100)
    shares = [1.0, 1 - 1e-15, 1 - 1e-14, 1 - 1e-12]
    fits, _ = regress(design, y, [share * largest for share in shares], options)
    for share, fit in zip(shares, fits, strict=True):
        w, given = fit.coef.astype(dtype), (X, y, share * largest)
        found = excess(*given, w, np.ones(60), True, False)
        assert found <= fit.gap + WITNESS


def test_powers_of_a_large_number_are_solved():
    x, rng = np.linspace(0, 1000, 50), np.random.default_rng(0)
    X = x[:, None] ** np.arange(1, 5)
    y = (x / 500 - 1) ** 3 + 0.05 * rng.standard_normal(50)
    one, _ = solve(np.asarray, X, y, 0.1, np.ones(50))
    assert one.gap <= 1e-6
    assert excess(X, y, 0.1, one.coef, np.ones(50), True, False) <= 1e-6


@each_form
@pytest.mark.parametrize("offset", [1e3, 1e7, 1.7e9, 1e12])
def test_an_offset_changes_the_intercept_only(form, offset):
    X, y = usual()
    moved = X.copy()
    moved[:, 0] += offset
    X[:, 0] = moved[:, 0] - offset  # what is left of it
    (one, b), (two, c) = (solve(form, A, y, 0.1, np.ones(60)) for A in (X, moved))
    assert_allclose(two.coef, one.coef, atol=1e-9)
    assert_allclose(c, b - offset * one.coef[0], rtol=1e-9)


@each_form
@pytest.mark.parametrize("offset", [1e7, 1e12])
def test_an_offset_of_the_target_changes_the_intercept_only(form, offset):
    X, y = usual()
    y = (y + offset) - offset
    (one, b), (two, c) = (solve(form, X, t, 0.1, np.ones(60)) for t in (y, y + offset))
    assert_allclose(two.coef, one.coef, atol=1e-9)
    assert_allclose(c, b + offset, rtol=1e-15)


@given(
    st.lists(st.integers(-200, 200), min_size=4, max_size=4),
    st.integers(-300, 300),
    st.integers(-300, 300),
    st.sampled_from([0.0, 0.03]),
)
def test_powers_of_two_of_columns_and_target_change_no_digit(sizes, of_x, of_y, share):
    X, y = usual(20)
    X, alpha = X * 2.0 ** np.array(sizes), share * 2.0 ** sizes[0]
    one, b = solve(np.asarray, X, y, alpha, np.ones(20))
    shifted = X * 2.0**of_x, y * 2.0**of_y, alpha * 2.0**of_x
    two, c = solve(np.asarray, *shifted, np.ones(20))
    assert_array_equal(np.ldexp(two.coef, of_x - of_y), one.coef)
    assert (c, two.gap) == (b * 2.0**of_y, one.gap)


@each_form
@pytest.mark.parametrize("of_y", [1e-300, 1.0, 1e300])
@pytest.mark.parametrize("of_x", [1e-320, 1e-310, 1e-300, 1e-150, 1.0, 1e150, 1e300])
def test_a_fit_is_right_at_every_scale_or_says_what_is_out_of_range(form, of_x, of_y):
    X, y = usual()
    alpha = 0.1 * of_x
    size = np.log10(of_y) - np.log10(of_x)
    if abs(size) > 307:
        with pytest.raises(
            ValueError, match=r"coefficient .* out of the range of float64"
        ):
            solve(form, X * of_x, y * of_y, alpha, np.ones(60))
        return
    one, _ = solve(form, X * of_x, y * of_y, alpha, np.ones(60))
    X, alpha = (X * of_x) / LONG(of_x), alpha / LONG(of_x)  # as it was rounded
    two, _ = solve(np.asarray, X.astype(float), y, float(alpha), np.ones(60))
    found = one.coef.astype(LONG) * LONG(of_x) / LONG(of_y)
    assert_allclose(found.astype(float), two.coef, rtol=1e-9)
    assert one.gap <= 1e-12


def test_without_a_penalty_the_gap_is_that_of_least_squares():
    X, y = usual()
    for A in (X, np.hstack([X, X[:, :2]]), np.hstack([X, X @ np.ones((4, 1))])):
        one, b = solve(np.asarray, A, y, 0.0, np.ones(60))
        C = np.column_stack([X, np.ones(60)])
        best = np.linalg.norm(y - C @ np.linalg.lstsq(C, y)[0])
        ours = np.linalg.norm(y - A @ one.coef - b)
        assert (ours - best) / np.linalg.norm(y - y.mean()) <= one.gap + 1e-14
        assert one.gap <= 1e-12


@given(st.integers(0, 10**6), st.booleans())
def test_a_corrected_vector_has_the_correlations_it_was_to_have(seed, twins):
    rng = np.random.default_rng(seed)
    X, theta, w = rng.standard_normal((12, 5)), *rng.standard_normal((2, 12))
    X[:, 4] = X[:, 0] if twins else X[:, 4]
    design = design_of(X, np.full(12, 1 / 12), False)
    goal = np.where(np.arange(5) % 4, w[:5], 0.0)
    moved = Span(design, np.arange(5)).correct(theta, goal)
    assert_allclose(design.correlate(moved), goal, atol=1e-12)
    kept = theta - moved  # is in the span
    A = X @ np.linalg.pinv(X)
    assert_allclose(A @ kept, kept, atol=1e-12)


@each_form
@pytest.mark.parametrize("n", [15, 90])
def test_directions_that_products_have_lost_are_found_in_the_columns(form, n):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 2)) @ rng.standard_normal((2, 80))
    X += 1e-9 * rng.standard_normal(X.shape)
    design = design_of(form(X), np.full(n, 1 / n), True)
    theta = rng.standard_normal(n)
    theta -= theta.mean()
    moved = Span(design, np.arange(80)).correct(theta, np.zeros(80))
    X -= X.mean(axis=0)
    others = np.linalg.svd(X)[0][:, min(80, n - 1) : n]  # no column has a part there
    others -= others.mean(axis=0)
    assert_allclose(moved, others @ (others.T @ theta), atol=1e-5)


@given(st.integers(0, 10**6), st.booleans())
def test_no_lower_bound_is_above_the_minimum(seed, positive):
    rng = np.random.default_rng(seed)
    X, y, weights = rng.standard_normal((9, 4)), rng.standard_normal(9), np.ones(9)
    y /= np.linalg.norm(y)
    alpha = np.where(rng.random(4) < 0.5, 1e-9, 0.2)
    norms = np.sqrt(np.mean(X**2, axis=0))
    X = X / norms / alpha * 0.2  # one penalty for all
    design = design_of(X, np.full(9, 1 / 9), False)
    w = np.where(rng.random(4) < 0.7, rng.standard_normal(4), 0) * alpha / 0.2
    w = np.abs(w) if positive else w
    r, scale = y - X @ w / 3, np.ldexp(1.0, -design.exponents)
    value = value_without_penalties(
        design, y, r, 0.2 * scale, alpha < 1e-3, np.sign(w), positive
    )
    best = conic(X, 3 * y, 0.2, weights, False, positive)
    assert value <= float(objective(X, 3 * y, 0.2, best, weights, False)) + WITNESS


@each_form
def test_a_row_of_weight_zero_is_never_seen(form):
    X, y = usual()
    weights = np.r_[np.ones(60), 0.0]
    one, _ = solve(form, X, y, 0.1, np.ones(60))
    X, y = np.vstack([X, np.full(4, 1e300)]), np.append(y, -1e300)
    assert_array_equal(solve(form, X, y, 0.1, weights)[0].coef, one.coef)


@example(0)
@given(st.integers(0, 10**6))
def test_a_path_of_hostile_columns_has_the_gaps_of_its_points(seed):
    X, y, _, weights, intercept, positive = hostile(seed)
    on = weights > 0
    X, y, v = X[on], y[on], weights[on] / weights.sum()
    design = design_of(X, v, bool(intercept))
    norms = np.abs(X).max(axis=0)
    alphas = float(np.median(norms)) * np.array([0.3, 0.03, 1e-4])
    fits, _ = regress(design, y, alphas, SolverOptions(bool(positive), 1e-6, 100))
    for alpha, one in zip(alphas, fits, strict=True):
        found = excess(X, y, alpha, one.coef, weights[on], intercept, positive)
        assert found <= one.gap + WITNESS


@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray])
def test_an_entry_that_no_estimate_sees_hides_no_column(form):
    X, y = usual(2000)
    X[1001, 3] = 1e11  # the norm of the column is 2e9, that of most rows one
    y[1001] = 1.0
    one, _ = solve(form, X, y, 0.1, np.ones(2000))
    alone, _ = solve(
        form, np.delete(X, 1001, 0), np.delete(y, 1001), 0.1, np.ones(1999)
    )
    assert one.gap <= 1e-6
    assert excess(X, y, 0.1, one.coef, np.ones(2000), True, False) <= 1e-6
    assert np.abs(one.coef[:3]).min() > 0.5 * np.abs(alone.coef[:3]).min()


@given(st.integers(0, 10**6))
def test_a_warm_start_on_hostile_columns_ends_as_well(seed):
    X, y, alpha, weights, intercept, positive = hostile(seed)
    on = weights > 0
    X, y, v = X[on], y[on], weights[on] / weights.sum()
    design = design_of(X, v, bool(intercept))
    options = SolverOptions(bool(positive), 1e-6, 100)
    start = np.random.default_rng(seed).standard_normal(X.shape[1])
    start *= 10.0 ** np.random.default_rng(seed).integers(-300, 300)
    (one,), _ = regress(design, y, [alpha], options, start)
    found = excess(X, y, alpha, one.coef, weights[on], intercept, positive)
    assert found <= one.gap + WITNESS


@pytest.mark.parametrize("seed", range(5))
def test_a_gap_contains_what_rounding_of_an_intercept_costs(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((7, 1)) + 0.1 * rng.standard_normal((7, 8))
    X, y = X + 1e12 * np.linspace(1, 2, 8), rng.integers(-3, 4, 7).astype(float)
    design = design_of(X, np.full(7, 1 / 7), True)
    (fit,), (b,) = regress(design, y, [0.0], SolverOptions(False, 1e-3, 100))
    w = fit.coef.astype(LONG)
    excess = np.sqrt(np.mean((y - X.astype(LONG) @ w - LONG(b)) ** 2)) / np.std(y)
    assert 1e-5 < excess <= fit.gap < 0.1  # the columns span the target
