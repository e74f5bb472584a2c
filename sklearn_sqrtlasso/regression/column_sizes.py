"""Means and sizes of columns, whatever their units and offsets."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

BLOCK_ENTRIES = 2**18  # of rows or columns that are converted at a time
SAMPLE = 64  # rows and columns from which the size of entries is estimated
CONSTANT = 64 * np.finfo(np.float64).eps  # relative spread of a constant column
IN_REACH = 1e15  # largest norm, over the unit, of a column of ordinary size
FAR = {"dense": 256.0, "sparse": 16.0}  # ratios of mean and spread of a large offset


class Sizes(NamedTuple):
    """Statistics of columns, each in a unit of its own.

    Attributes
    ----------
    exponents : ndarray of shape (n_columns,)
        Units are two to the power of these integers.
    means : ndarray of shape (n_columns,)
        Weighted means, in units of the columns; 0 without an intercept.
    norms : ndarray of shape (n_columns,)
        Roots of the weighted mean squares of the (centred) columns, in units of the
        columns: in [1/2, 1), or 0 for columns that are constant.
    """

    exponents: np.ndarray
    means: np.ndarray
    norms: np.ndarray


def typical_exponent(entries):
    """Return the power of two near the median, over columns, of the largest entry.

    Parameters
    ----------
    entries : ndarray of shape (n_rows, n_columns)
        Finite numbers.

    Returns
    -------
    exponent : int
        0 if all entries are zero.
    """
    steps = [max(1, length // SAMPLE) for length in entries.shape]
    for part in (entries[:: steps[0], :: steps[1]], entries):
        if part.size == 0:
            continue
        largest = np.maximum(part.max(axis=0), -part.min(axis=0)).astype(np.float64)
        if largest.any():
            return int(np.frexp(np.median(largest[largest > 0]))[1])
    return 0


def blocks_of(X):
    """Yield slices of rows, or of columns where columns are contiguous.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
        Array of any memory order.

    Yields
    ------
    rows, columns : slice
        Parts of at most ``BLOCK_ENTRIES`` entries, or one row or column.
    """
    n, p = X.shape
    if X.flags.f_contiguous:
        length = max(1, BLOCK_ENTRIES // n)
        for start in range(0, p, length):
            yield slice(None), slice(start, start + length)
    else:
        length = max(1, BLOCK_ENTRIES // p)
        for start in range(0, n, length):
            yield slice(start, start + length), slice(None)


def dense_moments(X, weights, means, unit):
    """Return weighted sums of deviations from given means, and of their squares.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
        Columns.
    weights : ndarray of shape (n_rows,)
        Weights, of sum 1.
    means : ndarray of shape (n_columns,) or None
        Approximate means, in units of X; None is zero.
    unit : float
        Unit of the deviations.

    Returns
    -------
    sums, energies : ndarray of shape (n_columns,)
        In units of ``unit`` and of its square. Sums without means are zero.
    """
    sums, energies = np.zeros((2, X.shape[1]))
    roots = np.sqrt(weights)
    for rows, columns in blocks_of(X):
        part = np.multiply(X[rows, columns], 1 / unit, dtype=np.float64)
        if means is not None:
            part -= means[columns] / unit
            sums[columns] += weights[rows] @ part
        part *= roots[rows, None]
        energies[columns] += np.einsum("ij,ij->j", part, part)
    return sums, energies


def sparse_moments(X, weights, means, unit):
    """Return what :func:`dense_moments` does, for a CSC matrix.

    Parameters
    ----------
    X : CSC matrix of shape (n_rows, n_columns)
        Columns, without duplicate entries.
    weights : ndarray of shape (n_rows,)
        Weights, of sum 1.
    means : ndarray of shape (n_columns,) or None
        Approximate means, in units of X; None is zero.
    unit : float
        Unit of the deviations.

    Returns
    -------
    sums, energies : ndarray of shape (n_columns,)
        In units of ``unit`` and of its square. Sums without means are zero.
    """

    def total(values):
        return sp.csc_array((values, X.indices, X.indptr), shape=X.shape).T @ weights

    stored, data = np.diff(X.indptr), X.data.astype(np.float64) / unit
    if means is None:
        return np.zeros(X.shape[1]), total(data**2)
    data -= np.repeat(means / unit, stored)
    # what zeros contribute; nothing in full columns, where a difference would cancel
    share = np.where(stored < X.shape[0], 1 - total(np.ones(len(data))), 0.0)
    zeros = means / unit * np.maximum(share, 0.0)
    return total(data) - zeros, total(data**2) + zeros * means / unit


def measure(columns, weights, centered):
    """Centre columns and scale them to norms in [1/2, 1), by powers of two.

    Means are subtracted twice: what is left by the rounding of the first is small.

    Parameters
    ----------
    columns : ndarray of shape (n_rows, n_columns)
        Columns of any finite size.
    weights : ndarray of shape (n_rows,)
        Weights, of sum 1.
    centered : bool
        Whether weighted means are subtracted.

    Returns
    -------
    columns : ndarray of shape (n_rows, n_columns)
        The result; constant columns are zero.
    sizes : Sizes
        Their statistics.

    Raises
    ------
    FloatingPointError
        If a column is not finite.
    """
    largest = np.abs(columns).max(axis=0, initial=0.0)
    if not np.isfinite(largest).all():
        raise FloatingPointError("X is not finite.")
    exponents = np.frexp(largest)[1].astype(np.int64)
    columns = np.asfortranarray(np.ldexp(columns, -exponents))
    means = np.zeros(columns.shape[1])
    for _ in range(2 if centered else 0):
        left = weights @ columns
        columns -= left
        means += left
    norms = np.sqrt(weights @ columns**2)
    norms[norms <= CONSTANT * np.abs(means)] = 0
    more = np.where(norms > 0, np.frexp(norms)[1], 0)
    factors = np.where(norms > 0, 2.0**-more, 0.0)
    columns *= factors
    means = np.where(norms > 0, means * factors, 0.0)
    return columns, Sizes(exponents + more, means, norms * factors)
