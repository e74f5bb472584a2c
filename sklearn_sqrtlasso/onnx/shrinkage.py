"""Activations and selectors as graphs, without loops.

The residual scale of a row, the root of ::

    t^2 = outside^2 + sum_i min(u_i^2, alpha_i^2 t^2) ,

is a smallest quotient. The right-hand side is a minimum over all sets A of active
entries, and so ::

    t^2 = min_A  (outside^2 + sum_{i not in A} u_i^2) / (1 - sum_{i in A} alpha_i^2)

over the sets with a positive denominator. It is attained at the entries above their
threshold, which come first when they are sorted by ``|u_i| / alpha_i``. Only as many
can be active as there are smallest penalties whose squares sum to less than one.
"""

from types import MappingProxyType

import numpy as np

from sklearn_sqrtlasso.algorithms.adaptive_shrinkage import FLOOR
from sklearn_sqrtlasso.models.activations import n_kept

ROUNDING = 1e-3  # of sums of squared penalties
LEAST_ALPHA = 1e-30  # in quotients: units without a penalty are active anyway


def most_active(alpha):
    """Return the largest number of active units, at least 1.

    Parameters
    ----------
    alpha : ndarray of shape (n_components,)
        Penalty of each unit, pure numbers.

    Returns
    -------
    k : int
        Number of smallest penalties whose squares sum to less than 1, up to rounding.
    """
    sums = np.cumsum(np.sort(alpha.astype(np.float64)) ** 2)
    return max(1, int(np.sum(sums < 1 + ROUNDING)))


def residual_scale(U, alpha, positive, outside=None):
    """Return the residual scale of each row.

    Parameters
    ----------
    U : Tensor of shape (n_rows, n_components)
        Projected rows.
    alpha : ndarray of shape (n_components,)
        Penalty of each unit, pure numbers.
    positive : bool
        Whether codes are nonnegative.
    outside : Tensor of shape (n_rows, 1), default=None
        Norm of each row outside the span; None is zero.

    Returns
    -------
    t : Tensor of shape (n_rows, 1)
        Residual scale, in units of U.
    """
    size = abs(U).largest_of_rows()
    size = size if outside is None else size.at_least(outside)
    unit = (size > 0).choose(size, 1)
    u = U / unit
    usable = u.apply("Relu") if positive else abs(u)
    ratio, energy = usable / np.maximum(alpha, LEAST_ALPHA), usable * usable
    places = ratio.largest(most_active(alpha))[1]
    room = -U.constant(alpha**2).look_up(places).running_sum() + 1
    first, whole = energy.take(places), energy.sum_of_rows()
    tail = energy.put(places, first * 0).sum_of_rows() + first.sum_of_rest()
    parts = [outside / unit] if outside is not None else []
    parts += [(-u).apply("Relu")] if positive else []
    for part in parts:  # of a row that no code can reach
        more = (part * part).sum_of_rows()
        tail, whole = tail + more, whole + more
    quotient = (room > 0).choose(tail / room, whole).least_of_rows()
    return quotient.at_most(whole).apply("Sqrt") * size


def soft(U, threshold, positive):
    """Return ``soft(U, threshold)``, or its positive part.

    Parameters
    ----------
    U : Tensor of shape (n_rows, n_components)
        Projected rows.
    threshold : Tensor
        Thresholds, of a shape that is broadcast to that of U.
    positive : bool
        Whether codes are nonnegative.

    Returns
    -------
    Z : Tensor of shape (n_rows, n_components)
        Codes.
    """
    kept = U.at_most(threshold)
    return U - (kept if positive else kept.at_least(-threshold))


def _nelu(U, p, positive):
    return soft(U, residual_scale(U, p["alpha"], positive) * p["alpha"], positive)


def _adaptive(U, p, positive):
    t = residual_scale(U, p["alpha"], positive)
    norm, shrunk = U.norm_of_rows(), t > 0
    ratio = norm / shrunk.choose(t, 1)
    thinning = (ratio * ratio + FLOOR).apply("Sqrt")
    return soft(U, t / thinning * p["kappa"], positive)


def _soft(U, p, positive):
    return soft(U, U.constant(p["alpha"]), positive)


def _topk(U, p, positive):
    size = U.apply("Relu") if positive else abs(U)
    bound = size.largest(n_kept(p["alpha"], len(p["alpha"])))[0].least_of_rows()
    return ((size >= bound) & (size > 0)).choose(U, 0)


def largest_entries(U, k, positive):
    """Return rows with all but their k largest entries set to zero.

    Parameters
    ----------
    U : Tensor of shape (n_rows, n_components)
        Projected rows.
    k : int
        Number of entries to keep.
    positive : bool
        Whether codes are nonnegative.

    Returns
    -------
    Z : Tensor of shape (n_rows, n_components)
        Codes; of equal entries, the first are kept.
    """
    places = (U if positive else abs(U)).largest(k)[1]
    kept = U.take(places)
    return (U - U).put(places, kept.apply("Relu") if positive else kept)


def _kept_entries(C, options):
    return largest_entries(C, options.n_nonzero, options.positive)


def _thresholded(C, options):
    threshold = C.constant(options.alpha)
    return soft(C, threshold, options.positive)


def _sigmoid(V):
    return V.constant(1) / ((-V).apply("Exp") + 1)


def _two_values(low):
    def value(V):
        return (V >= 0).choose(V.constant(1), low)

    return value


POINTWISE_GRAPHS = MappingProxyType(
    {
        "relu": lambda V: V.apply("Relu"),
        "helu": lambda V: V.apply("Relu"),
        "identity": lambda V: V,
        "sigmoid": _sigmoid,
        "tanh": lambda V: V.apply("Tanh"),
        "sign": _two_values(-1),
    }
)
bits = _two_values(0)
SELECTOR_GRAPHS = MappingProxyType({"topk": _kept_entries, "threshold": _thresholded})


def _with_offset(value):
    return lambda U, p, positive: value(U - p["alpha"])


ACTIVATION_GRAPHS = MappingProxyType(
    {
        "nelu": _nelu,
        "nelu_adaptive": _adaptive,
        "nelu_helu": _nelu,
        "soft": _soft,
        "topk": _topk,
        **{name: _with_offset(value) for name, value in POINTWISE_GRAPHS.items()},
    }
)
