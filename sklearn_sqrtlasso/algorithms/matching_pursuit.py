"""Greedy codes of rows: orthogonal matching pursuit on the Gram matrix.

Each step selects the atom that correlates most with the residual, ::

    argmax_j  |c_j| / ||D_j||,    c = D (x - z D),

and codes the row by least squares on the selected atoms. Correlations are updated by a
partial factor ``V' diag(1 / pivot) V`` of the Gram matrix, of which row k holds the
products of all atoms with what is left of the k-th selected one outside the span of
those before it, and ``pivot[k]`` the energy of that; its columns of the selected atoms
are the triangular factor that is solved for the code. The last atom needs no row.
"""

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, part

DEPENDENT = 1e-11  # largest energy share outside the selected span of a dependent atom

TIED = 2**20  # lowest bits of gains that tie, 2e-10 of them: so much is rounding error

ROUNDING = 1e-26  # gain, relative to the energy of a row, that is rounding error


@part
def key_of(gain, j, mask):
    """Return an integer in the order of gains, at least 0, whose low bits hold j.

    Positive floats are ordered like their bits. The last of atoms whose gains tie has
    the largest one: as many atoms as features restore a row, whichever the last one is.
    """
    return (np.float64(gain).view(np.int64) & ~mask) | j


@part
def atom_to_take(c, weight, both, mask):
    """Return the key of the atom with the largest ``c_j^2 weight_j``."""
    best = np.int64(0)
    for j in range(c.shape[0]):
        size = c[j] if c[j] > 0 else -c[j] * both
        key = key_of(size * size * weight[j], j, mask)
        best = key if key > best else best
    return best


@part
def energy_outside(G, V, pivot, k, j):
    """Return the energy of an atom outside the span of the k selected ones."""
    left = G[j, j]
    for i in range(k):
        left -= V[i, j] * V[i, j] / pivot[i]
    return left


@part
def next_row_of_factor(G, V, pivot, k, j):
    """Write row k of the factor, for atom j."""
    for q in range(V.shape[1]):
        V[k, q] = G[j, q]
    i = 0
    while i + 4 <= k:
        w0, w1 = V[i, j] / pivot[i], V[i + 1, j] / pivot[i + 1]
        w2, w3 = V[i + 2, j] / pivot[i + 2], V[i + 3, j] / pivot[i + 3]
        for q in range(V.shape[1]):
            V[k, q] -= (w0 * V[i, q] + w1 * V[i + 1, q]) + (
                w2 * V[i + 2, q] + w3 * V[i + 3, q]
            )
        i += 4
    while i < k:
        w0 = V[i, j] / pivot[i]
        for q in range(V.shape[1]):
            V[k, q] -= w0 * V[i, q]
        i += 1


@part
def lower_correlations(c, weight, V, k, j, left, both, mask):
    """Update correlations by row k of the factor, and return the key of an atom."""
    best, share = np.int64(0), c[j] / left
    for q in range(c.shape[0]):
        c[q] -= share * V[k, q]
        size = c[q] if c[q] > 0 else -c[q] * both
        key = key_of(size * size * weight[q], q, mask)
        best = key if key > best else best
    return best


@part
def lower_norms_too(c, norms, least, V, k, j, both, mask):
    """Update also the energies outside the span, which gains are divided by."""
    best, inverse = np.int64(0), 1 / norms[j]
    share = c[j] * inverse
    for q in range(c.shape[0]):
        c[q] -= share * V[k, q]
        norms[q] -= V[k, q] * V[k, q] * inverse
        size = c[q] if c[q] > 0 else -c[q] * both
        gain = size * size / norms[q] if norms[q] > least[q] else 0.0
        key = key_of(gain, q, mask)
        best = key if key > best else best
    return best


@part
def solve_triangle(V, pivot, active, y, k):
    """Overwrite y with the code, by back substitution in the triangular factor."""
    for i in range(k - 1, -1, -1):
        for q in range(i + 1, k):
            y[i] -= V[i, active[q]] * y[q]
        y[i] /= pivot[i]


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
    pivot, weight, norms, c = np.empty(most), np.empty(p), np.empty(p), np.empty(p)
    inverse, least = np.empty(p), np.empty(p)
    both, mask = 0.0 if positive else 1.0, np.int64(TIED)
    while mask < p:
        mask = 2 * mask
    mask -= 1
    for j in range(p):
        inverse[j] = 1 / G[j, j] if G[j, j] > 0 else 0.0
        least[j] = DEPENDENT * G[j, j]
    for i in range(n):
        for j in range(p):
            c[j], out[i, j], weight[j], norms[j] = C[i, j], 0.0, inverse[j], G[j, j]
        k, left_over, noise = 0, energy[i], ROUNDING * energy[i]
        end = max(residual_energy[i], 0.0)
        best = np.int64(-1)  # no gains are known yet
        while k < most and left_over > end:
            if best < 0:
                best = atom_to_take(c, weight, both, mask)
            j = best & mask
            if best <= mask or c[j] * c[j] <= noise * norms[j]:
                break
            weight[j] = 0.0
            left = norms[j] if recursive else energy_outside(G, V, pivot, k, j)
            if left <= least[j]:
                best = np.int64(-1)
                continue
            active[k], pivot[k], y[k] = j, left, c[j]
            left_over -= c[j] * c[j] / left
            k += 1
            if k < most and left_over > end:
                next_row_of_factor(G, V, pivot, k - 1, j)
                if recursive:
                    best = lower_norms_too(c, norms, least, V, k - 1, j, both, mask)
                else:
                    best = lower_correlations(c, weight, V, k - 1, j, left, both, mask)
        solve_triangle(V, pivot, active, y, k)
        for q in range(k):
            out[i, active[q]] = y[q]
