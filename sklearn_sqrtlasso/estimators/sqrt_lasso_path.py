"""Square-root-lasso solutions along a path of penalties."""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length

from sklearn_sqrtlasso._types import Rows
from sklearn_sqrtlasso.blockwise.linalg import unit_near
from sklearn_sqrtlasso.estimators.sparse_regressor import integer_rows, refuse_target
from sklearn_sqrtlasso.estimators.validation import (
    DTYPES,
    are_plain,
    check_array,
    check_finite,
    check_switch,
    refuse_masked,
)
from sklearn_sqrtlasso.regression.designs import design_of
from sklearn_sqrtlasso.regression.given_products import GivenProducts, moments_with
from sklearn_sqrtlasso.regression.many_in_use import approach
from sklearn_sqrtlasso.regression.moment_design import MomentDesign
from sklearn_sqrtlasso.regression.moment_path import LEAST, gathers_products
from sklearn_sqrtlasso.regression.relaxation import (
    estimated_sigma,
    regress_moments,
    regress_relaxed,
)
from sklearn_sqrtlasso.regression.solver import SolverOptions, regression_alpha_max
from sklearn_sqrtlasso.regression.unsolved_fits import warn_unsolved_fits

SURELY = 1 + 64 * np.finfo(np.float64).eps  # times where zero is a solution by a tie
ASYMMETRIC = 1e-9  # difference of entries of a Gram matrix, in units of the columns


class SqrtLassoPath(NamedTuple):
    """Solutions for many penalties.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
        Penalties in decreasing order, in units of X.
    coefs : ndarray of shape ([n_phis,] [n_targets,] n_features, n_alphas)
        Coefficients, in units of y over units of X. The first axis is there if ``phi``
        is an array, the second if y is of shape (n_samples, n_targets).
    gaps : ndarray of shape ([n_targets,] n_alphas)
        Relative duality gaps, pure numbers; as ``dual_gap_`` of :class:`SqrtLasso`.
    sigmas : ndarray of shape ([n_phis,] [n_targets,] n_alphas)
        Noise levels, in units of y; as ``sigma_`` of :class:`SqrtLasso`.
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
        return largest * SURELY * np.geomspace(1, eps, int(alphas))
    if np.ndim(alphas) != 1 or len(alphas) == 0:
        raise ValueError(
            "alphas must be an integer or a one-dimensional array with at least one "
            f"penalty, got {alphas!r}."
        )
    alphas = check_array(alphas, ensure_2d=False, dtype=np.float64, input_name="alphas")
    if np.any(alphas < 0):
        raise ValueError(f"alphas must be nonnegative, got {alphas!r}.")
    return np.sort(alphas)[::-1]


def share_grid(phi):
    """Return shares of the penalty that are kept on the support.

    Parameters
    ----------
    phi : float or array-like
        A share, or several.

    Returns
    -------
    phis : ndarray of shape (n_phis,)
        The shares, in the order given.
    """
    phis = np.atleast_1d(phi) if np.ndim(phi) < 2 else np.empty(0)
    numbers = phis.dtype.kind in "iuf" and phis.size > 0
    if not numbers or not np.all((phis >= 0) & (phis <= 1)):
        raise ValueError(
            "phi must be a number in [0, 1], or a one-dimensional array of at least "
            f"one, got {phi!r}."
        )
    return phis.astype(np.float64)


def check_precompute(precompute, shape):
    """Return whether products are gathered, or those that are given.

    Parameters
    ----------
    precompute : bool, "auto" or array-like of shape (n_features, n_features)
        Parameter of that name.
    shape : tuple of int
        Numbers of samples and features.

    Returns
    -------
    precompute : bool, "auto" or GivenProducts
        The products are symmetric.
    """
    if isinstance(precompute, bool | np.bool_):
        return bool(precompute)
    if isinstance(precompute, str) and precompute == "auto":
        return precompute
    square = shape[1:] * 2
    what = f"precompute must be True, False, 'auto' or a Gram matrix of shape {square}"
    if isinstance(precompute, str) or np.ndim(precompute) != 2:
        raise ValueError(f"{what}, got {precompute!r}.")
    G = check_array(precompute, dtype=np.float64, input_name="precompute")
    if G.shape != square:
        raise ValueError(f"{what}, got one of shape {G.shape}.")
    at = _place_of_asymmetry(G)
    if at is not None:
        i, j = at
        raise ValueError(
            "precompute must be symmetric, with a diagonal of at least 0, got entries "
            f"{G[i, j]!r} and {G[j, i]!r} for features {i} and {j}."
        )
    return GivenProducts(G, shape[0])


def _place_of_asymmetry(G):
    """Return where a Gram matrix is not symmetric, or negative on its diagonal.

    Products with a vector of random signs, in units of the columns, tell whether it is
    worth while to look at all entries.
    """
    if G.diagonal().min() < 0:
        return [int(G.diagonal().argmin())] * 2
    sizes = np.sqrt(G.diagonal())
    z = np.random.default_rng(0).choice([-1.0, 1.0], len(G))
    np.divide(z, sizes, out=z, where=sizes > 0)
    with np.errstate(over="ignore", invalid="ignore"):
        apart = np.abs(G @ z - z @ G)
    if np.all(apart <= ASYMMETRIC * sizes):
        return None
    apart = np.abs(G - G.T) > ASYMMETRIC * sizes * sizes[:, None]
    return np.argwhere(apart)[0] if apart.any() else None


def check_solver(tol, max_iter):
    """Raise an error if an option of the solver is not valid.

    Parameters
    ----------
    tol : float
        Relative duality gap, at least 0.
    max_iter : int
        Number of outer iterations, at least 1.
    """
    if not (isinstance(tol, Real) and 0 <= tol < np.inf):
        raise ValueError(f"tol must be finite and at least 0, got {tol!r}.")
    if not (isinstance(max_iter, Integral) and max_iter >= 1):
        raise ValueError(f"max_iter must be an integer, at least 1, got {max_iter!r}.")


def sqrt_lasso_path(
    X: Rows,
    y: ArrayLike,
    *,
    alphas: int | ArrayLike = 100,
    eps: float = 1e-3,
    fit_intercept: bool = False,
    positive: bool = False,
    phi: float | ArrayLike = 1.0,
    precompute: bool | str | ArrayLike = "auto",
    max_iter: int = 100,
    tol: float = 1e-6,
) -> SqrtLassoPath:
    r"""Compute the square-root-lasso path: solutions for a sequence of penalties.

    .. math::
        \min_{w, b} \; \frac{1}{\sqrt n} \|y - Xw - b\|_2 + \alpha \|w\|_1

    It is the counterpart of :func:`~sklearn.linear_model.lasso_path`: penalties
    decrease, each solution is the start of the next, and duality gaps are returned. The
    norm is not squared, so that penalties have the unit of X, and noise levels are
    returned, too. As there, each target of several is penalised; unlike there, they are
    solved one by one, not as groups.

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
    phi : float or array-like of shape (n_phis,), default=1.0
        Share of the penalty that is kept on the support of each solution, in [0, 1], as
        in :class:`SqrtLasso`; several share one path, at little cost.
    precompute : bool, "auto" or array-like, default="auto"
        Whether to use products of all features, as in :class:`SqrtLasso`; or the Gram
        matrix ``X.T @ X``, of shape (n_features, n_features), of centred X if there is
        an intercept.
    max_iter : int, default=100
        Largest number of outer iterations for each penalty, at least 1.
    tol : float, default=1e-6
        Relative duality gap at which the solver stops, in [0, inf).

    Returns
    -------
    path : SqrtLassoPath
        The tuple ``(alphas, coefs, gaps, sigmas)``, of which the first three are those
        of :func:`~sklearn.linear_model.lasso_path`.

    Raises
    ------
    ValueError
        If X, y or a parameter is not valid.

    See Also
    --------
    SqrtLasso : Solution for one penalty.
    SqrtLassoCV : Square-root lasso with the penalty chosen by cross-validation.
    sklearn.linear_model.lasso_path : The path of the lasso: the same solutions, at
        penalties in units of X times y.

    Notes
    -----
    The path is also a static method, ``SqrtLasso.path``, like that of
    :class:`~sklearn.linear_model.Lasso`.

    Of X of up to 1000 features, and more rows than these, products are gathered once,
    and all penalties found on one path, as by :class:`SqrtLassoCV`; so they are of more
    features of dense X, if the smallest penalty is likely to bring a third of them into
    use; and for ``phi`` below 1 of up to 256 features, and no more than four for each
    row. Where the residual is so small that products have too few digits, the rows are
    used. Of X of up to 65536 numbers and 700 features, they are followed on one path,
    too.

    The solution at ``alphas[k]`` is that of the lasso at penalty
    ``alphas[k] * sigmas[k]`` (of ``phi=1``).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_sqrtlasso import sqrt_lasso_path
    >>> X, y = load_diabetes(return_X_y=True)
    >>> path = sqrt_lasso_path(X, y, alphas=5, eps=0.1, fit_intercept=True)
    >>> (path.coefs != 0).sum(axis=0)
    array([0, 3, 4, 5, 7])
    """
    X, y = (X, y) if are_plain(X, y) else _converted(X, y)
    check_finite(X)
    if not (isinstance(eps, Real) and 0 < eps <= 1):
        raise ValueError(f"eps must be in (0, 1], got {eps!r}.")
    check_solver(tol, max_iter)
    check_switch("fit_intercept", fit_intercept)
    check_switch("positive", positive)
    phis, targets = share_grid(phi), np.atleast_2d(y.T)
    options = SolverOptions(bool(positive), tol, max_iter)
    precompute = check_precompute(precompute, X.shape)
    given = X, targets, (alphas, eps), phis, bool(fit_intercept), options, precompute
    alphas, fits = _fits_to_moments(*given) or _fits_to_rows(*given)
    warn_unsolved_fits(
        [fit.gap for of_target in fits for fit in of_target[0]], tol, max_iter
    )
    path = _stack(alphas, fits, phis, X, bool(fit_intercept))
    if np.ndim(phi) == 0:
        path = path._replace(coefs=path.coefs[0], sigmas=path.sigmas[0])
    if y.ndim == 1:
        coefs, sigmas = path.coefs[..., 0, :, :], path.sigmas[..., 0, :]
        path = path._replace(coefs=coefs, gaps=path.gaps[0], sigmas=sigmas)
    return path


def _converted(X, y):
    """Return features and targets, of which integers are converted when they are read.

    Features may not be finite.
    """
    refuse_masked({"X": X, "y": y})
    refuse_target(y)
    rows = integer_rows(X)
    if rows is None:
        given = {"accept_sparse": "csc", "dtype": DTYPES, "ensure_all_finite": False}
        rows = check_array(X, input_name="X", **given)
    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    check_consistent_length(rows, y)
    return rows, y


def _grid_of(design, targets, alphas, eps, options):
    """Return penalties, which begin where all coefficients of all targets are zero."""
    tops = [regression_alpha_max(design, y, options.positive) for y in targets]
    return penalty_grid(alphas, eps, max(tops))


def _design_of_rows(X, fit_intercept):
    return design_of(X, np.full(X.shape[0], 1 / X.shape[0]), fit_intercept)


def _fits_to_rows(X, targets, grid, phis, fit_intercept, options, precompute):
    """Return penalties, and fits of all targets, shares and penalties.

    Where many columns of a table come into use, moments give them.
    """
    design = _design_of_rows(X, fit_intercept)
    alphas = _grid_of(design, targets, *grid, options)
    if precompute == "auto" and not sp.issparse(X):
        many, _ = approach(design, targets[0], alphas[-1], options)
        given = X, targets, grid, phis, fit_intercept, options
        found = _fits_to_moments(*given, precompute=many)
        if found is not None:
            return found
    fits = [regress_relaxed(design, y, alphas, phis, options)[0] for y in targets]
    return alphas, fits


def _fits_to_moments(X, targets, grid, phis, fit_intercept, options, precompute):
    """Return what ``_fits_to_rows`` does, by moments as far as they keep digits.

    The rows give what is left. None if all of it is left.
    """
    if precompute == "auto":
        precompute = gathers_products(*X.shape, relaxes=np.any(phis < 1))
    if not precompute:
        return None
    unit, n_targets = unit_near(np.abs(targets).max()), len(targets)
    rows, y = X.tocsr() if sp.issparse(X) else X, targets.T / unit
    moments = moments_with(rows, y, np.ones(len(y)), precompute, fit_intercept)
    if not moments.keep_digits(n_targets):
        return None
    design = MomentDesign(moments, n_targets, fit_intercept, X.dtype)
    alphas = _grid_of(design, range(n_targets), *grid, options)
    large, design, all_fits = alphas[alphas > LEAST * alphas[0]], None, []
    if not len(large):  # all are zero, as for columns that do not vary
        return None
    for place, target in enumerate(targets):
        alone = moments.of_target(place, n_targets)
        fits, coef = regress_moments(alone, large, phis, fit_intercept, options, unit)
        n_found = len(fits[0])
        if n_found < len(alphas):
            design = design or _design_of_rows(X, fit_intercept)
            small = alphas[n_found:], phis, options, coef
            more, _ = regress_relaxed(design, target, *small)
            fits = [one + other for one, other in zip(fits, more, strict=True)]
        all_fits.append(fits)
    return alphas, all_fits


def _stack(alphas, fits, phis, X, fit_intercept):
    """Return the path of all shares and targets, each with an axis."""
    shape = len(phis), len(fits), len(alphas)
    sigmas, gaps = np.empty(shape), np.empty(shape[1:])
    coefs = np.zeros((*shape[:2], X.shape[1], shape[2]), dtype=X.dtype)
    for i, k in np.ndindex(shape[:2]):
        found, given = fits[k][i], (phis[i], X.shape[0], fit_intercept)
        for m, fit in enumerate(found):
            coefs[i, k, fit.features, m] = fit.values
        gaps[k] = [fit.gap for fit in found]
        sigmas[i, k] = [estimated_sigma(fit, *given) for fit in found]
    return SqrtLassoPath(alphas, coefs, gaps, sigmas)
