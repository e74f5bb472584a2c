"""Selectors of the atoms that code a row, and the table of their properties.

To add one, write a function ``(rows, dictionary, options) -> Solution`` and add it to
``SELECTORS``. Constraints, error messages, tests and documentation are generated from
that table.
"""

import math
from collections.abc import Callable
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import norm as gaussian

from sklearn_sqrtlasso.algorithms.matching_pursuit import match_rows
from sklearn_sqrtlasso.algorithms.refit import threshold_and_invert
from sklearn_sqrtlasso.sparse_coding.dictionary import Solution
from sklearn_sqrtlasso.sparse_coding.lasso import solve_lassos
from sklearn_sqrtlasso.sparse_coding.relaxed_lasso import relax

FEW_FEATURES = 1024  # up to which the usual penalty is that of Gaussian noise
LARGEST = 1e150  # cap of penalties, where all codes are zero and squares are finite


class Selector(NamedTuple):
    """A method that selects the atoms of a row, and its properties.

    Attributes
    ----------
    select : callable, (rows, dictionary, options) -> Solution
        Returns the codes of rows.
    summary : str
        Objective or algorithm, in reStructuredText.
    alpha_unit : {"pure", "correlation", "data"} or None
        Unit of ``alpha``: a pure number for atoms of unit norm, that of ``x D'``, or
        that of the rows; None if ``alpha`` is not used.
    pivotal : bool
        Whether a penalty can be chosen from pure noise, whatever its level.
    takes_count : {"never", "optional", "required"}
        Whether ``n_nonzero_coefs`` may be given, or decides in any case.
    takes_outliers : bool
        Whether outliers can be coded with the row, as further atoms: ``alpha`` is a
        pure number, and codes minimise a norm.
    certified : bool
        Whether codes minimise a convex objective and have a duality gap.
    auto_alpha : callable, (shape, size) -> float, or None
        Penalty for as many atoms of unit norm and features as ``shape`` says, and rows
        of root mean square ``size``, which suits data that nothing is known of; None if
        ``auto_count`` decides, or neither.
    auto_count : bool
        Whether ``usual_count`` decides if neither a number of atoms nor a penalty is
        given.
    closed_form : bool
        Whether codes are a formula of ``x D'``, the same for every dictionary, which
        can be exported to a graph of array operations. Codes of activations, bits and
        decoders always are; only a selector can need a solver.
    """

    select: Callable[..., Solution]
    summary: str
    alpha_unit: Literal["pure", "correlation", "data"] | None
    pivotal: bool = False
    takes_count: Literal["never", "optional", "required"] = "never"
    takes_outliers: bool = False
    certified: bool = False
    auto_alpha: Callable[[tuple[int, int], float], float] | None = None
    auto_count: bool = False
    closed_form: bool = False


def usual_count(n_features):
    """Return a number of atoms that suits rows that nothing is known of."""
    return max(2, -(-n_features // 4))


def _pure_alpha(shape, size):
    """Return a multiple of the usual correlation of an atom with a residual.

    It is that of Gaussian noise, but for fewer atoms than many features: what rows of
    words have in common with atoms does not fall as fast as their number rises.
    """
    n_components, n_features = shape
    n_usual = max(FEW_FEATURES, math.sqrt(n_components * n_features))
    alpha = 1.2 / math.sqrt(min(n_features, n_usual))
    return min(alpha, 0.9)  # at 1 all codes can be zero


def _alpha_of_size(shape, size):
    return size / 3  # the pure penalty for a residual of 0.28 of the row


def _scaled(alpha, rows):
    """Return a penalty in units of the data, scaled like each row."""
    with np.errstate(over="ignore"):
        return np.minimum(float(alpha) / rows.unit, LARGEST)


def _solve(rows, dictionary, options, root):
    alpha = np.full(len(rows.X), options.alpha)
    alpha = alpha if root else _scaled(options.alpha, rows)
    found = solve_lassos(rows.X, dictionary, rows.C, alpha, root, options)
    mu = alpha * found.norm if root else alpha
    return Solution(found.Z, found.gap, mu, fit=found.fit)


def lasso(rows, dictionary, options):
    """Minimise ``1/2 ||x - z D||^2 + alpha ||z||_1``."""
    return _solve(rows, dictionary, options, root=False)


def sqrt_lasso(rows, dictionary, options):
    """Minimise ``||x - z D|| + alpha ||z||_1``."""
    return _solve(rows, dictionary, options, root=True)


def _pursue(rows, dictionary, options, recursive):
    most = options.n_nonzero or min(dictionary.D.shape)
    residual_energy = np.zeros(len(rows.X))
    if not options.n_nonzero:
        residual_energy = _scaled(options.alpha, rows) ** 2
    Z = np.empty_like(rows.C)
    match_rows(
        dictionary.G, rows.C, rows.energy, min(most, *dictionary.D.shape),
        residual_energy, recursive, options.positive, Z,
    )  # fmt: skip
    return _least_squares(rows, dictionary, options, Z)


def _least_squares(rows, dictionary, options, Z):
    """Return least-squares codes, refitted to nonnegative ones if ``positive``."""
    if options.positive:
        Z = relax(rows, dictionary, Solution(Z, None), options._replace(phi=0.0))
    return Solution(Z, np.zeros(len(Z)), refitted=True)


def omp(rows, dictionary, options):
    """Select one by one the atom that correlates most with the residual."""
    return _pursue(rows, dictionary, options, recursive=False)


def ols(rows, dictionary, options):
    """Select one by one the atom that lowers the residual most."""
    return _pursue(rows, dictionary, options, recursive=True)


def topk(rows, dictionary, options):
    """Keep the largest entries of ``x D'``."""
    sizes = rows.C if options.positive else np.abs(rows.C)
    k = min(options.n_nonzero, sizes.shape[1])
    places = np.argpartition(sizes, -k, axis=1)[:, -k:]
    Z = np.zeros_like(rows.C)
    kept = np.take_along_axis(rows.C, places, axis=1)
    kept = np.maximum(kept, 0) if options.positive else kept
    np.put_along_axis(Z, places, kept, axis=1)
    return Solution(Z, np.zeros(len(Z)))


def threshold(rows, dictionary, options):
    """Soft-threshold the entries of ``x D'`` at ``alpha``."""
    sizes = rows.C if options.positive else np.abs(rows.C)
    sizes = np.maximum(sizes - _scaled(options.alpha, rows)[:, None], 0)
    return Solution(np.copysign(sizes, rows.C) + 0.0, np.zeros(len(sizes)))


# False alarm rates tuned for each n_features / n_components (Maleki 2009).
FALSE_ALARMS = MappingProxyType(
    {
        "delta": (0.05, 0.11, 0.21, 0.41, 0.5, 0.6, 0.7, 0.8, 0.93),
        "rate": (0.0015, 0.002, 0.004, 0.011, 0.015, 0.02, 0.027, 0.035, 0.043),
    }
)
NORMAL_MEDIAN = 0.6745  # of the absolute value of a standard Gaussian


def iti(rows, dictionary, options):
    """Threshold ``z + (x - z D) D'`` and refit until the support repeats.

    The threshold is tuned to the shape of the dictionary, in units of the correlations
    of the residual; with ``n_nonzero``, that many entries are kept instead.
    """
    p, n = dictionary.D.shape
    rate = np.interp(n / p, FALSE_ALARMS["delta"], FALSE_ALARMS["rate"])
    factor = float(gaussian.isf(rate / 2) / NORMAL_MEDIAN)
    Z, n_iter = np.empty_like(rows.C), np.empty(len(rows.X), np.int64)
    most = min(options.n_nonzero or n, n, p)
    k = most if options.n_nonzero else 0
    threshold_and_invert(
        dictionary.G, rows.C, most, k, factor, options.positive, options.max_iter,
        Z, n_iter,
    )  # fmt: skip
    gap = np.where(n_iter < options.max_iter, 0.0, np.inf)
    return _least_squares(rows, dictionary, options, Z)._replace(gap=gap)


SELECTORS: MappingProxyType[str, Selector] = MappingProxyType(
    {
        "sqrt_lasso": Selector(
            sqrt_lasso,
            r":math:`\min_z \|x - zD\|_2 + \alpha \|z\|_1`",
            alpha_unit="pure",
            pivotal=True,
            takes_outliers=True,
            certified=True,
            auto_alpha=_pure_alpha,
        ),
        "lasso": Selector(
            lasso,
            r":math:`\min_z \tfrac12\|x - zD\|_2^2 + \alpha \|z\|_1`",
            alpha_unit="correlation",
            certified=True,
            auto_alpha=_alpha_of_size,
        ),
        "omp": Selector(
            omp,
            "orthogonal matching pursuit, ``n_nonzero_coefs`` atoms, or as many as "
            r"bring the norm of the residual down to :math:`\alpha`",
            alpha_unit="data",
            takes_count="optional",
            auto_count=True,
        ),
        "ols": Selector(
            ols,
            "orthogonal least squares: the same, each time by the atom that lowers the "
            "residual most",
            alpha_unit="data",
            takes_count="optional",
            auto_count=True,
        ),
        "topk": Selector(
            topk,
            r"the ``n_nonzero_coefs`` largest entries of :math:`xD^\top`",
            alpha_unit=None,
            takes_count="required",
            auto_count=True,
            closed_form=True,
        ),
        "iti": Selector(
            iti,
            "iterative thresholding with inversion, of ``n_nonzero_coefs`` entries, or "
            "by a threshold tuned to random atoms",
            alpha_unit=None,
            takes_count="optional",
        ),
        "threshold": Selector(
            threshold,
            r":math:`\operatorname{soft}(x D^\top, \alpha)`",
            alpha_unit="correlation",
            auto_alpha=_alpha_of_size,
            closed_form=True,
        ),
    }
)
