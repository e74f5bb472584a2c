"""Count sketch of rows: each is added, with a sign, to one of few buckets."""

from sklearn_sqrtlasso.algorithms.jit import kernel


@kernel
def add_signed_rows(X, places, signs, sketch, squares):
    """Add rows to the buckets of a sketch, and their squares to those of columns.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Rows.
    places : ndarray of shape (n,)
        Buckets, in [0, m).
    signs : ndarray of shape (n,)
        One or minus one.
    sketch : ndarray of shape (m, p)
        Signed sums, updated.
    squares : ndarray of shape (p,)
        Sums of squares, updated.
    """
    n, p = X.shape
    assert places.shape[0] == signs.shape[0] == n
    assert sketch.shape[1] == squares.shape[0] == p
    for i in range(n):
        assert 0 <= places[i] < sketch.shape[0]
        row, bucket, sign = X[i], sketch[places[i]], signs[i]
        for j in range(p):
            v = row[j]
            bucket[j] += sign * v
            squares[j] += v * v
