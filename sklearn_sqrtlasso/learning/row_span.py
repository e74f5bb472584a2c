"""Few rows of many columns, learnt from by their coordinates in their span.

What is learnt from rows, without noise outside their span, lies in their span. With an
orthonormal basis Q of it, ``X = A Q``, a model of A is one of X once its weights are
multiplied by Q: a fit costs what a square matrix costs, but for one QR factorisation.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import qr

from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows
from sklearn_sqrtlasso.blockwise.linalg import (
    dense_rows,
    entries_per_row,
    has_missing,
    row_norms,
    unit_near,
)

MOST_ENTRIES = 2**27  # of rows that are made dense: 1 GiB
FEWER = 2  # times as many columns as rows
MOSTLY = 4  # sparse rows are made dense if a quarter of their entries is stored,
SMALL = 2**22  # or if they have so few entries, zeros included: 32 MiB


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
    X : ndarray or sparse matrix of shape (n_samples, n_features)
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
    rows = dense_rows(X, np.float64) - (0.0 if mean is None else mean)
    unit = unit_near(np.abs(rows).max())
    directions, factor = qr((rows / unit).T, mode="economic", overwrite_a=True)
    left, sizes, right = np.linalg.svd(factor.T)
    used = sizes > n_features * np.finfo(X.dtype).eps * sizes[0]
    if not used.any():
        return whole
    coordinates = unit * (left[:, used] * sizes[used])
    basis = right[used] @ directions.T
    return RowSpan(*(of.astype(X.dtype, copy=False) for of in (coordinates, basis)))
