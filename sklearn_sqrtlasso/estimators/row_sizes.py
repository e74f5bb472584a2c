"""The usual size of rows in a stream, and batches of an unusual one."""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.blockwise.linalg import (
    column_means,
    filled_rows,
    largest_exponent,
    root_mean_square,
)
from sklearn_sqrtlasso.blockwise.spread import root_mean_spread

PACE = 0.1  # weight of a new batch in the running mean of logarithms of sizes
UNUSUAL = 3.0  # binary logarithm of a size over the running mean that is unusual


class Sizes(NamedTuple):
    """Binary logarithms of sizes of rows, after a batch.

    Attributes
    ----------
    log2_sizes : tuple of float or None
        The usual size, and that of the last rows that were not zero; None while all
        were zero.
    outlying : int
        Exponent of the power of two that brings the batch to the usual size; 0 unless
        the size of the batch is unusual.
    shift : float
        Change of the usual size because two batches in turn were of another one.
    tells : bool
        Whether the rows are like the usual ones: not if all are zero, or if their size
        is unusual and that of the batch before was not.
    """

    log2_sizes: tuple[float | None, float | None]
    outlying: int = 0
    shift: float = 0.0
    tells: bool = True


def follow_sizes(X, log2_sizes=(None, None)):
    """Return the sizes of rows after a batch.

    The usual size follows a running mean. A batch of an unusual size leaves it as it
    is, unless the batch before was of an unusual size too: then that of this batch is
    usual from now on.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows of the batch.
    log2_sizes : tuple of float or None, default=(None, None)
        As of the batch before; a usual size of None makes that of this batch usual.

    Returns
    -------
    sizes : Sizes
        Sizes after the batch.
    """
    usual, last = log2_sizes
    size, unit = root_mean_square(X)
    if not size:
        return Sizes((last if usual is None else usual, last), tells=False)
    now = float(np.log2(size) + np.log2(unit))
    if usual is None:
        return Sizes((now, now))
    if abs(now - usual) <= UNUSUAL:
        return Sizes((usual + PACE * (now - usual), now))
    if abs(last - usual) <= UNUSUAL:
        return Sizes((usual, now), outlying=round(now - usual), tells=False)
    return Sizes((now, now), shift=now - usual)


def in_usual_size(X, log2_sizes):
    """Return a batch whose rows, if their size is unusual, are scaled to the usual one.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows of the batch; NaN where an entry is missing.
    log2_sizes : tuple of float or None
        As of the batch before.

    Returns
    -------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        The rows; in double precision if single does not reach the usual size.
    scale : float
        What they were multiplied by: a power of two, in their dtype.
    sizes : Sizes
        Sizes after the batch.
    """
    if abs(log2_sizes[0] or 0.0) > largest_exponent(X.dtype):
        X = X.astype(np.float64)
    sizes = follow_sizes(filled_rows(X, column_means(X)), log2_sizes)
    most = largest_exponent(X.dtype)
    scale = X.dtype.type(2.0 ** -np.clip(sizes.outlying, -most, most))
    return X * scale if sizes.outlying else X, scale, sizes


def usual_spread(X):
    """Return how far entries of rows like these are from the means of their columns.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    spread : float
        Root mean square about the means of columns; about zero for a single row, as in
        a stream, which is its own mean.
    """
    if X.shape[0] > 1:
        return root_mean_spread(X)
    size, unit = root_mean_square(X)
    return float(size * unit)
