r"""Moments of rows from products of their features that were computed before.

What is missing are means, and products with the targets: two looks at X. They also tell
whether the products are those of X. For a vector z of random signs, in units of the
columns, ``G z`` is compared with ``X' (X z)``: a matrix that differs anywhere by more
than rounding is not overlooked.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.blockwise.linalg import row_batches
from sklearn_sqrtlasso.regression.moments import (
    Moments,
    are_ordinary,
    gather,
    spreads,
)

CLOSE = 1e-9  # difference of products of columns of norm one that is rounding


class GivenProducts(NamedTuple):
    """Products of features, as they were given.

    Attributes
    ----------
    matrix : ndarray of shape (n_features, n_features)
        Sums of products, of features that are centred if there is an intercept, with
        weights whose sum is the number of rows.
    n_samples : int
        Number of rows, also of those of weight zero.
    """

    matrix: np.ndarray
    n_samples: int


def _parts(X, *others):
    """Yield some rows of X at a time, in double precision, and those of others."""
    whole = sp.issparse(X)
    for rows in [slice(None)] if whole else row_batches(*X.shape):
        yield X[rows].astype(np.float64, copy=False), *(other[rows] for other in others)


def moments_with(X, y, weights, precompute, fit_intercept):
    """Return the moments of rows, some of which may be given.

    Parameters
    ----------
    X, y, weights, fit_intercept
        As for ``moments_of_given``.
    precompute : GivenProducts or other
        Products of the features; anything else for none.

    Returns
    -------
    moments : Moments
        The moments, gathered in one look at X if no products are given.
    """
    if isinstance(precompute, GivenProducts):
        return moments_of_given(X, y, weights, precompute, fit_intercept)
    return gather(X, y, weights)


class Look(NamedTuple):
    """What two looks at rows tell beside products of their features.

    Attributes
    ----------
    weight : float
        Sum of the weights of the rows.
    mean : ndarray of shape (n_features,)
        Weighted means.
    cross : ndarray of shape (n_features, n_targets)
        Weighted sums of products of features and centred targets.
    apart : ndarray of shape (n_features,)
        Differences of products of each feature and a vector of random signs, in units
        of the features.
    """

    weight: float
    mean: np.ndarray
    cross: np.ndarray
    apart: np.ndarray


def _look(X, Y, weights, given, fit_intercept):
    total, p, G = float(weights.sum()), X.shape[1], given.matrix
    share = total / given.n_samples
    mean, image, cross = np.zeros(p), 0.0, 0.0
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for part, v in _parts(X, weights):
            mean += part.T @ v / total
        centre = mean * bool(fit_intercept)
        sizes = np.sqrt(total) * spreads(G.diagonal() / given.n_samples, centre)
        inverse = np.divide(1.0, sizes, out=np.zeros(p), where=sizes > 0)
        z = np.random.default_rng(0).choice([-1.0, 1.0], p) * inverse
        for part, v, targets in _parts(X, weights, Y):
            u = v * (part @ z - centre @ z)
            image = image + part.T @ u - centre * u.sum()
            cross = cross + part.T @ (v[:, None] * targets)
        apart = np.abs(share * (G @ z) - image) * inverse
    return Look(total, mean, cross, apart)


def _refuse_others(apart, fit_intercept):
    """Raise an error if products are those of other features."""
    if apart.max(initial=0.0) > CLOSE * len(apart):
        j = int(np.argmax(apart))
        about = "centred features, as there is an intercept" * bool(fit_intercept)
        raise ValueError(
            "precompute must be the Gram matrix of X, in double precision, of "
            f"{about or 'features that are not centred, as there is no intercept'}, "
            "and with weights of sum n_samples; got one whose products with feature "
            f"{j} differ by a share of {apart[j]:.1e}."
        )


def check_given(X, weights, given, fit_intercept):
    """Raise an error if products are not those of X, as far as these keep their digits.

    Parameters
    ----------
    X, weights, given, fit_intercept
        As for ``moments_of_given``.

    Raises
    ------
    ValueError
        If they are not.
    """
    look = _look(X, np.empty((X.shape[0], 0)), weights, given, fit_intercept)
    mean = look.mean * bool(fit_intercept)
    spread = spreads(given.matrix.diagonal() / given.n_samples, mean)
    if are_ordinary(spread, mean).all():
        _refuse_others(look.apart, fit_intercept)


def moments_of_given(X, y, weights, given, fit_intercept):
    """Return the moments of rows, whose products of features are given.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_rows, n_features)
        Features of the rows of positive weight.
    y : ndarray of shape (n_rows, n_targets)
        Targets.
    weights : ndarray of shape (n_rows,)
        Weights, positive.
    given : GivenProducts
        Products of the features.
    fit_intercept : bool
        Whether they are those of centred features.

    Returns
    -------
    moments : Moments
        The moments; they may not keep their digits.

    Raises
    ------
    ValueError
        If the products are not those of X, as far as these keep their digits.
    """
    Y, p = y - weights @ y / weights.sum(), X.shape[1]
    total, mean, cross, apart = _look(X, Y, weights, given, fit_intercept)
    share, products = total / given.n_samples, np.empty((p + Y.shape[1],) * 2)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        np.multiply(given.matrix, share, out=products[:p, :p])
        if not fit_intercept:
            products[:p, :p] -= total * np.outer(mean, mean)
        products[:p, p:], products[p:, :p] = cross, cross.T
        products[p:, p:] = Y.T @ (weights[:, None] * Y)
    mean = np.append(mean, weights @ y / total)
    moments = Moments(total, mean, products, X.shape[0])
    if moments.keep_digits(Y.shape[1]):
        _refuse_others(apart, fit_intercept)
    return moments
