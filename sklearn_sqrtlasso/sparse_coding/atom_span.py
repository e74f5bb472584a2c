"""Sparse rows as coordinates in the span of the atoms, and what lies outside.

With an orthonormal basis B of the span of atoms ``D = L B'``, the residual of a code is
as long for a row x in the atoms D as for its coordinates in the atoms of coordinates ::

    ||x - z D||^2 = ||x B - z L||^2 + rho^2,    rho^2 = ||x||^2 - ||x B||^2

Hence a row of many columns is coded like one of ``n_components + 1`` numbers, ``x B``
and rho, in the atoms L, whose last entry is zero. Both follow from the nonzeros of the
row. A row of which the difference leaves too few digits is made dense to find rho.

L is a Cholesky factor of ``D D'``. Where that is well conditioned, ``x B`` follows from
``x D'`` by forward substitution, and no basis, as large as the atoms, is made.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import qr
from scipy.linalg.blas import dtrsm

from sklearn_sqrtlasso.algorithms.sparse_products import multiply_sparse_rows
from sklearn_sqrtlasso.blockwise.blocks import one_thread_of_blas
from sklearn_sqrtlasso.blockwise.linalg import dense_rows, row_norms, unit_near
from sklearn_sqrtlasso.blockwise.orthogonal import (
    factor_of_products,
    orthonormal_rows,
)
from sklearn_sqrtlasso.blockwise.sparse_rows import dense_batches, nonzeros
from sklearn_sqrtlasso.sparse_coding.dictionary import Dictionary, make_dictionary

FEW_DIGITS = 1e-4  # energy share outside the span below which rows are made dense
WELL_CONDITIONED = 1e-3  # inverse condition of products: three digits are lost at most


class AtomSpan(NamedTuple):
    """The span of the atoms.

    Attributes
    ----------
    columns : ndarray of shape (n_features, n_components)
        Contiguous rows of the atoms ``D'``, or of an orthonormal basis of their span.
    factor : ndarray of shape (n_components, n_components) or None
        L, whose inverse turns products with the atoms into those with the basis; None
        has the basis itself.
    dictionary : Dictionary
        Atoms in coordinates, of shape (n_components, n_components + 1).
    """

    columns: np.ndarray
    factor: np.ndarray | None
    dictionary: Dictionary

    def coordinates(self, X):
        """Return the coordinates of sparse rows, and their norms outside the span.

        Parameters
        ----------
        X : CSR matrix of shape (n_rows, n_features)
            Finite rows.

        Returns
        -------
        coordinates : ndarray of shape (n_rows, n_components + 1)
            The norm outside the span is the last one.
        """
        data, indices, indptr = nonzeros(X)
        row = np.repeat(np.arange(X.shape[0]), np.diff(indptr))
        unit = _units(np.abs(data), indptr)
        data = data / unit[row]
        inside = np.empty((X.shape[0], self.columns.shape[1]))
        multiply_sparse_rows(data, indices, indptr, self.columns, inside)
        if self.factor is not None:
            inside = dtrsm(1.0, self.factor, inside.T, lower=1, overwrite_b=1).T
        whole = np.bincount(row, data**2, minlength=X.shape[0])
        left = whole - np.einsum("ij,ij->i", inside, inside)
        outside = np.sqrt(np.maximum(left, 0))
        few = np.flatnonzero(left < FEW_DIGITS * whole)
        for rows in dense_batches(few, X.shape[1]):
            x = dense_rows(X[rows], np.float64) / unit[rows, None]
            x -= self.decoded(inside[rows])
            outside[rows] = row_norms(x)
        return np.column_stack([inside, outside]) * unit[:, None]

    def decoded(self, inside):
        """Return dense rows of coordinates in the basis.

        Parameters
        ----------
        inside : ndarray of shape (n_rows, n_components)
            Coordinates.

        Returns
        -------
        x : ndarray of shape (n_rows, n_features)
            Rows in the span.
        """
        if self.factor is not None:
            inside = dtrsm(1.0, self.factor, inside.T, lower=1, trans_a=1).T
        return inside @ self.columns.T


def _units(sizes, indptr):
    """Return a unit of scaling for each sparse row."""
    largest, stored = np.zeros(len(indptr) - 1), np.diff(indptr) > 0
    if stored.any():
        largest[stored] = np.maximum.reduceat(sizes, indptr[:-1][stored])
    return unit_near(largest)


def span_of_atoms(dictionary):
    """Return the span of fewer atoms than features.

    Parameters
    ----------
    dictionary : Dictionary
        Atoms; they may be linearly dependent.

    Returns
    -------
    span : AtomSpan
        A basis of it, or what tells coordinates in one, and the atoms in these.
    """
    with one_thread_of_blas:  # others would spin beside the threads that code rows
        factor = factor_of_products(dictionary.G, WELL_CONDITIONED)
        if factor is not None:
            columns = np.ascontiguousarray(dictionary.D.T)
            return AtomSpan(columns, factor, _atoms_in_coordinates(factor))
        basis, factor = _basis_by_cholesky(dictionary) or _basis_by_qr(dictionary.D)
    return AtomSpan(basis, None, _atoms_in_coordinates(factor))


def _atoms_in_coordinates(factor):
    return make_dictionary(np.pad(factor, ((0, 0), (0, 1))))


def _basis_by_cholesky(dictionary):
    """Return basis and factor of atoms, or None of atoms that are nearly dependent."""
    basis = np.array(dictionary.D.T, order="C")
    factor = orthonormal_rows(basis.T, dictionary.G)
    return None if factor is None else (basis, factor)


def _basis_by_qr(D):
    """Return basis and factor of any atoms."""
    basis, factor = qr(D.T, mode="economic")
    return np.ascontiguousarray(basis), factor.T
