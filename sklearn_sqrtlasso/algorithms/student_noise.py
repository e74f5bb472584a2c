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
def fill_missing(x, row):
    """Write a row with zeros where entries are missing; return how many are not."""
    number = 0
    for j in range(x.shape[0]):
        missing = math.isnan(x[j])
        row[j] = 0.0 if missing else x[j]
        number += not missing
    return number


@part
def first_level(X, loadings, variance, nu, floor, workspace):
    """Return the level of a group as if weights were equal, and how much is seen.

    Missing entries count as the mean, and coordinates as seen in proportion.
    """
    (k, p), number = loadings.shape, 0
    row, energy, count = workspace
    for a in range(k + 1):
        energy[a] = count[a] = 0.0
    for i in range(X.shape[0]):
        n_seen = fill_missing(X[i], row)
        number += n_seen
        outside, share = 0.0, n_seen / p
        for j in range(p):
            outside += row[j] * row[j]
        count[k] += n_seen
        for a in range(k):
            if variance[a] > variance[k]:
                product = dot(row, loadings, a)
                part_of = product * (product / (variance[a] - variance[k]))
                energy[a] += part_of
                outside -= part_of
                count[a] += share
                count[k] -= share
        energy[k] += max(outside, 0.0)
    if number == 0:
        return math.nan, 0
    t = level_of_equal_weights(energy, variance, count, floor)
    return max(t / (1.0 + 1.0 / nu), floor), number


@step
def sweep_noise(x, energy, noise, v, kappa, level):
    """Update the noise of entries by EM over b at a given level; return its sums.

    They are the number of entries, ``sum 1 / n_j``, and two sums whose ratio is the
    square of the factor that all n are to be multiplied by next.
    """
    number, inverses, above, below = 0.0, 0.0, 0.0, 0.0
    for j in range(energy.shape[0]):
        share = noise[j] / (v + noise[j])
        n = (level + kappa * share * (share * energy[j] + v)) / (1.0 + kappa)
        inverse = 1.0 / (v + n)
        noise[j] = n
        seen = 0.0 if math.isnan(x[j]) else 1.0
        number += seen
        inverses += seen / n
        above += seen * n * inverse * (inverse * energy[j])
        below += seen * n * inverse
    return number, inverses, above, below


@part
def sweep_group(X, energy, v, kappa, level, floor, noise):
    """Update the noise of the rows of a group, and their level, which is returned."""
    for _ in range(SWEEPS):
        number, inverses, above, below = 0.0, 0.0, 0.0, 0.0
        for i in range(X.shape[0]):
            sums = sweep_noise(X[i], energy[i], noise[i], v, kappa, level)
            number += sums[0]
            inverses += sums[1]
            above += sums[2]
            below += sums[3]
        level = max(number / inverses, floor)
        factor = max(math.sqrt(above / below), floor / level)
        for i in range(X.shape[0]):
            for j in range(X.shape[1]):
                noise[i, j] *= factor
        level *= factor
    return level


@step
def fill_noise(noise, value):
    """Give all entries the same noise."""
    for i in range(noise.shape[0]):
        for j in range(noise.shape[1]):
            noise[i, j] = value


@step
def check_groups(groups, n_rows):
    """Check that groups are not empty, and hold all rows."""
    assert groups.shape[0] > 0
    assert groups[0] == 0
    assert groups[-1] == n_rows
    for g in range(groups.shape[0] - 1):
        assert 0 <= groups[g] < groups[g + 1] <= n_rows


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
def first_levels(X, groups, loadings, v, nu, floor, noise, level):
    """Write levels as if weights were equal, and noise; return what is seen of groups.

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
    noise : ndarray of shape (n_samples, p)
        Overwritten with the level.
    level : ndarray of shape (n_groups,)
        Overwritten with ``s^2``, NaN where nothing is seen.

    Returns
    -------
    ndarray of shape (n_groups,)
        Number of entries that are not missing.
    """
    n_rows, (k, p) = X.shape[0], loadings.shape
    assert X.shape[1] == p
    assert noise.shape == X.shape
    assert level.shape[0] == groups.shape[0] - 1
    check_groups(groups, n_rows)
    variance, number = variances_of(loadings, v), np.empty(level.shape[0], np.intp)
    workspace = np.empty(p), np.empty(k + 1), np.empty(k + 1)
    for g in range(level.shape[0]):
        lo, hi = groups[g], groups[g + 1]
        of_group = first_level(X[lo:hi], loadings, variance, nu, floor, workspace)
        level[g], number[g] = of_group
        fill_noise(noise[lo:hi], level[g] if number[g] > 0 else 1.0)
    return number


@kernel
def update_levels(X, energy, groups, active, v, nu, floor, noise, level):
    """Update the noise of active groups, and their levels, given expected squares.

    Parameters
    ----------
    X : ndarray of shape (n_samples, p)
        Rows minus the mean, NaN where missing.
    energy : ndarray of shape (n_samples, p)
        Expected squares r, any finite numbers where entries are missing.
    groups : ndarray of shape (n_groups + 1,)
        Group g is the rows from ``groups[g]`` to ``groups[g + 1]``.
    active : ndarray of shape (n_active,)
        Which groups; each has an entry that is not missing.
    v : float
        Variance of b, at least 0.
    nu : float
        Degrees of freedom, positive; infinite for Gaussian noise.
    floor : float
        Smallest ``s^2``, positive.
    noise : ndarray of shape (n_samples, p)
        Variances n, updated.
    level : ndarray of shape (n_groups,)
        Levels ``s^2``, updated.
    """
    assert energy.shape == noise.shape == X.shape
    assert level.shape[0] == groups.shape[0] - 1
    check_groups(groups, X.shape[0])
    for g in active:
        assert 0 <= g < level.shape[0]
        rows = slice(groups[g], groups[g + 1])
        level[g] = sweep_group(
            X[rows], energy[rows], v, 1.0 / nu, level[g], floor, noise[rows]
        )
