"""Image denoising by overlapping patches, coded, or compared with each other."""

from numbers import Integral, Real
from threading import Lock
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from scipy.fft import dct
from sklearn.utils.validation import check_is_fitted

from sklearn_sqrtlasso.blockwise.blocks import N_PARTS
from sklearn_sqrtlasso.blockwise.linalg import unit_near
from sklearn_sqrtlasso.blockwise.similar_patches import restore_blind
from sklearn_sqrtlasso.estimators.base import BaseEncoder
from sklearn_sqrtlasso.estimators.grouped import GroupedEncoder
from sklearn_sqrtlasso.estimators.validation import check_group_word, check_groups

REACH = 15  # pixels to the farthest patch that one is compared with
CHUNK = 4096  # patches passed at a time to an estimator of another package


def denoise_image(
    estimator: Any,
    image: Any = None,
    patch_size: tuple[int, int] = (8, 8),
    *,
    step: int = 1,
    groups: ArrayLike | str | None = "auto",
    similar: int = 60,
    n_passes: int | None = None,
    noise_std: float | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> np.ndarray:
    """Denoise an image by its patches, without training or by a fitted estimator.

    ``denoise_image(image)`` keeps the cosine coefficients of patches that exceed the
    noise, and then restores groups of similar patches together. For patches y of a
    group whose present estimates have mean m and covariance C, with noise of variance
    v, a pass returns ``m + C (C + v I)^-1 (y - m)``, averaged over overlaps with
    weights inverse to the variance that remains. All but the last pass halve v. The
    channels of an image are rotated by cosines first: brightness, and differences.

    With an estimator, the mean of each patch is removed before coding and added back
    afterwards. The patches of an image share a noise level, so they are coded as one
    group. With ``n_passes``, passes over similar patches follow. Work is done in bands
    of rows: memory stays within a few times that of the image in float64.

    Parameters
    ----------
    estimator : fitted estimator or None
        An encoder of this package, or any transformer or Pipeline with ``transform``
        and ``inverse_transform``, fitted on centered patches of ``patch_size``. Its
        number of features determines whether patches of a colour image contain all
        channels or a single one. None, or the image alone, needs no training.
    image : array-like of shape (height, width) or (height, width, n_channels)
        Grey or colour image, of any float or integer dtype.
    patch_size : tuple of int, default=(8, 8)
        Height and width of a patch, in pixels, at least 1.
    step : int, default=1
        Distance between adjacent patches of the estimator, in pixels, at least 1 and at
        most the patch size. Larger steps are faster and restore less well.
    groups : {"auto", "all"} or None, default="auto"
        Whether to code all patches as one group ("all", for estimators that accept
        groups) or each patch as its own (None). "auto" is "all" if the estimator
        accepts groups, else None.
    similar : int, default=60
        Number of patches that are restored together, at least 2.
    n_passes : int, default=None
        Number of passes over similar patches, at least 0. None is 2 without an
        estimator and 0 with one.
    noise_std : float, default=None
        Standard deviation of the noise in units of the image, positive, for the stages
        without an estimator; None estimates it, for each rotated channel, from the
        smoothest patches.
    n_jobs : int, default=None
        Number of threads of the stages without an estimator, as in joblib. The result
        does not depend on it.
    verbose : int, default=0
        Whether to print lines of progress.

    Returns
    -------
    restored : ndarray of the shape and dtype of ``image``
        Restored image; for an integer dtype, rounded and clipped to its range.

    Raises
    ------
    ValueError
        If the image is not a finite array of two or three dimensions, is smaller than a
        patch or does not fit the estimator, or another parameter is not valid.
    TypeError
        If ``groups="all"`` and the estimator does not accept groups.

    Notes
    -----
    The passes are those of non-local Bayes [1]_, from another first estimate, with
    another noise variance and other weights.

    References
    ----------
    .. [1] M. Lebrun, A. Buades and J.-M. Morel, "A nonlocal Bayesian image denoising
       algorithm", SIAM Journal on Imaging Sciences 6(3), 2013.

    Examples
    --------
    Denoise a grey square on black, with noise of a tenth of its brightness:

    >>> import numpy as np
    >>> from sklearn_sqrtlasso.images import denoise_image
    >>> rng = np.random.default_rng(0)
    >>> clean = np.zeros((40, 40))
    >>> clean[10:30, 10:30] = 100
    >>> noisy = clean + 10 * rng.standard_normal(clean.shape)
    >>> restored = denoise_image(noisy)
    >>> float(np.std(noisy - clean).round(1)), float(np.std(restored - clean).round(1))
    (9.9, 1.4)
    """
    if image is None:
        estimator, image = None, estimator
    image = _check_image(image)
    similar, n_passes = _check_passes(similar, n_passes, estimator)
    noise_std = _check_noise_std(noise_std)
    unit = _unit_of(image)
    scaled: np.ndarray = image / unit
    estimate: Any = None
    if estimator is None:
        _check_sizes(image, patch_size, 1)
    else:
        check_is_fitted(estimator)
        estimate = restored_by(estimator, scaled, (patch_size, step), groups, verbose)
    if estimator is None or n_passes:
        levels = noise_std and noise_std / unit
        geometry = tuple(map(int, patch_size)), (REACH, REACH), similar
        report = _printer(verbose)

        def restore(pixels, first):
            return restore_blind(
                pixels, levels, geometry, n_passes, first, n_jobs, report
            )

        estimate = _in_rotated_channels(restore, scaled, estimate)
    return _as_dtype(estimate.reshape(image.shape), unit, image.dtype)


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


def _in_rotated_channels(restore, image, estimate):
    """Restore channels after an orthonormal rotation: the first is brightness."""
    dtype = np.float32 if image.dtype == np.float32 else np.float64
    pixels = image.reshape(*image.shape[:2], -1).astype(dtype, copy=False)
    rotation = dct(np.eye(pixels.shape[2]), norm="ortho", axis=0).astype(dtype)

    def rotated(channels):
        return np.ascontiguousarray(np.moveaxis(channels @ rotation.T, 2, 0))

    given = rotated(pixels)
    restored = restore(given, None if estimate is None else rotated(estimate))
    return pixels + np.moveaxis(restored - given, 0, 2) @ rotation


def _check_passes(similar, n_passes, estimator):
    if n_passes is None:
        n_passes = 2 if estimator is None else 0
    for name, value, least in (("similar", similar, 2), ("n_passes", n_passes, 0)):
        if not isinstance(value, Integral) or value < least:
            raise ValueError(
                f"{name} must be an integer of at least {least}, got {value!r}."
            )
    return int(similar), int(n_passes)


def _check_noise_std(noise_std):
    if noise_std is None:
        return None
    if not isinstance(noise_std, Real) or not 0 < noise_std < np.inf:
        raise ValueError(
            f"noise_std must be a positive finite number or None, got {noise_std!r}."
        )
    return float(noise_std)


def _printer(verbose):
    """Return a function that prints the share of a stage that is done."""

    def report(stage, share):
        if verbose:
            print(f"[denoise_image] {stage}: {share:.0%}", flush=True)

    return report


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
        height, width = _check_sizes(image, patch_size, step)
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
        self.tops = _places(self.pixels.shape[0], height, step)
        self.lefts = _places(self.pixels.shape[1], width, step)
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
    check_group_word(groups, ("auto", "all"))
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


def _check_image(image):
    image = np.asarray(image)
    if image.ndim not in (2, 3) or image.dtype.kind not in "fiu":
        raise ValueError(
            "image must have shape (height, width) or (height, width, n_channels) "
            "and a float or integer dtype, got shape "
            f"{image.shape} and dtype {image.dtype}."
        )
    if not np.all(np.isfinite(image)):
        raise ValueError("image must be finite, got NaN or infinity.")
    return image


def _unit_of(image):
    """Return what pixels are divided by: sums over patches may not overflow."""
    if image.dtype.kind != "f":
        return 1
    largest = float(np.abs(image).max(initial=0))
    narrow = np.float32 if image.dtype == np.float32 else np.float64
    if largest < np.sqrt(np.finfo(narrow).max):
        return 1
    return narrow(unit_near(largest, narrow))


def _check_sizes(image, patch_size, step):
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


def _places(length, size, step):
    """Return the offsets of patches, the last of which ends at the image border."""
    places = np.arange(0, length - size + 1, step)
    last = length - size
    return places if places[-1] == last else np.append(places, last)


def _coverage(places, size, length):
    return np.bincount((places[:, None] + np.arange(size)).ravel(), minlength=length)


def _as_dtype(restored, unit, dtype):
    """Return restored pixels in their unit, in the range of a dtype."""
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        largest = restored.dtype.type(bounds.max)
        if int(largest) > bounds.max:  # 64 bits: rounded up to a float out of range
            largest = np.nextafter(largest, restored.dtype.type(0))
        return np.clip(np.rint(restored), bounds.min, largest).astype(dtype)
    bounds = np.finfo(dtype)
    narrow = np.promote_types(restored.dtype, dtype).type
    low, high = narrow(bounds.min) / unit, narrow(bounds.max) / unit
    return (np.clip(restored, low, high) * unit).astype(dtype)
