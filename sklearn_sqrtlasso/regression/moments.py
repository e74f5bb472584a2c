r"""Moments of rows: what a regression on few columns needs of many rows.

For rows :math:`z = (x, y)` with weights v, the moments are the sum of weights, the
weighted mean, and the sum of products :math:`\sum v (z - m)(z - m)'`. They are gathered
once, a chunk of rows at a time, centred before they are multiplied. Moments of parts
are pooled by ::

    P = P_1 + P_2 + (v_1 v_2 / (v_1 + v_2)) (m_1 - m_2) (m_1 - m_2)' .

Products of numbers have half the digits of the numbers. Hence moments are refused where
offsets are large or scales extreme, and whoever uses them bounds what is lost.
"""

from functools import reduce
from typing import NamedTuple

import numpy as np

CHUNK_ENTRIES = 2**17  # of rows that are converted at a time
OFFSET = (
    1e3  # largest mean, over the spread, of a column whose products are exact enough
)
SCALES = (1e-60, 1e60)  # of the spread of columns whose products are in range
CONSTANT = 256 * np.finfo(np.float64).eps  # relative spread of a constant column


class Moments(NamedTuple):
    """Moments of some rows of features and target, the target last.

    Attributes
    ----------
    weight : float
        Sum of the weights of the rows.
    mean : ndarray of shape (n_features + 1,)
        Weighted means.
    products : ndarray of shape (n_features + 1, n_features + 1)
        Weighted sums of products of deviations from the means.
    """

    weight: float
    mean: np.ndarray
    products: np.ndarray

    @property
    def spread(self):
        """Weighted standard deviations, 0 for columns that are constant."""
        with np.errstate(invalid="ignore"):
            spread = np.sqrt(self.products.diagonal() / self.weight)
        return np.where(spread > CONSTANT * np.abs(self.mean), spread, 0.0)

    def keep_digits(self):
        """Return whether all columns are of ordinary scale and offset."""
        if not np.isfinite(self.products).all():
            return False
        spread = self.spread
        live = spread > 0
        inside = (spread > SCALES[0]) & (spread < SCALES[1])
        near = np.abs(self.mean) <= OFFSET * spread
        return bool(live[-1] and np.all(~live | (inside & near)))


def pooled(parts):
    """Return the moments of the rows of several parts.

    Parameters
    ----------
    parts : iterable of Moments
        Moments of disjoint rows, at least one.

    Returns
    -------
    moments : Moments
        The moments of all of them.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        return reduce(_pool, parts)


def _pool(one, two):
    weight = one.weight + two.weight
    apart = two.mean - one.mean
    share = two.weight / weight
    products = one.products + two.products
    products += one.weight * share * np.outer(apart, apart)
    return Moments(weight, one.mean + share * apart, products)


def gather(X, y, weights, rows):
    """Return the moments of some rows.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Features, in memory or mapped, in single or double precision.
    y : ndarray of shape (n_samples,)
        Target.
    weights : ndarray of shape (n_samples,)
        Weights, nonnegative, not all zero on the rows.
    rows : ndarray of shape (n_rows,)
        Indices of the rows.

    Returns
    -------
    moments : Moments
        The moments, not finite where squares are out of range.
    """
    rows = rows[weights[rows] > 0]
    n_rows = max(1, CHUNK_ENTRIES // (X.shape[1] + 1))
    starts = range(0, len(rows), n_rows)
    return pooled(_of_chunk(X, y, weights, rows[i : i + n_rows]) for i in starts)


def _of_chunk(X, y, weights, rows):
    if rows[-1] - rows[0] + 1 == len(rows) and (np.diff(rows) == 1).all():
        rows = slice(rows[0], rows[-1] + 1)  # without a copy
    v = weights[rows]
    Z = np.empty((len(v), X.shape[1] + 1))
    Z[:, :-1], Z[:, -1] = X[rows], y[rows]
    total = v.sum()
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        mean = v @ Z / total
        Z -= mean
        if v.min() != v[0] or v.max() != v[0]:
            Z *= np.sqrt(v)[:, None]
            return Moments(float(total), mean, Z.T @ Z)
        return Moments(float(total), mean, v[0] * (Z.T @ Z))


def held_out_square(moments, means, coef):
    """Return the mean squared error of linear predictions, and what rounding hides.

    Parameters
    ----------
    moments : Moments
        Moments of the rows that are predicted.
    means : ndarray of shape (n_features + 1,)
        Means of features and target from which the intercepts follow; zeros without.
    coef : ndarray of shape (n_fits, n_features)
        Coefficients.

    Returns
    -------
    mse, lost : ndarray of shape (n_fits,)
        Weighted mean squares of errors, and a bound of their rounding errors.
    """
    v = np.hstack([-coef, np.ones((len(coef), 1))])
    spread = np.sqrt(moments.products.diagonal() / moments.weight)
    offset = v @ (moments.mean - means)
    mse = np.einsum("ij,ij->i", v @ (moments.products / moments.weight), v) + offset**2
    size = np.abs(v) @ (spread + np.abs(moments.mean - means))
    return mse, CONSTANT * size**2
