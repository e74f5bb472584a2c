"""Noise levels of rows under a Gaussian prior, by maximum likelihood.

A row of a group, minus the mean, is ``x = L' a + b + e`` with loadings L (k, p) whose
rows are orthogonal, ``a ~ N(0, I)``, ``b ~ N(0, v I)`` and noise e. The noise of
entry j has variance ``n_j = s^2 / w_j``, where the weights of Student's t with nu
degrees of freedom maximise, together with the level s that the group shares ::

    F = sum_rows log N(x; 0, L' L + v I + diag(n)) + nu / 2 sum_j (log w_j - w_j) .

This is the variational bound of the likelihood whose factors are the posteriors of
(a, b) and of the weights. A round computes the posterior of a, mean and covariance, and
with it ``r_j = E[(x - L' a)_j^2]``. Then F is at least a sum over entries, equal at
the current n, that a few sweeps increase: each weight by EM over b, s in closed form
given n (its square is the harmonic mean of n), and the common scale of all n by a
minorant that is exact to first order and keeps steps geometric as s vanishes. None of
these steps lowers F. Missing entries have no noise, no weight and no term.

Where weights are equal (nu = inf, nothing missing) F is a function of s alone, in the
coordinates of L; its maximum, times nu / (nu + 1), is the first guess for other rows.
"""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, part, step

SWEEPS = 4  # over the noise of entries in a round; they cost little beside a posterior
NEWTON_STEPS = 60  # on the level of equal weights, of which 4 to 8 are used
LEVEL_TOL = 1e-12  # relative change of that level


@part
def level_of_equal_weights(energy, variance, count, floor):
    """Return the ``t = s^2`` that maximises the likelihood of independent coordinates.

    Coordinate i has variance ``variance_i + t`` and is seen ``count_i`` times, with the
    sum of squares ``energy_i``. At the maximum ``sum energy_i / (variance_i + t)^2``
    equals ``sum count_i / (variance_i + t)``: Newton's method on the difference of
    their logarithms, linear in ``log t`` for large t, between bounds that hold a root;
    a step below all that is known ends at the floor.
    """
    total, number, largest = 0.0, 0.0, floor
    for i in range(energy.shape[0]):
        total += energy[i]
        number += count[i]
        if count[i] > 0:
            largest = max(largest, energy[i] / count[i])
    least, low, high = math.log(floor), -math.inf, math.log(largest)
    z = min(max(math.log(max(total / number, floor)), least), high)
    for _ in range(NEWTON_STEPS):
        t = math.exp(z)
        seen, expected, steep, flat = 0.0, 0.0, 0.0, 0.0
        for i in range(energy.shape[0]):
            inverse = 1.0 / (variance[i] + t)
            e, m = energy[i] * inverse * inverse, count[i] * inverse
            seen += e
            expected += m
            steep += e * inverse
            flat += m * inverse
        if seen > expected:
            low = z
        elif z == least:
            return floor
        else:
            high = z
        value = math.log(seen / expected)
        slope = t * (flat / expected - 2.0 * steep / seen)
        target = z - value / slope if slope < 0 else math.inf
        if not low <= target <= high:
            target = 0.5 * (low + high)
        target = max(target, least)
        change = abs(target - z)
        z = target
        if change <= LEVEL_TOL:
            break
    return math.exp(z)


@step
def dot(x, Y, i):
    """Return the product of x and row i of Y; to pass that row itself takes longer."""
    total = 0.0
    for j in range(x.shape[0]):
        total += x[j] * Y[i, j]
    return total


@step
def add_multiple(factor, x, out):
    """Add a multiple of a row to another."""
    for j in range(x.shape[0]):
        out[j] += factor * x[j]


@step
def add_squares(factor, x, out):
    """Add a multiple of the squares of a row to another."""
    for j in range(x.shape[0]):
        out[j] += factor * (x[j] * x[j])


@part
def first_level(rows, seen, prior, floor, codes, energy, count):
    """Return the level of a group as if weights were equal; write ``L x`` into codes.

    Missing entries count as the mean, and coordinates as seen in proportion. The last
    two arrays are overwritten.
    """
    loadings, variance = prior
    k, p = loadings.shape
    for a in range(k + 1):
        energy[a] = count[a] = 0.0
    for i in range(rows.shape[0]):
        outside, share = dot(rows[i], rows, i), dot(seen[i], seen, i) / p
        count[k] += share * p
        for a in range(k):
            codes[i, a] = dot(rows[i], loadings, a)
            if variance[a] > variance[k]:
                part = codes[i, a] * (codes[i, a] / (variance[a] - variance[k]))
                energy[a] += part
                outside -= part
                count[a] += share
                count[k] -= share
        energy[k] += max(outside, 0.0)
    return level_of_equal_weights(energy, variance, count, floor)


@step
def solve_alike(x, loadings, variance, t, code, energy):
    """Write the posterior mean of a complete row with equal noise t, and energies.

    ``code`` holds ``L x``; the covariance of a is ``(v + t) / (v + t + l_a' l_a)``, on
    the diagonal.
    """
    k = code.shape[0]
    for j in range(energy.shape[0]):
        energy[j] = x[j]
    for a in range(k):
        code[a] /= t + variance[a]
        add_multiple(-code[a], loadings[a], energy)
    for j in range(energy.shape[0]):
        energy[j] *= energy[j]
    for a in range(k):
        add_squares((t + variance[k]) / (t + variance[a]), loadings[a], energy)


@step
def fill_system(x, seen, noise, loadings, v, workspace, A):
    """Write the rows ``[Q, L w x, L]`` of the system of the posterior into A.

    ``Q = I + L diag(w) L'``, ``w_j = 1 / (v + n_j)``, or 0 where missing; the lower
    half of Q is zero, and L is there only if A is wide enough.
    """
    k, p = loadings.shape
    weight, weighted = workspace
    for j in range(p):
        weight[j] = seen[j] / (v + noise[j])
    for a in range(k):
        right = 0.0
        for j in range(p):
            weighted[j] = weight[j] * loadings[a, j]
            right += weighted[j] * x[j]
        for b in range(a):
            A[a, b] = 0.0
        for b in range(a, k):
            A[a, b] = dot(weighted, loadings, b)
        A[a, a] += 1.0
        A[a, k] = right
        for j in range(A.shape[1] - k - 1):
            A[a, k + 1 + j] = loadings[a, j]


@step
def eliminate(A):
    """Multiply ``A = [Q, B]`` by the inverse of the Cholesky factor of Q, in place."""
    for a in range(A.shape[0]):
        pivot = A[a]
        scale = 1.0 / math.sqrt(pivot[a])
        for i in range(pivot.shape[0]):
            pivot[i] *= scale
        for b in range(a + 1, A.shape[0]):
            add_multiple(-pivot[b], pivot, A[b])


@step
def write_energies(x, A, energy):
    """Write the expected squares of ``x - L' a``, given the eliminated system."""
    k = A.shape[0]
    for j in range(energy.shape[0]):
        energy[j] = x[j]
    for a in range(k):
        add_multiple(-A[a, k], A[a, k + 1 :], energy)
    for j in range(energy.shape[0]):
        energy[j] *= energy[j]
    for a in range(k):
        add_squares(1.0, A[a, k + 1 :], energy)


@step
def write_code(A, code):
    """Write the posterior mean, given the eliminated system."""
    k = A.shape[0]
    for a in range(k - 1, -1, -1):
        code[a] = A[a, k]
        for b in range(a + 1, k):
            code[a] -= A[a, b] * code[b]
        code[a] /= A[a, a]


@step
def sweep_noise(energy, seen, noise, v, kappa, level):
    """Update the noise of entries by EM over b at a given level; return its sums.

    They are ``sum 1 / n_j``, and two sums whose ratio is the square of the factor that
    all n are to be multiplied by next.
    """
    inverses, above, below = 0.0, 0.0, 0.0
    for j in range(energy.shape[0]):
        share = noise[j] / (v + noise[j])
        n = (level + kappa * share * (share * energy[j] + v)) / (1.0 + kappa)
        inverse = 1.0 / (v + n)
        noise[j] = n
        inverses += seen[j] / n
        above += seen[j] * n * inverse * (inverse * energy[j])
        below += seen[j] * n * inverse
    return inverses, above, below


@part
def sweep_group(energy, seen, number, v, kappa, level, floor, noise):
    """Update the noise of the rows of a group, and their level, which is returned."""
    inverses, above, below = 0.0, 0.0, 0.0
    for i in range(energy.shape[0]):
        sums = sweep_noise(energy[i], seen[i], noise[i], v, kappa, level)
        inverses += sums[0]
        above += sums[1]
        below += sums[2]
    level = max(number / inverses, floor)
    factor = max(math.sqrt(above / below), floor / level)
    for i in range(energy.shape[0]):
        for j in range(energy.shape[1]):
            noise[i, j] *= factor
    return level * factor


@step
def fill_rows(X, rows, seen):
    """Write rows with zeros where entries are missing, and what is seen; count that."""
    number = 0
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            missing = math.isnan(X[i, j])
            rows[i, j] = 0.0 if missing else X[i, j]
            seen[i, j] = 0.0 if missing else 1.0
            number += not missing
    return number


@part
def solve_rows(group, prior, t, alike, workspace, A):
    """Write the posterior of the rows of a group at their noise, equal or not.

    Energies are written if A is wide enough, or else codes.
    """
    rows, seen, noise, energy, codes = group
    loadings, variance = prior
    k = loadings.shape[0]
    for i in range(rows.shape[0]):
        if alike:
            solve_alike(rows[i], loadings, variance, t, codes[i], energy[i])
            continue
        fill_system(rows[i], seen[i], noise[i], loadings, variance[k], workspace, A)
        eliminate(A)
        if A.shape[1] > k + 1:
            write_energies(rows[i], A, energy[i])
        else:
            write_code(A, codes[i])


@step
def fill_noise(noise, value):
    """Give all entries the same noise."""
    for i in range(noise.shape[0]):
        for j in range(noise.shape[1]):
            noise[i, j] = value


@step
def mark_missing(seen, noise):
    """Write infinite noise where entries are missing."""
    for i in range(seen.shape[0]):
        for j in range(seen.shape[1]):
            if seen[i, j] == 0.0:
                noise[i, j] = np.inf


@step
def size_of_groups(groups, n_rows):
    """Return the largest number of rows of a group, of groups that hold all rows."""
    assert groups.shape[0] > 0
    assert groups[0] == 0
    assert groups[-1] == n_rows
    most = 0
    for g in range(groups.shape[0] - 1):
        assert 0 <= groups[g] < groups[g + 1] <= n_rows
        most = max(most, groups[g + 1] - groups[g])
    return most


@step
def variances_of(loadings, v):
    """Return the variances of the coordinates of L, and last that of all others."""
    k = loadings.shape[0]
    variance = np.empty(k + 1)
    variance[k] = v
    for a in range(k):
        variance[a] = v + dot(loadings[a], loadings, a)
    return variance


@kernel
def find_levels(
    X, groups, loadings, v, nu, floor, tol, max_iter, codes, noise, level, change
):
    """Find the noise level of each group, the noise of entries and posterior means.

    Parameters
    ----------
    X : ndarray of shape (n_samples, p)
        Rows minus the mean, NaN where missing, in units in which variances are of the
        order of one.
    groups : ndarray of shape (n_groups + 1,)
        Group g is the rows from ``groups[g]`` to ``groups[g + 1]``.
    loadings : ndarray of shape (k, p)
        L; its rows are orthogonal.
    v : float
        Variance of b, at least 0.
    nu : float
        Degrees of freedom, positive; infinite for Gaussian noise.
    floor : float
        Smallest ``s^2``, positive.
    tol : float
        Rounds of a group end when ``s^2 + v`` changes by at most this share.
    max_iter : int
        Largest number of rounds.
    codes : ndarray of shape (n_samples, k)
        Overwritten with the posterior means of a.
    noise : ndarray of shape (n_samples, p)
        Overwritten with the variances n of the noise, infinite where missing.
    level : ndarray of shape (n_samples,)
        Overwritten with ``s^2`` of each row's group, NaN if all of it is missing.
    change : ndarray of shape (n_samples,)
        Overwritten with the change of ``s^2 + v`` in the last round, relative to it.
    """
    (n_rows, p), k = X.shape, loadings.shape[0]
    assert loadings.shape[1] == p
    assert codes.shape == (n_rows, k)
    assert noise.shape == (n_rows, p)
    assert level.shape == change.shape == (n_rows,)
    most = size_of_groups(groups, n_rows)
    prior = loadings, variances_of(loadings, v)
    workspace, weights = np.empty((3, most, p)), (np.empty(p), np.empty(p))
    wide, narrow = np.empty((k, k + 1 + p)), np.empty((k, k + 1))
    sums, counts = np.empty(k + 1), np.empty(k + 1)
    for g in range(groups.shape[0] - 1):
        lo, hi = groups[g], groups[g + 1]
        m = hi - lo
        rows, seen, energy = workspace[0, :m], workspace[1, :m], workspace[2, :m]
        own, noises = codes[lo:hi], noise[lo:hi]
        group = rows, seen, noises, energy, own
        number = fill_rows(X[lo:hi], rows, seen)
        alike, t, moved, n_left = number == p * m, math.nan, 0.0, max_iter
        if number > 0:
            t = first_level(rows, seen, prior, floor, own, sums, counts)
            t = max(t / (1.0 + 1.0 / nu), floor)
        fill_noise(noises, t if number > 0 else 1.0)
        if number == 0 or (alike and nu == np.inf):
            n_left = 0
        while n_left > 0:
            solve_rows(group, prior, t, alike, weights, wide)
            before, alike = t, False
            for _ in range(SWEEPS):
                t = sweep_group(energy, seen, number, v, 1.0 / nu, t, floor, noises)
            moved = abs(t - before) / (t + v)
            n_left = 0 if moved <= tol else n_left - 1
        solve_rows(group, prior, t, alike, weights, narrow)
        mark_missing(seen, noises)
        for i in range(lo, hi):
            level[i], change[i] = t, moved
