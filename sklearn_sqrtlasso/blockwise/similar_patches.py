"""Restore images in bands of rows: a first estimate, then similar patches."""

from dataclasses import dataclass
from functools import partial
from math import isqrt

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import dct

from sklearn_sqrtlasso.algorithms.similar_patches import (
    restore_groups,
    threshold_cosines,
)
from sklearn_sqrtlasso.blockwise.blocks import N_PARTS, parallel_map
from sklearn_sqrtlasso.blockwise.linalg import unit_near

SMOOTH = 4  # one patch of so many, the smoothest, tells the noise level
N_LEVEL = 2**15  # patches, about, that the noise level is estimated from
BLOCK = 2**12  # patches that are looked at together
LEAST = 1e-3  # noise level of a channel, relative to the largest
SINGLE = 1e-2  # level, relative to the spread of pixels, that needs no more precision
BAND = 8  # rows of patches in a band


@dataclass(frozen=True)
class Constants:
    """How strongly patches are restored.

    Parameters
    ----------
    bound : float
        Noise levels that a cosine coefficient exceeds in the first estimate.
    share : float
        Share of the noise variance in all passes but the last.
    stride : int
        Pixels between the centers of groups.
    most : int
        Times the usual number of patches in a group, where they are alike.
    """

    bound: float
    share: float
    stride: int
    most: int


OF_IMAGES = Constants(bound=2.2, share=0.5, stride=6, most=2)  # chosen on photographs
OF_SIGNALS = Constants(bound=2.35, share=0.7, stride=8, most=1)  # and on made signals


def constants_of(size):
    """Return the constants for patches, or for windows of a recording.

    Parameters
    ----------
    size : tuple of int
        Height and width of a patch.

    Returns
    -------
    constants : Constants
        That of signals if one of the two is 1.
    """
    return OF_IMAGES if min(size) > 1 else OF_SIGNALS


def places_of(length, size, step):
    """Return the offsets of patches, the last of which ends at the border.

    Parameters
    ----------
    length, size, step : int
        Pixels of an axis, of a patch, and between patches.

    Returns
    -------
    places : ndarray of int
        Increasing.
    """
    places = np.arange(0, length - size + 1, step)
    last = length - size
    return places if places[-1] == last else np.append(places, last)


def estimated_noise_std(pixels, size, complete=None):
    """Return the noise level of a channel, from its smoothest patches.

    The median magnitude of the three highest cosine coefficients, over the patches
    whose other coefficients, which are independent of these under noise, are smallest.

    Parameters
    ----------
    pixels : ndarray of shape (height, width)
        Channel of an image.
    size : tuple of int
        Height and width of a patch.
    complete : ndarray of bool, default=None
        Whether to look at the patch at each place; None is all of them.

    Returns
    -------
    level : float
        Standard deviation of the noise, in units of the pixels.
    """
    windows = sliding_window_view(pixels, size)
    if complete is None:
        top, left = _some_places(windows.shape)
    else:
        places = np.argwhere(complete)
        top, left = places[:: max(1, len(places) // N_LEVEL)].T
    high = [
        c[max(1, len(c) - 2) :] if len(c) > 1 else c
        for c in _cosines(size, pixels.dtype)
    ]
    highest = np.kron(*high)
    highest = highest[int(len(highest) > 1) :].T
    u = np.empty((len(top), highest.shape[1]), pixels.dtype)
    others = np.empty(len(top), pixels.dtype)
    for start in range(0, len(top), BLOCK):
        rows = slice(start, start + BLOCK)
        patches = windows[top[rows], left[rows]].reshape(-1, size[0] * size[1])
        patches -= patches.mean(axis=1, keepdims=True)
        u[rows] = patches @ highest
        others[rows] = np.sum(patches**2, axis=1) - np.sum(u[rows] ** 2, axis=1)
    return float(np.median(np.abs(u[_least(others)]))) / 0.6745


def removed_std(pixels, estimate, size):
    """Return the deviation of what an estimate removes from its smoothest patches.

    Parameters
    ----------
    pixels, estimate : ndarray of shape (height, width)
        Channel of an image, and its estimate.
    size : tuple of int
        Height and width of a patch.

    Returns
    -------
    deviation : float
        Root of the median, over patches, of the mean squared difference.
    """
    kept = sliding_window_view(estimate, size)
    removed = sliding_window_view(pixels - estimate, size)
    top, left = _some_places(kept.shape)
    spread, energy = np.empty((2, len(top)))
    for start in range(0, len(top), BLOCK):
        rows = slice(start, start + BLOCK)
        spread[rows] = np.var(kept[top[rows], left[rows]], axis=(1, 2))
        energy[rows] = np.mean(removed[top[rows], left[rows]] ** 2, axis=(1, 2))
    return float(np.sqrt(np.median(energy[_least(spread)])))


def _some_places(shape):
    """Return the edges of patches, ``N_LEVEL`` to four times as many, on a grid."""
    every = max(1, isqrt(shape[0] * shape[1] // N_LEVEL))
    top, left = np.mgrid[: shape[0] : every, : shape[1] : every]
    return top.ravel(), left.ravel()


def _least(values):
    """Return the indices of the least values, one of ``SMOOTH``."""
    return np.argsort(values, kind="stable")[: -(-len(values) // SMOOTH)]


def _cosines(size, dtype):
    """Return orthonormal cosines along each axis of a patch."""
    return [dct(np.eye(n), norm="ortho", axis=0).astype(dtype) for n in size]


def first_estimate(pixels, level, size, n_jobs, report, growth=0.0):
    """Return an image restored by the large cosine coefficients of its patches.

    Parameters
    ----------
    pixels : ndarray of shape (height, width)
        Channel of an image.
    level : float
        Noise level.
    size : tuple of int
        Height and width of a patch.
    n_jobs : int or None
        Number of threads.
    report : callable, (float) -> None
        Told the share that is done, once it rises.
    growth : float, default=0.0
        Growth of thresholds with the sum of both frequencies.

    Returns
    -------
    estimate : ndarray of shape (height, width)
        Restored.
    """
    tops = places_of(pixels.shape[0], size[0], 1)
    lefts = places_of(pixels.shape[1], size[1], 1)
    cosines = _cosines(size, pixels.dtype)
    frequency = np.add.outer(*map(np.arange, size))
    bound = constants_of(size).bound * level
    least = (bound * (1 + growth * frequency)).astype(pixels.dtype)

    def restore(rows):
        band = slice(rows[0], rows[-1] + size[0])
        n_rows = band.stop - band.start
        sums = np.zeros((1, 2, n_rows, pixels.shape[1]), pixels.dtype)
        threshold_cosines(pixels, *cosines, least, rows, lefts, sums[0])
        return band, sums

    return _sum_of_bands(restore, tops, pixels[None], n_jobs, report)[0]


def restore_by_groups(noisy, estimate, levels, geometry, n_jobs, report):
    """Return an image whose patches are restored by those similar in an estimate.

    Parameters
    ----------
    noisy, estimate : ndarray of shape (n_channels, height, width)
        Image, and its estimate.
    levels : ndarray of shape (n_channels,)
        Noise levels, positive.
    geometry : tuple of (size, reach, n_similar)
        Height and width of patches, how far from the center of a group they are looked
        for along each axis, and their number, at least.
    n_jobs, report
        As for ``first_estimate``.

    Returns
    -------
    restored : ndarray of shape (n_channels, height, width)
        Better estimate.
    """
    size, reach, n_similar = geometry
    constants = constants_of(size)
    height, width = noisy.shape[1:]
    tops = places_of(height, size[0], min(constants.stride, size[0]))
    lefts = places_of(width, size[1], min(constants.stride, size[1]))
    variances = (levels**2).astype(noisy.dtype)

    def restore(rows):
        inside = height - size[0] - 2 * reach[0]  # windows are moved into the image
        start = max(0, min(int(rows[0]) - reach[0], inside))
        stop = min(height, max(int(rows[-1]) - reach[0], 0) + 2 * reach[0] + size[0])
        sums = np.zeros((len(noisy), 2, stop - start, width), noisy.dtype)
        centers = np.array([(t, left) for t in rows for left in lefts])
        counts = np.array([n_similar, n_similar * constants.most])
        shape = np.array(size), np.array(reach), counts
        restore_groups(noisy, estimate, variances, centers, *shape, start, sums)
        return slice(start, stop), sums

    return _sum_of_bands(restore, tops, noisy, n_jobs, report)


def _sum_of_bands(restore, tops, pixels, n_jobs, report):
    """Return sums over bands divided by their weights, the same for any n_jobs."""
    total, weight = np.zeros_like(pixels), np.zeros_like(pixels)
    n_bands = N_PARTS * -(-len(tops) // (N_PARTS * BAND))
    bands = [rows for rows in np.array_split(tops, n_bands) if len(rows)]
    for first in range(0, len(bands), 2 * N_PARTS):
        some = bands[first : first + 2 * N_PARTS]
        for band, sums in parallel_map(restore, some, n_jobs):
            total[:, band] += sums[:, 0]
            weight[:, band] += sums[:, 1]
        report(min(1.0, (first + len(some)) / len(bands)))
    total /= weight
    return total


def restore_blind(
    pixels, levels, geometry, n_passes, estimate=None, n_jobs=None, report=None
):
    """Return an image restored in several passes over similar patches.

    Parameters
    ----------
    pixels : ndarray of shape (n_channels, height, width)
        Noisy image, in any float dtype.
    levels : float, array-like of shape (n_channels,) or None
        Noise levels; None estimates them.
    geometry
        As for ``restore_by_groups``.
    n_passes : int
        Number of passes, at least 0.
    estimate : ndarray of the shape of ``pixels``, default=None
        First estimate; None is by thresholded cosines.
    n_jobs : int, default=None
        Number of threads.
    report : callable, (str, float) -> None, default=None
        Told the name of a stage and the share of it that is done.

    Returns
    -------
    restored : ndarray of the shape of ``pixels``
        In single precision unless the noise is small; as given if it is lost in that.
    """
    size, report = geometry[0], report or (lambda name, share: None)
    share = constants_of(size).share
    if levels is None:
        levels = [estimated_noise_std(channel, size) for channel in pixels]
    levels = np.broadcast_to(np.asarray(levels, dtype=np.float64), len(pixels))
    centers = np.median(pixels, axis=(1, 2), keepdims=True)  # exact where constant
    centered = pixels - centers
    if _vanishes(levels.max(), pixels, centered):
        return pixels.copy() if estimate is None else estimate
    levels = np.maximum(levels, LEAST * levels.max())
    unit = unit_near(float(levels.max()), np.float64)
    clear = levels.min() > SINGLE * max(float(np.std(x)) for x in pixels)
    dtype = np.float32 if clear else np.float64
    noisy, levels = (centered / unit).astype(dtype), levels / unit
    if estimate is None:
        done = partial(report, "first estimate")
        channels = zip(noisy, levels, strict=True)
        guide = [first_estimate(x, s, size, n_jobs, done) for x, s in channels]
        guide = np.stack(guide)
    else:
        guide = ((estimate - centers) / unit).astype(dtype)
    for k in range(n_passes):
        done = partial(report, f"pass {k + 1} of {n_passes}")
        assumed = levels if k == n_passes - 1 else np.sqrt(share) * levels
        guide = restore_by_groups(noisy, guide, assumed, geometry, n_jobs, done)
    return guide.astype(pixels.dtype) * pixels.dtype.type(unit) + centers


def _vanishes(level, pixels, centered):
    """Return whether a noise level is lost in rounding, to single precision or none."""
    single = np.finfo(np.float32).eps * np.abs(centered).max()
    return level <= max(single, np.finfo(pixels.dtype).eps * np.abs(pixels).max())
