"""The patches of an image as rows, restored by an estimator."""

from numbers import Integral
from threading import Lock

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from sklearn_sqrtlasso.blockwise.blocks import N_PARTS
from sklearn_sqrtlasso.blockwise.callers import warn_caller
from sklearn_sqrtlasso.blockwise.similar_patches import (
    estimated_noise_std,
    places_of,
    removed_std,
)
from sklearn_sqrtlasso.estimators.base import BaseEncoder
from sklearn_sqrtlasso.estimators.grouped import GroupedEncoder
from sklearn_sqrtlasso.estimators.validation import check_group_word, check_groups

CORRELATED = 2  # times the level: what is removed beyond noise of independent pixels
CHUNK = 4096  # patches passed at a time to an estimator of another package


def restored_by(estimator, image, grid, groups="auto", verbose=0):
    """Return an image whose patches are restored by an estimator, and averaged.

    Parameters
    ----------
    estimator : fitted estimator
        As for ``denoise_image``.
    image : ndarray of shape (height, width) or (height, width, n_channels)
        Image of ordinary size.
    grid : tuple of (patch_size, step)
        As for ``denoise_image``.
    groups, verbose
        As for ``denoise_image``.

    Returns
    -------
    restored : ndarray of shape (height, width, n_channels)
        Restored image.
    """
    groups = _check_groups(estimator, groups)
    patches = Patches(image, *grid, _n_features(estimator))
    canvas = np.zeros((N_PARTS, *patches.pixels.shape), patches.dtype)
    if isinstance(estimator, BaseEncoder):
        _restore_by_encoder(estimator, patches, groups, canvas, verbose)
    else:
        _restore_by_transformer(estimator, patches, canvas[0], verbose)
    restored = np.sum(canvas, axis=0)
    restored /= patches.coverage
    return restored


def removes_more(noisy, estimate, size, level=None):
    """Return whether an estimator removes more than independent noise, and warn.

    Parameters
    ----------
    noisy, estimate : ndarray of shape (height, width)
        Channel, and what an estimator makes of it.
    size : tuple of int
        Height and width of a patch.
    level : float, default=None
        Noise level that the fastest changes tell; None estimates it.

    Returns
    -------
    more : bool
        Whether passes over similar patches would undo what it removes.
    """
    level = estimated_noise_std(noisy, size) if level is None else level
    removed = removed_std(noisy, estimate, size)
    faint = np.finfo(np.float32).eps * np.ptp(noisy)
    if level <= faint or removed <= CORRELATED * level:
        return False
    warn_caller(
        f"The estimator removes {removed / level:.1f} times the noise level that the "
        "fastest changes tell from what is smooth: the noise is correlated, or it "
        "removes more than noise. Passes would undo that and were left out; pass "
        "noise_std to make them, or n_passes=0.",
        UserWarning,
    )
    return True


class Patches:
    """The centered patches of an image as rows, extracted on demand.

    Parameters
    ----------
    image : ndarray of shape (height, width) or (height, width, n_channels)
        Image.
    patch_size : tuple of int
        Height and width of a patch, in pixels.
    step : int
        Distance between adjacent patches, in pixels.
    n_features : int
        Length of a row: ``height * width`` of a patch, or ``n_channels`` times that.

    Attributes
    ----------
    pixels : ndarray of shape (height, width, n_channels)
        Image in a float dtype.
    coverage : ndarray of shape (height, width, 1)
        Number of patches that contain each pixel.
    shape : tuple of int
        Number of patches and of features.
    dtype : dtype
        float32 or float64.
    """

    def __init__(self, image, patch_size, step, n_features):
        height, width = check_sizes(image, patch_size, step)
        self.dtype = np.dtype(np.float32 if image.dtype == np.float32 else np.float64)
        pixels = image.reshape(*image.shape[:2], -1)
        self.pixels = pixels.astype(self.dtype, copy=False)
        n_channels = self.pixels.shape[2]
        together = n_features == height * width * n_channels
        if not together and n_features != height * width:
            all_channels = f", {height * width * n_channels} with all channels"
            raise ValueError(
                f"patch_size=({height}, {width}) gives {height * width} features"
                f"{all_channels if n_channels > 1 else ''}, "
                f"but the estimator was fitted on {n_features}."
            )
        self.span = n_channels if together else 1
        self.tops = places_of(self.pixels.shape[0], height, step)
        self.lefts = places_of(self.pixels.shape[1], width, step)
        # windows: top, left, share of channels, height, width, channels of the share
        windows = sliding_window_view(
            self.pixels, (height, width, self.span), (0, 1, 2)
        )
        self.windows = windows[:, :, :: self.span]
        self.grid = (len(self.tops), n_channels // self.span, len(self.lefts))
        self.size = (height, width, self.span)
        self.shape = (int(np.prod(self.grid)), n_features)
        self.coverage = np.multiply.outer(
            _coverage(self.tops, height, self.pixels.shape[0]),
            _coverage(self.lefts, width, self.pixels.shape[1]),
        )[:, :, None]

    def __getitem__(self, rows):
        """Return the centered patches of a slice."""
        patches = self.cut(rows)
        return patches - _means(patches)

    def cut(self, rows):
        """Return the patches of a slice, not centered.

        Parameters
        ----------
        rows : slice
            Indices of patches, ordered by top edge, channel and left edge.

        Returns
        -------
        patches : ndarray of shape (n_rows, n_features)
            One patch per row.
        """
        top, share, left = np.unravel_index(
            np.arange(*rows.indices(len(self))), self.grid
        )
        patches = self.windows[self.tops[top], self.lefts[left], share]
        return patches.reshape(-1, self.shape[1])

    def paste(self, rows, restored, canvas):
        """Add restored centered patches, and their original means, to an image.

        Parameters
        ----------
        rows : slice
            Indices of the patches.
        restored : ndarray of shape (n_rows, n_features)
            Restored centered patches.
        canvas : ndarray of shape (height, width, n_channels)
            Image that is added to, in place.
        """
        restored = restored + _means(self.cut(rows))
        height, width, span = self.size
        start, stop, _ = rows.indices(len(self))
        n_lefts = self.grid[2]
        for line in range(start // n_lefts, -(-stop // n_lefts)):
            first, last = max(start, line * n_lefts), min(stop, (line + 1) * n_lefts)
            top, share = divmod(line, self.grid[1])
            lefts = self.lefts[first - line * n_lefts : last - line * n_lefts]
            block = restored[first - start : last - start].reshape(-1, *self.size)
            strip = canvas[self.tops[top] : self.tops[top] + height]
            strip = strip[:, :, share * span : (share + 1) * span]
            for column in range(width):
                strip[:, lefts + column] += block[:, :, column].swapaxes(0, 1)

    def __len__(self):
        """Return the number of patches."""
        return self.shape[0]


def _check_groups(estimator, groups):
    """Return the ``groups`` to use for an estimator, "all" or None."""
    takes_groups = isinstance(estimator, GroupedEncoder)
    if groups == "auto":
        return "all" if takes_groups else None
    if groups is not None and not takes_groups:
        raise TypeError(
            f"groups={groups!r} needs an estimator that accepts groups, got "
            f"{type(estimator).__name__}; pass groups=None to restore each patch "
            "independently."
        )
    return groups


def _means(patches):
    means = patches.mean(axis=1, keepdims=True, dtype=np.float64)
    return means.astype(patches.dtype)


def _restore_by_encoder(estimator, patches, groups, canvas, verbose):
    report = _counter(len(patches), verbose)

    def paste(block):
        patches.paste(block.rows, estimator._decode(block.Z), canvas[block.part])
        report(len(block.Z))

    estimator._map_encoded(paste, patches, check_groups(groups, patches))


def _restore_by_transformer(estimator, patches, canvas, verbose):
    report = _counter(len(patches), verbose)
    for start in range(0, len(patches), CHUNK):
        rows = slice(start, min(start + CHUNK, len(patches)))
        codes = estimator.transform(patches[rows])
        restored = np.asarray(estimator.inverse_transform(codes))
        patches.paste(rows, restored.astype(patches.dtype, copy=False), canvas)
        report(rows.stop - rows.start)


def _counter(n_patches, verbose):
    """Return a function that counts patches and prints a line after each tenth."""
    done, lock = [0], Lock()

    def report(n_more):
        with lock:
            tenths = 10 * done[0] // n_patches
            done[0] += n_more
            if verbose and 10 * done[0] // n_patches > tenths:
                print(f"[denoise_image] {done[0]} of {n_patches} patches")

    return report


def check_patches(image, patch_size, step, groups):
    """Check how an image is cut into patches, whether or not an estimator codes them.

    Parameters
    ----------
    image, patch_size, step
        As for ``check_sizes``.
    groups : {"auto", "all"} or None
        As for ``denoise_image``.
    """
    check_sizes(image, patch_size, step)
    check_group_word(groups, ("auto", "all"))


def check_sizes(image, patch_size, step):
    """Check that patches fit an image and cover it, and return their size.

    Parameters
    ----------
    image : ndarray of shape (height, width) or (height, width, n_channels)
        Image.
    patch_size : tuple of int
        As for ``denoise_image``.
    step : int
        As for ``denoise_image``.

    Returns
    -------
    height, width : int
        Of a patch.
    """
    try:
        height, width = patch_size
    except (TypeError, ValueError):
        height = width = None
    whole = isinstance(height, Integral) and isinstance(width, Integral)
    if not whole or height < 1 or width < 1:
        raise ValueError(
            f"patch_size must be two integers of at least 1, got {patch_size!r}."
        )
    if height > image.shape[0] or width > image.shape[1]:
        raise ValueError(
            f"patch_size must be at most the size of the image, {image.shape[:2]}, "
            f"got {patch_size!r}."
        )
    if not isinstance(step, Integral) or not 1 <= step <= min(height, width):
        raise ValueError(
            f"step must be an integer in [1, {min(height, width)}], so that patches "
            f"cover all pixels, got {step!r}."
        )
    return height, width


def _n_features(estimator):
    if not hasattr(estimator, "n_features_in_"):
        raise ValueError(
            "estimator must have the attribute n_features_in_, got "
            f"{type(estimator).__name__} without it."
        )
    return estimator.n_features_in_


def _coverage(places, size, length):
    return np.bincount((places[:, None] + np.arange(size)).ravel(), minlength=length)
