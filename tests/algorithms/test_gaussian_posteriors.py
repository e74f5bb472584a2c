"""Posteriors of many rows at once are those of Gaussian conditioning."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.algorithms.gaussian_posteriors import posterior_moments
from sklearn_sqrtlasso.models import gaussian_posterior
from sklearn_sqrtlasso.models.gaussian_posterior import LANES, Posterior

P = 7
BASIS = np.linalg.qr(np.random.default_rng(0).standard_normal((P, P)))[0]
PRIORS = [(1, 0.1), (3, 0.1), (4, 0.1), (P, 0.0)]  # small and large systems


def make_rows(n_rows, missing=0.0, alike=0.0):
    rng = np.random.default_rng(1)
    X, noise = rng.standard_normal((n_rows, P)), rng.gamma(1.0, size=(n_rows, P))
    same = rng.random(n_rows) < alike
    noise[same] = noise[same, :1]
    hidden = rng.random(X.shape) < missing
    X[hidden], noise[hidden] = np.nan, np.inf
    return X, noise


def loadings_of(k):
    return np.geomspace(3, 0.1, k)[:, None] * BASIS[:k]


def moments(X, noise, loadings, v, places=None):
    means, energy = np.full((len(X), len(loadings)), np.nan), np.full(X.shape, np.nan)
    places = np.arange(len(X)) if places is None else places
    Posterior(loadings, v).write_moments(X, noise, places, means, energy)
    return means, energy


@pytest.mark.parametrize("n_rows", [0, 1, LANES, LANES + 3])
@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize(("k", "v"), PRIORS)
def test_moments_are_those_of_gaussian_conditioning(n_rows, missing, k, v):
    loadings = loadings_of(k)
    X, noise = make_rows(n_rows, missing, alike=0.2)
    rows = zip(X, noise, *moments(X, noise, loadings, v), strict=True)
    for x, n, mean, energy in rows:
        seen = ~np.isnan(x)
        L = loadings[:, seen]
        gain = np.linalg.solve(L.T @ L + np.diag(v + n[seen]), L.T).T
        assert_allclose(mean, gain @ x[seen], rtol=1e-9, atol=1e-12)
        variance = np.diag(L.T @ (np.eye(k) - gain @ L.T) @ L)
        expected = (x[seen] - L.T @ mean) ** 2 + variance
        assert_allclose(energy[seen], expected, rtol=1e-8, atol=1e-12)
        assert np.all(energy[~seen] == 0)


@pytest.mark.parametrize(("k", "v"), PRIORS)
def test_rows_do_not_depend_on_those_beside_them(k, v):
    X, noise = make_rows(LANES + 5, 0.2)
    together = moments(X, noise, loadings_of(k), v)
    for i in range(len(X)):
        alone = moments(X[i : i + 1], noise[i : i + 1], loadings_of(k), v)
        for ours, theirs in zip(alone, together, strict=True):
            assert_array_equal(ours[0], theirs[i])


def test_means_alone_and_other_rows_are_left():
    X, noise = make_rows(9, 0.2)
    means, energy = moments(X, noise, loadings_of(5), 0.1, np.array([7, 2]))
    assert np.isnan(np.delete(means, [2, 7], axis=0)).all()
    assert np.isnan(np.delete(energy, [2, 7], axis=0)).all()
    alone, unasked = np.full_like(means, np.nan), np.empty((0, P))
    posterior = Posterior(loadings_of(5), 0.1)
    posterior.write_moments(X, noise, np.array([2, 7]), alone, unasked)
    assert_allclose(alone, means, rtol=1e-14)


def test_systems_side_by_side_are_bounded_in_memory(monkeypatch):
    sizes = []

    def spy(*args):
        sizes.append(args[4][0].nbytes)
        return posterior_moments(*args)

    monkeypatch.setattr(gaussian_posterior, "posterior_moments", spy)
    monkeypatch.setattr(gaussian_posterior, "BYTES", 4096)
    X, noise = make_rows(LANES)
    few = moments(X, noise, loadings_of(5), 0.1)
    assert sizes == [8 * 9 * 8 * gaussian_posterior.LEAST_LANES]
    monkeypatch.undo()
    for ours, theirs in zip(few, moments(X, noise, loadings_of(5), 0.1), strict=True):
        assert_allclose(ours, theirs, rtol=1e-12)
