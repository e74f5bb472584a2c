"""Products of sparse rows with weights of many columns, shared out by units.

Weights of shape (n_units, n_features) are read and written a few units at a time, in
the columns that the rows use: as ``PANEL`` numbers side by side, of which a nonzero
takes one or two lines of the cache. A product of a batch costs its nonzeros times the
number of units.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.algorithms.sparse_products import (
    add_sparse_products,
    add_to_columns,
    gather_columns,
    multiply_sparse_rows,
)
from sklearn_sqrtlasso.blockwise.blocks import even_parts
from sklearn_sqrtlasso.blockwise.linalg import dense_rows, entries_per_row
from sklearn_sqrtlasso.blockwise.sparse_rows import (
    FEW_DIGITS,
    dense_batches,
    nonzeros,
)

MOSTLY = 4  # sparse rows are made dense if a quarter of their entries is stored
PANEL = 16  # units of a product at a time
PART_COLUMNS = 2048  # at least, of a part of a dense product
PART_WORK = 2**21  # multiplications of a part of its rows: a tenth of a millisecond
WANTED = 1e-5  # relative error of a loss, for which its rounding must not be amplified


class _UsedColumns(NamedTuple):
    """Sparse rows without the columns in which they have no entries.

    Attributes
    ----------
    data, places, bounds : ndarray
        Entries in double precision, their places in ``columns``, and the bounds of
        the rows.
    columns : ndarray of shape (n_used,)
        Columns that have entries, in order.
    """

    data: np.ndarray
    places: np.ndarray
    bounds: np.ndarray
    columns: np.ndarray


def _used_columns(x):
    data, indices, bounds = nonzeros(x)
    used = np.zeros(x.shape[1], bool)
    used[indices] = True
    columns, place = np.flatnonzero(used), np.cumsum(used) - 1
    return _UsedColumns(data, place[indices], bounds, columns)


def _map_panels(function, n_units, pmap):
    """Call a function of slices of a few units each, that are all units."""

    def work(part):
        for start in range(part.start, part.stop, PANEL):
            function(slice(start, min(start + PANEL, part.stop)))

    list(pmap(work, even_parts(n_units)))


def project_units(x, W, pmap=map):
    """Return ``x W'``.

    Parameters
    ----------
    x : CSR matrix of shape (n_rows, n_features)
        Rows.
    W : ndarray of shape (n_units, n_features)
        Weights.
    pmap : callable, (function, items) -> iterable of results in order
        ``map``, or ``thread_map``.

    Returns
    -------
    U : ndarray of shape (n_rows, n_units)
        In the dtype of W, C-contiguous; sums are in double precision.
    """
    *rows, columns = _used_columns(x)
    U = np.empty((x.shape[0], len(W)), W.dtype)

    def project(units):
        width = units.stop - units.start
        panel, product = np.empty((len(columns), width)), np.empty((len(U), width))
        gather_columns(W[units], columns, panel)
        multiply_sparse_rows(*rows, panel, product)
        U[:, units] = product

    _map_panels(project, len(W), pmap)
    return U


def add_units(x, H, out, pmap=map):
    """Add ``H' x`` to weights in place.

    Parameters
    ----------
    x : CSR matrix of shape (n_rows, n_features)
        Rows.
    H : ndarray of shape (n_rows, n_units)
        Numbers of each row.
    out : ndarray of shape (n_units, n_features)
        C-contiguous; the product is added to it.
    pmap : callable
        As for ``project_units``.
    """
    *rows, columns = _used_columns(x)

    def add(units):
        shares = np.ascontiguousarray(H[:, units], np.float64)
        panel = np.zeros((len(columns), shares.shape[1]))
        add_sparse_products(*rows, shares, panel)
        add_to_columns(panel, columns, out[units])

    _map_panels(add, len(out), pmap)


def multiply_units(A, W, out, pmap=map):
    """Write ``A W`` to weights.

    Parameters
    ----------
    A : ndarray of shape (n_rows, n_units)
        Matrix.
    W : ndarray of shape (n_units, n_features)
        Weights.
    out : ndarray of shape (n_rows, n_features)
        Overwritten.
    pmap : callable
        As for ``project_units``.
    """
    every = slice(None)
    parts = [(every, columns) for columns in even_parts(W.shape[1], PART_COLUMNS)]
    if len(parts) == 1:
        least = max(1, PART_WORK // max(1, W.size))
        parts = [(rows, every) for rows in even_parts(len(A), least)]

    def multiply(part):
        rows, columns = part
        np.matmul(A[rows], W[:, columns], out=out[part])

    list(pmap(multiply, parts))


def few_digits(dtype):
    """Return the share of its terms below which a difference of them is inaccurate."""
    return max(FEW_DIGITS, float(np.finfo(dtype).eps) / WANTED)


def is_mostly_zero(X):
    """Return whether rows are sparse, and products with their nonzeros cheap.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    cheap : bool
        Whether less than a quarter of the entries is stored.
    """
    return sp.issparse(X) and MOSTLY * entries_per_row(X) < X.shape[1]


@dataclass(frozen=True)
class SparseTargets:
    r"""Errors of codes of sparse rows in given atoms, without decoded rows.

    With Gram matrix and projections, :math:`\|z V - x\|^2 = z V V' z - 2 z V x +
    \|x\|^2`. Where this difference has too few digits, the row is decoded, in small
    blocks.

    Attributes
    ----------
    x : CSR matrix of shape (n_rows, n_features)
        Rows to restore.
    V : ndarray of shape (n_units, n_features)
        Atoms.
    gram : ndarray of shape (n_units, n_units)
        ``V V'``.
    pmap : callable
        As for ``project_units``.
    """

    x: sp.csr_array
    V: np.ndarray
    gram: np.ndarray
    pmap: Callable = map

    @cached_property
    def projections(self):
        """``x V'``."""
        return project_units(self.x, self.V, self.pmap)

    @cached_property
    def squares(self):
        """Squared norms of the rows, in double precision."""
        row = np.repeat(np.arange(self.x.shape[0]), np.diff(self.x.indptr))
        energies = self.x.data.astype(np.float64) ** 2
        return np.bincount(row, energies, minlength=self.x.shape[0])

    def errors(self, Z):
        """Return squared errors of codes, and half their gradients by the codes.

        Parameters
        ----------
        Z : ndarray of shape (n_rows, n_units)
            Codes.

        Returns
        -------
        errors : ndarray of shape (n_rows,)
            ``||z V - x||^2``, in double precision.
        slopes : ndarray of shape (n_rows, n_units)
            ``(Z V - x) V'``.
        """
        slopes = Z @ self.gram - self.projections
        outer, inner = (
            np.einsum("ij,ij->i", Z, of, dtype=np.float64)
            for of in (slopes, self.projections)
        )
        errors = outer - inner + self.squares
        terms = np.abs(outer + inner) + self.squares
        lost = ~(errors > few_digits(Z.dtype) * terms) & (terms > 0)
        for rows in dense_batches(np.flatnonzero(lost), self.x.shape[1]):
            miss = Z[rows] @ self.V - dense_rows(self.x[rows])
            errors[rows] = np.einsum("ij,ij->i", miss, miss, dtype=np.float64)
        return errors, slopes
