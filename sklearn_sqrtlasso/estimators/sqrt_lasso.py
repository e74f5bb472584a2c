"""Square-root lasso: sparse regression with one penalty for all noise levels."""

from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.base import MultiOutputMixin
from sklearn.utils import check_random_state

from sklearn_sqrtlasso._types import Seed
from sklearn_sqrtlasso.estimators.compat import (
    Interval,
    StrOptions,
)
from sklearn_sqrtlasso.estimators.resumption import resumes
from sklearn_sqrtlasso.estimators.sparse_regressor import (
    SparseRegressor,
    rows_that_weigh,
)
from sklearn_sqrtlasso.estimators.sqrt_lasso_path import (
    check_precompute,
    sqrt_lasso_path,
)
from sklearn_sqrtlasso.estimators.validation import (
    check_array,
    check_finite,
    check_weights,
)
from sklearn_sqrtlasso.regression.designs import design_of
from sklearn_sqrtlasso.regression.given_products import GivenProducts, check_given
from sklearn_sqrtlasso.regression.many_in_use import approach
from sklearn_sqrtlasso.regression.moment_design import moment_design_of
from sklearn_sqrtlasso.regression.moments import TALL
from sklearn_sqrtlasso.regression.penalty_loadings import (
    column_sizes,
    regress_with_loadings,
)
from sklearn_sqrtlasso.regression.pivotal_penalty import (
    BY_PRODUCTS,
    asymptotic_alpha,
    counted_rows,
    simulated_alpha,
)
from sklearn_sqrtlasso.regression.relaxation import estimated_sigma, regress_relaxed
from sklearn_sqrtlasso.regression.solver import SolverOptions
from sklearn_sqrtlasso.regression.unsolved_fits import (
    warn_hidden_columns,
    warn_unsolved_fits,
)

FEW_COLUMNS = 100  # up to which the products of all are gathered for a single fit
PER_TARGET = 50  # columns for each of several targets, up to which they are
MOST_COLUMNS = 2000  # of which they are
CONFIDENCE = 0.95  # probability that all coefficients of pure noise are zero


def check_loadings(loadings, n_features):
    """Return the loadings of the penalty, or None if they are to be estimated.

    Parameters
    ----------
    loadings : None, "auto" or array-like of shape (n_features,)
        Parameter ``penalty_loadings``.
    n_features : int
        Number of features.

    Returns
    -------
    loadings : float, ndarray of shape (n_features,) or None
        The loadings, all of them 1 if none are given.
    """
    if loadings is None:
        return 1.0
    if isinstance(loadings, str):
        return None
    loadings = check_array(
        loadings,
        ensure_2d=False,
        dtype=np.float64,
        copy=True,  # kept as an attribute
        input_name="penalty_loadings",
    )
    if loadings.shape != (n_features,) or not np.all(loadings > 0):
        raise ValueError(
            'penalty_loadings must be None, "auto" or positive numbers, one for each '
            f"of the {n_features} features, got {loadings!r}."
        )
    return loadings


class SqrtLasso(MultiOutputMixin, SparseRegressor):
    r"""Sparse linear regression whose penalty does not depend on the noise level.

    .. math::
        \min_{w, b} \; \frac{1}{\sqrt n} \|y - Xw - b\|_2 + \alpha \|w\|_1

    The norm is not squared: :math:`\alpha` has the unit of X, not of y, and a suitable
    value does not depend on the noise level. The solution is that of
    :class:`~sklearn.linear_model.Lasso` with penalty :math:`\alpha \hat\sigma`, where
    :math:`\hat\sigma = \|y - Xw - b\|_2 / \sqrt n` is estimated jointly (``sigma_``).
    Several targets are fitted independently, each with its own noise level.

    Parameters
    ----------
    alpha : float or {"pivotal", "asymptotic"}, default="pivotal"
        Penalty in units of X, in [0, inf). "pivotal" is the smallest penalty at which
        all coefficients of pure Gaussian noise, of any level, are zero with
        probability .95; it is simulated for the given X. "asymptotic" is the closed
        form :math:`1.1\, \Phi^{-1}(1 - .05/(2p)) / \sqrt n` for columns of root mean
        square one, times the largest root mean square of a column; it is larger. 0 is
        the limit of small penalties: the least-squares fit of smallest :math:`\ell_1`
        norm.
    fit_intercept : bool, default=True
        Whether to fit b. Sparse X is centred without being made dense.
    positive : bool, default=False
        Whether to constrain coefficients to be nonnegative.
    phi : float, default=1.0
        Share of the penalty that is kept on the support S of the solution, in [0, 1].
        1 is the square-root lasso. Less undoes shrinkage: the result is the relaxed
        lasso, at the noise level :math:`\hat\sigma` of the solution,

        .. math::
            \min_{w, b} \; \frac{1}{2n} \|y - Xw - b\|_2^2
            + \phi\, \alpha\hat\sigma \|w\|_1, \quad w_j = 0 \text{ for } j \notin S,

        exactly, also where a sign changes. 0 is least squares on the support.
    penalty_loadings : None, "auto" or array-like of shape (n_features,), default=None
        Factors of the penalty, one for each coefficient:
        :math:`\alpha \sum_j \ell_j |w_j|`, with :math:`\ell_j > 0`. None is 1 for all.
        "auto" is for noise that differs from row to row:
        :math:`\ell_j^2 = \sum_i x_{ij}^2 r_i^2 / \sum_i r_i^2`, of centred features and
        the residuals r of the fit, which are computed in turns [2]_. ``alpha`` is a
        pure number then, and features need not be scaled.
    precompute : bool, "auto" or array-like, default="auto"
        Whether to use products of all features: "auto" where that is faster. Or the
        products themselves, for many targets or penalties one by one: ``X.T @ X``, of
        shape (n_features, n_features), in double precision, of X that is centred for
        them if there is an intercept, and whose rows are weighted by ``sample_weight``
        times ``n_samples`` over its sum. They are compared with X. Products are not
        used for ``alpha=0``, ``penalty_loadings="auto"``, a warm start, where they
        have too few digits, and where rows are faster: for more than 100 features, or
        50 for each target, and less than four times as many rows. "auto" uses them for
        any number of features of dense X with more rows, too, if ``alpha`` is likely to
        bring a third of them into use.
    max_iter : int, default=100
        Largest number of outer iterations, at least 1. An outer iteration solves the
        problem on a subset of the features and checks all of them; 3 to 30 are usual.
    tol : float, default=1e-6
        Relative duality gap at which the solver stops, in [0, inf): the objective
        exceeds its minimum by at most ``tol`` times its value at w = 0. Values below
        about 1e-12 may not be reached because of rounding.
    warm_start : bool, default=False
        Whether ``fit`` starts from the coefficients of the previous fit.
    random_state : int, RandomState instance or None, default=None
        Seed of the simulation for "pivotal". None uses a fixed seed: fits are
        repeatable.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Coefficients w, in units of y over units of X.
    intercept_ : float or ndarray of shape (n_targets,)
        Intercept b, in units of y; 0 if not fitted.
    sigma_ : float or ndarray of shape (n_targets,)
        Estimate of the noise standard deviation, in units of y: the root of the sum of
        squared residuals over :math:`n - (1 - \phi)(k + 1)`, with k nonzero
        coefficients and without the 1 if there is no intercept. For ``phi=1`` it is
        the root mean square, which suits if n is large compared with k.
    alpha_ : float
        Fitted penalty, in units of X; over those of ``penalty_loadings``, if given.
    penalty_loadings_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Factors of the penalty, if ``penalty_loadings`` is not None.
    dual_gap_ : float or ndarray of shape (n_targets,)
        Relative duality gap for the given penalty, a pure number; that of the solution
        before it is relaxed. A warning is emitted if it exceeds ``tol``.
    n_iter_ : int or ndarray of shape (n_targets,)
        Number of outer iterations.
    n_features_in_ : int
        Number of features seen during :term:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :term:`fit`, if they are all strings.

    See Also
    --------
    SqrtLassoCV : Square-root lasso with the penalty chosen by cross-validation.
    sqrt_lasso_path : Solutions for many penalties; also the static method ``path``.
    RelaxedSparseCoder : Relaxed codes of rows.
    sklearn.linear_model.Lasso : Squared norm; the penalty depends on the noise level.

    Notes
    -----
    All coefficients have the same penalty: scale the features first
    (:class:`~sklearn.preprocessing.StandardScaler`). The penalty that a feature of
    large scale needs hides features of small scale. A warning is emitted if scales
    differ by more than 1000, no feature below a thousandth of the largest scale has a
    coefficient, and one would have it if it were scaled to those that do, or to the
    largest if none does, more than by chance.

    Features of any scale and offset are solved exactly: each is centred, and divided
    by a power of two near its own size, in double precision. Offsets may be 1e12 times
    as large as what varies. An error is raised if a coefficient is out of the range of
    numbers of its dtype.

    ``sample_weight`` counts rows: a row of weight 2 is equivalent to that row twice,
    also for "pivotal" and "asymptotic". If any weight is not an integer, or their sum
    exceeds 2**53, only their ratios matter: the variance of the noise of a row is
    inversely proportional to its weight, and the number of rows is that of positive
    weights.

    "pivotal" is accurate to about .3 %; if features are all much alike, to .4-.8 % for
    100 to 256 of them, and to 1-2 % for more. For dense X of 1024 rows or more, and
    more than 256 features, noise is drawn for a random sketch of 512 rows, in which
    each row is added to another: one look at X.

    With ``penalty_loadings``, "pivotal" and "asymptotic" are computed for columns
    divided by them; with "auto", for columns divided by their root mean squares, which
    are the loadings of noise of one level. At a fixed point, :math:`\alpha \ell_j
    \hat\sigma` is the penalty of the lasso of [2]_ for coefficient j, half of that of
    its objective. At most 15 turns are made, as in the R package hdm.

    If a target is a single column, of shape (n_samples, 1), the shapes of attributes
    and predictions are those of :class:`~sklearn.linear_model.Lasso`.

    Tables of up to 65536 numbers and 700 features are solved by Newton steps from the
    smallest penalty of zeros, in one outer iteration, as long as few features are in
    use; others by working sets of features.

    With more features than rows, the residual is zero below some penalty, and the
    solution is the interpolation of smallest :math:`\ell_1` norm. It is computed and
    certified like any other solution. A small penalty is reached along the path of
    larger ones, and takes at most as long as that. Iterations end before ``max_iter``
    where rounding leaves no progress. The gap contains what the rounding of an
    intercept to its digits costs, for features of large offset.

    Dense tables of more rows than features and targets are read once, some rows at a
    time, and only their weighted means and products are kept, where that is faster: up
    to 100 columns, 256 if ``alpha`` is "pivotal", or 50 for each target, at most 2000.
    The gap contains what rounding of products may hide,
    about 1e-12; where it exceeds ``tol``, or products have too few digits (spreads near
    the ends of the range of numbers, means more than 1000 times the spread), the rows
    are used.

    Where more sparse columns are in use than 32 times the entries of one, their entries
    are swept over, with Anderson extrapolation [4]_, and no products are computed.

    Solutions are computed in double precision; ``coef_`` has the dtype of X.

    References
    ----------
    .. [1] A. Belloni, V. Chernozhukov, L. Wang, "Square-root lasso: pivotal recovery of
       sparse signals via conic programming", Biometrika 98(4), 2011.
    .. [2] A. Belloni, D. Chen, V. Chernozhukov, C. Hansen, "Sparse models and methods
       for optimal instruments with an application to eminent domain", Econometrica
       80(6), 2012.
    .. [3] N. Meinshausen, "Relaxed lasso", Computational Statistics & Data Analysis
       52(1), 2007.
    .. [4] Q. Bertrand, M. Massias, "Anderson acceleration of coordinate descent",
       AISTATS, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sqrtlasso import SqrtLasso
    >>> rng = np.random.default_rng(0)
    >>> X, noise = rng.standard_normal((100, 20)), rng.standard_normal(100)
    >>> quiet = SqrtLasso().fit(X, 3 * X[:, 0] + 0.1 * noise)
    >>> loud = SqrtLasso().fit(X, 300 * X[:, 0] + 100 * noise)
    >>> quiet.alpha_ == loud.alpha_, np.flatnonzero(loud.coef_)
    (True, array([0]))
    >>> round(quiet.sigma_, 2), round(loud.sigma_)
    (0.11, 106)

    Without shrinkage:

    >>> refitted = SqrtLasso(phi=0).fit(X, 300 * X[:, 0] + 100 * noise)
    >>> refitted.coef_[:2].round(), loud.coef_[:2].round()
    (array([296.,   0.]), array([263.,   0.]))
    """

    _parameter_constraints: dict = {
        "alpha": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"pivotal", "asymptotic"}),
        ],
        "fit_intercept": ["boolean"],
        "positive": ["boolean"],
        "phi": [Interval(Real, 0, 1, closed="both")],
        "penalty_loadings": [StrOptions({"auto"}), "array-like", None],
        "precompute": ["boolean", StrOptions({"auto"}), "array-like"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        alpha: float | str = "pivotal",
        *,
        fit_intercept: bool = True,
        positive: bool = False,
        phi: float = 1.0,
        penalty_loadings: ArrayLike | str | None = None,
        precompute: bool | str | ArrayLike = "auto",
        max_iter: int = 100,
        tol: float = 1e-6,
        warm_start: bool = False,
        random_state: Seed = None,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.phi = phi
        self.penalty_loadings = penalty_loadings
        self.precompute = precompute
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state

    path = staticmethod(sqrt_lasso_path)

    def _fit(self, X, y, sample_weight):
        # Products detect values that are not finite, except for those of a simulation.
        X, y = self._validate(X, y, multi_output=True, finite=False)
        precompute = check_precompute(self.precompute, X.shape)
        X, y, weights = rows_that_weigh(X, y, check_weights(sample_weight, X))
        loadings = check_loadings(self.penalty_loadings, X.shape[1])
        targets, n_rows = np.atleast_2d(y.T), counted_rows(weights)
        starts = self._starts(len(targets), X.shape[1])
        fit = self._fit_moments(X, targets, weights, loadings, starts, precompute)
        if fit is None:
            weights = weights / weights.sum()  # in the place of what may be all ones
            given = X, targets, weights, n_rows, loadings, starts
            fit = self._fit_rows(*given, precompute == "auto")
        results, alpha, design, targets = fit
        fits = [of_target for of_target, *_ in results]
        warn_unsolved_fits([one.gap for one in fits], self.tol, self.max_iter)
        if self.penalty_loadings is None:
            warn_hidden_columns(design, targets, fits, alpha)
        self._keep(results, alpha, n_rows, X.dtype, y.ndim == 2)
        return self

    def _fit_moments(self, X, targets, weights, loadings, starts, precompute):
        """Return what ``_fit_rows`` does, from moments; None where these do not do."""
        if self.alpha == 0 or loadings is None or starts[0] is not None:
            return None
        if precompute == "auto":
            precompute = self._gathers_products(X, len(targets))
        if not precompute:
            return None
        rows, centred = X.tocsr() if sp.issparse(X) else X, bool(self.fit_intercept)
        if not self._uses_products(precompute, X.shape, len(targets)):
            check_given(rows, weights, precompute, centred)
            return None
        design = moment_design_of(rows, targets, weights, centred, precompute)
        if design is None:
            return None
        rows = None
        if self.alpha == "pivotal" and X.shape[1] > BY_PRODUCTS:  # which are sketched
            rows = design_of(X, weights / weights.sum(), centred)
        fit = self._fit_design(
            design, range(len(targets)), counted_rows(weights), loadings, starts, rows
        )
        solved = all(one.gap <= self.tol for one, *_ in fit[0])
        return fit if solved else None

    def _uses_products(self, precompute, shape, n_targets):
        """Return whether products of all columns, if given, are faster than rows."""
        if not isinstance(precompute, GivenProducts):
            return True
        most = max(FEW_COLUMNS, PER_TARGET * n_targets)
        return shape[1] <= most or shape[0] >= TALL * shape[1]

    def _gathers_products(self, X, n_targets):
        """Return whether products of all columns are faster than rows."""
        if sp.issparse(X):
            return False
        n_rows, n_columns = X.shape[0], X.shape[1] + n_targets
        most = max(FEW_COLUMNS, min(PER_TARGET * n_targets, MOST_COLUMNS))
        if self.alpha == "pivotal":  # which needs them anyway
            most = max(most, BY_PRODUCTS)
        return n_rows > n_columns <= most

    def _fit_rows(self, X, targets, weights, n_rows, loadings, starts, may_gather):
        """Return fits of all targets, their penalty, their design and targets in it.

        They may be found by moments if many columns are going to be in use.
        """
        fit, is_given = None, not isinstance(self.alpha, str)
        if not is_given:
            check_finite(X)
        try:
            design = design_of(X, weights, bool(self.fit_intercept))
            may_gather = may_gather and is_given and not sp.issparse(X)
            if may_gather and loadings is not None and starts[0] is None:
                design.load(loadings)
                given = X, targets, weights, loadings, starts
                many, start = approach(design, targets[0], self.alpha, self._options)
                fit = self._fit_moments(*given, precompute=many)
                starts = [start, *starts[1:]]
            return fit or self._fit_design(design, targets, n_rows, loadings, starts)
        except FloatingPointError:
            check_finite(X)
            raise

    @property
    def _options(self):
        return SolverOptions(bool(self.positive), self.tol, self.max_iter)

    def _fit_design(self, design, targets, n_rows, loadings, starts, rows=None):
        """Return what ``_fit_rows`` does; the penalty may be that of other rows."""
        design.load(column_sizes(design) if loadings is None else loadings)
        if rows is not None:
            rows.load(loadings)
        alpha = self._penalty(rows or design, n_rows)
        results = [
            self._solve(design, target, alpha, loadings is None, start)
            for target, start in zip(targets, starts, strict=True)
        ]
        return results, alpha, design, targets

    def _solve(self, design, target, alpha, estimates, start):
        """Return the fit of a target, its intercept and its loadings."""
        options, phis = self._options, np.array([float(self.phi)])

        def solve(coef):
            fits, intercepts = regress_relaxed(
                design, target, [alpha], phis, options, coef
            )
            return fits[0][0], intercepts[0, 0]

        if estimates:
            fit, intercept = regress_with_loadings(design, target, solve)
        else:
            fit, intercept = solve(start)
        return fit, intercept, design.loadings

    def _keep(self, results, alpha, n_rows, dtype, in_columns):
        """Set the fitted attributes; a single target has no axis of its own."""
        fits, intercepts, loadings = zip(*results, strict=True)
        each = slice(None) if len(fits) > 1 else 0
        centred = bool(self.fit_intercept)
        sigma = [estimated_sigma(fit, self.phi, n_rows, centred) for fit in fits]
        coef = np.zeros((len(fits), fits[0].n_features), dtype)
        for w, fit in zip(coef, fits, strict=True):
            w[fit.features] = fit.values
        self.coef_ = coef[each]
        self.intercept_ = np.array(intercepts)
        if len(fits) == 1 and not (in_columns and centred):
            self.intercept_ = float(intercepts[0])
        self.sigma_ = np.array(sigma)[each]
        self.dual_gap_ = np.array([fit.gap for fit in fits])[each]
        self.n_iter_ = np.array([fit.n_iter for fit in fits])[each]
        if len(fits) == 1:
            self.sigma_, self.dual_gap_ = float(self.sigma_), float(self.dual_gap_)
            self.n_iter_ = int(self.n_iter_)
        self.alpha_ = alpha
        if self.penalty_loadings is not None:
            self.penalty_loadings_ = loadings[0] if each == 0 else np.array(loadings)

    def _penalty(self, design, n_rows):
        if not isinstance(self.alpha, str):
            return float(self.alpha)
        if self.alpha == "asymptotic":
            return asymptotic_alpha(design, n_rows, CONFIDENCE)
        rng = self._generator()
        return simulated_alpha(design, n_rows, CONFIDENCE, bool(self.positive), rng)

    def _generator(self):
        """Return the source of draws; a RandomState gives the seed of another one."""
        seed = 0 if self.random_state is None else self.random_state
        if not isinstance(seed, Integral):
            seed = check_random_state(seed).randint(2**31 - 1, size=4)
        return np.random.default_rng(seed)

    def _starts(self, n_targets, n_features):
        if resumes(self, warm=self.warm_start, attribute="coef_"):
            coef = self.coef_.toarray() if sp.issparse(self.coef_) else self.coef_
            coef = np.atleast_2d(coef).astype(np.float64)
            if coef.shape == (n_targets, n_features):
                return list(coef)
        return [None] * n_targets
