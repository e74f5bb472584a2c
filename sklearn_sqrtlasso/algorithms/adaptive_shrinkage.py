"""Soft-thresholding adapted to the residual scale and the energy of each row.

For the rows ``u_b`` of a group with residual scale t (of ``shrinkage.py``), and two
pure numbers per unit, ::

    z_bi = soft(u_bi, kappa_i t r_b),      r_b = t / sqrt(||u_b||^2 + FLOOR t^2) .

This is the threshold ``noise^2 / signal`` of BayesShrink with t for the noise and the
norm of the row for the signal: rows far above the noise are hardly shrunk. The code is
homogeneous of degree one in the group, but does not minimise a norm.
"""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, step

FLOOR = 0.05  # bounds the threshold of a row without energy, by kappa t / sqrt(FLOOR)


@step
def thinning(u, t):
    """Return ``r = t / sqrt(||u||^2 + FLOOR t^2)`` of a row; 0 where t is 0."""
    f = u.dtype.type
    inverse = f(1) / max(f(t), np.finfo(u.dtype).tiny)
    energy = f(0)
    for j in range(u.shape[0]):
        v = u[j] * inverse
        energy += v * v
    return f(1 / math.sqrt(np.float64(energy) + FLOOR)) if t > 0 else f(0)


@kernel
def shrink_adaptively(U, kappa, positive, scale, out):
    """Soft-threshold each row at ``kappa t r``.

    Parameters
    ----------
    U : ndarray of shape (n_samples, d)
        Rows, C-contiguous.
    kappa : ndarray of shape (d,)
        Factor of each unit's threshold, at least 0, pure numbers.
    positive : bool
        Whether codes are nonnegative.
    scale : ndarray of shape (n_samples,)
        Residual scale t of each row's group, in units of ``U``.
    out : ndarray of shape (n_samples, d)
        Overwritten with the codes.
    """
    assert out.shape == U.shape == (scale.shape[0], kappa.shape[0])
    f = U.dtype.type
    for i in range(U.shape[0]):
        u, z = U[i], out[i]
        threshold = thinning(u, scale[i]) * scale[i]
        for j in range(u.shape[0]):
            high = kappa[j] * threshold
            low = -f(np.inf) if positive else -high
            z[j] = u[j] - min(max(u[j], low), high)


@step
def pull_adaptive_row(u, alpha, kappa, t, r, positive, g):
    """Return ``sum_B kappa_i s_i g_i`` and ``sum_A alpha_i^2`` of one row.

    B are the active entries of the code, A those above the threshold ``alpha_i t`` of
    the residual scale.
    """
    f = u.dtype.type
    pull, active = f(0), f(0)
    for j in range(u.shape[0]):
        high = kappa[j] * t * r
        low = -f(np.inf) if positive else -high
        pull += kappa[j] * (f(u[j] > high) - f(u[j] < low)) * g[j]
        above = alpha[j] * t
        below = -f(np.inf) if positive else -above
        on = f((u[j] > above) | (u[j] < below))
        active += alpha[j] * alpha[j] * on
    return np.float64(pull), np.float64(active)


@step
def spread_adaptive_row(u, alpha, kappa, t, r, positive, g, pull, steep, out):
    """Write the gradient of one row; ``pull`` comes from ``pull_adaptive_row``."""
    f = u.dtype.type
    thinner = pull * r * r * r / t
    for j in range(u.shape[0]):
        high = kappa[j] * t * r
        low = -f(np.inf) if positive else -high
        kept = f((u[j] > high) | (u[j] < low))
        above = alpha[j] * t
        below = -f(np.inf) if positive else -above
        rests = f(1) - f((u[j] > above) | (u[j] < below))
        out[j] = g[j] * kept + (thinner - steep * rests) * u[j]


@step
def add_gradients(u, alpha, kappa, t, r, positive, g, slope, out_alpha, out_kappa):
    """Add the gradients of one row with respect to ``alpha`` and ``kappa``."""
    f = u.dtype.type
    for j in range(u.shape[0]):
        high = kappa[j] * t * r
        low = -f(np.inf) if positive else -high
        out_kappa[j] -= (f(u[j] > high) - f(u[j] < low)) * g[j] * t * r
        above = alpha[j] * t
        below = -f(np.inf) if positive else -above
        on = f((u[j] > above) | (u[j] < below))
        out_alpha[j] -= on * t * alpha[j] * slope


@kernel
def pull_back_adaptively(
    U, alpha, kappa, positive, groups, scale, min_slack, G, out, out_alpha, out_kappa
):
    """Pull the gradient ``G`` with respect to codes back through both thresholds.

    With B the active entries of the code, s their signs, A the entries above their
    ``alpha_i t``, ``p_b = sum_B kappa_i s_i g_bi``, ``D = m - sum_A alpha_i^2`` ::

        U:      g on B  +  p_b r_b^3 u_b / t  -  q u_b / t  off A
        kappa:  -s g t r_b on B
        alpha:  -t alpha q on A,      q = sum_b p_b (2 r_b - FLOOR r_b^3) / D .

    A group coded exactly (t = 0) passes ``G`` through.

    Parameters
    ----------
    U, alpha, positive, groups, scale, min_slack, G, out
        As for ``pull_back_groups`` of ``shrinkage.py``.
    kappa : ndarray of shape (d,)
        As for ``shrink_adaptively``.
    out_alpha, out_kappa : ndarray of shape (d,)
        The gradients with respect to ``alpha`` and ``kappa`` are added to them.
    """
    n, d = U.shape
    assert G.shape == out.shape == (n, d)
    assert scale.shape[0] == n
    assert alpha.shape == kappa.shape == out_alpha.shape == out_kappa.shape == (d,)
    assert groups.shape[0] > 0
    assert groups[0] == 0
    assert groups[-1] == n
    f = U.dtype.type
    for group in range(groups.shape[0] - 1):
        lo, hi = groups[group], groups[group + 1]
        assert 0 <= lo < hi <= n
        t = scale[lo]
        if t == 0:
            out[lo:hi] = G[lo:hi]
            continue
        pull, active = 0.0, 0.0
        for i in range(lo, hi):
            r = thinning(U[i], t)
            p, a = pull_adaptive_row(U[i], alpha, kappa, t, r, positive, G[i])
            pull += p * (2 * r - FLOOR * r * r * r)
            active += a
        slope = f(pull / max(hi - lo - active, min_slack * (hi - lo)))
        for i in range(lo, hi):
            u, g, r = U[i], G[i], thinning(U[i], t)
            p = f(pull_adaptive_row(u, alpha, kappa, t, r, positive, g)[0])
            spread_adaptive_row(
                u, alpha, kappa, t, r, positive, g, p, slope / t, out[i]
            )
            add_gradients(
                u, alpha, kappa, t, r, positive, g, slope, out_alpha, out_kappa
            )
