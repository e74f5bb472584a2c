"""Lazy results of methods that take rows: codes, predictions, noise levels."""

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import is_regressor

from sklearn_sqrtlasso.dask.chunks import check_collection, chunks_of, rows_of
from sklearn_sqrtlasso.dask.compat import da, delayed, is_frame
from sklearn_sqrtlasso.dask.regression import score_of_predictions
from sklearn_sqrtlasso.estimators.base import BaseEncoder

POOLED = ("transform", "reconstruct")  # need no more of a group than its residual scale


def transform(estimator: Any, X: Any, *, groups: Any = None) -> Any:
    """Code the rows of a Dask collection, lazily.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator or Pipeline.
    X : Dask array or Dask DataFrame
        Rows, chunked by rows only: dense or CSR chunks, or frames.
    groups : Dask array of shape (n_samples,) or "all", default=None
        Group label of each row; they are gathered, and the residual scales of groups
        that have rows in several chunks are computed at once. None puts each row into
        its own group.

    Returns
    -------
    Z : Dask array or Dask DataFrame
        Codes, in the chunks of X; sparse with ``sparse_output=True``, and a DataFrame
        if X is one and ``set_output`` asks for frames.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from sklearn_sqrtlasso import SqrtLassoTransform
    >>> from sklearn_sqrtlasso.dask import transform
    >>> X = np.random.default_rng(0).standard_normal((1000, 8))
    >>> coder = SqrtLassoTransform(4, alpha=0.3).fit(X)
    >>> Z = transform(coder, da.from_array(X, chunks=(300, 8)))
    >>> Z.shape, Z.chunks[0], Z.dtype
    ((1000, 4), (300, 300, 300, 100), dtype('float64'))
    >>> bool(np.all(Z.compute() == coder.transform(X)))
    True
    """
    return _by_chunks(estimator, "transform", X, groups)


def inverse_transform(estimator: Any, X: Any) -> Any:
    """Decode the rows of a Dask collection, lazily.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator or Pipeline.
    X : Dask array or Dask DataFrame
        Codes, dense or sparse.

    Returns
    -------
    X : Dask array
        Decoded rows, in the chunks of the codes.
    """
    return _by_chunks(estimator, "inverse_transform", X)


def reconstruct(estimator: Any, X: Any, *, groups: Any = None) -> Any:
    """Code and decode the rows of a Dask collection, lazily.

    Parameters
    ----------
    estimator : estimator
        Fitted encoder.
    X, groups
        As for ``transform``.

    Returns
    -------
    X : Dask array
        Restored rows, in the chunks of X.
    """
    return _by_chunks(estimator, "reconstruct", X, groups)


def noise_scale(estimator: Any, X: Any, *, groups: Any = None) -> Any:
    """Estimate the noise standard deviation of each row, lazily.

    Parameters
    ----------
    estimator : estimator
        Fitted encoder.
    X, groups
        As for ``transform``.

    Returns
    -------
    sigma : Dask array of shape (n_samples,)
        Noise standard deviations, in units of X.
    """
    return _by_chunks(estimator, "noise_scale", X, groups)


def predict(estimator: Any, X: Any) -> Any:
    """Predict the targets of the rows of a Dask collection, lazily.

    Parameters
    ----------
    estimator : estimator
        Fitted regressor or Pipeline.
    X : Dask array or Dask DataFrame
        Rows.

    Returns
    -------
    y : Dask array of shape (n_samples,) or (n_samples, n_targets)
        Predictions, in the chunks of X.
    """
    return _by_chunks(estimator, "predict", X)


def score(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    groups: Any = None,
) -> Any:
    """Return the score of the estimator, from sums over the chunks.

    Parameters
    ----------
    estimator : estimator
        Fitted encoder of this package, or any fitted regressor or Pipeline that ends
        in one.
    X : Dask array or Dask DataFrame
        Rows.
    y : Dask array of shape (n_samples,) or (n_samples, n_targets), default=None
        Targets of a regressor, chunked as X.
    sample_weight : Dask array of shape (n_samples,), default=None
        Weights of the rows for a regressor, chunked as X.
    groups : Dask array of shape (n_samples,) or "all", default=None
        Group label of each row for an encoder, as in ``fit``.

    Returns
    -------
    score : float
        ``estimator.score`` of all rows.
    """
    if is_regressor(estimator):
        return score_of_predictions(estimator, rows_of(X), y, sample_weight)
    is_encoder = isinstance(estimator, BaseEncoder)
    if not is_encoder:
        raise TypeError(
            "score over chunks is for regressors, and for encoders of this package by "
            f"themselves, got {type(estimator).__name__}."
        )
    rows = rows_of(X)
    if groups is None:
        return estimator.score(rows)
    return estimator.score(rows, groups=groups)


def _by_chunks(estimator, method, X, groups=None):
    """Return what a method returns for each chunk, joined lazily."""
    if groups is not None:
        return _by_groups(estimator, method, X, groups)
    check_collection(X)
    example = _example(estimator, method, X)
    shared = delayed(estimator, traverse=False, pure=False)
    if hasattr(example, "iloc"):
        options = {"meta": example.iloc[:0], "enforce_metadata": False}
        return X.map_partitions(_of_chunk, shared, method, example, **options)
    if is_frame(X):
        given = shared, method, example
        parts = [delayed(_of_chunk)(chunk, *given) for chunk in chunks_of(X)]
        return _joined(parts, [np.nan] * len(parts), example)
    options = {"dtype": example.dtype, "meta": example[:0]}
    if example.ndim == 1:
        options |= {"drop_axis": 1, "chunks": (X.chunks[0],)}
    else:
        options |= {"chunks": (X.chunks[0], (example.shape[1],))}
    given = {"estimator": shared, "method": method, "example": example}
    return da.map_blocks(_of_chunk, X, **given, **options)


def _by_groups(estimator, method, X, groups):
    """Return what a method returns for each chunk, given groups of its rows."""
    check_collection(X)
    example, rows = _example(estimator, method, X), rows_of(X)
    given = rows.grouped(groups)
    if len(given.shared()) and method not in POOLED:
        raise ValueError(
            f"groups must have all of their rows in one chunk for {method}, got "
            f"{len(given.shared())} groups in several chunks: sort the rows by groups, "
            "and rechunk them."
        )
    valid = estimator._validate(rows, reset=False)
    given = given.scaled(valid, estimator._encoder(valid.dtype))
    parts = rows.calls(_of_grouped_chunk, (given, estimator, method))
    return _joined(parts, np.diff(rows.starts).tolist(), example)


def _joined(parts, lengths, example):
    """Return an array of delayed results like the example."""
    arrays = [
        da.from_delayed(part, (length, *example.shape[1:]), example.dtype, example[:0])
        for part, length in zip(parts, lengths, strict=True)
    ]
    return da.concatenate(arrays, axis=0, allow_unknown_chunksizes=True)


def _of_grouped_chunk(x, groups, estimator, method):
    return getattr(estimator, method)(x, groups=groups)


def _of_chunk(x, estimator, method, example):
    """Return what a method returns for a chunk, also if it has no rows."""
    return getattr(estimator, method)(x) if x.shape[0] else example[:0]


def _example(estimator, method, X):
    """Return what a method returns for one row like those of X."""
    if is_frame(X):
        row = X._meta_nonempty.iloc[:1]
    else:
        row = np.ones((1, X.shape[1]), X.dtype)
        row = type(X._meta)(row) if sp.issparse(X._meta) else row
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(estimator, method)(row)
