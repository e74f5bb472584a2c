"""Lasso and square-root lasso codes of rows, by their path on the Gram matrix.

For atoms D with Gram matrix ``G = D D'`` and a row x, follow the minimisers of ::

    min_z  1/2 ||x - z D||^2 + mu ||z||_1

from ``mu = ||D x||_inf``, where z is zero, down to ``mu = alpha`` (lasso) or to the
first ``mu <= alpha ||x - z D||`` (square-root lasso, ``||x - z D|| + alpha ||z||_1``:
both have the same minimisers at these penalties). Between events the code and the
correlations ``c = D (x - z D)`` are lines in mu, ::

    z(mu) = ls - mu d,    c(mu) = e + mu a,

with ``ls`` the least squares on the active atoms, ``e`` the correlations it leaves,
``G_AA d = signs`` and ``a = G_A d``. An atom outside enters where its line leaves the
cone ``|c| <= mu``. The line ends beside the tip of the cone, on the side of the sign of
its ``e``, so it leaves once, through that side, at ::

    mu = |e| / (1 - sign(e) a) .

No atom that has just entered or left needs an exception, and ties are steps of length
zero. An event changes the inverse of ``G_AA`` by ``h w w'``, and all lines along the
one vector ``v = w G_A``.

A path that meets rounding too large for it ends early; the certificate will tell.
"""

import math

import numpy as np

from sklearn_sqrtlasso.kernels.jit import kernel, step

DEPENDENT = 1e-11  # share of an atom's energy outside of the span of the active atoms
LOST_ENERGY = 1e-6  # share of a row below which the recursion is computed anew
MET = 1e-20  # share of a row below which it is met, and no atom is missing
LOST = 1e-11  # penalty, relative to the largest, below which lines are rounding


@step
def index_mask(n):
    """Return the low bits of a mantissa that hold an index below ``n``."""
    mask = np.int64(1)
    while mask < n:
        mask = 2 * mask
    return mask - 1


@step
def advance(e, a, v, free, fe, fa, both, inverse_mu, mask):
    """Move the lines of all atoms along ``v``; return a key of the next to enter.

    The key is the penalty at which the atom enters, as the bits of a float, with the
    atom in place of its lowest bits: positive floats are ordered like their bits, and
    the largest integer is found by vector instructions.
    """
    best = np.int64(0)
    for j in range(e.shape[0]):
        e[j] += fe * v[j]
        a[j] += fa * v[j]
        above = e[j] > 0
        size = (e[j] if above else -e[j] * both) * free[j]
        room = 1 - (a[j] if above else -a[j])
        least = size * inverse_mu + 1e-300
        enters = size / (room if room > least else least)
        key = (np.float64(enters).view(np.int64) & ~mask) | j
        best = key if key > best else best
    return best


@step
def combine(G, active, w, k, v):
    """Write ``sum_i w_i G[active_i]`` over the first ``k >= 1`` active atoms into v."""
    g0, w0 = active[0], w[0]
    for j in range(v.shape[0]):
        v[j] = w0 * G[g0, j]
    i = 1
    while i + 4 <= k:
        g0, g1, g2, g3 = active[i], active[i + 1], active[i + 2], active[i + 3]
        w0, w1, w2, w3 = w[i], w[i + 1], w[i + 2], w[i + 3]
        for j in range(v.shape[0]):
            v[j] += (w0 * G[g0, j] + w1 * G[g1, j]) + (w2 * G[g2, j] + w3 * G[g3, j])
        i += 4
    while i < k:
        g0, w0 = active[i], w[i]
        for j in range(v.shape[0]):
            v[j] += w0 * G[g0, j]
        i += 1


@step
def first_to_leave(ls, d, signs, k, mu):
    """Return the largest penalty, at most mu, where an entry is zero, and its place."""
    leaves, place = -1.0, -1
    for i in range(k):
        size = signs[i] * ls[i]
        if size < 0:
            at = min(size / min(signs[i] * d[i], size / mu), mu)
            if at > leaves:
                leaves, place = at, i
    return leaves, place


@step
def weights_of_entry(G, M, active, w, k, j):
    """Write ``(-M G_Aj, 1)`` into ``w``; return the energy of j outside the span."""
    left = G[j, j]
    for i in range(k):
        total = 0.0
        for q in range(k):
            total += M[i, q] * G[j, active[q]]
        w[i] = -total
        left -= total * G[j, active[i]]
    w[k] = 1.0
    return left


@step
def add_outer(M, w, h, k):
    """Add ``h w w'`` to the leading square of ``M``."""
    for i in range(k):
        hw = h * w[i]
        for q in range(k):
            M[i, q] += hw * w[q]


@step
def move(ls, d, w, fe, fa, k):
    """Move the lines of the active entries."""
    for i in range(k):
        ls[i] -= fe * w[i]
        d[i] += fa * w[i]


@step
def forget(M, ls, d, signs, active, place, last):
    """Put the last active atom in the place of the one that leaves."""
    active[place], signs[place] = active[last], signs[last]
    ls[place], d[place] = ls[last], d[last]
    for q in range(last + 1):
        M[place, q] = M[last, q]
    for q in range(last + 1):
        M[q, place] = M[q, last]


@step
def release(free, G, active, k):
    """Let all atoms enter but the active ones and zeros."""
    for j in range(free.shape[0]):
        free[j] = 1.0 if G[j, j] > 0 else 0.0
    for i in range(k):
        free[active[i]] = 0.0


@step
def energy_left(x, D, active, z, k, r):
    """Write ``x - z D`` into ``r``; return its energy."""
    for j in range(x.shape[0]):
        r[j] = x[j]
    for i in range(k):
        atom, value = active[i], z[i]
        for j in range(x.shape[0]):
            r[j] -= value * D[atom, j]
    energy = 0.0
    for j in range(x.shape[0]):
        energy += r[j] * r[j]
    return energy


@step
def root_penalty(alpha, energy, steep, mu):
    """Return the ``nu <= mu`` with ``nu^2 = alpha^2 (energy + nu^2 steep)``."""
    room = 1 - alpha * alpha * steep
    if room <= 0:
        return mu
    return min(mu, alpha * math.sqrt(max(energy, 0.0) / room))


@step
def correct(D, M, active, signs, level, r, w, k, z):
    """Add ``M (D_A r - level signs)`` to z: one correction of least squares.

    The residual r was computed in the space of the row, where it keeps more digits.
    """
    for i in range(k):
        total, atom = -level * signs[i], active[i]
        for j in range(D.shape[1]):
            total += r[j] * D[atom, j]
        w[i] = total
    for i in range(k):
        total = 0.0
        for q in range(k):
            total += M[i, q] * w[q]
        z[i] += total


@step
def refine(x, D, M, active, signs, z, w, r, k, mu):
    """Correct the code once, so that active atoms correlate by ``mu signs``."""
    energy_left(x, D, active, z, k, r)
    correct(D, M, active, signs, mu, r, w, k, z)


@step
def entry(e, a, free, j, both, mu):
    """Return the penalty, at most mu, at which atom j enters, and the sign it takes."""
    sign = 1.0 if e[j] > 0 else -1.0
    size = (e[j] if e[j] > 0 else -e[j] * both) * free[j]
    return min(size / max(1 - sign * a[j], size / mu + 1e-300), mu), sign


@kernel
def larger(M, k):
    """Return a square of twice the size of ``M``, with its entries."""
    grown = np.empty((2 * k, 2 * k))
    for i in range(k):
        for q in range(k):
            grown[i, q] = M[i, q]
    return grown


@step
def begin(C, row, G, active, e, a, v, free):
    """Draw the lines of a zero code."""
    for j in range(e.shape[0]):
        e[j], a[j], v[j] = C[row, j], 0.0, 0.0
    release(free, G, active, 0)


@step
def append(M, k, active, signs, ls, d, j, sign):
    """Make room for atom j behind the k active ones."""
    for i in range(k + 1):
        M[i, k] = M[k, i] = 0.0
    active[k], signs[k], ls[k], d[k] = j, sign, 0.0, 0.0


@step
def remove(M, ls, d, w, k, place):
    """Write what leaves with an active atom into ``w``; return steps and the pivot."""
    for i in range(k):
        w[i] = M[i, place]
    h = -1 / M[place, place]
    return -ls[place] * h, d[place] * h, h


@step
def finish(x, D, M, active, ls, d, signs, w, r, k, nu, lost):
    """Write the code at the penalty nu into ``ls``, the direction of its residual in r.

    Where the residual has less energy than ``lost``, it is rounding, and its direction
    is that of the residual just above.
    """
    for i in range(k):
        ls[i] -= nu * d[i]
    for _ in range(2):
        refine(x, D, M, active, signs, ls, w, r, k, nu)
    for i in range(k):
        ls[i] = signs[i] * max(signs[i] * ls[i], 0.0)
    if energy_left(x, D, active, ls, k, r) < lost and k > 0:
        for _ in range(2):
            combine(D, active, d, k, r[: x.shape[0]])
            for j in range(x.shape[0]):
                r[j] = -r[j]
            correct(D, M, active, signs, -1.0, r, w, k, d)
        combine(D, active, d, k, r[: x.shape[0]])


@kernel
def follow_path(x, D, G, C, row, alpha, root, both, lines, entries, active, M):
    """Follow the path of one row; return the number of active atoms and M.

    Codes are nonnegative if ``both`` is 0, of both signs if it is 1. The code is left
    in the first row of ``entries``, the direction of the residual in the last, the
    atoms in ``active``. ``lines`` has shape (4, n_components), ``entries`` five rows,
    and M is square, grown where needed.
    """
    e, a, v, free = lines[0], lines[1], lines[2], lines[3]
    ls, d, signs, w, r = entries[0], entries[1], entries[2], entries[3], entries[4]
    most, mask = active.shape[0] - 1, index_mask(e.shape[0])
    begin(C, row, G, active, e, a, v, free)
    whole = energy_left(x, D, active, ls, 0, r)
    energy, steep, k, blocked, mu, top, nu = whole, 0.0, 0, False, np.inf, 0.0, 0.0
    key = advance(e, a, v, free, 0.0, 0.0, both, 0.0, mask)
    for _ in range(20 * most + 100):
        j = key & mask
        enters, sign = entry(e, a, free, j, both, mu)
        leaves, place = first_to_leave(ls, d, signs, k, mu)
        top = max(top, enters)
        if energy < LOST_ENERGY * whole:
            refine(x, D, M, active, signs, ls, w, r, k, 0.0)
            energy = energy_left(x, D, active, ls, k, r)
            enters = 0.0 if energy < MET * whole else enters
        nu = root_penalty(alpha, energy, steep, mu) if root else alpha
        if max(enters, leaves) <= max(nu, LOST * top):
            break
        mu = max(enters, leaves)
        if leaves >= enters:
            j = active[place]
            fe, fa, h = remove(M, ls, d, w, k, place)
        else:
            left = weights_of_entry(G, M, active, w, k, j)
            free[j] = 0.0
            if left <= DEPENDENT * G[j, j] or k == most:
                blocked = True
                key = advance(e, a, v, free, 0.0, 0.0, both, 1 / mu, mask)
                continue
            M = larger(M, k) if k == M.shape[0] else M
            append(M, k, active, signs, ls, d, j, sign)
            fe, fa, h = -e[j] / left, (sign - a[j]) / left, 1 / left
            k += 1
        combine(G, active, w, k, v)
        add_outer(M, w, h, k)
        move(ls, d, w, fe, fa, k)
        energy, steep = energy - fe * fe / h, steep + fa * fa / h
        if h < 0:
            k -= 1
            free[j] = 1.0
            forget(M, ls, d, signs, active, place, k)
            if blocked:
                release(free, G, active, k)
                blocked = False
        key = advance(e, a, v, free, fe, fa, both, 1 / mu, mask)
    nu, lost = min(nu, mu) if k > 0 else 0.0, LOST_ENERGY * whole
    finish(x, D, M, active, ls, d, signs, w, r, k, nu, lost)
    return k, M


@kernel
def lasso_paths(X, D, G, C, alpha, root, positive, out, dual):
    """Code rows by the lasso or the square-root lasso, in double precision.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.
    D : ndarray of shape (n_components, n_features)
        Atoms, of any norm.
    G : ndarray of shape (n_components, n_components)
        ``D D'``.
    C : ndarray of shape (n_samples, n_components)
        ``X D'``.
    alpha : ndarray of shape (n_samples,)
        Penalty of each row, at least 0: in units of ``C`` for the lasso, in units of
        the norm of an atom for the square-root lasso.
    root : bool
        Whether the norm of the residual is not squared.
    positive : bool
        Whether codes are nonnegative.
    out : ndarray of shape (n_samples, n_components)
        Overwritten with the codes.
    dual : ndarray of shape (n_samples, n_features)
        Overwritten with the direction of the residual, known also where the residual
        itself is lost in rounding.
    """
    p, n = D.shape
    most = min(n, p)
    lines, entries = np.empty((4, p)), np.zeros((5, max(n, most + 1)))
    active, M = np.zeros(most + 1, np.int64), np.empty((32, 32))
    both = 0.0 if positive else 1.0
    for row in range(X.shape[0]):
        for j in range(p):
            out[row, j] = 0.0
        k, M = follow_path(
            X[row], D, G, C, row, alpha[row], root, both, lines, entries, active, M
        )
        for i in range(k):
            out[row, active[i]] = entries[0, i]
        for j in range(n):
            dual[row, j] = entries[4, j]
