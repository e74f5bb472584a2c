"""Meta-estimator that is fitted to training rows and noisy copies of them."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import check_random_state, get_tags, indexable
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_sqrtlasso._types import Rows, Seed
from sklearn_sqrtlasso.estimators.compat import (
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
    take,
    take_metadata,
    validate_data,
)
from sklearn_sqrtlasso.estimators.docstrings import list_choices
from sklearn_sqrtlasso.estimators.drafts import all_or_nothing
from sklearn_sqrtlasso.estimators.persistence import VersionedMixin
from sklearn_sqrtlasso.estimators.tables import numbers_of, with_numbers
from sklearn_sqrtlasso.estimators.validation import (
    check_noise_kinds,
    check_noise_levels,
    refuse_masked,
)
from sklearn_sqrtlasso.models.noise import NOISE_KINDS, column_spread


def inner_has(method):
    """Return a check that the inner estimator has a method, for ``available_if``.

    Parameters
    ----------
    method : str
        Name of the method.

    Returns
    -------
    check : callable, (estimator) -> bool
        Raises an AttributeError if there is no such method.
    """

    def check(self):
        getattr(getattr(self, "estimator_", self.estimator), method)
        return True

    return check


@list_choices({"kinds": NOISE_KINDS})
class NoisyCopies(MetaEstimatorMixin, VersionedMixin, BaseEstimator):
    r"""Fit a classifier or regressor to the training rows and noisy copies of them.

    Its predictions then hold for rows that are noisier than the training rows. The
    copies of a training row :math:`x` have its target and are

    .. math::
        x_j + \sigma s_j e_j, \qquad \sigma \sim U[0, 2],

    with :math:`s_j` the standard deviation of column :math:`j` over the training rows,
    :math:`e` noise of variance one, and a level :math:`\sigma` drawn for each copy of
    each row. Wrap a whole Pipeline, so that all of its steps see the noise, but for
    those that are to learn what rows are like without it, such as coders that restore
    rows: they go into ``transformer``.

    Parameters
    ----------
    estimator : classifier or regressor
        Estimator, which is cloned and left unfitted.
    transformer : transformer, default=None
        What rows pass before the estimator: fitted to the training rows without their
        copies, cloned and left unfitted. None passes rows on as they are.
    noise_std : float or "auto", default="auto"
        Level of the noise of all copies, at least 0, in standard deviations of each
        column, or the share of entries or columns for kinds whose level is a share;
        "auto" draws it for each copy of each row, uniformly between 0 and 2, or 0 and a
        half, or a fifth for "spikes".
    n_copies : int, default=8
        Number of noisy copies of each training row, at least the number of ``kinds``.
    kinds : list or tuple of str, default=("gaussian",)
        Kinds of noise, which the copies take in turn.

        <choices of kinds>.
    random_state : int, RandomState instance or None, default=None
        Seed of the noise.

    Attributes
    ----------
    estimator_ : estimator
        Fitted estimator.
    transformer_ : transformer or None
        Fitted transformer.
    classes_ : ndarray of shape (n_classes,)
        Labels, if the estimator is a classifier.
    n_features_in_ : int
        Number of features seen during :term:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :term:`fit`, if they are all strings.

    See Also
    --------
    sklearn_sqrtlasso.metrics.noise_scorer : Score of predictions for noisy rows.
    Denoiser : Restores rows before an estimator that never sees noise.

    Notes
    -----
    Training rows and copies are one stacked array, the training rows first: memory and
    time of ``fit`` are those of ``1 + n_copies`` times as many rows. Arguments of
    ``fit`` with a value for each row, such as ``sample_weight``, are repeated; with
    metadata routing, they go where the estimator asks for them.

    Of a data frame, columns of floats and integers get noise, as floats; all others are
    repeated. Missing values stay missing.

    Search the regularization of the estimator again: a penalty that is not divided by
    the number of rows, as by ``C`` or ``alpha``, weighs less against more rows.

    Arguments of ``fit`` do not reach the transformer, but X and y.

    References
    ----------
    .. [1] C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization",
       Neural Computation 7(1), 1995.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn_sqrtlasso import NoisyCopies
    >>> X, y = load_wine(return_X_y=True)
    >>> noise = X.std(axis=0) * np.random.default_rng(0).standard_normal(X.shape)
    >>> train, test = np.arange(0, 178, 2), np.arange(1, 178, 2)
    >>> noisy = (X + 1.5 * noise)[test]
    >>> forest = RandomForestClassifier(random_state=0)
    >>> alone = forest.fit(X[train], y[train]).score(noisy, y[test])
    >>> copies = NoisyCopies(forest, random_state=0).fit(X[train], y[train])
    >>> copies.score(noisy, y[test]) > alone + 0.05
    True

    Rows restored by a coder that has seen no noise, to an estimator that has:

    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_sqrtlasso import Denoiser, PivotalPCA
    >>> restore = make_pipeline(StandardScaler(), Denoiser(PivotalPCA()))
    >>> restored = NoisyCopies(forest, transformer=restore, random_state=0)
    >>> restored.fit(X[train], y[train]).score(noisy, y[test]) > alone + 0.05
    True
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "transformer": [HasMethods(["fit", "transform"]), None],
        "noise_std": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "n_copies": [Interval(Integral, 1, None, closed="left")],
        "kinds": [list, tuple],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        transformer: Any = None,
        noise_std: float | str = "auto",
        n_copies: int = 8,
        kinds: Sequence[str] | str = ("gaussian",),
        random_state: Seed = None,
    ) -> None:
        self.estimator = estimator
        self.transformer = transformer
        self.noise_std = noise_std
        self.n_copies = n_copies
        self.kinds = kinds
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    @all_or_nothing
    def fit(self, X: Rows, y: ArrayLike | None = None, **metadata: Any) -> Self:
        """Fit the estimator to the rows of X and noisy copies of them.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Training data, dense.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Targets.
        **metadata : dict
            Further arguments of the ``fit`` of the estimator; those with a value for
            each row are repeated.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or X is not valid; the estimator is left unchanged.
        """
        refuse_masked({"y": y})
        numbers = numbers_of(X)
        validate_data(self, X, skip_check_array=True)
        X, y = indexable(X, y)
        noisy = self._noisy(numbers)
        rows = np.arange(len(noisy)) % len(numbers)
        repeated = take_metadata(X, self._routed("fit", metadata), rows)
        self.transformer_ = None
        if self.transformer is not None:
            self.transformer_ = clone(self.transformer).fit(X, y)
        self.estimator_ = clone(self.estimator).fit(
            self._transformed(with_numbers(X, noisy, rows)),
            None if y is None else take(y, rows),
            **repeated,
        )
        return self

    def _transformed(self, X):
        return X if self.transformer_ is None else self.transformer_.transform(X)

    def _noisy(self, X):
        """Return the rows, and below them their copies."""
        kinds = check_noise_kinds(self.kinds)
        if self.n_copies < len(kinds):
            raise ValueError(
                f"n_copies must be at least the number of kinds, {len(kinds)}, got "
                f"{self.n_copies}."
            )
        if self.noise_std != "auto":
            check_noise_levels(self.noise_std, kinds, "noise_std")
        rng, spread = check_random_state(self.random_state), column_spread(X)
        noisy = np.concatenate([X] * (1 + self.n_copies))
        for copy in range(self.n_copies):
            kind = NOISE_KINDS[kinds[copy % len(kinds)]]
            level = self.noise_std
            if level == "auto":
                level = rng.uniform(0, kind.drawn_up_to, size=(len(X), 1))
            place = slice((copy + 1) * len(X), (copy + 2) * len(X))
            noisy[place] = kind.add(X, level, spread, rng)
        return noisy

    def _routed(self, method, metadata):
        if not get_config()["enable_metadata_routing"]:
            return metadata
        return process_routing(self, method, **metadata).estimator[method]

    def get_metadata_routing(self) -> Any:
        """Return where metadata goes: to the estimator.

        Returns
        -------
        routing : MetadataRouter
            Routing of the arguments of ``fit`` and ``score``.
        """
        mapping = MethodMapping()
        for method in ("fit", "score"):
            mapping = mapping.add(caller=method, callee=method)
        router = MetadataRouter(owner=self)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def predict(self, X: Rows) -> Any:
        """Predict the targets of rows.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows, as noisy as they are.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Predictions of the estimator.
        """
        return self._fitted().predict(self._transformed(X))

    @available_if(inner_has("predict_proba"))
    def predict_proba(self, X: Rows) -> np.ndarray:
        """Predict the probability of each class.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Probabilities by the estimator.
        """
        return self._fitted().predict_proba(self._transformed(X))

    @available_if(inner_has("predict_log_proba"))
    def predict_log_proba(self, X: Rows) -> np.ndarray:
        """Predict the logarithm of the probability of each class.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        logarithms : ndarray of shape (n_samples, n_classes)
            Logarithms by the estimator.
        """
        return self._fitted().predict_log_proba(self._transformed(X))

    @available_if(inner_has("decision_function"))
    def decision_function(self, X: Rows) -> np.ndarray:
        """Return the decision function of the estimator.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        values : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Decision values of the estimator.
        """
        return self._fitted().decision_function(self._transformed(X))

    @available_if(inner_has("score"))
    def score(self, X: Rows, y: ArrayLike | None = None, **metadata: Any) -> float:
        """Return the score of the estimator.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows, which get no noise; see
            :func:`~sklearn_sqrtlasso.metrics.noise_scorer`.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Targets.
        **metadata : dict
            Further arguments of the ``score`` of the estimator.

        Returns
        -------
        score : float
            Accuracy of a classifier, coefficient of determination of a regressor.
        """
        inner, metadata = self._fitted(), self._routed("score", metadata)
        return inner.score(self._transformed(X), y, **metadata)

    @property
    def classes_(self) -> np.ndarray:
        """Labels, if the estimator is a classifier.

        Returns
        -------
        classes : ndarray of shape (n_classes,)
            Labels.
        """
        return self._fitted().classes_

    def _fitted(self):
        check_is_fitted(self, "estimator_")
        return self.estimator_

    def __sklearn_tags__(self):
        tags, inner = super().__sklearn_tags__(), deepcopy(get_tags(self.estimator))
        tags.estimator_type = inner.estimator_type
        tags.target_tags = inner.target_tags
        tags.classifier_tags = inner.classifier_tags
        tags.regressor_tags = inner.regressor_tags
        first = inner if self.transformer is None else get_tags(self.transformer)
        tags.input_tags = replace(first.input_tags, sparse=False)
        return tags
