"""Linear algebra of rows: dense blocks, products, norms, and units of scaling."""

import numpy as np
import scipy.sparse as sp
from sklearn.utils import gen_batches

from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows, each_chunk, over_chunks

BLOCK_ROWS, BLOCK_ENTRIES = 4096, 2**18  # of rows that are copied at a time
SPARE = 24  # binary digits between the largest unit and the range of numbers


def entries_per_row(X):
    """Return how many entries of a row are stored, on average, at least 1.

    Parameters
    ----------
    X : array or sparse matrix of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    width : int
        The number of columns of dense rows.
    """
    if not (sp.issparse(X) or isinstance(X, ChunkedRows)):
        return max(X.shape[1], 1)
    return max(_n_stored(X) // max(X.shape[0], 1), 1)


@over_chunks(np.add)
def _n_stored(X):
    return X.nnz if sp.issparse(X) else X.size


def row_batches(n_rows, width):
    """Return slices of rows that are few enough to be copied.

    Parameters
    ----------
    n_rows : int
        Number of all rows.
    width : int
        Number of entries of a row that are copied.

    Returns
    -------
    slices : iterator of slice
        At least one.
    """
    size = min(BLOCK_ROWS, max(1, BLOCK_ENTRIES // max(width, 1)))
    return gen_batches(max(n_rows, 1), size)


def dense_rows(X, dtype=None):
    """Return rows as a dense array; sparse rows are made dense only here.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_rows, n_features)
        Rows.
    dtype : dtype, default=None
        Dtype of the result; None keeps that of X.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features)
        The rows; X itself if it is dense and has the dtype.
    """
    X = X.toarray() if hasattr(X, "toarray") else X
    return np.asarray(X, dtype=dtype)


@over_chunks(np.logical_or)
def has_missing(X):
    """Return whether an entry of dense or sparse rows is NaN.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    missing : bool
        Whether there is one.
    """
    values = X.data[:, None] if sp.issparse(X) else X
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return any(
            _sum_is_nan(values[rows].ravel()) and np.isnan(values[rows]).any()
            for rows in row_batches(*values.shape)
        )


def _sum_is_nan(x):
    """Return whether the sum of squares is NaN, which takes half as long as a sum."""
    return np.isnan(x @ x)


def missing_counts(X):
    """Return the number of missing entries of each column.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows; NaN where an entry is missing.

    Returns
    -------
    counts : ndarray of shape (n_features,)
        Integers.
    """
    if not has_missing(X):
        return np.zeros(X.shape[1], np.intp)
    return _missing_counts(X)


def missing_per_row(X):
    """Return the number of missing entries of each row of a block.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_rows, n_features)
        Rows; NaN where an entry is missing.

    Returns
    -------
    counts : ndarray of shape (n_rows,)
        Integers.
    """
    if not sp.issparse(X):
        return np.count_nonzero(np.isnan(X), axis=1)
    row = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    return np.bincount(row[np.isnan(X.data)], minlength=X.shape[0])


@over_chunks(np.add)
def _missing_counts(X):
    if hasattr(X, "tocsr"):
        return np.bincount(X.indices[np.isnan(X.data)], minlength=X.shape[1])
    counts = np.zeros(X.shape[1], np.intp)
    for rows in row_batches(*X.shape):
        counts += np.isnan(X[rows]).sum(axis=0)
    return counts


def project_rows(X, W, out=None):
    """Return ``X W'`` of dense or sparse rows as a C-contiguous array.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_rows, n_features)
        Rows.
    W : ndarray of shape (n_components, n_features)
        Matrix of the projection.
    out : ndarray of shape (n_rows, n_components), default=None
        Output array for dense rows.

    Returns
    -------
    U : ndarray of shape (n_rows, n_components)
        The product, in ``out`` if it was used.
    """
    return multiply_rows(X, W.T, out if isinstance(X, np.ndarray) else None)


def multiply_rows(X, V, out=None):
    """Return ``X V``, in which a number is infinite only if it exceeds all others.

    Products are exact to rounding also where terms of a sum, or V itself, exceed the
    range of the dtype of X: they are then computed in units of scaling.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_rows, n)
        Finite rows.
    V : ndarray of shape (n, n_columns)
        Matrix, of any precision.
    out : ndarray of shape (n_rows, n_columns), default=None
        Output array for dense rows.

    Returns
    -------
    product : ndarray of shape (n_rows, n_columns)
        C-contiguous, in the dtype of X.
    """
    try:
        with np.errstate(over="raise", invalid="raise"):
            narrow = V.astype(X.dtype, copy=False)
            if isinstance(X, np.ndarray):
                return np.matmul(X, narrow, out=out)
            product = np.ascontiguousarray(X @ narrow)
            if np.isfinite(np.add.reduce(product, axis=None)):
                return product  # sparse products do not raise
    except FloatingPointError:
        pass
    product = _multiply_in_units(dense_rows(X), V)
    if out is None:
        return product
    out[:] = product
    return out


def affine_rows(X, V, b, out=None):
    """Return ``X V`` and b, whose sum is infinite only if it exceeds all numbers.

    Where one of both is out of the range of the dtype of X, and the sum perhaps is not,
    the sum is returned with zeros instead.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_rows, n)
        Finite rows.
    V : ndarray of shape (n, n_columns)
        Matrix, of any precision.
    b : ndarray of shape (n_columns,)
        Offsets, of any precision.
    out : ndarray of shape (n_rows, n_columns), default=None
        Output array for dense rows.

    Returns
    -------
    U : ndarray of shape (n_rows, n_columns)
        The product or the sum, in the dtype of X.
    b : ndarray of shape (n_columns,)
        The offsets in this dtype, or zeros.
    """
    U = multiply_rows(X, V, out)
    narrow = narrowed(b, X.dtype)
    if narrow.dtype == U.dtype and np.isfinite(U).all():
        return U, narrow
    ones = np.ones((X.shape[0], 1), X.dtype)
    whole = multiply_rows(np.hstack([dense_rows(X), ones]), np.vstack([V, b]))
    return whole, np.zeros(len(b), X.dtype)


def narrowed(V, dtype):
    """Return numbers in a dtype, or as they are if they are out of its range.

    Parameters
    ----------
    V : ndarray
        Numbers.
    dtype : dtype
        Dtype of floating-point numbers.

    Returns
    -------
    V : ndarray
        The numbers; V itself if they are of this dtype or one is out of its range.
    """
    with np.errstate(over="ignore"):
        narrow = V.astype(dtype, copy=False)
    return narrow if np.isfinite(narrow).all() else V


def scaled(values, factor):
    """Return numbers times a factor, which may be out of the range of their dtype.

    Parameters
    ----------
    values : ndarray
        Numbers.
    factor : float
        Positive factor.

    Returns
    -------
    scaled : ndarray
        The products, in the dtype of ``values``; infinite where they exceed its range.
    """
    with np.errstate(over="ignore"):
        products = values.astype(np.float64, copy=False) * factor
        return products.astype(values.dtype, copy=False)


def _multiply_in_units(X, V):
    """Return ``X V`` of rows and columns that are divided by their units."""
    of_rows = unit_near(np.abs(X).max(axis=1, initial=0), X.dtype)[:, None]
    of_columns = unit_near(np.abs(V).max(axis=0, initial=0), np.float64)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        product = (X / of_rows).astype(np.float64) @ (V / of_columns)
        exponents = np.log2(of_rows) + np.log2(of_columns)
        return np.ldexp(product, exponents.astype(np.intc)).astype(X.dtype)


def row_norms(X):
    """Return the l2 norm of each row, without overflow or underflow of squares.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Rows.

    Returns
    -------
    norms : ndarray of shape (n_rows,)
        In the dtype of X; infinite where an entry or the norm is.
    """
    batches = row_batches(X.shape[0], X.shape[1])
    return np.concatenate([_norms_of_few(X[rows]) for rows in batches])


def _norms_of_few(X):
    largest = np.abs(X).max(axis=1, initial=0)
    usual = (largest > 0) & (largest < np.inf)
    unit = np.where(usual, largest, 1).astype(X.dtype)
    with np.errstate(over="ignore"):  # what is out of range is infinite
        X = X / unit[:, None]
        return unit * np.sqrt(np.einsum("ij,ij->i", X, X))


def column_means(X):
    """Return the mean of the observed entries of each column, in double precision.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows; NaN where an entry is missing.

    Returns
    -------
    means : ndarray of shape (n_features,)
        In units of X; 0 where no entry is observed.
    """
    n_observed = X.shape[0] - missing_counts(X)
    X = filled_rows(X, np.zeros(X.shape[1]))
    unit = unit_near(largest_entry(X), X.dtype)
    return _column_sums(X, unit) / np.maximum(n_observed, 1) * unit


@over_chunks(np.add)
def _column_sums(X, unit):
    """Return the sums of the columns of finite rows, divided by a unit."""
    total = np.zeros(X.shape[1])
    for rows in row_batches(X.shape[0], entries_per_row(X)):
        total += np.asarray((X[rows] / unit).sum(axis=0, dtype=np.float64)).ravel()
    return total


def filled_rows(X, values):
    """Return rows with missing entries replaced by a value for each column.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows; NaN where an entry is missing.
    values : ndarray of shape (n_features,)
        Replacements.

    Returns
    -------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        X itself if nothing is missing, else a copy.
    """
    return _filled(X, values) if has_missing(X) else X


@each_chunk
def _filled(X, values):
    if not hasattr(X, "tocsr"):
        return np.where(np.isnan(X), values.astype(X.dtype), X)
    X = X.copy()
    missing = np.isnan(X.data)
    X.data[missing] = values[X.indices[missing]]
    return X


def largest_spread(X, mean):
    """Return the largest distance of an entry from the mean of its column.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Finite rows.
    mean : ndarray of shape (n_features,)
        Mean of each column.

    Returns
    -------
    largest : float
        At least 0.
    """
    highest, lowest = _extremes(X)
    with np.errstate(over="ignore"):
        spread = np.maximum(highest - mean, mean - lowest)
    return float(min(spread.max(), np.finfo(X.dtype).max))


def _wider(one, two):
    """Return the extremes of both."""
    return np.maximum(one[0], two[0]), np.minimum(one[1], two[1])


@over_chunks(_wider)
def _extremes(X):
    """Return the largest and the smallest entry of each column of canonical rows."""
    if not sp.issparse(X):
        return X.max(axis=0), X.min(axis=0)
    n_features = X.shape[1]
    highest, lowest = np.full((2, n_features), [[-np.inf], [np.inf]])
    counts = np.zeros(n_features, np.intp)
    for rows in row_batches(X.shape[0], entries_per_row(X)):
        x = X[rows]
        columns, entries = x.indices, x.data
        np.maximum.at(highest, columns, entries)
        np.minimum.at(lowest, columns, entries)
        counts += np.bincount(columns, minlength=n_features)
    has_zeros = counts < X.shape[0]
    highest[has_zeros] = np.maximum(highest[has_zeros], 0)
    lowest[has_zeros] = np.minimum(lowest[has_zeros], 0)
    return highest, lowest


@over_chunks(max)
def largest_entry(X):
    """Return the largest absolute value of an entry, without a copy of X.

    Parameters
    ----------
    X : ndarray or sparse matrix
        Finite numbers, at least one.

    Returns
    -------
    largest : float
        At least 0.
    """
    return float(max(X.max(), -X.min()))


def largest_exponent(dtype):
    """Return the exponent of the largest unit of scaling.

    Parameters
    ----------
    dtype : dtype
        Dtype of floating-point numbers.

    Returns
    -------
    exponent : int
        Sums of ``2**SPARE`` numbers of that size are in the range of the dtype. The
        exponent of the smallest unit is its negative.
    """
    return int(np.finfo(dtype).maxexp) - SPARE


def unit_near(largest, dtype=np.float64):
    """Return a unit of scaling: a power of two, so that nothing is rounded.

    Numbers up to ``largest``, divided by it, are at most 1 and their squares neither
    overflow nor vanish.

    Parameters
    ----------
    largest : float or ndarray
        Absolute value of the largest number, at least 0.
    dtype : dtype, default=float64
        The unit and its inverse are normal numbers of this type.

    Returns
    -------
    unit : float or ndarray
        In [largest, 2 largest], within the bounds of the dtype; 1 for 0 and infinity.
    """
    bound = largest_exponent(dtype)
    mantissa, exponent = np.frexp(np.asarray(largest, dtype=np.float64))
    exponent = np.clip(exponent, -bound, bound)
    usual = (mantissa > 0) & (mantissa < np.inf)
    unit = np.where(usual, np.ldexp(1.0, exponent), 1.0)
    return unit if unit.ndim else float(unit)


def root_mean_square(X):
    """Return the root mean square of all observed entries as ``(size, unit)``.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows; NaN where an entry is missing.

    Returns
    -------
    size : float
        Root mean square in units of ``unit``, in [1/2, 1), or 0 where X is zero.
    unit : float
        A power of two, 1 where X is zero.
    """
    n_observed = X.shape[0] * X.shape[1] - missing_counts(X).sum()
    X = filled_rows(X, np.zeros(X.shape[1]))
    largest = largest_entry(X)
    if largest == 0:
        return 0.0, 1.0
    outer = unit_near(largest)
    size = np.sqrt(_sum_of_squares(X, outer) / n_observed)
    inner = unit_near(size)
    return float(size / inner), outer * inner


@over_chunks(np.add)
def _sum_of_squares(X, unit):
    """Return the sum of the squares of all entries, divided by a unit."""
    total = 0.0
    kept = np.empty(0)  # one array for all batches: to map each takes longer
    for rows in row_batches(X.shape[0], entries_per_row(X)):
        values = X[rows]
        values = values.data if hasattr(values, "tocsr") else values
        if kept.size < values.size:
            kept = np.empty(values.size, values.dtype)
        squares = kept[: values.size].reshape(values.shape)
        np.divide(values, unit, out=squares)
        squares *= squares
        total += np.sum(squares, dtype=np.float64)
    return total
