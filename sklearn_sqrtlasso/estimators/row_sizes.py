"""The usual size of rows in a stream, and batches of an unusual one."""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.blockwise.linalg import root_mean_spread, root_mean_square

PACE = 0.1  # weight of a new batch in the running mean of logarithms of sizes
LASTING_PACE = 0.5  # the same, for the second of two batches of unusual sizes
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
    """

    log2_sizes: tuple[float | None, float | None]
    outlying: int = 0
    shift: float = 0.0


def follow_sizes(X, log2_sizes=(None, None)):
    """Return the sizes of rows after a batch.

    The usual size follows a running mean. A batch of an unusual size moves it only if
    the batch before was of an unusual size too.

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
    now = float(np.log2(size) + np.log2(unit)) if size else last
    if usual is None or now is None:
        return Sizes((now if usual is None else usual, now))
    unusual = abs(now - usual) > UNUSUAL
    lasting = unusual and abs(last - usual) > UNUSUAL
    step = (LASTING_PACE if lasting else PACE) * (now - usual)
    moved = usual + step if lasting or not unusual else usual
    outlying = round(now - moved) if unusual else 0
    return Sizes((moved, now), outlying, step if lasting else 0.0)


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
