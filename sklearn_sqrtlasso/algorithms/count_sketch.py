"""Count sketch of rows: each is added, with a sign, to one of few buckets."""

from sklearn_sqrtlasso.algorithms.jit import kernel


@kernel
def add_signed_rows(X, roots, places, scale, centers, sketch, squares):
    """Add rows ``roots[i] (scale X[i] - centers)`` to a sketch, and their squares.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Rows.
    roots : ndarray of shape (n,)
        Factors of the rows, with signs.
    places : ndarray of shape (n,)
        Buckets, in [0, m).
    scale, centers : ndarray of shape (p,)
        Factors and offsets of the columns.
    sketch : ndarray of shape (m, p)
        Signed sums, updated.
    squares : ndarray of shape (p,)
        Sums of squares, updated.
    """
    n, p = X.shape
    assert roots.shape[0] == places.shape[0] == n
    assert scale.shape[0] == centers.shape[0] == p
    assert sketch.shape[1] == squares.shape[0] == p
    for i in range(n):
        assert 0 <= places[i] < sketch.shape[0]
        row, bucket, root = X[i], sketch[places[i]], roots[i]
        for j in range(p):
            v = root * (scale[j] * row[j] - centers[j])
            bucket[j] += v
            squares[j] += v * v
