"""Few rows of many columns, learnt from by their coordinates in their span.

What is learnt from rows, without noise outside their span, lies in their span. With an
orthonormal basis Q of it, ``X = A Q``, a model of A is one of X once its weights are
multiplied by Q: a fit costs what a square matrix costs, but for products of the rows
with each other and with their eigenvectors, or a QR factorisation.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.linalg import cholesky, eigh, qr, solve_triangular

from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows
from sklearn_sqrtlasso.blockwise.linalg import (
    dense_rows,
    entries_per_row,
    has_missing,
    largest_entry,
    row_norms,
    unit_near,
)
from sklearn_sqrtlasso.blockwise.spread import sparse_gram

MOST_ENTRIES = 2**27  # of rows that are made dense: 1 GiB
FEWER = 2  # times as many columns as rows
MOSTLY = 4  # sparse rows are made dense if a quarter of their entries is stored,
SMALL = 2**22  # or if they have so few entries, zeros included: 32 MiB
WELL_TOLD = 1e-6  # smallest direction of products of rows, relative to the largest


class RowSpan(NamedTuple):
    """Rows in an orthonormal basis of their span.

    Attributes
    ----------
    coordinates : ndarray or sparse matrix of shape (n_samples, n_directions)
        Coordinates of the rows, along principal directions; the rows themselves if
        there is no basis.
    basis : ndarray of shape (n_directions, n_features) or None
        Orthonormal directions.
    """

    coordinates: np.ndarray
    basis: np.ndarray | None

    def unfold(self, values):
        """Return weights of the columns, given weights of the coordinates.

        Parameters
        ----------
        values : ndarray of shape (..., n_directions)
            Weights of coordinates.

        Returns
        -------
        values : ndarray of shape (..., n_features)
            In the dtype of ``values``.
        """
        if self.basis is None:
            return values
        with np.errstate(over="ignore", invalid="ignore"):  # of what is out of range
            return values @ self.basis.astype(values.dtype, copy=False)


def rank_of_rows(X, mean, directions):
    """Return how many of some orthonormal directions rows have.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows, in the span of the directions.
    mean : ndarray of shape (n_features,)
        Subtracted from rows.
    directions : ndarray of shape (n_directions, n_features)
        Principal directions, those of largest variance first.

    Returns
    -------
    rank : int
        At least 1.
    """
    sizes = row_norms((X @ directions.T - mean @ directions.T).T)
    used = sizes > X.shape[1] * np.finfo(X.dtype).eps * sizes.max()
    return max(1, int(np.sum(used)))


def span_of_few_rows(X, mean=None, *, n_components=0):
    """Return rows in their span if they are much fewer than columns, else as they are.

    Parameters
    ----------
    X : ndarray, sparse matrix or ScaledRows of shape (n_samples, n_features)
        Rows.
    mean : ndarray of shape (n_features,), default=None
        Subtracted from rows that have a basis; None is zero.
    n_components : int, default=0
        Number of components to learn: if they are half as many as rows or more, they
        take as much memory as sparse rows that are made dense.

    Returns
    -------
    span : RowSpan
        In the dtype of X.
    """
    n_rows, n_features = X.shape
    whole = RowSpan(X, None)
    if isinstance(X, ChunkedRows):
        return whole
    if FEWER * n_rows > n_features or n_rows * n_features > MOST_ENTRIES:
        return whole
    large_model = FEWER * n_components >= n_rows
    made_dense = large_model or n_rows * n_features <= SMALL
    if MOSTLY * entries_per_row(X) < n_features and not made_dense:
        return whole  # what follows would cost more than learning from the nonzeros
    if has_missing(X):
        return whole
    mean = np.zeros(n_features) if mean is None else mean.astype(np.float64)
    least = n_features * np.finfo(X.dtype).eps
    rows = X if sp.issparse(X) else X[:]  # scaled once, if whenever they are read
    found = _by_products(rows, mean, least) or _by_factors(rows, mean, least)
    if found is None:
        return whole
    return RowSpan(*(of.astype(X.dtype, copy=False) for of in found))


def _by_products(X, mean, least):
    """Return coordinates and a basis from products of rows, None if too few digits.

    With eigenvectors U of ``X X'``, for rows X about their mean, the rows of ``U' X``
    are orthogonal but for rounding, which a Cholesky factor of their products mends.
    """
    unit = unit_near(largest_entry(X))  # squares of entries may be out of range
    X, mean = X.astype(np.float64, copy=False) / unit, mean / unit
    if not sp.issparse(X):
        X, mean = X - mean, np.zeros(X.shape[1])
    gram = sparse_gram(X, mean) if sp.issparse(X) else X @ X.T
    if gram is None:
        return None
    left = eigh(gram, overwrite_a=True)[1][:, ::-1]
    directions = (X.T @ left).T
    if mean.any():
        directions -= np.outer(left.sum(axis=0), mean)
    sizes = row_norms(directions)
    used = sizes > least * sizes[0]
    if not used.any() or np.min(sizes[used]) < WELL_TOLD * sizes[0]:
        return None
    left, sizes, directions = left[:, used], sizes[used], directions[used]
    directions /= sizes[:, None]
    factor = cholesky(directions @ directions.T)
    basis = solve_triangular(factor, directions, trans="T", overwrite_b=True)
    return unit * ((left * sizes) @ factor.T), basis


def _by_factors(X, mean, least):
    """Return coordinates and a basis by orthogonal factors, None if rows are zero."""
    rows = dense_rows(X, np.float64) - mean
    unit = unit_near(np.abs(rows).max())
    directions, factor = qr((rows / unit).T, mode="economic", overwrite_a=True)
    left, sizes, right = np.linalg.svd(factor.T)
    used = sizes > least * sizes[0]
    if not used.any():
        return None
    coordinates = unit * (left[:, used] * sizes[used])
    return coordinates, right[used] @ directions.T
