"""Largest entries of rows: those that "topk" keeps.

The smallest entry that is kept is found by bisection of the binary representations of
numbers, which are in the order of the numbers. A pass over a row compares all entries
at once, so that this takes less time than to sort them in part.
"""

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, step

BINARY_ORDERS = np.int64(4) << 52  # below the largest entry, as bits: the first guess


@step
def bits_of(size):
    """Return the bits of a number, at least 0, in double precision."""
    return np.float64(size).view(np.int64)


@step
def largest_size(u, positive):
    """Return the largest entry, by value or by size, at least 0."""
    largest = u.dtype.type(0)
    if positive:
        for j in range(u.shape[0]):
            largest = max(largest, u[j])
    else:
        for j in range(u.shape[0]):
            largest = max(largest, abs(u[j]))
    return largest


@step
def count_at_least(u, bound, positive):
    """Return how many entries are at least a bound, by value or by size.

    They are counted in the dtype of the row, whose lanes then are those of the entries.
    """
    none, one = u.dtype.type(0), u.dtype.type(1)
    count = none
    if positive:
        for j in range(u.shape[0]):
            count += one if u[j] >= bound else none
    else:
        for j in range(u.shape[0]):
            count += one if abs(u[j]) >= bound else none
    return count


@step
def smallest_kept(u, k, positive):
    """Return a bound that the k largest entries, and their ties, attain; or 0."""
    low, high = np.int64(0), bits_of(largest_size(u, positive)) + 1
    middle = max(high - BINARY_ORDERS, low)
    while high - low > 1:
        bound = u.dtype.type(np.int64(middle).view(np.float64))
        count = count_at_least(u, bound, positive)
        if count == k:
            return bound
        if count > k:
            low = middle
        else:
            high = middle
        middle = low + (high - low) // 2
    return u.dtype.type(np.int64(low).view(np.float64))


@kernel(_nrt=False)
def keep_largest(U, k, positive, out):
    """Write the k largest entries of each row, and zeros.

    Ties with the smallest entry kept are kept too, so that the order of entries does
    not matter.

    Parameters
    ----------
    U : ndarray of shape (n_rows, n_columns)
        Rows.
    k : int
        Number of entries kept, at least 1.
    positive : bool
        Whether entries are compared by their values, and only positive ones are kept;
        otherwise by their sizes.
    out : ndarray of shape (n_rows, n_columns)
        Overwritten.
    """
    assert U.shape == out.shape
    assert k >= 1
    for i in range(U.shape[0]):
        few = k < U.shape[1]
        bound = smallest_kept(U[i], k, positive) if few else U.dtype.type(0)
        for j in range(U.shape[1]):
            size = U[i, j] if positive else abs(U[i, j])
            out[i, j] = U[i, j] if size >= bound and size > 0 else 0
