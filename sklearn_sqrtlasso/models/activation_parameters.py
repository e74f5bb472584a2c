"""Transforms by which the parameters of an activation are learnt.

Each is learnt as an unbounded real number ("raw"), and mapped to allowed values.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit


class Parameter(NamedTuple):
    """Transform of a parameter, and its properties.

    Attributes
    ----------
    from_raw : callable, (raw) -> value
        Maps any real number to an allowed value.
    to_raw : callable, (value) -> raw
        Inverse of ``from_raw``.
    slope : callable, (value) -> derivative of ``from_raw``
        Derivative, as a function of the value.
    start : float or None
        Initial value; None is that of the penalty.
    shared : bool
        Whether all units share one value, which is always learnt.
    has_unit : bool
        Whether it has the unit of the data.
    least : float
        Lower bound of the raw number, which steps of learning do not pass.
    """

    from_raw: Callable
    to_raw: Callable
    slope: Callable
    start: float | None = None
    shared: bool = False
    has_unit: bool = False
    least: float = -np.inf


def _inside(x):
    """Return numbers in (0, 1): those that are rounded to a bound are moved inside."""
    limits = np.finfo(np.asarray(x).dtype)
    return np.clip(x, limits.tiny, 1 - limits.eps)


PENALTY = Parameter(
    lambda raw: _inside(expit(raw)), lambda x: logit(_inside(x)), lambda x: x * (1 - x)
)
OFFSET = Parameter(lambda raw: raw, lambda x: x, lambda x: 1.0, has_unit=True)
FACTOR = Parameter(np.exp, np.log, lambda x: x)  # starts as NeLU on noise alone
STEP = FACTOR._replace(start=1.0, shared=True, has_unit=True)
MOMENTUM = OFFSET._replace(start=0.5, shared=True, has_unit=False)

# All but "alpha", which is a penalty or an offset, depending on the activation.
PARAMETERS = MappingProxyType({"kappa": FACTOR, "step": STEP, "momentum": MOMENTUM})
