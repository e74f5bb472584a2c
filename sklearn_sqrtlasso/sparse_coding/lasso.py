"""Lasso and square-root lasso codes of rows in a dictionary, with duality gaps.

Rows are coded by lasso paths on near atoms only. A row whose duality gap is too large
is coded again by the path on all atoms; if that breaks down, too, among nearly equal
atoms, an active-set method solves it in the space of the row.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dtrtrs

from sklearn_sqrtlasso.algorithms.lasso_gap import lasso_gaps
from sklearn_sqrtlasso.algorithms.lasso_path import allocate, follow_lasso_paths

VIOLATION = 1e-10  # relative violation of an optimality condition that is rounding
EXPLAINED = 1e-13  # share of the norm of a row below which its residual is rounding
DEPENDENT = 1e-13  # share of the norm of an atom outside the span that is rounding
LEAST_PENALTY = 1e-10  # smaller penalties, relative to that of a zero code, are raised


class LassoCodes(NamedTuple):
    """Codes of rows, with what is known of them.

    Attributes
    ----------
    Z : ndarray of shape (n_rows, n_components)
        Codes.
    gap : ndarray of shape (n_rows,)
        Duality gap of each row, relative to the objective of a zero code.
    norm : ndarray of shape (n_rows,)
        Norm of each residual.
    fit : ndarray of shape (n_rows, n_components)
        Least squares on the support of each code; the first entry is NaN where they are
        not known.
    """

    Z: np.ndarray
    gap: np.ndarray
    norm: np.ndarray
    fit: np.ndarray


def solve_lassos(X, dictionary, C, alpha, root, options):
    """Minimise ``1/2 ||x - z D||^2 + alpha ||z||_1`` for each row.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Rows.
    dictionary : Dictionary
        Atoms.
    C : ndarray of shape (n_rows, n_components)
        ``X D'``.
    alpha : ndarray of shape (n_rows,)
        Penalty of each row.
    root : bool
        Whether to minimise ``||x - z D|| + alpha ||z||_1`` instead.
    options : CodingOptions
        Set ``positive``, the gap ``tol`` of a solved row, and ``max_iter`` active sets.

    Returns
    -------
    codes : LassoCodes
        Codes and their certificate.
    """
    Z, fit, dual = np.empty_like(C), np.empty_like(C), np.empty_like(X)
    gap, norm = np.empty(len(X)), np.empty(len(X))
    n_atoms, width = C.shape[1], X.shape[1]
    arrays = np.empty(width), np.empty(n_atoms), np.empty(n_atoms + 1, np.int64)

    def certify(at, z, y, gaps, norms):
        lasso_gaps(
            X[at], *dictionary, C[at], z, y, alpha[at], root, options.positive,
            gaps, norms, arrays,
        )  # fmt: skip

    def follow(at, screen):
        follow_lasso_paths(
            X[at], *dictionary, C[at], alpha[at], root, options.positive, screen,
            Z[at], fit[at], dual[at], allocate(n_atoms, width),
        )  # fmt: skip
        certify(at, Z[at], dual[at], gap[at], norm[at])

    def unsolved():
        return np.flatnonzero(~(gap <= options.tol))

    follow(slice(None), True)
    for i in unsolved():
        follow(slice(i, i + 1), False)
    for i in unsolved():
        z = np.where(np.isfinite(Z[i]), Z[i], 0.0)
        y = active_set_code(
            X[i], dictionary.D, alpha[i], root, options.positive, options.max_iter, z
        )
        found, left = np.empty(1), np.empty(1)
        certify(slice(i, i + 1), z[None], y[None], found, left)
        if not gap[i] <= found[0]:
            Z[i], gap[i], norm[i], fit[i, 0] = z, found[0], left[0], np.nan
    return LassoCodes(Z, gap, norm, fit)


def _minimum_on_active_set(x, A, signs, alpha, root):
    """Return the minimiser for given signs: a code, or a direction, and a dual point.

    On an active set the code is ``z - mu d`` and the residual ``left + mu q``, with
    ``A q = signs``. Where the objective decreases indefinitely along a direction, the
    code is None.
    """
    Q, R = np.linalg.qr(A.T)
    if len(A) > len(x) or abs(R[-1, -1]) <= DEPENDENT * np.linalg.norm(A[-1]):
        others = np.linalg.lstsq(A[:-1].T, A[-1], rcond=None)[0]
        return None, signs[-1] * np.append(-others, 1.0), None
    half, fit = dtrtrs(R, signs, trans=1)[0], Q.T @ x
    q, left = Q @ half, x - Q @ fit
    left = left - Q @ (Q.T @ left)  # repeated for accuracy: it may be small
    size = np.linalg.norm(left)
    if size <= EXPLAINED * np.linalg.norm(x):
        left, size = 0 * left, 0.0
    mu = alpha
    if root:
        slack = 1 - alpha**2 * (q @ q)
        if slack <= 0:  # the penalty decreases faster than the residual grows
            return None, -dtrtrs(R, half)[0], None
        mu = alpha * size / math.sqrt(slack)
    return dtrtrs(R, fit - mu * half)[0], None, left + mu * q if size else q


def active_set_code(x, D, alpha, root, positive, max_iter, z):
    """Minimise the objective of a row by an active-set method without Gram matrix.

    The path works on the Gram matrix, which squares the condition number of the atoms.
    Here the active atoms are factored by QR: slower, but more accurate. The objective
    decreases from one active set with signs to the next.

    Parameters
    ----------
    x : ndarray of shape (n_features,)
        Row.
    D : ndarray of shape (n_components, n_features)
        Atoms.
    alpha, root, positive
        As for ``follow_lasso_paths``.
    max_iter : int
        Largest number of active sets.
    z : ndarray of shape (n_components,)
        Start; overwritten with the code.

    Returns
    -------
    y : ndarray of shape (n_features,)
        Direction of the residual, accurate also where the residual is rounding error.
    """
    top = (D @ x).max() if positive else np.abs(D @ x).max()
    unit = np.linalg.norm(x) if root else 1.0
    alpha = max(alpha, LEAST_PENALTY * top / unit)
    active, signs, y = np.flatnonzero(z), np.sign(z[z != 0]), x
    for _ in range(max_iter):
        while len(active):
            code = z[active]
            goal, move, y = _minimum_on_active_set(x, D[active], signs, alpha, root)
            move = move if goal is None else goal - code
            with np.errstate(divide="ignore", invalid="ignore"):
                reach = np.where(signs * move < 0, -code / move, np.inf)
            first = np.argmin(reach)
            if goal is not None and reach[first] >= 1:
                z[active] = goal
                break
            z[active] = code + min(reach[first], 1e300) * move
            z[active[first]] = 0.0
            active, signs = np.delete(active, first), np.delete(signs, first)
        y = y if len(active) else x
        c = D @ y
        penalty = abs(c[active]).max() if len(active) else alpha * unit
        size = np.array(c if positive else np.abs(c))
        size[active] = 0
        enters = int(np.argmax(size))
        if size[enters] <= penalty * (1 + VIOLATION):
            break
        active, signs = np.append(active, enters), np.append(signs, np.sign(c[enters]))
    return y
