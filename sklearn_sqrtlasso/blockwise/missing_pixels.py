"""Fill in the missing pixels of an image, from coarse to fine."""

from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from sklearn_sqrtlasso.blockwise.linalg import unit_near
from sklearn_sqrtlasso.blockwise.similar_patches import (
    estimated_noise_std,
    first_estimate,
)

N_ROUNDS = 20  # on each grid
LARGEST = 0.5  # first threshold, in units of the deviation of the pixels that are known
GROWTH = 0.16  # of thresholds with frequency: regular gaps leave either of two open
FAINT = 0.01  # last threshold of an image without noise, in these units
ENOUGH = 256  # patches without missing pixels that the noise level is estimated from
FEWEST = 16  # of the smallest size
MARGIN = 64  # pixels around missing ones that are looked at
SIZES = (8, 6, 4, 3, 2)  # of patches that it is estimated from


def noise_std_where_known(pixels, missing):
    """Return the noise level of a channel, from patches without missing pixels.

    Patches are the largest of which there are enough. If hardly any of 2 x 2 pixels are
    complete, they are those of an image whose missing pixels are interpolated, and the
    level is in units of that of white noise which is interpolated likewise.

    Parameters
    ----------
    pixels : ndarray of shape (height, width)
        Channel of an image.
    missing : ndarray of shape (height, width)
        Whether a pixel is missing.

    Returns
    -------
    level : float
        Standard deviation of the noise, in units of the pixels.
    """
    for n in SIZES:
        if n > min(pixels.shape):
            continue
        complete = ~_any_in_windows(missing, n)
        if complete.sum() >= (FEWEST if n == SIZES[-1] else ENOUGH):
            return estimated_noise_std(pixels, (n, n), complete)
    size = tuple(min(SIZES[0], n) for n in pixels.shape)
    white = np.random.default_rng(0).standard_normal(pixels.shape, pixels.dtype)
    both = [_fill(x, missing, [], size, None, _silent) for x in (pixels, white)]
    level, unit = (estimated_noise_std(x, size) for x in both)
    return level / unit if unit > 0 else 0.0


def _any_in_windows(missing, n):
    """Return whether any pixel of the patch at each place is missing."""
    rows = sliding_window_view(missing, n, axis=0).any(axis=2)
    return sliding_window_view(rows, n, axis=1).any(axis=2)


def fill_missing(pixels, missing, levels, size, n_jobs=None, report=None):
    """Return an image whose missing pixels are filled in; the others stay.

    Pixels are first those of an image of half the size, filled in likewise. Then they
    are, again and again, those of the image restored by its large cosine coefficients,
    at a threshold that falls to the noise level.

    Parameters
    ----------
    pixels : ndarray of shape (n_channels, height, width)
        Image; finite, also where it is missing.
    missing : ndarray of shape (n_channels, height, width)
        Whether a pixel is missing; not all of a channel.
    levels : ndarray of shape (n_channels,)
        Noise levels, at least 0.
    size : tuple of int
        Height and width of a patch.
    n_jobs : int, default=None
        Number of threads.
    report : callable, (str, float) -> None, default=None
        Told the name of a stage and the share of it that is done.

    Returns
    -------
    filled : ndarray of the shape of ``pixels``
        Image.
    """
    report = report or (lambda name, share: None)
    filled = pixels.copy()
    for c, (x, lost, level) in enumerate(zip(pixels, missing, levels, strict=True)):
        if not lost.any():
            continue
        known = x[~lost].astype(np.float64)
        center, deviation = known.mean(), known.std()
        if deviation == 0:
            filled[c][lost] = center
            continue
        unit, part = unit_near(deviation, np.float64), _surroundings(lost)
        scaled = ((x[part] - center) / unit).astype(np.float32)
        done = partial(report, f"missing pixels of channel {c + 1} of {len(pixels)}")
        thresholds = (LARGEST * deviation, max(level, FAINT * deviation))
        thresholds = np.geomspace(*thresholds, N_ROUNDS) / unit
        values = _fill(scaled, lost[part], thresholds, size, n_jobs, done)
        values = values[lost[part]].astype(np.float64)
        filled[c][part][lost[part]] = center + unit * values
    return filled


def _surroundings(missing):
    """Return the slices of the smallest part that holds what missing pixels need."""
    part = []
    for axis in (0, 1):
        places = np.flatnonzero(missing.any(axis=1 - axis))
        part.append(slice(max(0, places[0] - MARGIN), places[-1] + 1 + MARGIN))
    return tuple(part)


def _fill(x, missing, thresholds, size, n_jobs, report):
    """Return a channel whose missing pixels are filled in on coarser grids, then here.

    Progress is that of the finest grid, which takes three quarters of the work.
    """
    if not missing.any():
        return x
    coarse = _fill(*_halved(x, missing), thresholds, size, n_jobs, _silent)
    filled = np.where(missing, _doubled(coarse, x.shape), x)
    if x.shape[0] < size[0] or x.shape[1] < size[1]:
        return filled
    for k, threshold in enumerate(thresholds):
        estimate = first_estimate(filled, threshold, size, n_jobs, _silent, GROWTH)
        filled = np.where(missing, estimate, x)
        report((k + 1) / len(thresholds))
    return filled


def _silent(share):
    """Report nothing."""


def _halved(x, missing):
    """Return means of the known pixels of squares of four, and which have none."""
    shape = [-(-n // 2) for n in x.shape]
    more = [(0, 2 * n - old) for n, old in zip(shape, x.shape, strict=True)]
    known = np.pad(~missing, more)
    sums = np.pad(np.where(missing, 0, x), more)
    squares = shape[0], 2, shape[1], 2
    count = known.reshape(squares).sum(axis=(1, 3))
    sums = sums.reshape(squares).sum(axis=(1, 3))
    return sums / np.maximum(count, 1).astype(x.dtype), count == 0


def _doubled(x, shape):
    """Return an image of twice the size, linear between the centers of its pixels."""
    for axis, length in enumerate(shape):
        place = np.clip((np.arange(length) - 0.5) / 2, 0, x.shape[axis] - 1)
        low = place.astype(np.intp)
        high = np.minimum(low + 1, x.shape[axis] - 1)
        share = np.expand_dims((place - low).astype(x.dtype), 1 - axis)
        below, above = np.take(x, low, axis), np.take(x, high, axis)
        x = below + share * (above - below)
    return x
