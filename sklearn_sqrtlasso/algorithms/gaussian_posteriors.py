"""Posteriors of codes with a Gaussian prior, in noise of known variances.

A row is ``x = L' a + b + e`` with ``a ~ N(0, I)``, ``b ~ N(0, v I)`` and noise e whose
entries have variances n. With weights ``w_j = 1 / (v + n_j)``, or 0 where an entry is
missing, the posterior of a has the precision ``Q = I + L diag(w) L'`` and the mean
``Q^-1 L w x``. It is found from one of two systems, by the Cholesky factor R:

- of an equation for each direction, ``Q a = L w x``;
- of one for each entry, ``Q y = S x``, where ``Q = I + S L' L S`` and
  ``S = diag(sqrt(w))``. Then ``a = L S y``, and ``x - L' a`` has the mean
  ``y_j / sqrt(w_j)`` and the variances ``(1 - (Q^-1)_jj) / w_j``. It takes hardly any
  work to fill, and less in all where directions are more than half as many as entries.

Systems of several rows are solved side by side: the last axis of an array is the row,
and each operation is the same for all of them. No operation mixes rows. An operation
takes four terms at a time, as loads and stores take longer than arithmetic; axes of
terms are padded with zeros for it.
"""

import math

from sklearn_sqrtlasso.algorithms.jit import kernel, part, step


@step
def padded(n):
    """Return the next multiple of four."""
    return (n + 3) // 4 * 4


@part
def fill(out, value):
    """Write the same number for all rows."""
    for r in range(out.shape[0]):
        out[r] = value


@part
def combine(coefficients, X, out):
    """Add ``sum_j c_j X_j``; the number of terms is a multiple of four."""
    for j in range(0, coefficients.shape[0], 4):
        c0, c1 = coefficients[j], coefficients[j + 1]
        c2, c3 = coefficients[j + 2], coefficients[j + 3]
        for r in range(out.shape[0]):
            out[r] += (c0 * X[j, r] + c1 * X[j + 1, r]) + (
                c2 * X[j + 2, r] + c3 * X[j + 3, r]
            )


@part
def fill_weights(X, noise, places, v, root, weight, weighted):
    """Write weights of entries of some rows, or their roots, and weighted entries."""
    n_rows = places.shape[0]
    for j in range(weight.shape[0]):
        for r in range(weight.shape[1]):
            known = j < X.shape[1] and r < n_rows
            if known and not math.isnan(X[places[r], j]):
                w = 1.0 / (v + noise[places[r], j])
                weight[j, r] = math.sqrt(w) if root else w
                weighted[j, r] = weight[j, r] * X[places[r], j]
            else:
                weight[j, r] = weighted[j, r] = 0.0


@part
def fill_systems(weight, weighted, prior, n, pair, A):
    """Write the upper half of Q, zeros below, and the right side as the last column."""
    loadings, _, gram, _, _ = prior
    large, y = gram.shape[0] > 0, A.shape[0]
    for a in range(A.shape[0]):
        for b in range(A.shape[1]):
            fill(A[a, b], 1.0 if a == b else 0.0)
    for a in range(n):
        for b in range(a, n):
            if large:
                for r in range(A.shape[2]):
                    A[a, b, r] += gram[a, b] * weight[a, r] * weight[b, r]
            else:
                for j in range(pair.shape[0]):
                    pair[j] = loadings[a, j] * loadings[b, j]
                combine(pair, weight, A[a, b])
        if large:
            for r in range(A.shape[2]):
                A[a, y, r] = weighted[a, r]
        else:
            combine(loadings[a], weighted, A[a, y])


@part
def factorize(n, inverted, zero, A):
    """Multiply ``[Q, y]`` by ``T = R^-T``, in place; ``Q = R' R``.

    R stands above the diagonal. On it, and below it if it is asked for, stands T, which
    is lower triangular: the inverse of Q is ``T' T``.
    """
    y = A.shape[0]
    for a in range(n):
        for c in range(0, a, 4):
            below = min(c + 4, a) if inverted else 0
            for t in range(below + n + 1 - a):
                i = t if t < below else a + t - below
                i = i if i < n else y
                f0 = A[c, a] if i <= c or i >= a else zero
                f1 = A[c + 1, a] if c + 1 < a and (i <= c + 1 or i >= a) else zero
                f2 = A[c + 2, a] if c + 2 < a and (i <= c + 2 or i >= a) else zero
                f3 = A[c + 3, a] if c + 3 < a else zero
                for r in range(zero.shape[0]):
                    A[a, i, r] -= (f0[r] * A[c, i, r] + f1[r] * A[c + 1, i, r]) + (
                        f2[r] * A[c + 2, i, r] + f3[r] * A[c + 3, i, r]
                    )
        scale = A[a, a]
        for r in range(zero.shape[0]):
            scale[r] = 1.0 / math.sqrt(scale[r])
        for i in range(0 if inverted else a + 1, y + 1):
            for r in range(zero.shape[0]):
                A[a, i, r] *= scale[r] if i != a else 1.0


@part
def solve(A, solution):
    """Write the solutions, given the factors of the systems."""
    y = A.shape[0]
    for a in range(y - 1, -1, -1):
        for r in range(A.shape[2]):
            solution[a, r] = A[a, y, r]
        for b in range(a + 1, y):
            for r in range(A.shape[2]):
                solution[a, r] -= A[a, b, r] * solution[b, r]
        for r in range(A.shape[2]):
            solution[a, r] *= A[a, a, r]


@step
def solve_rows(X, noise, places, prior, inverted, workspace):
    """Write factors of the systems of some rows, and their solutions."""
    A, (weight, solution, _, zero), pair = workspace
    large = prior[2].shape[0] > 0
    n = X.shape[1] if large else prior[0].shape[0]
    fill(zero[0], 0.0)
    fill_weights(X, noise, places, prior[4], large, weight, solution)
    fill_systems(weight, solution, prior, n, pair, A)
    factorize(n, inverted, zero[0], A)
    solve(A, solution)


@part
def write_energies(X, places, prior, workspace, energy):
    """Write the expected squares of ``x - L' a``, given the factors of some rows."""
    A, (weight, solution, total, spare), pair = workspace
    (loadings, directions, gram, _, _), product = prior, spare[0]
    (k, p), large = (loadings.shape[0], X.shape[1]), gram.shape[0] > 0
    for j in range(p):
        fill(product, 0.0)
        if not large:
            combine(directions[j], solution, product)
        for r in range(places.shape[0]):
            residual = solution[j, r] if large else X[places[r], j] - product[r]
            total[j, r] = residual * residual + (1.0 if large else 0.0)
    for a in range(p if large else k):
        for j in range(a + 1 if large else p):
            if not large:
                for b in range(directions.shape[1]):
                    pair[b] = directions[j, b] if b <= a else 0.0
                fill(product, 0.0)
                combine(pair[: padded(a + 1)], A[a], product)
                for r in range(product.shape[0]):
                    total[j, r] += product[r] * product[r]
            else:
                for r in range(product.shape[0]):
                    total[j, r] -= A[a, j, r] * A[a, j, r]
    for j in range(p):
        for r in range(places.shape[0]):
            w = weight[j, r] * weight[j, r] if large else weight[j, r]
            value = total[j, r] / w if large else total[j, r]
            energy[places[r], j] = value if w > 0.0 else 0.0


@part
def write_means(places, loadings, large, workspace, means):
    """Write the posterior means of a, given the solutions of some rows."""
    _, (weight, solution, _, spare), _ = workspace
    product = spare[0]
    if large:
        for j in range(weight.shape[0]):
            for r in range(weight.shape[1]):
                solution[j, r] *= weight[j, r]
    for a in range(means.shape[1]):
        if large:
            fill(product, 0.0)
            combine(loadings[a], solution, product)
        for r in range(places.shape[0]):
            means[places[r], a] = product[r] if large else solution[a, r]


@step
def alike(x, noise):
    """Return whether no entry is missing and all have the same noise."""
    same = True
    for j in range(x.shape[0]):
        same &= noise[j] == noise[0] and not math.isnan(x[j])
    return same


@part
def write_moments_alike(X, noise, places, prior, means, energy):
    """Write moments of rows whose noise is the same for all entries.

    The others are moved to the front of places; their number is returned. Coordinates
    of L are independent: that of direction a has the variance
    ``(v + n) / (v + n + l_a' l_a)``.
    """
    loadings, directions, _, squares, v = prior
    k, n_left = loadings.shape[0], 0
    for i in places:
        assert 0 <= i < X.shape[0]
        if not alike(X[i], noise[i]):
            places[n_left] = i
            n_left += 1
            continue
        n = noise[i, 0] + v
        for a in range(k):
            product = 0.0
            for j in range(X.shape[1]):
                product += loadings[a, j] * X[i, j]
            means[i, a] = product / (n + squares[a])
        for j in range(energy.shape[1] if energy.shape[0] > 0 else 0):
            residual, variance = X[i, j], 0.0
            for a in range(k):
                residual -= means[i, a] * directions[j, a]
                share = n / (n + squares[a])
                variance += share * (directions[j, a] * directions[j, a])
            energy[i, j] = residual * residual + variance
    return n_left


@kernel(_nrt=False)
def posterior_moments(X, noise, places, prior, workspace, means, energy):
    """Write posterior means of a, and expected squares of ``x - L' a``, of some rows.

    Parameters
    ----------
    X : ndarray of shape (n_samples, p)
        Rows minus the mean, NaN where missing, in units in which variances are of the
        order of one.
    noise : ndarray of shape (n_samples, p)
        Variances n, positive.
    places : ndarray of shape (n_places,)
        Which rows; overwritten.
    prior : tuple of (loadings, directions, gram, squares, v)
        L, of orthogonal rows, and L', padded with columns of zeros to multiples of
        four; L' L, or an empty array if systems have k equations; the squared norms
        of rows of L; and the variance of b, at least 0.
    workspace : tuple of (systems, vectors, pair)
        Arrays of shape (m, m + 1, lanes), where m is k or p, the size of a system,
        padded; four of (p, lanes), and (p,), where p is padded. Contents do not matter.
        As many rows as lanes are solved side by side.
    means : ndarray of shape (n_samples, k)
        Rows in places are overwritten with means of a.
    energy : ndarray of shape (n_samples, p) or (0, p)
        Rows in places are overwritten with expected squares, which are 0 where entries
        are missing; not if it has no rows, which takes less time.
    """
    (A, vectors, pair), (loadings, directions, gram, squares, _) = workspace, prior
    (n_rows, p), k, lanes = X.shape, loadings.shape[0], A.shape[2]
    large = gram.shape[0] > 0
    assert A.shape[0] == A.shape[1] - 1 == padded(p if large else k)
    assert gram.shape == (p, p) or not large
    assert vectors[0].shape == vectors[3].shape == (padded(p), lanes)
    assert loadings.shape[1] == pair.shape[0] == padded(p)
    assert directions.shape == (p, padded(k))
    assert squares.shape == (k,)
    assert noise.shape == X.shape
    assert means.shape == (n_rows, k)
    assert energy.shape == X.shape or energy.shape == (0, p)
    n_left = write_moments_alike(X, noise, places, prior, means, energy)
    for start in range(0, n_left, lanes):
        some = places[start : min(start + lanes, n_left)]
        solve_rows(X, noise, some, prior, energy.shape[0] > 0, workspace)
        if energy.shape[0] > 0:
            write_energies(X, some, prior, workspace, energy)
        write_means(some, loadings, large, workspace, means)
