"""Confidence intervals of single coefficients of a regression with many features."""

from numbers import Real
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from scipy.special import ndtri
from sklearn.utils import check_consistent_length

from sklearn_sqrtlasso._types import Rows
from sklearn_sqrtlasso.blockwise.blocks import parallel_map
from sklearn_sqrtlasso.estimators.sparse_regressor import (
    refuse_target,
    rows_that_weigh,
)
from sklearn_sqrtlasso.estimators.validation import (
    check_array,
    check_finite,
    check_weights,
    refuse_masked,
)
from sklearn_sqrtlasso.regression.debiasing import correct_coefficient
from sklearn_sqrtlasso.regression.designs import design_of
from sklearn_sqrtlasso.regression.penalty_loadings import column_sizes
from sklearn_sqrtlasso.regression.pivotal_penalty import counted_rows, simulated_alpha
from sklearn_sqrtlasso.regression.relaxation import (
    estimated_sigma,
    regress_relaxed,
    residual_of,
)
from sklearn_sqrtlasso.regression.solver import SolverOptions
from sklearn_sqrtlasso.regression.unsolved_fits import warn_unsolved_fits

__all__ = ["ConfidenceIntervals", "confidence_intervals"]

CONFIDENCE = 0.95  # of the pivotal penalty
OPTIONS = SolverOptions(positive=False, tol=1e-6, max_iter=100)


class ConfidenceIntervals(NamedTuple):
    """Estimates of single coefficients, with their intervals.

    Attributes
    ----------
    coef : ndarray of shape (n_chosen,)
        Coefficients without the bias of a penalty, none of which is zero, in units of y
        over units of X.
    intervals : ndarray of shape (n_chosen, 2)
        Lower and upper ends.
    standard_errors : ndarray of shape (n_chosen,)
        Standard errors of the coefficients; infinite if other features explain one.
    sigma : float
        Estimate of the noise standard deviation, in units of y.
    """

    coef: np.ndarray
    intervals: np.ndarray
    standard_errors: np.ndarray
    sigma: float


def confidence_intervals(
    X: Rows,
    y: ArrayLike,
    *,
    level: float = 0.95,
    alpha: float | str = "pivotal",
    phi: float = 0.0,
    features: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    n_jobs: int | None = None,
) -> ConfidenceIntervals:
    r"""Estimate single coefficients of a linear model, with confidence intervals.

    Of the linear model :math:`y = Xw + b + \varepsilon` with more features than rows, a
    square-root lasso estimates coefficients with a bias that is unknown. It is removed
    from coefficient j by a second, node-wise square-root lasso, of feature j on the
    others, with residual :math:`z_j` [1]_:

    .. math::
        \hat w_j + \frac{z_j^\top (y - X\hat w - \hat b)}{z_j^\top x_j}
        \;\pm\; \Phi^{-1}\!\left(\tfrac{1 + \text{level}}{2}\right)
        \hat\sigma\, \frac{\|z_j\|_2}{|z_j^\top x_j|} .

    As the penalty of a square-root lasso does not depend on the noise, that of y and
    those of all features are one number, and nothing has to be chosen.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features, of any scales: they are divided by their standard deviations.
    y : array-like of shape (n_samples,) or (n_samples, 1)
        Target.
    level : float, default=0.95
        Probability with which an interval contains its coefficient, in (0, 1).
    alpha : float or "pivotal", default="pivotal"
        Penalty of all regressions, for features of standard deviation one. "pivotal" is
        simulated, as in :class:`~sklearn_sqrtlasso.SqrtLasso`.
    phi : float, default=0.0
        Share of the penalty that is kept on supports, in [0, 1], as in
        :class:`~sklearn_sqrtlasso.SqrtLasso`. 1 is the method of [1]_; 0 removes the
        bias of shrinkage from all regressions, and is needed for the coverage that the
        notes report.
    features : array-like of int, str or bool of shape (n_chosen,), default=None
        Indices of the coefficients to estimate, or names of columns where X is a data
        frame, or a mask of shape (n_features,); None is all of them.
    sample_weight : float or array-like of shape (n_samples,), default=None
        Nonnegative weights of the rows, as in :class:`~sklearn_sqrtlasso.SqrtLasso`;
        None gives all rows weight 1.
    n_jobs : int, default=None
        Number of threads over features, as in joblib; results do not depend on it.

    Returns
    -------
    result : ConfidenceIntervals
        The tuple ``(coef, intervals, standard_errors, sigma)``.

    Raises
    ------
    ValueError
        If an argument is not valid.

    See Also
    --------
    sklearn_sqrtlasso.SqrtLasso : Coefficients, few of which are not zero.

    Notes
    -----
    Each interval is for its coefficient alone. For all p of them at once, give
    :math:`1 - (1 - \text{level}) / p` as ``level``. Noise is assumed to have the same
    level in all rows. A node-wise regression takes about as long as a fit of
    :class:`~sklearn_sqrtlasso.SqrtLasso`.

    In simulations of the designs of [2]_ and [3]_ (100 rows, 500 features), intervals
    of level .95 contained from .933 to .969 of the nonzero coefficients, and from .951
    to .968 of the zeros. With ``phi=1`` they contained as few as .66 of the nonzero
    ones: neighbours that a penalty has shrunk or dropped leave a bias. The user guide
    has the table. Nothing is promised where nonzero coefficients are many, or too small
    to be found and correlated with others.

    References
    ----------
    .. [1] S. van de Geer, P. Bühlmann, Y. Ritov, R. Dezeure, "On asymptotically optimal
       confidence regions and tests for high-dimensional models", Annals of Statistics
       42(3), 2014.
    .. [2] A. Belloni, V. Chernozhukov, L. Wang, "Square-root lasso: pivotal recovery of
       sparse signals via conic programming", Biometrika 98(4), 2011.
    .. [3] R. Dezeure, P. Bühlmann, L. Meier, N. Meinshausen, "High-dimensional
       inference: confidence intervals, p-values and R-software hdi", Statistical
       Science 30(4), 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sqrtlasso.inference import confidence_intervals
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 200))
    >>> y = X[:, 0] - X[:, 1] + rng.standard_normal(100)
    >>> confidence_intervals(X, y, features=[0, 1, 2]).intervals.round(2)
    array([[ 0.97,  1.38],
           [-1.16, -0.75],
           [-0.35,  0.09]])
    """
    names = getattr(X, "columns", ())
    X, y, weights = _checked(X, y, sample_weight)
    _check_shares(level, alpha, phi)
    chosen, n_rows = _chosen(features, X.shape[1], names), counted_rows(weights)
    design = design_of(X, weights / weights.sum(), True)
    design.load(column_sizes(design))
    if isinstance(alpha, str):
        rng = np.random.default_rng(0)
        alpha = simulated_alpha(design, n_rows, CONFIDENCE, False, rng)
    fit = regress_relaxed(design, y, [alpha], np.array([float(phi)]), OPTIONS)[0][0][0]
    r, _, exponent = residual_of(design, y, fit)

    def corrected(j):
        column = X[:, [j]].toarray()[:, 0] if sp.issparse(X) else X[:, j]
        column, grid = column.astype(np.float64), (float(alpha), float(phi))
        residual = r, exponent
        return correct_coefficient(design, column, j, fit, residual, grid, OPTIONS)

    parts = parallel_map(corrected, list(chosen), n_jobs)
    coef, spread, gaps = map(np.array, zip(*parts, strict=True))
    warn_unsolved_fits(np.append(gaps, fit.gap), OPTIONS.tol, OPTIONS.max_iter)
    sigma = estimated_sigma(fit, phi, n_rows, True)
    errors = sigma * spread / np.sqrt(n_rows)
    half = ndtri((1 + level) / 2) * errors
    return ConfidenceIntervals(
        coef, np.stack([coef - half, coef + half], 1), errors, sigma
    )


def _checked(X, y, sample_weight):
    """Return the rows that weigh, in double precision."""
    refuse_masked({"X": X, "y": y, "sample_weight": sample_weight})
    refuse_target(y)
    X = check_array(
        X,
        accept_sparse="csc",
        dtype=np.float64,
        ensure_all_finite=False,
        ensure_min_samples=2,
        input_name="X",
    )
    check_finite(X)
    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    if y.ndim != 1 and y.shape[1:] != (1,):
        raise ValueError(
            f"y must have shape (n_samples,) or (n_samples, 1), got {y.shape}."
        )
    y = y.ravel()
    check_consistent_length(X, y)
    return rows_that_weigh(X, y, check_weights(sample_weight, X))


def _check_shares(level, alpha, phi):
    if not (isinstance(level, Real) and 0 < level < 1):
        raise ValueError(f"level must be in (0, 1), got {level!r}.")
    if not (isinstance(phi, Real) and 0 <= phi <= 1):
        raise ValueError(f"phi must be in [0, 1], got {phi!r}.")
    number = isinstance(alpha, Real) and 0 <= alpha < np.inf
    if not number and not (isinstance(alpha, str) and alpha == "pivotal"):
        raise ValueError(
            f'alpha must be "pivotal" or a number, at least 0, got {alpha!r}.'
        )


def _chosen(features, n_features, names):
    """Return the indices of the coefficients to estimate."""
    chosen = np.arange(n_features) if features is None else np.asarray(features)
    if chosen.dtype == bool and chosen.shape == (n_features,):
        chosen = np.flatnonzero(chosen)
    if chosen.ndim == 1 and chosen.size > 0 and chosen.dtype.kind in "UOT":
        places = {name: place for place, name in enumerate(names)}
        unknown = [name for name in chosen.tolist() if name not in places]
        if unknown:
            raise ValueError(
                f"features must be indices, or names of columns of X, got {unknown!r}, "
                "which X does not have."
            )
        chosen = np.array([places[name] for name in chosen.tolist()])
    inside = chosen.ndim == 1 and chosen.size > 0 and chosen.dtype.kind in "iu"
    if not inside or np.any((chosen < -n_features) | (chosen >= n_features)):
        raise ValueError(
            f"features must be one or more indices of the {n_features} features, or "
            f"a mask of all of them, got {features!r}."
        )
    return chosen % n_features
