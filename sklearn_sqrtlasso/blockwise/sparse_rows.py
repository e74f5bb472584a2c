"""Numbers of sparse rows about a mean, at the cost of their nonzeros.

Neither centring nor what lies outside the span of a matrix W needs dense rows ::

    (x - mean) W' = x W' - mean W'
    ||x - mean||^2 = sum over nonzeros of (x_j - mean_j)^2 - mean_j^2, plus ||mean||^2
    ||y - y W' W||^2 = ||y||^2 - 2 ||u||^2 + u W W' u',    u = y W'

Sums are in double precision, of numbers of W as they are: a copy of it would be larger
than rows and codes of a block. Those of few terms in single precision are in single
precision, where the differences leave their digits. A row of which a difference in
double precision leaves too few is made dense, in small blocks.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sklearn_sqrtlasso.algorithms.sparse_products import (
    add_sparse_products,
    multiply_sparse_rows,
    sum_squares_about,
)
from sklearn_sqrtlasso.blockwise.linalg import dense_rows, row_norms
from sklearn_sqrtlasso.blockwise.orthogonal import products_of_rows

FEW_DIGITS = 1e-6  # share of its terms below which a difference is computed densely
MODEST = 1e200  # sums of squares above this or below its inverse are, too
DENSE_ENTRIES = 2**18  # of rows that are made dense at a time
FEW_TERMS = 32  # of a sum in single precision
MOST_DIGITS = 1 / 16  # share of its terms that keeps the root of a difference exact
MODEST_SINGLE = 1e24  # like MODEST: what is smaller by all digits is a normal number


def nonzeros(x):
    """Return entries, columns and bounds of CSR rows, as kernels take them.

    Parameters
    ----------
    x : CSR matrix of shape (n_rows, n_features)
        Rows.

    Returns
    -------
    data : ndarray of shape (n_nonzero,)
        In double precision.
    indices : ndarray of shape (n_nonzero,)
        Columns.
    indptr : ndarray of shape (n_rows + 1,)
        Bounds of the rows.
    """
    arrays = (x.data, np.float64), (x.indices, np.intp), (x.indptr, np.intp)
    return tuple(np.require(of, dtype, ["C", "W"]) for of, dtype in arrays)


def squared_distances(x, mean):
    """Return squared distances of sparse rows from a mean, and which are inaccurate.

    Parameters
    ----------
    x : CSR matrix of shape (n_rows, n_features)
        Rows.
    mean : ndarray of shape (n_features,) or None
        Mean; None is zero.

    Returns
    -------
    squares : ndarray of shape (n_rows,)
        In double precision.
    lost : ndarray of bool of shape (n_rows,)
        Whether a square has too few digits.
    """
    squares, terms = _squares_and_terms(x, mean)
    lost = _is_lost(squares, terms)
    return squares, lost if mean is not None else lost & (np.diff(x.indptr) > 0)


def _squares_and_terms(x, mean):
    """Return squared distances from a mean, and sums of the terms that they are of."""
    data, indices, indptr = nonzeros(x)
    with np.errstate(over="ignore", invalid="ignore"):
        if mean is None:
            row = np.repeat(np.arange(x.shape[0]), np.diff(indptr))
            squares = np.bincount(row, data**2, minlength=x.shape[0])
            return squares, squares
        mean, (before, after) = mean.astype(np.float64), np.empty((2, x.shape[0]))
        sum_squares_about(data, indices, indptr, mean, before, after)
        whole = mean @ mean
        return after - before + whole, after + before + whole


def _is_lost(difference, terms):
    """Return whether a difference of terms has too few digits."""
    usual = (terms > 1 / MODEST) & (terms < MODEST)
    return ~(usual & (difference > FEW_DIGITS * terms))


def distances(x, mean):
    """Return the distances of sparse rows from a mean.

    Parameters
    ----------
    x, mean
        As for ``squared_distances``.

    Returns
    -------
    norms : ndarray of shape (n_rows,)
        In double precision.
    """
    squares, lost = squared_distances(x, mean)
    norms, origin = np.sqrt(np.maximum(squares, 0)), 0.0 if mean is None else mean
    for rows in dense_batches(np.flatnonzero(lost), x.shape[1]):
        norms[rows] = row_norms(dense_rows(x[rows], np.float64) - origin)
    return norms


def differ_from(x, mean):
    """Return whether sparse rows differ from a mean, for each row.

    Parameters
    ----------
    x : CSR matrix of shape (n_rows, n_features)
        Rows.
    mean : ndarray of shape (n_features,)
        Mean.

    Returns
    -------
    differs : ndarray of bool of shape (n_rows,)
        Whether an entry does.
    """
    row = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))
    at = mean[x.indices]
    changed = np.bincount(row, x.data != at, minlength=x.shape[0])
    covered = np.bincount(row, at != 0, minlength=x.shape[0])
    return (changed > 0) | (covered < np.count_nonzero(mean))


def dense_batches(rows, n_features, n_weights=0):
    """Yield parts of an array of rows that are few enough to be made dense.

    They have up to a quarter of the entries of weights that each part is multiplied by.
    """
    size = max(1, max(DENSE_ENTRIES, n_weights // 4) // n_features)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def add_moments(x, Z, out, units=None):
    """Add ``x' Z`` of sparse rows to a matrix, without another one of its size.

    Parameters
    ----------
    x : CSR matrix of shape (n_rows, n_features)
        Rows.
    Z : ndarray of shape (n_rows, n_columns)
        Their codes.
    out : ndarray of shape (n_features, n_columns)
        In double precision; the product is added to it.
    units : ndarray of shape (n_features,), default=None
        Units by which columns of x are divided, in double precision; None is one.
    """
    data, columns, bounds = nonzeros(x)
    if units is not None:
        quotients = units[columns]
        data = np.divide(data, quotients, out=quotients)
    add_sparse_products(data, columns, bounds, np.ascontiguousarray(Z, np.float64), out)


@dataclass(frozen=True)
class SparseProjection:
    """The map of sparse rows to their coefficients, and to what lies outside.

    Attributes
    ----------
    W : ndarray of shape (n_components, n_features)
        Matrix of the coefficients, of any precision.
    mean : ndarray of shape (n_features,) or None
        Subtracted from rows; None is zero.
    orthonormal : bool, default=False
        Whether rows of W are orthonormal, to rounding in its precision. Those of W in
        single precision then stand for the orthonormal ones nearby.
    """

    W: np.ndarray
    mean: np.ndarray | None = None
    orthonormal: bool = False

    @cached_property
    def columns(self):
        """``W'``, contiguous by columns of X."""
        return np.ascontiguousarray(self.W.T)

    @cached_property
    def offset(self):
        """Coefficients of the mean."""
        if self.mean is None:
            return 0.0
        p, offset = len(self.columns), np.empty((1, len(self.W)))
        row = self.mean.astype(np.float64), np.arange(p), np.array([0, p])
        multiply_sparse_rows(*row, self.columns, offset)
        return offset[0]

    @cached_property
    def gram(self):
        """``W W'``, in double precision."""
        return products_of_rows(self.W)

    @cached_property
    def correction(self):
        """What coefficients are multiplied by and added, for orthonormal rows nearby.

        A step of Newton's method, ``(3 I - W W') W / 2``, squares the distance of
        ``W W'`` from the identity, 1e-6 or less.
        """
        return (0.5 * (np.eye(len(self.W)) - self.gram)).astype(self.W.dtype)

    def _decoded_squares(self, Z):
        """Return squared norms of ``Z W``."""
        return np.einsum("ij,ij->i", Z if self.orthonormal else Z @ self.gram, Z)

    def coefficients(self, x):
        """Return ``(x - mean) W'`` of CSR rows, in double precision."""
        U = np.empty((x.shape[0], len(self.W)))
        multiply_sparse_rows(*nonzeros(x), self.columns, U)
        with np.errstate(over="ignore", invalid="ignore"):  # of rows made dense
            U -= self.offset
            if self.orthonormal and self.W.dtype != np.float64:
                U += U.astype(self.W.dtype) @ self.correction
        return U

    def _few_terms(self, x):
        """Return for which rows sums may be in single precision."""
        single = self.W.dtype == x.dtype == np.float32
        if not (single and self.orthonormal and self.W.shape[0] < self.W.shape[1]):
            return np.zeros(x.shape[0], bool)
        return np.diff(x.indptr) <= FEW_TERMS

    def _project_few_terms(self, x):
        """Return what ``project`` does, by sums in single precision where these do."""
        U = np.empty((x.shape[0], len(self.W)), x.dtype)
        indices, indptr = (np.require(of, np.intp, "W") for of in (x.indices, x.indptr))
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            data = np.require(x.data, requirements=["C", "W"])
            multiply_sparse_rows(data, indices, indptr, self.columns, U)
            U -= np.asarray(self.offset, x.dtype)
            squares, terms = _squares_and_terms(x, self.mean)
            left = squares - np.einsum("ij,ij->i", U, U)
            usual = (terms > 1 / MODEST_SINGLE) & (terms < MODEST_SINGLE)
            outside = np.sqrt(np.maximum(left, 0))
        lost = ~(usual & (left > MOST_DIGITS * terms))
        rows = np.flatnonzero(lost)
        if len(rows):
            U[rows], outside[rows], lost[rows] = self._project_exactly(x[rows])
        return U, outside, lost

    def project(self, x):
        """Return coefficients, norms outside the span, and which are inaccurate.

        Parameters
        ----------
        x : CSR matrix of shape (n_rows, n_features)
            Rows.

        Returns
        -------
        U : ndarray of shape (n_rows, n_components)
            Coefficients ``(x - mean) W'``, in double precision; in that of x if all
            rows have few entries.
        outside : ndarray of shape (n_rows,)
            Norms of ``x - mean - U W``; zero if W has at least as many rows as columns.
        lost : ndarray of bool of shape (n_rows,)
            Whether a row has to be made dense for its numbers to be accurate.
        """
        few = self._few_terms(x)
        if not few.any():
            return self._project_exactly(x)
        if few.all():
            return self._project_few_terms(x)
        U, outside = np.empty((x.shape[0], len(self.W))), np.empty(x.shape[0])
        lost = np.empty(x.shape[0], bool)
        for rows, of in (few, self._project_few_terms), (~few, self._project_exactly):
            U[rows], outside[rows], lost[rows] = of(x[rows])
        return U, outside, lost

    def _project_exactly(self, x):
        """Return what ``project`` does, by sums in double precision."""
        U = self.coefficients(x)
        squares, lost = squared_distances(x, self.mean)
        if self.W.shape[0] >= self.W.shape[1]:
            return U, np.zeros(len(U)), lost
        with np.errstate(over="ignore", invalid="ignore"):
            inside = np.einsum("ij,ij->i", U, U)
            decoded = inside if self.orthonormal else self._decoded_squares(U)
            left = squares - 2 * inside + decoded
            lost |= (squares > 0) & _is_lost(left, squares + inside)
            return U, np.sqrt(np.maximum(left, 0)), lost

    def squared_errors(self, x, Z):
        """Return squared errors of decoded rows, and which are inaccurate.

        Parameters
        ----------
        x : CSR matrix of shape (n_rows, n_features)
            Rows.
        Z : ndarray of shape (n_rows, n_components)
            Their codes.

        Returns
        -------
        squares : ndarray of shape (n_rows,)
            ``||x - mean - Z W||^2``, in double precision.
        lost : ndarray of bool of shape (n_rows,)
            Whether a row has to be made dense for its error to be accurate.
        """
        U, Z = self.coefficients(x), Z.astype(np.float64)
        whole, lost = squared_distances(x, self.mean)
        with np.errstate(over="ignore", invalid="ignore"):
            decoded = self._decoded_squares(Z)
            squares = whole - 2 * np.einsum("ij,ij->i", Z, U) + decoded
            # atoms that nearly cancel are decoded from codes larger than the row
            terms = whole + decoded + Z**2 @ self.gram.diagonal()
            return squares, lost | ((terms != 0) & _is_lost(squares, terms))
