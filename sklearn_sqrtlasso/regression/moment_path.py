"""Follow the path of penalties of a regression on the moments of its rows."""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.algorithms.active_set import follow_gram_path


class MomentPath(NamedTuple):
    """Coefficients for a sequence of penalties, from moments.

    Attributes
    ----------
    coef : ndarray of shape (n_alphas, n_features)
        Coefficients, in units of y over units of X.
    gaps : ndarray of shape (n_alphas,)
        Upper bounds of the relative duality gaps.
    """

    coef: np.ndarray
    gaps: np.ndarray


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
        too many digits.
    """
    products = moments.covariances(fit_intercept)
    sizes = np.sqrt(products.diagonal())
    inverse = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    products *= inverse * inverse[:, None]
    G, b = np.ascontiguousarray(products[:-1, :-1]), products[:-1, -1].copy()
    coef, gaps = np.empty((len(alphas), len(b))), np.empty(len(alphas))
    follow_gram_path(G, b, inverse[:-1], alphas, bool(positive), coef, gaps)
    return MomentPath(coef * inverse[:-1] * sizes[-1], gaps)
