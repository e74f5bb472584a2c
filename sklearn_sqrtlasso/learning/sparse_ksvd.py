"""The k-SVD sweep over sparse rows, whose residuals are never made.

For the rows I that use atom d, the residual without it is ``E = X_I - S D``, where S
are their codes without the entries of d: sparse rows and a product of low rank. The
power method needs ``E E'`` only, ::

    E E' v = X_I (X_I' v) - C_I s - S (C_I' v - G s),    s = S' v,

with the correlations ``C = X D'`` and the Gram matrix ``G = D D'``, which one atom
changes in a column. The new atom is ``E' v``, the only product with all columns.
"""

import numpy as np

from sklearn_sqrtlasso.algorithms.sparse_products import multiply_sparse_rows
from sklearn_sqrtlasso.blockwise.linalg import row_batches
from sklearn_sqrtlasso.blockwise.sparse_rows import nonzeros

FEW_DIGITS = 1e-6  # share of an energy below which a difference is computed directly


class OthersLeft:
    """What other atoms leave of the rows that use an atom: ``E = X - S D``.

    Parameters
    ----------
    X : CSR matrix of shape (n_users, n_features)
        Rows that use the atom.
    C : ndarray of shape (n_users, n_components)
        ``X D'``.
    S : ndarray of shape (n_users, n_components)
        Their codes, with zeros in place of the entries of the atom.
    D : ndarray of shape (n_components, n_features)
        Atoms.
    G : ndarray of shape (n_components, n_components)
        ``D D'``.
    """

    def __init__(self, X, C, S, D, G):
        self.X, self.C, self.S, self.D, self.G = X, C, S, D, G

    def step(self, values):
        """Take a step of the power method.

        Parameters
        ----------
        values : ndarray of shape (n_users,)
            Entries of the atom.

        Returns
        -------
        norm : float
            Norm of ``E' values``.
        best : ndarray of shape (n_users,)
            The best entries of the atom ``E' values / norm``.
        """
        u, s, others, energy = self._products(values)
        if energy < FEW_DIGITS * (u @ u):
            new = u - s @ self.D
            norm = np.linalg.norm(new)
            best = self.X @ new - self.S @ (self.D @ new)
        else:
            norm = np.sqrt(energy)
            best = self.X @ u - self.C @ s - self.S @ others
        return norm, best / (norm or 1.0)

    def atom(self, values):
        """Return ``E' values`` over its norm, and its products with all atoms."""
        u, s, others, energy = self._products(values)
        new = u - s @ self.D
        norm = np.linalg.norm(new)
        products = self.D @ new if energy < FEW_DIGITS * (u @ u) else others
        return new / norm, products / norm

    def _products(self, values):
        """Return ``X' v``, ``S' v``, ``D E' v`` and the energy of ``E' v``."""
        u, c, s = self.X.T @ values, values @ self.C, values @ self.S
        others = c - self.G @ s
        return u, s, others, u @ u - s @ c - s @ others


def sparse_ksvd_sweep(X, D, order, coded, positive, n_steps, tol):
    """Fit each atom and its entries to the residual of the others: k-SVD.

    Parameters
    ----------
    X : CSR matrix of shape (n_samples, n_features)
        Rows.
    D : ndarray of shape (n_components, n_features)
        Atoms of unit norm; updated.
    order : ndarray of shape (n_components,)
        Order in which atoms are updated.
    coded : CodedRows
        Codes; their values are updated.
    positive, n_steps, tol
        As for ``ksvd_sweep``, whose results these are to rounding.
    """
    Z, place = _codes_by_row(coded)
    G, C = D @ D.T, _correlations(X, D)
    for atom in order:
        own = slice(coded.starts[atom], coded.starts[atom + 1])
        users, before = coded.users[own], coded.values[own].copy()
        if not before.any():
            continue
        left = OthersLeft(X[users], C[users], _codes_of_others(Z, users, atom), D, G)
        values, shown = _first_pair(left, before, positive, n_steps, tol)
        if values is not None:
            D[atom], products = left.atom(shown)
            products[atom] = 1.0
            G[atom], G[:, atom] = products, products
            C[:, atom] = X @ D[atom]
            coded.values[own] = Z.data[place[own]] = values
        del left  # before that of the next atom is made


def _codes_of_others(Z, users, atom):
    """Return dense codes of the rows that use an atom, without its entries."""
    S = Z[users].toarray()
    S[:, atom] = 0
    return S


def _first_pair(left, values, positive, n_steps, tol):
    """Return entries of the first singular pair, and those that its atom is made of.

    Both are None where the rows have no part in the atom.
    """
    last, shown = 0.0, values
    for turn in range(n_steps):
        shown = values
        norm, values = left.step(shown)
        if norm == 0:
            return None, None
        values = np.maximum(values, 0) if positive else values
        if norm <= last * (1 + tol):
            break
        last = norm if turn > 0 else 0.0  # the first depends on old values
    return values, shown


def _codes_by_row(coded):
    """Return CSR codes, and where the values of codes by atom are in them."""
    Z = coded.codes
    Z.data = np.arange(len(Z.data))
    Z = Z.tocsr()
    place = np.argsort(Z.data)
    Z.data = coded.values[Z.data]
    return Z, place


def _correlations(X, D):
    columns, C = np.ascontiguousarray(D.T), np.empty((X.shape[0], len(D)))
    for rows in row_batches(*C.shape):
        multiply_sparse_rows(*nonzeros(X[rows]), columns, C[rows])
    return C
