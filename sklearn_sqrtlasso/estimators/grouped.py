"""Encoders whose rows may share a noise level: their methods take ``groups``."""

from sklearn.utils.metaestimators import available_if

from sklearn_sqrtlasso.estimators.base import BaseEncoder
from sklearn_sqrtlasso.estimators.compat import fit_context, with_callbacks
from sklearn_sqrtlasso.estimators.validation import resolve_groups, restore_on_error


class GroupedEncoder(BaseEncoder):
    """Code rows that may share a noise level, and decode them.

    Every method that codes rows takes ``groups``. A subclass writes the same methods as
    of ``BaseEncoder``.
    """

    @fit_context(prefer_skip_nested_validation=True)
    @restore_on_error
    @with_callbacks
    def fit(self, X, y=None, *, groups=None):
        """Learn from the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to learn from.
        y : Ignored
            Present by convention.
        groups : array-like of shape (n_samples,) or "all", default=None
            Label of each row's group: the rows of a group share one noise level. None
            lets every row stand alone, "all" puts all rows into one group.

        Returns
        -------
        self : object
            The fitted encoder.

        Raises
        ------
        ValueError
            If a parameter, X or ``groups`` is not valid; the estimator stays as it was.
        """
        X = self._validate(X, reset=True)
        self._learn(X, resolve_groups(groups, X.shape[0]))
        return self

    def transform(self, X, *, groups=None):
        """Code the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to code.
        groups : array-like of shape (n_samples,) or "all", default=None
            Label of each row's group: the rows of a group share one noise level. None
            lets every row stand alone, "all" puts all rows into one group.

        Returns
        -------
        Z : {ndarray, CSR matrix} of shape (n_samples, n_components)
            One code per row, in the dtype of X; sparse with ``sparse_output=True``.
        """
        return self._transform(*self._fitted_rows(X, groups))

    def fit_transform(self, X, y=None, *, groups=None):
        """Learn from the rows of X, and code them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to learn from and to code.
        y : Ignored
            Present by convention.
        groups : array-like of shape (n_samples,) or "all", default=None
            As in ``fit`` and ``transform``.

        Returns
        -------
        Z : {ndarray, CSR matrix} of shape (n_samples, n_components)
            The same as ``fit(X, groups=groups).transform(X, groups=groups)``.
        """
        return self.fit(X, y, groups=groups).transform(X, groups=groups)

    def reconstruct(self, X, *, groups=None):
        """Code the rows of X and decode them, without holding the codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to restore.
        groups : array-like of shape (n_samples,) or "all", default=None
            Label of each row's group, as in ``transform``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            ``inverse_transform(transform(X, groups=groups))``.
        """
        return self._reconstruct(*self._fitted_rows(X, groups))

    def noise_scale(self, X, *, groups=None):
        """Estimate the noise standard deviation of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        groups : array-like of shape (n_samples,) or "all", default=None
            Label of each row's group, as in ``transform``; rows of a group get one
            estimate.

        Returns
        -------
        sigma : ndarray of shape (n_samples,)
            Noise standard deviations, in units of X.
        """
        return self._noise_scale(*self._fitted_rows(X, groups))

    def score(self, X, y=None, *, groups=None):
        """Return the explained variance of the reconstruction, at most 1.

        That is one minus the ratio of the energy of ``X - reconstruct(X)`` to the
        energy of X about its column means; higher is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Present by convention.
        groups : array-like of shape (n_samples,) or "all", default=None
            Label of each row's group, as in ``transform``.

        Returns
        -------
        score : float
            Explained variance. If all columns are constant up to rounding, 1 if they
            are restored up to rounding and 0 otherwise.
        """
        return self._score(*self._fitted_rows(X, groups))

    def report(self, X, *, groups=None):
        """Report how the components are used on the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        groups : array-like of shape (n_samples,) or "all", default=None
            Label of each row's group, as in ``transform``.

        Returns
        -------
        report : CodeReport
            Number of components, share of dead ones, mean number of active ones,
            explained variance.
        """
        return self._report(*self._fitted_rows(X, groups))

    @available_if(lambda self: self._is_certified())
    def duality_gap(self, X, *, groups=None):
        """Return how far the code of each row is from minimising its objective.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        groups : array-like of shape (n_samples,) or "all", default=None
            Label of each row's group, as in ``transform``; rows of a group get one gap.

        Returns
        -------
        gap : ndarray of shape (n_samples,)
            Relative duality gaps, pure numbers: the objective exceeds its minimum by at
            most ``gap`` times the norm of what was shrunk. Up to rounding they are 0.

        Raises
        ------
        AttributeError
            If codes do not minimise an objective, or not one with a certificate.
        """
        return self._duality_gap(*self._fitted_rows(X, groups))

    def _is_certified(self):
        """Return whether codes have a duality gap, or raise an AttributeError."""
        return True
