r"""Square-root-lasso solutions at falling penalties, by Newton steps.

With columns and target of norm one, the solution at penalty ``alpha`` is that of the
lasso at threshold ``t = alpha sigma``. On the active columns A, with penalties q that
have the signs of coefficients, it and its residual are ::

    w = G_AA^-1 (b_A - t q),    sigma^2 = 1 - |L^-1 b_A|^2 + t^2 |L^-1 q|^2 ,

where L is the Cholesky factor of ``G_AA``: t follows in closed form. Columns whose
coefficients have the wrong sign leave, all whose correlations exceed their thresholds
enter, and the step is repeated until none does: then the solution is exact. These are
steps of a primal-dual active-set method, or semismooth Newton steps (Hintermueller, Ito
and Kunisch, 2002). From one penalty to the next two or three of them replace a
breakpoint for each column. They may fail where columns are nearly dependent; then an
active-set path is followed.
"""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, part

DEPENDENT = 1e-13  # largest energy share outside the active span of a dependent column
TIE = 1e-11  # excess over a threshold, relative to it, that is rounding
PACE = 0.7  # least factor from one penalty to the next, given or not
STEPS = 12  # of Newton for one penalty, from which on they fail
FEW = 16  # columns that may enter at once
FAILURES = 30  # of steps, if no column is active; else fewer, as each is dearer
ROUNDING = 64 * np.finfo(np.float64).eps  # share of the target outside its own span
SOME = 64  # active columns up to which thresholds fall; more take long to replace
FALLS = 2  # to one given penalty, if steps fail from the first one, too
NEAR = 0.95  # factor of a threshold at which one that is far enough is near enough
TRIES = 60  # at steps of thresholds, from where columns span the target


@part
def eliminate_four(G, L, act, k):
    """Write the first k entries of the rows of four columns, which follow in ``act``.

    Each row of the factor is read once for all four.
    """
    p = act.shape[0]
    assert 0 <= k <= p - 4
    assert p == G.shape[0] == G.shape[1] == L.shape[1]
    assert L.shape[0] == p + 2
    assert min(act[k], act[k + 1], act[k + 2], act[k + 3]) >= 0
    assert max(act[k], act[k + 1], act[k + 2], act[k + 3]) < p
    g0, g1, g2, g3 = G[act[k]], G[act[k + 1]], G[act[k + 2]], G[act[k + 3]]
    r0, r1, r2, r3 = L[k], L[k + 1], L[k + 2], L[k + 3]
    for a in range(0, k, 2):  # the last row is read twice if there is no other
        n = min(a + 1, k - 1)
        assert 0 <= act[a] < p
        assert 0 <= act[n] < p
        one, two, i, j = L[a], L[n], act[a], act[n]
        v0, v1, v2, v3 = g0[i], g1[i], g2[i], g3[i]
        w0, w1, w2, w3 = g0[j], g1[j], g2[j], g3[j]
        for i in range(a):
            x, y = one[i], two[i]
            v0 -= x * r0[i]
            v1 -= x * r1[i]
            v2 -= x * r2[i]
            v3 -= x * r3[i]
            w0 -= y * r0[i]
            w1 -= y * r1[i]
            w2 -= y * r2[i]
            w3 -= y * r3[i]
        x = 1.0 / one[a]
        v0, v1, v2, v3 = v0 * x, v1 * x, v2 * x, v3 * x
        r0[a], r1[a], r2[a], r3[a] = v0, v1, v2, v3
        if n > a:
            x, y = two[a], 1.0 / two[n]
            r0[n], r1[n] = (w0 - x * v0) * y, (w1 - x * v1) * y
            r2[n], r3[n] = (w2 - x * v2) * y, (w3 - x * v3) * y


@part
def append_row(G, b, pull, L, act, k, j, done):
    """Add column j to the factor, and to the solutions in its last two rows.

    The first ``done`` entries of its row are known. Return whether the column is
    independent of those before.
    """
    p = b.shape[0]
    assert 0 <= k < p == pull.shape[0] == act.shape[0] == L.shape[1]
    assert 0 <= j < p == G.shape[0] == G.shape[1]
    assert L.shape[0] == p + 2
    row, of_b, of_pull, left = L[k], b[j], pull[j], G[j, j]
    for a in range(done, k):
        assert 0 <= act[a] < p
        v = G[j, act[a]]
        for i in range(a):
            v -= L[a, i] * row[i]
        row[a] = v / L[a, a]
    for a in range(k):
        left -= row[a] * row[a]
        of_b -= row[a] * L[p, a]
        of_pull -= row[a] * L[p + 1, a]
    if left <= DEPENDENT * G[j, j]:
        return False
    row[k], act[k] = math.sqrt(left), j
    L[p, k], L[p + 1, k] = of_b / row[k], of_pull / row[k]
    return True


@part
def append_rows(G, b, pull, L, act, k, n):
    """Add the n columns that follow the active ones, at most four.

    Those that depend on the others are left out. Return the number of active columns.
    """
    p, first, done = b.shape[0], k, 0
    assert 0 <= n <= 4
    assert 0 <= k <= p - n
    assert p == act.shape[0] == pull.shape[0] == L.shape[1]
    if n > 1 and k <= p - 4:  # one of them stands for those that are missing
        for i in range(k + n, k + 4):
            act[i] = act[k]
        eliminate_four(G, L, act, k)
        done = k
    for i in range(first, first + n):
        j = act[i]
        assert 0 <= j < p
        if k < i:
            for a in range(done):
                L[k, a] = L[i, a]
        if append_row(G, b, pull, L, act, k, j, done):
            k += 1
        else:
            pull[j] = 0.0
    return k


@part
def remove_row(L, act, k, place):
    """Remove the active column at ``place`` from the factor, by rotations."""
    p = act.shape[0]
    assert 0 <= place < k <= p == L.shape[1]
    assert L.shape[0] == p + 2
    for r in range(place, k - 1):  # of columns r and r + 1, in all rows below
        x, y = L[r + 1, r], L[r + 1, r + 1]
        size = math.hypot(x, y)
        cos, sin = x / size, y / size
        L[r, r] = size
        for i in range(r):
            L[r, i] = L[r + 1, i]
        for i in range(r + 2, k):
            x, y = L[i, r], L[i, r + 1]
            L[i, r], L[i, r + 1] = cos * x + sin * y, cos * y - sin * x
        for i in range(p, p + 2):
            x, y = L[i, r], L[i, r + 1]
            L[i, r], L[i, r + 1] = cos * x + sin * y, cos * y - sin * x
        act[r] = act[r + 1]


@part
def outside_square(L, k, p):
    """Return the square of what is left of the target by least squares."""
    assert 0 <= k <= L.shape[1]
    assert L.shape[0] == p + 2
    square = 1.0
    for a in range(k):
        square -= L[p, a] * L[p, a]
    return square


@part
def sigma(L, k, p, t):
    """Return the norm of the residual at a threshold."""
    assert 0 <= k <= L.shape[1]
    assert L.shape[0] == p + 2
    square = max(outside_square(L, k, p), 0.0)
    for a in range(k):
        square += t * t * L[p + 1, a] * L[p + 1, a]
    return math.sqrt(square)


@part
def threshold(L, k, p, alpha):
    """Return the threshold of a penalty for the active columns; -1 if there is none."""
    assert 0 <= k <= L.shape[1]
    assert L.shape[0] == p + 2
    square, steep = outside_square(L, k, p), 0.0
    for a in range(k):
        steep += L[p + 1, a] * L[p + 1, a]
    slack = 1.0 - alpha * alpha * steep
    if square <= ROUNDING or slack <= 0.0:
        return -1.0
    return alpha * math.sqrt(square / slack)


@part
def active_lines(L, k, p, lines):
    """Write least squares on the active columns, and by how much a threshold shrinks.

    They are the first k entries of the first two lines.
    """
    assert 0 <= k <= L.shape[1]
    assert L.shape[0] == p + 2
    assert lines.shape[0] == 4
    assert k <= lines.shape[1]
    x, y = lines[0], lines[1]
    for a in range(k):
        x[a], y[a] = L[p, a], L[p + 1, a]
    top = k
    while top > 0:  # four rows at a time: each entry is read and written once
        low = max(top - 4, 0)
        for a in range(top - 1, low - 1, -1):
            x[a] /= L[a, a]
            y[a] /= L[a, a]
            for i in range(low, a):
                x[i] -= L[a, i] * x[a]
                y[i] -= L[a, i] * y[a]
        if top - low == 4:
            l0, l1, l2, l3 = L[low], L[low + 1], L[low + 2], L[low + 3]
            x0, x1, x2, x3 = x[low], x[low + 1], x[low + 2], x[low + 3]
            y0, y1, y2, y3 = y[low], y[low + 1], y[low + 2], y[low + 3]
            for i in range(low):
                x[i] -= l0[i] * x0 + l1[i] * x1 + l2[i] * x2 + l3[i] * x3
                y[i] -= l0[i] * y0 + l1[i] * y1 + l2[i] * y2 + l3[i] * y3
        top = low


@part
def lines_by_active_rows(G, b, act, k, lines):
    """Write the lines of all correlations, from rows of the active columns.

    Correlations at threshold t are the third line plus t times the fourth.
    """
    p = b.shape[0]
    assert p == G.shape[0] == G.shape[1] == act.shape[0] == lines.shape[1]
    assert lines.shape[0] == 4
    assert 0 <= k <= p
    x, y, e, f = lines[0], lines[1], lines[2], lines[3]
    for j in range(p):
        e[j], f[j] = b[j], 0.0
    for a in range(0, k - k % 2, 2):
        assert 0 <= act[a] < p
        assert 0 <= act[a + 1] < p
        g0, g1 = G[act[a]], G[act[a + 1]]
        x0, x1, y0, y1 = x[a], x[a + 1], y[a], y[a + 1]
        for j in range(p):
            e[j] -= x0 * g0[j] + x1 * g1[j]
            f[j] += y0 * g0[j] + y1 * g1[j]
    if k % 2 == 1:
        assert 0 <= act[k - 1] < p
        g0, x0, y0 = G[act[k - 1]], x[k - 1], y[k - 1]
        for j in range(p):
            e[j] -= x0 * g0[j]
            f[j] += y0 * g0[j]


@part
def lines_by_other_rows(G, b, act, k, pull, whole, lines):
    """Write the same for columns that are not active, from their own rows.

    There are few where most columns are active.
    """
    p = b.shape[0]
    assert p == G.shape[0] == G.shape[1] == act.shape[0] == pull.shape[0]
    assert lines.shape[0] == 4
    assert lines.shape[1] == whole.shape[1] == p
    assert whole.shape[0] == 2
    assert 0 <= k <= p
    x, y = whole[0], whole[1]
    for j in range(p):
        x[j] = y[j] = 0.0
    for a in range(k):
        assert 0 <= act[a] < p
        x[act[a]], y[act[a]] = lines[0, a], lines[1, a]
    for j in range(p):
        if pull[j] == 0.0:
            row, of_x, of_y = G[j], 0.0, 0.0
            for i in range(p):
                of_x += row[i] * x[i]
                of_y += row[i] * y[i]
            lines[2, j], lines[3, j] = b[j] - of_x, of_y


@part
def gather_row(columns, j, row):
    """Write the products of column j with all columns, of shape (p, n)."""
    p, n = columns.shape
    assert 0 <= j < p == row.shape[0]
    one = columns[j]
    for i in range(0, p - p % 4, 4):
        z0, z1, z2, z3 = columns[i], columns[i + 1], columns[i + 2], columns[i + 3]
        v0, v1, v2, v3 = 0.0, 0.0, 0.0, 0.0
        for r in range(n):
            x = one[r]
            v0 += x * z0[r]
            v1 += x * z1[r]
            v2 += x * z2[r]
            v3 += x * z3[r]
        row[i], row[i + 1], row[i + 2], row[i + 3] = v0, v1, v2, v3
    for i in range(p - p % 4, p):
        z0, v0 = columns[i], 0.0
        for r in range(n):
            v0 += one[r] * z0[r]
        row[i] = v0


@part
def count_entering(penalties, positive, t, pull, lines):
    """Return the number of columns that are above their thresholds."""
    p = penalties.shape[0]
    assert p == pull.shape[0] == lines.shape[1]
    assert lines.shape[0] == 4
    count = 0
    for j in range(p):
        c = lines[2, j] + t * lines[3, j]
        size = max(c, 0.0) if positive else abs(c)
        count += size > t * penalties[j] * (1.0 + TIE) and pull[j] == 0.0
    return count


@part
def change_active_set(products, b, penalties, positive, t, L, act, k, pull, lines):
    """Drop columns of wrong signs, and add those above their thresholds.

    Return the number of active columns, and that of changes. Columns that depend on
    the active ones are not added; the latter is -1 if there are no others.
    """
    (G, columns, known), p = products, b.shape[0]
    assert p == known.shape[0] == G.shape[0]
    assert p == penalties.shape[0] == pull.shape[0] == act.shape[0] == lines.shape[1]
    assert lines.shape[0] == 4
    assert 0 <= k <= p
    n_changes, n_new, left_out = 0, 0, False
    for place in range(k - 1, -1, -1):
        j = act[place]
        assert 0 <= j < p
        lines[2, j] = lines[3, j] = 0.0
        if (lines[0, place] - t * lines[1, place]) * pull[j] <= 0.0:
            pull[j] = 0.0
            remove_row(L, act, k, place)
            k, n_changes = k - 1, n_changes + 1
    for j in range(p):
        c = lines[2, j] + t * lines[3, j]
        size = max(c, 0.0) if positive else abs(c)
        if size > t * penalties[j] * (1.0 + TIE) and pull[j] == 0.0:
            pull[j] = math.copysign(penalties[j], c)
            act[k + n_new], n_new = j, n_new + 1
            if not known[j]:
                gather_row(columns, j, G[j])
                known[j] = True
        if n_new == 4 or (j == p - 1 and n_new > 0):
            before, k = k, append_rows(G, b, pull, L, act, k, n_new)
            left_out = left_out or k < before + n_new
            n_changes, n_new = n_changes + k - before, 0
    return k, -1 if left_out and n_changes == 0 else n_changes


@part
def write_lines(products, b, L, act, k, pull, whole, lines):
    """Write the lines of the active columns and of all correlations."""
    (G, columns, _), p = products, b.shape[0]
    active_lines(L, k, p, lines)
    if 2 * k > p and columns.shape[1] == 0:
        lines_by_other_rows(G, b, act, k, pull, whole, lines)
    else:
        lines_by_active_rows(G, b, act, k, lines)


@part
def newton_steps(
    products, b, penalties, positive, alpha, low, L, act, k, pull, whole, lines
):
    """Step to the solution at a penalty; return the number of active columns.

    Return its threshold, too, which is -1 if steps fail: where many columns enter at
    once, most of them are to leave again. A penalty of zero is that of threshold
    ``low``.
    """
    for _ in range(STEPS):
        t = threshold(L, k, b.shape[0], alpha) if alpha > 0.0 else low
        many = count_entering(penalties, positive, t, pull, lines) > max(2 * k, FEW)
        if t < 0.0 or many:
            break
        given = (L, act, k, pull, lines)
        k, n_changes = change_active_set(products, b, penalties, positive, t, *given)
        if n_changes == 0:
            return k, t
        if n_changes < 0:
            break
        write_lines(products, b, L, act, k, pull, whole, lines)
    return k, -1.0


@part
def refactor_columns(products, b, before, L, act, pull, whole, lines):
    """Restore active columns with the penalties of ``before``; return their number."""
    G, p, k, n_new = products[0], b.shape[0], 0, 0
    assert p == pull.shape[0] == before.shape[0]
    for j in range(p):
        pull[j] = before[j]
        if before[j] != 0.0:
            act[k + n_new], n_new = j, n_new + 1
        if n_new == 4 or j == p - 1:
            k, n_new = append_rows(G, b, pull, L, act, k, n_new), 0
    write_lines(products, b, L, act, k, pull, whole, lines)
    return k


def all_products(G):
    """Return a whole Gram matrix as ``solve_gram_path`` takes it.

    Parameters
    ----------
    G : ndarray of shape (p, p)
        The matrix.

    Returns
    -------
    products : (ndarray, ndarray, ndarray)
        The matrix, no columns, and that all of its rows are known.
    """
    G = np.ascontiguousarray(G)
    return G, np.empty((len(G), 0)), np.ones(len(G), dtype=np.bool_)


@part
def spans_target(penalties, positive, L, act, k, pull, lines):
    """Return whether active columns solve all problems without a residual.

    They span the target with coefficients of the right signs, and the direction of the
    residual, as thresholds vanish, is feasible.
    """
    p = penalties.shape[0]
    assert p == act.shape[0] == pull.shape[0] == lines.shape[1]
    assert lines.shape[0] == 4
    assert 0 <= k <= p
    if outside_square(L, k, p) > ROUNDING:
        return False
    for a in range(k):
        assert 0 <= act[a] < p
        if lines[0, a] * pull[act[a]] <= 0.0:
            return False
    for j in range(p):
        size = max(lines[3, j], 0.0) if positive else abs(lines[3, j])
        if pull[j] == 0.0 and size > penalties[j] * (1.0 + TIE):
            return False
    return True


@part
def fall(products, b, penalties, positive, t, alpha, k, arrays):
    """Lower the threshold until active columns do not span the target, or solve it.

    As long as they span it, the residual is a multiple of one direction, and all
    thresholds are those of one penalty. Return the number of active columns, and the
    threshold, which is that of a smaller penalty than ``alpha``; 0 if they solve all
    of them, and -1 if steps fail.
    """
    L, act, pull, lines, whole, before = arrays
    p, pace = b.shape[0], PACE
    assert p == pull.shape[0] == before.shape[0]
    for _ in range(TRIES):
        given = (L, act, k, pull, whole, lines)
        k, low = newton_steps(products, b, penalties, positive, 0.0, pace * t, *given)
        far = low < alpha * sigma(L, k, p, low) * (1.0 - TIE)
        ends = low > 0.0 and spans_target(penalties, positive, L, act, k, pull, lines)
        if ends and not far:
            return k, 0.0
        if (far and pace < NEAR) or low < 0.0:
            k = refactor_columns(products, b, before, L, act, pull, whole, lines)
            pace = math.sqrt(pace)
            continue
        t, pace = low, max(pace * pace, PACE)
        for j in range(p):
            before[j] = pull[j]
        if far and not ends:
            return k, t
    return k, -1.0


def allocate(p):
    """Return arrays for ``solve_gram_path``, which makes none: it compiles faster.

    Parameters
    ----------
    p : int
        Number of columns.

    Returns
    -------
    arrays : tuple of ndarray
        The factor with two more rows, of any numbers, and zeros: active columns, their
        pulls, four lines, two whole lines, and the pulls of the last penalty.
    """
    act, each = np.zeros(p, np.intp), np.zeros((8, p))
    return np.empty((p + 2, p)), act, each[0], each[1:5], each[5:7], each[7]


@kernel(_nrt=False)
def solve_gram_path(products, b, penalties, alphas, positive, most, out, arrays):
    """Write solutions for falling penalties, by Newton steps.

    Parameters
    ----------
    products : (ndarray, ndarray, ndarray), of shapes (p, p), (p, n) and (p,)
        Gram matrix of the columns, of norms one, or zero for those that are left out;
        the columns, unless all rows of the matrix are known; and booleans: which are.
        Others are written when their columns enter.
    b : ndarray of shape (p,)
        Their products with the target, whose norm is one.
    penalties : ndarray of shape (p,)
        Penalty of each coefficient, as a multiple, in (0, inf).
    alphas : ndarray of shape (m,)
        Penalties, positive, in decreasing order.
    positive : bool
        Whether coefficients are nonnegative.
    most : int
        Largest number of active columns.
    out : ndarray of shape (3, m, p)
        Zeros; overwritten by the solutions, as exact as the factor of the Gram matrix,
        by least squares on their supports, and by products of columns and residuals.
    arrays : tuple of ndarray
        Arrays that ``allocate`` returns; overwritten.

    Returns
    -------
    n_reached : int
        Less than m where steps fail, or the residual vanishes.
    n_active : int
        Number of active columns of the last step.
    left : float
        Share of the target outside the active columns, where steps failed last; else 1.
    spans : bool
        Whether smaller penalties have one solution, without a residual, to which the
        first k active columns and the first k entries of two lines belong: coefficients
        and those of the direction of the residual.
    """
    p, G = b.shape[0], products[0]
    assert p == penalties.shape[0] == G.shape[0] == G.shape[1]
    assert p == products[1].shape[0] == products[2].shape[0]
    assert out.shape == (3, alphas.shape[0], p)
    coef, least, c = out[0], out[1], out[2]
    L, act, pull, lines, whole, before = arrays
    assert L.shape == (p + 2, p)
    assert act.shape[0] == pull.shape[0] == before.shape[0] == p
    assert lines.shape == (4, p)
    assert whole.shape == (2, p)
    k, m, last, pace, lost, left = 0, 0, 0.0, PACE, 0, 1.0
    for j in range(p):
        lines[2, j] = b[j]
        last = max(last, (max(b[j], 0.0) if positive else abs(b[j])) / penalties[j])
    low, n_falls = last, 0
    while m < alphas.shape[0] and k <= most and lost < FAILURES + min(most, p):
        alpha = max(alphas[m], pace * last)
        given = (L, act, k, pull, whole, lines)
        k, t = newton_steps(products, b, penalties, positive, alpha, 0.0, *given)
        if t < 0.0:
            left = outside_square(L, k, p)
            k = refactor_columns(products, b, before, L, act, pull, whole, lines)
            if left > ROUNDING:
                pace, lost = math.sqrt(alpha / last), lost + k + 1
                continue
            if k > SOME:
                break
            given = (products, b, penalties, positive, low, alphas[m], k, arrays)
            k, low = fall(*given)
            if low <= 0.0 or n_falls == FALLS:
                break
            last, pace, n_falls = low / sigma(L, k, p, low), PACE, n_falls + 1
            continue
        last, pace, low = min(alpha, last), max(pace * pace, PACE), t
        for j in range(p):
            before[j] = pull[j]
        if alpha == alphas[m]:
            for j in range(p):
                of_lines = lines[2, j] + t * lines[3, j]
                c[m, j] = t * pull[j] if pull[j] != 0.0 else of_lines
            for a in range(k):
                least[m, act[a]] = lines[0, a]
                coef[m, act[a]] = lines[0, a] - t * lines[1, a]
            m, n_falls = m + 1, 0
    return m, k, left, low == 0.0
