"""Duality gaps of lasso codes bound how much better any other code could be.

The kernel tries the residual as dual point, then a second direction that it is given.
Hence: suboptimality <= kernel's gap <= the twin's gap by either point, to rounding.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.algorithms.lasso_gap import ENOUGH, LEAST, lasso_gaps
from tests import oracles, sized
from tests.problems import general, largest_penalty, near_problems, problems

PENALTIES = [1e-3, 0.03, 0.1, 0.3, 0.7, 1.0, 1.5]  # of the largest
# Correlations are forgiven 1e-15 of the norms of atom and residual, which exceed the
# penalty by up to 1e5; relative to the objective, of the code or of a zero code.
ROUNDING = 1e-9

each_lasso = pytest.mark.parametrize("root", [False, True], ids=["lasso", "root"])
each_sign = pytest.mark.parametrize("positive", [False, True])
fractions, seeds = st.sampled_from(PENALTIES), st.integers(0, 10**6)


def gaps(X, D, Z, alpha, root, positive=False, dual=None):
    """Return the gap of each row, and the norm of its residual."""
    gap, norm = np.full((2, len(X)), np.nan)
    G, C = D @ D.T, np.ascontiguousarray(X @ D.T)
    dual, alpha = np.zeros_like(X) if dual is None else dual, np.full(len(X), alpha)
    arrays = np.empty(D.shape[1]), np.empty(len(D)), np.empty(len(D) + 1, np.int64)
    lasso_gaps(X, D, G, C, Z, dual, alpha, root, positive, gap, norm, arrays)
    return gap, norm


def objectives(X, Z, D, alpha, root):
    of_rows = zip(X, Z, strict=True)
    return np.array(
        [oracles.coding_objective(x, z, D, alpha, root) for x, z in of_rows]
    )


def sparse_codes(X, D, seed, positive=False):
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((len(X), len(D))) * (rng.random((len(X), len(D))) < 0.3)
    return np.abs(Z) if positive else Z


def not_zero(X):
    """Leave out rows of zeros: nothing is relative to their objective."""
    return X[X.any(axis=1)]


def penalty(D, X, root, share):
    return share * (largest_penalty(D, X, root) or 1.0)


@each_lasso
@given(problems | near_problems, fractions, st.booleans(), seeds)
def test_the_gap_is_that_of_the_better_dual_point(root, problem, share, positive, seed):
    D, X = problem[0], not_zero(problem[1])
    alpha, Z = penalty(D, X, root, share), sparse_codes(X, D, seed, positive)
    dual = np.random.default_rng(seed).standard_normal(X.shape)
    found, _ = gaps(X, D, Z, alpha, root, positive, dual)
    for x, z, y, ours in zip(X, Z, dual, found, strict=True):
        by_residual = oracles.lasso_gap(x, z, D, alpha, root, positive)
        best = min(by_residual, oracles.lasso_gap(x, z, D, alpha, root, positive, y))
        here, zero = objectives([x, x], [z, 0 * z], D, alpha, root)
        rounding = ROUNDING * max(1, here / zero)
        # a gap that is small enough is not looked at twice
        assert best - rounding <= ours <= max(best, ENOUGH) + rounding


@each_lasso
@given(problems, fractions, st.booleans(), seeds)
def test_no_code_is_better_than_a_gap_allows(root, problem, share, positive, seed):
    D, X = problem[0], not_zero(problem[1])
    alpha, Z = penalty(D, X, root, share), sparse_codes(X, D, seed, positive)
    n_sweeps = sized(20, 5)
    best = [oracles.descend(x, D, alpha, root, positive, n_sweeps) for x in X]
    here, there, zero = (objectives(X, c, D, alpha, root) for c in (Z, best, 0 * Z))
    for codes, values in ((Z, here), (np.array(best), there)):
        gap, _ = gaps(X, D, codes, alpha, root, positive)
        excess = values - np.minimum(here, there)
        assert (excess <= gap * zero + ROUNDING * (values + zero)).all()


@each_lasso
@each_sign
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_the_gap_closes_at_an_optimum_and_not_beside_it(root, positive, share):
    D, X = general(n_rows=6, n_components=8)
    alpha = penalty(D, X, root, share)
    Z = np.array([oracles.descend(x, D, alpha, root, positive, 300) for x in X])
    assert gaps(X, D, Z, alpha, root, positive)[0].max() <= 1e-9
    Z[:, 3] += 0.1
    assert gaps(X, D, Z, alpha, root, positive)[0].min() >= 1e-4


@each_lasso
@each_sign
def test_zero_codes_are_optimal_from_the_largest_penalty_on(root, positive):
    D, X = general()
    alpha, Z = largest_penalty(D, X, root), np.zeros((40, 20))
    assert_allclose(gaps(X, D, Z, alpha, root, positive)[0], 0, atol=ROUNDING)
    assert gaps(X, D, Z, 0.5 * alpha, root, positive)[0].max() > 0.01


@each_lasso
@each_sign
def test_a_second_dual_point_certifies_what_is_lost_in_rounding(root, positive):
    D, _ = general(n_components=6, n_features=6)
    Z = np.abs(sparse_codes(np.eye(6), D, 1)) + 1.0
    X, alpha = Z @ D, 1e-9
    dual = np.tile(np.linalg.solve(D, np.ones(6)), (6, 1))  # D y is the sign of z
    assert gaps(X, D, Z, alpha, root, positive)[0].min() >= 1e-10
    # forgiven is 1e-15 of each correlation, over a penalty of 1e-9
    assert gaps(X, D, Z, alpha, root, positive, dual)[0].max() <= 1e-5 * alpha


@each_lasso
def test_the_norm_is_that_of_the_residual(root):
    D, X = general()
    Z = sparse_codes(X, D, 0)
    norm = gaps(X, D, Z, 0.1, root)[1]
    assert_allclose(norm, np.linalg.norm(X - Z @ D, axis=1), rtol=1e-12)


@each_lasso
def test_penalties_below_the_least_are_certified_at_the_least(root):
    D, X = general()
    Z = sparse_codes(X, D, 0)
    for x, z in zip(X, Z, strict=True):
        least = LEAST * largest_penalty(D, x[None], root)
        shares = (0.0, 0.9, 1.0, 100.0)
        of = [gaps(x[None], D, z[None], a * least, root)[0][0] for a in shares]
        assert_allclose(of[:2], of[2], rtol=1e-12)
        assert of[3] != of[2]


@each_lasso
def test_a_row_of_zeros_has_no_gap(root):
    D, X = general()
    gap, norm = gaps(0 * X, D, 0 * sparse_codes(X, D, 0), 0.1, root)
    assert not gap.any()
    assert not norm.any()


@each_lasso
@pytest.mark.parametrize("scale", [2.0**-200, 2.0**-7, 2.0**200])
def test_a_gap_is_a_pure_number(root, scale):
    D, X = general()
    Z, unit = sparse_codes(X, D, 0), 1.0 if root else scale
    gap, norm = gaps(X, D, Z, 0.1, root)
    by_scale = gaps(scale * X, D, scale * Z, unit * 0.1, root)
    assert_array_equal(by_scale[0], gap)
    assert_array_equal(by_scale[1], scale * norm)


@pytest.mark.parametrize("root", [False, True])
def test_a_code_of_a_zero_row_is_zero_or_not_certified(root):
    D, X = np.eye(2), np.zeros((2, 2))
    Z, gap, norm = np.array([[0.0, 0.0], [1.0, 1.0]]), np.empty(2), np.empty(2)
    alpha = np.ones(2)
    arrays = np.empty(2), np.empty(2), np.empty(3, np.int64)
    lasso_gaps(X, D, D, X, Z, X, alpha, root, False, gap, norm, arrays)
    assert_array_equal(gap, [0, np.inf])
    assert_allclose(norm, [0, np.sqrt(2)])
