"""Pointwise activations of a layer with a bias: functions of ``u + b``.

To add one, write its value and its slope and name them in a row of ``POINTWISE``.
Constraints of both autoencoders, tests and documentation are made from the row.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from sklearn_sqrtlasso.kernels.sigmoid import SIGMOIDS, pull_back_sigmoid

HELU_WIDTH = 0.05  # as published; below its threshold, a unit still learns this far
SIGN_WIDTH = 0.1  # of the tanh that lends its slope to the sign


class Pointwise(NamedTuple):
    """A function of ``u + b``, entry by entry, and its transposed derivative.

    Attributes
    ----------
    value : callable, (U, b) -> (Z, memory)
        Codes of rows with a bias, and what ``pull_back`` needs.
    pull_back : callable, (Z, memory, G) -> (H, by_b)
        Gradients with respect to U and b, given that with respect to Z.
    summary : str
        What it computes, for the documentation.
    scales : bool
        Whether codes have the unit of U, else they are pure numbers.
    surrogate : bool
        Whether ``pull_back`` is not the derivative.
    is_step : bool
        Whether it is constant but for jumps: no layer before it can be fitted to rows.
    inverse : callable, (z) -> u, or None
        The inverse function, where there is one in closed form.
    curvature : float
        Bound of the second derivative of a function whose values are positive: the
        penalty of its codes is smooth then, and has an exact proximal map. Infinite
        where there is none.
    with_width : callable, (width) -> Pointwise, or None
        The same with another width, where it has one.
    default_width : float or None
        The width unless it is given.
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


def pointwise(
    value, slope, summary, *, scales=True, surrogate=False, is_step=False, inverse=None
):
    """Return a pointwise activation from plain functions of an array.

    Parameters
    ----------
    value : callable, (V) -> Z
        The function, of ``V = U + b``.
    slope : callable, (V, Z) -> derivative
        Its derivative, or what stands for it.
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
    """Return ``max(v, 0)`` that learns where ``v > -width``.

    Parameters
    ----------
    width : float
        In units of u, at least 0; 0.05 as published.

    Returns
    -------
    activation : Pointwise
        The codes are those of "relu".
    """
    activation = pointwise(
        _relu,
        lambda V, Z: -width < V,
        "relu that learns as if active down to a width below its threshold",
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
        Pure numbers in [0, 1]; one half at ``width / 2``.
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
    return np.where(V >= 0, 1, -1).astype(V.dtype)  # a bit, so 0 has a sign too


POINTWISE: MappingProxyType[str, Pointwise] = MappingProxyType(
    {
        "relu": pointwise(_relu, lambda V, Z: V > 0, ":math:`\\max(v, 0)`"),
        "helu": helu(HELU_WIDTH),
        "identity": pointwise(
            np.copy, lambda V, Z: 1, ":math:`v`", inverse=lambda z: z
        ),
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
            ":math:`\\pm 1`, which learns by the slope of :math:`\\tanh(v/0.1)`",
            scales=False,
            surrogate=True,
            is_step=True,
        ),
    }
)

BITS = pointwise(
    _bit,
    _slope_of_sigmoid,
    "0 or 1, which learns by the slope of the sigmoid",
    scales=False,
    surrogate=True,
    is_step=True,
)
