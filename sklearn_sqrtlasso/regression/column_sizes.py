"""Means and sizes of columns, whatever their units and offsets."""

import math
from typing import NamedTuple

import numpy as np

BLOCK_ENTRIES = 2**18  # of rows or columns that are converted at a time
RUN = 8  # adjacent rows of a sample
SAMPLE_ENTRIES = 2**16  # of a sample that are converted at a time
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

    def in_units(self, exponents):
        """Return them in given units, with exponents of the old ones over these."""
        more = self.exponents - exponents
        return Sizes(more, np.ldexp(self.means, more), np.ldexp(self.norms, more))


def typical_exponent(entries):
    """Return the power of two near the median, over columns, of the largest entry.

    Parameters
    ----------
    entries : ndarray of shape (n_rows, n_columns)
        Numbers, of which some rows and columns may be enough.

    Returns
    -------
    exponent : int
        0 if all entries are zero.

    Raises
    ------
    FloatingPointError
        If an entry that was looked at is not finite.
    """
    steps = [max(1, length // SAMPLE) for length in entries.shape]
    for part in (entries[:: steps[0], :: steps[1]], entries):
        if part.size == 0:
            continue
        largest = np.sort(np.maximum(part.max(axis=0), -part.min(axis=0)))
        if not np.isfinite(largest[-1]):  # no number is the largest, either
            raise FloatingPointError("X is not finite.")
        first = int(np.searchsorted(largest, 0.0, side="right"))
        if first < len(largest):
            return math.frexp(largest[(first + len(largest)) // 2])[1]
    return 0


def norms_of_sample(X, weights, centered, unit):
    """Estimate norms of columns from some rows.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
        Columns.
    weights : ndarray of shape (n_rows,)
        Weights, positive.
    centered : bool
        Whether weighted means are subtracted.
    unit : float
        Unit of the result.

    Returns
    -------
    norms : ndarray of shape (n_columns,)
        Roots of the weighted mean squares of rows of the sample; that of all rows is at
        least the root of their share in the weights times as large.
    """
    n = X.shape[0]
    rows = slice(None)
    if n > 2 * SAMPLE:  # runs of rows: they share lines of the cache
        starts = np.linspace(0, n - RUN, SAMPLE // RUN, dtype=np.intp)
        rows = (starts[:, None] + np.arange(RUN)).ravel()
    shares, norms = weights[rows] / weights[rows].sum(), np.empty(X.shape[1])
    width = max(1, SAMPLE_ENTRIES // len(shares))
    for start in range(0, X.shape[1], width):
        columns = slice(start, start + width)
        part = X[rows, columns] * np.float64(1 / unit)
        if centered:
            part -= shares @ part
        np.multiply(part, part, out=part)
        norms[columns] = np.sqrt(shares @ part)
    return norms


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
    if np.abs(exponents).max(initial=0) < 1000:
        columns = np.asfortranarray(columns * 2.0**-exponents)
    else:
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
