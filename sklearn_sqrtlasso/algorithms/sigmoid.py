"""The sigmoid in one pass, its pull-back, and the l1 norm of codes."""

from math import factorial
from types import MappingProxyType

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import FASTMATH, kernel, step

IN_ORDER = FASTMATH - {"reassoc"}  # else rounding by a large number cancels
LOG2E, LN2_HIGH, LN2_LOW = 1.4426950408889634, 0.693145751953125, 1.4286068203094173e-06
TAYLOR = tuple(1 / factorial(k) for k in range(14))  # of exp, up to log(2) / 2
LOWEST_8, ROUNDING_8 = -700.0, 1.5 * 2.0**52  # exp is still a normal number there
LOWEST_4, ROUNDING_4 = -80.0, 1.5 * 2.0**23  # 1.5 times two to the mantissa bits


@step
def split(v, lowest, rounding, f):
    """Return n and r with ``-|v| = n log(2) + r``, n as ``n + rounding``.

    Parameters
    ----------
    v : float
        Any number; ``-|v|`` is clipped at ``lowest``.
    lowest, rounding : float
        Constants of the format of v; adding ``rounding`` rounds to an integer in the
        lowest bits.
    f : type
        Type of v.

    Returns
    -------
    n, r : float
        ``n + rounding`` and r; ``|r|`` is at most half of log(2).
    """
    a = max(-abs(v), f(lowest))
    shifted = a * f(LOG2E) + f(rounding)
    n = shifted - f(rounding)
    return shifted, (a - n * f(LN2_HIGH)) - n * f(LN2_LOW)


@step
def exp_of(r, p, f):
    """Return ``exp(r)`` by its Taylor terms up to the seventh, plus ``r^8 p``.

    Parameters
    ----------
    r : float
        At most half of log(2) in magnitude.
    p : float
        The remaining terms, divided by ``r^8``.
    f : type
        Type of r.

    Returns
    -------
    power : float
        In the precision of r.
    """
    p = f(TAYLOR[6]) + r * (f(TAYLOR[7]) + r * p)
    p = f(TAYLOR[4]) + r * (f(TAYLOR[5]) + r * p)
    p = f(TAYLOR[2]) + r * (f(TAYLOR[3]) + r * p)
    return f(1) + r * (f(1) + r * p)


@kernel(fastmath=IN_ORDER)
def sigmoid_8(U, b, Z):
    """Write ``1 / (1 + exp(-(U + b)))`` to two units in the last place.

    Powers of two are formed by writing exponent bits: without branches and calls the
    loop is vectorised, unlike with the library's ``exp``.

    Parameters
    ----------
    U : ndarray of shape (n_rows, n_units)
        Inputs, in double precision.
    b : ndarray of shape (n_units,)
        Biases.
    Z : ndarray of shape (n_rows, n_units)
        Overwritten.
    """
    assert U.shape == Z.shape
    assert b.shape[0] == U.shape[1]
    one = np.float64(1)
    for i in range(U.shape[0]):
        for j in range(U.shape[1]):
            v = U[i, j] + b[j]
            n, r = split(v, LOWEST_8, ROUNDING_8, np.float64)
            p = TAYLOR[11] + r * (TAYLOR[12] + r * TAYLOR[13])
            p = TAYLOR[8] + r * (TAYLOR[9] + r * (TAYLOR[10] + r * p))
            bits = (np.float64(n).view(np.int64) + np.int64(1023)) << np.int64(52)
            e = exp_of(r, p, np.float64) * np.int64(bits).view(np.float64)
            s = one / (one + e)
            Z[i, j] = s if v > 0 else e * s


@kernel(fastmath=IN_ORDER)
def sigmoid_4(U, b, Z):
    """Write ``1 / (1 + exp(-(U + b)))`` as ``sigmoid_8``, in single precision.

    Parameters
    ----------
    U : ndarray of shape (n_rows, n_units)
        Inputs.
    b : ndarray of shape (n_units,)
        Biases.
    Z : ndarray of shape (n_rows, n_units)
        Overwritten.
    """
    assert U.shape == Z.shape
    assert b.shape[0] == U.shape[1]
    one = np.float32(1)
    for i in range(U.shape[0]):
        for j in range(U.shape[1]):
            v = U[i, j] + b[j]
            n, r = split(v, LOWEST_4, ROUNDING_4, np.float32)
            bits = (np.float32(n).view(np.int32) + np.int32(127)) << np.int32(23)
            e = exp_of(r, one - one, np.float32) * np.int32(bits).view(np.float32)
            s = one / (one + e)
            Z[i, j] = s if v > 0 else e * s


SIGMOIDS = MappingProxyType({8: sigmoid_8, 4: sigmoid_4})  # by bytes per entry


@kernel
def pull_back_sigmoid(Z, G, H, by_b):
    """Pull a gradient back through ``Z = sigmoid(U + b)``.

    Parameters
    ----------
    Z, G : ndarray of shape (n_rows, n_units)
        Values, and the gradient with respect to them.
    H : ndarray of shape (n_rows, n_units)
        Overwritten with the gradient with respect to U.
    by_b : ndarray of shape (n_units,)
        Overwritten with the gradient with respect to b.
    """
    assert Z.shape == G.shape == H.shape
    assert by_b.shape[0] == Z.shape[1]
    one = Z.dtype.type(1)
    for j in range(Z.shape[1]):
        by_b[j] = 0
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            h = G[i, j] * Z[i, j] * (one - Z[i, j])
            H[i, j] = h
            by_b[j] += h


@kernel
def l1_norm(Z):
    """Return the sum of absolute values, and the number of zero or negative entries.

    Parameters
    ----------
    Z : ndarray of shape (n_rows, n_units)
        Codes.

    Returns
    -------
    total : float
        In double precision.
    n_others : int
        Number of zero and negative entries.
    """
    total, n_others = 0.0, 0
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            total += np.float64(abs(Z[i, j]))
            n_others += Z[i, j] <= 0
    return total, n_others
