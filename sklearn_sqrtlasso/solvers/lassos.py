"""Lasso codes of rows in atoms, each with its duality gap.

Rows follow their paths together, watching near atoms only. A row whose certificate
fails follows its path once more, watching all atoms; if it is lost again, among atoms
that are nearly the same, it is solved on its own as a regression on the atoms.
"""

import numpy as np

from sklearn_sqrtlasso.kernels.certificate import lasso_gaps
from sklearn_sqrtlasso.kernels.homotopy import lasso_paths
from sklearn_sqrtlasso.solvers.design import design_of
from sklearn_sqrtlasso.solvers.regression import Regression

ROUNDS = 30  # of a regression; where they are not enough, rounding is in the way


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
        Says whether codes are nonnegative, when a row is solved, and how many rounds a
        regression may take.

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

    def certify(at, z, gaps, norms):
        lasso_gaps(
            X[at], *atoms, C[at], z, dual[at], alpha[at], root, rule.positive,
            gaps, norms,
        )  # fmt: skip

    def follow(at, screen):
        lasso_paths(
            X[at], *atoms, C[at], alpha[at], root, rule.positive, screen,
            Z[at], dual[at],
        )  # fmt: skip
        certify(at, Z[at], gap[at], norm[at])

    def lost():
        return np.flatnonzero(~(gap <= rule.tol))

    follow(slice(None), True)
    for i in lost():
        follow(slice(i, i + 1), False)
    left = lost()
    design = design_of(atoms.D.T, np.ones(X.shape[1]), False) if len(left) else None
    for i in left:
        row = Regression(design, X[i], rule.positive)
        solve = row.solve if root else row.solve_lasso
        z = solve(alpha[i], rule.tol, min(rule.max_iter, ROUNDS)).coef
        if row.direction is not None:
            dual[i] = row.direction[0]
        found, size = np.empty(1), np.empty(1)
        certify(slice(i, i + 1), z[None], found, size)
        if not gap[i] <= found[0]:
            Z[i], gap[i], norm[i] = z, found[0], size[0]
    return Z, gap, norm
