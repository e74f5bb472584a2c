"""Transformer that restores rows by a coder, under the names of their columns."""

from copy import deepcopy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    OneToOneFeatureMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from sklearn_sqrtlasso._types import Groups, Rows
from sklearn_sqrtlasso.estimators.compat import HasMethods, fit_context, validate_data
from sklearn_sqrtlasso.estimators.drafts import all_or_nothing
from sklearn_sqrtlasso.estimators.persistence import VersionedMixin
from sklearn_sqrtlasso.estimators.validation import refuse_masked


def restore(coder, X, groups=None):
    """Return rows as a coder restores them.

    Parameters
    ----------
    coder : fitted estimator
        Has ``reconstruct``, or ``transform`` and ``inverse_transform``.
    X : array-like of shape (n_samples, n_features)
        Rows.
    groups : array-like of shape (n_samples,) or "all", default=None
        Group label of each row, for coders that take ``groups``.

    Returns
    -------
    restored : ndarray of shape (n_samples, n_features)
        Restored rows.
    """
    metadata = {} if groups is None else {"groups": groups}
    if hasattr(coder, "reconstruct"):
        return np.asarray(coder.reconstruct(X, **metadata))
    return np.asarray(coder.inverse_transform(coder.transform(X, **metadata)))


class Denoiser(
    OneToOneFeatureMixin,
    TransformerMixin,
    MetaEstimatorMixin,
    VersionedMixin,
    BaseEstimator,
):
    r"""Restore rows by a coder: its output has the columns of its input.

    Rows are replaced by :math:`\hat x = D(E(x))`, with the encoder E and the decoder D
    of the coder. Use it where the next step needs columns with their meaning and their
    units, such as trees, and the codes themselves where it does not.

    Parameters
    ----------
    coder : transformer
        Has ``reconstruct``, or ``transform`` and ``inverse_transform``: an encoder of
        this package, :class:`~sklearn.decomposition.PCA`, or a Pipeline whose steps are
        all invertible. It is cloned and left unfitted.

    Attributes
    ----------
    coder_ : transformer
        Fitted coder.
    n_features_in_ : int
        Number of features seen during :term:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :term:`fit`, if they are all strings.

    See Also
    --------
    NoisyCopies : Fits the estimator after it to noisy copies of the rows.
    sklearn_sqrtlasso.metrics.denoising_scorer : Score of the restored rows.

    Notes
    -----
    Sparse rows and missing values are accepted if the coder accepts them; restored rows
    are dense.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_sqrtlasso import Denoiser
    >>> X = load_iris(as_frame=True).data
    >>> denoiser = Denoiser(PCA(2)).set_output(transform="pandas").fit(X)
    >>> list(denoiser.transform(X).columns) == list(X.columns)
    True
    """

    _parameter_constraints: dict = {
        "coder": [
            HasMethods(["fit", "reconstruct"]),
            HasMethods(["fit", "transform", "inverse_transform"]),
        ]
    }

    def __init__(self, coder: Any) -> None:
        self.coder = coder

    @fit_context(prefer_skip_nested_validation=False)
    @all_or_nothing
    def fit(
        self, X: Rows, y: ArrayLike | None = None, *, groups: Groups = None
    ) -> Self:
        """Fit the coder.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,), default=None
            Targets, which are passed to the coder.
        groups : array-like of shape (n_samples,) or "all", default=None
            Group label of each row, for coders that take ``groups``.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            If X is not valid; the estimator is left unchanged.
        TypeError
            If the coder takes no ``groups``.
        """
        refuse_masked({"X": X})
        metadata = {} if groups is None else {"groups": groups}
        self.coder_ = clone(self.coder).fit(X, y, **metadata)
        validate_data(self, X, skip_check_array=True)
        return self

    def transform(self, X: Rows, *, groups: Groups = None) -> Any:
        """Restore the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to restore.
        groups : array-like of shape (n_samples,) or "all", default=None
            Group label of each row, for coders that take ``groups``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Restored rows.
        """
        check_is_fitted(self)
        refuse_masked({"X": X})
        return restore(self.coder_, X, groups)

    def fit_transform(
        self, X: Rows, y: ArrayLike | None = None, *, groups: Groups = None
    ) -> Any:
        """Fit the coder and restore the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, which is also restored.
        y : array-like of shape (n_samples,), default=None
            Targets, which are passed to the coder.
        groups : array-like of shape (n_samples,) or "all", default=None
            As in ``fit`` and ``transform``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The same as ``fit(X, y, groups=groups).transform(X, groups=groups)``.
        """
        return self.fit(X, y, groups=groups).transform(X, groups=groups)

    def inverse_transform(self, X: Rows) -> Any:
        """Return the rows of X as they are: restored rows are rows already.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Restored rows.

        Returns
        -------
        X : array-like of shape (n_samples, n_features)
            The same, so that a Pipeline with this step can be inverted.
        """
        check_is_fitted(self)
        return X

    def __sklearn_tags__(self):
        tags, inner = super().__sklearn_tags__(), deepcopy(get_tags(self.coder))
        tags.input_tags = inner.input_tags
        tags.target_tags = inner.target_tags
        if inner.transformer_tags is not None:
            tags.transformer_tags = inner.transformer_tags
        return tags
