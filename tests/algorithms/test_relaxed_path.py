"""Relaxed solutions on supports, by their conditions, and one support after another."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.linear_model import lars_path

from sklearn_sqrtlasso.algorithms.relaxed_path import relax_on_supports

SHARES = np.array([1.0, 0.8, 0.5, 0.1, 0.0])


def solutions(seed, positive, p=12, n=40, common=3.0):
    """Return columns, a target, and lassos on the whole path, with their penalties."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + common * rng.standard_normal((n, 1))
    X /= np.linalg.norm(X, axis=0)
    y = X @ rng.standard_normal(p) + 0.3 * rng.standard_normal(n)
    if positive:
        y = np.abs(y)
    alphas, _, coef = lars_path(X, y, method="lasso", positive=positive)
    tau = np.sqrt(alphas[1:-1, None] * alphas[:-2, None]) * n * np.ones(p)
    share = (alphas[:-2] * n - tau[:, 0]) / ((alphas[:-2] - alphas[1:-1]) * n)
    coef = coef.T[:-2] + share[:, None] * (coef.T[1:-1] - coef.T[:-2])
    on = coef.any(axis=1)
    return X, y, coef[on], tau[on]


def relax(X, y, coef, tau, positive):
    out, done = np.zeros((len(SHARES), *coef.shape)), np.zeros(len(coef), dtype=bool)
    relax_on_supports(X.T @ X, X.T @ y, coef, tau, SHARES, positive, out, done)
    return out, done


@pytest.mark.parametrize("positive", [False, True])
@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_no_feasible_direction_within_the_support_descends(positive, seed):
    X, y, coef, tau = solutions(seed, positive)
    out, done = relax(X, y, coef, tau, positive)
    assert done.all()
    assert_allclose(out[0], coef, atol=1e-8)
    for share, of_share in zip(SHARES, out, strict=True):
        for w, start, t in zip(of_share, coef, tau, strict=True):
            pull, on = X.T @ (y - X @ w), start != 0
            assert not w[~on].any()
            assert_allclose(pull[w != 0], (share * t * np.sign(w))[w != 0], atol=1e-8)
            size = pull if positive else np.abs(pull)
            assert np.all(size[on] <= share * t[on] + 1e-8)
            assert not positive or np.all(w >= 0)


def test_signs_turn_in_these_problems():
    X, y, coef, tau = solutions(0, False)
    out, _ = relax(X, y, coef, tau, False)
    assert np.any(out[-1] * coef < 0)


@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_the_support_before_does_not_matter(seed):
    X, y, coef, tau = solutions(seed, False)
    together, _ = relax(X, y, coef, tau, False)
    order = np.random.default_rng(seed).permutation(len(coef))
    mixed, _ = relax(X, y, coef[order], tau[order], False)
    assert_allclose(mixed, together[:, order], atol=1e-9)


def test_dependent_columns_are_told():
    X, y, coef, tau = solutions(0, False)
    twins = np.column_stack([X, X[:, 0]])
    coef, tau = (np.column_stack([v, v[:, 0]]) for v in (coef, tau))
    assert coef[:, 0].any()
    _, done = relax(twins, y, coef, tau, False)
    assert np.all(done == (coef[:, 0] == 0))


def test_rounding_does_not_add_up():
    """Columns that hardly differ are taken in and left out many times."""
    X, y, coef, tau = solutions(1, False, common=3e2)
    many = np.tile(coef, (30, 1)), np.tile(tau, (30, 1))
    out, done = relax(X, y, *many, False)
    first, _ = relax(X, y, coef, tau, False)
    assert done.all()
    assert_allclose(out[:, -len(coef) :], first, rtol=1e-5, atol=1e-6)
