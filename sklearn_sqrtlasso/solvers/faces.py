"""Lasso codes of rows whose path gets lost, in the space of the row.

The path works on the Gram matrix, which squares how nearly alike two atoms are. Here
the active atoms are solved for by their triangular factor: slower, with more digits.
The objective falls from face to face, a face being an active set with signs.
"""

import math

import numpy as np
from scipy.linalg import solve_triangular

SLACK = 1e-10  # violation of an atom's condition, relative to it, that is rounding
MET = 1e-13  # share of a row below which its residual is rounding
FLAT = 1e-13  # share of an atom outside of the span of others that is rounding
LEAST = 1e-10  # penalty, relative to that of a zero code, below which it is raised


def _minimum_on_face(x, A, signs, alpha, root):
    """Return the way to the minimiser of a face: a code, a direction, a dual point.

    On the face the code is ``z - mu d`` and the residual ``left + mu q``, with
    ``A q = signs``. Where the objective falls for good along a direction, the code is
    None.
    """
    Q, R = np.linalg.qr(A.T)
    if len(A) > len(x) or abs(R[-1, -1]) <= FLAT * np.linalg.norm(A[-1]):
        others = np.linalg.lstsq(A[:-1].T, A[-1], rcond=None)[0]
        return None, signs[-1] * np.append(-others, 1.0), None
    half, fit = solve_triangular(R, signs, trans="T"), Q.T @ x
    q, left = Q @ half, x - Q @ fit
    left = left - Q @ (Q.T @ left)  # again: what is left may be small
    size = np.linalg.norm(left)
    left, size = (left, size) if size > MET * np.linalg.norm(x) else (0 * left, 0.0)
    mu = alpha
    if root:
        room = 1 - alpha**2 * (q @ q)
        if room <= 0:  # the code falls faster than the residual grows
            return None, -solve_triangular(R, half), None
        mu = alpha * size / math.sqrt(room)
    return solve_triangular(R, fit - mu * half), None, left + mu * q if size else q


def code_by_faces(x, D, alpha, root, positive, max_iter, z):
    """Minimise the objective of a row from the signs of a code, face by face.

    Parameters
    ----------
    x : ndarray of shape (n_features,)
        Row.
    D : ndarray of shape (n_components, n_features)
        Atoms.
    alpha, root, positive
        As for ``homotopy.lasso_paths``.
    max_iter : int
        Most faces.
    z : ndarray of shape (n_components,)
        Where to begin; overwritten by the code.

    Returns
    -------
    y : ndarray of shape (n_features,)
        Direction of the residual, known also where the residual itself is rounding.
    """
    top = (D @ x).max() if positive else np.abs(D @ x).max()
    unit = np.linalg.norm(x) if root else 1.0
    alpha = max(alpha, LEAST * top / unit)
    active, signs, y = np.flatnonzero(z), np.sign(z[z != 0]), x
    for _ in range(max_iter):
        while len(active):
            code = z[active]
            aim, way, y = _minimum_on_face(x, D[active], signs, alpha, root)
            way = way if aim is None else aim - code
            with np.errstate(divide="ignore", invalid="ignore"):
                reach = np.where(signs * way < 0, -code / way, np.inf)
            first = np.argmin(reach)
            if aim is not None and reach[first] >= 1:
                z[active] = aim
                break
            z[active] = code + min(reach[first], 1e300) * way
            z[active[first]] = 0.0
            active, signs = np.delete(active, first), np.delete(signs, first)
        y = y if len(active) else x
        c = D @ y
        level = abs(c[active]).max() if len(active) else alpha * unit
        size = np.array(c if positive else np.abs(c))
        size[active] = 0
        enters = int(np.argmax(size))
        if size[enters] <= level * (1 + SLACK):
            break
        active, signs = np.append(active, enters), np.append(signs, np.sign(c[enters]))
    return y
