"""Predict whether many columns are going to be in use: moments are faster then.

By rows, a fit with many columns in use gathers the products of these, and more of them
as it goes. A path on products of all columns, which are gathered once, takes a third of
the time then; where few are in use, it takes many times as long.
"""

import numpy as np
from scipy.special import erfc

from sklearn_sqrtlasso.regression.solver import regress, regression_alpha_max

USED = 1 / 3  # of the columns, from which moments are faster
BEFORE = 1 / 8  # of the columns in use at a larger penalty, where more are to come
NEAR = 1e-2  # relative duality gap of fits for larger penalties


def share_for_noise(design, alpha):
    """Return the share of the columns that noise brings into use at a penalty.

    Independent columns correlate with noise like normal numbers. Of columns that are
    alike, fewer are in use.

    Parameters
    ----------
    design : Design
        The columns.
    alpha : float
        Penalty, in units of X.

    Returns
    -------
    share : float
        In [0, 1].
    """
    live = design.live
    if not live.any():
        return 0.0
    sizes = design.penalties(alpha)[:][live] / design.norms_of(slice(None))[live]
    return float(erfc(np.sqrt(design.rank / 2) * sizes).sum() / len(live))


def approach(design, y, alpha, options):
    """Follow a few larger penalties, until many columns are in use.

    Parameters
    ----------
    design : Design
        The columns.
    y : ndarray of shape (n_samples,)
        Target.
    alpha : float
        Penalty, in units of X.
    options : SolverOptions
        Options of the solver.

    Returns
    -------
    many : bool
        Whether moments are faster for the penalty itself. False if columns are no fewer
        than rows.
    fit : Fit or None
        Fit to start from, at a penalty that is larger; None if there is none.
    """
    if alpha <= 0 or design.is_small or design.rank <= design.shape[1]:
        return False, None
    expected = share_for_noise(design, alpha)
    if expected <= USED:
        return False, None
    top = regression_alpha_max(design, y, options.positive)
    alphas = top / 2.0 ** np.arange(1, np.ceil(np.log2(max(top / alpha, 1))))

    def uses_many(fit, intercept):
        return len(fit.features) > BEFORE * fit.n_features

    options = options._replace(tol=max(options.tol, NEAR), ends=uses_many)
    try:
        fits, _ = regress(design, y, alphas, options)
    except ValueError:  # coefficients that are smaller than those that are asked for
        return False, None
    if not fits:
        return False, None
    share = len(fits[-1].features) / design.shape[1]
    before = share_for_noise(design, alphas[len(fits) - 1])
    # As many of those to come are in use as of those that noise would have used.
    more = (expected - before) * (share / before if share < before else 1.0)
    return share + more > USED, fits[-1]
