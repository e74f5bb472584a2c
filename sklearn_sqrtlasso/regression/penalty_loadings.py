r"""Penalty loadings of a regression whose noise differs from row to row.

With noise e of any variance, the correlation of a column :math:`x_j` with it scatters
by the root of :math:`\mathrm{E}\, x_j^2 e^2`. A coefficient is penalised in proportion
to it, relative to the noise level ::

    loading_j = sqrt(mean(x_j^2 e^2) / mean(e^2)) ,

which is the root mean square of the column if the noise does not depend on it. As the
noise is unknown, loadings and residuals are computed in turns.
"""

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.regression.design import AllColumns
from sklearn_sqrtlasso.regression.relaxation import residual_of

MOST = 15  # turns, as in the package hdm
SETTLED = 1e-6  # relative change of loadings from which they count as found
LEAST = 1e-6  # loading, over the root mean square of its column
COLUMNS = 4096  # of a sparse design, that are squared at a time
VANISHED = 1e-8  # share of the target that is left where nothing is


def column_sizes(design):
    """Return root mean squares of (centred) columns in units of X, 1 for constants."""
    norms = design.measure_exactly().norms
    sizes = np.ldexp(norms, design.exponents)
    sizes[sizes == 0] = 1.0
    return sizes


def _mean_squares(design, energies):
    """Return weighted means of squares of columns times energies of rows."""
    if not sp.issparse(design.X):
        total, first = np.zeros(design.shape[1]), 0
        for part in AllColumns(design):
            total += energies[first : first + len(part)] @ part**2
            first += len(part)
        return total
    total, root = [], design.sqrt_weights
    for first in range(0, design.shape[1], COLUMNS):
        features = np.arange(first, min(first + COLUMNS, design.shape[1]))
        block, means = design.columns(features)
        mixed, squares = block.T @ (energies * root), block.multiply(block).T @ energies
        total.append(squares + means * (means * (root**2 @ energies) - 2 * mixed))
    return np.maximum(np.concatenate(total), 0.0)


def loadings_of(design, y, coef):
    r"""Return :math:`\sqrt{\sum_i v_i x_{ij}^2 r_i^2 / \sum_i v_i r_i^2}`.

    Parameters
    ----------
    design : Design
        The columns :math:`x_j`, with weights v.
    y : ndarray of shape (n_samples,)
        Target, neither centred nor weighted.
    coef : ndarray of shape (n_features,)
        Coefficients, of which r are the residuals.

    Returns
    -------
    loadings : ndarray of shape (n_features,) or None
        The loadings, positive, in units of X. None if the residuals vanish.
    """
    r, y, _ = residual_of(design, y, coef)
    square = r @ r
    if square <= VANISHED**2 * (y @ y):
        return None
    means = _mean_squares(design, (r / design.sqrt_weights) ** 2 / square)
    sizes = column_sizes(design)
    return np.maximum(np.ldexp(np.sqrt(means), design.exponents), LEAST * sizes)


def regress_with_loadings(design, y, solve):
    """Estimate loadings and residuals in turns, until they agree.

    The first residuals are the target. The design is left with the loadings of the fit.

    Parameters
    ----------
    design : Design
        The columns.
    y : ndarray of shape (n_samples,)
        Target, neither centred nor weighted.
    solve : callable, (coef) -> (Fit, float)
        Solves with the loadings of the design, from the coefficients given.

    Returns
    -------
    fit : Fit
        The fit.
    intercept : float
        Its intercept.
    """
    coef, before = np.zeros(design.shape[1]), column_sizes(design)
    for _ in range(MOST):
        new = loadings_of(design, y, coef)
        loadings = before if new is None else new
        design.load(loadings)
        fit, intercept = solve(coef)
        if new is None or np.all(np.abs(loadings - before) <= SETTLED * before):
            break
        coef, before = fit.coef, loadings
    return fit, intercept
