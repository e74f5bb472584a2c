"""Greedy codes of rows: orthogonal matching pursuit on the Gram matrix.

Each step selects the atom that correlates most with the residual, ::

    argmax_j  |c_j| / ||D_j||,    c = D (x - z D),

and codes the row by least squares on the selected atoms. Correlations are updated by a
partial Cholesky factor of the Gram matrix, with one row for each selected atom and one
column for each atom; its columns of the selected atoms are the triangular factor that
is solved for the code.
"""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, step

DEPENDENT = 1e-11  # largest energy share outside the selected span of a dependent atom

ROUNDING = 1e-26  # gain, relative to the energy of a row, that is rounding error


@step
def atom_to_take(c, weight, both, mask):
    """Return the atom with the largest ``c_j^2 weight_j > 0``, or -1.

    Positive floats are ordered like their bits, of which the lowest hold the atom.
    """
    best = np.int64(mask)
    for j in range(c.shape[0]):
        size = c[j] if c[j] > 0 else -c[j] * both
        key = (np.float64(size * size * weight[j]).view(np.int64) & ~mask) | j
        best = key if key > best else best
    return best & mask if best > mask else -1


@step
def next_row_of_factor(G, V, k, j):
    """Write row k of the factor, for atom j, before it is normalised.

    Return the energy of the atom outside the span of the selected atoms.
    """
    for q in range(V.shape[1]):
        V[k, q] = G[j, q]
    i = 0
    while i + 4 <= k:
        w0, w1, w2, w3 = V[i, j], V[i + 1, j], V[i + 2, j], V[i + 3, j]
        for q in range(V.shape[1]):
            V[k, q] -= (w0 * V[i, q] + w1 * V[i + 1, q]) + (
                w2 * V[i + 2, q] + w3 * V[i + 3, q]
            )
        i += 4
    while i < k:
        w0 = V[i, j]
        for q in range(V.shape[1]):
            V[k, q] -= w0 * V[i, q]
        i += 1
    return V[k, j]


@step
def lower_correlations(c, weight, norms, V, k, y, left, recursive):
    """Update correlations and, if ``recursive``, norms by row k of the factor."""
    length = math.sqrt(left)
    share = y / length
    for q in range(c.shape[0]):
        V[k, q] /= length
        c[q] -= share * V[k, q]
    if recursive:
        for q in range(c.shape[0]):
            norms[q] -= V[k, q] * V[k, q]
            independent = norms[q] * weight[q] > DEPENDENT and weight[q] > 0
            weight[q] = 1 / norms[q] if independent else 0.0
    return share


@step
def solve_triangle(V, active, y, k):
    """Overwrite y with the code, by back substitution in the triangular factor."""
    for i in range(k - 1, -1, -1):
        total = y[i]
        for q in range(i + 1, k):
            total -= V[i, active[q]] * y[q]
        y[i] = total / V[i, active[i]]


@kernel
def match_rows(G, C, energy, most, residual_energy, recursive, positive, out):
    """Code rows by orthogonal matching pursuit.

    Parameters
    ----------
    G : ndarray of shape (n_components, n_components)
        Gram matrix of the atoms.
    C : ndarray of shape (n_samples, n_components)
        Correlations ``X D'``.
    energy : ndarray of shape (n_samples,)
        ``||x||^2`` of each row.
    most : int
        Largest number of atoms of a code.
    residual_energy : ndarray of shape (n_samples,)
        Energy of the residual at which the pursuit of a row ends.
    recursive : bool
        Whether to select the atom that lowers the residual most: correlations are
        divided by the norm of an atom outside the span of the selected atoms.
    positive : bool
        Whether to select atoms of positive correlation only; codes may still be
        negative.
    out : ndarray of shape (n_samples, n_components)
        Overwritten with the codes.
    """
    n, p = C.shape
    assert G.shape == (p, p)
    assert out.shape == (n, p)
    assert energy.shape == residual_energy.shape == (n,)
    V, y, active = np.empty((most, p)), np.empty(most), np.zeros(most, np.int64)
    inverse, weight, norms, c = np.empty(p), np.empty(p), np.empty(p), np.empty(p)
    both, mask = 0.0 if positive else 1.0, np.int64(1)
    while mask < p:
        mask = 2 * mask
    mask -= 1
    for j in range(p):
        inverse[j] = 1 / G[j, j] if G[j, j] > 0 else 0.0
    for i in range(C.shape[0]):
        for j in range(p):
            c[j], out[i, j], weight[j], norms[j] = C[i, j], 0.0, inverse[j], G[j, j]
        k, left_over, noise = 0, energy[i], ROUNDING * energy[i]
        while k < most and left_over > max(residual_energy[i], 0.0):
            j = atom_to_take(c, weight, both, mask)
            if j < 0 or c[j] * c[j] * weight[j] <= noise:
                break
            left = next_row_of_factor(G, V, k, j)
            if left <= DEPENDENT * G[j, j]:
                weight[j] = 0.0
                continue
            y[k] = lower_correlations(c, weight, norms, V, k, c[j], left, recursive)
            active[k], weight[j] = j, 0.0
            left_over -= y[k] * y[k]
            k += 1
        solve_triangle(V, active, y, k)
        for q in range(k):
            out[i, active[q]] = y[q]
