"""Square-root lasso with its penalty chosen by cross-validation."""

from numbers import Integral, Real
from threading import Lock
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.model_selection import check_cv
from sklearn.utils import metadata_routing

from sklearn_sqrtlasso._types import Rows
from sklearn_sqrtlasso.blockwise.blocks import parallel_map
from sklearn_sqrtlasso.blockwise.integer_rows import some_rows
from sklearn_sqrtlasso.blockwise.linalg import unit_near
from sklearn_sqrtlasso.estimators.compat import (
    CallbackSupportMixin,
    Interval,
    fit_context,
    with_callbacks,
)
from sklearn_sqrtlasso.estimators.drafts import all_or_nothing
from sklearn_sqrtlasso.estimators.held_out_errors import (
    AGAIN,
    EarlyStopping,
    Grid,
    HeldOut,
    HeldOutRows,
    best_place,
    have_grown,
    pooled_errors,
)
from sklearn_sqrtlasso.estimators.progress import Progress
from sklearn_sqrtlasso.estimators.sparse_regressor import (
    SparseRegressor,
    rows_that_weigh,
)
from sklearn_sqrtlasso.estimators.sqrt_lasso_path import (
    penalty_grid,
    share_grid,
    sqrt_lasso_path,
)
from sklearn_sqrtlasso.estimators.validation import (
    check_finite,
    check_weights,
    refuse_masked,
)
from sklearn_sqrtlasso.regression.designs import design_of
from sklearn_sqrtlasso.regression.fit import fit_of
from sklearn_sqrtlasso.regression.many_in_use import approach
from sklearn_sqrtlasso.regression.moment_design import MomentDesign
from sklearn_sqrtlasso.regression.moment_path import (
    LEAST,
    LONG,
    count_exact,
    follow_moment_path,
    gathers_products,
)
from sklearn_sqrtlasso.regression.moments import (
    held_out_square,
    moments_of_each,
    pooled,
    pooled_without_each,
)
from sklearn_sqrtlasso.regression.pivotal_penalty import counted_rows
from sklearn_sqrtlasso.regression.relaxation import (
    estimated_sigma,
    regress_relaxed,
    relax_moment_path,
)
from sklearn_sqrtlasso.regression.solver import SolverOptions, regression_alpha_max
from sklearn_sqrtlasso.regression.unsolved_fits import (
    warn_hidden_columns,
    warn_unsolved_fits,
)


def _rows_of_fold(rows):
    """Return indices of rows in four bytes each, where these hold them.

    Those of five folds of a long table would be larger than its columns.
    """
    rows = np.asarray(rows)
    if rows.dtype.kind not in "iu" or not rows.size:
        return rows
    reach = np.iinfo(np.int32)
    held = reach.min <= rows.min() and rows.max() <= reach.max
    return rows.astype(np.int32, copy=False) if held else rows


def is_partition(folds, n_rows):
    """Return whether each row is a test row of one fold, and trains all others.

    Parameters
    ----------
    folds : list of (ndarray, ndarray)
        Training and test rows.
    n_rows : int
        Number of rows.

    Returns
    -------
    partition : bool
        Whether moments of the folds are pooled to those of the training rows.
    """
    tests = [test for _, test in folds]
    return len(folds) > 1 and all(_divide(parts, n_rows) for parts in [tests, *folds])


def _divide(parts, n_rows):
    """Return whether each row is in one of several parts, and only once."""
    seen = np.zeros(n_rows, dtype=bool)
    for part in parts:
        seen[part[part >= 0]] = True  # others count rows from the last one
    return sum(map(len, parts)) == n_rows and bool(seen.all())


def tables_of_folds(X, y, weights, folds, n_jobs):
    """Return the moments of the training and the test rows of each fold.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_samples, n_features)
        Features.
    y, weights : ndarray of shape (n_samples,)
        Target and weights.
    folds : list of (ndarray, ndarray)
        Training and test rows.
    n_jobs : int or None
        Number of threads.

    Returns
    -------
    tables : list of (Moments, Moments) or None
        None where rows are to be used: if X has many columns, if test rows are no
        partition, and if squares of the numbers would lose too many digits.
    """
    tests, n_features = [test for _, test in folds], X.shape[1]
    n_rows = min(len(train) for train, _ in folds)
    is_long = n_rows >= LONG * n_features and not sp.issparse(X)
    gathers = is_long or gathers_products(n_rows, n_features)
    if not (gathers and is_partition(folds, len(y))):
        return None
    if not all(weights[test].any() for test in tests):
        return None
    X = X.tocsr() if sp.issparse(X) else X
    parts = moments_of_each(X, y, weights, tests, n_jobs)
    trains = pooled_without_each(parts)
    if not all(part.keep_digits() for part in trains):
        return None
    return list(zip(trains, parts, strict=True))


def table_of_fold(X, y, weights, fold, many):
    """Return the moments of the training and the test rows of a fold.

    Parameters
    ----------
    X, y, weights
        As for ``tables_of_folds``.
    fold : (ndarray, ndarray)
        Training and test rows.
    many : bool
        Whether many features are going to be in use.

    Returns
    -------
    table : (Moments, Moments) or None
        None where rows are to be used: if X is sparse, if it has many columns of which
        few are in use, or no fewer than training rows, and if squares of the numbers
        would lose too many digits.
    """
    fold = [np.arange(len(y))[rows] for rows in fold]  # of masks, too
    n_rows, n_features = np.count_nonzero(weights[fold[0]]), X.shape[1]
    gathers = n_rows > n_features and (many or gathers_products(n_rows, n_features))
    if sp.issparse(X) or not gathers or not weights[fold[1]].any():
        return None
    train, test = moments_of_each(X, y, weights, fold)
    return (train, test) if train.keep_digits() and test.are_in_range() else None


class SqrtLassoCV(CallbackSupportMixin, SparseRegressor):
    r"""Square-root lasso with the penalty chosen by cross-validation.

    .. math::
        \min_{w, b} \; \frac{1}{\sqrt n} \|y - Xw - b\|_2 + \alpha \|w\|_1

    A path of penalties is solved for each fold. The penalty with the smallest mean
    squared error on held-out rows is then fitted to all rows. Rows of a group stay
    together if ``cv`` splits by ``groups``, an argument of :meth:`fit`.

    Parameters
    ----------
    eps : float, default=1e-3
        Ratio of the smallest to the largest penalty, in (0, 1], if ``alphas`` is a
        number.
    alphas : int or array-like of shape (n_alphas,), default=100
        Penalties in units of X, or their number, at least 1: then they decrease
        geometrically from the smallest one with zero coefficients, and the smallest
        are left out where they would follow noise (see Notes).
    fit_intercept : bool, default=True
        Whether to fit b.
    positive : bool, default=False
        Whether to constrain coefficients to be nonnegative.
    phi : float or array-like of shape (n_phis,), default=1.0
        Share of the penalty that is kept on the support, in [0, 1], as in
        :class:`SqrtLasso`. Of several, the best is chosen together with the penalty; a
        path serves all of them.
    max_iter : int, default=100
        Largest number of outer iterations for each penalty, at least 1.
    tol : float, default=1e-6
        Relative duality gap at which the solver stops, in [0, inf).
    cv : int, cross-validation generator or iterable, default=None
        Folds, as in :func:`~sklearn.model_selection.check_cv`; None is five folds.
    n_jobs : int, default=None
        Number of threads over folds, as in joblib; results do not depend on it.
    verbose : int, default=0
        Whether to print a line for each fold that has ended, with the smallest root
        mean squared error of its held-out rows until then.

    Attributes
    ----------
    alpha_ : float
        Chosen penalty, in units of X.
    phi_ : float
        Chosen share of the penalty.
    coef_ : ndarray of shape (n_features,)
        Coefficients w, in units of y over units of X.
    intercept_ : float
        Intercept b, in units of y; 0 if not fitted.
    sigma_ : float
        Estimate of the noise standard deviation, in units of y, as in
        :class:`SqrtLasso`.
    dual_gap_ : float
        Relative duality gap for the chosen penalty, a pure number.
    n_iter_ : int
        Number of outer iterations of the final fit.
    alphas_ : ndarray of shape (n_alphas,)
        Penalties in decreasing order, in units of X: as many as asked for, without
        those left out.
    mse_path_ : ndarray of shape (n_alphas, n_folds) or (n_phis, n_alphas, n_folds)
        Mean squared error of the held-out rows of each fold, in squared units of y,
        with an axis for ``phi`` if that is an array;
        infinite or 0 where the square is out of the range of float64. The choice does
        not depend on that: it compares root mean squares.
    n_features_in_ : int
        Number of features seen during :term:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :term:`fit`, if they are all strings.

    See Also
    --------
    SqrtLasso : Pivotal penalty, without cross-validation.
    sklearn.linear_model.LassoCV : Lasso with the penalty chosen by cross-validation.

    Notes
    -----
    Cross-validation optimises prediction and keeps more features than "pivotal", which
    aims at the support. Over all penalties, square-root lasso and lasso have the same
    solutions, but cross-validation compares different solutions across folds: for the
    square-root lasso, the same penalty suits folds of different noise levels.

    Tables of up to 1000 features, and more rows than these in each training set, are
    read once for all folds, if their test rows are a partition: weighted means and
    products of all features and the target give the paths, their certificates and the
    errors on held-out rows. So are tables of up to 256 features, and no more than four
    for each training row; and dense tables of at least eight training rows for each
    feature. For other folds, the rows of each of a dense table are read once; and for
    more features, if the smallest penalty is likely to bring a third of them into use:
    by the law of independent features and noise, and by a few fits at larger penalties.
    Where products have too few digits (spreads near the ends of the range of numbers,
    means more than 1000 times the spread, 10 times in sparse X, penalties below a
    millionth of the largest; small penalties of which residuals vanish), the rows are
    used.

    If ``alphas`` is a number and columns are no fewer than training rows, the path of a
    fold ends where it uses more than 256 columns, and more than half as many as rows,
    and its root mean squared error on held-out rows is 2 % above its minimum and does
    not fall: it follows noise. The grid ends where that holds for the error of all
    folds, too, and at the smallest penalty if it does not. Penalties that are given are
    all solved.

    Callbacks of scikit-learn (1.9 and later) are told of each fold; there is no fitted
    estimator to score before the last one has ended.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_sqrtlasso import SqrtLassoCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = SqrtLassoCV().fit(X, y)
    >>> round(model.score(X, y), 2)
    0.52
    >>> relaxed = SqrtLassoCV(phi=[0, 0.25, 0.5, 0.75, 1]).fit(X, y)
    >>> relaxed.phi_, relaxed.mse_path_.shape
    (0.0, (5, 100, 5))
    """

    _parameter_constraints: dict = {
        "eps": [Interval(Real, 0, 1, closed="right")],
        "alphas": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "fit_intercept": ["boolean"],
        "positive": ["boolean"],
        "phi": [Interval(Real, 0, 1, closed="both"), "array-like"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "cv": ["cv_object"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }
    # Groups are the splitter's: meta-estimators pass them on if it asks for them.
    __metadata_request__fit = {"groups": metadata_routing.UNUSED}

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: int | ArrayLike = 100,
        fit_intercept: bool = True,
        positive: bool = False,
        phi: float | ArrayLike = 1.0,
        max_iter: int = 100,
        tol: float = 1e-6,
        cv: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.phi = phi
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.n_jobs = n_jobs
        self.verbose = verbose

    path = staticmethod(sqrt_lasso_path)

    @fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    @with_callbacks
    def fit(
        self,
        X: Rows,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Choose the penalty, and fit coefficients and intercept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, in any memory order; sparse X is converted to CSC, and many
            rows of integers are converted as they are read.
        y : array-like of shape (n_samples,)
            Target.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Nonnegative weights of the rows, used in the fit and in all errors; None
            gives all rows weight 1. Rows of weight zero do not matter, whatever they
            hold, as long as it is finite.
        groups : array-like of shape (n_samples,), default=None
            Labels of groups, passed to ``cv.split``: for
            :class:`~sklearn.model_selection.GroupKFold` and other splitters by groups.

        Returns
        -------
        self : object
            The fitted regressor.

        Raises
        ------
        ValueError
            If a parameter or an argument is not valid; the estimator is left unchanged.
        """
        refuse_masked({"sample_weight": sample_weight})
        return self._fit(X, y, sample_weight, groups)

    def get_metadata_routing(self) -> Any:
        """Return how metadata reach this estimator and its splitter.

        Returns
        -------
        routing : MetadataRouter
            Requests of ``fit``, and of ``cv.split``, to which ``groups`` are passed.
        """
        mapping = metadata_routing.MethodMapping().add(caller="fit", callee="split")
        router = metadata_routing.MetadataRouter(owner=type(self).__name__)
        router.add_self_request(self)
        return router.add(splitter=check_cv(self.cv), method_mapping=mapping)

    def _fit(self, X, y, sample_weight, groups=None):
        X, y = self._validate(X, y, multi_output=False, finite=False)
        weights = check_weights(sample_weight, X)
        splits = check_cv(self.cv).split(X, y, groups)
        folds = [tuple(map(_rows_of_fold, fold)) for fold in splits]
        if not folds:
            raise ValueError(f"cv must give at least one fold, got {self.cv!r}.")
        unit = unit_near(np.abs(y[weights > 0]).max())
        tables = tables_of_folds(X, y / unit, weights, folds, self.n_jobs)
        if tables is None or not weights.all():  # else products are finite
            check_finite(X)
        design, target = self._problem_of(tables, X, y, weights, unit)
        grid = self._grid(regression_alpha_max(design, target, self._options.positive))
        alphas = grid.alphas
        has_digits = alphas[-1] > LEAST * alphas[0]
        if tables is not None and not has_digits:
            tables, (design, target) = None, self._problem(X, y, weights)
        many = tables is None and not (sp.issparse(X) or gathers_products(*X.shape))
        many = many and approach(design, target, alphas[-1], self._options)[0]
        progress = Progress(self, X, len(folds), y=y, names=("fold", "smallest error"))
        done, lock = [], Lock()

        def follow(place, found=None, grid=grid, ends=False):
            return self._follow(X, y, weights, folds[place], found, grid, ends)

        def errors(place):
            table, found = tables and tables[place], None
            if table is None and has_digits:
                table = table_of_fold(X, y / unit, weights, folds[place], many)
            if table is not None:
                found = self._errors_of_table(table, grid, unit)
            found = follow(place, found, ends=isinstance(self.alphas, Integral))
            with lock:  # folds may end at once, on their threads
                done.append(place)
                progress.step(len(done), found.smallest)
            return found

        results = parallel_map(errors, list(range(len(folds))), self.n_jobs)
        results, grid = self._to_one_end(results, grid, follow)
        (best, gaps), n_rows = self._choose(results, grid), counted_rows(weights)
        fit = self._refit(design, target, best, n_rows)
        if tables is not None and fit.gap > self.tol:
            design, target = self._problem(X, y, weights)
            fit = self._refit(design, target, best, n_rows)
        warn_unsolved_fits(np.append(gaps, self.dual_gap_), self.tol, self.max_iter)
        warn_hidden_columns(design, [target], [fit], best)
        names = "coef_", "intercept_", "alpha_", "phi_", "sigma_"
        progress.end(lambda: {name: getattr(self, name) for name in names})
        return self

    def _choose(self, results, grid):
        """Choose penalty and share by the errors of folds; return penalty and gaps."""
        place = best_place(pooled_errors(results))
        self.phi_, self.alphas_ = float(grid.phis[place[0]]), grid.alphas
        found = zip(*(fold[:3] for fold in results), strict=True)
        mse, units, gaps = map(np.array, found)
        with np.errstate(over="ignore", under="ignore"):
            self.mse_path_ = np.moveaxis(mse * units * units, 0, -1)
        if np.ndim(self.phi) == 0:
            self.mse_path_ = self.mse_path_[0]
        return float(grid.alphas[place[1]]), gaps

    def _refit(self, design, target, alpha, n_rows):
        """Fit all rows with the penalty and the share that were chosen; return that."""
        phis = np.array([self.phi_])
        fits, intercepts = regress_relaxed(design, target, [alpha], phis, self._options)
        fit, centred = fits[0][0], bool(self.fit_intercept)
        self.alpha_, self.coef_ = alpha, fit.coef.astype(design.dtype, copy=False)
        self.intercept_ = float(intercepts[0, 0])
        self.sigma_ = estimated_sigma(fit, self.phi_, n_rows, centred)
        self.dual_gap_, self.n_iter_ = fit.gap, fit.n_iter
        return fit

    def _grid(self, largest):
        alphas = penalty_grid(self.alphas, self.eps, largest)
        return Grid(alphas, share_grid(self.phi))

    @property
    def _options(self):
        return SolverOptions(bool(self.positive), self.tol, self.max_iter)

    def _problem(self, X, y, weights):
        """Return the design and the target of rows that weigh."""
        X, y, weights = rows_that_weigh(X, y, weights)
        return design_of(X, weights / weights.sum(), bool(self.fit_intercept)), y

    def _problem_of(self, tables, X, y, weights, unit):
        """Return what ``_problem`` does, from moments in units of y if there are any.

        All rows are those of the two parts of a fold. Rows have more digits, and are
        few where they are no more than columns.
        """
        if tables is None or X.shape[0] <= X.shape[1]:
            return self._problem(X, y, weights)
        exponent, centred = int(np.log2(unit)), bool(self.fit_intercept)
        return MomentDesign(pooled(tables[0]), 1, centred, X.dtype, exponent), 0

    def _errors_of_table(self, fold, grid, unit):
        """Return what ``_errors`` does, from moments as far as these keep digits."""
        (train, test), intercept = fold, bool(self.fit_intercept)
        way = intercept, bool(self.positive)
        path = follow_moment_path(train, grid.alphas, *way)
        means = train.mean if intercept else np.zeros_like(train.mean)
        coef = relax_moment_path(train, path, *grid, *way)
        found = held_out_square(test, means, coef.reshape(-1, coef.shape[-1]))
        mse, lost = (values.reshape(coef.shape[:2]) for values in found)
        n_exact = count_exact(path.gaps, mse, lost, self.tol)
        mse, gaps = mse[:, :n_exact], path.gaps[:n_exact]
        last = fit_of(path.coef[max(n_exact - 1, 0)] * unit, 0.0, 0.0, 1)
        return HeldOut(mse, np.full(mse.shape, unit), gaps, test.weight, last)

    def _follow(self, X, y, weights, fold, found, grid, ends):
        """Return the errors of a fold; those for large penalties may be found."""
        n_found = len(found.gaps) if found is not None else 0
        if n_found >= len(grid.alphas):
            return found
        start = found.last if found is not None else None
        more = self._errors(X, y, weights, grid.after(n_found), fold, ends, start)
        return found.join(more) if found is not None else more

    def _to_one_end(self, results, grid, follow):
        """Return errors of all folds for the same penalties, and the grid of these.

        Paths that have ended go on to where others have, or for some penalties more,
        until errors have grown for all folds together, or to the end of the grid.
        """
        lengths, most = [len(fold.gaps) for fold in results], len(grid.alphas)
        for n_alphas in sorted({*lengths, *range(min(lengths), most, AGAIN), most}):
            part = grid.first(n_alphas)

            def go_on(pair, part=part):
                return follow(*pair, part)

            results = parallel_map(go_on, list(enumerate(results)), self.n_jobs)
            errors = [fold.first(n_alphas) for fold in results]
            if have_grown(errors):
                break
        return errors, part

    def _errors(self, X, y, weights, grid, fold, ends, start):
        """Return the errors of the path of a fold, from a fit to start from."""
        train, test = fold
        if not weights[train].any() or not weights[test].any():
            raise ValueError(
                "sample_weight must leave each fold of cv a training row and a test "
                "row of positive weight, got only zeros in one of them."
            )
        rows, options = HeldOutRows(X, y, weights, test), self._options
        design, target = self._problem(some_rows(X, train), y[train], weights[train])
        if ends:
            options = options._replace(ends=EarlyStopping(rows, design.rank))
        fits, intercepts = regress_relaxed(design, target, *grid, options, start)
        del design  # it may hold the rows of the fold
        all_fits = [fit for row in fits for fit in row]
        found = rows.mean_squares(all_fits, intercepts.ravel())
        mse, units = (values.reshape(intercepts.shape) for values in found)
        gaps, last = np.array([fit.gap for fit in fits[0]]), fits[np.argmax(grid.phis)]
        return HeldOut(mse, units, gaps, weights[test].sum(), last[-1])
