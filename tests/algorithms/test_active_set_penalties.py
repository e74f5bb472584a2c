"""Paths on Gram matrices against the active-set path on the columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.algorithms.active_set import follow_gram_path, gap_of_moments

FALLING = np.array([1.2, 0.6, 0.2, 0.03])


def columns(seed, n=20, p=6):
    """Return columns, of which one is zero, and a target, all of norm one."""
    X, y = np.random.default_rng(seed).standard_normal((n, p + 1)), None
    X[:, :p] += X[:, [p]]
    X /= np.linalg.norm(X, axis=0)
    X, y = X[:, :p], X[:, p]
    X[:, 2] = 0.0
    return X, y


def follow(X, y, inverse, positive):
    alphas = FALLING * np.abs(X.T @ y).max()
    coef, gaps = np.empty((len(alphas), X.shape[1])), np.empty(len(alphas))
    given = X.T @ X, X.T @ y, inverse, alphas, positive
    follow_gram_path(*given, coef, gaps)
    return alphas, coef, gaps


@pytest.mark.parametrize("positive", [False, True])
@given(st.integers(0, 10**6))
def test_no_feasible_direction_descends_from_a_solution(positive, seed):
    X, y = columns(seed)
    inverse = np.random.default_rng(seed).uniform(0.5, 1, 6)
    inverse[2] = 0.0
    for alpha, w, gap in zip(*follow(X, y, inverse, positive), strict=True):
        r = y - X @ w
        pull, bound = X.T @ r / np.linalg.norm(r), alpha * inverse
        assert np.all((pull if positive else np.abs(pull)) <= bound + 1e-9)
        assert_allclose(pull[w != 0], (bound * np.sign(w))[w != 0], atol=1e-9)
        assert w[2] == 0
        assert w.min() >= 0 or not positive
        assert 0 <= gap <= 1e-10


@given(st.integers(0, 10**6), st.floats(0.05, 1))
def test_the_gap_is_that_of_the_rescaled_residual(seed, share):
    X, y = columns(seed)
    rng = np.random.default_rng(seed)
    w, alpha = rng.standard_normal(6) * share, rng.uniform(0.1, 1, 6)
    w[2] = 0.0
    r = y - X @ w
    c, sigma = X.T @ r, np.linalg.norm(r)
    dual = max(y @ r / max(sigma, (np.abs(c) / alpha).max()), 0.0)
    gap = gap_of_moments(w, X.T @ y, c, alpha, False)
    exact = sigma + alpha @ np.abs(w) - dual
    assert exact <= gap + 1e-15
    assert_allclose(gap, exact, rtol=1e-9)
