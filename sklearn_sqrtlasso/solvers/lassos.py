"""Lasso codes of rows in atoms, each with its duality gap.

Rows follow their paths together, watching near atoms only. A row whose certificate
fails follows its path once more, watching all atoms; if it is lost again, among atoms
that are nearly the same, it is solved face by face, in the space of the row.
"""

import numpy as np

from sklearn_sqrtlasso.kernels.certificate import lasso_gaps
from sklearn_sqrtlasso.kernels.homotopy import lasso_paths
from sklearn_sqrtlasso.solvers.faces import code_by_faces


def solve_lassos(X, atoms, C, alpha, root, rule):
    """Minimise ``1/2 ||x - z D||^2 + alpha ||z||_1`` for each row.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Rows.
    atoms : Atoms
        Atoms.
    C : ndarray of shape (n_rows, n_components)
        ``X D'``.
    alpha : ndarray of shape (n_rows,)
        Penalty of each row.
    root : bool
        Whether to minimise ``||x - z D|| + alpha ||z||_1`` instead.
    rule : Rule
        Says whether codes are nonnegative, when a row is solved, and how many faces it
        may take.

    Returns
    -------
    Z : ndarray of shape (n_rows, n_components)
        Codes.
    gap : ndarray of shape (n_rows,)
        Duality gap of each row, relative to the objective of a zero code.
    norm : ndarray of shape (n_rows,)
        Norm of each residual.
    """
    Z, dual = np.empty_like(C), np.empty_like(X)
    gap, norm = np.empty(len(X)), np.empty(len(X))

    def certify(at, z, y, gaps, norms):
        lasso_gaps(
            X[at], *atoms, C[at], z, y, alpha[at], root, rule.positive, gaps, norms
        )

    def follow(at, screen):
        lasso_paths(
            X[at], *atoms, C[at], alpha[at], root, rule.positive, screen,
            Z[at], dual[at],
        )  # fmt: skip
        certify(at, Z[at], dual[at], gap[at], norm[at])

    def lost():
        return np.flatnonzero(~(gap <= rule.tol))

    follow(slice(None), True)
    for i in lost():
        follow(slice(i, i + 1), False)
    for i in lost():
        z = np.where(np.isfinite(Z[i]), Z[i], 0.0)
        y = code_by_faces(
            X[i], atoms.D, alpha[i], root, rule.positive, rule.max_iter, z
        )
        found, left = np.empty(1), np.empty(1)
        certify(slice(i, i + 1), z[None], y[None], found, left)
        if not gap[i] <= found[0]:
            Z[i], gap[i], norm[i] = z, found[0], left[0]
    return Z, gap, norm
