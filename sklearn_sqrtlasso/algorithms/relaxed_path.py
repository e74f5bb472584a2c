r"""Relaxed solutions on supports, along paths on which signs turn.

On a support, the solution of a lasso with penalties ``share * q``, with ``q_j`` the
penalty of a coefficient with its sign, is ``H b - share H q`` for the columns A that
are not zero, where H is the inverse of ``G_AA``. The tableau ::

    [ H             H G_AI                 H b                H q             ]
    [ -G_IA H       G_II - G_IA H G_AI     b_I - G_IA H b     q_I - G_IA H q  ]

has all that is needed to find the next share at which a coefficient becomes zero, or no
longer is, and follows from that of other columns by a pivot for each column that
differs. So does that of a support from that of another one. Its last two columns are
stored first.
"""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, part

DEPENDENT = 1e-13  # largest energy share outside the active span of a dependent column
EXACT = 1e-8  # correction, relative to coefficients, that rounding may take


@part
def pivot(T, k, r):
    """Let column r of the first k change sides, in a tableau of k rows."""
    assert 0 <= r < k <= T.shape[0]
    assert k + 2 <= T.shape[1]
    inverse, lead = 1.0 / T[r, r + 2], T[r]
    for c in range(k + 2):
        lead[c] *= inverse
    for i in range(0, k - 3, 4):  # four rows at a time: the lead is read once for them
        row0, row1, row2, row3 = T[i], T[i + 1], T[i + 2], T[i + 3]
        f0 = 0.0 if i == r else row0[r + 2]
        f1 = 0.0 if i + 1 == r else row1[r + 2]
        f2 = 0.0 if i + 2 == r else row2[r + 2]
        f3 = 0.0 if i + 3 == r else row3[r + 2]
        for c in range(k + 2):
            v = lead[c]
            row0[c] -= f0 * v
            row1[c] -= f1 * v
            row2[c] -= f2 * v
            row3[c] -= f3 * v
        row0[r + 2], row1[r + 2] = -f0 * inverse, -f1 * inverse
        row2[r + 2], row3[r + 2] = -f2 * inverse, -f3 * inverse
    for i in range(k - k % 4, k):
        if i != r:
            row, factor = T[i], T[i, r + 2]
            for c in range(k + 2):
                row[c] -= factor * lead[c]
            row[r + 2] = -factor * inverse
    lead[r + 2] = inverse


@part
def remove(T, k, on, active, r):
    """Remove column r of the first k, which is not active; the last takes its place."""
    assert 0 <= r < k <= T.shape[0] == on.shape[0] == active.shape[0]
    assert k + 2 <= T.shape[1]
    for c in range(k + 2):
        T[r, c] = T[k - 1, c]
    for i in range(k):
        T[i, r + 2] = T[i, k + 1]
    on[r], active[r] = on[k - 1], active[k - 1]


@part
def append(G, T, k, on, active, j):
    """Add column j to k that are active; return whether it is independent of them."""
    assert 0 <= k < T.shape[0] == on.shape[0] == active.shape[0]
    assert k + 2 < T.shape[1]
    assert 0 <= j < G.shape[0] == G.shape[1]
    row, last, left = G[j], T[k], G[j, j]
    for c in range(k):
        assert 0 <= on[c] < G.shape[0]
        last[c + 2] = row[on[c]]
    for i in range(k):
        of_row, total = T[i], 0.0
        for c in range(k):
            total += of_row[c + 2] * last[c + 2]
        of_row[k + 2] = total
    for i in range(k):
        left -= last[i + 2] * T[i, k + 2]
    for i in range(k):
        last[i + 2] = -T[i, k + 2]
    last[k + 2], on[k], active[k] = left, j, True
    if left <= DEPENDENT * G[j, j]:
        return False
    pivot(T, k + 1, k)
    return True


@part
def move_to(G, b, tau, w, T, k, on, q, active):
    """Make the tableau of k columns that of a support; return how many it has.

    All of them are active. Their number is -1 if they depend on each other.
    """
    assert w.shape[0] == b.shape[0] == tau.shape[0] == on.shape[0] == q.shape[0]
    assert w.shape[0] == G.shape[0] == G.shape[1] == T.shape[0] == active.shape[0]
    assert T.shape[1] == w.shape[0] + 2
    assert 0 <= k <= w.shape[0]
    for i in range(k - 1, -1, -1):
        assert 0 <= on[i] < w.shape[0]
        if w[on[i]] == 0.0:
            if active[i]:
                pivot(T, k, i)
            remove(T, k, on, active, i)
            k -= 1
    for i in range(k):
        if not active[i]:
            pivot(T, k, i)
            active[i] = True
    for j in range(w.shape[0]):
        q[j] = 0.0
    for i in range(k):
        q[on[i]] = 1.0  # is there
    for j in range(w.shape[0]):
        if w[j] != 0.0 and q[j] == 0.0:
            if not append(G, T, k, on, active, j):
                return -1
            k += 1
    for j in range(w.shape[0]):
        q[j] = math.copysign(tau[j], w[j])
    for i in range(k):
        row, least, pulled = T[i], 0.0, 0.0
        for c in range(k):
            least += row[c + 2] * b[on[c]]
            pulled += row[c + 2] * q[on[c]]
        row[0], row[1] = least, pulled
    return k


@part
def next_turn(T, k, tau, on, q, active, positive, share, last):
    """Return the share at which the next coefficient is zero, or leaves it, and which.

    The share falls. A column that has just become zero returns with the other sign.
    """
    assert 0 <= k <= T.shape[0] == on.shape[0] == active.shape[0] == tau.shape[0]
    assert q.shape[0] == tau.shape[0]
    turn, column = -1.0, -1
    for i in range(k):
        far, j = -1.0, on[i]
        assert 0 <= j < tau.shape[0]
        if active[i]:
            if T[i, 1] * q[j] < 0.0 and i != last:
                far = T[i, 0] / T[i, 1]
        elif T[i, 0] > 0.0 or not positive:
            slack = tau[j] - math.copysign(1.0, T[i, 0]) * (q[j] - T[i, 1])
            if slack > 0.0:
                far = abs(T[i, 0]) / slack
        if far > turn:
            turn, column = far, i
    return min(turn, share), column


@part
def evaluate(G, b, T, k, on, q, active, share, scratch, w):
    """Write the solution at a share, corrected once; return the size of the correction.

    It is relative to the largest coefficient.
    """
    assert 0 <= k <= T.shape[0] == active.shape[0] == on.shape[0] == q.shape[0]
    assert k + 2 <= T.shape[1]
    assert T.shape[0] == scratch.shape[1] == w.shape[0] == b.shape[0]
    assert scratch.shape[0] == 2
    assert T.shape[0] == G.shape[0] == G.shape[1]
    z, left, largest, change = scratch[0], scratch[1], 0.0, 0.0
    for i in range(k):
        assert 0 <= on[i] < w.shape[0]
        z[i] = T[i, 0] - share * T[i, 1] if active[i] else 0.0
        largest = max(largest, abs(z[i]))
    for i in range(k):
        row, total = G[on[i]], b[on[i]] - share * q[on[i]]
        for c in range(k):
            total -= row[on[c]] * z[c]
        left[i] = total if active[i] else 0.0
    for i in range(k):
        row, step = T[i], 0.0
        for c in range(k):
            step += row[c + 2] * left[c]
        w[on[i]] = 0.0
        if active[i]:
            change = max(change, abs(step))
            if (z[i] + step) * q[on[i]] > 0.0:  # else it is zero up to rounding
                w[on[i]] = z[i] + step
    return change / largest if largest > 0.0 else 0.0


@part
def follow(G, b, T, k, tau, on, q, active, shares, positive, scratch, out):
    """Write the solutions of a support at all shares; return the largest correction.

    It is infinite if the path does not end.
    """
    assert out.shape[0] == shares.shape[0]
    assert 0 <= k <= T.shape[0] == on.shape[0] == q.shape[0] == active.shape[0]
    share, place, last, worst = 1.0, 0, -1, 0.0
    for _ in range(10 * k + 100):
        turn, i = next_turn(T, k, tau, on, q, active, positive, share, last)
        while place < shares.shape[0] and shares[place] >= turn:
            at, w = shares[place], out[place]
            change = evaluate(G, b, T, k, on, q, active, at, scratch, w)
            worst, place = max(worst, change), place + 1
        if place == shares.shape[0]:
            return worst
        share, last = turn, -1
        if not active[i]:
            j, last = on[i], i
            new = math.copysign(tau[j], T[i, 0])
            T[i, 1] += new - q[j]
            q[j] = new
            if T[i, i + 2] <= DEPENDENT * G[j, j]:
                break
        active[i] = not active[i]
        pivot(T, k, i)
    return math.inf


@kernel
def relax_on_supports(G, b, coef, tau, shares, positive, out, done):
    """Write the relaxed solutions of solutions, each on its support.

    Parameters
    ----------
    G : ndarray of shape (p, p)
        Products of columns.
    b : ndarray of shape (p,)
        Their products with the target.
    coef : ndarray of shape (m, p)
        Solutions of lassos.
    tau : ndarray of shape (m, p)
        Their penalties, positive.
    shares : ndarray of shape (n_shares,)
        Shares of the penalties, in [0, 1], in decreasing order.
    positive : bool
        Whether coefficients are nonnegative.
    out : ndarray of shape (n_shares, m, p)
        Zeros; overwritten by the solutions.
    done : ndarray of shape (m,)
        Overwritten with whether a support was independent, and its path ended.
    """
    (m, p), n_shares = coef.shape, shares.shape[0]
    assert G.shape[0] == G.shape[1] == b.shape[0] == p
    assert tau.shape[0] == done.shape[0] == out.shape[1] == m
    assert tau.shape[1] == out.shape[2] == p
    assert out.shape[0] == n_shares
    on, active, q = np.zeros(p, np.intp), np.zeros(p, np.bool_), np.zeros(p)
    T, scratch, k = np.zeros((p, p + 2)), np.zeros((2, p)), 0
    for row in range(m):
        t, w, new = tau[row], coef[row], out[:, row]
        done[row] = False
        for _ in range(2):
            fresh, worst = k == 0, math.inf
            k = move_to(G, b, t, w, T, k, on, q, active)
            if k >= 0:
                given = (on, q, active, shares, positive, scratch, new)
                worst = follow(G, b, T, k, t, *given)
            if worst <= EXACT:
                done[row] = True
                break
            k = 0  # rounding has added up
            if fresh:
                done[row] = worst < math.inf
                break
