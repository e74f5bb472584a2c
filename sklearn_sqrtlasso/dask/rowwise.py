"""Lazy results of methods that take rows: codes, predictions, noise levels."""

import warnings

import numpy as np
import scipy.sparse as sp
from sklearn.base import is_regressor

from sklearn_sqrtlasso.dask.chunks import check_collection, chunks_of, rows_of
from sklearn_sqrtlasso.dask.compat import da, delayed, is_frame
from sklearn_sqrtlasso.dask.regression import score_of_predictions


def transform(estimator, X, *, groups=None):
    """Code the rows of a Dask collection, lazily.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator or Pipeline.
    X : Dask array or Dask DataFrame
        Rows, chunked by rows only: dense or CSR chunks, or frames.
    groups : Dask array of shape (n_samples,), default=None
        Group label of each row, chunked as X; rows of a group that share a noise level
        have to be in one chunk. None puts each row into its own group.

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


def inverse_transform(estimator, X):
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


def reconstruct(estimator, X, *, groups=None):
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


def noise_scale(estimator, X, *, groups=None):
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


def predict(estimator, X):
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


def score(estimator, X, y=None, *, sample_weight=None, groups=None):
    """Return the score of the estimator, from sums over the chunks.

    Parameters
    ----------
    estimator : estimator
        Fitted encoder or regressor of this package.
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
    rows = rows_of(X)
    if groups is None:
        return estimator.score(rows)
    return estimator.score(rows, groups=groups)


def _by_chunks(estimator, method, X, groups=None):
    """Return what a method returns for each chunk, joined lazily."""
    check_collection(X)
    example = _example(estimator, method, X)
    shared = delayed(estimator, traverse=False, pure=False)
    if hasattr(example, "iloc"):
        options = {"meta": example.iloc[:0], "enforce_metadata": False}
        return X.map_partitions(_of_chunk, shared, method, example, **options)
    if is_frame(X):
        return _joined(X, shared, method, example)
    options = {"dtype": example.dtype, "meta": example[:0]}
    if example.ndim == 1:
        options |= {"drop_axis": 1, "chunks": (X.chunks[0],)}
    else:
        options |= {"chunks": (X.chunks[0], (example.shape[1],))}
    arrays = [X]
    if groups is not None:
        arrays.append(_labels_like(X, groups))
    return da.map_blocks(
        _of_array, *arrays, estimator=shared, method=method, example=example, **options
    )


def _joined(X, shared, method, example):
    """Return an array of the results for the partitions of a frame."""
    shape = (np.nan, *example.shape[1:])
    parts = [
        da.from_delayed(
            delayed(_of_chunk)(chunk, shared, method, example),
            shape,
            example.dtype,
            example[:0],
        )
        for chunk in chunks_of(X)
    ]
    return da.concatenate(parts, axis=0, allow_unknown_chunksizes=True)


def _labels_like(X, groups):
    """Return labels of rows as an array that is chunked as X, with a column."""
    if not isinstance(groups, da.Array) or groups.ndim != 1:
        raise TypeError(
            "groups must be a Dask array of one label for each row, chunked as X, got "
            f"{type(groups).__name__}."
        )
    return groups[:, None]


def _of_array(x, groups=None, *, estimator, method, example):
    labels = None if groups is None else groups[:, 0]
    return _of_chunk(x, estimator, method, example, labels)


def _of_chunk(x, estimator, method, example, groups=None):
    """Return what a method returns for a chunk, also if it has no rows."""
    if not x.shape[0]:
        return example[:0]
    if groups is None:
        return getattr(estimator, method)(x)
    return getattr(estimator, method)(x, groups=groups)


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
