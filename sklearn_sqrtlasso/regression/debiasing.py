r"""Estimate a single coefficient without the bias of a penalty.

A node-wise regression explains column j by the others, with the same penalty for all
columns, as a square-root lasso allows. What it leaves, :math:`z_j`, hardly depends on
the other columns: the product of the residual of y with it corrects the coefficient ::

    b_j = w_j + z_j'(y - X w) / z_j'x_j ,   error about  sigma ||z_j|| / |z_j'x_j| .
"""

from copy import copy
from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.regression.relaxation import regress_relaxed, residual_of

EXPLAINED = 1e-6  # share of a column that is left where others explain it


class Corrected(NamedTuple):
    """A coefficient without the bias of the penalty.

    Attributes
    ----------
    coef : float
        The coefficient.
    spread : float
        Its standard error over that of the mean of noise: it is in units of one over X,
        and infinite where other columns explain the column.
    gap : float
        Relative duality gap of the node-wise regression.
    """

    coef: float
    spread: float
    gap: float


def correct_coefficient(design, column, place, fit, residual, grid, options):
    """Return a coefficient of a regression, corrected by a node-wise one.

    Parameters
    ----------
    design : Design
        The columns, with loadings for all of them.
    column : ndarray of shape (n_samples,)
        The column, as in X.
    place : int
        Its index.
    fit : Fit
        The regression.
    residual : tuple of (ndarray of shape (n_samples,), int)
        Its residual, weighted and centred, in units of y over a power of two, and the
        power.
    grid : tuple of (float, float)
        Penalty of the node-wise regression, and the share of it that is kept.
    options : SolverOptions
        Options of the solver.

    Returns
    -------
    corrected : Corrected
        The coefficient.
    """
    others, (alpha, phi), (r, unit) = copy(design), grid, residual
    loadings = np.broadcast_to(design.loadings, design.shape[1]).copy()
    loadings[place] = np.inf
    others.load(loadings)
    fits, _ = regress_relaxed(others, column, [alpha], np.array([phi]), options)
    z, x, own = residual_of(others, column, fits[0][0])
    size, shared = np.linalg.norm(z), z @ x
    if size <= EXPLAINED * np.linalg.norm(x) or not shared > 0:
        return Corrected(float(fit.coef[place]), np.inf, fits[0][0].gap)
    with np.errstate(over="ignore", under="ignore"):
        moved = np.ldexp(z @ r / shared, unit - own)
        spread = np.ldexp(size / shared, -own)
    return Corrected(float(fit.coef[place] + moved), float(spread), fits[0][0].gap)
