r"""Follow the path of penalties of a regression on the moments of its rows.

In units in which columns and target have norm one, moments are the Gram matrix G of the
columns, their products b with the target, and 1, the square of the target. Each
solution is exact up to rounding, and warm-started at the previous one. The relative
duality gap of coefficients w is ::

    sigma + sum_j alpha_j |w_j| - (1 - w'b) / max(sigma, max_j |b - G w|_j / alpha_j)

with ``sigma^2 = 1 - w'(b + c)`` and ``c = b - G w``. What rounding may change in it is
added.
"""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.algorithms.active_set import solve_exactly, subtract_active
from sklearn_sqrtlasso.regression.certificate import gap_of_moments

NO_FLOORS = np.zeros(2)


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


class _Problem:
    """A regression by its moments, solved for penalties one after another."""

    def __init__(self, moments, fit_intercept, positive):
        products = moments.covariances(fit_intercept)
        sizes = np.sqrt(products.diagonal())
        inverse = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > 0)
        products = products * inverse * inverse[:, None]
        self.G, self.b = (
            np.ascontiguousarray(products[:-1, :-1]),
            products[:-1, -1].copy(),
        )
        self.inverse, self.y_size, self.positive = inverse[:-1], sizes[-1], positive
        n_features = len(self.b)
        self.w, self.n_active = np.zeros(n_features), 0
        self.L = np.zeros((n_features, n_features))
        self.act = np.zeros(n_features, dtype=np.intp)
        self.c, self.square = self.b.copy(), 1.0

    def solve(self, alpha):
        """Return coefficients and a bound of the gap of a penalty in units of X."""
        alpha = np.where(self.inverse > 0, alpha * self.inverse, 1.0)
        most = 10 * len(self.w) + 100
        _, self.n_active, _ = solve_exactly(
            self.G, self.w, self.c, self.square, NO_FLOORS, alpha, self.positive,
            self.L, self.act, self.n_active, most,
        )  # fmt: skip
        self._update_residual()
        gap = gap_of_moments(self.w, self.b, self.c, alpha, self.positive)
        return self.w * self.inverse * self.y_size, gap

    def _update_residual(self):
        """Compute the products of columns and residual, and the square of that."""
        on, self.c = self.act[: self.n_active], self.b.copy()
        w = self.w[on]
        subtract_active(self.G, self.act, self.n_active, w, self.c)
        self.square = max(1.0 - w @ (self.b[on] + self.c[on]), 0.0)


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
    problem = _Problem(moments, fit_intercept, positive)
    coef, gaps = zip(*(problem.solve(alpha) for alpha in alphas), strict=True)
    return MomentPath(np.array(coef), np.array(gaps))
