"""Activations of an encoder: a map of rows, and the pull-back of a gradient.

To add one, write the two functions and name the pair in ``ACTIVATIONS``; constraints,
documentation and the finite-difference tests read the table.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.kernels.adaptive import pull_back_adaptively, shrink_adaptively
from sklearn_sqrtlasso.kernels.shrinkage import pull_back_runs, shrink_run, shrink_runs
from sklearn_sqrtlasso.kernels.sigmoid import SIGMOIDS, pull_back_sigmoid
from sklearn_sqrtlasso.kernels.unrolled import pull_back_steps, shrink_by_steps

MIN_ROOM = 0.02  # lower bound of 1 - sum alpha^2 in pull-backs: they are steep near 0
HELU_WINDOW = 0.05  # as published; below its threshold, a unit still learns this far
SIGN_WINDOW = 0.1  # width of the tanh that lends its slope to the sign


class Rows(NamedTuple):
    """What an activation is applied to.

    Attributes
    ----------
    U : ndarray of shape (n_samples, d)
        Rows, C-contiguous.
    runs : ndarray of shape (n_runs + 1,)
        Run g is the rows from ``runs[g]`` to ``runs[g + 1]``; they share a noise level.
    positive : bool
        Whether codes are nonnegative, where the activation offers both.
    """

    U: np.ndarray
    runs: np.ndarray
    positive: bool


class Activation(NamedTuple):
    """A map of rows, and its transposed derivative.

    Attributes
    ----------
    value : callable, (rows, p) -> (Z, memory)
        Codes, and what the pull-back wants to know of them; ``p`` names the parameters.
    pull_back : callable, (rows, p, Z, memory, G) -> (H, {name: gradient})
        Gradients with respect to U and the parameters, given that with respect to Z.
    at_level : callable, (rows, p, t) -> Z, or None
        Codes of a part of a run whose residual scale t is known; None if rows do not
        share a scale.
    parameters : tuple of str
        Names of the parameters, keys of ``PARAMETERS``.
    unit : {"pure", "data"}
        Unit of ``alpha``.
    scales : bool
        Whether codes have the unit of the data, else they are pure numbers.
    pointwise : bool
        Whether an entry depends on its own entry of U only, less ``alpha``: what a
        layer with a bias wants, on either side.
    """

    value: Callable
    pull_back: Callable
    at_level: Callable | None = None
    parameters: tuple[str, ...] = ("alpha",)
    unit: str = "data"
    scales: bool = True
    pointwise: bool = False


class Parameter(NamedTuple):
    """How a parameter of an activation is learnt.

    Attributes
    ----------
    from_raw : callable, (raw) -> value
        From any real number to an allowed value.
    to_raw : callable, (value) -> raw
        The inverse of ``from_raw``.
    slope : callable, (value) -> derivative of ``from_raw``
        Derivative, as a function of the value.
    start : float or None
        First value; None is that of the penalty.
    """

    from_raw: Callable
    to_raw: Callable
    slope: Callable
    start: float | None = None


def _nelu_level(rows, alpha):
    Z, level = np.empty_like(rows.U), np.empty(len(rows.U), rows.U.dtype)
    rest = np.zeros_like(level)
    shrink_runs(rows.U, rest, alpha, rows.positive, rows.runs, Z, level)
    return Z, level


def _nelu(rows, p):
    return _nelu_level(rows, p["alpha"])


def _nelu_at_level(rows, p, t):
    U, Z = rows.U, np.empty_like(rows.U)
    rest = np.zeros(len(U), U.dtype)
    shrink_run(U, rest, p["alpha"], rows.positive, t, 1.0, 0, len(U), Z)
    return Z


def _nelu_pull_back(rows, p, Z, level, G):
    U, positive = rows.U, rows.positive
    rest = np.zeros_like(level)
    H, by_alpha = np.empty_like(U), np.zeros_like(p["alpha"])
    pull_back_runs(
        U, rest, p["alpha"], positive, rows.runs, level, MIN_ROOM, G, H, rest, by_alpha
    )
    return H, {"alpha": by_alpha}


def _helu_of_nelu_pull_back(rows, p, Z, level, G):
    H, gradients = _nelu_pull_back(rows, p, Z, level, G)
    threshold = p["alpha"] * level[:, None]
    size = rows.U if rows.positive else np.abs(rows.U)
    near = (Z == 0) & (size > (1 - HELU_WINDOW) * threshold)
    H[near] += G[near]
    return H, gradients


def _adaptive(rows, p):
    Z, level = _nelu_level(rows, p["alpha"])
    shrink_adaptively(rows.U, p["kappa"], rows.positive, level, Z)
    return Z, level


def _adaptive_at_level(rows, p, t):
    Z, level = np.empty_like(rows.U), np.full(len(rows.U), t, rows.U.dtype)
    shrink_adaptively(rows.U, p["kappa"], rows.positive, level, Z)
    return Z


def _adaptive_pull_back(rows, p, Z, level, G):
    U, alpha, kappa = rows.U, p["alpha"], p["kappa"]
    H, by_alpha, by_kappa = np.empty_like(U), np.zeros_like(alpha), np.zeros_like(kappa)
    pull_back_adaptively(
        U, alpha, kappa, rows.positive, rows.runs, level, MIN_ROOM, G,
        H, by_alpha, by_kappa,
    )  # fmt: skip
    return H, {"alpha": by_alpha, "kappa": by_kappa}


def unrolled(n_steps):
    """Return NeLU by ``n_steps`` published steps, whose pace is learnt, as activation.

    Parameters
    ----------
    n_steps : int
        Number of steps, at least 1.

    Returns
    -------
    activation : Activation
        With the parameters "alpha", "step" (in units of the data) and "momentum".
    """

    def value(rows, p):
        U = rows.U
        path = np.empty((n_steps + 1, *U.shape), U.dtype)
        scales = np.empty((n_steps, len(U)), U.dtype)
        pace = float(p["step"][0]), float(p["momentum"][0])
        shrink_by_steps(U, p["alpha"], *pace, rows.positive, rows.runs, path, scales)
        return path[-1], (path, scales)

    def pull_back(rows, p, Z, memory, G):
        U, H, by_alpha = rows.U, np.empty_like(rows.U), np.zeros_like(p["alpha"])
        by_step, pace = np.zeros(2), (float(p["step"][0]), float(p["momentum"][0]))
        pull_back_steps(
            U, p["alpha"], *pace, rows.runs, *memory, G, H, by_alpha, by_step
        )
        return H, {"alpha": by_alpha, "step": by_step[:1], "momentum": by_step[1:]}

    return Activation(value, pull_back, None, ("alpha", "step", "momentum"), "pure")


def _soft(rows, p):
    U, alpha = rows.U, p["alpha"]
    low = -np.inf if rows.positive else -alpha
    return U - np.clip(U, low, alpha), None


def _soft_pull_back(rows, p, Z, memory, G):
    return G * (Z != 0), {"alpha": -np.sum(np.sign(Z) * G, axis=0)}


def _topk(rows, p):
    # Entries that tie with the last one kept are kept too: a rule without an order.
    U, Z = rows.U, np.zeros_like(rows.U)
    k = n_kept(p["alpha"], U.shape[1])
    size = np.maximum(U, 0) if rows.positive else np.abs(U)
    bound = np.partition(size, U.shape[1] - k, axis=1)[:, U.shape[1] - k, None]
    np.copyto(Z, U, where=(size >= bound) & (size > 0))
    return Z, None


def n_kept(alpha, n_components):
    """Return how many entries "topk" keeps: as many as NeLU with ``alpha`` may keep.

    Parameters
    ----------
    alpha : ndarray of shape (n_components,)
        Equal penalties, in [0, 1].
    n_components : int
        Number of units.

    Returns
    -------
    k : int
        ``floor(1 / alpha^2)``, in [1, n_components].
    """
    alpha = max(float(alpha[0]), 1e-6)
    return int(np.clip((1 + 1e-6) / alpha**2, 1, n_components))


def _topk_pull_back(rows, p, Z, memory, G):
    return G * (Z != 0), {"alpha": np.zeros_like(p["alpha"])}


def _pointwise(value, slope, scales=True):
    """Return the activation ``z = value(u - alpha)``, of slope ``slope(v, z)``."""

    def forward(rows, p):
        V = rows.U - p["alpha"]
        return value(V), V

    def pull_back(rows, p, Z, V, G):
        H = G * slope(V, Z)
        return H, {"alpha": -H.sum(axis=0)}

    return Activation(forward, pull_back, scales=scales, pointwise=True)


def smoothstep(width):
    """Return the smooth step ``3 q^2 - 2 q^3``, ``q = clip(u / width, 0, 1)``.

    Parameters
    ----------
    width : float
        Length of the rise, positive.

    Returns
    -------
    activation : Activation
        Pure numbers in [0, 1]; one half at ``width / 2``.
    """

    def value(V):
        q = np.clip(V / width, 0, 1)
        return q * q * (3 - 2 * q)

    def slope(V, Z):
        q = np.clip(V / width, 0, 1)
        return 6 / width * q * (1 - q)

    return _pointwise(value, slope, scales=False)


def helu(window):
    """Return ``max(u, 0)`` that learns where ``u > -window``.

    Parameters
    ----------
    window : float
        In units of u, at least 0; 0.05 as published.

    Returns
    -------
    activation : Activation
        The codes are those of "relu".
    """
    return _pointwise(_relu_value, lambda V, Z: -window < V)


def _sigmoid(V):
    return 0.5 * (1 + np.tanh(0.5 * V))


def _sigmoid_value(rows, p):
    Z = np.empty_like(rows.U)
    SIGMOIDS[Z.itemsize](rows.U, p["alpha"], Z)
    return Z, None


def _sigmoid_pull_back(rows, p, Z, memory, G):
    H, by_alpha = np.empty_like(Z), np.empty(Z.shape[1], Z.dtype)
    pull_back_sigmoid(Z, G, H, by_alpha)
    return H, {"alpha": by_alpha}


def _step(V):
    return (V >= 0).astype(V.dtype)


def _bump(V, Z):
    size = _sigmoid(V)
    return size * (1 - size)


def _sign(V):
    return np.where(V >= 0, 1, -1).astype(V.dtype)  # a bit, so 0 has a sign too


def _shrinking(value, pull_back, at_level, *more):
    """Return an activation whose runs share a residual scale."""
    return Activation(value, pull_back, at_level, ("alpha", *more), unit="pure")


def _relu_value(V):
    return np.maximum(V, 0)


ACTIVATIONS = MappingProxyType(
    {
        "nelu": _shrinking(_nelu, _nelu_pull_back, _nelu_at_level),
        "nelu_adaptive": _shrinking(
            _adaptive, _adaptive_pull_back, _adaptive_at_level, "kappa"
        ),
        "nelu_helu": _shrinking(_nelu, _helu_of_nelu_pull_back, _nelu_at_level),
        "soft": Activation(_soft, _soft_pull_back),
        "relu": _pointwise(_relu_value, lambda V, Z: V > 0),
        "helu": helu(HELU_WINDOW),
        "topk": Activation(_topk, _topk_pull_back, unit="pure"),
        "identity": _pointwise(np.copy, lambda V, Z: 1),
        "sigmoid": Activation(
            _sigmoid_value, _sigmoid_pull_back, scales=False, pointwise=True
        ),
        "tanh": _pointwise(np.tanh, lambda V, Z: 1 - Z * Z, scales=False),
        "sign": _pointwise(
            _sign, lambda V, Z: 1 - np.tanh(V / SIGN_WINDOW) ** 2, scales=False
        ),
    }
)

POINTWISE = tuple(name for name, found in ACTIVATIONS.items() if found.pointwise)
BITS = _pointwise(_step, _bump, scales=False)  # learns by the slope of the sigmoid


def _logit(x):
    return np.log(x) - np.log1p(-x)


PENALTY = Parameter(_sigmoid, _logit, lambda x: x * (1 - x))
OFFSET = Parameter(lambda raw: raw, lambda x: x, lambda x: 1.0)
FACTOR = Parameter(np.exp, np.log, lambda x: x)  # on noise alone: NeLU's threshold
STEP = FACTOR._replace(start=1.0)
MOMENTUM = OFFSET._replace(start=0.5)
