"""Where learning begins: the size of rows, the space they fill, first weights."""

import numpy as np
from sklearn.utils import gen_batches

from sklearn_sqrtlasso.learning.frames import nearest_frame

BLOCK_ROWS = 4096
MOST_FEATURES = 1024  # beyond it, the span of the rows is not looked for
MOST_BLOCKS = 5  # that the span is looked for in, spread evenly
SMALLEST = 1e-12  # share of the largest variance below which a direction is empty


def mean_square(X):
    """Return the root mean square of all entries as ``(size, power)``.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    size : float
        Root mean square in units of ``power``, in [1/2, 2), or 0 where X is zero.
    power : float
        A power of two, 1 where X is zero.
    """
    top = float(max(X.max(), -X.min()))  # without a copy of X
    if top == 0:
        return 0.0, 1.0
    largest = 2.0 ** np.clip(np.frexp(top)[1], -1020, 1020)
    total = 0.0
    for rows in gen_batches(X.shape[0], BLOCK_ROWS):
        values = X[rows]
        values = values.data if hasattr(values, "tocsr") else values
        total += np.sum((values / largest) ** 2.0, dtype=np.float64)
    size = np.sqrt(total / (X.shape[0] * X.shape[1]))
    mantissa, exponent = np.frexp(size)
    return float(mantissa), float(np.ldexp(largest, max(exponent, -1000)))


def mean_row(X, unit):
    """Return the mean of the rows, to the bit the same for dense and sparse ones.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.
    unit : float
        They are divided by it.

    Returns
    -------
    mean : ndarray of shape (n_features,)
        In double precision.
    """
    total = np.zeros(X.shape[1])
    for rows in gen_batches(X.shape[0], BLOCK_ROWS):
        x = X[rows].toarray() if hasattr(X, "toarray") else X[rows]
        total += np.sum(x / unit, axis=0, dtype=np.float64)
    return total / X.shape[0]


def span_of(X):
    """Return the projector on the span of the rows, None where they fill the space.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    span : ndarray of shape (n_features, n_features) or None
        In the dtype of X.
    """
    n_samples, n_features = X.shape
    top = float(max(X.max(), -X.min()))
    if not 1 < n_features <= MOST_FEATURES or n_samples < 2 * n_features or top == 0:
        return None
    moment = np.zeros((n_features, n_features))
    blocks = list(gen_batches(n_samples, BLOCK_ROWS))
    for rows in blocks[:: -(-len(blocks) // MOST_BLOCKS)]:
        x = X[rows] / X.dtype.type(top)
        product = x.T @ x
        moment += product.toarray() if hasattr(product, "toarray") else product
    variances, directions = np.linalg.eigh(moment)
    empty = variances <= variances[-1] * max(SMALLEST, (8 * np.finfo(X.dtype).eps) ** 2)
    if not empty.any():
        return None
    kept = directions[:, ~empty]
    return (kept @ kept.T).astype(X.dtype)


def first_weights(shape, span, rng, dtype):
    """Return random rotations of the space that the data fill, one below the other.

    Their pseudo-inverse is harmless, which that of random directions is not where there
    are about as many units as features.

    Parameters
    ----------
    shape : tuple of int
        (n_components, n_features).
    span : ndarray or None
        As ``span_of`` returns it.
    rng : numpy.random.Generator
        Draws them.
    dtype : dtype
        Of the result.

    Returns
    -------
    W : ndarray
        Rows of unit norm, of the shape and dtype asked for.
    """
    W, rank = rng.standard_normal(shape), shape[1]
    if span is not None:
        W, rank = W @ span, round(np.trace(span))
    starts = range(0, len(W), rank)
    return np.vstack([nearest_frame(W[i : i + rank]) for i in starts]).astype(dtype)
