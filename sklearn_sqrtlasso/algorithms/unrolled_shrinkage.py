"""Unrolled square-root lasso: a fixed number of proximal steps, as published.

For a group of m rows ``u_b``, from ``z_0 = 0``, with a step of length ``beta``, in
units of the data, and a momentum ``a`` ::

    v = z_j + a (z_j - z_{j-1}),    t_j^2 = mean_b ||v_b - u_b||^2,
    z_{j+1} = soft(v - beta (v - u) / t_j, beta alpha) .

A constant step converges only below ``2 t`` and does not scale with the row: if rows
and ``beta`` are scaled alike, so are codes, to the last bit for powers of two. The
gradient with respect to a row grows as ``beta / t`` with each step, and overflows for
rows that are smaller than ``beta`` by many orders of magnitude. The method is kept for
comparison; ``shrinkage.py`` computes its limit exactly.
"""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, step


@step
def power_of_two_near(x, itemsize):
    """Return the power of two that brings ``x >= 0`` near 1, finite in its dtype."""
    exponent = (np.float64(x).view(np.int64) >> 52) & 2047
    smallest, largest = (1, 2045) if itemsize == 8 else (896, 1149)
    exponent = min(max(2046 - exponent, smallest), largest)
    return np.int64(exponent << 52).view(np.float64)


@step
def check_groups(groups, n):
    """Assert that bounds divide n rows into groups of at least one row."""
    assert groups.shape[0] > 0
    assert groups[0] == 0
    assert groups[-1] == n
    for group in range(groups.shape[0] - 1):
        assert groups[group] < groups[group + 1]


@kernel
def shrink_by_steps(U, alpha, beta, momentum, positive, groups, path, scales):
    """Take ``len(path) - 1`` proximal steps, and keep all iterates.

    Parameters
    ----------
    U : ndarray of shape (n_samples, d)
        Rows, C-contiguous.
    alpha : ndarray of shape (d,)
        Penalty of each unit, pure numbers.
    beta : float
        Length of a step, in units of ``U``.
    momentum : float
        Weight of the previous step.
    positive : bool
        Whether codes are nonnegative.
    groups : ndarray of shape (n_groups + 1,)
        Group g is the rows from ``groups[g]`` to ``groups[g + 1]``.
    path : ndarray of shape (n_steps + 1, n_samples, d)
        Overwritten with the iterates; the last one is the code.
    scales : ndarray of shape (n_steps, n_samples)
        Overwritten with the residual scale ``t_j`` of each row's group.
    """
    n, d = U.shape
    assert path.shape == (scales.shape[0] + 1, n, d)
    assert scales.shape[1] == n
    assert alpha.shape[0] == d
    check_groups(groups, n)
    f, most = U.dtype.type, np.float64(np.finfo(U.dtype).max)
    path[0] = f(0)
    ahead, back = f(1 + momentum), f(momentum)
    for k in range(path.shape[0] - 1):
        now, before, after = path[k], path[max(k - 1, 0)], path[k + 1]
        for group in range(groups.shape[0] - 1):
            lo, hi = groups[group], groups[group + 1]
            largest, energy = 0.0, 0.0
            for i in range(lo, hi):
                for j in range(U.shape[1]):
                    r = ahead * now[i, j] - back * before[i, j] - U[i, j]
                    largest = max(largest, np.float64(abs(r)))
            c = power_of_two_near(largest, U.itemsize)
            for i in range(lo, hi):
                for j in range(U.shape[1]):
                    r = ahead * now[i, j] - back * before[i, j] - U[i, j]
                    energy += (r * c) * (r * c)
            t = math.sqrt(energy / (hi - lo)) / c
            pace = f(min(beta / t, most)) if t > 0 else f(0)
            for i in range(lo, hi):
                scales[k, i] = t
                for j in range(U.shape[1]):
                    v = ahead * now[i, j] - back * before[i, j]
                    w = v - pace * (v - U[i, j])
                    high = f(beta) * alpha[j]
                    low = -f(np.inf) if positive else -high
                    after[i, j] = w - min(max(w, low), high)


@kernel
def pull_back_steps(
    U, alpha, beta, momentum, groups, path, scales, G, out, out_alpha, out_step
):
    """Pull the gradient with respect to the last iterate back through the steps.

    Zero entries of an iterate have derivative zero; for the others, each step is
    differentiated as written, including its residual scale ``t_j``.

    Parameters
    ----------
    U, alpha, beta, momentum, groups, path, scales
        Inputs and outputs of ``shrink_by_steps``.
    G : ndarray of shape (n_samples, d)
        Gradient with respect to the codes.
    out : ndarray of shape (n_samples, d)
        Overwritten with the gradient with respect to ``U``.
    out_alpha : ndarray of shape (d,)
        The gradient with respect to ``alpha`` is added to it.
    out_step : ndarray of shape (2,)
        The gradients with respect to ``beta`` and ``momentum`` are added to it.
    """
    n, d = U.shape
    assert path.shape == (scales.shape[0] + 1, n, d)
    assert scales.shape[1] == n
    assert G.shape == out.shape == (n, d)
    assert alpha.shape == out_alpha.shape == (d,)
    assert out_step.shape[0] == 2
    check_groups(groups, n)
    f, most = U.dtype.type, np.float64(np.finfo(U.dtype).max)
    ahead, back = f(1 + momentum), f(momentum)
    to_after, to_now, to_before = G.copy(), np.zeros_like(G), np.zeros_like(G)
    out[:] = f(0)
    for k in range(path.shape[0] - 2, -1, -1):
        now, before, after = path[k], path[max(k - 1, 0)], path[k + 1]
        for group in range(groups.shape[0] - 1):
            lo, hi = groups[group], groups[group + 1]
            t = np.float64(scales[k, lo])
            c = power_of_two_near(t, U.itemsize)
            inverse, pace = 0.0, f(0)
            if t > 0:
                inverse, pace = 1 / (t * c), f(min(beta / t, most))
            along = 0.0  # product of the active gradient at w with c (v - u)
            for i in range(lo, hi):
                for j in range(U.shape[1]):
                    if after[i, j] != 0:
                        r = ahead * now[i, j] - back * before[i, j] - U[i, j]
                        along += np.float64(to_after[i, j]) * (r * c)
            along *= inverse
            bend = f(along * inverse / (hi - lo))
            out_step[0] -= along
            for i in range(lo, hi):
                for j in range(U.shape[1]):
                    r = ahead * now[i, j] - back * before[i, j] - U[i, j]
                    g = to_after[i, j] if after[i, j] != 0 else f(0)
                    s = f(after[i, j] > 0) - f(after[i, j] < 0)
                    out_alpha[j] -= f(beta) * s * g
                    out_step[0] -= alpha[j] * s * g
                    by_residual = pace * (bend * (r * f(c)) - g)
                    out[i, j] -= by_residual
                    by_v = g + by_residual
                    to_now[i, j] += ahead * by_v
                    to_before[i, j] = -back * by_v
                    out_step[1] += by_v * (now[i, j] - before[i, j])
        to_after, to_now, to_before = to_now, to_before, to_after
