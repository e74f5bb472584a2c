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
