"""Regressions over chunks: moments of rows, fits to them, scores of predictions."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import KFold, check_cv

from sklearn_sqrtlasso.blockwise.linalg import dense_rows
from sklearn_sqrtlasso.dask.chunks import Alongside
from sklearn_sqrtlasso.estimators.compat import validate_data
from sklearn_sqrtlasso.estimators.sqrt_lasso import check_loadings
from sklearn_sqrtlasso.estimators.sqrt_lasso_cv import is_partition
from sklearn_sqrtlasso.estimators.sqrt_lasso_path import check_precompute
from sklearn_sqrtlasso.estimators.validation import (
    DTYPES,
    check_finite,
    check_weights,
)
from sklearn_sqrtlasso.regression.moment_design import MomentDesign
from sklearn_sqrtlasso.regression.moments import gather, pooled
from sklearn_sqrtlasso.regression.solver import regression_alpha_max
from sklearn_sqrtlasso.regression.unsolved_fits import (
    warn_hidden_columns,
    warn_unsolved_fits,
)


class RowSums(NamedTuple):
    """What a regression needs of rows; it adds up over disjoint rows.

    Attributes
    ----------
    folds : dict of int to Moments
        Moments of the rows of each fold.
    in_columns : bool
        Whether targets have an axis of their own.
    counts : bool
        Whether all weights are integers, which count rows.
    n_positive : int
        Number of rows of positive weight.
    """

    folds: dict
    in_columns: bool
    counts: bool
    n_positive: int

    @property
    def n_rows(self):
        """Return the number of rows that the weights stand for.

        Returns
        -------
        n_rows : float
            Sum of counts, or the number of positive weights.
        """
        weight = sum(moments.weight for moments in self.folds.values())
        return float(weight if self.counts else self.n_positive)


def _both(one, two):
    """Return the sums over the rows of both."""
    folds = {
        fold: pooled([sums.folds[fold] for sums in (one, two) if fold in sums.folds])
        for fold in one.folds | two.folds
    }
    counts, n_positive = one.counts and two.counts, one.n_positive + two.n_positive
    return RowSums(folds, one.in_columns, counts, n_positive)


def _sums_of_chunk(x, y, weights, checker, parts):
    """Return what a regression needs of a chunk, whose rows are in parts by fold."""
    x, y = validate_data(
        checker,
        x,
        y,
        reset=False,
        accept_sparse="csr",
        dtype=DTYPES,
        y_numeric=True,
        multi_output=True,
        ensure_all_finite=False,
    )
    check_finite(x)
    weights = check_weights(weights, x) if weights is None or weights.any() else weights
    targets = y.reshape(len(y), -1).astype(np.float64)
    columns = dense_rows(x)
    folds = {}
    for fold, part in parts.items():
        rows = np.arange(len(y))[part]
        if weights[rows].any():
            folds[fold] = gather(columns, targets, weights, rows)
    counts = bool((weights == np.rint(weights)).all())
    return RowSums(folds, y.ndim == 2, counts, int(np.count_nonzero(weights)))


def _sums(estimator, rows, y, sample_weight, parts, n_folds=1):
    """Return what a regression needs of all rows, in parts of chunks by fold."""
    estimator._validate_params()
    if y is None:
        raise ValueError("y must be a Dask array of targets, got None.")
    first = rows.first()
    read = {"accept_sparse": "csr", "dtype": DTYPES, "ensure_all_finite": False}
    validate_data(estimator, first, **read)
    checker = type(estimator)()
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(estimator, name):
            setattr(checker, name, getattr(estimator, name))
    if rows.shape[0] <= rows.shape[1]:
        raise ValueError(
            f"X must have more rows than columns to be fitted by its moments, got "
            f"{rows.shape[0]} rows and {rows.shape[1]} columns: call the method of the "
            "estimator with X.compute()."
        )
    weights = None
    if sample_weight is not None:
        weights = rows.alongside(sample_weight, "sample_weight")
    given = rows.alongside(y, "y"), weights, checker, Alongside(parts)
    sums = rows.reduce(_sums_of_chunk, _both, *given)
    if len(sums.folds) < n_folds:
        raise ValueError(
            "sample_weight must leave each fold, or all rows, a row of positive "
            "weight, got only zeros."
        )
    return sums


def _design(estimator, moments, n_features, dtype):
    """Return the design of moments, which have enough digits."""
    n_targets = len(moments.mean) - n_features
    if not moments.keep_digits(n_targets):
        raise ValueError(
            "X and y must have means within 1000 times their spread, and squares in "
            "the range of numbers, to be fitted by their moments, and y must not be "
            "constant: centre and scale them first, as (X - X.mean(axis=0)) / "
            "X.std(axis=0)."
        )
    return MomentDesign(moments, n_targets, bool(estimator.fit_intercept), dtype)


def fit_by_moments(estimator, rows, y, sample_weight=None):
    """Fit a ``SqrtLasso`` by one pass over chunks, which gathers moments.

    Parameters
    ----------
    estimator : SqrtLasso
        Regressor; updated.
    rows : DaskRows
        Features.
    y : Dask array of shape (n_samples,) or (n_samples, n_targets)
        Targets.
    sample_weight : Dask array of shape (n_samples,), default=None
        Weights of the rows.
    """
    n_features = rows.shape[1]
    loadings = check_loadings(estimator.penalty_loadings, n_features)
    if loadings is None:
        raise ValueError(
            "penalty_loadings='auto' needs the residuals of rows, of which chunks give "
            "only moments: set penalty_loadings to None or numbers."
        )
    if check_precompute(estimator.precompute, rows.shape) not in (True, "auto"):
        raise ValueError(
            "precompute must be 'auto' or True for chunks, which give only products, "
            f"got {estimator.precompute!r}."
        )
    parts = [{0: slice(None)}] * len(rows.chunks)
    sums = _sums(estimator, rows, y, sample_weight, parts)
    design = _design(estimator, sums.folds[0], n_features, rows.dtype)
    design.load(loadings)
    alpha = estimator._penalty(design, sums.n_rows)
    targets = range(len(sums.folds[0].mean) - n_features)
    starts = estimator._starts(len(targets), n_features)
    results = [
        estimator._solve(design, target, alpha, False, start)
        for target, start in zip(targets, starts, strict=True)
    ]
    estimator._keep(results, alpha, sums.n_rows, rows.dtype, sums.in_columns)
    warn_unsolved_fits(estimator.dual_gap_, estimator.tol, estimator.max_iter)
    warn_hidden_columns(design, targets, [fit for fit, *_ in results], alpha)


def choose_by_moments(estimator, rows, y, sample_weight=None):
    """Fit a ``SqrtLassoCV`` by one pass over chunks, which gathers moments of folds.

    Parameters
    ----------
    estimator : SqrtLassoCV
        Regressor; updated.
    rows, y, sample_weight
        As for ``fit_by_moments``, with a single target.
    """
    n_folds, parts = _parts_of_chunks(estimator.cv, rows.starts)
    sums = _sums(estimator, rows, y, sample_weight, parts, n_folds)
    tests = [sums.folds[fold] for fold in range(n_folds)]
    whole = pooled(tests)
    if len(whole.mean) > rows.shape[1] + 1:
        raise ValueError("y must be a single target for a SqrtLassoCV, got several.")
    design = _design(estimator, whole, rows.shape[1], rows.dtype)
    positive = bool(estimator.positive)
    grid = estimator._grid(regression_alpha_max(design, 0, positive))
    results = []
    for fold, test in enumerate(tests):
        train = pooled(tests[:fold] + tests[fold + 1 :])
        found = estimator._errors_of_table((train, test), grid, 1.0)
        if len(found.gaps) < len(grid.alphas):
            raise ValueError(
                "The moments of a fold have too few digits for the smallest of the "
                "penalties: raise eps or alphas, or tol."
            )
        results.append(found)
    best, gaps = estimator._choose(results, grid)
    fit = estimator._refit(design, 0, best, sums.n_rows)
    gaps = np.append(gaps, fit.gap)
    warn_unsolved_fits(gaps, estimator.tol, estimator.max_iter)
    warn_hidden_columns(design, [0], [fit], best)


def _parts_of_chunks(cv, starts):
    """Return the number of folds, and of each chunk the rows of its folds.

    Folds of consecutive rows are slices, so that nothing is as long as the rows.
    """
    cv, n_rows = check_cv(cv), int(starts[-1])
    if type(cv) is KFold and not cv.shuffle:
        size, n_larger = divmod(n_rows, cv.n_splits)
        folds = np.arange(cv.n_splits + 1)
        bounds = folds * size + np.minimum(folds, n_larger)
        return cv.n_splits, [_consecutive(bounds, *ends) for ends in pairwise(starts)]
    try:
        folds = list(cv.split(np.broadcast_to(0.0, (n_rows, 1))))
    except (TypeError, ValueError):  # of splitters by targets or groups
        folds = []
    if not is_partition(folds, n_rows):
        raise ValueError(
            "cv must split by the number of rows alone, each of which is tested once, "
            "for a fit over chunks: a number, KFold or an iterable of such splits, got "
            f"{cv!r}."
        )
    labels = np.empty(n_rows, dtype=np.int32)
    for fold, (_, test) in enumerate(folds):
        labels[test] = fold
    return len(folds), [_labelled(labels[a:b]) for a, b in pairwise(starts)]


def _consecutive(bounds, start, stop):
    """Return the rows of folds between bounds that are in a chunk."""
    inside = np.clip(bounds, start, stop) - start
    ends = enumerate(pairwise(inside))
    return {fold: slice(int(a), int(b)) for fold, (a, b) in ends if a < b}


def _labelled(labels):
    return {int(fold): np.flatnonzero(labels == fold) for fold in np.unique(labels)}


class Errors(NamedTuple):
    """Weighted sums over rows, one for each target, from which scores follow.

    Attributes
    ----------
    weight : float
        Sum of weights.
    mean : ndarray of shape (n_targets,)
        Means of the targets.
    spread, errors : ndarray of shape (n_targets,)
        Sums of squares of the targets about their means, and of prediction errors.
    """

    weight: float
    mean: np.ndarray
    spread: np.ndarray
    errors: np.ndarray


def _pool_errors(one, two):
    weight, apart = one.weight + two.weight, two.mean - one.mean
    share = two.weight / weight
    spread = one.spread + two.spread + one.weight * share * apart**2
    return Errors(weight, one.mean + share * apart, spread, one.errors + two.errors)


def _errors_of_chunk(x, y, weights, estimator):
    y = np.asarray(y, dtype=np.float64)
    weights = np.ones(len(y)) if weights is None else np.asarray(weights, float)
    if not weights.any():
        return None
    y, guess = y.reshape(len(y), -1), estimator.predict(x).reshape(len(y), -1)
    mean = np.average(y, axis=0, weights=weights)
    spread = weights @ (y - mean) ** 2
    return Errors(weights.sum(), mean, spread, weights @ (y - guess) ** 2)


def score_of_predictions(estimator, rows, y, sample_weight=None):
    """Return the coefficient of determination of predictions.

    Parameters
    ----------
    estimator : estimator
        Fitted regressor.
    rows, y, sample_weight
        As for ``fit_by_moments``.

    Returns
    -------
    score : float
        Mean over the targets; 1 for a constant target that is predicted, else 0.
    """
    weights = None
    if sample_weight is not None:
        weights = rows.alongside(sample_weight, "sample_weight")
    targets = rows.alongside(y, "y")
    sums = rows.reduce(_errors_of_chunk, _pool_errors, targets, weights, estimator)
    varies = sums.spread > 0
    ratio = sums.errors / np.where(varies, sums.spread, 1.0)
    scores = np.where(varies, 1 - ratio, sums.errors == 0)
    return float(scores.mean())
