"""Relative duality gaps of lasso and square-root-lasso codes.

For ``1/2 ||x - z D||^2 + alpha ||z||_1`` and ``||x - z D|| + alpha ||z||_1`` the dual
point is the residual r, scaled until ``||D r||_inf <= alpha`` (and ``||r|| <= 1`` in
the second case). Residuals are computed in the space of the row, correlations by the
Gram matrix, both from the code alone.
"""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, part

COARSE = 1e-15  # error of correlations by the Gram matrix, relative to their terms
FINE = 1e-15  # rounding error of a correlation, relative to the norms of its factors
ENOUGH = 1e-10  # gap below which no more accurate dual point is tried
LEAST = 1e-10  # least certified penalty, relative to that of a zero code


@part
def gather(z, active):
    """Write the indices of the nonzero entries of ``z``; return their number."""
    k = 0
    for j in range(z.shape[0]):
        active[k] = j
        k += z[j] != 0
    return k


@part
def subtract(r, A, active, z, k):
    """Subtract ``sum_i z_i A_i`` over the active rows of ``A`` from ``r``."""
    i = 0
    while i + 4 <= k:
        a0, a1, a2, a3 = active[i], active[i + 1], active[i + 2], active[i + 3]
        z0, z1, z2, z3 = z[a0], z[a1], z[a2], z[a3]
        for j in range(r.shape[0]):
            r[j] -= (z0 * A[a0, j] + z1 * A[a1, j]) + (z2 * A[a2, j] + z3 * A[a3, j])
        i += 4
    while i < k:
        a0 = active[i]
        z0 = z[a0]
        for j in range(r.shape[0]):
            r[j] -= z0 * A[a0, j]
        i += 1


@part
def largest(c, both):
    """Return the largest entry of ``c``, of ``|c|`` if ``both`` is 1, or 0.

    Positive floats are ordered like their bits, and their maximum is vectorised.
    """
    best = np.int64(0)
    for j in range(c.shape[0]):
        size = c[j] if c[j] > 0 else -c[j] * both
        key = np.float64(abs(size)).view(np.int64)
        best = key if key > best else best
    return np.int64(best).view(np.float64)


@part
def relative_gap(alpha, root, size, energy, length, reach, overlap, whole):
    """Return the gap of a code, relative to the objective of a zero code.

    The code has l1 norm ``size``; the residual has energy ``energy``, the row
    ``whole``. The dual point y, before scaling, has ``length = ||y||^2``,
    ``reach = ||D y||_inf`` and ``overlap = y x``.
    """
    if root:
        over = reach / alpha if alpha > 0 else (np.inf if reach > 0 else 0.0)
        scale = max(math.sqrt(length), over)
        dual = overlap / scale if scale > 0 else 0.0
        return (math.sqrt(energy) + alpha * size - dual) / math.sqrt(whole)
    scale = min(1.0, alpha / reach if reach > 0 else 1.0)
    dual = scale * overlap - 0.5 * scale * scale * length
    return (0.5 * energy + alpha * size - dual) / (0.5 * whole)


@part
def multiply(D, r, c):
    """Write ``D r`` into ``c``."""
    for j in range(c.shape[0]):
        total = 0.0
        for i in range(r.shape[0]):
            total += D[j, i] * r[i]
        c[j] = total


@part
def copy(a, b):
    """Write ``a`` into ``b``; a loop compiles faster than a slice."""
    for j in range(a.shape[0]):
        b[j] = a[j]


@part
def inner(a, b):
    """Return the inner product of two rows."""
    total = 0.0
    for j in range(a.shape[0]):
        total += a[j] * b[j]
    return total


@kernel(_nrt=False)
def lasso_gaps(X, D, G, C, Z, dual, alpha, root, positive, gap, norm, arrays):
    """Write the duality gaps of codes by the lasso or the square-root lasso.

    Parameters
    ----------
    X, D, G, C, alpha, root, positive
        As for ``follow_lasso_paths``.
    Z : ndarray of shape (n_samples, n_components)
        Codes.
    dual : ndarray of shape (n_samples, n_features)
        Direction of a dual point of each row, tried where the residual fails, as when
        it is rounding error.
    gap : ndarray of shape (n_samples,)
        Overwritten with the duality gap of each row, relative to the objective of a
        zero code. Penalties below 1e-10 times that of a zero code are raised to it.
    norm : ndarray of shape (n_samples,)
        Overwritten with the norm of each residual, in units of ``X``.
    arrays : tuple of ndarray of shapes (n_features,), (n_components,), \
            (n_components + 1,)
        Overwritten; the last one is of integers.
    """
    (n, width), p = X.shape, D.shape[0]
    assert dual.shape == (n, width)
    assert D.shape == (p, width)
    assert G.shape == (p, p)
    assert C.shape == Z.shape == (n, p)
    assert alpha.shape == gap.shape == norm.shape == (n,)
    (r, c, active), both, longest = arrays, 0.0 if positive else 1.0, 0.0
    assert r.shape[0] == width
    assert c.shape[0] == p == active.shape[0] - 1
    for j in range(D.shape[0]):
        longest = max(longest, math.sqrt(G[j, j]))
    for i in range(X.shape[0]):
        k, size, whole = gather(Z[i], active), 0.0, inner(X[i], X[i])
        copy(X[i], r)
        copy(C[i], c)
        doubt = largest(c, 1.0)
        for j in range(k):
            size += abs(Z[i, active[j]])
            doubt += abs(Z[i, active[j]]) * G[active[j], active[j]]
        unit = math.sqrt(whole) if root and whole > 0 else 1.0
        least = LEAST * largest(c, both) / unit
        penalty = max(alpha[i], least)
        subtract(r, D, active, Z[i], k)
        subtract(c, G, active, Z[i], k)
        energy = inner(r, r)
        norm[i], gap[i] = math.sqrt(energy), 0.0 if k == 0 else np.inf
        if whole == 0:  # its code is zero, or wrong
            continue
        for attempt in range(3):  # cheapest first
            if attempt == 2:
                copy(dual[i], r)
            if attempt > 0:
                multiply(D, r, c)
            reach, length, overlap = largest(c, both), inner(r, r), inner(r, X[i])
            if attempt == 0:
                reach += COARSE * doubt
            else:
                reach = max(reach - FINE * longest * math.sqrt(length), 0.0)
            found = relative_gap(
                penalty, root, size, energy, length, reach, overlap, whole
            )
            gap[i] = found if attempt == 0 else min(gap[i], found)
            if gap[i] < ENOUGH:
                break
