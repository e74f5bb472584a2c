"""Base of sparse linear regressors: fitting, prediction, sparse coefficients."""

from abc import abstractmethod

import numpy as np
import scipy.sparse as sp
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from sklearn_sqrtlasso.estimators.compat import (
    LinearModel,
    csr_container,
    fit_context,
    validate_data,
)
from sklearn_sqrtlasso.estimators.drafts import all_or_nothing
from sklearn_sqrtlasso.estimators.validation import DTYPES


class SparseRegressor(RegressorMixin, LinearModel):
    """Linear model with few nonzero coefficients.

    A subclass implements ``_fit(X, y, sample_weight)``.
    """

    @fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    def fit(self, X, y, sample_weight=None):
        """Fit coefficients and intercept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, in any memory order; sparse X is converted to CSC.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets; cross-validation takes a single target.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Nonnegative weights of the rows, used in the fit and in all errors; None
            gives all rows weight 1.

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
        return self._fit(X, y, sample_weight)

    @abstractmethod
    def _fit(self, X, y, sample_weight):
        """Validate the input and fit to it."""

    def predict(self, X):
        """Predict the targets of the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            ``X @ coef_.T + intercept_``.
        """
        check_is_fitted(self)
        X = validate_data(
            self, X, reset=False, accept_sparse=["csr", "csc"], dtype=DTYPES
        )
        y = X @ self.coef_.T
        y = y.toarray() if sp.issparse(y) else np.asarray(y)
        return (y if np.ndim(self.intercept_) else y.reshape(-1)) + self.intercept_

    def score(self, X, y, sample_weight=None):
        """Return the coefficient of determination of the prediction.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets of the rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; None gives all rows weight 1.

        Returns
        -------
        score : float
            One minus the ratio of squared errors to squared deviations of y from its
            mean, averaged over targets; at most 1.
        """
        return super().score(X, y, sample_weight)

    def sparsify(self):
        """Store the coefficients as a CSR matrix; predictions do not change.

        Returns
        -------
        self : object
            Regressor, with sparse ``coef_`` of shape (n_targets, n_features).
        """
        check_is_fitted(self)
        if not sp.issparse(self.coef_):
            self.coef_ = csr_container()(np.atleast_2d(self.coef_))
        return self

    def densify(self):
        """Store the coefficients as a dense array.

        Returns
        -------
        self : object
            Regressor, with ``coef_`` as set by ``fit``.
        """
        check_is_fitted(self)
        if sp.issparse(self.coef_):
            dense = self.coef_.toarray()
            self.coef_ = dense if np.ndim(self.intercept_) else dense[0]
        return self

    def _validate(self, X, y, *, multi_output, finite=True):
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csc",
            dtype=DTYPES,
            y_numeric=True,
            multi_output=multi_output,
            ensure_all_finite=finite,
        )
        return X, np.asarray(y, dtype=np.float64)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
