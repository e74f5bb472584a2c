"""Warn once if the codes of the training rows cannot be what the user wanted."""

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.blockwise.callers import warn_caller
from sklearn_sqrtlasso.blockwise.linalg import (
    column_means,
    dense_rows,
    filled_rows,
    row_batches,
    row_norms,
    unit_near,
)
from sklearn_sqrtlasso.blockwise.sparse_rows import distances

MOSTLY = 0.5  # share of the rows whose codes of zeros are no accident
APART = 30.0  # ratio of scales from which a large column may hide small ones
ROUNDING = 64  # units of the last place of a row, within which it is restored
CONSTANT = ROUNDING * np.finfo(np.float64).eps  # relative spread of a constant column
RESTORED = 0.8  # explained variance of a column that is not hidden


def differ_beyond_rounding(x, origin):
    """Return whether rows differ from one row by more than rounding.

    Parameters
    ----------
    x : {ndarray, CSR matrix} of shape (n_rows, n_features)
        Rows.
    origin : ndarray of shape (n_features,)
        One row.

    Returns
    -------
    differs : ndarray of bool of shape (n_rows,)
        Whether the distance is more than some units of the last place of the row.
    """
    with np.errstate(over="ignore"):
        if sp.issparse(x):
            far, size = distances(x, origin), distances(x, None)
        else:
            few = row_batches(*x.shape)
            far = np.concatenate([row_norms(x[rows] - origin) for rows in few])
            size = row_norms(x)
    return far > ROUNDING * np.finfo(x.dtype).eps * size


def remedy_for_outliers(outlier_alpha, n_features):
    """Return what to do where whole rows may be taken for outliers.

    No entry of a residual is larger than the penalty times its norm. Below
    1 / sqrt(n_features), none is like that but zero: all is code or outliers.

    Parameters
    ----------
    outlier_alpha : float, "auto" or None
        Penalty of outliers.
    n_features : int
        Number of entries of a row.

    Returns
    -------
    remedy : str or None
        None if the penalty of outliers leaves residuals.
    """
    least = 1 / np.sqrt(n_features)
    if outlier_alpha in (None, "auto") or outlier_alpha >= least:
        return None
    return (
        f"Raise outlier_alpha={outlier_alpha:g}, or set it to 'auto': below 1 / sqrt("
        f"n_features) = {least:.3g}, whole rows are taken for outliers."
    )


def warn_zero_codes(used, remedy):
    """Warn if most rows have a code of zeros.

    Parameters
    ----------
    used : ndarray of bool of shape (n_rows, n_components)
        Whether an entry of a code is nonzero.
    remedy : str or None
        What to do; None if such codes can be meant.
    """
    share = float(np.mean(~used.any(axis=1)))
    if share > MOSTLY and remedy:
        warn_caller(
            f"{share:.0%} of the training rows have a code of zeros. {remedy}",
            UserWarning,
        )


def warn_dense_codes(used, n_features, remedy):
    """Warn if no entry of the codes is zero.

    Codes of fewer entries than rows may be meant to be dense.

    Parameters
    ----------
    used : ndarray of bool of shape (n_rows, n_components)
        Whether an entry of a code is nonzero.
    n_features : int
        Number of entries of a row.
    remedy : str or None
        What to do; None if such codes can be meant.
    """
    if used.shape[1] >= max(n_features, 2) and used.all() and remedy:
        warn_caller(
            f"No entry of the codes of the training rows is zero. {remedy}",
            UserWarning,
        )


def warn_hidden_columns(X, mean, restore):
    """Warn if most columns are not restored, and others are far larger.

    A column hides others if its root mean square about ``mean`` is more than 30 times
    the standard deviation of the median column: it has another unit, or an offset. Of
    sparse rows, the root mean square of the nonzeros of a column is taken for both, so
    that rare entries are not small ones.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_rows, n_features)
        Rows; NaN where an entry is missing.
    mean : ndarray of shape (n_features,)
        What an encoder subtracts from rows.
    restore : callable
        Function without arguments that returns the rows restored from codes.
    """
    sizes, spreads = _nonzero_sizes(X) if sp.issparse(X) else _sizes(X, mean)
    varies = spreads > 0
    if not varies.any():
        return
    apart = np.log10(sizes.max()) - np.log10(np.median(spreads[varies]))
    if apart <= np.log10(APART):
        return
    left = _left(dense_rows(X), restore())
    lost = np.mean(left > np.sqrt(1 - RESTORED)) if len(left) else 0.0
    if lost > MOSTLY:
        times = f"{10**apart:.0f}" if apart < 3 else f"1e{apart:.0f}"
        warn_caller(
            f"The largest column of X is {times} times the standard deviation of "
            f"the median column, and hides others: {lost:.0%} of the columns are not "
            "restored from codes. Scale the columns first, for example by "
            "sklearn.preprocessing.StandardScaler.",
            UserWarning,
        )


def _left(x, restored):
    """Return by how much columns are not restored, relative to their deviation."""
    _, spreads = _sizes(x, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        left = np.where(np.isnan(x), 0, x.astype(np.float64) - restored)
        return _norms(left)[spreads > 0] / spreads[spreads > 0]


def _sizes(x, mean):
    """Return norms of columns about ``mean``, and about their own means."""
    means = column_means(x)
    x = filled_rows(x, means).astype(np.float64)
    with np.errstate(over="ignore"):
        sizes, spreads = _norms(x - mean), _norms(x - means)
    return sizes, np.where(spreads > CONSTANT * _norms(x), spreads, 0)


def _nonzero_sizes(X):
    """Return root mean squares of the nonzeros of columns, for both kinds of norms."""
    X = X.tocsc()
    counts = np.diff(X.indptr)
    used, data = counts > 0, np.nan_to_num(np.abs(X.data.astype(np.float64)))
    if not used.any():
        return np.zeros(1), np.zeros(1)
    starts, counts = X.indptr[:-1][used], counts[used]
    unit = unit_near(np.maximum.reduceat(data, starts))
    squares = (data / np.repeat(unit, counts)) ** 2
    sizes = unit * np.sqrt(np.add.reduceat(squares, starts) / counts)
    return sizes, sizes


def _norms(x):
    """Return norms of columns, at most the largest number."""
    return np.minimum(row_norms(np.ascontiguousarray(x.T)), np.finfo(np.float64).max)
