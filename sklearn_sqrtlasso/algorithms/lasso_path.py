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
zero. The inverse of ``G_AA`` is kept as ``W' W``, with W the inverse of the Cholesky
factor. At a breakpoint it gains or loses a row u, after a rotation of rows if an atom
leaves, and all lines change along the vector ``v = u G_A``.

Most correlations are far from the penalty, and they seldom change faster than it
("strong rules", Tibshirani et al. 2012). Hence the path is computed in stages: while
the penalty falls by half, only the lines of near atoms are updated, with a copy of
their inner products. If another atom should have entered, the duality gap shows it, and
the row is coded again with all atoms near.

At the end, ``mu = 0`` on the last line is least squares on the support.

A path with too large rounding errors ends early, which the duality gap shows, too.
"""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, part, step

DEPENDENT = 1e-11  # largest energy share outside the active span of a dependent atom
TINY_ENERGY = 1e-6  # energy share of the residual below which it is computed directly
MET = 1e-20  # energy share of the residual below which no atom enters: the fit is exact
ROUNDING = 1e-12  # violation, relative to the largest penalty, that one step mends
CORRECTIONS = 3  # most such steps
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
    """Write ``base + factor sum_i w_i A[rows_i]`` over k rows into v.

    Columns beyond the length of v are left out.
    """
    assert v.shape[0] <= A.shape[1]
    assert v.shape[0] <= base.shape[0]
    assert 0 <= k <= rows.shape[0]
    assert k <= w.shape[0]
    for i in range(k):
        assert 0 <= rows[i] < A.shape[0]
    for j in range(v.shape[0]):
        v[j] = base[j]
    i = 0
    while i + 4 <= k:
        g0, g1, g2, g3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        w0, w1 = factor * w[i], factor * w[i + 1]
        w2, w3 = factor * w[i + 2], factor * w[i + 3]
        for j in range(v.shape[0]):
            v[j] += (w0 * A[g0, j] + w1 * A[g1, j]) + (w2 * A[g2, j] + w3 * A[g3, j])
        i += 4
    while i < k:
        g0, w0 = rows[i], factor * w[i]
        for j in range(v.shape[0]):
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
def choose_near_atoms(v, active, k, least, both, near, at):
    """List atoms correlated above ``least``, then active ones; return their number."""
    for i in range(k):
        v[active[i]] = np.nan  # above nothing
    n = 0
    for j in range(v.shape[0]):
        near[n] = j
        n += (v[j] if v[j] > 0 else -v[j] * both) > least
    for i in range(k):
        near[n + i], at[i] = active[i], n + i
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
def solve(W, g, k, u):
    """Write ``W' W g``, which solves ``G_AA u = g``, into u; return ``||W g||^2``."""
    energy = 0.0
    for i in range(k):
        u[i] = 0.0
    i = 0
    while i + 4 <= k:
        w0, w1, w2, w3 = W[i], W[i + 1], W[i + 2], W[i + 3]
        t0, t1, t2, t3 = 0.0, 0.0, 0.0, 0.0
        for q in range(i + 4):
            value = g[q]
            t0 += w0[q] * value
            t1 += w1[q] * value
            t2 += w2[q] * value
            t3 += w3[q] * value
        for q in range(i + 4):
            u[q] += (t0 * w0[q] + t1 * w1[q]) + (t2 * w2[q] + t3 * w3[q])
        energy += (t0 * t0 + t1 * t1) + (t2 * t2 + t3 * t3)
        i += 4
    while i < k:
        w0, t0 = W[i], 0.0
        for q in range(i + 1):
            t0 += w0[q] * g[q]
        for q in range(i + 1):
            u[q] += t0 * w0[q]
        energy += t0 * t0
        i += 1
    return energy


@part
def row_of_entry(S, W, at, order, u, g, k, place):
    """Write the next row of W, before its normalisation; return the energy outside."""
    row = S[order[k]]
    for q in range(k):
        g[q] = row[at[q]]
    left = row[place] - solve(W, g, k, u)
    for i in range(k):
        u[i] = -u[i]
    u[k] = 1.0
    return left


@part
def append_row(W, u, left, k):
    """Normalise the next row of W, and append it."""
    scale = 1 / math.sqrt(left)
    for q in range(k + 1):
        u[q] *= scale
        W[k, q] = u[q]
    W[k, k + 1] = W[k, k + 2] = W[k, k + 3] = 0.0


@part
def rotate_rows(W, k, place, u):
    """Rotate rows of W, so that only the last one has an entry at a place; copy it."""
    for i in range(place + 1, k):
        W[i - 1, i] = 0.0
        one, two = W[i - 1], W[i]
        length = math.hypot(one[place], two[place])
        cosine, sine = one[place] / length, two[place] / length
        for q in range(i + 1):
            first, second = one[q], two[q]
            one[q] = cosine * second - sine * first
            two[q] = cosine * first + sine * second
    for q in range(k):
        u[q] = W[k - 1, q]


@part
def move_lines(ls, d, u, fe, fa, k):
    """Move the lines of the active entries at a breakpoint."""
    for i in range(k):
        ls[i] -= fe * u[i]
        d[i] += fa * u[i]


@part
def remove_atom(W, code, places, place, last):
    """Remove an active atom; those after it move up."""
    for i in range(place, last):
        for q in range(place, i + 1):
            W[i, q] = W[i, q + 1]
        W[i, i + 1] = W[i, i + 2] = W[i, i + 3] = 0.0
    active, at, order = places[0], places[1], places[3]
    row = order[place]
    for i in range(place, last):
        for line in range(3):
            code[line, i] = code[line, i + 1]
        active[i], at[i], order[i] = active[i + 1], at[i + 1], order[i + 1]
    order[last] = row


@part
def energy_left(x, D, active, z, k, r):
    """Write ``x - z D`` into ``r``; return its energy."""
    assert x.shape[0] == D.shape[1]
    combine(x, D, active, z, -1.0, k, r[: x.shape[0]])
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
def correct(D, W, active, signs, mu, r, w, u, k, z):
    """Add ``W' W (D_A r - mu signs)`` to z, a correction; return the largest violation.

    The residual r is computed in the space of the row, where it is more accurate.
    """
    largest = 0.0
    for i in range(k):
        total, atom = -mu * signs[i], active[i]
        for j in range(D.shape[1]):
            total += r[j] * D[atom, j]
        w[i], largest = total, max(largest, abs(total))
    solve(W, w, k, u)
    for i in range(k):
        z[i] += u[i]
    return largest


@part
def refine(x, D, W, active, code, z, k, mu, top):
    """Correct the code z until correlations are ``mu signs``, but for rounding.

    Return the energy of its residual, and whether they are.
    """
    signs, w, r, u, found = code[2], code[3], code[4], code[5], False
    for _ in range(CORRECTIONS):
        energy_left(x, D, active, z, k, r)
        found = correct(D, W, active, signs, mu, r, w, u, k, z) <= ROUNDING * top
        if found:
            break
    return energy_left(x, D, active, z, k, r), found


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
def exchange(S, k, lines, places, one, two):
    """Exchange two near atoms, of which the second may be active."""
    at, near, order = places[1], places[2], places[3]
    for i in range(k):
        at[i] = one if at[i] == two else at[i]
        row = S[order[i]]
        row[one], row[two] = row[two], row[one]
    near[one], near[two] = near[two], near[one]
    for i in range(4):
        lines[i, one], lines[i, two] = lines[i, two], lines[i, one]


@part
def let_leave(S, W, code, lines, places, leaver, m, k):
    """Move an active atom to the m others; return changes of lines.

    They are by the last row of W, the only one that still has an entry of the atom.
    """
    ls, d, u, free = code[0], code[1], code[5], lines[3]
    exchange(S, k, lines, places, places[1, leaver], m)
    rotate_rows(W, k, leaver, u)
    free[m] = 1.0
    return ls[leaver] / u[leaver], -d[leaver] / u[leaver]


@part
def let_enter(G, S, W, code, lines, places, place, sign, m, k):
    """Move one of m atoms to the active ones, if it does not depend on them.

    Return whether it does not, and the changes of lines, by the last row of W.
    """
    ls, d, signs, w, u = code[0], code[1], code[2], code[3], code[5]
    active, at, near, order = places[0], places[1], places[2], places[3]
    m -= 1
    exchange(S, k, lines, places, place, m)
    gather(G, near[m], near, m + 1 + k, S, order[k])
    left = row_of_entry(S, W, at, order, u, w, k, m)
    if left <= DEPENDENT * S[order[k], m] or k + 1 == W.shape[0]:
        lines[3, m] = 0.0
        return False, 0.0, 0.0
    append_row(W, u, left, k)
    active[k], at[k], signs[k], ls[k], d[k] = near[m], m, sign, 0.0, 0.0
    fe, fa = -lines[0, m] * u[k], (sign - lines[1, m]) * u[k]
    lines[0, m], lines[1, m] = 0.0, sign
    return True, fe, fa


@part
def write_codes(x, D, W, active, code, k, nu, top, whole, out, fit):
    """Write the code at the penalty nu, and its least squares.

    Return the energy of the residual of the code.
    """
    ls, d, signs, z = code[0], code[1], code[2], code[6]
    least, known = refine(x, D, W, active, code, ls, k, 0.0, top)
    for i in range(k):
        z[i] = ls[i] - nu * d[i]
    energy, _ = refine(x, D, W, active, code, z, k, nu, top)
    for j in range(out.shape[0]):
        out[j] = fit[j] = 0.0
    for i in range(k):
        if not signs[i] * z[i] > 0:
            z[i], known = 0.0, False
        out[active[i]], fit[active[i]] = z[i], ls[i]
    if k > 0 and not known:
        energy = energy_left(x, D, active, z, k, code[4])
    if not (known and least <= max(energy * (1 + ROUNDING), MET * whole)):
        fit[0] = np.nan
    return energy


@part
def write_direction(zero, D, W, active, code, k, lost, dual):
    """Write the direction of the residual of the code.

    Where that is ``lost`` in rounding errors, it is the one at slightly larger
    penalties.
    """
    d, signs, w, r, u = code[1], code[2], code[3], code[4], code[5]
    if lost and k > 0:
        for turn in range(3):
            factor = -1.0 if turn < 2 else 1.0
            combine(zero, D, active, d, factor, k, r[: D.shape[1]])
            if turn < 2:
                correct(D, W, active, signs, -1.0, r, w, u, k, d)
    for j in range(dual.shape[0]):
        dual[j] = r[j]


@step
def new_stage(c, G, room, code, lines, places, k, mu, share, both):
    """Compute the lines of the near atoms; return how many do not act, and S."""
    ls, d, signs, w = code[0], code[1], code[2], code[3]
    e, a, v, free = lines[0], lines[1], lines[2], lines[3]
    active, at, near, order = places[0], places[1], places[2], places[3]
    for i in range(k):
        w[i] = ls[i] - mu * d[i]
    combine(c, G, active, w, -1.0, k, v)
    m = choose_near_atoms(v, active, k, share * mu, both, near, at)
    height, n = room.shape[0] // c.shape[0], m + k
    S = room[: height * n].reshape(height, n)
    for i in range(k):
        gather(G, active[i], near, n, S, order[i])
    for q in range(m):
        e[q], a[q], free[q] = v[near[q]], 0.0, 1.0
    combine(a, S, order, d, 1.0, k, a[:m])
    for q in range(m):
        e[q] -= mu * a[q]
    for i in range(k):
        e[m + i], a[m + i], v[active[i]] = 0.0, signs[i], 0.0
    return m, S


def allocate(p, n):
    """Return arrays for ``follow_lasso_paths``, which makes none: it compiles faster.

    Parameters
    ----------
    p, n : int
        Numbers of atoms and of features.

    Returns
    -------
    arrays : tuple of ndarray
        Arrays for the lines, the code, zeros, places, the inverse and S.
    """
    most, size = min(p, n), max(p, n) + 1
    places = np.zeros((4, size), np.int64)
    places[3] = np.arange(size)
    lines, code, zero = np.zeros((4, p)), np.zeros((7, size)), np.zeros(size)
    W, room = np.zeros((most + 1, most + 4)), np.zeros((most + 1) * p)
    return lines, code, zero, places, W, room


@part
def sizes(X, D, G, C, alpha, out, fit, dual):
    """Assert the shapes of arrays."""
    (n, width), p = X.shape, D.shape[0]
    assert p > 0
    assert D.shape == (p, width)
    assert G.shape == (p, p)
    assert C.shape == out.shape == fit.shape == (n, p)
    assert dual.shape == (n, width)
    assert alpha.shape[0] == n


@part
def follow_path(x, c, D, G, alpha, options, arrays, out, fit, dual):
    """Code one row, in arrays that ``allocate`` returned.

    Options are whether to solve the square-root lasso, 0 for nonnegative codes and else
    1, and the pace and the share of stages of near atoms.
    """
    (root, both, pace, share), p = options, D.shape[0]
    lines, code, zero, places, W, room = arrays
    e, a, v, free = lines[0], lines[1], lines[2], lines[3]
    ls, d, signs, r, u = code[0], code[1], code[2], code[4], code[5]
    active, order = places[0], places[3]
    mask = np.int64(2.0 ** math.ceil(math.log2(p))) - 1  # the bits of an atom's index
    k, m, S, blocked, top, free[0] = 0, 0, W, False, largest(c, both), 0.0
    whole, steep, fe, fa = energy_left(x, D, active, ls, k, r), 0.0, 0.0, 0.0
    energy, mu, nu, floor = whole, np.inf, 0.0, top
    for _ in range(20 * (min(p, D.shape[1]) + p)):
        key = advance_lines(e, a, v, free, m, fe, fa, both, 1 / mu, mask)
        place, fe, fa = key & mask, 0.0, 0.0
        enters, sign = entry(e, a, free, place, both, mu)
        leaves, leaver = first_to_leave(ls, d, signs, k, mu)
        if energy < TINY_ENERGY * whole:
            energy, _ = refine(x, D, W, active, code, ls, k, 0.0, top)
            enters = 0.0 if energy < MET * whole else enters
        nu = root_penalty(alpha, energy, steep, mu) if root else alpha
        then, end = max(enters, leaves), max(nu, LOST * top)
        if max(then, end) < floor:
            m, S = new_stage(c, G, room, code, lines, places, k, floor, share, both)
            floor, blocked = pace * floor, False
            continue
        if then <= end:
            break
        mu, change = then, 1.0 if leaves < enters else -1.0
        if change < 0:
            fe, fa = let_leave(S, W, code, lines, places, leaver, m, k)
            m += 1
        else:
            found, fe, fa = let_enter(G, S, W, code, lines, places, place, sign, m, k)
            if not found:
                blocked = True
                continue
            m, k = m - 1, k + 1
        combine(zero, S, order, u, 1.0, k, v[:m])
        move_lines(ls, d, u, fe, fa, k)
        energy, steep = energy - change * fe * fe, steep + change * fa * fa
        if change < 0:
            k, floor = k - 1, mu if blocked else floor  # blocked atoms may enter
            remove_atom(W, code, places, leaver, k)
    given, nu = (D, W, active, code, k), min(nu, mu)
    energy = write_codes(x, *given, nu, top, whole, out, fit)
    write_direction(zero, *given, energy < TINY_ENERGY * whole, dual)


@kernel(_nrt=False)
def follow_lasso_paths(
    X, D, G, C, alpha, root, positive, screen, out, fit, dual, arrays
):
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
    fit : ndarray of shape (n_samples, n_components)
        Overwritten with least squares on the supports of the codes. The first entry is
        NaN where they are not known: atoms nearly depend on each other, or some entry
        of a code is zero where it was to be nonzero.
    dual : ndarray of shape (n_samples, n_features)
        Overwritten with the direction of the residual, accurate also where the residual
        itself is rounding error.
    arrays : tuple of ndarray
        Arrays that ``allocate`` returns; overwritten.
    """
    sizes(X, D, G, C, alpha, out, fit, dual)
    both = 0.0 if positive else 1.0
    pace, share = STAGE if screen else 0.0, NEAR if screen else -1.0
    options = root, both, pace, share
    for i in range(X.shape[0]):
        given = X[i], C[i], D, G, alpha[i], options, arrays
        follow_path(*given, out[i], fit[i], dual[i])
