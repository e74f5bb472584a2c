"""Base of encoders for groups of rows that share a noise level."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if

from sklearn_sqrtlasso._types import Groups, Rows
from sklearn_sqrtlasso.blockwise.groups import spread_over
from sklearn_sqrtlasso.estimators.base import BaseEncoder
from sklearn_sqrtlasso.estimators.compat import fit_context, with_callbacks
from sklearn_sqrtlasso.estimators.drafts import all_or_nothing
from sklearn_sqrtlasso.sparse_coding.component_usage import CodeReport

MEDIAN_ROWS = 2**12  # that are enough for the median noise level


class GroupedEncoder(BaseEncoder):
    """Code and decode rows, where rows of a group share a noise level.

    Every method that codes rows takes ``groups``. A subclass implements the same
    methods as for ``BaseEncoder``.
    """

    @fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    @with_callbacks
    def fit(
        self, X: Rows, y: ArrayLike | None = None, *, groups: Groups = None
    ) -> Self:
        """Fit to the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : Ignored
            Not used, present by convention.
        groups : array-like of shape (n_samples,) or "all", default=None
            Group label of each row; rows of a group share a noise level. "all" puts all
            rows into one group, None puts each row into its own.

        Returns
        -------
        self : object
            The fitted encoder.

        Raises
        ------
        ValueError
            If a parameter, X or ``groups`` is not valid; the estimator is left
            unchanged.
        """
        return self._fit(X, groups)

    def transform(self, X: Rows, *, groups: Groups = None) -> Any:
        """Code the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to code.
        groups : array-like of shape (n_samples,) or "all", default=None
            Group label of each row; rows of a group share a noise level. "all" puts all
            rows into one group, None puts each row into its own.

        Returns
        -------
        Z : {ndarray, CSR matrix} of shape (n_samples, n_components)
            One code per row, in the dtype of X; sparse with ``sparse_output=True``.
        """
        return self._transform(*self._fitted_rows(X, groups))

    def fit_transform(
        self, X: Rows, y: ArrayLike | None = None, *, groups: Groups = None
    ) -> Any:
        """Fit to the rows of X and return their codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, which is also coded.
        y : Ignored
            Not used, present by convention.
        groups : array-like of shape (n_samples,) or "all", default=None
            As in ``fit`` and ``transform``.

        Returns
        -------
        Z : {ndarray, CSR matrix} of shape (n_samples, n_components)
            The same as ``fit(X, groups=groups).transform(X, groups=groups)``.
        """
        return self.fit(X, y, groups=groups).transform(X, groups=groups)

    def reconstruct(self, X: Rows, *, groups: Groups = None) -> Any:
        """Code and decode the rows of X without storing all codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to restore.
        groups : array-like of shape (n_samples,) or "all", default=None
            Group label of each row, as in ``transform``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            ``inverse_transform(transform(X, groups=groups))``.
        """
        return self._reconstruct(*self._fitted_rows(X, groups))

    def noise_scale(self, X: Rows, *, groups: Groups = None) -> np.ndarray:
        """Estimate the noise standard deviation of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        groups : array-like of shape (n_samples,) or "all", default=None
            Group label of each row, as in ``transform``; rows of a group get one
            estimate.

        Returns
        -------
        sigma : ndarray of shape (n_samples,)
            Noise standard deviations, in units of X; infinite where they exceed all
            numbers of the dtype of X.
        """
        return self._noise_scale(*self._fitted_rows(X, groups))

    def score(
        self, X: Rows, y: ArrayLike | None = None, *, groups: Groups = None
    ) -> float:
        """Return the explained variance of the reconstruction, at most 1.

        It is one minus the ratio of the energy of ``X - reconstruct(X)`` to the energy
        of X about its column means; higher is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Not used, present by convention.
        groups : array-like of shape (n_samples,) or "all", default=None
            Group label of each row, as in ``transform``.

        Returns
        -------
        score : float
            Explained variance. If all columns are constant up to rounding, 1 if they
            are restored up to rounding and 0 otherwise.
        """
        return self._score(*self._fitted_rows(X, groups))

    def report(self, X: Rows, *, groups: Groups = None) -> CodeReport:
        """Report the use of the components in the codes of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        groups : array-like of shape (n_samples,) or "all", default=None
            Group label of each row, as in ``transform``.

        Returns
        -------
        report : CodeReport
            Number of components, share of dead components, mean number of active
            components per row, explained variance.
        """
        return self._report(*self._fitted_rows(X, groups))

    @available_if(lambda self: self._is_certified())
    def duality_gap(self, X: Rows, *, groups: Groups = None) -> np.ndarray:
        """Return a bound on the suboptimality of the code of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        groups : array-like of shape (n_samples,) or "all", default=None
            Group label of each row, as in ``transform``; rows of a group get one gap.

        Returns
        -------
        gap : ndarray of shape (n_samples,)
            Relative duality gaps, pure numbers: the objective exceeds its minimum by at
            most ``gap`` times the norm of the coefficients that are shrunk. They are 0
            up to rounding.

        Raises
        ------
        AttributeError
            If codes do not minimise an objective with a duality gap.
        """
        return self._duality_gap(*self._fitted_rows(X, groups))

    def _median_noise(self, X, groups, most=MEDIAN_ROWS):
        """Return the median noise level of rows, of some of them if there are many."""
        rows, groups = spread_over(groups, most)
        sigma = self._noise_scale(X[rows], groups)
        return float(np.median(sigma[~np.isnan(sigma)]))  # of empty rows not a number

    def _is_certified(self):
        """Return whether codes have a duality gap, or raise an AttributeError."""
        return True
