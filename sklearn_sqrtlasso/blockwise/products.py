"""Products of rows with weights, at the cost of the nonzeros where these are few."""

from dataclasses import dataclass

import numpy as np

from sklearn_sqrtlasso.algorithms.sparse_products import (
    add_sparse_products,
    count_nonzeros,
    gather_nonzeros,
    multiply_at_entries,
    multiply_sparse_rows,
)
from sklearn_sqrtlasso.blockwise.linalg import multiply_rows

FEW = 32  # at most one of so many entries: a dense product then takes twice as long


def products_of(Z, sparse=True):
    """Return the products of rows such as codes, which are dense arrays.

    Parameters
    ----------
    Z : ndarray of shape (n_rows, n_units)
        Rows.
    sparse : bool, default=True
        Whether zeros may be left out.

    Returns
    -------
    products : DenseProducts or FewProducts
        By the nonzeros if these are few.
    """
    if not (sparse and Z.size):
        return DenseProducts(Z)
    bounds = np.zeros(len(Z) + 1, np.intp)
    if not count_nonzeros(Z, Z.size // FEW, bounds[1:]):
        return DenseProducts(Z)
    np.cumsum(bounds, out=bounds)
    n_nonzero = int(bounds[-1])
    data, columns = np.empty(n_nonzero, Z.dtype), np.empty(n_nonzero, np.intp)
    gather_nonzeros(Z, bounds, data, columns)
    return FewProducts(Z, data, columns, bounds)


@dataclass(frozen=True)
class DenseProducts:
    """Products of dense rows.

    Attributes
    ----------
    Z : ndarray of shape (n_rows, n_units)
        Rows.
    """

    Z: np.ndarray

    def times(self, V):
        """Return ``Z V``."""
        return self.Z @ V

    def moment(self, G):
        """Return ``Z' G``."""
        return self.Z.T @ G

    def slopes(self, G, V):
        """Return ``G V'``, at least where rows have nonzeros."""
        return G @ V.T


@dataclass(frozen=True)
class FewProducts(DenseProducts):
    """Products of dense rows by their nonzeros, which are few.

    Attributes
    ----------
    Z : ndarray of shape (n_rows, n_units)
        Rows.
    data : ndarray of shape (n_nonzero,)
        Nonzeros, one row after the other.
    columns : ndarray of shape (n_nonzero,)
        Their columns.
    bounds : ndarray of shape (n_rows + 1,)
        Those of row i are at ``bounds[i]`` to ``bounds[i + 1]``.
    """

    data: np.ndarray
    columns: np.ndarray
    bounds: np.ndarray

    def times(self, V):
        """Return ``Z V``."""
        out = np.empty((len(self.Z), V.shape[1]), V.dtype)
        multiply_sparse_rows(self.data, self.columns, self.bounds, V, out)
        return out

    def moment(self, G):
        """Return ``Z' G``."""
        out = np.zeros((self.Z.shape[1], G.shape[1]), G.dtype)
        add_sparse_products(self.data, self.columns, self.bounds, G, out)
        return out

    def slopes(self, G, V):
        """Return ``G V'`` where rows have nonzeros, else zeros."""
        entries, out = np.empty_like(self.data), np.zeros_like(self.Z)
        multiply_at_entries(self.columns, self.bounds, G, V, entries)
        rows = np.repeat(np.arange(len(self.Z)), np.diff(self.bounds))
        out[rows, self.columns] = entries
        return out


def decode_rows(Z, V):
    """Return ``Z V``, as ``multiply_rows`` does, by nonzeros where these are few.

    Parameters
    ----------
    Z : ndarray or sparse matrix of shape (n_rows, n_units)
        Codes.
    V : ndarray of shape (n_units, n_features)
        Atoms, of any precision.

    Returns
    -------
    product : ndarray of shape (n_rows, n_features)
        In the dtype of Z.
    """
    codes = products_of(Z, isinstance(Z, np.ndarray))
    if isinstance(codes, FewProducts):
        with np.errstate(over="ignore", invalid="ignore"):
            product = codes.times(V.astype(Z.dtype, copy=False))
            if np.isfinite(np.add.reduce(product, axis=None)):
                return product
    return multiply_rows(Z, V)
