"""What a regression returns, in units of the solver and in those of the user."""

from typing import NamedTuple

import numpy as np

SEEN = 1e-10  # share of the target that must not be lost to rounding by underflow


class Fit(NamedTuple):
    """Coefficients with their duality gap.

    Attributes
    ----------
    coef : ndarray of shape (n_features,)
        Coefficients, in units of y over units of X.
    sigma : float
        Root of the weighted mean of squared residuals, in units of y.
    gap : float
        Relative duality gap: the objective exceeds its minimum by at most ``gap`` times
        the objective at zero. A pure number.
    n_iter : int
        Number of outer iterations; each solves on a working set and checks all
        features.
    """

    coef: np.ndarray
    sigma: float
    gap: float
    n_iter: int


def in_given_units(design, fit, exponent, y_norm):
    """Return a fit in units of y and X, whose numbers may be out of range.

    What coefficients lose where they are rounded to numbers below the normal ones is
    added to the gap.

    Parameters
    ----------
    design : Design or MomentDesign
        The columns.
    fit : Fit
        In units of the design, and of ``2**exponent`` for the target.
    exponent : int
        Binary exponent of the unit of the target.
    y_norm : float
        Norm of the target in that unit.

    Returns
    -------
    fit : Fit
        In units of y and X.

    Raises
    ------
    ValueError
        If a coefficient is out of the range of the dtype of X, and that can be seen.
    """
    on, dtype = np.flatnonzero(fit.coef), design.dtype
    values, exponents = fit.coef[on], exponent - design.exponents[on]
    coef, gap, range_ = np.zeros_like(fit.coef), fit.gap, np.finfo(dtype)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        coef[on] = np.ldexp(values, exponents)
        stored = coef[on].astype(dtype)
        sizes = np.abs(stored)
        if not np.all((sizes >= range_.tiny) & (sizes <= range_.max)):
            kept = np.ldexp(stored.astype(np.float64), -exponents)
            lost = np.abs(values - kept) * design.norms[on] / (y_norm or 1.0)
            lost[sizes >= range_.tiny] = 0.0
            refused = (lost > max(SEEN, range_.eps)) | ~np.isfinite(stored)
            _refuse(on[refused], values[refused], exponents[refused], dtype)
            gap += float(lost.sum())
    return fit._replace(coef=coef, sigma=float(np.ldexp(fit.sigma, exponent)), gap=gap)


def _refuse(features, values, exponents, dtype):
    """Raise an error for the first of coefficients that a type does not hold."""
    if len(features):
        size = np.log10(np.abs(values[0])) + np.log10(2) * int(exponents[0])
        raise ValueError(
            f"The coefficient of feature {features[0]} is about 1e{size:.0f}, out of "
            f"the range of {np.dtype(dtype).name}: use other units for X or y."
        )
