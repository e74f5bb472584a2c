"""Activations of an encoder without bias: a map of rows, and its pull-back.

To add one, write the two functions and add a record with them and their properties to
``ACTIVATIONS``. Constraints, error messages, documentation and the finite-difference
tests use the record.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np

from sklearn_sqrtlasso.algorithms.adaptive_shrinkage import (
    pull_back_adaptively,
    shrink_adaptively,
)
from sklearn_sqrtlasso.algorithms.largest_entries import keep_largest
from sklearn_sqrtlasso.algorithms.shrinkage import pull_back_groups
from sklearn_sqrtlasso.algorithms.unrolled_shrinkage import (
    pull_back_steps,
    shrink_by_steps,
)
from sklearn_sqrtlasso.models.activation_parameters import (
    OFFSET,
    PARAMETERS,
    PENALTY,
    Parameter,
)
from sklearn_sqrtlasso.models.pointwise import HELU_WIDTH, POINTWISE
from sklearn_sqrtlasso.sparse_coding.row_thresholds import (
    threshold_rows,
    threshold_rows_at,
)

MIN_SLACK = 0.02  # lower bound of 1 - sum alpha^2 in pull-backs, which diverge at 0


class ProjectedRows(NamedTuple):
    """Input of an activation.

    Attributes
    ----------
    U : ndarray of shape (n_samples, d)
        Rows, C-contiguous.
    groups : ndarray of shape (n_groups + 1,)
        Group g consists of the rows from ``groups[g]`` to ``groups[g + 1]``; they share
        a noise level.
    positive : bool
        Whether codes are nonnegative, if the activation supports both.
    """

    U: np.ndarray
    groups: np.ndarray
    positive: bool


class Activation(NamedTuple):
    """A map of rows, its pull-back, and its properties.

    Attributes
    ----------
    value : callable, (rows, p) -> (Z, memory)
        Codes, and values that the pull-back needs; ``p`` maps names to parameters. If
        ``pools_groups``, the memory is the residual scale of each row.
    pull_back : callable, (rows, p, Z, memory, G) -> (H, {name: gradient})
        Gradients with respect to U and the parameters, given that with respect to Z.
    summary : str
        Description in reStructuredText.
    role_of_alpha : {"penalty", "offset"}
        Whether ``alpha`` is a penalty, a pure number, or an offset that is subtracted
        from u.
    at_scale : callable, (rows, p, t) -> Z, or None
        Codes of part of a group with known residual scale t.
    parameters : tuple of str
        Names of the parameters, keys of ``PARAMETERS``.
    scales : bool
        Whether codes have the unit of the data; otherwise they are pure numbers.
    least_alpha : float
        Smallest allowed value of ``alpha``.
    offers_positive : bool
        Whether ``positive`` has an effect.
    pools_groups : bool
        Whether the rows of a group share a residual scale.
    whole_groups : bool
        Whether a group of any number of rows is encoded at once.
    surrogate : bool
        Whether the pull-back uses a surrogate of the derivative.
    flat_at_zero : bool
        Whether the pull-back needs no gradient by a code that is zero.
    certified : bool
        Whether codes minimise the square-root lasso and so have a duality gap.
    unrolled : callable, (n_steps) -> Activation, or None
        The activation computed by a fixed number of proximal steps.
    """

    value: Callable
    pull_back: Callable
    summary: str
    role_of_alpha: Literal["penalty", "offset"]
    at_scale: Callable | None = None
    parameters: tuple[str, ...] = ("alpha",)
    scales: bool = True
    least_alpha: float = 0.0
    offers_positive: bool = True
    pools_groups: bool = False
    whole_groups: bool = False
    surrogate: bool = False
    flat_at_zero: bool = False
    certified: bool = False
    unrolled: Callable | None = None

    @property
    def alpha_has_unit(self):
        """Whether ``alpha`` is in units of the data."""
        return self.role_of_alpha == "offset" and self.scales

    @property
    def default_alpha(self):
        """Default value of ``alpha``, which does not depend on the data."""
        return "pivotal" if self.role_of_alpha == "penalty" else 0.0

    def parameter(self, name) -> Parameter:
        """Return the record of a parameter."""
        if name == "alpha":
            penalty = self.role_of_alpha == "penalty"
            return PENALTY if penalty else OFFSET._replace(least=self.least_alpha)
        return PARAMETERS[name]


def _nelu(rows, p):
    return threshold_rows(rows.U, p["alpha"], rows.positive, rows.groups)


def _nelu_at_scale(rows, p, t):
    return threshold_rows_at(rows.U, p["alpha"], rows.positive, t)


def _nelu_pull_back(rows, p, Z, scale, G):
    U, positive = rows.U, rows.positive
    outside = np.zeros_like(scale)
    H, by_alpha = np.empty_like(U), np.zeros_like(p["alpha"])
    pull_back_groups(
        U,
        outside,
        p["alpha"],
        positive,
        rows.groups,
        scale,
        MIN_SLACK,
        G,
        H,
        outside,
        by_alpha,
    )
    return H, {"alpha": by_alpha}


def _helu_of_nelu_pull_back(rows, p, Z, scale, G):
    H, gradients = _nelu_pull_back(rows, p, Z, scale, G)
    threshold = p["alpha"] * scale[:, None]
    size = rows.U if rows.positive else np.abs(rows.U)
    near = (Z == 0) & (size > (1 - HELU_WIDTH) * threshold)
    H[near] += G[near]
    return H, gradients


def _adaptive(rows, p):
    Z, scale = _nelu(rows, p)
    shrink_adaptively(rows.U, p["kappa"], rows.positive, scale, Z)
    return Z, scale


def _adaptive_at_scale(rows, p, t):
    Z, scale = np.empty_like(rows.U), np.full(len(rows.U), t, rows.U.dtype)
    shrink_adaptively(rows.U, p["kappa"], rows.positive, scale, Z)
    return Z


def _adaptive_pull_back(rows, p, Z, scale, G):
    U, alpha, kappa = rows.U, p["alpha"], p["kappa"]
    H, by_alpha, by_kappa = np.empty_like(U), np.zeros_like(alpha), np.zeros_like(kappa)
    pull_back_adaptively(
        U, alpha, kappa, rows.positive, rows.groups, scale, MIN_SLACK, G,
        H, by_alpha, by_kappa,
    )  # fmt: skip
    return H, {"alpha": by_alpha, "kappa": by_kappa}


def unrolled(n_steps):
    """Return NeLU computed by ``n_steps`` published steps of learnt length.

    Parameters
    ----------
    n_steps : int
        Number of steps, at least 1.

    Returns
    -------
    activation : Activation
        Its parameters are "alpha", "step" (in units of the data) and "momentum".
    """

    def value(rows, p):
        U = rows.U
        path = np.empty((n_steps + 1, *U.shape), U.dtype)
        scales = np.empty((n_steps, len(U)), U.dtype)
        pace = float(p["step"][0]), float(p["momentum"][0])
        shrink_by_steps(U, p["alpha"], *pace, rows.positive, rows.groups, path, scales)
        return path[-1], (path, scales)

    def pull_back(rows, p, Z, memory, G):
        U, H, by_alpha = rows.U, np.empty_like(rows.U), np.zeros_like(p["alpha"])
        by_step, pace = np.zeros(2), (float(p["step"][0]), float(p["momentum"][0]))
        pull_back_steps(
            U, p["alpha"], *pace, rows.groups, *memory, G, H, by_alpha, by_step
        )
        return H, {"alpha": by_alpha, "step": by_step[:1], "momentum": by_step[1:]}

    return Activation(
        value,
        pull_back,
        f"{n_steps} proximal steps of learnt length and momentum",
        "penalty",
        parameters=("alpha", "step", "momentum"),
        pools_groups=True,
        whole_groups=True,
        flat_at_zero=True,
        certified=True,
    )


def _soft(rows, p):
    U, alpha = rows.U, p["alpha"]
    low = -np.inf if rows.positive else -alpha
    return U - np.clip(U, low, alpha), None


def _soft_pull_back(rows, p, Z, memory, G):
    return G * (Z != 0), {"alpha": -np.sum(np.sign(Z) * G, axis=0)}


def _topk(rows, p):
    Z = np.empty_like(rows.U)
    keep_largest(rows.U, n_kept(p["alpha"], Z.shape[1]), rows.positive, Z)
    return Z, None


def n_kept(alpha, n_components):
    """Return the number of entries that "topk" keeps: the most that NeLU can keep.

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


def _with_offset(name):
    """Return an activation from a pointwise activation of ``u - alpha``."""
    function = POINTWISE[name]

    def value(rows, p):
        return function.value(rows.U, -p["alpha"])

    def pull_back(rows, p, Z, memory, G):
        H, by_b = function.pull_back(Z, memory, G)
        return H, {"alpha": -by_b}

    return Activation(
        value,
        pull_back,
        function.summary,
        "offset",
        scales=function.scales,
        least_alpha=-np.inf,
        offers_positive=False,
        surrogate=function.surrogate,
        flat_at_zero=function.flat_at_zero,
    )


ACTIVATIONS: MappingProxyType[str, Activation] = MappingProxyType(
    {
        "nelu": Activation(
            _nelu,
            _nelu_pull_back,
            "exact minimiser of the objective above",
            "penalty",
            at_scale=_nelu_at_scale,
            pools_groups=True,
            flat_at_zero=True,
            certified=True,
            unrolled=unrolled,
        ),
        "nelu_adaptive": Activation(
            _adaptive,
            _adaptive_pull_back,
            "soft-thresholding at "
            r":math:`\kappa_i t^2 / \sqrt{\|Wx\|^2 + 0.05\, t^2}`, "
            r"with t the residual scale of NeLU and learnt :math:`\kappa_i`: rows with "
            "a high signal-to-noise ratio are shrunk less",
            "penalty",
            at_scale=_adaptive_at_scale,
            parameters=("alpha", "kappa"),
            pools_groups=True,
            flat_at_zero=True,
        ),
        "nelu_helu": Activation(
            _nelu,
            _helu_of_nelu_pull_back,
            'as "nelu", but units less than 5 % below their threshold have the '
            "gradient of active ones, which revives dead units",
            "penalty",
            at_scale=_nelu_at_scale,
            pools_groups=True,
            surrogate=True,
            certified=True,
        ),
        "soft": Activation(
            _soft,
            _soft_pull_back,
            r":math:`\operatorname{soft}(Wx, \alpha)`",
            "offset",
            flat_at_zero=True,
        ),
        "topk": Activation(
            _topk, _topk_pull_back, "largest entries", "penalty", flat_at_zero=True
        ),
        **{name: _with_offset(name) for name in POINTWISE},
    }
)
