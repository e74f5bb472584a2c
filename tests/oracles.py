"""Plain numpy twins of the kernels: slow, short, and obviously right.

``U`` holds the m rows of one run, which share a residual scale t; a row alone is a run
of one. ``alpha`` is a number or one number a unit, ``outside`` a number or one a row.
"""

import numpy as np


def soft(U, tau, positive=False):
    """Return ``U``, moved towards zero by ``tau``, and stopped there."""
    Z = np.sign(U) * np.maximum(np.abs(U) - tau, 0)
    return np.maximum(Z, 0) if positive else Z


def residual_scale(Z, U, outside=0.0):
    """Return ``sqrt(mean_b (||u_b - z_b||^2 + rest_b^2))``."""
    parts = np.append(U - Z, np.broadcast_to(outside, len(U)))
    largest = np.abs(parts).max() or 1.0  # whose square may vanish
    return largest * np.sqrt(np.sum((parts / largest) ** 2) / len(U))


def objective(Z, U, alpha, outside=0.0):
    """Return what the codes ``Z`` of a run are to minimise."""
    return residual_scale(Z, U, outside) + np.mean(np.sum(alpha * np.abs(Z), axis=1))


def shrink(U, alpha, outside=0.0, positive=False):
    """Bisect ``t = residual_scale(soft(U, alpha t))`` for its largest root."""
    low, high = 0.0, residual_scale(np.zeros_like(U), U, outside)
    for _ in range(100):
        t = (low + high) / 2
        too_low = t < residual_scale(soft(U, alpha * t, positive), U, outside)
        low, high = (t, high) if too_low else (low, t)
    return soft(U, alpha * high, positive)


def pull_back(U, alpha, outside, t, G, positive=False, min_slack=0.0):
    """Return the gradients of ``sum(G * Z)``, written with masks."""
    on = soft(U, alpha * t, positive) != 0
    signs = np.where(on, np.sign(U), 0)
    room = len(U) - np.sum(on * alpha**2)
    slope = np.sum(alpha * signs * G) / max(room, min_slack * len(U))
    by_alpha = -t * np.sum(signs * G + on * alpha * slope, axis=0)
    return np.where(on, G, -slope * U / t), -slope * outside / t, by_alpha


def gradient(loss, x, step=1e-6):
    """Return the gradient of ``loss`` at ``x`` by central differences."""
    x = np.asarray(x, dtype=np.float64)
    slopes = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        nudge = np.zeros(x.shape)
        nudge[place] = step
        slopes[place] = (loss(x + nudge) - loss(x - nudge)) / (2 * step)
    return slopes


def coding_objective(x, z, D, alpha, root):
    """Return what the code of a row in atoms D is to minimise."""
    left = np.linalg.norm(x - z @ D)
    return (left if root else left**2 / 2) + alpha * np.abs(z).sum()


def matching_pursuit(x, D, n_nonzero):
    """Take the best atom and solve least squares, again and again."""
    norms, support = np.linalg.norm(D, axis=1), []
    z = np.zeros(len(D))
    for _ in range(n_nonzero):
        support.append(np.argmax(np.abs(D @ (x - z @ D)) / norms))
        z[support] = np.linalg.lstsq(D[support].T, x)[0]
    return z
