"""Lasso codes by coordinate descent, for the rows whose path gets lost."""

import math

import numpy as np

from sklearn_sqrtlasso.kernels.jit import kernel


@kernel
def descend(x, D, alpha, root, positive, max_iter, tol, z):
    """Improve the code ``z`` of one row, one entry at a time.

    The square-root lasso is descended with its residual scale t, of which
    ``||x - z D||^2 / (2 t) + t / 2 + alpha ||z||_1`` is jointly convex.

    Parameters
    ----------
    x : ndarray of shape (n_features,)
        Row.
    D : ndarray of shape (n_components, n_features)
        Atoms.
    alpha, root, positive
        As for ``homotopy.lasso_paths``.
    max_iter : int
        Largest number of passes over the atoms.
    tol : float
        Largest change of ``z D`` in a pass, relative to ``||x||``, at which to stop.
    z : ndarray of shape (n_components,)
        Where to begin; overwritten.
    """
    p, n = D.shape
    r, energy = x - np.dot(z, D), np.zeros(p)
    for j in range(p):
        for i in range(n):
            energy[j] += D[j, i] * D[j, i]
    whole = math.sqrt(np.dot(x, x))
    for _ in range(max_iter):
        mu = alpha * math.sqrt(np.dot(r, r)) if root else alpha
        largest = 0.0
        for j in range(p):
            if energy[j] == 0:
                continue
            pull = z[j] * energy[j]
            for i in range(n):
                pull += D[j, i] * r[i]
            size = max(pull - mu, 0.0) if positive else max(abs(pull) - mu, 0.0)
            change = (size if pull > 0 else -size) / energy[j] - z[j]
            if change != 0:
                z[j] += change
                largest = max(largest, abs(change) * math.sqrt(energy[j]))
                for i in range(n):
                    r[i] -= change * D[j, i]
        if largest <= tol * whole:
            break
