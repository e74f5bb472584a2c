"""Exact square-root-lasso solutions from approximate ones, by active-set paths.

Any coefficients are the exact solution for perturbed correlations. As the perturbation
is removed in proportion to a time from 0 to 1, the solution follows a piecewise linear
path with finitely many breakpoints, each of which adds or drops a column. Meanwhile the
scale ``t``, with threshold ``alpha_j t`` for column j, goes from one floor to the next:
the path ends at a lasso solution. A second path, in ``t`` alone, ends at ``t = sigma``,
the solution of the square-root lasso. A Cholesky factor of the Gram matrix of the
active columns is updated at each breakpoint.

Near interpolation, where ``sigma`` vanishes, all breakpoints meet at ``t = 0``. Two are
one if correlations at them differ by no more than rounding: a path does not step over
rounding errors.

All penalties of a design are found on one path. The solution at penalty ``alpha`` is
that of the lasso at threshold ``t = alpha sigma``. Between breakpoints it is linear in
t, and ``sigma^2`` is quadratic: a penalty is found on its piece in closed form.

Each column has its own penalty, so that columns of any size may be given with norms
near one: tolerances are then the same for all of them. ``pull`` holds the penalties of
active columns with the signs of their coefficients, and 0 for the other columns.
"""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, part

DEPENDENT = 1e-13  # largest energy share outside the active span of a dependent column
GOLDEN = 0.618033988749895  # its multiples modulo 1 fill the unit interval evenly
TIE = 1e-9  # distance to the end, relative to the threshold, that counts as zero
ROUNDING = 16 * np.finfo(np.float64).eps  # of a correlation, over norms of columns
FLAT = 1e-9  # rate, relative to the largest, that counts as zero
ROOM = 7  # rows of arrays for steps: three of rotations, one of columns, rates


@part
def append_column(L, act, k, G, j):
    """Extend the factor of ``G[act, act]`` by column j; return True on success."""
    assert 0 <= j < G.shape[0] == G.shape[1]
    assert 0 <= k <= act.shape[0] == L.shape[0] == L.shape[1]
    if k == L.shape[0]:
        return False
    left = G[j, j]
    for a in range(k):
        v = G[j, act[a]]
        for b in range(a):
            v -= L[a, b] * L[k, b]
        v /= L[a, a]
        L[k, a] = v
        left -= v * v
    if left <= DEPENDENT * G[j, j]:
        return False
    L[k, k] = math.sqrt(left)
    act[k] = j
    return True


@part
def drop_column(L, act, k, place, room):
    """Remove the active column at ``place`` from the factor, by rotations.

    The first three rows of ``room`` are overwritten.
    """
    assert 0 <= place < k <= act.shape[0] == L.shape[0] == L.shape[1]
    assert room.shape[1] >= max(k, 4)
    cos, sin, carry = room[0], room[1], room[2]
    for first in range(place, k - 1, 4):  # four rows at a time: independent operations
        n_rows = min(4, k - 1 - first)
        for m in range(n_rows):
            r = first + m
            act[r] = act[r + 1]
            for i in range(place):
                L[r, i] = L[r + 1, i]
            carry[m] = L[r + 1, place]
        if n_rows == 4:
            l0, l1, l2, l3 = L[first], L[first + 1], L[first + 2], L[first + 3]
            l4 = L[first + 4]
            c0, c1, c2, c3 = carry[0], carry[1], carry[2], carry[3]
            for i in range(place, first):
                x0, x1, x2, x3 = l1[i + 1], l2[i + 1], l3[i + 1], l4[i + 1]
                co, si = cos[i], sin[i]
                l0[i] = co * c0 + si * x0
                l1[i] = co * c1 + si * x1
                l2[i] = co * c2 + si * x2
                l3[i] = co * c3 + si * x3
                c0 = co * x0 - si * c0
                c1 = co * x1 - si * c1
                c2 = co * x2 - si * c2
                c3 = co * x3 - si * c3
            carry[0], carry[1], carry[2], carry[3] = c0, c1, c2, c3
        for m in range(n_rows):
            r = first + m
            for i in range(place if n_rows < 4 else first, r):
                this = L[r + 1, i + 1]
                L[r, i] = cos[i] * carry[m] + sin[i] * this
                carry[m] = cos[i] * this - sin[i] * carry[m]
            this = L[r + 1, r + 1]
            size = math.hypot(carry[m], this)
            cos[r], sin[r] = carry[m] / size, this / size
            L[r, r] = size


@part
def first_zero(w, sign, act, k, z):
    """Return the step of ``w[act]`` along ``z`` to its first zero, and its place.

    They are infinity and -1 if no entry reaches zero.
    """
    assert w.shape[0] == sign.shape[0]
    assert 0 <= k <= act.shape[0]
    assert k <= z.shape[0]
    nearest, place = math.inf, -1
    for a in range(k):
        if z[a] * sign[act[a]] < 0.0:
            far = max(-w[act[a]] / z[a], 0.0)
            if far < nearest:
                nearest, place = far, a
    return nearest, place


@kernel
def factorize(G, w, L, act):
    """Factor ``G[act, act]`` of the columns with ``w != 0``; return their number.

    The coefficient of a column that depends on earlier ones is transferred to them
    until it is zero, or one of theirs, which is then replaced. The fit and the signs
    are unchanged.
    """
    assert w.shape[0] <= G.shape[0] == G.shape[1]
    assert act.shape[0] == L.shape[0] == L.shape[1]
    k, room = 0, np.empty((ROOM, max(L.shape[0], 4)))
    z = room[3]
    for j in range(w.shape[0]):
        while w[j] != 0.0:
            if append_column(L, act, k, G, j):
                k += 1
                break
            for a in range(k):
                z[a] = G[j, act[a]] * w[j]
            solve_factored(L, 0, k, z, z)
            far, place = first_zero(w, w, act, k, z)
            for a in range(k):
                w[act[a]] += min(far, 1.0) * z[a]
            w[j] *= max(1.0 - far, 0.0)
            if far <= 1.0:
                w[act[place]] = 0.0
                drop_column(L, act, k, place, room)
                k -= 1
    return k


@part
def solve_factored(L, kept, k, x, z):
    """Write the solution of ``L L^T z = x``, all of k entries, to ``z``.

    Overwrite ``x`` with that of ``L``, whose first ``kept`` entries are given instead.
    Both may be one array.
    """
    assert 0 <= kept <= k <= min(x.shape[0], z.shape[0])
    assert k <= L.shape[0] == L.shape[1]
    for a in range(kept, k):
        v = x[a]
        for b in range(a):
            v -= L[a, b] * x[b]
        x[a] = v / L[a, a]
    for a in range(k):
        z[a] = x[a]
    top = k
    while top > 0:  # four rows at a time: each entry of z is read and written once
        low = max(top - 4, 0)
        for a in range(top - 1, low - 1, -1):
            z[a] /= L[a, a]
            for b in range(low, a):
                z[b] -= L[a, b] * z[a]
        if top - low == 4:
            l0, l1, l2, l3 = L[low], L[low + 1], L[low + 2], L[low + 3]
            z0, z1, z2, z3 = z[low], z[low + 1], z[low + 2], z[low + 3]
            for b in range(low):
                z[b] -= l0[b] * z0 + l1[b] * z1 + l2[b] * z2 + l3[b] * z3
        top = low


@part
def subtract_active(G, act, k, d, dc):
    """Subtract the active columns times ``d`` from all correlations."""
    assert dc.shape[0] <= G.shape[0] == G.shape[1]
    assert 0 <= k <= act.shape[0]
    assert k <= d.shape[0]
    whole = k - k % 4
    for a in range(0, whole, 4):  # four rows at a time, as in solve_factored
        g0, g1, g2, g3 = G[act[a]], G[act[a + 1]], G[act[a + 2]], G[act[a + 3]]
        d0, d1, d2, d3 = d[a], d[a + 1], d[a + 2], d[a + 3]
        for j in range(dc.shape[0]):
            dc[j] -= d0 * g0[j] + d1 * g1[j] + d2 * g2[j] + d3 * g3[j]
    for a in range(whole, k):
        row, da = G[act[a]], d[a]
        for j in range(dc.shape[0]):
            dc[j] -= da * row[j]


@part
def subtract_active_elsewhere(G, act, k, pull, d, dc, room):
    """Subtract the active columns times ``d`` from correlations of the others.

    It reads the rows of these: there are few where most columns are active. The last
    row of ``room`` is overwritten.
    """
    assert dc.shape[0] == pull.shape[0] <= G.shape[0] == G.shape[1]
    assert 0 <= k <= act.shape[0]
    assert k <= d.shape[0]
    assert room.shape[1] >= dc.shape[0]
    whole = room[3]
    for j in range(dc.shape[0]):
        whole[j] = 0.0
    for a in range(k):
        whole[act[a]] = d[a]
    for j in range(dc.shape[0]):
        if pull[j] == 0.0:
            row, total = G[j], 0.0
            for i in range(dc.shape[0]):
                total += row[i] * whole[i]
            dc[j] -= total


@part
def direction(G, L, act, k, pull, e, timed, rate, kept, room):
    """Write the rates of active coefficients and of all correlations.

    They are the last two of ``room``. The correlations are corrected at the rate
    ``timed * e``; the scale moves at ``rate``. Of the columns before, and of their
    rates half solved, which are the row before these, the first ``kept`` are the same.
    Return the rate below which a rate counts as zero.
    """
    assert pull.shape[0] == e.shape[0] <= G.shape[0] == G.shape[1]
    assert 0 <= kept <= k <= act.shape[0]
    assert room.shape[1] >= max(k, e.shape[0])
    half, d, dc = room[4], room[5], room[6, : e.shape[0]]
    for a in range(kept, k):
        half[a] = timed * e[act[a]] - rate * pull[act[a]]
    solve_factored(L, kept, k, half, d)
    for j in range(e.shape[0]):
        dc[j] = timed * e[j]
    if 2 * k > e.shape[0]:
        subtract_active_elsewhere(G, act, k, pull, d, dc, room)
    else:
        subtract_active(G, act, k, d, dc)
    for a in range(k):
        dc[act[a]] = rate * pull[act[a]]
    largest = 0.0
    for j in range(e.shape[0]):
        largest = max(largest, abs(dc[j]), abs(timed * e[j]))
    return FLAT * largest


@part
def next_breakpoint(w, c, alpha, act, k, pull, pace, d, dc, left, positive):
    """Return the distance to the next breakpoint, and its column.

    An active coefficient reaches zero, or an inactive correlation the threshold. A
    column that has just left starts at the threshold, which is no breakpoint. ``pace``
    holds the scale, its rate, and the rate that counts as zero.
    """
    assert w.shape[0] == c.shape[0] == pull.shape[0] <= dc.shape[0]
    assert alpha.shape[0] == w.shape[0]
    assert 0 <= k <= act.shape[0]
    assert k <= d.shape[0]
    t, rate, flat = pace
    nearest, column = math.inf, -1
    for a in range(k):
        j = act[a]
        if d[a] * pull[j] < 0.0:
            far = max(-w[j] / d[a], 0.0)
            if far < nearest:
                nearest, column = far, j
    for j in range(w.shape[0]):
        if pull[j] != 0.0:
            continue
        threshold, growth = t * alpha[j], rate * alpha[j]
        up, down = dc[j] - growth, -dc[j] - growth
        if up > flat and not (j == left and c[j] > 0.0):
            far = max(threshold - c[j], 0.0) / up
            if far < nearest:
                nearest, column = far, j
        if down > flat and not positive and not (j == left and c[j] < 0.0):
            far = max(threshold + c[j], 0.0) / down
            if far < nearest:
                nearest, column = far, j
    return nearest, column


@part
def exchange_dependent(G, w, L, act, k, pull, j, room):
    """Replace an active column by column j, which depends on the active ones.

    The fit is unchanged: column j grows and the others compensate until one is zero.
    Return the number of active columns.
    """
    assert 0 <= j < w.shape[0] == pull.shape[0] <= G.shape[0] == G.shape[1]
    assert 0 <= k <= act.shape[0] == L.shape[0] == L.shape[1]
    assert room.shape[1] >= k
    z = room[3]
    for a in range(k):
        z[a] = -pull[j] * G[j, act[a]]
    solve_factored(L, 0, k, z, z)
    nearest, place = first_zero(w, pull, act, k, z)
    if place < 0:  # a column of zeros
        pull[j] = 0.0
        return k
    for a in range(k):
        w[act[a]] += nearest * z[a]
    w[j] = nearest * pull[j]
    gone = act[place]
    w[gone] = pull[gone] = 0.0
    drop_column(L, act, k, place, room)
    if append_column(L, act, k - 1, G, j):
        return k
    w[j] = pull[j] = 0.0
    return k - 1


@part
def update_active_set(G, w, c, alpha, L, act, k, pull, j, room):
    """Drop or add column j at a breakpoint.

    Return the number of active columns, and how many of them, the first, and their rows
    of the factor are as before.
    """
    assert 0 <= j < w.shape[0]
    if pull[j] != 0.0:
        w[j] = pull[j] = 0.0
        place = 0
        while place < k - 1 and act[place] != j:
            place += 1
        drop_column(L, act, k, place, room)
        return k - 1, place
    pull[j] = alpha[j] if c[j] > 0.0 else -alpha[j]
    if append_column(L, act, k, G, j):
        return k + 1, k
    return exchange_dependent(G, w, L, act, k, pull, j, room), 0


@part
def distance_to_end(t, square, rate, q):
    """Return the distance of the scale to ``sigma`` on a linear piece.

    On the piece ``sigma^2`` is ``square`` plus ``q`` times the change of ``t^2``.
    """
    slack = 1.0 - q
    goal = square - q * t * t
    if rate > 0.0:
        return math.sqrt(max(goal, 0.0) / slack) - t if slack > 0.0 else math.inf
    return t - math.sqrt(max(goal, 0.0) / slack) if slack > 0.0 else t


@part
def rounding_of_correlations(G, n_columns):
    """Return the rounding error of a correlation with a residual of norm one."""
    assert n_columns <= G.shape[0] == G.shape[1]
    largest = 0.0
    for j in range(n_columns):
        largest = max(largest, G[j, j])
    return ROUNDING * math.sqrt(largest)


@part
def follow_active_set_path(G, w, c, L, act, k, pull, e, state, alpha, positive, room):
    """Follow one path to its end, or to a largest number of breakpoints.

    ``state`` holds the scale, ``||r||^2``, the rate of the scale, the time left of the
    first path (0 on the second), the least scale of the second, and that number; the
    first two and the time are updated, and ``room`` is overwritten. Return the number
    of active columns and the number of breakpoints.
    """
    t, square, rate, left, least = state[0], state[1], state[2], state[3], state[4]
    timed = 1.0 if left > 0.0 else 0.0
    d, dc, most = room[5], room[6], int(state[5])
    kept, gone, rounding = 0, -1, rounding_of_correlations(G, w.shape[0])
    for n_breakpoints in range(most):
        flat = direction(G, L, act, k, pull, e, timed, rate, kept, room)
        pace = (t, rate, flat)
        far, j = next_breakpoint(w, c, alpha, act, k, pull, pace, d, dc, gone, positive)
        q = 0.0
        for a in range(k):
            q -= rate * pull[act[a]] * d[a]
        end = left if timed else distance_to_end(t, square, rate, q)
        if not timed and rate < 0.0:
            end = min(end, t - least)
        end = max(end, 0.0)
        tie = 0.0 if timed else max(TIE * t, rounding / alpha[j])
        if far > end - tie:
            far = end
        if far == math.inf:
            return k, n_breakpoints
        for a in range(k):
            w[act[a]] += far * d[a]
        for i in range(w.shape[0]):
            c[i] += far * dc[i]
        before, t = t, max(t + far * rate, 0.0)
        square = max(square + q * (t * t - before * before), 0.0)
        left -= far * timed
        for a in range(k):
            c[act[a]] = t * pull[act[a]]
        state[0], state[1], state[3] = t, square, left
        if far == end:
            return k, n_breakpoints
        gone = j if pull[j] != 0.0 else -1
        k, kept = update_active_set(G, w, c, alpha, L, act, k, pull, j, room)
    return k, most


@part
def split_correlations(w, c, t, alpha, act, k, positive, pull, e, rounding):
    """Write ``pull``; split ``c`` into a feasible part and the remainder ``e``.

    Correlations above the threshold by more than rounding, as those of equal columns,
    start at various values below it: if many started at the threshold, as many
    breakpoints would coincide.
    """
    assert w.shape[0] == c.shape[0] == pull.shape[0] == e.shape[0]
    assert alpha.shape[0] == w.shape[0]
    assert 0 <= k <= act.shape[0]
    for a in range(k):
        j = act[a]
        pull[j] = alpha[j] if w[j] > 0.0 else -alpha[j]
    for j in range(w.shape[0]):
        goal, threshold = c[j], t * alpha[j]
        size = max(c[j], 0.0) if positive else abs(c[j])
        if pull[j] != 0.0:
            goal = t * pull[j]
        elif size > threshold * (1.0 + TIE) + rounding:
            inside = threshold * (0.9 + 0.1 * ((GOLDEN * j) % 1.0))
            goal = inside if c[j] > 0.0 else -inside
        e[j] = c[j] - goal
        c[j] = goal


@part
def prune(w, L, act, k, pull, room):
    """Drop active columns with coefficients zero or, by rounding, of wrong sign."""
    assert w.shape[0] == pull.shape[0]
    for place in range(k - 1, -1, -1):
        j = act[place]
        if w[j] * pull[j] <= 0.0:
            w[j] = 0.0
            drop_column(L, act, k, place, room)
            k -= 1
    return k


@kernel
def solve_exactly(G, w, c, square, floors, alpha, positive, L, act, k, max_breakpoints):
    """Solve the square-root lasso exactly on a Gram matrix, from given coefficients.

    Parameters
    ----------
    G : ndarray of shape (p, p) or larger
        Gram matrix of the columns.
    w, c : ndarray of shape (p,)
        Coefficients and correlations ``X^T r``, both updated.
    square : float
        ``||r||^2``, at least 0.
    floors : ndarray of shape (2,)
        Lower bounds of ``square`` in the scale, where the first path starts and ends;
        the latter holds for the second path, too.
    alpha : ndarray of shape (p,)
        Penalty of each coefficient, in (0, inf).
    positive : bool
        Whether coefficients are nonnegative.
    L : ndarray of shape (size, size)
        Storage of the factor; its first k rows are that of ``G[act, act]``. At most
        ``size`` columns are active.
    act : ndarray of shape (size,)
        Storage of the active columns; ``w`` vanishes on all but the first k.
    k : int
        Number of active columns.
    max_breakpoints : int
        Largest number of breakpoints of each of the two paths.

    Returns
    -------
    square : float
        The new ``||r||^2``.
    k : int
        Number of active columns, whose factor is in ``L``.
    breakpoints : int
        Number of breakpoints; ``max_breakpoints`` or more if a path was not followed to
        its end.
    """
    assert w.shape[0] == c.shape[0] <= G.shape[0] == G.shape[1]
    assert floors.shape[0] == 2
    assert alpha.shape[0] == w.shape[0]
    assert 0 <= k <= act.shape[0] == L.shape[0] == L.shape[1]
    for a in range(k):
        assert 0 <= act[a] < w.shape[0]
    t, goal = math.sqrt(max(square, floors[0])), math.sqrt(max(square, floors[1]))
    pull, e = np.zeros(w.shape[0]), np.empty(w.shape[0])
    w_before, c_before, state = w.copy(), c.copy(), np.empty(6)
    rounding = rounding_of_correlations(G, w.shape[0])
    split_correlations(w, c, t, alpha, act, k, positive, pull, e, rounding)
    state[0], state[1], state[2], state[3], state[4] = t, square, goal - t, 1.0, 0.0
    room = np.empty((ROOM, max(w.shape[0], L.shape[0], 4)))
    state[5], given = max_breakpoints, (pull, e, state, alpha, positive, room)
    k, first = follow_active_set_path(G, w, c, L, act, k, *given)
    for j in range(w.shape[0]):
        c[j] += state[3] * e[j]
        square -= (w[j] - w_before[j]) * (c[j] + c_before[j])
    square = max(square, 0.0)
    if state[3] > 0.0:
        return square, prune(w, L, act, k, pull, room), max_breakpoints
    least = math.sqrt(floors[1])
    norm = max(math.sqrt(square), least)
    if goal == norm:
        return square, prune(w, L, act, k, pull, room), first
    state[0], state[1], state[3], state[4] = goal, square, 0.0, least
    state[2] = math.copysign(1.0, norm - goal)
    k, second = follow_active_set_path(G, w, c, L, act, k, *given)
    return state[1], prune(w, L, act, k, pull, room), first + second


@kernel
def follow_gram_path(G, b, penalties, alphas, positive, most, coef, least):
    """Write solutions for falling penalties; return the number of those reached.

    Parameters
    ----------
    G, b, penalties, alphas, positive, coef, least
        As for ``solve_gram_path``.
    most : int
        Largest number of breakpoints.

    Returns
    -------
    n_reached : int
        Less than m where there are more breakpoints, or the residual vanishes before.
    """
    p = b.shape[0]
    assert p == penalties.shape[0] == G.shape[0] == G.shape[1]
    assert coef.shape == least.shape == (alphas.shape[0], p)
    w, c, pull, e = np.zeros(p), b.copy(), np.zeros(p), np.zeros(p)
    L, act, room = np.zeros((p, p)), np.zeros(p, np.intp), np.empty((ROOM, max(p, 4)))
    z, d, dc, t, square = np.empty(p), room[5], room[6], 0.0, 1.0
    k, kept, gone, m = 0, 0, -1, 0
    for j in range(p):
        t = max(t, (max(c[j], 0.0) if positive else abs(c[j])) / penalties[j])
    for _ in range(most):
        flat = direction(G, L, act, k, pull, e, 0.0, -1.0, kept, room)
        given = (act, k, pull, (t, -1.0, flat), d, dc, gone, positive)
        far, j = next_breakpoint(w, c, penalties, *given)
        q, far = 0.0, min(far, t)
        for a in range(k):
            q += pull[act[a]] * d[a]
        while m < alphas.shape[0]:
            alpha = alphas[m]  # in units of which the scale is the threshold
            end = alpha * distance_to_end(t / alpha, square, -1.0, alpha * alpha * q)
            if end > far + TIE * t:
                break
            end = t - min(max(end, 0.0), far)
            for a in range(k):
                z[a] = b[act[a]] - end * pull[act[a]]
            solve_factored(L, 0, k, z, z)
            for a in range(k):
                coef[m, act[a]], least[m, act[a]] = z[a], z[a] + end * d[a]
            m += 1
        if m == alphas.shape[0] or far == t:
            break
        for a in range(k):
            w[act[a]] += far * d[a]
        for i in range(p):
            c[i] += far * dc[i]
        square = max(square + q * far * (far - 2.0 * t), 0.0)
        t -= far
        for a in range(k):
            c[act[a]] = t * pull[act[a]]
        gone = j if pull[j] != 0.0 else -1
        k, kept = update_active_set(G, w, c, penalties, L, act, k, pull, j, room)
    return m
