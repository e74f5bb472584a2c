"""Noise that is added to the rows in training, as users ask for it."""

import numpy as np

from sklearn_sqrtlasso.estimators.row_sizes import usual_spread
from sklearn_sqrtlasso.estimators.validation import MOST, as_numbers
from sklearn_sqrtlasso.learning.batches import Corruption, TrainingData
from sklearn_sqrtlasso.learning.initialization import MOST_FEATURES, span_of

NOISE_LEVELS = np.array([0.1, 2.0])  # of training, relative to the spread of X


def training_noise(noise_std, data: TrainingData, n_components):
    """Return the noise of training, None if it is zero.

    It is noise in the span of the rows. Of many columns, more than units, it is noise
    in the span of the weights instead, which is drawn by fewer numbers.

    Parameters
    ----------
    noise_std : float, pair of float or "auto"
        Parameter of the estimator.
    data : TrainingData
        Rows, with their unit of scaling.
    n_components : int
        Number of units.

    Returns
    -------
    corruption : Corruption or None
        Levels in units of scaling.

    Raises
    ------
    ValueError
        If ``noise_std`` is not valid, or out of proportion to the rows.
    """
    X, unit = data.X, data.unit
    if isinstance(noise_std, str):
        size = 0.0 if data.target is not None else usual_spread(data.rows) / unit
        low, high = size * NOISE_LEVELS
        return _corruption(low, high, X, n_components) if size else None
    bounds = np.atleast_1d(as_numbers(noise_std, "noise_std"))
    if bounds.shape == (1,) and bounds[0] == 0:
        return None
    pair = bounds.shape in [(1,), (2,)] and np.all((bounds > 0) & (bounds < np.inf))
    if not pair or bounds[0] > bounds[-1]:
        raise ValueError(
            "noise_std must be 'auto', a number of at least 0 or a pair "
            f"0 < low <= high, got {noise_std!r}."
        )
    low, high = float(bounds[0]) / unit, float(bounds[-1]) / unit
    most = MOST[X.dtype.itemsize]
    if not 1 / most < low <= high < most:
        raise ValueError(
            f"noise_std must be within a factor of {most:g} of the size of X, "
            f"about {unit:.3g}, got {noise_std!r}."
        )
    return _corruption(low, high, X, n_components)


def fills_rows(noise_std, data: TrainingData, n_components):
    """Return whether noise is added to all entries of rows, none of which stays zero.

    Parameters
    ----------
    noise_std, data, n_components
        As for ``training_noise``.

    Returns
    -------
    fills : bool
        False if there is no noise, or if it is drawn in the span of the weights.
    """
    if isinstance(noise_std, str):
        is_noisy = data.target is None
    else:
        is_noisy = bool(np.any(as_numbers(noise_std, "noise_std")))
    return is_noisy and not _in_span_of_weights(data.X, n_components)


def _in_span_of_weights(X, n_components):
    return n_components < X.shape[1] > MOST_FEATURES


def _corruption(low, high, X, n_components):
    if _in_span_of_weights(X, n_components):
        return Corruption(low, high, None, n_components)
    return Corruption(low, high, span_of(X))
