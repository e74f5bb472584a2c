"""Refusals of valid arguments that are documented, and when they are right.

A condition is computed from what was given, in extended precision, and asks the package
for nothing but what an earlier fit has left.
"""

import re
from typing import NamedTuple

import numpy as np

from tests.fuzz import arrays
from tests.fuzz.judges import size, wide

FACTORS = {"f8": wide(1e50), "f4": wide(1e15)}  # sizes of targets and noise over rows
ATOMS = {"f8": wide(1e50), "f4": wide(1e10)}  # largest entries, and their inverse
LEARNABLE = {"f8": wide(1e154), "f4": wide(1e19)}  # sizes whose squares are numbers
PACE = 32  # by which the unit of a batch may differ from its size
SHY = 1 + 1e-6  # rounding at the limits
PURE = ("sigmoid", "tanh", "sign")  # activations whose codes have no unit


class Call(NamedTuple):
    """A call that was refused.

    Attributes
    ----------
    coder : estimator
        As it was before the call, and is after it.
    X : ndarray
        Rows, in double precision.
    kind : str
        Dtype that the package computes in.
    extra : dict
        Keyword arguments.
    resumes : bool
        Whether learning would have gone on.
    """

    coder: object
    X: np.ndarray
    kind: str
    extra: dict
    resumes: bool

    def target(self, name):
        """Return targets in double precision, None if there are none."""
        given = self.extra.get(name)
        return None if given is None else arrays.dense(given).astype(self.kind)


def root_mean_square(X):
    """Return the root mean square of all entries in extended precision."""
    return np.sqrt(np.mean(X.astype(wide) ** 2))


def apart(one, two, factor):
    """Return whether two positive numbers differ by at least about a factor."""
    if one == 0 or two == 0:
        return False
    return bool(one * factor <= two * SHY or two * factor <= one * SHY)


def _has_no_map(call):
    nothing = size(call.X) == 0 or size(call.target("Z")) == 0
    return nothing and not call.resumes


def _far(name):
    def is_far(call):
        pure = name == "Z" and call.coder.activation in PURE
        usual = wide(1) if pure else root_mean_square(call.X)
        return apart(root_mean_square(call.target(name)), usual, FACTORS[call.kind])

    return is_far


def _noise_is_far(call):
    sizes = [root_mean_square(call.X)]
    targets = (call.target(name) for name in ("X_clean", "Z"))
    sizes += [root_mean_square(of) for of in targets if of is not None]
    if not any(sizes):  # rows of the size of those before
        sizes = [call.coder.unit_ if call.resumes else 1]
    usual = next(wide(of) for of in sizes if of)
    bounds = np.atleast_1d(call.coder.noise_std)
    return any(apart(wide(b), usual, FACTORS[call.kind] / PACE) for b in bounds)


def _atoms_are_far(call):
    largest = wide(size(call.coder.dictionary))
    return apart(largest, wide(1), ATOMS[call.kind])


def _is_out_of_range(call):
    sizes = [
        wide(size(of)) for of in (call.X, call.target("X_clean")) if of is not None
    ]
    if call.resumes:  # what was learnt from rows of another size
        sizes += [wide(call.coder.unit_), wide(size(call.coder.decoder_))]
    return any(apart(of, wide(1), LEARNABLE[call.kind]) for of in sizes)


def _mean_is_large(call):
    return call.kind == "f4" and size(call.coder.mean_) > np.finfo("f4").max


def _is_near_the_top(call):
    with np.errstate(invalid="ignore"):
        largest = np.nanmax(np.abs(call.X), initial=0)
    return largest * 2.0**20 * SHY > np.finfo(call.kind).max


REFUSALS = {
    r"X and Z must not be all zero in a first fit": _has_no_map,
    r"Z must have entries within a factor": _far("Z"),
    r"X_clean must have entries within a factor": _far("X_clean"),
    r"noise_std must be within a factor": _noise_is_far,
    r"dictionary must have a largest entry in": _atoms_are_far,
    r"X must have entries up to": _is_near_the_top,
    r"X must have dtype float64": _mean_is_large,
    r"The learnt parameters are out of the range": _is_out_of_range,
}


def is_right(error, coder, method, given, extra):
    """Return whether an error is a documented refusal, for a condition that holds.

    Parameters
    ----------
    error : Exception
        What was raised.
    coder : estimator
        Estimator, as it was before the call.
    method : str
        Name of the method.
    given : array-like or sparse matrix
        Rows.
    extra : dict
        Keyword arguments.

    Returns
    -------
    is_right : bool
        False for all other errors.
    """
    for words, holds in REFUSALS.items():
        if re.match(words, str(error)):
            single = getattr(given, "dtype", None) == np.float32
            warm = method == "partial_fit" or getattr(coder, "warm_start", False)
            resumes = warm and hasattr(coder, "components_")
            kind = "f4" if single else "f8"
            return holds(Call(coder, arrays.dense(given), kind, extra, resumes))
    return False
