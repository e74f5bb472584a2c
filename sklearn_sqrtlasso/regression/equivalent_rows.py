r"""Few rows that stand for many: a regression on the moments of its rows.

A square-root lasso depends on its rows through the products of its centred columns and
target alone. With :math:`R^\top R` a factorisation of these, over the sum of weights,
the rows of R have the same solutions, gaps and pivotal penalties as those that the
moments were gathered from, and are as many as there are columns.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh

from sklearn_sqrtlasso.regression.moments import Moments


class EquivalentRows(NamedTuple):
    """Rows of equal weights, to be fitted without an intercept.

    Attributes
    ----------
    X : ndarray of shape (n_rows, n_features)
        Features.
    y : ndarray of shape (n_rows, n_targets)
        Targets.
    means : ndarray of shape (n_features + n_targets,)
        Means of the rows that they stand for; zeros without an intercept.
    """

    X: np.ndarray
    y: np.ndarray
    means: np.ndarray

    def intercepts(self, coef):
        """Return the intercepts of coefficients of shape (n_targets, n_features)."""
        n_features = self.X.shape[1]
        return self.means[n_features:] - coef @ self.means[:n_features]


def equivalent_rows(moments: Moments, n_features, fit_intercept):
    """Return rows whose regression is that of the rows of some moments.

    Parameters
    ----------
    moments : Moments
        Moments of features and targets.
    n_features : int
        Number of features, which come first.
    fit_intercept : bool
        Whether an intercept is fitted.

    Returns
    -------
    rows : EquivalentRows
        As many rows as there are features and targets.
    """
    products, means = moments.products / moments.weight, moments.mean
    if not fit_intercept:
        products, means = products + np.outer(means, means), 0 * means
    live = moments.spread > 0 if fit_intercept else products.diagonal() > 0
    sizes = np.sqrt(np.where(live, products.diagonal(), 1.0))
    relative = np.where(np.outer(live, live), products / np.outer(sizes, sizes), 0.0)
    values, vectors = eigh(relative)
    factor = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    rows = np.sqrt(len(means)) * factor * np.where(live, sizes, 0.0)
    return EquivalentRows(rows[:, :n_features], rows[:, n_features:], means)
