"""Integers, and sparse rows in any order, converted whenever they are read.

Kernels take rows of floats, and sparse ones in which each entry is stored once, and in
order. To bring all rows into this form at once takes as much memory as they do.
"""

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.blockwise.integer_rows import IntegerRows
from sklearn_sqrtlasso.blockwise.linalg import (
    entries_per_row,
    has_missing,
    row_batches,
)

HELD_ENTRIES = 2**20  # of rows that are converted at once: 8 MiB, and their columns


class ConvertedRows(sp.csr_array):
    """CSR rows of which some, in floats and canonical, are read at a time.

    Products with dense matrices, extremes and some rows are those of the converted
    matrix, without a copy of it. Arrays are those of the rows as they were given.

    Parameters
    ----------
    X : CSR matrix of shape (n_samples, n_features)
        Rows of numbers.
    dtype : dtype
        Dtype of the rows that are read.
    factor : float, default=1.0
        Factor of the rows that are read.
    """

    def __init__(self, X, dtype, factor=1.0):
        super().__init__(X.shape)
        self.data, self.indices, self.indptr = X.data, X.indices, X.indptr
        self.given, self.read_as = X, np.dtype(dtype)
        self.factor = self.read_as.type(factor)

    @property
    def dtype(self):
        """Dtype of the rows that are read."""
        return self.read_as

    @property
    def T(self):
        """The columns, for products."""
        return _Columns(self)

    def __getitem__(self, rows):
        """Return some rows, in new arrays."""
        x = self.given[rows].astype(self.dtype)
        x.sum_duplicates()
        return x if self.factor == 1 else x * self.factor

    def __matmul__(self, V):
        """Return the product with a matrix or a vector, in blocks if it is dense."""
        if sp.issparse(V):
            return self[:] @ V
        out = np.empty((self.shape[0], *V.shape[1:]), np.result_type(self, V))
        for rows in self.blocks():
            out[rows] = self[rows] @ V
        return out

    def __mul__(self, factor):
        """Return the rows times a number, which are converted when they are read."""
        return ConvertedRows(self.given, self.dtype, self.factor * factor)

    def __truediv__(self, unit):
        """Return all rows over a unit, converted."""
        return self[:] / unit

    def blocks(self):
        """Return slices of rows that are few enough to be converted."""
        return row_batches(self.shape[0], entries_per_row(self))

    def astype(self, dtype, copy=True):
        """Return all rows in another type, or these in their own without a copy."""
        return self if dtype == self.dtype and not copy else self[:].astype(dtype)

    def copy(self):
        """Return all rows, converted."""
        return self[:]

    def toarray(self):
        """Return all rows, as a dense array."""
        return self[:].toarray()

    def max(self):
        """Return the largest entry."""
        return max(self[rows].max() for rows in self.blocks())

    def min(self):
        """Return the smallest entry."""
        return min(self[rows].min() for rows in self.blocks())


class _Columns:
    """The transpose of converted rows.

    Parameters
    ----------
    X : ConvertedRows of shape (n_samples, n_features)
        The rows.
    """

    def __init__(self, X):
        self.X = X

    def __matmul__(self, U):
        """Return the product with a dense matrix or vector."""
        return sum(self.X[rows].T @ U[rows] for rows in self.X.blocks())


def are_many_integers(X):
    """Return whether rows are integers that are better not converted as a whole.

    Parameters
    ----------
    X : array-like
        Rows, not validated yet.

    Returns
    -------
    many : bool
        Whether they are CSR rows of many entries, or more rows than columns in a large
        array.
    """
    if not (isinstance(X, np.ndarray) or sp.issparse(X)) or X.dtype.kind not in "biu":
        return False
    if sp.issparse(X):
        return _are_many_entries(X)
    if X.ndim != 2 or isinstance(X, np.matrix):  # which scikit-learn refuses
        return False
    return X.size > HELD_ENTRIES and X.shape[0] > X.shape[1]


def rows_of_integers(X):
    """Return rows of integers as rows in double precision, without a copy.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Many integers.

    Returns
    -------
    rows : IntegerRows or ConvertedRows
        They are converted whenever they are read.
    """
    return ConvertedRows(X, np.float64) if sp.issparse(X) else IntegerRows(X)


def canonical_rows(X):
    """Return rows in which each entry is stored once, and in order.

    Methods of sparse matrices bring them into this form in place, and the caller's
    arrays may be these rows. Repeated entries are to be added, which what reads
    ``X.data`` does not do.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_rows, n_features)
        Rows.

    Returns
    -------
    X : ndarray or CSR matrix of shape (n_rows, n_features)
        X itself if it is dense or in this form, else a copy, or rows that are brought
        into this form whenever they are read.
    """
    if not hasattr(X, "sum_duplicates") or X.has_canonical_format:
        return X
    if _are_many_entries(X) and not has_missing(X):
        return ConvertedRows(X, X.dtype)
    X = X.copy()
    X.sum_duplicates()
    return X


def _are_many_entries(X):
    return X.format == "csr" and X.nnz > HELD_ENTRIES
