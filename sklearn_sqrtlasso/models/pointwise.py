"""Pointwise activations of a layer with a bias: functions of ``u + b``.

To add one, write its value and slope and add a record with them to ``POINTWISE``.
Constraints of both autoencoders, tests and documentation use the record.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from sklearn_sqrtlasso.algorithms.sigmoid import SIGMOIDS, pull_back_sigmoid

HELU_WIDTH = 0.05  # as published: distance below its threshold where a unit learns
SIGN_WIDTH = 0.1  # of the tanh whose slope is the surrogate gradient of the sign


class Pointwise(NamedTuple):
    """Elementwise function of ``u + b``, and its pull-back.

    Attributes
    ----------
    value : callable, (U, b) -> (Z, memory)
        Codes of rows with a bias, and values that ``pull_back`` needs.
    pull_back : callable, (Z, memory, G) -> (H, by_b)
        Gradients with respect to U and b, given that with respect to Z.
    summary : str
        Description for the documentation.
    scales : bool
        Whether codes have the unit of U; otherwise they are pure numbers.
    surrogate : bool
        Whether ``pull_back`` uses a surrogate of the derivative.
    is_step : bool
        Whether it is piecewise constant, and so not suitable for the decoder.
    inverse : callable, (z) -> u, or None
        Inverse function, if it has a closed form.
    curvature : float
        Bound on the second derivative of a positive function, whose penalty is smooth
        and has an exact proximal map; infinite for other functions.
    with_width : callable, (width) -> Pointwise, or None
        Constructor for another width, if the function has a width.
    default_width : float or None
        Default width.
    flat_at_zero : bool
        Whether the slope is zero wherever the value is.
    is_linear : bool
        Whether values are a linear map of ``u + b``, which any basis may hold.
    """

    value: Callable
    pull_back: Callable
    summary: str
    scales: bool = True
    surrogate: bool = False
    is_step: bool = False
    inverse: Callable | None = None
    curvature: float = np.inf
    with_width: Callable | None = None
    default_width: float | None = None
    flat_at_zero: bool = False
    is_linear: bool = False


def pointwise(
    value, slope, summary, *, scales=True, surrogate=False, is_step=False, inverse=None
):
    """Return a pointwise activation made from functions of one array.

    Parameters
    ----------
    value : callable, (V) -> Z
        Function of ``V = U + b``.
    slope : callable, (V, Z) -> derivative
        Its derivative, or a surrogate.
    summary, scales, surrogate, is_step, inverse
        Fields of ``Pointwise``.

    Returns
    -------
    activation : Pointwise
        The activation.
    """

    def forward(U, b):
        V = U + b
        return value(V), V

    def pull_back(Z, V, G):
        H = G * slope(V, Z)
        return H, H.sum(axis=0)

    return Pointwise(forward, pull_back, summary, scales, surrogate, is_step, inverse)


def _sigmoid_value(U, b):
    Z = np.empty_like(U)
    SIGMOIDS[Z.itemsize](U, b, Z)
    return Z, None


def _sigmoid_pull_back(Z, memory, G):
    H, by_b = np.empty_like(Z), np.empty(Z.shape[1], Z.dtype)
    pull_back_sigmoid(Z, G, H, by_b)
    return H, by_b


def _relu(V):
    return np.maximum(V, 0)


def helu(width):
    """Return ``max(v, 0)`` with the surrogate slope 1 where ``v > -width``.

    Parameters
    ----------
    width : float
        Width in units of u, at least 0; 0.05 as published.

    Returns
    -------
    activation : Pointwise
        Activation with the codes of "relu".
    """
    activation = pointwise(
        _relu,
        lambda V, Z: -width < V,
        "relu with the gradient of an active unit down to a width below its threshold",
        surrogate=True,
    )
    return activation._replace(with_width=helu, default_width=HELU_WIDTH)


def smoothstep(width):
    """Return the smooth step ``3 q^2 - 2 q^3``, ``q = clip(v / width, 0, 1)``.

    Parameters
    ----------
    width : float
        Length of the rise, positive.

    Returns
    -------
    activation : Pointwise
        Activation with values in [0, 1], pure numbers; one half at ``width / 2``.
    """

    def value(V):
        q = np.clip(V / width, 0, 1)
        return q * q * (3 - 2 * q)

    def slope(V, Z):
        q = np.clip(V / width, 0, 1)
        return 6 / width * q * (1 - q)

    return pointwise(value, slope, "a smooth step from 0 to 1", scales=False)


def _bit(V):
    return (V >= 0).astype(V.dtype)


def _slope_of_sigmoid(V, Z):
    size = expit(V)
    return size * (1 - size)


def _sign(V):
    return np.where(V >= 0, 1, -1).astype(V.dtype)  # two values: 1 at 0


POINTWISE: MappingProxyType[str, Pointwise] = MappingProxyType(
    {
        "relu": pointwise(_relu, lambda V, Z: V > 0, ":math:`\\max(v, 0)`")._replace(
            flat_at_zero=True
        ),
        "helu": helu(HELU_WIDTH),
        "identity": pointwise(
            np.copy, lambda V, Z: 1, ":math:`v`", inverse=lambda z: z
        )._replace(is_linear=True),
        "sigmoid": Pointwise(
            _sigmoid_value,
            _sigmoid_pull_back,
            ":math:`1 / (1 + e^{-v})`, a pure number",
            scales=False,
            inverse=logit,
            curvature=1 / (6 * np.sqrt(3)),
        ),
        "tanh": pointwise(
            np.tanh,
            lambda V, Z: 1 - Z * Z,
            ":math:`\\tanh v`, a pure number",
            scales=False,
        ),
        "sign": pointwise(
            _sign,
            lambda V, Z: 1 - np.tanh(V / SIGN_WIDTH) ** 2,
            ":math:`\\pm 1`, with the gradient of :math:`\\tanh(v/0.1)`",
            scales=False,
            surrogate=True,
            is_step=True,
        ),
    }
)

BITS = pointwise(
    _bit,
    _slope_of_sigmoid,
    "0 or 1, with the gradient of the sigmoid",
    scales=False,
    surrogate=True,
    is_step=True,
)
