"""Bounds of gaps by products, against those of dual points in the rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.algorithms.moment_gaps import (
    LOST,
    bound_gaps,
    exact_gaps,
    penalty_and_worst,
)


@pytest.mark.parametrize("positive", [False, True])
@given(st.integers(0, 10**6), st.integers(1, 37))
def test_a_bound_is_the_gap_and_what_rounding_hides(positive, seed, p):
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((20, p + 1))
    Z /= np.linalg.norm(Z, axis=0)
    X, y, W = Z[:, :p], Z[:, p], rng.standard_normal((3, p)) / p
    W = np.abs(W) if positive else W
    alphas, penalties = rng.uniform(0.1, 1, 3), rng.uniform(0.5, 2, p)
    R, found = y - W @ X.T, np.empty((3, 3))
    given_ = W, R @ X, y @ X, alphas, penalties, positive
    bound_gaps(*given_, np.zeros(3), *found)
    for w, r, alpha, gap, square, lost in zip(W, R, alphas, *found, strict=True):
        c = np.maximum(X.T @ r, 0) if positive else np.abs(X.T @ r)
        scale = max(np.linalg.norm(r), np.max(c / (alpha * penalties)))
        theta = r / scale
        exact = np.linalg.norm(r) + alpha * penalties @ np.abs(w) - max(theta @ y, 0)
        assert_allclose(square, r @ r, atol=1e-13)
        assert_allclose(lost, LOST * (1 + np.abs(w).sum()) ** 2)
        assert exact <= gap <= exact + 1e-11
    before = found[0].copy()
    bound_gaps(*given_, np.full(3, 0.1), *found)
    assert np.all(found[0] > before)


@pytest.mark.parametrize("positive", [False, True])
@given(st.integers(0, 10**6), st.integers(1, 37))
def test_a_gap_of_residuals_is_that_of_the_definition(positive, seed, p):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((20, p)), rng.standard_normal(20)
    y /= np.linalg.norm(y)
    W = rng.standard_normal((3, p)) / p
    W = np.abs(W) if positive else W
    alphas, penalties = rng.uniform(0.1, 1, 3), rng.uniform(0.5, 2, p)
    R, found = y - W @ X.T, np.empty(3)
    sigmas = np.linalg.norm(R, axis=1)
    exact_gaps(W, R @ X, R @ y, sigmas, alphas, penalties, positive, found)
    for w, r, alpha, gap in zip(W, R, alphas, found, strict=True):
        c = np.maximum(X.T @ r, 0) if positive else np.abs(X.T @ r)
        theta = r / max(np.linalg.norm(r), np.max(c / (alpha * penalties)))
        exact = np.linalg.norm(r) + alpha * penalties @ np.abs(w) - max(theta @ y, 0)
        assert_allclose(gap, exact, atol=1e-13)
        penalty, worst = penalty_and_worst(w, X.T @ r, penalties, positive, 0.5)
        assert_allclose(penalty, penalties @ np.abs(w))
        assert_allclose(worst, np.max((c + 0.5) / penalties))


def test_products_that_are_no_numbers_have_no_bound():
    found, one = np.empty((3, 1)), np.ones(1)
    bound_gaps(
        0.5 * np.ones((1, 1)),
        np.full((1, 1), np.nan),
        one,
        one,
        one,
        False,
        0 * one,
        *found,
    )
    assert not found[0] <= 1.0
