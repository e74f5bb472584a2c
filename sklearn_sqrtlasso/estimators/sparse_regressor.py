"""Base of sparse linear regressors: fitting, prediction, sparse coefficients."""

from abc import abstractmethod
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from sklearn_sqrtlasso._types import Rows
from sklearn_sqrtlasso.blockwise.converted_rows import are_many_integers
from sklearn_sqrtlasso.blockwise.integer_rows import IntegerRows, some_rows
from sklearn_sqrtlasso.blockwise.linalg import (
    affine_rows,
    largest_entry,
    row_batches,
    unit_near,
)
from sklearn_sqrtlasso.estimators.compat import (
    LinearModel,
    csr_container,
    fit_context,
    validate_data,
    validate_parameter_constraints,
)
from sklearn_sqrtlasso.estimators.drafts import all_or_nothing
from sklearn_sqrtlasso.estimators.persistence import VersionedMixin
from sklearn_sqrtlasso.estimators.validation import (
    DTYPES,
    are_plain,
    check_finite,
    check_weights,
    refuse_masked,
)


def refuse_target(y):
    """Raise an error for targets that are sparse or complex.

    Parameters
    ----------
    y : array-like
        Targets as given.
    """
    if sp.issparse(y):
        raise ValueError(
            f"y must be a dense array, got a sparse matrix of shape {y.shape}: use "
            "y.toarray()."
        )
    if isinstance(y, list | tuple | np.ndarray) and np.iscomplexobj(np.asarray(y)):
        raise ValueError("Complex data not supported: y must be real.")


def rows_that_weigh(X, y, weights):
    """Return the rows of positive weight; X is checked where others are left out.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_samples, n_features)
        Features.
    y : ndarray of shape (n_samples,) or (n_samples, n_targets)
        Targets.
    weights : ndarray of shape (n_samples,)
        Weights, at least 0.

    Returns
    -------
    X, y, weights : {ndarray, sparse matrix}, ndarray, ndarray
        The rows; the arguments themselves if all weights are positive.
    """
    on = weights > 0
    if on.all():
        return X, y, weights
    check_finite(X)
    rows = np.flatnonzero(on)
    return some_rows(X, rows), y[rows], weights[rows]


def integer_rows(X):
    """Return a large array of integers as rows that are converted when they are read.

    Parameters
    ----------
    X : array-like
        Features as given.

    Returns
    -------
    rows : IntegerRows or None
        None for anything else, and for few rows, which are converted as a whole.
    """
    many = isinstance(X, np.ndarray) and are_many_integers(X)
    return IntegerRows(X) if many else None


class SparseRegressor(RegressorMixin, VersionedMixin, LinearModel):
    """Linear model with few nonzero coefficients.

    A subclass implements ``_fit(X, y, sample_weight)``.
    """

    @fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    def fit(
        self, X: Rows, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fit coefficients and intercept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, in any memory order; sparse X is converted to CSC, and many
            rows of integers are converted as they are read.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets; cross-validation takes a single target.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Nonnegative weights of the rows, used in the fit and in all errors; None
            gives all rows weight 1. Rows of weight zero do not matter, whatever they
            hold, as long as it is finite.

        Returns
        -------
        self : object
            The fitted regressor.

        Raises
        ------
        ValueError
            If a parameter, X, y or ``sample_weight`` is not valid; the estimator is
            left unchanged.
        """
        refuse_masked({"sample_weight": sample_weight})
        return self._fit(X, y, sample_weight)

    @abstractmethod
    def _fit(self, X, y, sample_weight):
        """Validate the input and fit to it."""

    def predict(self, X: Rows) -> Any:
        """Predict the targets of the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            ``X @ coef_.T + intercept_``; infinite where it is out of range.
        """
        check_is_fitted(self)
        X, w, b = self._rows_to_predict(X), self.coef_, np.atleast_1d(self.intercept_)
        if isinstance(X, np.ndarray | IntegerRows) and _are_converted(X, w):
            batches = row_batches(*X.shape)
            y = np.concatenate([_predicted(X[rows], w, b) for rows in batches])
        else:
            y = _predicted(X, w, b)
        return y if y.shape[1] > 1 else y[:, 0]

    def _rows_to_predict(self, X):
        """Return validated rows, of which integers are converted when they are read."""
        refuse_masked({"X": X})
        rows = integer_rows(X)
        if rows is not None:
            validate_data(self, X, reset=False, skip_check_array=True)
            return rows
        X = validate_data(
            self,
            X,
            reset=False,
            accept_sparse=["csr", "csc"],
            dtype=DTYPES,
            ensure_all_finite=False,
        )
        check_finite(X)
        return X

    def score(
        self, X: Rows, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the coefficient of determination of the prediction.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets of the rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; None gives all rows weight 1. Rows of weight zero do
            not matter, whatever they hold.

        Returns
        -------
        score : float
            One minus the ratio of squared errors to squared deviations of y from its
            mean, averaged over targets; at most 1.
        """
        refuse_masked({"y": y, "sample_weight": sample_weight})
        refuse_target(y)
        guess, y = self.predict(X), np.asarray(y, dtype=np.float64)
        check_consistent_length(y, guess, sample_weight)
        weights = check_weights(sample_weight, guess)
        _, y, _ = rows_that_weigh(guess, y, weights)
        _, guess, weights = rows_that_weigh(guess, guess, weights)
        unit = unit_near(max(largest_entry(y), largest_entry(guess)))
        return r2_score(y / unit, guess / unit, sample_weight=weights)

    def sparsify(self) -> Self:
        """Store the coefficients as a CSR matrix; predictions do not change.

        Returns
        -------
        self : object
            Regressor, with sparse ``coef_`` of shape (n_targets, n_features).
        """
        check_is_fitted(self)
        self.coef_ = self.sparse_coef_
        return self

    def densify(self) -> Self:
        """Store the coefficients as a dense array.

        Returns
        -------
        self : object
            Regressor, with ``coef_`` as set by ``fit``.
        """
        check_is_fitted(self)
        if sp.issparse(self.coef_):
            dense = self.coef_.toarray()
            self.coef_ = dense if len(dense) > 1 else dense[0]
        return self

    @property
    def sparse_coef_(self) -> Any:
        """Return the coefficients as a CSR matrix.

        Returns
        -------
        sparse_coef_ : CSR matrix of shape (n_targets, n_features)
            Whatever ``coef_`` is stored as.
        """
        w = self.coef_
        return csr_container()(w if sp.issparse(w) else np.atleast_2d(w))

    def _validate_params(self):
        """Check the parameters; what is no parameter has no constraint."""
        name = type(self).__name__
        validate_parameter_constraints(self._parameter_constraints, vars(self), name)

    def _validate(self, X, y, *, multi_output, finite=True):
        if are_plain(X, y):
            self.n_features_in_ = X.shape[1]
            vars(self).pop("feature_names_in_", None)
        else:
            X, y = self._converted(X, y, multi_output)
        if finite:
            check_finite(X)
        return X, y

    def _converted(self, X, y, multi_output):
        """Return features and targets of other types, with names or without."""
        refuse_masked({"X": X, "y": y})
        refuse_target(y)
        rows = integer_rows(X)
        if rows is not None:
            validate_data(self, X, y, skip_check_array=True)
            wanted = {"y_numeric": True, "multi_output": multi_output}
            y = validate_data(self, "no_validation", y, reset=False, **wanted)
            check_consistent_length(X, y)
            return rows, np.asarray(y, dtype=np.float64)
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csc",
            dtype=DTYPES,
            y_numeric=True,
            multi_output=multi_output,
            ensure_all_finite=False,
        )
        return X, np.asarray(y, dtype=np.float64)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _are_converted(X, w):
    """Return whether dense rows are converted for products with coefficients."""
    return isinstance(X, IntegerRows) or X.dtype != np.result_type(X, w.dtype)


def _predicted(X, w, b):
    """Return ``X w' + b``, for coefficients of one or several targets."""
    dtype = np.result_type(X.dtype, w.dtype)
    if sp.issparse(w):  # only some columns of X count
        on = np.unique(w.indices)
        X, w = X[:, on], w[:, on].toarray()
    y, b = affine_rows(X.astype(dtype, copy=False), np.atleast_2d(w).T, b)
    with np.errstate(over="ignore"):  # what is out of range is infinite
        y += b
    return y
