"""Follow the path of penalties of a regression on the moments of its rows."""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.algorithms.active_set import follow_gram_path
from sklearn_sqrtlasso.algorithms.gram_path import (
    all_products,
    allocate,
    solve_gram_path,
)
from sklearn_sqrtlasso.regression.moments import (
    COMBINATIONS,
    errors_of_correlations,
    gaps_of_moments,
    products_of_path,
)
from sklearn_sqrtlasso.regression.working_set import SPANNED

FEW = 100  # features whose products take no time beside a path
WIDE = 1000  # number of features up to which products of all of them are gathered
NARROW = 256  # the same where features outnumber rows, of which products take more
LONG = 8  # rows for each feature, from which products of all folds are few numbers
WIDER = 4  # features for each row up to which products are faster
LEAST = 1e-6  # ratio of penalties below which products have too few digits
DIGITS = 1e-6  # largest share of a squared error that rounding may hide


class MomentPath(NamedTuple):
    """Coefficients for a sequence of penalties, from moments.

    Attributes
    ----------
    coef : ndarray of shape (n_alphas, n_features)
        Coefficients, in units of y over units of X.
    gaps : ndarray of shape (n_alphas,)
        Upper bounds of the relative duality gaps.
    least : ndarray of shape (n_alphas, n_features)
        Coefficients of least squares on their supports.
    squares, lost : ndarray of shape (n_alphas,)
        Squared residuals, as shares of that of the target, and their rounding errors.
    """

    coef: np.ndarray
    gaps: np.ndarray
    least: np.ndarray
    squares: np.ndarray
    lost: np.ndarray


def gathers_products(n_rows, n_features, relaxes=True):
    """Return whether many penalties are faster by products of all columns.

    Parameters
    ----------
    n_rows, n_features : int
        Numbers of rows of a fit, and of their features.
    relaxes : bool, default=True
        Whether fits are relaxed, too, which products of all columns serve at once.

    Returns
    -------
    gathers : bool
        False for many features, and for fewer where they outnumber the rows: there the
        residual vanishes at penalties that are left to the rows.
    """
    if n_rows > n_features:
        return n_features <= WIDE
    return relaxes and n_features <= min(NARROW, WIDER * n_rows)


def follow_products(G, b, penalties, alphas, positive, most, walks=True):
    """Return solutions by products of columns and target, all of norm one.

    Parameters
    ----------
    G : ndarray of shape (n_features, n_features)
        Products of the columns, zero for those that are left out.
    b : ndarray of shape (n_features,)
        Their products with the target.
    penalties : ndarray of shape (n_features,)
        Penalty of each coefficient, as a multiple, in (0, inf).
    alphas : ndarray of shape (n_alphas,)
        Penalties, positive and in decreasing order.
    positive : bool
        Whether coefficients are nonnegative.
    most : int
        Largest number of steps of the path.
    walks : bool, default=True
        Whether breakpoints are followed one by one where Newton steps fail.

    Returns
    -------
    path : MomentPath
        The path in these units; zeros with infinite gaps from where it was not reached,
        as there is none without digits.
    """
    found, bounds = (
        np.zeros((3, len(alphas), len(b))),
        np.full((3, len(alphas)), np.inf),
    )
    path = MomentPath(found[0], bounds[0], found[1], *bounds[1:])
    given = b, penalties, alphas, bool(positive), most
    n_reached, n_active, left, _ = solve_gram_path(
        all_products(G), *given, found, allocate(len(b))
    )
    is_short = n_reached < len(alphas) and n_active <= most
    walks = walks and is_short and left > SPANNED  # columns are nearly dependent
    if walks:
        found[:2] = 0.0
        n_reached = follow_gram_path(np.ascontiguousarray(G), *given, *found[:2])
    coef, _, c = found[:, :n_reached]
    if not walks and n_reached > COMBINATIONS and len(b) > FEW:
        apart = errors_of_correlations(coef, G, b, c)
    else:
        np.subtract(b, products_of_path(coef, G), out=c)
        apart = 0.0
    given = coef, b, c, alphas[:n_reached], penalties, positive
    bounds[:, :n_reached] = gaps_of_moments(*given, apart)
    return path


def count_exact(gaps, mse, lost, tol):
    """Return how many fits of a path, the first ones, have enough digits.

    Parameters
    ----------
    gaps : ndarray of shape (n_alphas,)
        Their relative duality gaps.
    mse, lost : ndarray of shape (n_phis, n_alphas)
        Squared errors of them, or of what they are relaxed to, and bounds of what
        rounding hides.
    tol : float
        Relative duality gap of a fit that is solved.

    Returns
    -------
    n_exact : int
        Their number.
    """
    exact = (gaps <= tol) & np.all(lost <= DIGITS * mse, axis=0)
    return int(np.argmin(np.append(exact, False)))


def follow_moment_path(moments, alphas, fit_intercept, positive):
    """Return solutions for a sequence of penalties.

    Parameters
    ----------
    moments : Moments
        Moments of the rows, with a target that is not constant.
    alphas : ndarray of shape (n_alphas,)
        Penalties in units of X, positive and in decreasing order.
    fit_intercept : bool
        Whether an intercept is fitted.
    positive : bool
        Whether coefficients are nonnegative.

    Returns
    -------
    path : MomentPath
        Coefficients and bounds of their gaps, which are large where moments have lost
        too many digits, and where the residual vanishes.
    """
    G, b, sizes = moments.cosines(fit_intercept)
    norms, size = sizes[:-1], sizes[-1]
    inverse = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    given = G, b[:, 0].copy(), np.where(norms > 0, inverse, 1.0), alphas, positive
    walks = moments.n_rows > len(b)  # else rows are faster near the end
    path = follow_products(*given, 10 * len(b) + 100, walks)
    units = inverse * size
    return path._replace(coef=path.coef * units, least=path.least * units)
