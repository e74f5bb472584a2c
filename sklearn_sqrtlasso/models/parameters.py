"""How the penalty of a unit, and other parameters of an activation, are learnt.

Each is learnt as a real number without bounds ("raw"), and mapped to allowed values.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit


class Parameter(NamedTuple):
    """How a parameter is learnt.

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
    shared : bool
        Whether all units share one, which is learnt wherever it exists.
    has_unit : bool
        Whether it has the unit of the data.
    """

    from_raw: Callable
    to_raw: Callable
    slope: Callable
    start: float | None = None
    shared: bool = False
    has_unit: bool = False


def _inside(x):
    """Return numbers in (0, 1): those that are rounded to a bound are moved inside."""
    limits = np.finfo(np.asarray(x).dtype)
    return np.clip(x, limits.tiny, 1 - limits.eps)


PENALTY = Parameter(
    lambda raw: _inside(expit(raw)), lambda x: logit(_inside(x)), lambda x: x * (1 - x)
)
OFFSET = Parameter(lambda raw: raw, lambda x: x, lambda x: 1.0, has_unit=True)
FACTOR = Parameter(np.exp, np.log, lambda x: x)  # on noise alone: NeLU's threshold
STEP = FACTOR._replace(start=1.0, shared=True, has_unit=True)
MOMENTUM = OFFSET._replace(start=0.5, shared=True, has_unit=False)

# Beside "alpha", which is a penalty or an offset, as the activation says.
PARAMETERS = MappingProxyType({"kappa": FACTOR, "step": STEP, "momentum": MOMENTUM})
