"""Products, means and norms of sparse columns, at the cost of the nonzeros."""

import math

from sklearn_sqrtlasso.algorithms.jit import kernel


@kernel(_nrt=False)
def correlate_columns(data, indices, starts, ends, r, out):
    """Write the products of sparse columns with a vector.

    Parameters
    ----------
    data, indices : ndarray of shape (n_nonzero,)
        Entries and their rows.
    starts, ends : ndarray of shape (n_columns,)
        Entries of column j are those from ``starts[j]`` to ``ends[j]``.
    r : ndarray of shape (n_rows,)
        The vector.
    out : ndarray of shape (n_columns,)
        Overwritten with the products.
    """
    assert data.shape == indices.shape
    assert starts.shape == ends.shape == out.shape
    n_entries, n_rows = data.shape[0], r.shape[0]
    for j in range(out.shape[0]):
        assert 0 <= starts[j] <= ends[j] <= n_entries
        total = 0.0
        for at in range(starts[j], ends[j]):
            i = indices[at]
            assert 0 <= i < n_rows
            total += data[at] * r[i]
        out[j] = total


@kernel(_nrt=False)
def measure_columns(data, indices, starts, ends, weights, factor, means, norms):
    """Write means and norms of sparse columns.

    Parameters
    ----------
    data, indices, starts, ends
        As for ``correlate_columns``.
    weights : ndarray of shape (n_rows,)
        Weights of the rows, of sum 1.
    factor : float
        What entries are multiplied by.
    means : ndarray of shape (n_columns,)
        Overwritten with weighted means, unless it is empty: then they are not
        subtracted.
    norms : ndarray of shape (n_columns,)
        Overwritten with roots of weighted mean squares.
    """
    assert data.shape == indices.shape
    assert starts.shape == ends.shape == norms.shape
    n_entries, n_rows = data.shape[0], weights.shape[0]
    centered = means.shape[0] > 0
    assert not centered or means.shape == norms.shape
    for j in range(norms.shape[0]):
        assert 0 <= starts[j] <= ends[j] <= n_entries
        mean, square = 0.0, 0.0
        for at in range(starts[j], ends[j]):
            i = indices[at]
            assert 0 <= i < n_rows
            x = data[at] * factor
            weighted = weights[i] * x
            mean += weighted
            square += weighted * x
        if centered:
            means[j] = mean
            if 2.0 * mean * mean < square:
                square -= mean * mean
            elif square > 0.0:  # else digits are lost
                n_left, left, square = n_rows, 1.0, 0.0
                for at in range(starts[j], ends[j]):
                    weight = weights[indices[at]]
                    apart = data[at] * factor - mean
                    square += weight * apart * apart
                    n_left, left = n_left - 1, left - weight
                if n_left > 0 and left > 0.0:
                    square += left * mean * mean
        norms[j] = math.sqrt(square)
