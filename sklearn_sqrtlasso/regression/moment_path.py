"""Follow the path of penalties of a regression on the moments of its rows."""

from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dposv, dpotrs

from sklearn_sqrtlasso.algorithms.active_set import DEPENDENT, follow_gram_path
from sklearn_sqrtlasso.algorithms.gram_path import allocate, solve_gram_path
from sklearn_sqrtlasso.regression.moments import (
    COMBINATIONS,
    LOST,
    errors_of_correlations,
    gaps_of_moments,
    products_of_path,
)
from sklearn_sqrtlasso.regression.working_set import DUST, SPANNED

FEW = 100  # features whose products take no time beside a path, nor their factor
WIDE = 1000  # number of features up to which products of all of them are gathered
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
    """

    coef: np.ndarray
    gaps: np.ndarray
    least: np.ndarray


def gathers_products(n_rows, n_features):
    """Return whether many penalties are faster by products of all columns.

    Parameters
    ----------
    n_rows, n_features : int
        Numbers of rows of a fit, and of their features.

    Returns
    -------
    gathers : bool
        False for many features, or no fewer than rows: where the residual may vanish,
        products have no digits.
    """
    return n_rows > n_features <= WIDE


def _vanishes(G, b, penalties, alpha, positive):
    """Return whether the residual is known to vanish at a penalty, but for rounding.

    The columns span the target, and are independent. With w their coefficients of least
    squares, and q the penalties with their signs, the solution is near w, with a square
    of the residual of ``(1 - b'w) / (1 - alpha^2 q'G^-1 q)``.
    """
    dead = G.diagonal() == 0
    factor, w, failed = dposv(G + np.diag(dead.astype(np.float64)), b)
    if failed or not np.all(factor.diagonal() ** 2 > DEPENDENT):
        return False
    square = max(1.0 - b @ w, LOST)
    if square > SPANNED:
        return False
    q = penalties * np.sign(w) * (np.abs(w) > DUST * np.abs(w).max(initial=0.0))
    if positive and q.min(initial=0.0) < 0:
        return False
    slack = 1.0 - alpha * alpha * (q @ dpotrs(factor, q)[0])
    return bool(square <= SPANNED * slack)


def follow_products(G, b, penalties, alphas, positive, most):
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

    Returns
    -------
    path : MomentPath
        The path in these units; zeros with large gaps where it was not reached, as
        there is none without digits.
    """
    found = np.zeros((3, len(alphas), len(b)))
    coef, least, c = found
    if len(b) <= FEW and _vanishes(G, b, penalties, alphas[-1], positive):
        return MomentPath(coef, np.full(len(alphas), np.inf), least)
    given = np.ascontiguousarray(G), b, penalties, alphas, bool(positive), most
    n_reached, n_active = solve_gram_path(*given, found, allocate(len(b)))
    if n_reached < len(alphas) and n_active <= most:  # columns are nearly dependent
        coef[:] = least[:] = 0.0
        follow_gram_path(*given, coef, least)
    if n_reached == len(alphas) > COMBINATIONS and len(b) > FEW:
        apart = errors_of_correlations(coef, G, b, c)
    else:
        np.subtract(b, products_of_path(coef, G), out=c)
        apart = 0.0
    each = np.outer(alphas, penalties)
    return MomentPath(coef, gaps_of_moments(coef, b, c, each, positive, apart), least)


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
    coef, gaps, least = follow_products(*given, 10 * len(b) + 100)
    units = inverse * size
    return MomentPath(coef * units, gaps, least * units)
