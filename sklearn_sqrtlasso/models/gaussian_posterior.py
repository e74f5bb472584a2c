"""Posteriors of codes with a Gaussian prior, many rows at a time."""

import numpy as np

from sklearn_sqrtlasso.algorithms.gaussian_posteriors import posterior_moments

LANES = 64  # rows whose systems are solved side by side, at most
BYTES = 2**20  # of these systems, unless they are fewer than LEAST_LANES
LEAST_LANES = 8


def _padded(n):
    """Return the next multiple of four."""
    return -(-n // 4) * 4


class Posterior:
    """Posteriors of codes in noise of known variances, with memory to find them in.

    Parameters
    ----------
    loadings : ndarray of shape (k, p)
        L, with orthogonal rows.
    v : float
        Variance of the residual, at least 0.
    """

    def __init__(self, loadings, v):
        k, p = loadings.shape
        self._large = 2 * k > p  # a system of an equation for each entry is cheaper
        self._m = _padded(p if self._large else k)
        L, directions = np.zeros((k, _padded(p))), np.zeros((p, _padded(k)))
        L[:, :p], directions[:, :k] = loadings, loadings.T
        gram = loadings.T @ loadings if self._large else np.empty((0, 0))
        self._prior = L, directions, gram, np.sum(loadings**2, axis=1), float(v)
        self._memory = np.empty(0)

    def write_moments(self, X, noise, places, means, energy):
        """Write means of codes, and expected squares of residuals.

        Parameters
        ----------
        X, noise : ndarray of shape (n_samples, p)
            Rows minus the mean, NaN where missing, and variances of their noise.
        places : ndarray of shape (n_places,)
            Which rows; only these are written.
        means : ndarray of shape (n_samples, k)
            Overwritten.
        energy : ndarray of shape (n_samples, p) or (0, p)
            Overwritten, unless it has no rows.
        """
        if len(places):
            arrays = self._workspace(len(places))
            places = places.copy()
            posterior_moments(X, noise, places, self._prior, arrays, means, energy)

    def _workspace(self, n_rows):
        """Return arrays for as many rows side by side as fit a cache."""
        m, p = self._m, self._prior[0].shape[1]
        most = min(LANES, max(LEAST_LANES, BYTES // (8 * m * (m + 1))))
        lanes = min(most, n_rows)
        end = m * (m + 1) * lanes
        if len(self._memory) < end + 4 * p * lanes:
            self._memory = np.empty(end + 4 * p * lanes)
        systems = self._memory[:end].reshape(m, m + 1, lanes)
        vectors = self._memory[end : end + 4 * p * lanes].reshape(4, p, lanes)
        return systems, tuple(vectors), np.empty(p)
