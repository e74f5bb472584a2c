"""Value and gradient of a quadratic function of a matrix, in one pass over it."""

from sklearn_sqrtlasso.algorithms.jit import kernel


@kernel
def finish_quadratic(V, S, P, scale):
    """Return ``<V, P> - 2 <V, S>``, and make P the slope ``scale (P - S)``.

    With ``P = A V`` and a symmetric A, the value is ``<V, A V> - 2 <V, S>``, and half
    its gradient is ``P - S``.

    Parameters
    ----------
    V, S : ndarray of shape (n_rows, n_columns)
        Argument and linear term.
    P : ndarray of shape (n_rows, n_columns)
        The product ``A V``; overwritten with the slope.
    scale : float
        Factor of the slope.

    Returns
    -------
    value : float
        Summed in double precision.
    """
    assert V.shape == S.shape == P.shape
    f = P.dtype.type
    value = 0.0
    for i in range(P.shape[0]):
        for j in range(P.shape[1]):
            v, s, p = V[i, j], S[i, j], P[i, j]
            value += v * (p - s - s)
            P[i, j] = f(scale) * (p - s)
    return value
