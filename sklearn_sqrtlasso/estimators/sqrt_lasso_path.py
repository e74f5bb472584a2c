"""Square-root-lasso solutions along a path of penalties."""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_consistent_length

from sklearn_sqrtlasso.estimators.compat import check_array
from sklearn_sqrtlasso.estimators.sparse_regressor import refuse_target
from sklearn_sqrtlasso.estimators.validation import (
    DTYPES,
    check_finite,
    refuse_masked,
)
from sklearn_sqrtlasso.regression.design import design_of
from sklearn_sqrtlasso.regression.solver import (
    SolverOptions,
    regress,
    regression_alpha_max,
)
from sklearn_sqrtlasso.regression.unsolved_fits import warn_unsolved_fits


class SqrtLassoPath(NamedTuple):
    """Solutions for many penalties.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
        Penalties in decreasing order, in units of X.
    coefs : ndarray of shape (n_features, n_alphas) or (n_targets, n_features, n_alphas)
        Coefficients, in units of y over units of X.
    gaps : ndarray of shape (n_alphas,) or (n_targets, n_alphas)
        Relative duality gaps, pure numbers; as ``dual_gap_`` of :class:`SqrtLasso`.
    sigmas : ndarray of shape (n_alphas,) or (n_targets, n_alphas)
        Root mean squares of the residuals, in units of y.
    """

    alphas: np.ndarray
    coefs: np.ndarray
    gaps: np.ndarray
    sigmas: np.ndarray


def penalty_grid(alphas, eps, largest):
    """Return penalties in decreasing order.

    Parameters
    ----------
    alphas : int or array-like
        Number of penalties, or the penalties.
    eps : float
        Ratio of the smallest to the largest penalty, if ``alphas`` is a number.
    largest : float
        Smallest penalty at which all coefficients are zero.

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        Penalties.
    """
    if isinstance(alphas, Integral) and not isinstance(alphas, bool):
        if alphas < 1:
            raise ValueError(f"alphas must be at least 1 or an array, got {alphas}.")
        return largest * np.geomspace(1, eps, int(alphas))
    if np.ndim(alphas) != 1 or len(alphas) == 0:
        raise ValueError(
            "alphas must be an integer or a one-dimensional array with at least one "
            f"penalty, got {alphas!r}."
        )
    alphas = check_array(alphas, ensure_2d=False, dtype=np.float64, input_name="alphas")
    if np.any(alphas < 0):
        raise ValueError(f"alphas must be nonnegative, got {alphas!r}.")
    return np.sort(alphas)[::-1]


def sqrt_lasso_path(
    X,
    y,
    *,
    alphas=100,
    eps=1e-3,
    fit_intercept=False,
    positive=False,
    max_iter=100,
    tol=1e-6,
):
    r"""Solve the square-root lasso for a decreasing sequence of penalties.

    .. math::
        \min_{w, b} \; \frac{1}{\sqrt n} \|y - Xw - b\|_2 + \alpha \|w\|_1

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Targets.
    alphas : int or array-like of shape (n_alphas,), default=100
        Penalties in units of X, or their number, at least 1: then they decrease
        geometrically from the smallest one with zero coefficients.
    eps : float, default=1e-3
        Ratio of the smallest to the largest penalty, in (0, 1], if ``alphas`` is a
        number.
    fit_intercept : bool, default=False
        Whether to fit an intercept b; it is not returned. The default is that of
        :func:`~sklearn.linear_model.lasso_path`.
    positive : bool, default=False
        Whether to constrain coefficients to be nonnegative.
    max_iter : int, default=100
        Largest number of outer iterations for each penalty, at least 1.
    tol : float, default=1e-6
        Relative duality gap at which the solver stops, in [0, inf).

    Returns
    -------
    path : SqrtLassoPath
        The tuple ``(alphas, coefs, gaps, sigmas)``.

    Raises
    ------
    ValueError
        If X, y or a parameter is not valid.

    See Also
    --------
    SqrtLasso : Solution for one penalty.
    SqrtLassoCV : Square-root lasso with the penalty chosen by cross-validation.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_sqrtlasso import sqrt_lasso_path
    >>> X, y = load_diabetes(return_X_y=True)
    >>> path = sqrt_lasso_path(X, y, alphas=5, eps=0.1, fit_intercept=True)
    >>> (path.coefs != 0).sum(axis=0)
    array([0, 3, 4, 5, 7])
    """
    refuse_masked({"X": X, "y": y})
    refuse_target(y)
    X = check_array(
        X, accept_sparse="csc", dtype=DTYPES, ensure_all_finite=False, input_name="X"
    )
    check_finite(X)
    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    check_consistent_length(X, y)
    if not (isinstance(eps, Real) and 0 < eps <= 1):
        raise ValueError(f"eps must be in (0, 1], got {eps!r}.")
    if not (isinstance(tol, Real) and tol >= 0):
        raise ValueError(f"tol must be at least 0, got {tol!r}.")
    if not (isinstance(max_iter, Real) and max_iter >= 1):
        raise ValueError(f"max_iter must be at least 1, got {max_iter!r}.")
    design = design_of(X, np.full(len(y), 1 / len(y)), bool(fit_intercept))
    targets = np.atleast_2d(y.T)
    largest = max(
        regression_alpha_max(design, target, bool(positive)) for target in targets
    )
    alphas = penalty_grid(alphas, eps, largest)
    options = SolverOptions(bool(positive), tol, max_iter)
    fits = [regress(design, target, alphas, options)[0] for target in targets]
    several = y.ndim == 2
    coefs, gaps, sigmas = (
        np.array([[getattr(fit, name) for fit in row] for row in fits])
        for name in ("coef", "gap", "sigma")
    )
    warn_unsolved_fits(gaps, tol, max_iter)
    coefs = np.swapaxes(coefs, 1, 2).astype(X.dtype, copy=False)
    parts = (coefs, gaps, sigmas)
    return SqrtLassoPath(alphas, *(part if several else part[0] for part in parts))
