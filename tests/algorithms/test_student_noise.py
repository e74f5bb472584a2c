"""Noise levels of rows: rounds that never lower the bound, and its maximum."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from scipy.stats import multivariate_normal

from sklearn_sqrtlasso.algorithms.student_noise import first_levels, update_levels
from sklearn_sqrtlasso.models.gaussian_posterior import Posterior
from sklearn_sqrtlasso.models.gaussian_prior import NoiseOptions
from sklearn_sqrtlasso.models.student_noise import find_levels
from tests import sized

P, K, V, FLOOR = 12, 4, 0.05, 1e-10
N_ROWS = sized(32, 12)
RNG = np.random.default_rng(0)
BASIS = np.linalg.qr(RNG.standard_normal((P, P)))[0].T
LOADINGS = np.array([2.0, 1.5, 1.0, 0.5])[:, None] * BASIS[:K]
PRIOR = LOADINGS.T @ LOADINGS + V * np.eye(P)
DEGREES = [1.0, 4.0, np.inf]


def draw(seed=1, missing=0.0, outliers=0.0):
    rng = np.random.default_rng(seed)
    X = rng.multivariate_normal(np.zeros(P), PRIOR, N_ROWS)
    X += rng.choice([0.0, 0.3, 1.0, 3.0], (N_ROWS, 1)) * rng.standard_normal(X.shape)
    X[rng.random(X.shape) < outliers] += 50
    X[rng.random(X.shape) < missing] = np.nan
    return X


ROWS = {
    "complete": draw(),
    "missing": draw(missing=0.3),
    "outliers": draw(missing=0.1, outliers=0.1),
}
GROUPS = {"alone": np.arange(N_ROWS + 1), "groups": np.arange(0, N_ROWS + 1, 4)}
each_rows = pytest.mark.parametrize("X", ROWS.values(), ids=ROWS)
each_groups = pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
each_nu = pytest.mark.parametrize("nu", DEGREES)


def search(X, nu, groups=GROUPS["alone"], tol=0.0, max_iter=50, loadings=LOADINGS, v=V):
    """Return codes, noise, levels and changes."""
    prior = SimpleNamespace(loadings=loadings, residual_variance=v, floor=FLOOR)
    found = find_levels(X, groups, prior, NoiseOptions(nu, tol, max_iter))
    codes, unasked = np.empty((len(X), len(loadings))), np.empty((0, P))
    posterior, rows = Posterior(loadings, v), np.arange(len(X))
    posterior.write_moments(X, found[0], rows, codes, unasked)
    return codes, *found


def bounds(X, noise, level, nu, groups):
    """Return the bound of the likelihood of each group, from its definition."""
    values = []
    for x, n, t in zip(X, noise, level, strict=True):
        seen = ~np.isnan(x)
        assert_array_equal(np.isinf(n), ~seen)
        weights = t / n[seen]
        penalty = np.sum(np.log(weights) - weights) if nu < np.inf else 0.0
        covariance = PRIOR[np.ix_(seen, seen)] + np.diag(n[seen])
        value = multivariate_normal.logpdf(x[seen], np.zeros(seen.sum()), covariance)
        values.append(value + (nu / 2 * penalty if penalty else 0.0))
    return np.add.reduceat(values, groups[:-1])


@each_nu
@each_groups
@each_rows
def test_no_round_lowers_the_bound(X, groups, nu):
    curve = [
        bounds(X, *search(X, nu, groups, max_iter=n)[1:3], nu, groups)
        for n in range(12)
    ]
    falls = -np.diff(curve, axis=0) / np.abs(curve[0])
    assert falls.max() < 1e-12
    if nu < np.inf:  # a quarter of the rows has no noise to find
        assert np.mean(curve[-1] > curve[0] + 1e-3) > 0.7


@each_groups
@each_rows
def test_the_level_of_gaussian_noise_is_the_most_likely(X, groups):
    level = search(X, np.inf, groups, max_iter=2000)[2]
    for lo, hi in pairwise(groups):

        def loss(z, group=X[lo:hi]):
            noise = np.where(np.isnan(group), np.inf, np.exp(z))
            levels = np.full(len(group), np.exp(z))
            return -bounds(group, noise, levels, np.inf, np.array([0, len(group)]))[0]

        grid = np.linspace(np.log(1e-6), np.log(1e3), 60)
        z = grid[np.argmin([loss(z) for z in grid])]
        best = minimize_scalar(loss, bounds=(z - 0.4, z + 0.4), method="bounded")
        assert loss(np.log(level[lo])) <= best.fun + 1e-4


@pytest.mark.parametrize("seed", range(3))
def test_rows_without_noise_have_the_lowest_level(seed):
    signal = np.random.default_rng(seed).standard_normal((N_ROWS, K)) @ LOADINGS
    level = search(signal, np.inf)[2]  # energy outside is 0, of p - k times v expected
    assert np.all(level == FLOOR)
    noisy = signal + 2 * np.random.default_rng(seed).standard_normal(signal.shape)
    level = search(np.concatenate([signal, noisy]), np.inf, np.arange(2 * N_ROWS + 1))[
        2
    ]
    assert np.all(level[:N_ROWS] == FLOOR)
    assert np.all(level[N_ROWS:] > 0.1)


@each_nu
@each_rows
def test_codes_are_posterior_means_at_the_noise_found(X, nu):
    codes, noise, _, _ = search(X, nu, tol=1e-2)
    for x, n, code in zip(X, noise, codes, strict=True):
        weights = 1 / (V + n)
        precision = np.eye(K) + (LOADINGS * weights) @ LOADINGS.T
        expected = np.linalg.solve(precision, LOADINGS @ (weights * np.nan_to_num(x)))
        assert_allclose(code, expected, rtol=1e-10, atol=1e-10)


def test_a_round_is_a_posterior_and_an_update():
    X, groups, nu = ROWS["missing"], GROUPS["groups"], 4.0
    noise, level = np.empty(X.shape), np.empty(len(groups) - 1)
    seen = first_levels(X, groups, LOADINGS, V, nu, FLOOR, noise, level)
    known = np.add.reduceat((~np.isnan(X)).sum(axis=1), groups[:-1])
    assert_array_equal(seen, known)
    assert_array_equal(noise, np.repeat(level, 4)[:, None] + np.zeros(P))
    energy, means, rows = np.empty(X.shape), np.empty((len(X), K)), np.arange(len(X))
    Posterior(LOADINGS, V).write_moments(X, noise, rows, means, energy)
    active = np.arange(len(level))
    update_levels(X, energy, groups, active[::2], V, nu, FLOOR, noise, level)
    update_levels(X, energy, groups, active[1::2], V, nu, FLOOR, noise, level)
    _, expected, levels, _ = search(X, nu, groups, max_iter=1)
    assert_array_equal(np.repeat(level, 4), levels)
    assert_array_equal(noise[~np.isnan(X)], expected[~np.isnan(X)])


@each_nu
def test_settled_levels_are_stationary(nu):
    X = draw(3)
    _, noise, level, change = search(X, nu, max_iter=5000, tol=1e-13)
    assert np.all(change <= 1e-13)
    value = bounds(X, noise, level, nu, GROUPS["alone"])
    for factor in (0.99, 1.01):
        other = bounds(X, factor * noise, factor * level, nu, GROUPS["alone"])
        # at the lowest level the maximum may be below
        assert np.all((other <= value + 1e-9) | (level < 1e-4))


@pytest.mark.parametrize("nu", [4.0, np.inf])
def test_one_row_at_a_time_is_the_same_to_the_bit(nu):
    X = ROWS["outliers"]
    together = search(X, nu, tol=1e-2)
    for i in range(N_ROWS):
        alone = search(X[i : i + 1], nu, np.array([0, 1]), tol=1e-2)
        for ours, theirs in zip(alone, together, strict=True):
            assert_array_equal(ours[0], theirs[i])


def test_outliers_have_little_weight():
    X = draw(5)
    X[:, 3] = 50.0
    _, noise, level, _ = search(X, 4.0, tol=1e-3)
    assert np.all(noise[:, 3] > 20 * np.median(noise, axis=1))
    assert np.all(np.sqrt(level) < 10)


@each_nu
def test_rows_without_entries_have_no_level(nu):
    X = draw(missing=0.5)
    X[2] = np.nan
    codes, noise, level, change = search(X, nu)
    assert np.isnan(level[2])
    assert change[2] == 0
    assert np.all(codes[2] == 0)
    assert np.all(np.isinf(noise[2]))
    pooled = search(X, nu, GROUPS["groups"])[2]
    assert pooled[2] == pooled[0] > 0


@pytest.mark.parametrize("v", [0.0, 0.1])
def test_no_direction_may_vary(v):
    X = draw()
    codes, _, level, _ = search(X, 4.0, loadings=np.zeros((1, P)), v=v)
    assert np.all(codes == 0)
    assert np.all((level >= FLOOR) & np.isfinite(level))


def test_as_many_directions_as_entries():
    X = draw()
    loadings = np.sqrt(np.linspace(3, 0.1, P))[:, None] * BASIS
    codes, _, level, _ = search(X, 4.0, loadings=loadings, v=0.0)
    assert np.isfinite(codes).all()
    assert np.all(level >= FLOOR * (1 - 1e-12))
