"""Products of sparse rows with dense matrices, at the cost of the nonzeros."""

from sklearn_sqrtlasso.algorithms.jit import kernel, step

CACHED_BYTES = 2**18  # half of a second-level cache, where these are small
LOOK = 128  # products that take as long as a look at a row and its sums


@step
def n_columns(indices):
    """Return the number of columns up to the last one that has an entry."""
    last = -1
    for at in range(indices.shape[0]):
        last = max(last, indices[at])
    return last + 1


@kernel
def count_nonzeros(Z, most, counts):
    """Write the number of entries of each row that are not zero, while there are few.

    Parameters
    ----------
    Z : ndarray of shape (n_rows, n_columns)
        Dense rows.
    most : int
        Number of nonzeros of all rows with more of which no further row is counted.
    counts : ndarray of shape (n_rows,)
        Overwritten, integers; rows that are not counted stay as they are.

    Returns
    -------
    few : bool
        Whether there are at most so many, and so all rows are counted.
    """
    assert counts.shape[0] == Z.shape[0]
    left = most
    for i in range(Z.shape[0]):
        count = 0
        for j in range(Z.shape[1]):
            count += Z[i, j] != 0
        counts[i] = count
        left -= count
        if left < 0:
            return False
    return True


@kernel
def gather_nonzeros(Z, indptr, data, indices):
    """Write the entries of rows that are not zero.

    Parameters
    ----------
    Z : ndarray of shape (n_rows, n_columns)
        Dense rows.
    indptr : ndarray of shape (n_rows + 1,)
        Entries of row i go to ``indptr[i]`` to ``indptr[i + 1]``, all of them.
    data, indices : ndarray of shape (n_nonzero,)
        Overwritten with the entries and their columns.
    """
    assert data.shape == indices.shape
    assert indptr.shape[0] == Z.shape[0] + 1
    assert indptr[Z.shape[0]] == data.shape[0]
    for i in range(Z.shape[0]):
        at = indptr[i]
        for j in range(Z.shape[1]):
            if Z[i, j] != 0 and at < indptr[i + 1]:
                data[at] = Z[i, j]
                indices[at] = j
                at += 1


@step
def n_cached(A, indptr):
    """Return how many rows of a matrix are read at a time, by the entries of all rows.

    Each is then read from memory once, where columns are in increasing order; all rows
    are read at a time where looks at the entries for each part would take longer.
    """
    few = max(1, CACHED_BYTES // max(1, A.shape[1] * A.itemsize))
    n_looks = (A.shape[0] // few + 1) * (indptr.shape[0] - 1)
    pays = n_looks * LOOK <= indptr[indptr.shape[0] - 1] * A.shape[1]
    return few if pays else max(1, A.shape[0])


@kernel
def multiply_sparse_rows(data, indices, indptr, V, out):
    """Write ``X V`` for sparse rows X.

    Parameters
    ----------
    data : ndarray of shape (n_nonzero,)
        Entries of the rows, one row after the other.
    indices : ndarray of shape (n_nonzero,)
        Their columns.
    indptr : ndarray of shape (n_rows + 1,)
        Entries of row i are at ``indptr[i]`` to ``indptr[i + 1]``.
    V : ndarray of shape (n_features, n_columns)
        Matrix.
    out : ndarray of shape (n_rows, n_columns)
        Overwritten with the product.
    """
    assert data.shape == indices.shape
    assert indptr.shape[0] == out.shape[0] + 1
    assert indptr[out.shape[0]] == data.shape[0]
    assert n_columns(indices) <= V.shape[0]
    assert V.shape[1] == out.shape[1]
    for i in range(out.shape[0]):
        for k in range(out.shape[1]):
            out[i, k] = 0.0
    done, few = indptr[:-1].copy(), n_cached(V, indptr)
    for stop in range(few, V.shape[0] + few, few):
        for i in range(out.shape[0]):
            at = done[i]
            while at < indptr[i + 1] and indices[at] < stop:
                j, value = indices[at], data[at]
                for k in range(out.shape[1]):
                    out[i, k] += value * V[j, k]
                at += 1
            done[i] = at


@kernel
def add_sparse_products(data, indices, indptr, Z, out):
    """Add ``X' Z`` for sparse rows X.

    Parameters
    ----------
    data, indices, indptr
        As for ``multiply_sparse_rows``.
    Z : ndarray of shape (n_rows, n_columns)
        Matrix.
    out : ndarray of shape (n_features, n_columns)
        The product is added to it.
    """
    assert data.shape == indices.shape
    assert indptr.shape[0] == Z.shape[0] + 1
    assert indptr[Z.shape[0]] == data.shape[0]
    assert n_columns(indices) <= out.shape[0]
    assert Z.shape[1] == out.shape[1]
    done, few = indptr[:-1].copy(), n_cached(out, indptr)
    for stop in range(few, out.shape[0] + few, few):
        for i in range(Z.shape[0]):
            at = done[i]
            while at < indptr[i + 1] and indices[at] < stop:
                j, value = indices[at], data[at]
                for k in range(Z.shape[1]):
                    out[j, k] += value * Z[i, k]
                at += 1
            done[i] = at


@kernel
def add_moment_product(data, indices, indptr, v, shift, out):
    """Add ``X' (X v - shift)`` for sparse rows X, which are read once.

    Parameters
    ----------
    data, indices, indptr
        As for ``multiply_sparse_rows``.
    v : ndarray of shape (n_features,)
        Vector.
    shift : float
        Subtracted from products of rows.
    out : ndarray of shape (n_features,)
        The product is added to it.

    Returns
    -------
    total : float
        Sum of ``X v - shift`` over rows.
    """
    assert data.shape == indices.shape
    assert indptr.shape[0] > 0
    assert indptr[indptr.shape[0] - 1] == data.shape[0]
    assert n_columns(indices) <= v.shape[0] == out.shape[0]
    total = 0.0
    for i in range(indptr.shape[0] - 1):
        u = -shift
        for at in range(indptr[i], indptr[i + 1]):
            u += data[at] * v[indices[at]]
        for at in range(indptr[i], indptr[i + 1]):
            out[indices[at]] += data[at] * u
        total += u
    return total


@kernel
def sum_squares_about(data, indices, indptr, mean, at_mean, at_entries):
    """Write sums over the entries of sparse rows of their squares about a mean.

    Parameters
    ----------
    data, indices, indptr
        As for ``multiply_sparse_rows``.
    mean : ndarray of shape (n_features,)
        Mean of each column.
    at_mean : ndarray of shape (n_rows,)
        Overwritten with the sums of squares of the mean where a row has entries.
    at_entries : ndarray of shape (n_rows,)
        Overwritten with those of the differences of entries and mean.
    """
    assert data.shape == indices.shape
    assert at_mean.shape == at_entries.shape
    assert indptr.shape[0] == at_mean.shape[0] + 1
    assert indptr[at_mean.shape[0]] == data.shape[0]
    assert n_columns(indices) <= mean.shape[0]
    for i in range(at_mean.shape[0]):
        before, after = 0.0, 0.0
        for at in range(indptr[i], indptr[i + 1]):
            m = mean[indices[at]]
            before += m * m
            after += (data[at] - m) * (data[at] - m)
        at_mean[i] = before
        at_entries[i] = after


@kernel
def add_sparse_gram(data, indices, indptr, out):
    """Add ``X' X`` for sparse rows X.

    Parameters
    ----------
    data, indices, indptr
        As for ``multiply_sparse_rows``.
    out : ndarray of shape (n_features, n_features)
        The product is added to it.
    """
    assert data.shape == indices.shape
    assert indptr.shape[0] > 0
    assert indptr[indptr.shape[0] - 1] == data.shape[0]
    assert n_columns(indices) <= out.shape[0] == out.shape[1]
    for i in range(indptr.shape[0] - 1):
        for at in range(indptr[i], indptr[i + 1]):
            j, value = indices[at], data[at]
            for other in range(indptr[i], indptr[i + 1]):
                out[j, indices[other]] += value * data[other]


@kernel
def multiply_at_entries(indices, indptr, A, B, out):
    """Write the entries of ``A B'`` where sparse rows have entries.

    Parameters
    ----------
    indices, indptr
        As for ``multiply_sparse_rows``.
    A : ndarray of shape (n_rows, n_columns)
        Matrix.
    B : ndarray of shape (n_features, n_columns)
        Matrix.
    out : ndarray of shape (n_nonzero,)
        Overwritten, in the order of the entries.
    """
    assert out.shape == indices.shape
    assert indptr.shape[0] == A.shape[0] + 1
    assert indptr[A.shape[0]] == out.shape[0]
    assert n_columns(indices) <= B.shape[0]
    assert A.shape[1] == B.shape[1]
    done, few = indptr[:-1].copy(), n_cached(B, indptr)
    for stop in range(few, B.shape[0] + few, few):
        for i in range(A.shape[0]):
            at = done[i]
            while at < indptr[i + 1] and indices[at] < stop:
                j = indices[at]
                total = out.dtype.type(0)
                for k in range(A.shape[1]):
                    total += A[i, k] * B[j, k]
                out[at] = total
                at += 1
            done[i] = at


@kernel
def gather_columns(W, columns, out):
    """Write some columns of a matrix as rows.

    Parameters
    ----------
    W : ndarray of shape (n_units, n_features)
        Matrix of a few rows.
    columns : ndarray of shape (n_columns,)
        Indices of columns.
    out : ndarray of shape (n_columns, n_units)
        Overwritten.
    """
    assert out.shape[0] == columns.shape[0]
    assert out.shape[1] == W.shape[0]
    assert n_columns(columns) <= W.shape[1]
    for at in range(columns.shape[0]):
        j = columns[at]
        for k in range(W.shape[0]):
            out[at, k] = W[k, j]


@kernel
def add_to_columns(rows, columns, out):
    """Add rows to some columns of a matrix.

    Parameters
    ----------
    rows : ndarray of shape (n_columns, n_units)
        Rows.
    columns : ndarray of shape (n_columns,)
        Indices of columns.
    out : ndarray of shape (n_units, n_features)
        Matrix of a few rows, to which they are added.
    """
    assert rows.shape[0] == columns.shape[0]
    assert rows.shape[1] == out.shape[0]
    assert n_columns(columns) <= out.shape[1]
    for at in range(columns.shape[0]):
        j = columns[at]
        for k in range(out.shape[0]):
            out[k, j] += rows[at, k]
