"""Base of all encoders: validation, coding, feature names and tags."""

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted

from sklearn_sqrtlasso._types import Rows
from sklearn_sqrtlasso.blockwise.chunks import ChunkedGroups, ChunkedRows, over_chunks
from sklearn_sqrtlasso.blockwise.converted_rows import (
    are_many_integers,
    canonical_rows,
    rows_of_integers,
)
from sklearn_sqrtlasso.blockwise.encode import encode, map_encoded
from sklearn_sqrtlasso.blockwise.groups import spread_over
from sklearn_sqrtlasso.blockwise.linalg import (
    column_means,
    dense_rows,
    filled_rows,
    has_missing,
    largest_entry,
    multiply_rows,
    unit_near,
)
from sklearn_sqrtlasso.blockwise.sparse_rows import (
    SparseProjection,
    dense_batches,
    differ_from,
    distances,
)
from sklearn_sqrtlasso.estimators.compat import (
    CallbackSupportMixin,
    csr_container,
    fit_context,
    validate_data,
    with_callbacks,
)
from sklearn_sqrtlasso.estimators.drafts import all_or_nothing
from sklearn_sqrtlasso.estimators.persistence import VersionedMixin
from sklearn_sqrtlasso.estimators.resumption import check_unchanged, forget, resumes
from sklearn_sqrtlasso.estimators.training_codes import (
    warn_dense_codes,
    warn_hidden_columns,
    warn_zero_codes,
)
from sklearn_sqrtlasso.estimators.validation import (
    DTYPES,
    check_array,
    check_finite,
    check_groups,
    check_learnable,
    check_live_parameters,
    check_size_of_default,
    refuse_masked,
)
from sklearn_sqrtlasso.sparse_coding.component_usage import CodeReport

CHECKED_ROWS = 512  # training rows whose codes are looked at after a fit
CHECKED_ENTRIES, FEWEST_ROWS = 2**20, 8  # and of which columns are compared


class BaseEncoder(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    VersionedMixin,
    BaseEstimator,
    ABC,
):
    """Code and decode rows.

    A subclass implements ``_learn(X, groups, resumed)``, which sets the fitted
    attributes, and two methods that use them, ``_encoder(dtype)`` and
    ``_noise_scale(X, groups)``. They receive validated rows and do not check them
    again. Parameters that codes depend on are those of ``fitted_params_``.
    """

    _takes_missing = False  # whether NaN means that an entry was not observed
    sparse_output = False  # a parameter of subclasses that can return sparse codes
    _coded_with: tuple[str, ...] = ()  # parameters that codes depend on
    _kept_with: tuple[str, ...] = ()  # those that cannot change when learning resumes

    @abstractmethod
    def _learn(self, X, groups, resumed):
        """Set the fitted attributes, ``components_`` among them."""

    @abstractmethod
    def _encoder(self, dtype):
        """Return the map of rows to codes, as ``blockwise.encode`` expects it."""

    @abstractmethod
    def _noise_scale(self, X, groups):
        """Return the noise standard deviation of each row."""

    @fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    @with_callbacks
    def fit(self, X: Rows, y: ArrayLike | None = None) -> Self:
        """Fit to the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : Ignored
            Not used, present by convention.

        Returns
        -------
        self : object
            The fitted encoder.

        Raises
        ------
        ValueError
            If a parameter or X is not valid; the estimator is left unchanged.
        """
        return self._fit(X, None)

    def transform(self, X: Rows) -> Any:
        """Code the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to code.

        Returns
        -------
        Z : {ndarray, CSR matrix} of shape (n_samples, n_components)
            One code per row, in the dtype of X; sparse with ``sparse_output=True``.
        """
        return self._transform(*self._fitted_rows(X))

    def fit_transform(self, X: Rows, y: ArrayLike | None = None) -> Any:
        """Fit to the rows of X and return their codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, which is also coded.
        y : Ignored
            Not used, present by convention.

        Returns
        -------
        Z : {ndarray, CSR matrix} of shape (n_samples, n_components)
            The same as ``fit(X).transform(X)``.
        """
        return self.fit(X, y).transform(X)

    def inverse_transform(self, X: Rows) -> Any:
        """Decode the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Decoded rows, in the dtype of the codes.
        """
        check_is_fitted(self)
        Z = check_array(X, accept_sparse="csr", dtype=DTYPES, input_name="X")
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"X must be codes and have {self._n_features_out} columns, one per "
                f"component of {type(self).__name__}, got {Z.shape[1]}."
            )
        return self._decode(Z)

    def reconstruct(self, X: Rows) -> Any:
        """Code and decode the rows of X without storing all codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to restore.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            ``inverse_transform(transform(X))``.
        """
        return self._reconstruct(*self._fitted_rows(X))

    def noise_scale(self, X: Rows) -> np.ndarray:
        """Estimate the noise standard deviation of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        sigma : ndarray of shape (n_samples,)
            Noise standard deviations, in units of X; infinite where they exceed all
            numbers of the dtype of X.
        """
        return self._noise_scale(*self._fitted_rows(X))

    def score(self, X: Rows, y: ArrayLike | None = None) -> float:
        """Return the explained variance of the reconstruction, at most 1.

        It is one minus the ratio of the energy of ``X - reconstruct(X)`` to the energy
        of X about its column means, of observed entries; higher is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Not used, present by convention.

        Returns
        -------
        score : float
            Explained variance. If all columns are constant up to rounding, 1 if they
            are restored up to rounding and 0 otherwise.
        """
        return self._score(*self._fitted_rows(X))

    def report(self, X: Rows) -> CodeReport:
        """Report the use of the components in the codes of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        report : CodeReport
            Number of components, share of dead components, mean number of active
            components per row, explained variance.
        """
        return self._report(*self._fitted_rows(X))

    def _fit(self, X, groups):
        X, resumed = self._begin(X)
        groups = check_groups(groups, X)
        self._learn(X, groups, resumed)
        self._check_codes(X, groups)
        return self

    def _begin(self, X, *, warm=None, attribute="components_", coded=False):
        """Return validated training rows, and whether learning resumes.

        If it does not, everything fitted is forgotten. ``warm`` is the parameter
        ``warm_start`` if not given, as it is for a batch of a stream. ``coded`` tells
        that codes are given, with their number of components.
        """
        stream = warm is not None
        warm = getattr(self, "warm_start", False) if warm is None else warm
        resumed = resumes(self, warm=warm, attribute=attribute)
        if resumed:
            self._validate_params()  # which scikit-learn skips in partial_fit
            check_unchanged(self, self._kept_with)
            X = self._validate(X, reset=False)
        else:
            forget(self)
            X = self._validate(X, reset=True)
            if not (coded or self._has_given_components()):
                check_size_of_default(self.n_components, X, stream=stream)
        check_learnable(X)
        return X, resumed

    def _has_given_components(self):
        """Return whether a parameter holds the components."""
        given = vars(self).get("init"), vars(self).get("dictionary")
        return any(of is not None and not isinstance(of, str) for of in given)

    def _record_parameters(self):
        """Make parameters that codes depend on those of the fit."""
        self.fitted_params_ = {name: getattr(self, name) for name in self._coded_with}

    def _fitted(self, name):
        """Return a parameter as of the last fit."""
        return vars(self).get("fitted_params_", {}).get(name, getattr(self, name))

    def _validate(self, X, *, reset):
        if isinstance(X, ChunkedRows):
            return self._validate_chunks(X, reset)
        refuse_masked({"X": X})
        if are_many_integers(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            return rows_of_integers(X)
        X = validate_data(
            self,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=DTYPES,
            order="C",
            ensure_all_finite="allow-nan" if self._takes_missing else False,
        )
        if not self._takes_missing:
            check_finite(X)
        return canonical_rows(X)

    def _validate_chunks(self, X, reset):
        """Return chunked rows that are validated whenever they are read."""
        first = self._validate(X.first(), reset=reset)
        checker = type(self)()
        checker.n_features_in_ = self.n_features_in_
        if hasattr(self, "feature_names_in_"):
            checker.feature_names_in_ = self.feature_names_in_
        return X.map(_validated, checker, dtype=first.dtype)

    def _fitted_rows(self, X, groups=None):
        """Return validated rows for a fitted estimator, and their groups."""
        check_is_fitted(self)
        check_live_parameters(self)
        X = self._validate(X, reset=False)
        return X, check_groups(groups, X)

    def _map_encoded(self, function, X, groups, encoder=None):
        """Apply a function to each encoded row block and return the results."""
        encoder = self._encoder(X.dtype) if encoder is None else encoder

        def with_gap(block):
            return function(block), block.gap

        blocks = map_encoded(with_gap, X, encoder, groups, n_jobs=self.n_jobs)
        if blocks[0][1] is not None:
            self._check_gap(np.concatenate([gap for _, gap in blocks]))
        return [result for result, _ in blocks]

    def _check_codes(self, X, groups):
        """Warn if codes of the training rows cannot be what was wanted."""
        mean, n_few = getattr(self, "mean_", np.zeros(X.shape[1])), CHECKED_ROWS
        rows, some = spread_over(groups, n_few)
        x = X[rows]
        Z, _ = encode(x, self._rough_encoder(X.dtype), some, n_jobs=self.n_jobs)
        away = self._are_away(x, mean)
        if away.any():
            used = Z[away] != 0
            warn_zero_codes(used, self._remedy_for_zeros())
            warn_dense_codes(used, X.shape[1], self._remedy_for_dense_codes())
        n_fewer = max(CHECKED_ENTRIES // X.shape[1], FEWEST_ROWS)
        if n_fewer < n_few:
            rows, some = spread_over(groups, n_fewer)
            x = X[rows]
        warn_hidden_columns(x, mean, lambda: self._restored_from_codes(x, some))

    def _are_away(self, x, mean):
        """Return whether rows are others than a code of zeros stands for."""
        return differ_from(x, mean) if sp.issparse(x) else (x != mean).any(axis=1)

    def _rough_encoder(self, dtype):
        """Return the encoder of codes that are looked at and need not be exact."""
        return self._encoder(dtype)

    def _told_alpha(self):
        """Return the parameter ``alpha``, with its value if it is a word."""
        if isinstance(self.alpha, str):
            return f"alpha={self.alpha!r} ({np.mean(self.alpha_):.3g})"
        return f"alpha={self.alpha:g}"

    def _or_auto(self):
        return "" if self.alpha == "auto" else ", or set it to 'auto'"

    def _remedy_for_zeros(self):
        """Return what to do if most codes are zero, None where that can be meant."""

    def _remedy_for_dense_codes(self):
        """Return what to do if no entry is zero, None where that can be meant."""

    def _check_gap(self, gap):
        """Warn about rows that an iterative encoder did not solve."""

    def _transform(self, X, groups):
        if self.sparse_output:
            return self._sparse_codes(X, groups)
        Z, gap = encode(X, self._encoder(X.dtype), groups, n_jobs=self.n_jobs)
        if gap is not None:
            self._check_gap(gap)
        return Z

    def _sparse_codes(self, X, groups):
        def pack(block):
            place = np.flatnonzero(block.Z)
            counts = np.count_nonzero(block.Z, axis=1)
            return block.Z.ravel()[place], place % block.Z.shape[1], counts

        packed = self._map_encoded(pack, X, groups)
        data, columns, counts = map(np.concatenate, zip(*packed, strict=True))
        bounds = np.concatenate([[0], np.cumsum(counts)])
        shape = (X.shape[0], self._n_features_out)
        Z = csr_container()((data, columns, bounds), shape=shape)
        return Z if groups.order is None else Z[np.argsort(groups.order)]

    def _reconstruct(self, X, groups):
        return self._restored_from_codes(X, groups)

    def _restored_from_codes(self, X, groups):
        restored = np.empty(X.shape, X.dtype)

        def decode(block):
            if not sp.issparse(block.X):
                restored[block.rows] = self._decode(block.Z)
                return
            rows = np.r_[block.rows]
            for part in dense_batches(np.arange(len(rows)), X.shape[1]):
                restored[rows[part]] = self._decode(block.Z[part])

        self._map_encoded(decode, X, groups)
        return restored

    def _score(self, X, groups):
        observed = filled_rows(X, np.zeros(X.shape[1]))
        unit, mean = unit_near(largest_entry(observed)), column_means(X)
        if isinstance(groups, ChunkedGroups):
            groups = groups.scaled(X, self._encoder(X.dtype))
        residual, spread, whole = _energies(X, self, groups, mean, unit)
        rounding = (64 * np.finfo(X.dtype).eps) ** 2 * whole
        if spread <= rounding:
            return float(residual <= rounding)
        return float(1 - residual / spread)

    def _energies_of_block(self, X, mean, unit):
        """Return a function of a block: energies of error, spread and rows."""
        mean = mean / unit

        def of_rows(x, Z):
            with np.errstate(over="ignore"):
                residual = (x - self._decode(Z)).astype(np.float64) / unit
                x = x.astype(np.float64) / unit
                return [np.nansum(of**2) for of in (residual, x - mean, x)]

        def in_dense_batches(block):
            batches = dense_batches(np.arange(len(block.Z)), X.shape[1])
            parts = ((dense_rows(block.X[rows]), block.Z[rows]) for rows in batches)
            return np.sum([of_rows(*part) for part in parts], axis=0)

        if not sp.issparse(X):
            return lambda block: of_rows(block.X, block.Z)
        linear = self._linear_decoder()
        if linear is None or has_missing(X):
            return in_dense_batches
        weights, offset = linear
        with np.errstate(over="ignore", divide="ignore"):  # such rows are made dense
            offset = None if offset is None else offset / unit
        errors = SparseProjection(weights, offset)

        @np.errstate(over="ignore", divide="ignore", invalid="ignore")
        def of_sparse_rows(block):
            x = block.X.astype(np.float64) / unit
            residual, lost = errors.squared_errors(x, block.Z / unit)
            spread = distances(x, mean if mean.any() else None)
            sums = np.array([residual[~lost].sum(), np.sum(spread[~lost] ** 2), 0.0])
            sums[2] = np.sum(x.data**2)
            for rows in dense_batches(np.flatnonzero(lost), x.shape[1]):
                found = of_rows(dense_rows(block.X[rows]), block.Z[rows])
                sums[:2] += found[:2]
            return sums

        return of_sparse_rows

    def _linear_decoder(self):
        """Return weights and offset of the decoder, None if it is not linear."""
        return self.components_, None

    def _report(self, X, groups):
        def count(block):
            return np.count_nonzero(block.Z, axis=0)

        users = np.sum(self._map_encoded(count, X, groups), axis=0)
        return CodeReport(
            n_components=len(users),
            dead_share=float(np.mean(users == 0)),
            mean_active=float(users.sum() / X.shape[0]),
            explained_variance=self._score(X, groups),
        )

    def _decode(self, Z):
        return multiply_rows(Z, self.components_)

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self._takes_missing
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _validated(X, checker):
    """Return a chunk of rows, validated as ``checker`` does."""
    return checker._validate(X, reset=False)


@over_chunks(np.add)
def _energies(X, encoder, groups, mean, unit):
    """Return sums over rows: energies of error, spread and rows."""
    measure = encoder._energies_of_block(X, mean, unit)
    return np.sum(encoder._map_encoded(measure, X, groups), axis=0)
