"""Lasso paths end where the optimality conditions hold, and codes are unique."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.algorithms.lasso_path import (
    allocate,
    combine,
    energy_left,
    follow_lasso_paths,
)
from tests import oracles
from tests.problems import general, largest_penalty, problems

each_lasso = pytest.mark.parametrize("root", [False, True], ids=["lasso", "root"])
each_sign = pytest.mark.parametrize("positive", [False, True])
each_screening = pytest.mark.parametrize("screen", [False, True])


def follow(X, D, alpha, root, positive=False, screen=False):
    """Return codes, directions of the residuals, and least squares."""
    G, C = D @ D.T, np.ascontiguousarray(X @ D.T)
    Z, fit, dual = np.full_like(C, np.nan), np.full_like(C, 7), np.full_like(X, np.nan)
    of_rows = np.full(len(X), alpha)
    given, arrays = (X, D, G, C, of_rows, root, positive, screen), allocate(*D.shape)
    follow_lasso_paths(*given, Z, fit, dual, arrays)
    return Z, dual, fit


def violations(X, Z, D, alpha, root, positive):
    """Return violations of optimality relative to the largest correlation."""
    for x, z in zip(X, Z, strict=True):
        left, largest = np.linalg.norm(x - z @ D), np.abs(D @ x).max()
        mu = alpha * left if root else alpha
        yield oracles.lasso_violation(x, z, D, mu, positive) / (largest or 1.0)


@each_lasso
@given(problems, st.floats(0.01, 1.5), st.booleans())
def test_a_path_ends_where_the_optimality_conditions_hold(
    root, problem, share, positive
):
    D, X = problem
    alpha = share * largest_penalty(D, X, root)
    Z, *_ = follow(X, D, alpha, root, positive)
    assert max(violations(X, Z, D, alpha, root, positive)) <= 1e-8


@each_lasso
@each_sign
@each_screening
def test_codes_are_those_of_coordinate_descent(root, positive, screen):
    D, X = general(n_rows=5, n_components=8)
    alpha = 0.3 * largest_penalty(D, X, root)
    best = [oracles.descend(x, D, alpha, root, positive, 300) for x in X]
    ours, *_ = follow(X, D, alpha, root, positive, screen)
    assert 0 < np.count_nonzero(ours) < ours.size
    # sweeps end at a step of 1e-9 or less
    assert_allclose(ours, best, atol=1e-7)


@each_lasso
@each_sign
def test_without_a_penalty_rows_are_met_by_the_smallest_codes(root, positive):
    D, _ = general()
    X = np.abs(np.random.default_rng(0).standard_normal((5, 20))) @ D
    Z, *_ = follow(X, D, 0.0, root, positive)
    assert_allclose(Z @ D, X, atol=1e-9)
    smallest = [oracles.basis_pursuit(x, D, positive) for x in X]
    assert_allclose(np.abs(Z).sum(axis=1), smallest, rtol=1e-8)


@each_lasso
@each_sign
@each_screening
def test_codes_are_zero_from_the_largest_penalty_on_and_not_below(
    root, positive, screen
):
    D, X = general()
    for x in X:
        top = (D @ x).max() if positive else np.abs(D @ x).max()
        top = top / np.linalg.norm(x) if root else top
        above, below = (
            follow(x[None], D, share * top, root, positive, screen)[0]
            for share in (1 + 1e-9, 1 - 1e-6)
        )
        assert not above.any()
        assert np.count_nonzero(below) == 1


@each_lasso
@given(problems, st.floats(0.01, 1.0), st.booleans())
def test_codes_use_no_more_atoms_than_a_row_has_features(
    root, problem, share, positive
):
    D, X = problem
    Z, *_ = follow(X, D, share * largest_penalty(D, X, root), root, positive)
    assert (np.count_nonzero(Z, axis=1) <= X.shape[1]).all()
    assert not positive or (Z >= 0).all()


@each_lasso
def test_watching_near_atoms_only_changes_nothing_in_general(root):
    D, X = general(n_components=60)
    alpha = 0.05 * largest_penalty(D, X, root)
    near, all_of_them = (follow(X, D, alpha, root, screen=s)[0] for s in (True, False))
    assert_allclose(near, all_of_them, atol=1e-10)


@each_lasso
def test_the_dual_direction_is_the_residual(root):
    D, X = general(n_components=8)  # too few to meet a row
    Z, dual, _ = follow(X, D, 0.2 * largest_penalty(D, X, root), root)
    assert_allclose(dual, X - Z @ D, atol=1e-12)


def test_the_dual_direction_is_known_where_the_residual_is_lost():
    D, _ = general(n_components=6, n_features=6)
    signs = np.array([1.0, -1, 1, 1, -1, 1])
    X = (2 * signs * np.ones((3, 6))) @ D
    Z, dual, _ = follow(X, D, 1e-9, root=True)
    assert_allclose(Z, 2 * signs * np.ones((3, 6)), rtol=1e-6)
    c = dual @ D.T
    assert_allclose(c / np.abs(c).max(), np.tile(signs, (3, 1)), rtol=1e-6)


@each_lasso
@pytest.mark.parametrize("scale", [2.0**-200, 2.0**-7, 2.0**200])
def test_scaling_a_row_scales_its_code(root, scale):
    D, X = general()
    alpha, unit = 0.2 * largest_penalty(D, X, root), 1.0 if root else scale
    Z, *_ = follow(X, D, alpha, root)
    assert_array_equal(follow(scale * X, D, unit * alpha, root)[0], scale * Z)


@each_lasso
@each_screening
@given(problems, st.floats(0.01, 1.0), st.booleans())
def test_least_squares_are_those_on_the_support_or_not_known(
    root, screen, problem, share, positive
):
    D, X = problem
    alpha = share * largest_penalty(D, X, root)
    Z, _, fit = follow(X, D, alpha, root, positive, screen)
    for x, z, best in zip(X, Z, fit, strict=True):
        if np.isnan(best[0]):
            continue
        assert_array_equal(best != 0, z != 0)
        support, left = np.flatnonzero(z), x - best @ D
        least = oracles.least_squares(x, D, support)
        assert_allclose(left, x - least @ D, atol=1e-7 * np.linalg.norm(x))


@each_lasso
@each_sign
def test_least_squares_are_known_in_general(root, positive):
    D, X = general(n_rows=200, n_components=30)
    Z, _, fit = follow(X, D, 0.2 * largest_penalty(D, X, root), root, positive)
    best = [
        oracles.least_squares(x, D, np.flatnonzero(z))
        for x, z in zip(X, Z, strict=True)
    ]
    assert_allclose(fit, best, atol=1e-10)


@pytest.mark.parametrize("k", range(10))
def test_rows_are_combined_with_their_weights(k):
    rng = np.random.default_rng(k)
    A, base, w = rng.standard_normal((12, 5)), np.arange(5.0), rng.standard_normal(12)
    rows, v = rng.permutation(12), np.full(5, np.nan)
    combine(base, A, rows, w, -0.5, k, v)
    assert_allclose(v, base - 0.5 * w[:k] @ A[rows[:k]], atol=1e-13)


def test_the_energy_left_is_that_of_the_residual_it_writes():
    D, X = general()
    z, active, r = np.array([1.0, -2.0, 3.0]), np.array([4, 0, 7]), np.empty(12)
    energy = energy_left(X[0], D, active, z, 3, r)
    assert_allclose(r, X[0] - z @ D[active], atol=1e-13)
    assert_allclose(energy, r @ r)
