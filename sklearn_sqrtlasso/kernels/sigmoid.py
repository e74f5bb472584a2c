"""The sigmoid around the hyperbolic tangent of numpy: one pass before, one after."""

from sklearn_sqrtlasso.kernels.jit import kernel


@kernel
def half_above(U, alpha, Z):
    """Write ``(U - alpha) / 2``.

    Parameters
    ----------
    U : ndarray of shape (n_rows, n_units)
        Inputs.
    alpha : ndarray of shape (n_units,)
        Thresholds.
    Z : ndarray of shape (n_rows, n_units)
        Overwritten.
    """
    half = U.dtype.type(0.5)
    for i in range(U.shape[0]):
        for j in range(U.shape[1]):
            Z[i, j] = half * (U[i, j] - alpha[j])


@kernel
def lift(Z):
    """Replace ``Z`` by ``(1 + Z) / 2``.

    Parameters
    ----------
    Z : ndarray of shape (n_rows, n_units)
        Numbers from -1 to 1, overwritten.
    """
    half = Z.dtype.type(0.5)
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            Z[i, j] = half * Z[i, j] + half


@kernel
def pull_back_sigmoid(Z, G, H, by_alpha):
    """Pull a gradient back through ``Z = sigmoid(U - alpha)``.

    Parameters
    ----------
    Z, G : ndarray of shape (n_rows, n_units)
        Values, and the gradient with respect to them.
    H : ndarray of shape (n_rows, n_units)
        Overwritten with the gradient with respect to U.
    by_alpha : ndarray of shape (n_units,)
        Overwritten with the gradient with respect to alpha.
    """
    one = Z.dtype.type(1)
    for j in range(Z.shape[1]):
        by_alpha[j] = 0
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            h = G[i, j] * Z[i, j] * (one - Z[i, j])
            H[i, j] = h
            by_alpha[j] -= h
