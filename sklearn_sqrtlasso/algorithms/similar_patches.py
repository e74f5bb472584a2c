"""Restoring of patches: by thresholded cosines, and by groups of similar patches.

A group of n similar patches ``g_i`` of an estimate of the image has mean m and
covariance C. With noise of variance v, the linear estimate of a patch y of the noisy
image with least squared error is

    x = m + C (C + v I)^-1 (y - m) = y - v (C + v I)^-1 (y - m) .
"""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, part, step

ALIKE = 0.3  # mean squared difference of patches of one group, relative to the noise


@step
def bounds(place, reach, last):
    """Return the first and last offset of a window, moved into the image."""
    first = max(0, min(place - reach, last - 2 * reach))
    return first, min(last, first + 2 * reach)


@part
def subtract_rows(factors, X, first, last, start, out):
    """Subtract multiples of the rows of X from first to last, from a column on.

    Four rows at a time: an entry of the array is loaded and stored once for them.
    """
    stop, r = start + out.shape[0], first
    while r + 4 <= last:
        a, b, c, d = factors[r], factors[r + 1], factors[r + 2], factors[r + 3]
        xa, xb = X[r, start:stop], X[r + 1, start:stop]
        xc, xd = X[r + 2, start:stop], X[r + 3, start:stop]
        for i in range(out.shape[0]):
            out[i] -= (a * xa[i] + b * xb[i]) + (c * xc[i] + d * xd[i])
        r += 4
    while r < last:
        a, xa = factors[r], X[r, start:stop]
        for i in range(out.shape[0]):
            out[i] -= a * xa[i]
        r += 1


@step
def clear(x):
    """Set an array to zero."""
    for i in range(x.shape[0]):
        x[i] = 0


@step
def scale(factor, x):
    """Multiply an array by a number."""
    for i in range(x.shape[0]):
        x[i] *= factor


@part
def measure(guide, top, left, size, reach, distance):
    """Write squared distances of the patches in a window to the one at its centre."""
    t0, t1 = bounds(top, reach[0], guide.shape[0] - size[0])
    l0, l1 = bounds(left, reach[1], guide.shape[1] - size[1])
    width = l1 - l0 + 1
    for t in range(t1 - t0 + 1):
        for i in range(width):
            distance[t * width + i] = 0
        for a in range(size[0]):
            for b in range(size[1]):
                value = guide[top + a, left + b]
                for i in range(width):
                    difference = guide[t0 + t + a, l0 + b + i] - value
                    distance[t * width + i] += difference * difference
    distance[(top - t0) * width + left - l0] = -1
    return t0, l0, width, (t1 - t0 + 1) * width


@part
def select(x, k):
    """Return what is at index k of the sorted entries; the entries are moved."""
    low, high = 0, x.shape[0] - 1
    while low < high:
        pivot, i, j = x[(low + high) // 2], low, high
        while i <= j:
            while x[i] < pivot:
                i += 1
            while x[j] > pivot:
                j -= 1
            if i <= j:
                x[i], x[j] = x[j], x[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return x[k]


@part
def choose(distance, moved, near, n_least, first, width, places):
    """Write the places of the patches at least distance; return how many.

    They are ``n_least``, or, as far as there is room, all at less distance than near.
    """
    n_near = 0
    for i in range(distance.shape[0]):
        moved[i] = distance[i]
        n_near += distance[i] < near
    k = min(max(n_least, n_near), places.shape[0], distance.shape[0])
    bound = select(moved[: distance.shape[0]], k - 1)
    n = 0
    for ties in range(2):
        for i in range(distance.shape[0]):
            if n < k and (distance[i] == bound if ties else distance[i] < bound):
                places[n, 0] = first[0] + i // width
                places[n, 1] = first[1] + i % width
                n += 1
    return n


@part
def gather(image, places, n, size, patches):
    """Write the patches at some places, one per column."""
    for a in range(size[0]):
        for b in range(size[1]):
            for q in range(n):
                patches[a * size[1] + b, q] = image[places[q, 0] + a, places[q, 1] + b]


@part
def center(guide, noisy, n):
    """Subtract the mean patch of the estimate from both, in place."""
    for p in range(guide.shape[0]):
        total = guide[p, 0] - guide[p, 0]
        for q in range(n):
            total += guide[p, q]
        mean = total / noisy.dtype.type(n)
        for q in range(n):
            guide[p, q] -= mean
            noisy[p, q] -= mean


@part
def fill_covariance(guide, n, variance, rows, A):
    """Write the upper half of the covariance of centered columns, plus variance."""
    share = guide.dtype.type(math.sqrt(1 / n))
    for q in range(n):
        for p in range(guide.shape[0]):
            rows[q, p] = share * guide[p, q]
    for p in range(A.shape[0]):
        clear(A[p, p:])
        subtract_rows(rows[:, p], rows, 0, n, p, A[p, p:])
        scale(-1, A[p, p:])
        A[p, p] += variance


@part
def solve(A, B, n, variance):
    """Overwrite n columns of B by ``inv(A) B``; A becomes its Cholesky factor.

    The pivots of ``C + v I`` are at least v, also where rounding loses it.
    """
    for p in range(A.shape[0]):
        subtract_rows(A[:, p], A, 0, p, p, A[p, p:])
        subtract_rows(A[:, p], B, 0, p, 0, B[p, :n])
        A[p, p] = max(A[p, p], variance)
        root = B.dtype.type(1 / math.sqrt(A[p, p]))
        scale(root, A[p, p:])
        scale(root, B[p, :n])
    for p in range(A.shape[0] - 1, -1, -1):
        subtract_rows(A[p], B, p + 1, A.shape[0], 0, B[p, :n])
        scale(B.dtype.type(1 / A[p, p]), B[p, :n])


@part
def fill_weights(A, variance, n, inverse, weights):
    """Write one over the variance of each restored pixel, in units of the noise's.

    What remains after restoring has covariance ``v (I - v inv(C + v I))``, and the mean
    of n patches the variance ``v / n``; A is the Cholesky factor of ``C + v I``.
    """
    for p in range(A.shape[0]):
        weights[p] = 0
        clear(inverse[p])
        inverse[p, p] = 1
        subtract_rows(A[:, p], inverse, 0, p, 0, inverse[p, :p])
        scale(A.dtype.type(1 / A[p, p]), inverse[p, : p + 1])
        for i in range(p + 1):
            weights[i] += inverse[p, i] * inverse[p, i]
    for p in range(A.shape[0]):
        weights[p] = 1 / (1 / n + max(0, 1 - variance * weights[p]))


@part
def add_patches(noisy, solved, variance, places, n, size, first, weights, sums):
    """Add weighted patches, ``y - v b`` with columns b, to the rows of a band."""
    for q in range(n):
        t, left = places[q, 0], places[q, 1]
        for a in range(size[0]):
            for b in range(size[1]):
                p = a * size[1] + b
                restored = noisy[t + a, left + b] - variance * solved[p, q]
                sums[0, t - first + a, left + b] += weights[p] * restored
                sums[1, t - first + a, left + b] += weights[p]


@kernel
def restore_groups(
    noisy, guide, variances, centers, size, reach, n_similar, first, sums
):
    """Restore groups of patches that are similar in an estimate of the image.

    Parameters
    ----------
    noisy, guide : ndarray of shape (n_channels, height, width)
        Image, and its estimate; patches are compared in the first channel of it.
    variances : ndarray of shape (n_channels,)
        Positive variances of the noise, in the dtype of the image.
    centers : ndarray of int of shape (n_groups, 2)
        Top and left edge of the patch at the center of each group.
    size, reach : ndarray of int of shape (2,)
        Height and width of patches, and how far from the center others are looked for.
    n_similar : ndarray of int of shape (2,)
        Least and largest number of patches in a group, fewer where a window has fewer:
        more than the least where they differ by less than ``ALIKE`` of the noise.
    first : int
        Row of the image that the first row of the sums is.
    sums : ndarray of shape (n_channels, 2, n_rows, width)
        Weighted sum of restored patches, and sum of weights, added to.
    """
    n_channels, height, width = noisy.shape
    assert guide.shape == noisy.shape
    assert variances.shape[0] == n_channels
    assert centers.shape[1] == 2
    assert size.shape[0] == 2
    assert reach.shape[0] == 2
    assert sums.shape[0] == n_channels
    assert sums.shape[1] == 2
    assert sums.shape[3] == width
    assert n_similar.shape[0] == 2
    assert 1 <= n_similar[0] <= n_similar[1]
    assert first >= 0
    n = size[0] * size[1]
    distance, moved = np.empty(
        (2, (2 * reach[0] + 1) * (2 * reach[1] + 1)), noisy.dtype
    )
    least, most = n_similar
    near = ALIKE * n * variances[0]
    places = np.empty((most, 2), np.int64)
    A, rows = np.empty((n, n), noisy.dtype), np.empty((most, n), noisy.dtype)
    inverse, weights = np.empty((n, n), noisy.dtype), np.empty(n, noisy.dtype)
    clean, given = (
        np.empty((n, most), noisy.dtype),
        np.empty((n, most), noisy.dtype),
    )
    for g in range(centers.shape[0]):
        top, left = centers[g]
        assert 0 <= top <= height - size[0]
        assert 0 <= left <= width - size[1]
        t0, t1 = bounds(top, reach[0], height - size[0])
        assert first <= t0
        assert t1 + size[0] <= first + sums.shape[2]
        t0, l0, wide, n_near = measure(guide[0], top, left, size, reach, distance)
        m = choose(distance[:n_near], moved, near, least, (t0, l0), wide, places)
        for c in range(n_channels):
            gather(guide[c], places, m, size, clean)
            gather(noisy[c], places, m, size, given)
            center(clean, given, m)
            fill_covariance(clean, m, variances[c], rows, A)
            solve(A, given, m, variances[c])
            fill_weights(A, variances[c], m, inverse, weights)
            add_patches(
                noisy[c], given, variances[c], places, m, size, first, weights, sums[c]
            )


@step
def multiply(A, B, top, left, out):
    """Write the product of a small matrix and a window of another."""
    for i in range(A.shape[0]):
        for k in range(out.shape[1]):
            out[i, k] = 0
        for j in range(A.shape[1]):
            factor = A[i, j]
            for k in range(out.shape[1]):
                out[i, k] += factor * B[top + j, left + k]


@kernel
def threshold_cosines(image, rows, columns, least, tops, lefts, sums):
    """Restore patches by the cosine coefficients that exceed a bound, and the mean.

    Patches weigh by one over the number of coefficients that they keep.

    Parameters
    ----------
    image : ndarray of shape (height, width)
        Noisy image.
    rows, columns : ndarray of shape (size, size)
        Orthonormal cosines along each axis of a patch, one per row.
    least : ndarray of shape (size, size)
        Bounds that coefficients of a patch have to exceed in magnitude, at least 0.
    tops, lefts : ndarray of int
        Edges of patches.
    sums : ndarray of shape (2, n_rows, width)
        Weighted sum of patches, and sum of weights, added to; row 0 is ``tops[0]``.
    """
    h, w = rows.shape[0], columns.shape[0]
    assert rows.shape[1] == h
    assert columns.shape[1] == w
    assert least.shape == (h, w)
    assert tops.shape[0] > 0
    assert sums.shape[0] == 2
    assert sums.shape[2] == image.shape[1]
    down, across = np.ascontiguousarray(rows.T), np.ascontiguousarray(columns.T)
    half, u = np.empty((h, w), image.dtype), np.empty((h, w), image.dtype)
    for t in tops:
        assert 0 <= t - tops[0] <= sums.shape[1] - h
        assert t <= image.shape[0] - h
        for left in lefts:
            assert 0 <= left <= image.shape[1] - w
            multiply(rows, image, t, left, half)
            multiply(half, across, 0, 0, u)
            n_kept = 0
            for i in range(h):
                for j in range(w):
                    kept = abs(u[i, j]) > least[i, j] or i + j == 0
                    n_kept += kept
                    u[i, j] *= kept
            multiply(down, u, 0, 0, half)
            multiply(half, columns, 0, 0, u)
            share = rows.dtype.type(1) / rows.dtype.type(n_kept)
            for i in range(h):
                for j in range(w):
                    sums[0, t - tops[0] + i, left + j] += share * u[i, j]
                    sums[1, t - tops[0] + i, left + j] += share
