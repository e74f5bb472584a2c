"""What a regression returns, in units of the solver and in those of the user."""

from typing import NamedTuple

import numpy as np

SEEN = 1e-10  # share of the target that must not be lost to rounding by underflow


class Fit(NamedTuple):
    """Coefficients with their duality gap.

    Attributes
    ----------
    features : ndarray of shape (n_nonzero,)
        Features with coefficients that are not zero, in increasing order.
    values : ndarray of shape (n_nonzero,)
        Their coefficients, in units of y over units of X.
    n_features : int
        Number of all features.
    sigma : float
        Root of the weighted mean of squared residuals, in units of y.
    gap : float
        Relative duality gap: the objective exceeds its minimum by at most ``gap`` times
        the objective at zero. A pure number.
    n_iter : int
        Number of outer iterations; each solves on a working set and checks all
        features.
    """

    features: np.ndarray
    values: np.ndarray
    n_features: int
    sigma: float
    gap: float
    n_iter: int

    @property
    def coef(self):
        """All coefficients, of shape (n_features,), a new array."""
        coef = np.zeros(self.n_features)
        coef[self.features] = self.values
        return coef


def fit_of(coef, sigma, gap, n_iter):
    """Return the fit of all coefficients.

    Parameters
    ----------
    coef : ndarray of shape (n_features,)
        The coefficients.
    sigma, gap, n_iter
        As in ``Fit``.

    Returns
    -------
    fit : Fit
        The fit, which keeps those that are not zero.
    """
    return Fit(*nonzeros_of(coef), len(coef), sigma, gap, n_iter)


def nonzeros_of(coef):
    """Return the features in use, and their coefficients.

    Parameters
    ----------
    coef : ndarray of shape (n_features,) or Fit
        All coefficients, or a fit that holds those that are not zero.

    Returns
    -------
    features : ndarray of shape (n_nonzero,)
        The features, in increasing order.
    values : ndarray of shape (n_nonzero,)
        Their coefficients.
    """
    if isinstance(coef, Fit):
        return coef.features, coef.values
    on = np.flatnonzero(coef)
    return on, coef[on]


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
    on, values, dtype = fit.features, fit.values, design.dtype
    exponents, gap = exponent - design.exponents_of(on), fit.gap
    range_ = np.finfo(dtype)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        coef = np.ldexp(values, exponents)
        stored = coef.astype(dtype)
        sizes = np.abs(stored)
        if not np.all((sizes >= range_.tiny) & (sizes <= range_.max)):
            kept = np.ldexp(stored.astype(np.float64), -exponents)
            lost = np.abs(values - kept) * design.norms_of(on) / (y_norm or 1.0)
            lost[sizes >= range_.tiny] = 0.0
            refused = (lost > max(SEEN, range_.eps)) | ~np.isfinite(stored)
            _refuse(on[refused], values[refused], exponents[refused], dtype)
            gap += float(lost.sum())
    sigma = float(np.ldexp(fit.sigma, exponent))
    return fit._replace(values=coef, sigma=sigma, gap=gap)


def _refuse(features, values, exponents, dtype):
    """Raise an error for the first of coefficients that a type does not hold."""
    if len(features):
        size = np.log10(np.abs(values[0])) + np.log10(2) * int(exponents[0])
        raise ValueError(
            f"The coefficient of feature {features[0]} is about 1e{size:.0f}, out of "
            f"the range of {np.dtype(dtype).name}: use other units for X or y."
        )
