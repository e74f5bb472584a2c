"""How far rows are from a mean: norms and second moments, in blocks of rows."""

import numpy as np
import scipy.sparse as sp
from sklearn.utils import gen_batches

from sklearn_sqrtlasso.algorithms.sparse_products import add_sparse_gram
from sklearn_sqrtlasso.blockwise.chunks import over_chunks
from sklearn_sqrtlasso.blockwise.linalg import (
    column_means,
    dense_rows,
    entries_per_row,
    largest_spread,
    row_batches,
    row_norms,
    unit_near,
)
from sklearn_sqrtlasso.blockwise.sparse_rows import distances, nonzeros

FARTHEST = 1e100  # entries, in units in which deviations are near one
PRODUCT_ENTRIES = 2**18  # of sparse rows of which products are taken at a time
OFFSET = 1e3  # of a sparse column, relative to its spread, from which digits are lost


def row_distances(X, mean, unit):
    """Return the l2 norm of each row of ``X - mean``, divided by a unit.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.
    mean : ndarray of shape (n_features,)
        Subtracted from each row.
    unit : float
        Unit of scaling, a power of two near the largest entry of ``X - mean``.

    Returns
    -------
    norms : ndarray of shape (n_samples,)
        In double precision.
    """
    norms = np.empty(X.shape[0])
    for rows in row_batches(X.shape[0], entries_per_row(X)):
        x = X[rows].astype(np.float64)
        if sp.issparse(x) and _largest(x, mean) < FARTHEST * unit:
            norms[rows] = distances(x / unit, mean / unit if mean.any() else None)
        else:
            norms[rows] = row_norms((dense_rows(x) - mean) / unit)
    return norms


def _largest(x, mean):
    """Return the largest absolute entry of sparse rows or of their mean."""
    return max(np.abs(x.data).max(initial=0), np.abs(mean).max())


def mean_norm(X, mean, unit):
    """Return the mean l2 norm of ``X - mean`` over a unit, 1 if all rows are the mean.

    Parameters
    ----------
    X, mean, unit
        As for ``row_distances``.

    Returns
    -------
    norm : float
        Positive.
    """
    return float(_sum_of_distances(X, mean, unit) / X.shape[0]) or 1.0


@over_chunks(np.add)
def _sum_of_distances(X, mean, unit, power=1):
    """Return the sum of powers of the distances of rows."""
    return np.sum(row_distances(X, mean, unit) ** power)


def root_mean_spread(X):
    """Return the root mean square of the entries about the means of their columns.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Finite rows.

    Returns
    -------
    size : float
        In units of X; 0 where it is lost in the rounding of X.
    """
    mean = column_means(X)
    unit = unit_near(largest_spread(X, mean), X.dtype)
    total = _sum_of_distances(X, mean, unit, 2)
    size = float(np.sqrt(total / (X.shape[0] * X.shape[1]))) * unit
    return size if size > np.finfo(X.dtype).eps * np.abs(mean).max() else 0.0


@over_chunks(np.add)
def second_moment(X, mean, unit):
    """Return ``(X - mean)'(X - mean)`` in squared units, without a copy of X.

    Parameters
    ----------
    X, mean, unit
        As for ``row_distances``.

    Returns
    -------
    moment : ndarray of shape (n_features, n_features)
        In double precision.
    """
    if sp.issparse(X):
        moment = _sparse_moment(X, mean / unit, unit)
        if moment is not None:
            return moment
    moment = np.zeros((X.shape[1],) * 2)
    for rows in row_batches(*X.shape):
        x = (dense_rows(X[rows]) - mean) / unit
        moment += x.T @ x
    return moment


def _sparse_moment(X, mean, unit):
    """Return the second moment about the column means, None if digits are lost."""
    n_rows, n_features = X.shape
    moment, sums = np.zeros((n_features, n_features)), np.zeros(n_features)
    for rows in gen_batches(n_rows, max(1, PRODUCT_ENTRIES // entries_per_row(X))):
        x = X[rows].astype(np.float64) / unit
        add_sparse_gram(*nonzeros(x), moment)
        sums += np.ravel(x.sum(axis=0))
    with np.errstate(over="ignore", invalid="ignore"):  # then it has no digits
        squares = n_rows * mean**2
        if _few_digits(moment.diagonal() - squares, squares):
            return None
    shift = np.outer(mean, sums - n_rows * mean / 2)
    moment -= shift
    moment -= shift.T
    return moment


def sparse_gram(X, mean):
    """Return products ``(X - mean)(X - mean)'`` of sparse rows.

    Parameters
    ----------
    X : sparse matrix of shape (n_samples, n_features)
        Rows.
    mean : ndarray of shape (n_features,)
        Subtracted from each row.

    Returns
    -------
    gram : ndarray of shape (n_samples, n_samples) or None
        In double precision; None if it would have too few digits.
    """
    X = X.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # then it has no digits
        gram, shift, whole = dense_rows(X @ X.T), np.ravel(X @ mean), mean @ mean
        if _few_digits(gram.diagonal() - 2 * shift + whole, gram.diagonal() + whole):
            return None
    gram -= np.add.outer(shift - whole / 2, shift - whole / 2)
    return gram


def _few_digits(differences, terms):
    """Return whether differences are much smaller than their terms, or overflow."""
    largest = np.max(terms)
    return not largest <= OFFSET**2 * np.max(differences) or largest == np.inf
