"""Follow the lasso path of each row on the Gram matrix, down to a penalty.

For atoms D with Gram matrix ``G = D D'`` and a row x, follow the minimisers of ::

    min_z  1/2 ||x - z D||^2 + mu ||z||_1

from ``mu = ||D x||_inf``, where z is zero, down to ``mu = alpha`` (lasso) or to the
first ``mu <= alpha ||x - z D||`` (square-root lasso, ``||x - z D|| + alpha ||z||_1``:
both have the same minimisers at these penalties). Between breakpoints the code and the
correlations ``c = D (x - z D)`` are affine in mu, ::

    z(mu) = ls - mu d,    c(mu) = e + mu a,

with ``ls`` the least squares on the active atoms, ``e`` the correlations of their
residual, ``G_AA d = signs`` and ``a = G_A d``. An inactive atom enters where its line
leaves the cone ``|c| <= mu``. At ``mu = 0`` the line is outside the cone, on the
side of the sign of ``e``, so it leaves once, through that side, at ::

    mu = |e| / (1 - sign(e) a) .

Atoms that have just entered or left need no special case, and ties are steps of length
zero. A breakpoint changes the inverse of ``G_AA`` by ``h w w'``, and all lines along
the vector ``v = w G_A``.

Most correlations are far from the penalty, and they seldom change faster than it
("strong rules", Tibshirani et al. 2012). Hence the path is computed in stages: while
the penalty falls by half, only the lines of near atoms are updated, with a copy of
their inner products. If another atom should have entered, the duality gap shows it, and
the row is coded again with all atoms near.

A path with too large rounding errors ends early, which the duality gap shows, too.
"""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, part, step

DEPENDENT = 1e-11  # largest energy share outside the active span of a dependent atom
TINY_ENERGY = 1e-6  # energy share of the residual below which it is computed directly
MET = 1e-20  # energy share of the residual below which no atom enters: the fit is exact
LOST = 1e-11  # penalty, relative to the largest, below which lines are inaccurate
STAGE = 0.5  # factor of the penalty during one stage of near atoms
NEAR = 0.4  # least correlation of a near atom, relative to the penalty


@part
def advance_lines(e, a, v, free, n, fe, fa, both, inverse_mu, mask):
    """Move the first n lines along ``v``; return a key of the next atom to enter.

    The key is the penalty at which the atom enters, as the bits of a float, with the
    atom in its lowest bits: positive floats are ordered like their bits, and the
    maximum of integers is vectorised.
    """
    best = np.int64(0)
    for j in range(n):
        e[j] += fe * v[j]
        a[j] += fa * v[j]
        above = e[j] > 0
        size = (e[j] if above else -e[j] * both) * free[j]
        slope = 1 - (a[j] if above else -a[j])
        least = size * inverse_mu + 1e-300
        enters = size / (slope if slope > least else least)
        key = (np.float64(enters).view(np.int64) & ~mask) | j
        best = key if key > best else best
    return best


@part
def combine(base, A, rows, w, factor, k, v):
    """Write ``base + factor sum_i w_i A[rows_i]`` over k rows into v."""
    assert A.shape[1] <= base.shape[0]
    assert A.shape[1] <= v.shape[0]
    assert 0 <= k <= rows.shape[0]
    assert k <= w.shape[0]
    for i in range(k):
        assert 0 <= rows[i] < A.shape[0]
    for j in range(A.shape[1]):
        v[j] = base[j]
    i = 0
    while i + 4 <= k:
        g0, g1, g2, g3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        w0, w1 = factor * w[i], factor * w[i + 1]
        w2, w3 = factor * w[i + 2], factor * w[i + 3]
        for j in range(A.shape[1]):
            v[j] += (w0 * A[g0, j] + w1 * A[g1, j]) + (w2 * A[g2, j] + w3 * A[g3, j])
        i += 4
    while i < k:
        g0, w0 = rows[i], factor * w[i]
        for j in range(A.shape[1]):
            v[j] += w0 * A[g0, j]
        i += 1


@part
def largest(c, both):
    """Return the smallest penalty at which a code is zero."""
    best = 0.0
    for j in range(c.shape[0]):
        size = c[j] if c[j] > 0 else -c[j] * both
        best = size if size > best else best
    return best


@part
def choose_near_atoms(v, active, k, mu, least, both, near, place):
    """List active atoms and those correlated above ``least``; return their number."""
    for i in range(k):
        v[active[i]] = mu
    n = 0
    for j in range(v.shape[0]):
        near[n], place[j] = j, n
        n += (v[j] if v[j] > 0 else -v[j] * both) > least
    return n


@part
def first_to_leave(ls, d, signs, k, mu):
    """Return the largest penalty, at most mu, where an entry is zero, and its index."""
    leaves, place = -1.0, -1
    for i in range(k):
        size = signs[i] * ls[i]
        if size < 0:
            at = min(size / min(signs[i] * d[i], size / mu), mu)
            if at > leaves:
                leaves, place = at, i
    return leaves, place


@part
def weights_of_entry(S, M, at, w, g, k, place):
    """Write ``(-M g, 1)`` for the last row g of S into w; return the energy outside."""
    for q in range(k):
        g[q] = S[k, at[q]]
    left = S[k, place]
    for i in range(k):
        total = 0.0
        for q in range(k):
            total += M[i, q] * g[q]
        w[i] = -total
        left -= total * g[i]
    w[k] = 1.0
    return left


@part
def update_inverse(M, ls, d, w, h, fe, fa, k):
    """Update the inverse and the lines of the active entries at a breakpoint."""
    for i in range(k):
        ls[i] -= fe * w[i]
        d[i] += fa * w[i]
        hw = h * w[i]
        for q in range(k):
            M[i, q] += hw * w[q]


@part
def remove_atom(M, S, n, code, places, free, place, last):
    """Move the last active atom to the place of the one that leaves."""
    free[places[1, place]] = 1.0
    for i in range(2):
        places[i, place] = places[i, last]
    for i in range(3):
        code[i, place] = code[i, last]
    for q in range(n):
        S[place, q] = S[last, q]
    for q in range(last + 1):
        M[place, q] = M[last, q]
    for q in range(last + 1):
        M[q, place] = M[q, last]


@part
def energy_left(x, D, active, z, k, r):
    """Write ``x - z D`` into ``r``; return its energy."""
    assert x.shape[0] == D.shape[1]
    combine(x, D, active, z, -1.0, k, r)
    energy = 0.0
    for j in range(x.shape[0]):
        energy += r[j] * r[j]
    return energy


@part
def root_penalty(alpha, energy, steep, mu):
    """Return the ``nu <= mu`` with ``nu^2 = alpha^2 (energy + nu^2 steep)``."""
    slack = 1 - alpha * alpha * steep
    if slack <= 0:
        return mu
    return min(mu, alpha * math.sqrt(max(energy, 0.0) / slack))


@part
def correct(D, M, active, signs, mu, r, w, k, z):
    """Add ``M (D_A r - mu signs)`` to z: one correction of least squares.

    The residual r is computed in the space of the row, where it is more accurate.
    """
    for i in range(k):
        total, atom = -mu * signs[i], active[i]
        for j in range(D.shape[1]):
            total += r[j] * D[atom, j]
        w[i] = total
    for i in range(k):
        total = 0.0
        for q in range(k):
            total += M[i, q] * w[q]
        z[i] += total


@part
def refine(x, D, M, active, signs, z, w, r, k, mu):
    """Correct the code once, to correlations ``mu signs``; return residual energy."""
    energy_left(x, D, active, z, k, r)
    correct(D, M, active, signs, mu, r, w, k, z)
    return energy_left(x, D, active, z, k, r)


@part
def entry(e, a, free, j, both, mu):
    """Return the penalty, at most mu, at which atom j enters, and its sign."""
    sign = 1.0 if e[j] > 0 else -1.0
    size = (e[j] if e[j] > 0 else -e[j] * both) * free[j]
    return min(size / max(1 - sign * a[j], size / mu + 1e-300), mu), sign


@part
def gather(G, atom, near, n, S, i):
    """Write the inner products of the near atoms with one atom into row i of S."""
    q = 0
    while q + 4 <= n:
        j0, j1 = np.uint64(near[q]), np.uint64(near[q + 1])
        j2, j3 = np.uint64(near[q + 2]), np.uint64(near[q + 3])
        S[i, q], S[i, q + 1] = G[atom, j0], G[atom, j1]
        S[i, q + 2], S[i, q + 3] = G[atom, j2], G[atom, j3]
        q += 4
    while q < n:
        S[i, q] = G[atom, near[q]]
        q += 1


@part
def append_atom(M, k, active, at, signs, ls, d, j, place, sign):
    """Append atom j, with entry zero, to the k active ones."""
    for i in range(k + 1):
        M[i, k] = M[k, i] = 0.0
    active[k], at[k], signs[k], ls[k], d[k] = j, place, sign, 0.0, 0.0


@part
def leave_direction(M, ls, d, w, k, place):
    """Write the direction of a leaving atom into ``w``; return ``fe, fa, h``."""
    for i in range(k):
        w[i] = M[i, place]
    h = -1 / M[place, place]
    return -ls[place] * h, d[place] * h, h


@part
def code_at_penalty(x, zero, D, M, active, code, k, nu, lost, z, y):
    """Write the code at the penalty nu into z, the direction of its residual into y.

    A residual with less energy than ``lost`` is rounding error, and its direction is
    that of the residual at slightly larger penalties.
    """
    ls, d, signs, w, r = code[0], code[1], code[2], code[3], code[4]
    for i in range(k):
        ls[i] -= nu * d[i]
    for _ in range(2):
        refine(x, D, M, active, signs, ls, w, r, k, nu)
    for j in range(z.shape[0]):
        z[j] = 0.0
    for i in range(k):
        ls[i] = z[active[i]] = signs[i] * max(signs[i] * ls[i], 0.0)
    if energy_left(x, D, active, ls, k, r) < lost and k > 0:
        for turn in range(3):
            combine(zero, D, active, d, -1.0 if turn < 2 else 1.0, k, r)
            if turn < 2:
                correct(D, M, active, signs, -1.0, r, w, k, d)
    for j in range(y.shape[0]):
        y[j] = r[j]


@step
def new_stage(c, G, room, code, lines, places, k, mu, share, both):
    """Compute the lines of the near atoms; return their number and S."""
    ls, d, signs, w = code[0], code[1], code[2], code[3]
    e, a, v, free = lines[0], lines[1], lines[2], lines[3]
    active, at, near, where = places[0], places[1], places[2], places[3]
    for i in range(k):
        w[i] = ls[i] - mu * d[i]
    combine(c, G, active, w, -1.0, k, v)
    n = choose_near_atoms(v, active, k, mu, share * mu, both, near, where)
    height = room.shape[0] // c.shape[0]
    S = room[: height * n].reshape(height, n)
    for i in range(k):
        at[i] = where[active[i]]
        gather(G, active[i], near, n, S, i)
    for q in range(n):
        e[q], a[q], free[q] = c[near[q]], 0.0, 1.0
    combine(e, S, places[4], ls, -1.0, k, e)
    combine(a, S, places[4], d, 1.0, k, a)
    for i in range(k):
        e[at[i]], a[at[i]], free[at[i]] = 0.0, signs[i], 0.0
    return n, S


@step
def allocate(p, n):
    """Return arrays for the lines, the code, zeros, places, the inverse and S."""
    most, size = min(p, n), max(p, n) + 1
    places = np.zeros((5, size), np.int64)
    for j in range(size):
        places[4, j] = j
    lines, code, zero = np.zeros((4, p)), np.zeros((5, size)), np.zeros(size)
    M, room = np.empty((most + 1, most + 1)), np.empty((most + 1) * p)
    return lines, code, zero, places, M, room


@part
def sizes(X, D, G, C, alpha, out, dual):
    """Assert the shapes of arrays; return the numbers of atoms and of active ones."""
    (n, width), p = X.shape, D.shape[0]
    assert p > 0
    assert D.shape == (p, width)
    assert G.shape == (p, p)
    assert C.shape == out.shape == (n, p)
    assert dual.shape == (n, width)
    assert alpha.shape[0] == n
    return p, min(p, width)


@kernel
def follow_lasso_paths(X, D, G, C, alpha, root, positive, screen, out, dual):
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
        Whether to solve the square-root lasso.
    positive : bool
        Whether codes are nonnegative.
    screen : bool
        Whether to follow near atoms only: faster, and seldom wrong.
    out : ndarray of shape (n_samples, n_components)
        Overwritten with the codes.
    dual : ndarray of shape (n_samples, n_features)
        Overwritten with the direction of the residual, accurate also where the residual
        itself is rounding error.
    """
    (p, most), both = sizes(X, D, G, C, alpha, out, dual), 0.0 if positive else 1.0
    lines, code, zero, places, M, room = allocate(p, D.shape[1])
    e, a, v, free = lines[0], lines[1], lines[2], lines[3]
    ls, d, signs, w, r = code[0], code[1], code[2], code[3], code[4]
    active, at, near, order = places[0], places[1], places[2], places[4]
    pace, share = STAGE if screen else 0.0, NEAR if screen else -1.0
    mask = np.int64(2.0 ** math.ceil(math.log2(p))) - 1  # the bits of an atom's index
    for row in range(X.shape[0]):
        x, c = X[row], C[row]
        k, n, S, blocked, top, free[0] = 0, 0, M, False, largest(c, both), 0.0
        whole, steep, fe, fa = energy_left(x, D, active, ls, k, r), 0.0, 0.0, 0.0
        energy, mu, nu, floor = whole, np.inf, 0.0, top
        for _ in range(20 * (most + p)):
            key = advance_lines(e, a, v, free, n, fe, fa, both, 1 / mu, mask)
            place, fe, fa = key & mask, 0.0, 0.0
            enters, sign = entry(e, a, free, place, both, mu)
            leaves, leaver = first_to_leave(ls, d, signs, k, mu)
            if energy < TINY_ENERGY * whole:
                energy = refine(x, D, M, active, signs, ls, w, r, k, 0.0)
                enters = 0.0 if energy < MET * whole else enters
            nu = root_penalty(alpha[row], energy, steep, mu) if root else alpha[row]
            then, end = max(enters, leaves), max(nu, LOST * top)
            if max(then, end) < floor:
                n, S = new_stage(c, G, room, code, lines, places, k, floor, share, both)
                floor, blocked = pace * floor, False
                continue
            if then <= end:
                break
            mu = then
            if leaves >= enters:
                fe, fa, h = leave_direction(M, ls, d, w, k, leaver)
            else:
                gather(G, near[place], near, n, S, k)
                left = weights_of_entry(S, M, at, w, r, k, place)
                free[place] = 0.0
                if left <= DEPENDENT * S[k, place] or k == most:
                    blocked = True
                    continue
                append_atom(M, k, active, at, signs, ls, d, near[place], place, sign)
                fe, fa, h = -e[place] / left, (sign - a[place]) / left, 1 / left
                k += 1
            combine(zero, S, order, w, 1.0, k, v)
            update_inverse(M, ls, d, w, h, fe, fa, k)
            energy, steep = energy - fe * fe / h, steep + fa * fa / h
            if h < 0:
                k, floor = k - 1, mu if blocked else floor  # blocked atoms may enter
                remove_atom(M, S, n, code, places, free, leaver, k)
        nu, lost = min(nu, mu) if k > 0 else 0.0, TINY_ENERGY * whole
        code_at_penalty(x, zero, D, M, active, code, k, nu, lost, out[row], dual[row])
