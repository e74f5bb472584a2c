"""Coordinate descent for the square-root lasso, on products or sparse columns.

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


@kernel
def sweep_columns(columns, W, r, square, floor, alpha, positive, tol):
    """Sweep over sparse columns until steps are small, or W is full.

    Columns are centred implicitly: of a column ``s_j - m_j v``, with stored entries
    ``s_j`` and a vector v of norm one, the product with a residual that is orthogonal
    to v is that of its stored entries, and of what steps have added to the residual
    along v that of its mean ``m_j``, which is the product of ``s_j`` and v.

    Parameters
    ----------
    columns : tuple of ndarray
        Entries, their rows, and where those of each column start, as in a CSC matrix;
        means, zero for columns that are not centred, and squared norms of the p
        columns. Those of norm zero are skipped.
    W : ndarray of shape (m + 1, p)
        Coefficients before the first sweep; overwritten by those after each of at most
        m sweeps.
    r : ndarray of shape (n,)
        The residual, overwritten by one without what was added along v.
    square : float
        Its squared norm, at least 0.
    floor, alpha, positive, tol
        As for ``sweep_gram``.

    Returns
    -------
    n_sweeps : int
        Number of sweeps.
    ended : bool
        Whether steps became small.
    """
    entries, rows, starts, means, squares = columns
    p, along = W.shape[1], 0.0
    assert W.shape[0] > 1
    assert entries.shape[0] == rows.shape[0]
    assert p == alpha.shape[0] == means.shape[0] == squares.shape[0]
    assert p + 1 == starts.shape[0]
    for m in range(W.shape[0] - 1):
        largest = 0.0
        for j in range(p):
            size, first, end = squares[j], starts[j], starts[j + 1]
            assert 0 <= first <= end <= entries.shape[0]
            c, old, new = along * means[j], W[m, j], W[m, j]
            if size > 0.0:
                for i in range(first, end):
                    assert 0 <= rows[i] < r.shape[0]
                    c += entries[i] * r[rows[i]]
                tau = alpha[j] * math.sqrt(max(square, floor))
                new = shrunk(c + size * old, tau, positive) / size
            W[m + 1, j], change = new, new - old
            if change != 0.0:
                square = max(square + change * (size * change - 2.0 * c), 0.0)
                along += change * means[j]
                for i in range(first, end):
                    assert 0 <= rows[i] < r.shape[0]
                    r[rows[i]] -= change * entries[i]
                largest = max(largest, abs(change) * math.sqrt(size))
        if largest <= tol:
            return m + 1, True
    return W.shape[0] - 1, False
