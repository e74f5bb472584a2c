"""Rows of integers, converted to floats in blocks whenever they are read."""

import numpy as np


class IntegerRows:
    """Rows of integers, such as a memory map, as rows in double precision.

    Some of them are an array, and functions of numpy make an array of all.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Integers or booleans.
    """

    dtype, ndim = np.dtype(np.float64), 2

    def __init__(self, X):
        self.X, self.shape, self.size = X, X.shape, X.size

    def __len__(self):
        """Return the number of rows."""
        return len(self.X)

    def __getitem__(self, rows):
        """Return some rows, in new arrays."""
        return np.array(self.X[rows], dtype=self.dtype)

    def unconverted(self, rows):
        """Return some rows like these, which are converted when they are read."""
        return IntegerRows(self.X[rows])

    def __array__(self, dtype=None, copy=None):
        """Return all rows."""
        return np.array(self.X, dtype=dtype or self.dtype)

    def astype(self, dtype, copy=True):
        """Return all rows in another type, or these in their own without a copy."""
        return self if dtype == self.dtype and not copy else self.__array__(dtype)

    def max(self, axis=None):
        """Return the largest entry, of all or of each column."""
        return self.X.max(axis=axis).astype(self.dtype)

    def min(self, axis=None):
        """Return the smallest entry, of all or of each column."""
        return self.X.min(axis=axis).astype(self.dtype)


def some_rows(X, rows):
    """Return some rows, which are integers still if all of them are.

    Parameters
    ----------
    X : ndarray, sparse matrix or IntegerRows of shape (n_samples, n_features)
        Rows.
    rows : ndarray of shape (n_rows,)
        Indices of the rows.

    Returns
    -------
    some : ndarray, sparse matrix or IntegerRows of shape (n_rows, n_features)
        These rows.
    """
    return X.unconverted(rows) if isinstance(X, IntegerRows) else X[rows]
