"""What all row encoders share: validation, groups, codes, names and tags."""

from abc import ABC, abstractmethod
from functools import wraps

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_array, check_is_fitted

from sklearn_sqrtlasso.estimators.compat import (
    CallbackSupportMixin,
    csr_container,
    fit_context,
    validate_data,
    with_callbacks,
)
from sklearn_sqrtlasso.learning.loop import DivergedError
from sklearn_sqrtlasso.solvers.rows import one_run, runs_of_groups, single_rows

DTYPES = [np.float64, np.float32]


def all_or_nothing(method):
    """Let a method leave the estimator as it was if it raises.

    Parameters
    ----------
    method : callable
        Method of an estimator.

    Returns
    -------
    attempt : callable
        The method, which undoes what it did to the attributes if it raises.
    """

    @wraps(method)
    def attempt(self, *args, **kwargs):
        before = dict(vars(self))
        try:
            return method(self, *args, **kwargs)
        except DivergedError:  # on purpose: the last good parameters are kept
            raise
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return attempt


def is_missing(labels):
    """Tell which labels are None, NaN or another value that differs from itself.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Labels of any dtype.

    Returns
    -------
    missing : ndarray of shape (n_samples,)
        Booleans.
    """
    if labels.dtype != object:
        return labels != labels
    same = [False if label is None else label == label for label in labels]
    return np.array([not (isinstance(x, bool | np.bool_) and x) for x in same])


def resolve_groups(groups, n_samples):
    """Return the runs of rows that share a noise level.

    Parameters
    ----------
    groups : None, "all" or array-like of shape (n_samples,)
        Label of each row's group; None lets every row stand alone.
    n_samples : int
        Number of rows.

    Returns
    -------
    runs : Runs
        The groups as runs.
    """
    if groups is None:
        return single_rows(n_samples)
    if isinstance(groups, str):
        if groups != "all":
            raise ValueError(
                f"groups must be None, 'all' or an array of {n_samples} labels, "
                f"got {groups!r}."
            )
        return one_run(n_samples)
    labels = np.asarray(groups)
    if labels.shape != (n_samples,):
        found = f"an array of shape {labels.shape}" if labels.ndim else repr(groups)
        raise ValueError(
            f"groups must be None, 'all' or an array of {n_samples} labels, "
            f"one a row of X, got {found}."
        )
    n_missing = int(np.sum(is_missing(labels)))
    if n_missing:
        raise ValueError(
            f"groups must label every row, got {n_missing} missing labels (None, NaN)."
        )
    try:
        return runs_of_groups(labels)
    except TypeError as error:
        raise TypeError(
            "groups must be labels of one type that can be sorted."
        ) from error


class RowEncoder(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
    ABC,
):
    """Code rows, and decode them.

    A subclass writes ``_learn(X, runs)``, which sets the fitted attributes, and two
    methods that use them, ``_visit_codes`` and ``_noise_scale``. All receive validated
    rows; nothing below this class checks its input again.
    """

    sparse_output = False  # a parameter of those that offer it

    @abstractmethod
    def _learn(self, X, runs):
        """Set the fitted attributes, ``components_`` among them."""

    @abstractmethod
    def _visit_codes(self, X, runs, visit, *, out=None):
        """Code all rows block by block, and return what ``visit`` says of each."""

    @abstractmethod
    def _noise_scale(self, X, runs):
        """Return the noise standard deviation of each row."""

    @fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
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
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        runs = resolve_groups(groups, X.shape[0])
        if self.sparse_output:
            return self._sparse_codes(X, runs)
        Z = np.empty((X.shape[0], self._n_features_out), X.dtype)
        self._visit_codes(X, runs, lambda block: None, out=Z)
        return Z

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

    def inverse_transform(self, Z):
        """Decode the rows of Z: the weighted sums of the components.

        Parameters
        ----------
        Z : {array-like, sparse matrix} of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Reconstructed rows, in the dtype of Z.
        """
        check_is_fitted(self)
        Z = check_array(Z, accept_sparse="csr", dtype=DTYPES, input_name="Z")
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"Z must have {self._n_features_out} columns, one a component of "
                f"{type(self).__name__}, got {Z.shape[1]}."
            )
        return self._decode(Z)

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
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        restored = np.empty(X.shape, X.dtype)

        def decode(block):
            restored[block.rows] = self._decode(block.Z)

        self._visit_codes(X, resolve_groups(groups, X.shape[0]), decode)
        return restored

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
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        return self._noise_scale(X, resolve_groups(groups, X.shape[0]))

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
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        unit = 2.0 ** np.frexp(float(abs(X).max()))[1]  # exact, and nothing overflows
        mean = np.asarray((X / unit).mean(axis=0, dtype=np.float64)).ravel()

        def energies(block):
            x = np.asarray(
                block.X.todense() if hasattr(block.X, "todense") else block.X
            )
            left = (x - self._decode(block.Z)).astype(np.float64) / unit
            spread = x.astype(np.float64) / unit - mean
            return np.sum(left**2), np.sum(spread**2), np.sum((x / unit) ** 2.0)

        runs = resolve_groups(groups, X.shape[0])
        left, spread, whole = np.sum(self._visit_codes(X, runs, energies), axis=0)
        rounding = (64 * np.finfo(X.dtype).eps) ** 2 * whole
        if spread <= rounding:
            return float(left <= rounding)
        return float(1 - left / spread)

    def _validate(self, X, *, reset):
        return validate_data(
            self, X, reset=reset, accept_sparse="csr", dtype=DTYPES, order="C"
        )

    def _decode(self, Z):
        return Z @ self.components_.astype(Z.dtype, copy=False)

    def _sparse_codes(self, X, runs):
        def pack(block):
            place = np.flatnonzero(block.Z)
            counts = np.count_nonzero(block.Z, axis=1)
            return block.Z.ravel()[place], place % block.Z.shape[1], counts

        data, columns, counts = (
            np.concatenate(part)
            for part in zip(*self._visit_codes(X, runs, pack), strict=True)
        )
        bounds = np.concatenate([[0], np.cumsum(counts)])
        shape = (X.shape[0], self._n_features_out)
        Z = csr_container()((data, columns, bounds), shape=shape)
        return Z if runs.order is None else Z[np.argsort(runs.order)]

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
