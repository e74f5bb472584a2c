"""Thresholds of rows: exact square-root-lasso shrinkage, and its pull-back.

For a group of m rows ``u_b`` that share one residual scale, with a norm ``outside_b``
outside the span for each row, solve ::

    z = argmin_z  sqrt(mean_b (||u_b - z_b||^2 + outside_b^2))
                  + mean_b sum_i alpha_i |z_bi| .

The solution is soft-thresholding at the residual scale of the group ::

    z_bi = soft(u_bi, alpha_i t),
    t^2  = mean_b (outside_b^2 + sum_i min(u_bi^2, alpha_i^2 t^2)) ,

the root of a concave, piecewise linear function of t^2. A single row is a group of one.
With ``positive`` the codes are nonnegative, and negative entries count as outside.
Where several codes are minimisers (an active set with ``sum alpha_i^2 = m`` and no
other residual), one of them is returned.

Units: ``U``, ``outside``, ``t`` and the codes have the unit of the data; ``alpha`` is a
pure number. Hence ``z(c u) = c z(u)``. Each group is scaled by a power of two before it
is squared, so this holds to the last bit and nothing overflows.
"""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, part, step

LARGEST = np.finfo(np.float64).max
GUESSED, FALLS, ENDED = 0.0, 1.0, 2.0  # how far Newton's method is
LEAST_SQUARES = (1e-280, 1e-30)  # double, single: below, sums of squares lose digits


@step
def power_of_two_near(x, itemsize):
    """Return the power of two that brings ``x >= 0`` near 1, finite in its dtype."""
    exponent = (np.float64(x).view(np.int64) >> 52) & 2047
    smallest, largest = (1, 2045) if itemsize == 8 else (896, 1149)
    exponent = min(max(2046 - exponent, smallest), largest)
    return np.int64(exponent << 52).view(np.float64)


@step
def absolute_sum(u):
    """Return the l1 norm of a row, summed in its own precision unless it overflows."""
    total = u.dtype.type(0)
    for j in range(u.shape[0]):
        total += abs(u[j])
    if total < np.inf:
        return np.float64(total)
    wide = 0.0
    for j in range(u.shape[0]):
        wide += np.float64(abs(u[j]))
    return wide


@step
def group_size(U, outside, lo, hi):
    """Return ``sum_b (||u_b||_1 + outside_b)`` of the rows from ``lo`` to ``hi``."""
    assert 0 <= lo <= hi <= U.shape[0] == outside.shape[0]
    total = 0.0
    for i in range(lo, hi):
        total += absolute_sum(U[i]) + np.float64(outside[i])
    return total


@step
def sum_row(u, alpha, t, c, positive):
    """Return the sums of one row for a Newton step on ``t^2``.

    They are ``sum alpha_i^2`` over the entries above their threshold ``alpha_i t`` and
    ``sum (c u_i)^2`` over the others. At ``t = inf`` nothing is active, not even units
    without a penalty. Numbers are selected, then squared, in a loop for each sign: a
    sum of selected terms, or of one of two comparisons, takes twice as long.
    """
    f = u.dtype.type
    active, tail = f(0), f(0)
    if positive:
        for j in range(u.shape[0]):
            high = alpha[j] * t
            a = alpha[j] if u[j] > high else f(0)
            v = f(0) if u[j] > high else u[j] * c
            active += a * a
            tail += v * v
    else:
        for j in range(u.shape[0]):
            high = alpha[j] * t
            a = alpha[j] if abs(u[j]) > high else f(0)
            v = f(0) if abs(u[j]) > high else u[j] * c
            active += a * a
            tail += v * v
    return np.float64(active), np.float64(tail)


@step
def shrink_row(u, alpha, t, c, positive, z):
    """Write ``soft(u_i, alpha_i t)`` into ``z``; return ``c^2 ||u - z||^2``."""
    f = u.dtype.type
    energy = f(0)
    for j in range(u.shape[0]):
        high = alpha[j] * t
        low = -f(np.inf) if positive else -high
        kept = min(max(u[j], low), high)
        z[j] = u[j] - kept
        v = kept * c
        energy += v * v
    return np.float64(energy)


@step
def sum_group(U, outside, alpha, positive, t, c, lo, hi):
    """Return the sums of a Newton step over the rows from ``lo`` to ``hi``.

    They are ``sum alpha_i^2`` over active entries, and ``c^2`` times the energy of
    inactive entries and outside the span.
    """
    assert 0 <= lo <= hi <= U.shape[0] == outside.shape[0]
    assert alpha.shape[0] == U.shape[1]
    f = U.dtype.type
    active, tail = 0.0, 0.0
    for i in range(lo, hi):
        row_active, row_tail = sum_row(U[i], alpha, f(t), f(c), positive)
        beyond = np.float64(outside[i]) * c
        active += row_active
        tail += row_tail + beyond * beyond
    return active, tail


@step
def shrink_group(U, outside, alpha, positive, t, c, lo, hi, out):
    """Shrink the rows from ``lo`` to ``hi`` at the residual scale ``t`` into ``out``.

    Return ``c^2`` times the energy of the residual, which is ``(hi - lo) (c t)^2`` if
    and only if ``t`` solves the problem of the group.
    """
    assert 0 <= lo <= hi <= U.shape[0] == outside.shape[0]
    assert out.shape == U.shape
    assert alpha.shape[0] == U.shape[1]
    f = U.dtype.type
    energy = 0.0
    for i in range(lo, hi):
        beyond = np.float64(outside[i]) * c
        energy += shrink_row(U[i], alpha, f(t), f(c), positive, out[i])
        energy += beyond * beyond
    return energy


@step
def sum_of_squares(alpha):
    """Return ``sum_i alpha_i^2`` in double precision."""
    total = 0.0
    for j in range(alpha.shape[0]):
        total += np.float64(alpha[j]) * np.float64(alpha[j])
    return total


@part
def noise_share(alpha, positive):
    """Return the squared residual scale of Gaussian noise, relative to its energy.

    This is v: for d entries of noise of variance one, ``t^2 = d v`` with
    ``v = E[min(g^2, c v)]`` and ``c = sum_i alpha_i^2``; with ``positive``, half of the
    entries count in full.
    """
    c = sum_of_squares(alpha)
    share = 1.0
    for _ in range(30 if c < 40 else 0):  # beyond 40, nothing is active: v = 1
        tau = math.sqrt(c * share)
        below = math.erf(tau * math.sqrt(0.5))
        density = math.exp(-0.5 * tau * tau) / math.sqrt(2 * math.pi)
        kept = below - 2 * tau * density + tau * tau * (1 - below)
        share = max(0.5 + 0.5 * kept if positive else kept, 0.01)  # rounding below 0
    return share


@step
def first_guess(size, n_rows, n_units, share, itemsize):
    """Return the unit of scaling c of a group and a first guess of ``(c t)^2``.

    ``size`` is the sum of absolute values of the group, ``share`` the value
    of ``noise_share``. The guess is right if all entries are Gaussian noise.
    """
    mean = size / n_rows / n_units
    c = power_of_two_near(mean, itemsize)
    mean *= c
    return c, 0.5 * math.pi * mean * mean * n_units * share


@step
def newton_step(q, falls, n_rows, active, tail):
    """Return the next squared scale, if steps decrease, and if it is the root.

    Where the slope ``n_rows - active`` is positive, the tangent of a concave function
    is zero at or above the root. From there the steps decrease until one does not: then
    the active set is that of the root. A guess (``falls`` is False) may be on either
    side; if the slope is not positive there, the steps start at infinity.
    """
    if active >= n_rows:  # a guess below the root, or an active set without slack
        return (q if falls else math.inf), falls, falls
    root = tail / (n_rows - active)
    met = falls and not root < q
    return (q if met else root), True, met


@step
def exceeds(u, high, positive):
    """Return whether an entry is above its threshold, in double precision."""
    u = np.float64(u)
    return u > high or (u < -high and not positive)


@step
def is_uneven(size, q, itemsize):
    """Return whether squares of some entries may have vanished in those of others."""
    return size > 0 and q < (LEAST_SQUARES[0] if itemsize == 8 else LEAST_SQUARES[1])


@step
def split_group(U, outside, alpha, positive, t, lo, hi):
    """Return how the entries of the rows from ``lo`` to ``hi`` are split by ``t``.

    They are ``sum alpha_i^2`` over active entries, the largest of all other numbers,
    and the largest norm outside the span.
    """
    assert 0 <= lo <= hi <= U.shape[0] == outside.shape[0]
    assert alpha.shape[0] == U.shape[1]
    active, largest, beyond = 0.0, 0.0, 0.0
    for i in range(lo, hi):
        beyond = max(beyond, np.float64(outside[i]))
        for j in range(alpha.shape[0]):
            a = np.float64(alpha[j])
            if exceeds(U[i, j], a * t, positive):
                active += a * a
            else:
                largest = max(largest, abs(np.float64(U[i, j])))
    return active, max(largest, beyond), beyond


@step
def inactive_energy(U, outside, alpha, positive, t, c, lo, hi):
    """Return ``c^2`` times the energy of inactive entries and outside the span."""
    assert 0 <= lo <= hi <= U.shape[0] == outside.shape[0]
    assert alpha.shape[0] == U.shape[1]
    tail = 0.0
    for i in range(lo, hi):
        tail += (c * np.float64(outside[i])) ** 2
        for j in range(alpha.shape[0]):
            if not exceeds(U[i, j], np.float64(alpha[j]) * t, positive):
                tail += (c * np.float64(U[i, j])) ** 2
    return tail


@step
def lower_root(t, n_rows, active, tail, c):
    """Return the next scale of Newton's method from above; t where it has ended."""
    if active >= n_rows:  # the last step had a slack that was rounded
        return t
    return min(t, math.sqrt(tail / (n_rows - active)) / c, LARGEST)


@part
def scale_of_uneven_group(U, outside, alpha, positive, lo, hi):
    """Return the residual scale of a group, of entries of any sizes.

    Squares of small entries vanish in the unit of large ones. Here each step of
    Newton's method, from above, has the unit of the largest entry that is not active.
    """
    may_rest = positive or sum_of_squares(alpha) >= 1
    before, t = math.inf, math.inf
    while True:
        active, largest, beyond = split_group(U, outside, alpha, positive, t, lo, hi)
        if beyond == 0 and not may_rest:
            return 0.0  # all entries are active
        c = power_of_two_near(largest, 8)
        tail = inactive_energy(U, outside, alpha, positive, t, c, lo, hi)
        before, t = t, lower_root(t, hi - lo, active, tail, c)
        if not t < before:
            return t


@part
def guess_scales(U, outside, share, bounds, steps):
    """Write the size, unit and first guess of each group, which does not yet fall."""
    for k in range(bounds.shape[0] - 1):
        lo, hi = bounds[k], bounds[k + 1]
        size = group_size(U, outside, lo, hi)
        c, q = first_guess(size, hi - lo, U.shape[1], share, U.itemsize)
        steps[k, 0], steps[k, 1], steps[k, 2], steps[k, 3] = size, c, q, GUESSED


@part
def take_steps(U, outside, alpha, positive, bounds, steps):
    """Take a step of Newton's method for each group that has not ended."""
    for k in range(bounds.shape[0] - 1):
        lo, hi, c, q = bounds[k], bounds[k + 1], steps[k, 1], steps[k, 2]
        if steps[k, 3] < ENDED:
            t, falls = math.sqrt(q) / c, steps[k, 3] == FALLS
            active, tail = sum_group(U, outside, alpha, positive, t, c, lo, hi)
            q, falls, met = newton_step(q, falls, hi - lo, active, tail)
            steps[k, 2] = q
            steps[k, 3] = ENDED if met else FALLS if falls else GUESSED


@part
def shrink_where_left(U, outside, alpha, positive, bounds, steps, out):
    """Shrink each group that has not ended; return how many are left.

    A group whose residual has the scale that it was shrunk at has ended.
    """
    rounding, n_left = 8 * np.float64(np.finfo(U.dtype).eps), 0
    for k in range(bounds.shape[0] - 1):
        lo, hi, c, q = bounds[k], bounds[k + 1], steps[k, 1], steps[k, 2]
        if steps[k, 3] == FALLS:
            t, m = math.sqrt(q) / c, hi - lo
            energy = shrink_group(U, outside, alpha, positive, t, c, lo, hi, out)
            if abs(energy - m * q) <= rounding * m * q:
                steps[k, 3] = ENDED
        n_left += steps[k, 3] < ENDED
    return n_left


@kernel(_nrt=False)
def shrink_groups(U, outside, alpha, positive, groups, steps, out, scale):
    """Shrink groups of rows, each at the residual scale that solves its problem.

    Newton's method on ``t^2`` from a robust guess takes two or three passes over
    typical rows and finitely many over any, without sorting. Each pass waits for a sum
    of the one before. Some groups take it in turns, so that others go on meanwhile.

    Parameters
    ----------
    U : ndarray of shape (n_samples, d)
        Rows, C-contiguous.
    outside : ndarray of shape (n_samples,)
        Norm of each row outside the span, in units of ``U``.
    alpha : ndarray of shape (d,)
        Penalty of each unit, in [0, inf), pure numbers.
    positive : bool
        Whether codes are nonnegative.
    groups : ndarray of shape (n_groups + 1,)
        Group g is the rows from ``groups[g]`` to ``groups[g + 1]``.
    steps : ndarray of shape (n_turns, 4)
        Workspace for the groups that take a pass in turns: their sizes and units, the
        squares of their scales, and whether these fall, or have ended.
    out : ndarray of shape (n_samples, d)
        Overwritten with the codes; not ``U`` itself.
    scale : ndarray of shape (n_samples,)
        Overwritten with the residual scale t of each row's group, in units of ``U``;
        entry i of a row was thresholded at ``alpha[i] * t``.
    """
    assert out.shape == U.shape == (scale.shape[0], alpha.shape[0])
    assert outside.shape == scale.shape
    assert groups.shape[0] > 0
    assert groups[0] == 0
    assert groups[-1] == U.shape[0]
    assert steps.shape[0] > 0
    assert steps.shape[1] == 4
    share, n_groups = noise_share(alpha, positive), groups.shape[0] - 1
    for first in range(0, n_groups, steps.shape[0]):
        n = min(steps.shape[0], n_groups - first)
        bounds = groups[first : first + n + 1]
        guess_scales(U, outside, share, bounds, steps)
        n_left = n
        while n_left > 0:
            take_steps(U, outside, alpha, positive, bounds, steps)
            n_left = shrink_where_left(U, outside, alpha, positive, bounds, steps, out)
        for k in range(n):
            lo, hi, c = bounds[k], bounds[k + 1], steps[k, 1]
            t = math.sqrt(steps[k, 2]) / c
            if is_uneven(steps[k, 0], steps[k, 2], U.itemsize):
                t = scale_of_uneven_group(U, outside, alpha, positive, lo, hi)
                shrink_group(U, outside, alpha, positive, t, c, lo, hi, out)
            for i in range(lo, hi):
                scale[i] = t


@step
def pull_row(u, alpha, t, positive, g):
    """Return ``sum_A alpha_i s_i g_i`` and ``sum_A alpha_i^2`` of one row."""
    f = u.dtype.type
    pull, active = f(0), f(0)
    for j in range(u.shape[0]):
        high = alpha[j] * t
        low = -f(np.inf) if positive else -high
        above = alpha[j] if u[j] > high else f(0)
        below = alpha[j] if u[j] < low else f(0)
        a = above - below
        pull += a * g[j]
        active += a * a
    return np.float64(pull), np.float64(active)


@step
def spread_row(u, alpha, t, positive, g, steep, c, out):
    """Write the gradient of one row: ``g`` where active, ``-steep c u`` elsewhere."""
    f = u.dtype.type
    for j in range(u.shape[0]):
        high = alpha[j] * t
        low = -f(np.inf) if positive else -high
        on = (u[j] > high) | (u[j] < low)
        out[j] = g[j] if on else -steep * (u[j] * c)


@step
def add_alpha_gradient(u, alpha, t, positive, g, slope, out):
    """Add the gradient of one row with respect to each unit's penalty to ``out``."""
    f = u.dtype.type
    for j in range(u.shape[0]):
        high = alpha[j] * t
        low = -f(np.inf) if positive else -high
        above = t if u[j] > high else f(0)
        below = t if u[j] < low else f(0)
        out[j] -= (above - below) * g[j] + (above + below) * alpha[j] * slope


@kernel(_nrt=False)
def pull_back_groups(
    U,
    outside,
    alpha,
    positive,
    groups,
    scale,
    min_slack,
    G,
    out,
    out_outside,
    out_alpha,
):
    """Pull the gradient ``G`` with respect to codes back through ``shrink_groups``.

    With A the active entries of a group of m rows, s their signs,
    ``p = sum_A alpha_i s_i g_i`` and ``D = m - sum_A alpha_i^2``, the gradients are ::

        U:      g on A, -p u / (t D) off A
        outside:   -p outside / (t D)
        alpha:  -(s g t + p t alpha / D) on A, 0 off A .

    A group coded exactly (t = 0) passes ``G`` through.

    Parameters
    ----------
    U, outside, alpha, positive, groups, scale
        Inputs of ``shrink_groups``, and the scale it wrote.
    min_slack : float
        Lower bound of ``D / m``, in (0, 1]: the map is steep where D is close to zero.
    G : ndarray of shape (n_samples, d)
        Gradient with respect to the codes.
    out : ndarray of shape (n_samples, d)
        Overwritten with the gradient with respect to ``U``.
    out_outside : ndarray of shape (n_samples,)
        Overwritten with the gradient with respect to ``outside``.
    out_alpha : ndarray of shape (d,) or (0,)
        The gradient with respect to ``alpha`` is added to it unless it is empty.
    """
    n, d = U.shape
    assert G.shape == out.shape == (n, d)
    assert alpha.shape[0] == d
    assert outside.shape == scale.shape == out_outside.shape == (n,)
    assert out_alpha.shape[0] == 0 or out_alpha.shape[0] == d
    assert groups.shape[0] > 0
    assert groups[0] == 0
    assert groups[-1] == n
    f = U.dtype.type
    for g in range(groups.shape[0] - 1):
        lo, hi = groups[g], groups[g + 1]
        assert 0 <= lo < hi <= n
        t = scale[lo]
        pull, active = 0.0, 0.0
        for i in range(lo, hi):
            row_pull, row_active = pull_row(U[i], alpha, t, positive, G[i])
            pull += row_pull
            active += row_active
        slope = pull / max(hi - lo - active, min_slack * (hi - lo))
        c = power_of_two_near(t, U.itemsize)
        steep = f(slope / (t * c)) if t > 0 else f(0)
        for i in range(lo, hi):
            if t > 0:
                spread_row(U[i], alpha, t, positive, G[i], steep, f(c), out[i])
            else:
                for j in range(d):
                    out[i, j] = G[i, j]
            out_outside[i] = -steep * (outside[i] * f(c))
            if out_alpha.shape[0] > 0:
                add_alpha_gradient(U[i], alpha, t, positive, G[i], f(slope), out_alpha)
