"""What a code is made of, and how its shrinkage is undone on its support."""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.kernels.refit import refit_rows
from sklearn_sqrtlasso.solvers.lassos import solve_lassos

KERNEL_READY = ["C", "W"]  # kernels are compiled for arrays that may be written
MODEST = 1e100  # rows of more energy, or of less than its inverse, are scaled


class Atoms(NamedTuple):
    """Atoms, and their inner products.

    Attributes
    ----------
    D : ndarray of shape (n_components, n_features)
        Atoms as rows, in double precision.
    G : ndarray of shape (n_components, n_components)
        ``D D'``.
    """

    D: np.ndarray
    G: np.ndarray


class Rule(NamedTuple):
    """How to code a row.

    Attributes
    ----------
    selector : str
        A name in ``CODERS``.
    alpha : float
        Penalty, threshold or residual norm, as the coder has it.
    n_nonzero : int
        Number of atoms, or 0 where ``alpha`` decides.
    phi : float
        Share of the shrinkage that is kept, in [0, 1].
    positive : bool
        Whether codes are nonnegative.
    max_iter : int
        Most active sets that are tried for a row that its path does not solve, and
        most supports of thresholding with inversion.
    tol : float
        Relative duality gap up to which a row is solved.
    """

    selector: str
    alpha: float = 0.0
    n_nonzero: int = 0
    phi: float = 0.0
    positive: bool = False
    max_iter: int = 1000
    tol: float = 1e-8


class Rows(NamedTuple):
    """Rows of a block, with what every coder needs of them.

    Attributes
    ----------
    X : ndarray of shape (n_rows, n_features)
        Rows in double precision, some scaled by a power of two.
    C : ndarray of shape (n_rows, n_components)
        ``X D'``.
    energy : ndarray of shape (n_rows,)
        ``||x||^2``.
    exponent : ndarray of shape (n_rows,)
        Power of two that each row was multiplied with.
    """

    X: np.ndarray
    C: np.ndarray
    energy: np.ndarray
    exponent: np.ndarray


class Solution(NamedTuple):
    """Codes with their certificate.

    Attributes
    ----------
    Z : ndarray of shape (n_rows, n_components)
        Codes.
    gap : ndarray of shape (n_rows,)
        Relative duality gap of a coder with a penalty; 0 where another coder came to
        its end, infinite where it did not.
    mu : ndarray of shape (n_rows,) or None
        Penalty of the lasso that the codes minimise; None without a penalty.
    refitted : bool
        Whether the codes are least squares on their supports already.
    """

    Z: np.ndarray
    gap: np.ndarray
    mu: np.ndarray | None = None
    refitted: bool = False


def make_atoms(components):
    """Return the atoms with their inner products.

    Parameters
    ----------
    components : ndarray of shape (n_components, n_features)
        Atoms.

    Returns
    -------
    atoms : Atoms
        In double precision.
    """
    D = np.require(components, np.float64, KERNEL_READY)
    return Atoms(D, D @ D.T)


def make_rows(X, atoms):
    """Return rows with their correlations, scaled where squares would not fit.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_rows, n_features)
        Rows.
    atoms : Atoms
        Atoms.

    Returns
    -------
    rows : Rows
        The rows.
    """
    X = X.toarray() if hasattr(X, "toarray") else X
    X = np.require(X, np.float64, KERNEL_READY)
    with np.errstate(over="ignore", under="ignore"):
        energy = np.einsum("ij,ij->i", X, X)
    exponent = np.zeros(len(X), np.int64)
    odd = ~((energy > 1 / MODEST) & (energy < MODEST))
    if odd.any() and X[odd].any():
        exponent[odd] = -np.frexp(np.abs(X[odd]).max(axis=1))[1]
        X = np.ldexp(X, exponent[:, None])
        energy = np.einsum("ij,ij->i", X, X)
    return Rows(X, X @ atoms.D.T, energy, exponent)


def relax(rows, atoms, solution, rule):
    r"""Refit codes on their supports, up to a share ``phi`` of their shrinkage.

    .. math::
        \min_z \tfrac12 \|x - z D\|_2^2 + \phi \mu \|z\|_1
        \quad\text{on the support of the code,}

    exact also where a sign changes on the way. Codes without a penalty go the share
    :math:`1 - \phi` of the straight way to least squares.

    Parameters
    ----------
    rows : Rows
        Rows.
    atoms : Atoms
        Atoms.
    solution : Solution
        Codes of the first stage.
    rule : Rule
        Says how much shrinkage is kept, and whether codes are nonnegative.

    Returns
    -------
    Z : ndarray of shape (n_rows, n_components)
        Refitted codes; no residual is larger than that of the first stage.
    """
    Z, _, mu, refitted = solution
    phi, positive = rule.phi, rule.positive
    if phi == 1 or refitted:
        return Z
    out, turned = np.empty_like(Z), np.empty(len(Z), np.bool_)
    refit_rows(rows.X, *atoms, Z, phi, out, turned)
    if positive:
        turned |= (out < 0).any(axis=1)
    if turned.any() and (positive or (mu is not None and phi > 0)):
        for i in np.flatnonzero(turned):
            penalty = 0.0 if mu is None else phi * mu[i]
            fit = _lasso_on_support(rows, atoms, i, Z[i], penalty, rule)
            out[i] = fit if mu is not None else phi * Z[i] + (1 - phi) * fit
    return out


def _lasso_on_support(rows, atoms, i, z, penalty, rule):
    """Return the lasso of a row on the support of a code, or the code if as good."""
    support, x = np.flatnonzero(z), rows.X[i]
    part = Atoms(atoms.D[support], atoms.G[np.ix_(support, support)])
    C, penalty = rows.C[i][support][None], np.array([penalty])
    codes, _, norm = solve_lassos(rows.X[i : i + 1], part, C, penalty, False, rule)
    allowed = not (rule.positive and np.any(z < 0))
    if allowed and not norm[0] < np.linalg.norm(x - z[support] @ part.D):
        return z
    fit = np.zeros_like(z)
    fit[support] = codes[0]
    return fit
