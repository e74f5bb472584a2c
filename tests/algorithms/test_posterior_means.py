"""Posterior means of many rows at once are those of the definition."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.algorithms.posterior_means import LANES, posterior_means

P = 7
BASIS = np.linalg.qr(np.random.default_rng(0).standard_normal((P, P)))[0]


def make_rows(n_rows, missing=0.0):
    rng = np.random.default_rng(1)
    X, noise = rng.standard_normal((n_rows, P)), rng.gamma(1.0, size=(n_rows, P))
    hidden = rng.random(X.shape) < missing
    X[hidden], noise[hidden] = np.nan, np.inf
    return X, noise


def codes_of(X, noise, loadings, v):
    codes = np.full((len(X), len(loadings)), np.nan)
    posterior_means(X, noise, loadings, v, codes)
    return codes


@pytest.mark.parametrize("n_rows", [0, 1, LANES, LANES + 3])
@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize(("k", "v"), [(1, 0.1), (3, 0.1), (P, 0.0)])
def test_means_are_those_of_gaussian_conditioning(n_rows, missing, k, v):
    loadings = np.geomspace(3, 0.1, k)[:, None] * BASIS[:k]
    X, noise = make_rows(n_rows, missing)
    for x, n, ours in zip(X, noise, codes_of(X, noise, loadings, v), strict=True):
        seen = ~np.isnan(x)
        L = loadings[:, seen]
        covariance = L.T @ L + np.diag(v + n[seen])
        expected = L @ np.linalg.solve(covariance, x[seen])
        assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


def test_rows_do_not_depend_on_those_beside_them():
    X, noise = make_rows(LANES + 5, 0.2)
    loadings = np.linspace(2, 1, 4)[:, None] * BASIS[:4]
    together = codes_of(X, noise, loadings, 0.1)
    for i in range(len(X)):
        alone = codes_of(X[i : i + 1], noise[i : i + 1], loadings, 0.1)
        assert_array_equal(alone[0], together[i])
