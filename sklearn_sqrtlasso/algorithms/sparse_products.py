"""Products of sparse rows with dense matrices, at the cost of the nonzeros."""

from sklearn_sqrtlasso.algorithms.jit import kernel, step


@step
def n_columns(indices):
    """Return the number of columns up to the last one that has an entry."""
    last = -1
    for at in range(indices.shape[0]):
        last = max(last, indices[at])
    return last + 1


@kernel
def count_nonzeros(Z, counts):
    """Write the number of entries of each row that are not zero.

    Parameters
    ----------
    Z : ndarray of shape (n_rows, n_columns)
        Dense rows.
    counts : ndarray of shape (n_rows,)
        Overwritten, integers.
    """
    assert counts.shape[0] == Z.shape[0]
    for i in range(Z.shape[0]):
        total = 0
        for j in range(Z.shape[1]):
            total += Z[i, j] != 0
        counts[i] = total


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
        for at in range(indptr[i], indptr[i + 1]):
            j, value = indices[at], data[at]
            for k in range(out.shape[1]):
                out[i, k] += value * V[j, k]


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
    for i in range(Z.shape[0]):
        for at in range(indptr[i], indptr[i + 1]):
            j, value = indices[at], data[at]
            for k in range(Z.shape[1]):
                out[j, k] += value * Z[i, k]


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
    for i in range(A.shape[0]):
        for at in range(indptr[i], indptr[i + 1]):
            j = indices[at]
            total = out.dtype.type(0)
            for k in range(A.shape[1]):
                total += A[i, k] * B[j, k]
            out[at] = total


@kernel
def project_on_units(data, indices, indptr, W, out):
    """Write ``W X'`` for sparse rows X, one row of W after the other.

    Parameters
    ----------
    data, indices, indptr
        As for ``multiply_sparse_rows``.
    W : ndarray of shape (n_units, n_features)
        Matrix, of which a row fits the cache.
    out : ndarray of shape (n_units, n_rows)
        Overwritten with the product.
    """
    assert data.shape == indices.shape
    assert indptr.shape[0] == out.shape[1] + 1
    assert indptr[out.shape[1]] == data.shape[0]
    assert n_columns(indices) <= W.shape[1]
    assert W.shape[0] == out.shape[0]
    for k in range(out.shape[0]):
        for i in range(out.shape[1]):
            total = 0.0
            for at in range(indptr[i], indptr[i + 1]):
                total += data[at] * W[k, indices[at]]
            out[k, i] = total


@kernel
def add_to_units(data, indices, indptr, H, out):
    """Add ``H X`` for sparse rows X, one row of H after the other.

    Parameters
    ----------
    data, indices, indptr
        As for ``multiply_sparse_rows``.
    H : ndarray of shape (n_units, n_rows)
        Matrix.
    out : ndarray of shape (n_units, n_features)
        The product is added to it.
    """
    assert data.shape == indices.shape
    assert indptr.shape[0] == H.shape[1] + 1
    assert indptr[H.shape[1]] == data.shape[0]
    assert n_columns(indices) <= out.shape[1]
    assert H.shape[0] == out.shape[0]
    for k in range(H.shape[0]):
        for i in range(H.shape[1]):
            share = H[k, i]
            for at in range(indptr[i], indptr[i + 1]):
                out[k, indices[at]] += share * data[at]
