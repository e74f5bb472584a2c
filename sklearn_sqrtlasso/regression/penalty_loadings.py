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
from sklearn_sqrtlasso.regression.fit import fit_of
from sklearn_sqrtlasso.regression.relaxation import residual_of

MOST = 15  # turns, as in the package hdm
AT_ONCE = 2**16  # loadings that are compared at a time
SETTLED = 1e-6  # relative change of loadings from which they count as found
LEAST = 1e-6  # loading, over the root mean square of its column
VANISHED = 1e-8  # share of the target that is left where nothing is


def column_sizes(design):
    """Return root mean squares of (centred) columns in units of X, 1 for constants."""
    design.measure_exactly()
    sizes = np.empty(design.shape[1])
    for part in design.slices():
        sizes[part] = _sizes_of(design, part)
    return sizes


def _sizes_of(design, part):
    """Return root mean squares of some columns, whose norms are exact."""
    sizes = np.ldexp(design.norms_of(part), design.exponents_of(part))
    sizes[sizes == 0] = 1.0
    return sizes


def _mean_squares(design, energies):
    """Return weighted means of squares of columns times energies of rows."""
    total = np.zeros(design.shape[1])
    if not sp.issparse(design.X):
        first = 0
        for part in AllColumns(design):
            total += energies[first : first + len(part)] @ part**2
            first += len(part)
        return total
    root = design.sqrt_weights
    energies_of_ones = root**2 @ energies
    for part in design.slices():
        block, means = design.columns(part)
        mixed, squares = block.T @ (energies * root), block.multiply(block).T @ energies
        total[part] = squares + means * (means * energies_of_ones - 2 * mixed)
    return np.maximum(total, 0.0, out=total)


def loadings_of(design, y, coef):
    r"""Return :math:`\sqrt{\sum_i v_i x_{ij}^2 r_i^2 / \sum_i v_i r_i^2}`.

    Parameters
    ----------
    design : Design
        The columns :math:`x_j`, with weights v.
    y : ndarray of shape (n_samples,)
        Target, neither centred nor weighted.
    coef : ndarray of shape (n_features,) or Fit
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
    loadings = _mean_squares(design, (r / design.sqrt_weights) ** 2 / square)
    design.measure_exactly()
    for part in design.slices():
        given = np.ldexp(np.sqrt(loadings[part]), design.exponents_of(part))
        loadings[part] = np.maximum(given, LEAST * _sizes_of(design, part))
    return loadings


def _agree(one, other):
    """Return whether loadings have settled."""
    parts = (
        (one[at : at + AT_ONCE], other[at : at + AT_ONCE])
        for at in range(0, len(one), AT_ONCE)
    )
    return all(np.all(np.abs(a - b) <= SETTLED * b) for a, b in parts)


def regress_with_loadings(design, y, solve):
    """Estimate loadings and residuals in turns, until they agree.

    The first residuals are the target. The design is left with the loadings of the fit.

    Parameters
    ----------
    design : Design
        The columns.
    y : ndarray of shape (n_samples,)
        Target, neither centred nor weighted.
    solve : callable, (Fit) -> (Fit, float)
        Solves with the loadings of the design, from the coefficients of a fit.

    Returns
    -------
    fit : Fit
        The fit.
    intercept : float
        Its intercept.
    """
    design.load(1.0)  # whose memory others take
    design.load(column_sizes(design))
    fit = fit_of(np.empty(0), 0.0, 0.0, 0)  # of no features in use
    for _ in range(MOST):
        new = loadings_of(design, y, fit)
        is_last = new is None or _agree(new, design.loadings)
        if new is not None:
            design.load(new)
        del new
        fit, intercept = solve(fit)
        if is_last:
            break
    return fit, intercept
