"""Dictionary updates: the k-SVD sweep, and the sweep of online learning."""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, step


@step
def direction(R, users, values, lo, hi, overlap, old, new):
    """Write ``values' R + overlap old`` over the users, normalised, into ``new``.

    Return its norm before normalisation, or 0.
    """
    for j in range(new.shape[0]):
        new[j] = overlap * old[j]
    for i in range(lo, hi):
        row, value = users[i], values[i]
        for j in range(new.shape[0]):
            new[j] += value * R[row, j]
    energy = 0.0
    for j in range(new.shape[0]):
        energy += new[j] * new[j]
    norm = math.sqrt(energy)
    if norm > 0:
        for j in range(new.shape[0]):
            new[j] /= norm
    return norm


@step
def project_users(R, users, before, values, lo, hi, old, new, positive):
    """Write the best entries of the atom ``new``; return their product with the old."""
    kept, overlap = 0.0, 0.0
    for j in range(new.shape[0]):
        kept += old[j] * new[j]
    for i in range(lo, hi):
        row, total = users[i], before[i] * kept
        for j in range(new.shape[0]):
            total += R[row, j] * new[j]
        values[i] = max(total, 0.0) if positive else total
        overlap += before[i] * values[i]
    return overlap


@kernel(_nrt=False)
def ksvd_sweep(R, D, order, users, starts, values, positive, n_steps, tol, before, new):
    """Fit each atom and its entries to the residual of the others: k-SVD.

    For the rows I that use atom d with entries z, the best pair of the residual without
    it, ``E = R_I + z d``, is its first singular pair, found by at most ``n_steps``
    steps of the power method. One step is the approximate k-SVD.

    Parameters
    ----------
    R : ndarray of shape (n_samples, n_features)
        Residuals; updated.
    D : ndarray of shape (n_components, n_features)
        Atoms of unit norm; updated.
    order : ndarray of shape (n_components,)
        Order in which atoms are updated.
    users : ndarray of shape (n_nonzero,)
        Rows that use each atom, atom by atom.
    starts : ndarray of shape (n_components + 1,)
        Users of atom j are ``users[starts[j]:starts[j + 1]]``.
    values : ndarray of shape (n_nonzero,)
        Entries of the codes; updated.
    positive : bool
        Whether entries are nonnegative.
    n_steps : int
        Largest number of steps of the power method.
    tol : float
        Relative growth of the singular value at which the power method stops.
    before : ndarray of shape (n_nonzero,)
        Copy of ``values``.
    new : ndarray of shape (n_features,)
        Overwritten.
    """
    assert R.shape[1] == D.shape[1]
    assert new.shape[0] == D.shape[1]
    assert users.shape == values.shape == before.shape
    assert starts.shape[0] == D.shape[0] + 1
    for i in range(users.shape[0]):
        assert 0 <= users[i] < R.shape[0]
    for turn in range(order.shape[0]):
        atom = order[turn]
        assert 0 <= atom < D.shape[0]
        lo, hi, old = starts[atom], starts[atom + 1], D[atom]
        assert 0 <= lo <= hi <= users.shape[0]
        overlap, last = 0.0, 0.0
        for i in range(lo, hi):
            overlap += before[i] * before[i]
        if overlap == 0:
            continue
        for turn_of_power in range(n_steps):
            norm = direction(R, users, values, lo, hi, overlap, old, new)
            if norm == 0:
                break
            overlap = project_users(
                R, users, before, values, lo, hi, old, new, positive
            )
            if norm <= last * (1 + tol):
                break
            last = norm if turn_of_power > 0 else 0.0  # the first depends on old values
        if norm == 0:
            continue
        for i in range(lo, hi):
            row = users[i]
            for j in range(new.shape[0]):
                R[row, j] += before[i] * old[j] - values[i] * new[j]
        for j in range(new.shape[0]):
            D[atom, j] = new[j]


@kernel
def online_sweep(A, B, D):
    """Minimise ``tr(D' A D) / 2 - tr(D' B)`` over atoms of unit norm, one by one.

    Parameters
    ----------
    A : ndarray of shape (n_components, n_components)
        Sum of ``z z'`` over rows.
    B : ndarray of shape (n_components, n_features)
        Sum of ``z x'`` over rows.
    D : ndarray of shape (n_components, n_features)
        Atoms of unit norm; updated. Unused atoms are unchanged.
    """
    p, n = D.shape
    assert A.shape == (p, p)
    assert B.shape == (p, n)
    new = np.empty(n)
    for j in range(p):
        if not A[j, j] > 0:
            continue
        for i in range(n):
            new[i] = B[j, i] + A[j, j] * D[j, i]
        for q in range(p):
            share = A[j, q]
            if share != 0:
                for i in range(n):
                    new[i] -= share * D[q, i]
        energy = 0.0
        for i in range(n):
            energy += new[i] * new[i]
        if energy > 0:
            for i in range(n):
                D[j, i] = new[i] / math.sqrt(energy)
