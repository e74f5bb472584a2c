"""Kinds of noise that rows are seen through, scaled by the spread of columns."""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

FREEDOM = 3  # degrees of freedom of Student's t: fewest with a finite variance
ROW_FACTOR = 3  # levels of rows are within this factor of the level, either way
AR_COEFFICIENT = 0.8  # correlation of noise in neighbouring columns
SPIKE = 10  # standard deviations of its column, the height of a spike


def _gaussian(rng, shape):
    return rng.standard_normal(shape)


def _laplace(rng, shape):
    return rng.laplace(scale=2**-0.5, size=shape)


def _student_t(rng, shape):
    return rng.standard_t(FREEDOM, size=shape) / np.sqrt(FREEDOM / (FREEDOM - 2))


def _uniform(rng, shape):
    return rng.uniform(-(3**0.5), 3**0.5, size=shape)


DISTRIBUTIONS = MappingProxyType(  # draws of mean 0 and variance 1
    {
        "gaussian": _gaussian,
        "laplace": _laplace,
        "student_t": _student_t,
        "uniform": _uniform,
    }
)


class NoiseKind(NamedTuple):
    """A kind of noise.

    Attributes
    ----------
    summary : str
        What it is, for lists in docstrings.
    add : callable, (X, level, spread, rng) -> ndarray
        Returns noisy rows, given rows of shape (n_samples, n_features), a level or an
        array of them of shape (n_samples, 1), the spread of the columns of shape
        (n_features,), and a ``numpy.random.RandomState``.
    is_share : bool
        Whether the level is a share in [0, 1]; if not, it multiplies the spread.
    drawn_up_to : float
        Largest level that noisy copies of training rows draw of their own accord.
    """

    summary: str
    add: Callable
    is_share: bool = False
    drawn_up_to: float = 2.0


def column_spread(X):
    """Return the standard deviation of each column, over what is not missing.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows; NaN is missing.

    Returns
    -------
    spread : ndarray of shape (n_features,)
        Standard deviations, 0 for columns without values.
    """
    known = ~np.isnan(X)
    return np.sqrt(_mean((X - _column_mean(X)) ** 2, known))


def _column_mean(X):
    return _mean(X, ~np.isnan(X))


def _mean(values, known):
    count = np.maximum(known.sum(axis=0), 1)
    return np.sum(values, axis=0, where=known, dtype=np.float64) / count


def _independent(distribution):
    def add(X, level, spread, rng):
        return X + level * spread * DISTRIBUTIONS[distribution](rng, X.shape)

    return add


def _row_levels(X, level, spread, rng):
    factors = ROW_FACTOR ** rng.uniform(-1, 1, size=(len(X), 1))
    return X + factors * level * spread * rng.standard_normal(X.shape)


def _correlated(X, level, spread, rng):
    noise = rng.standard_normal(X.shape)
    for j in range(1, X.shape[1]):
        noise[:, j] *= np.sqrt(1 - AR_COEFFICIENT**2)
        noise[:, j] += AR_COEFFICIENT * noise[:, j - 1]
    return X + level * spread * noise


def _missing(X, level, spread, rng):
    return np.where(rng.random_sample(X.shape) < level, np.nan, X)


def _dead(X, level, spread, rng):
    n_features = X.shape[1]
    order = rng.permutation(n_features)  # columns die in this order as levels rise
    return np.where(order < np.ceil(level * n_features), _column_mean(X), X)


def _spikes(X, level, spread, rng):
    signs = rng.choice([-1, 1], size=X.shape)
    return X + SPIKE * spread * np.where(rng.random_sample(X.shape) < level, signs, 0)


NOISE_KINDS = MappingProxyType(
    {
        "gaussian": NoiseKind("independent Gaussian noise", _independent("gaussian")),
        "laplace": NoiseKind("independent Laplace noise", _independent("laplace")),
        "student_t": NoiseKind(
            f"independent noise of Student's t with {FREEDOM} degrees of freedom, "
            "scaled to variance one",
            _independent("student_t"),
        ),
        "uniform": NoiseKind("independent uniform noise", _independent("uniform")),
        "row_levels": NoiseKind(
            "Gaussian noise of a level of its own in each row, log-uniform within a "
            f"factor of {ROW_FACTOR} of the level",
            _row_levels,
        ),
        "correlated": NoiseKind(
            "Gaussian noise that is correlated along the columns, autoregressive with "
            f"coefficient {AR_COEFFICIENT}",
            _correlated,
        ),
        "missing": NoiseKind(
            "entries are NaN, a share of them on average",
            _missing,
            is_share=True,
            drawn_up_to=0.5,
        ),
        "dead": NoiseKind(
            "a share of the columns, rounded up, is constant at the mean of the column",
            _dead,
            is_share=True,
            drawn_up_to=0.5,
        ),
        "spikes": NoiseKind(
            f"{SPIKE} standard deviations of its column are added to or subtracted "
            "from a share of the entries on average",
            _spikes,
            is_share=True,
            drawn_up_to=0.2,
        ),
    }
)
