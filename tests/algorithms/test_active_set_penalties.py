"""Paths on Gram matrices against the active-set path on the columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_sqrtlasso.algorithms.active_set import follow_gram_path
from tests.oracles import path_violations

FALLING = np.array([1.2, 0.6, 0.2, 0.03])


def columns(seed, n=20, p=6):
    """Return columns, of which one is zero, and a target, all of norm one."""
    X, y = np.random.default_rng(seed).standard_normal((n, p + 1)), None
    X[:, :p] += X[:, [p]]
    X /= np.linalg.norm(X, axis=0)
    X, y = X[:, :p], X[:, p]
    X[:, 2] = 0.0
    return X, y


def follow(X, y, penalties, positive):
    """Return penalties, solutions, and least squares on their supports."""
    alphas, (coef, least) = FALLING * np.abs(X.T @ y).max(), np.zeros((2, 4, 6))
    given = X.T @ X, X.T @ y, penalties, alphas, positive, 100
    assert follow_gram_path(*given, coef, least) == len(alphas)
    return alphas, coef, least


@pytest.mark.parametrize("positive", [False, True])
@given(st.integers(0, 10**6))
def test_no_feasible_direction_descends_from_a_solution(positive, seed):
    X, y = columns(seed)
    penalties = np.random.default_rng(seed).uniform(0.5, 1, 6)
    alphas, *solutions = follow(X, y, penalties, positive)
    bounds = np.outer(alphas, penalties)
    of_coef, of_least = path_violations(X, y, bounds, *solutions, positive)
    assert of_coef.max() <= 1e-9
    assert of_least.max() <= 1e-8
    assert not solutions[0][:, 2].any()
