"""Coordinate descent for the square-root lasso, on a Gram matrix.

With columns ``x_j`` and a target in units where ``sigma = ||r||_2``, minimise ::

    ||y - X w||_2 + sum_j alpha_j |w_j| .

Given ``sigma``, the step of one coordinate is that of the lasso at ``alpha_j sigma``,
and ``sigma^2`` is a quadratic function of the step: both are updated exactly.
"""

import math

from sklearn_sqrtlasso.algorithms.jit import kernel, step


@step
def shrunk(a, tau, positive):
    """Return ``soft(a, tau)``, with negative values set to zero if ``positive``."""
    if a > tau:
        return a - tau
    if a < -tau and not positive:
        return a + tau
    return 0.0


@kernel
def sweep_gram(G, w, c, square, floor, alpha, positive, tol, max_sweeps):
    """Sweep over all coordinates until steps are small, or ``max_sweeps`` times.

    Parameters
    ----------
    G : ndarray of shape (p, p) or larger
        Gram matrix of the columns; columns of zeros are skipped.
    w, c : ndarray of shape (p,)
        Coefficients and correlations ``X^T r``, both updated.
    square : float
        ``||r||^2``, at least 0.
    floor : float
        Lower bound of ``square`` in the threshold.
    alpha : ndarray of shape (p,)
        Penalty of each coefficient, in [0, inf).
    positive : bool
        Whether coefficients are nonnegative.
    tol : float
        Sweeps end when no step changes the fit by more than ``tol``.
    max_sweeps : int
        Largest number of sweeps.

    Returns
    -------
    square : float
        The new ``||r||^2``, at least 0.
    ended : bool
        Whether steps became small.
    """
    assert w.shape[0] == c.shape[0] == alpha.shape[0]
    assert w.shape[0] <= G.shape[0] == G.shape[1]
    for _ in range(max_sweeps):
        largest = 0.0
        for j in range(w.shape[0]):
            size = G[j, j]
            if size <= 0.0:
                continue
            a = c[j] + size * w[j]
            old = w[j]
            tau = alpha[j] * math.sqrt(max(square, floor))
            w[j] = shrunk(a, tau, positive) / size
            change = w[j] - old
            if change != 0.0:
                square = max(square + change * (size * change - 2.0 * c[j]), 0.0)
                for i in range(w.shape[0]):
                    c[i] -= change * G[j, i]
                largest = max(largest, abs(change) * math.sqrt(size))
        if largest <= tol:
            return square, True
    return square, False
