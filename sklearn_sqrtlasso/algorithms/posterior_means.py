"""Posterior means of codes with a Gaussian prior, in noise of known variances.

A row is ``x = L' a + b + e`` with ``a ~ N(0, I)``, ``b ~ N(0, v I)`` and noise e whose
entries have variances n. The posterior mean of a solves ``Q a = L w x`` with
``Q = I + L diag(w) L'``, ``w_j = 1 / (v + n_j)``, or 0 where an entry is missing.

Systems of several rows are solved side by side: the last axis of an array is the row,
so that each operation is the same for all of them. No operation mixes rows.
"""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, step

LANES = 32  # rows that are solved side by side


@step
def add_multiple(factor, x, out):
    """Add a multiple of an array to another."""
    for r in range(x.shape[0]):
        out[r] += factor * x[r]


@step
def subtract_products(x, y, out):
    """Subtract the products of two arrays, row by row."""
    for r in range(x.shape[0]):
        out[r] -= x[r] * y[r]


@step
def fill_weights(X, noise, v, weight, weighted):
    """Write weights of entries, and weighted entries, of at most as many rows."""
    for r in range(X.shape[0]):
        for j in range(X.shape[1]):
            missing = math.isnan(X[r, j])
            w = 0.0 if missing else 1.0 / (v + noise[r, j])
            weight[j, r] = w
            weighted[j, r] = 0.0 if missing else w * X[r, j]


@step
def fill_systems(weight, weighted, loadings, A):
    """Write the upper half of Q, and ``L w x`` as the last column."""
    k, p = loadings.shape
    for a in range(k):
        A[a] = 0.0
        A[a, a] = 1.0
        for b in range(a, k):
            for j in range(p):
                add_multiple(loadings[a, j] * loadings[b, j], weight[j], A[a, b])
        for j in range(p):
            add_multiple(loadings[a, j], weighted[j], A[a, k])


@step
def solve_systems(A):
    """Solve the systems by Cholesky factors, in place; the last column is a."""
    k, _, n_rows = A.shape
    for a in range(k):
        pivot = A[a]
        for r in range(n_rows):
            scale = 1.0 / math.sqrt(pivot[a, r])
            for i in range(a, k + 1):
                pivot[i, r] *= scale
        for b in range(a + 1, k):
            for i in range(b, k + 1):
                subtract_products(pivot[b], pivot[i], A[b, i])
    for a in range(k - 1, -1, -1):
        for b in range(a + 1, k):
            subtract_products(A[a, b], A[b, k], A[a, k])
        for r in range(n_rows):
            A[a, k, r] /= A[a, a, r]


@kernel
def posterior_means(X, noise, loadings, v, codes):
    """Write the posterior means of a.

    Parameters
    ----------
    X : ndarray of shape (n_samples, p)
        Rows minus the mean, NaN where missing, in units in which variances are of the
        order of one.
    noise : ndarray of shape (n_samples, p)
        Variances n, positive.
    loadings : ndarray of shape (k, p)
        L.
    v : float
        Variance of b, at least 0.
    codes : ndarray of shape (n_samples, k)
        Overwritten.
    """
    (n_rows, p), k = X.shape, loadings.shape[0]
    assert loadings.shape[1] == p
    assert noise.shape == (n_rows, p)
    assert codes.shape == (n_rows, k)
    weight, weighted = np.zeros((2, p, LANES))
    A = np.empty((k, k + 1, LANES))
    for lo in range(0, n_rows, LANES):
        hi = min(lo + LANES, n_rows)
        fill_weights(X[lo:hi], noise[lo:hi], v, weight, weighted)
        fill_systems(weight, weighted, loadings, A)
        solve_systems(A)
        for r in range(hi - lo):
            for a in range(k):
                codes[lo + r, a] = A[a, k, r]
