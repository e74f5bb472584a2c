"""Pivotal penalties of a regression: simulated, or in closed form."""

import numpy as np
import scipy.sparse as sp
from scipy.special import ndtri

from sklearn_sqrtlasso.regression.noise_columns import (
    DenseColumns,
    factored_columns,
    noise_columns,
)
from sklearn_sqrtlasso.regression.noise_peaks import Peaks, peak_quantile

BY_PRODUCTS = 256  # largest number of features for draws by their products
FEW = 128  # of them, if they outnumber the rows
MOST_ROWS = 2.0**53  # sum of weights that count; larger floats are all integers
SLACK = 1.1  # the constant c > 1 of the theory


def asymptotic_level(n_features, n_rows, confidence):
    r"""Return :math:`1.1\, \Phi^{-1}(1 - q/(2p)) / \sqrt n`, for standard columns.

    Parameters
    ----------
    n_features : int
        Number p of columns, of root mean square one.
    n_rows : float
        Number n of rows.
    confidence : float
        One minus q, in (0, 1).

    Returns
    -------
    level : float
        A pure number.
    """
    return float(
        SLACK * ndtri(1 - (1 - confidence) / (2 * n_features)) / np.sqrt(n_rows)
    )


def asymptotic_alpha(design, n_rows, confidence):
    r"""Return the closed form :math:`1.1\, \Phi^{-1}(1 - q/(2p)) / \sqrt n`.

    It holds for columns of root mean square one; else it is scaled by the largest.

    Parameters
    ----------
    design : Design
        The columns.
    n_rows : float
        Number n of rows, the sum of their weights.
    confidence : float
        One minus q, in (0, 1).

    Returns
    -------
    alpha : float
        Penalty, in units of X.
    """
    level = asymptotic_level(design.shape[1], n_rows, confidence)
    return level * design.largest_norm()


def counted_rows(weights):
    """Return the number of rows that weights stand for.

    Parameters
    ----------
    weights : ndarray of shape (n_samples,)
        Weights, at least 0. Integers count rows, up to a sum of 2**53. Others only say
        how rows compare: the variance of their noise is inversely proportional to them.

    Returns
    -------
    n_rows : float
        Sum of counts, or the number of positive weights.
    """
    if (weights == np.rint(weights)).all():
        with np.errstate(over="ignore"):
            total = float(weights.sum())
        if total <= MOST_ROWS:
            return total
    return float(np.count_nonzero(weights))


def simulated_alpha(design, n_rows, confidence, positive, rng):
    r"""Return the quantile of :math:`\|X^\top g\|_\infty / (\sqrt n \|g\|_2)`.

    The noise g is Gaussian, centred if the columns are. At larger penalties all
    coefficients of pure noise of any level are zero. A row of weight k counts as k rows
    with independent noise: up to rounding for few columns, which are drawn by their
    products; else up to the accuracy of the simulation.

    The standard error of the simulation is at most .3 %; for columns that are all much
    alike, .4-.8 % for 100 to 256 of them, and 1-2 % for more. Where 1024 rows or more
    are drawn from a sketch, it is about .3 % more.

    Parameters
    ----------
    design : Design
        The columns.
    n_rows : float
        Number n of rows, the sum of their weights.
    confidence : float
        Probability, in (0, 1).
    positive : bool
        Whether coefficients are nonnegative.
    rng : Generator
        Source of the draws.

    Returns
    -------
    alpha : float
        Penalty, in units of X.
    """
    freedom = int(n_rows) - design.fit_intercept
    exponent, level = design.largest_unit(), 1 - confidence
    norms = design.norms_in_units_of_x(exponent)
    if not norms.any() or freedom < 2:
        return design.largest_norm()
    features, peaks = slice(0, len(norms)), None
    if design.has_rows and sp.issparse(design.X):  # whose norms are not estimates
        peaks = Peaks(norms, freedom, level, positive)
        features = peaks.leaders(norms)
    del norms  # they may take as much memory as X
    columns = _columns(design, features, freedom, rng)
    columns.scale(lambda part: design.in_units_of_x(1.0, exponent, part), features)
    del features
    peaks = peaks or Peaks(columns.norms, freedom, level, positive)
    return float(np.ldexp(peak_quantile(peaks, columns, rng), exponent))


def _columns(design, features, freedom, rng):
    """Return columns with about the same products, the cheapest."""
    if isinstance(features, slice):
        features = np.arange(features.stop)
    p = len(features)
    if not design.has_rows:
        if p > freedom and len(design.factor) <= freedom:
            return DenseColumns(design.factor, design.norms.copy())
        columns = factored_columns(design.cosines, freedom)
        columns.scale(lambda part: design.norms[part], slice(0, p))
        return columns
    if p <= BY_PRODUCTS and (p <= freedom or p <= FEW):
        return factored_columns(design.products(features), freedom)
    return noise_columns(design, features, rng)
