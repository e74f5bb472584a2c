"""Least squares on supports: refitted codes, and thresholding with inversion.

As long as no sign changes, the relaxed lasso ::

    argmin_z  1/2 ||x - z D||^2 + phi mu ||z||_1    on the support of the lasso

is the combination ``phi z_lasso + (1 - phi) z_least_squares``.

Thresholding with inversion keeps the largest entries S of ``z + c``, where c are the
correlations of the residual, solves least squares on S, and iterates until S repeats.
"""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, part, step

DEPENDENT = 1e-11  # largest energy share of a dependent atom outside the earlier span


@part
def gather(z, active):
    """Write the indices of the nonzero entries of ``z``; return their number."""
    k = 0
    for j in range(z.shape[0]):
        active[k] = j
        k += z[j] != 0
    return k


@part
def factorize(G, active, k, L):
    """Write the Cholesky factor of ``G_AA``, with its diagonal inverted.

    The entry on the diagonal is zero for an atom that depends on earlier ones.
    """
    for i in range(k):
        for q in range(i + 1):
            total = G[active[i], active[q]]
            for m in range(q):
                total -= L[i, m] * L[q, m]
            if q < i:
                L[i, q] = total * L[q, q]
            else:
                keep = total > DEPENDENT * G[active[i], active[i]]
                L[i, i] = 1 / math.sqrt(total) if keep else 0.0


@part
def solve(L, y, k):
    """Overwrite y with the solution z of ``L L' z = y``."""
    for i in range(k):
        total = y[i]
        for m in range(i):
            total -= L[i, m] * y[m]
        y[i] = total * L[i, i]
    for i in range(k - 1, -1, -1):
        total = y[i]
        for m in range(i + 1, k):
            total -= L[m, i] * y[m]
        y[i] = total * L[i, i]


@part
def residual(x, D, active, values, k, r):
    """Write ``x - values D`` over the active atoms into r; return its energy."""
    energy = 0.0
    for j in range(x.shape[0]):
        r[j] = x[j]
    for i in range(k):
        for j in range(x.shape[0]):
            r[j] -= values[i] * D[active[i], j]
    for j in range(x.shape[0]):
        energy += r[j] * r[j]
    return energy


@part
def correct(x, D, L, active, k, r, y, values):
    """Add the least squares of the residual to ``values`` if its energy decreases.

    A second call corrects the rounding errors of the first.
    """
    before = residual(x, D, active, values, k, r)
    for i in range(k):
        y[i] = 0.0
        for j in range(x.shape[0]):
            y[i] += r[j] * D[active[i], j]
    solve(L, y, k)
    for i in range(k):
        values[i] += y[i]
    if not residual(x, D, active, values, k, r) <= before:
        for i in range(k):
            values[i] -= y[i]


@kernel
def refit_rows(X, D, G, Z, phi, out, turned):
    """Refit codes on their supports by least squares.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.
    D : ndarray of shape (n_components, n_features)
        Atoms.
    G : ndarray of shape (n_components, n_components)
        ``D D'``.
    Z : ndarray of shape (n_samples, n_components)
        Codes; their supports are kept. Where atoms of a support are linearly dependent,
        some of their entries are unchanged.
    phi : float
        Weight of the given code, in [0, 1].
    out : ndarray of shape (n_samples, n_components)
        Overwritten with ``phi z + (1 - phi) z_least_squares``; may be ``Z``.
    turned : ndarray of shape (n_samples,)
        Overwritten with whether a sign differs between a code and its refit.
    """
    n, p = Z.shape
    assert X.shape == (n, D.shape[1])
    assert D.shape[0] == p
    assert G.shape == (p, p)
    assert out.shape == Z.shape
    assert turned.shape[0] == n
    active, values, y = np.zeros(p + 1, np.int64), np.empty(p), np.empty(p)
    r, L = np.empty(D.shape[1]), np.empty((1, 1))
    for row in range(X.shape[0]):
        k = gather(Z[row], active)
        if k > L.shape[0]:
            L = np.empty((2 * k, 2 * k))
        factorize(G, active, k, L)
        for i in range(k):
            values[i] = Z[row, active[i]]  # kept unless a correction fits better
        for _ in range(2):
            correct(X[row], D, L, active, k, r, y, values)
        turned[row] = False
        for j in range(p):
            out[row, j] = Z[row, j]
        for i in range(k):
            old = Z[row, active[i]]
            turned[row] = turned[row] or not old * values[i] > 0
            out[row, active[i]] = phi * old + (1 - phi) * values[i]


@kernel
def smallest_of_largest(sizes, k):
    """Return the k-th largest of ``sizes``, reordering them in place."""
    assert 0 < k <= sizes.shape[0]
    low, high = 0, sizes.shape[0] - 1
    while low < high:
        pivot, i, j = sizes[(low + high) // 2], low, high
        while i <= j:
            while sizes[i] > pivot:
                i += 1
            while sizes[j] < pivot:
                j -= 1
            if i <= j:
                sizes[i], sizes[j] = sizes[j], sizes[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            break
    return sizes[k - 1]


@step
def choose(z, c, length, sizes, k, factor, positive, active):
    """Write the next support of thresholding with inversion; return its size.

    It holds the k largest entries of ``z + c``, scaled to atoms of unit norm, or those
    above ``factor`` times the median of ``|c|`` if k is zero, at most ``len(active)``.
    """
    p, tau = c.shape[0], 0.0
    if k == 0:
        for j in range(p):
            sizes[j] = abs(c[j]) / length[j]
        tau = factor * smallest_of_largest(sizes, (p + 1) // 2)
    for j in range(p):
        size = z[j] * length[j] + c[j] / length[j]
        c[j] = size if positive else abs(size)
        sizes[j] = c[j]
    most = k if k > 0 else active.shape[0]
    least = smallest_of_largest(sizes, most)
    n, ties = 0, most
    for j in range(p):
        ties -= c[j] > least
    for j in range(p):
        kept = c[j] > least or (c[j] == least and ties > 0)
        if kept and c[j] > max(tau, 0.0) and n < active.shape[0]:
            ties -= c[j] == least
            active[n] = j
            n += 1
    return n


@part
def same(a, n_a, b, n_b):
    """Return whether two sorted supports are equal."""
    equal = n_a == n_b
    for m in range(n_a if equal else 0):
        equal = equal and a[m] == b[m]
    return equal


@part
def correlations_left(C, i, G, z, active, n, c):
    """Write the correlations of the residual of row i into c."""
    for j in range(c.shape[0]):
        c[j] = C[i, j]
    for m in range(n):
        value, atom = z[active[m]], active[m]
        for j in range(c.shape[0]):
            c[j] -= value * G[atom, j]


@part
def invert(C, i, G, active, n, L, y):
    """Write the least squares on a support into y; return the explained energy."""
    factorize(G, active, n, L)
    for m in range(n):
        y[m] = C[i, active[m]]
    solve(L, y, n)
    gain = 0.0
    for m in range(n):
        gain += C[i, active[m]] * y[m]
    return gain


@part
def keep(a, n, b):
    """Copy the first n entries of ``a`` to ``b``."""
    for m in range(n):
        b[m] = a[m]


@part
def put(z, active, n, y):
    """Write the entries y on a support of z, and zero elsewhere."""
    for j in range(z.shape[0]):
        z[j] = 0.0
    for m in range(n):
        z[active[m]] = y[m]


@kernel
def threshold_and_invert(G, C, most, k, factor, positive, max_iter, out, n_iter):
    """Code rows by iterative thresholding with inversion.

    A cycle of supports ends the iteration, with its code of most explained energy.

    Parameters
    ----------
    G : ndarray of shape (n_components, n_components)
        Gram matrix of the atoms.
    C : ndarray of shape (n_samples, n_components)
        Correlations ``X D'``.
    most : int
        Largest size of a support, at most the number of components.
    k : int
        Size of the support, or 0 to threshold.
    factor : float
        Threshold in units of the median of ``|c|``, for k = 0.
    positive : bool
        Whether to keep positive entries only; codes may still be negative.
    max_iter : int
        Largest number of supports to try.
    out : ndarray of shape (n_samples, n_components)
        Overwritten with the codes.
    n_iter : ndarray of shape (n_samples,)
        Overwritten with the number of supports tried; ``max_iter`` where they neither
        converged nor cycled.
    """
    p = C.shape[1]
    assert G.shape == (p, p)
    assert out.shape == C.shape
    assert n_iter.shape[0] == C.shape[0]
    assert 0 <= k <= most <= p
    assert most > 0
    c, sizes, length = np.empty(p), np.empty(p), np.empty(p)
    y, best_y, L = np.empty(most), np.empty(most), np.empty((most, most))
    active, mark = np.zeros(most, np.int64), np.zeros(most, np.int64)
    before, best = np.zeros(most, np.int64), np.zeros(most, np.int64)
    for j in range(p):
        length[j] = math.sqrt(G[j, j]) if G[j, j] > 0 else 1.0
    for i in range(C.shape[0]):
        n, n_before, n_mark, n_best, top, period = 0, 0, -1, 0, -np.inf, 1
        put(out[i], active, 0, y)
        n_iter[i] = max_iter
        for turn in range(max_iter):
            correlations_left(C, i, G, out[i], before, n_before, c)
            n = choose(out[i], c, length, sizes, k, factor, positive, active)
            if same(active, n, before, n_before) or same(active, n, mark, n_mark):
                n_iter[i] = turn
                break
            gain = invert(C, i, G, active, n, L, y)
            put(out[i], active, n, y)
            if turn == period:  # a return to this support is a cycle
                period, top, n_mark = 2 * period, -np.inf, n
                keep(active, n, mark)
            if gain > top:
                top, n_best = gain, n
                keep(active, n, best)
                keep(y, n, best_y)
            keep(active, n, before)
            n_before = n
        if not same(active, n, before, n_before):
            put(out[i], best, n_best, best_y)
