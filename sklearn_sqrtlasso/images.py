"""Image denoising by overlapping patches, coded, or compared with each other."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import dct
from sklearn.utils.validation import check_is_fitted

from sklearn_sqrtlasso.blockwise.linalg import largest_exponent, unit_near
from sklearn_sqrtlasso.blockwise.missing_pixels import (
    FAINT,
    fill_missing,
    noise_std_where_known,
)
from sklearn_sqrtlasso.blockwise.similar_patches import (
    LEAST,
    estimated_noise_std,
    restore_blind,
)
from sklearn_sqrtlasso.estimators.patches import (
    check_patches,
    removes_more,
    restored_by,
)

REACH = 15  # pixels to the farthest patch that one is compared with
REMEDIES = {  # by kind of dtype
    "b": "; use image.astype(float)",
    "U": "; read a file first, for example by matplotlib.pyplot.imread",
}
SUMMED = 2.0**12  # root of the number of squares that have a sum within range
MOST_CHANNELS = 4  # that are told from the images of a stack, and rotated by cosines


def denoise_image(
    estimator: Any,
    image: Any = None,
    patch_size: tuple[int, int] = (8, 8),
    *,
    mask: ArrayLike | None = None,
    channel_axis: int | str | None = "auto",
    step: int = 1,
    groups: ArrayLike | str | None = "auto",
    similar: int = 60,
    n_passes: int = 2,
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
    channels of an image are rotated first: to brightness and differences.

    With an estimator, the mean of each patch is removed before coding and added back
    afterwards; the passes over similar patches follow. The patches of an image share a
    noise level, so they are coded as one group. Work is done in bands of rows: memory
    stays within a few times that of the image in float64.

    Missing pixels, NaN or marked by ``mask``, are filled in first: with those of the
    image restored by its large cosine coefficients, at a threshold that falls from
    half of the deviation of the pixels to the noise level, from coarse grids to fine.

    Parameters
    ----------
    estimator : fitted estimator or None
        An encoder of this package, or any transformer or Pipeline with ``transform``
        and ``inverse_transform``, fitted on centered patches of ``patch_size``. Its
        number of features determines whether patches of a colour image contain all
        channels or a single one. None, or the image alone, needs no training.
    image : array-like of shape (..., height, width) or (..., height, width, n_channels)
        Image, or stack of images that are restored one by one, of any float or integer
        dtype. NaN is a missing pixel.
    patch_size : tuple of int, default=(8, 8)
        Height and width of a patch, in pixels, at least 1.
    mask : array-like of bool, default=None
        True where a pixel is missing, of the shape of ``image`` with or without
        channels. None is the mask of ``image``, if that is a masked array. Each image,
        or channel, has to have pixels that are not.
    channel_axis : int, "auto" or None, default="auto"
        Axis of the channels; None if there are none. "auto" is None for two axes, else
        the last, of at most 4 channels; the last of 2 and of 4 channels is transparency
        and stays as it is.
    step : int, default=1
        Distance between adjacent patches of the estimator, in pixels, at least 1 and at
        most the patch size. Larger steps are faster and restore less well.
    groups : {"auto", "all"} or None, default="auto"
        Whether to code all patches as one group ("all", for estimators that accept
        groups) or each patch as its own (None). "auto" is "all" if the estimator
        accepts groups, else None.
    similar : int, default=60
        Number of patches that are restored together, at least 2; up to twice as many
        where they hardly differ.
    n_passes : int, default=2
        Number of passes over similar patches, at least 0. With 0, the image is that of
        the estimator alone, or of the cosines. They warn and are left out where an
        estimator removes more than noise of independent pixels, at twice the level.
    noise_std : float, default=None
        Standard deviation of the noise in units of the image, at least 0, for the
        stages without an estimator; None estimates it, for each rotated channel of each
        image, from the smoothest patches. With 0, only missing pixels are restored.
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
        If the image does not have two axes and those of ``channel_axis`` and a stack,
        is boolean or infinite, is smaller than a patch, has no pixel that is known, or
        does not fit the estimator or mask; or if another parameter is not valid.
    TypeError
        If ``groups="all"`` and the estimator does not accept groups.

    Notes
    -----
    The passes are those of non-local Bayes [1]_, from another first estimate, with
    another noise variance and other weights. Up to four channels are rotated by
    cosines; more are divided by their noise levels, and rotated to their principal
    directions.

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
    (9.9, 1.1)

    Fill in half of its pixels, where there is no noise:

    >>> clean[rng.random(clean.shape) < 0.5] = np.nan
    >>> filled = denoise_image(clean, noise_std=0)
    >>> float(filled[5, 5].round()), float(filled[20, 20].round())
    (0.0, 100.0)
    """
    if image is None:
        estimator, image = None, estimator
    if np.ma.isMaskedArray(image) and mask is None:
        mask = np.ma.getmaskarray(image)
    image, axis, n_alpha = _check_image(image, channel_axis)
    pictures = _with_channels_last(image, axis)
    missing = _missing_pixels(pictures, n_alpha, image, mask, axis)
    similar, n_passes = _check_passes(similar, n_passes)
    check_patches(pictures[0], patch_size, step, groups)
    if estimator is not None:
        check_is_fitted(estimator)
    options = _Options(
        estimator=estimator,
        grid=(patch_size, step),
        groups=groups,
        similar=similar,
        n_passes=n_passes,
        noise_std=_check_noise_std(noise_std),
        n_jobs=n_jobs,
        verbose=verbose,
    )
    restored = pictures.copy()
    for i, (picture, lost) in enumerate(zip(pictures, missing, strict=True)):
        colours = slice(None, picture.shape[2] - n_alpha)
        name = f"image {i + 1} of {len(pictures)}, " if len(pictures) > 1 else ""
        report = _printer(verbose, name)
        restored[i, ..., colours] = _restored(
            picture[..., colours], lost, options, report
        )
    if axis is None:
        return restored.reshape(image.shape)
    moved = np.moveaxis(image, axis, -1).shape
    return np.ascontiguousarray(np.moveaxis(restored.reshape(moved), -1, axis))


@dataclass(frozen=True)
class _Options:
    """How each image is restored; fields are parameters of ``denoise_image``."""

    estimator: Any
    grid: tuple  # patch_size and step
    groups: Any
    similar: int
    n_passes: int
    noise_std: float | None
    n_jobs: int | None
    verbose: int


def _restored(picture, missing, options, report):
    """Return an image of shape (height, width, n_channels), restored."""
    if missing.any():
        picture = np.where(missing, picture.dtype.type(0), picture)
    unit = _unit_of(picture)
    dtype = np.float32 if picture.dtype == np.float32 else np.float64
    pixels = given = (picture / unit).astype(dtype, copy=False)
    levels = None if options.noise_std is None else options.noise_std / unit
    if missing.any():
        pixels, levels = _filled(given, missing, levels, options, report)
    elif options.noise_std == 0:
        return picture
    estimate = None
    if options.estimator is not None:
        how = options.grid, options.groups, options.verbose
        own = unit if unit < 2.0 ** largest_exponent(dtype) else 1
        # an estimator sees pixels in the unit of its rows, unless sums overflow
        estimate = restored_by(options.estimator, pixels * own, *how) / own
    if options.estimator is None or options.n_passes:
        estimate = _in_rotated_channels(pixels, levels, estimate, options, report)
    if options.noise_std == 0:
        estimate = np.where(missing, estimate, given)
    return _as_dtype(estimate, unit, picture.dtype)


def _in_rotated_channels(pixels, levels, estimate, options, report):
    """Return an image whose rotated channels are restored together."""
    forward, inverse = _rotation(pixels, levels)
    given = _rotated(pixels, forward)
    first = None if estimate is None else _rotated(estimate, forward)
    size = tuple(map(int, options.grid[0]))
    blind = first is not None and options.noise_std is None
    if blind and removes_more(given[0], first[0], size):
        return estimate
    restored = restore_blind(
        given,
        None if levels is None else _rotated_levels(levels, forward),
        (size, (REACH, REACH), options.similar),
        options.n_passes,
        first,
        options.n_jobs,
        report,
    )
    return pixels + np.moveaxis(restored - given, 0, 2) @ inverse.T


def _filled(pixels, missing, levels, options, report):
    """Return an image without missing pixels, and the noise levels of its channels.

    If the same pixels are missing in all channels, these are rotated.
    """
    n_channels = pixels.shape[2]
    forward = np.eye(n_channels, dtype=pixels.dtype)
    alike = np.array_equal(missing, np.broadcast_to(missing[..., :1], missing.shape))
    if alike and n_channels <= MOST_CHANNELS:
        forward = _cosines(n_channels, pixels.dtype)
    known = _rotated(pixels, forward)
    lost = np.moveaxis(missing, 2, 0)
    if levels is None:
        pairs = zip(known, lost, strict=True)
        of_known = np.array([noise_std_where_known(x, mask) for x, mask in pairs])
    else:
        of_known = np.full(n_channels, levels)
    geometry = tuple(map(int, options.grid[0])), options.n_jobs, report
    filled = fill_missing(known, lost, of_known, *geometry)
    deviations = np.std(filled, axis=(1, 2), dtype=np.float64)
    if options.noise_std == 0:
        of_known = FAINT * deviations
    filled = np.where(missing, np.moveaxis(filled, 0, 2) @ forward, pixels)
    return filled, _rotated_levels(of_known, forward.T)


def _rotated(pixels, forward):
    return np.ascontiguousarray(np.moveaxis(pixels @ forward.T, 2, 0))


def _rotated_levels(levels, forward):
    """Return noise levels of rotated channels, whose noise is independent."""
    variances = np.full(forward.shape[1], np.square(levels, dtype=np.float64))
    return np.sqrt(np.square(forward, dtype=np.float64) @ variances)


def _rotation(pixels, levels):
    """Return the matrix that channels are rotated by, and its inverse.

    Few channels are rotated by cosines: the first becomes brightness. Most of what many
    channels have in common goes to few principal directions, in units of their noise.
    """
    n_channels = pixels.shape[2]
    if n_channels <= MOST_CHANNELS:
        forward = _cosines(n_channels, pixels.dtype)
        return forward, forward.T
    channels = np.moveaxis(pixels, 2, 0).astype(np.float64)
    if levels is None:
        levels = [estimated_noise_std(x, (8, 8)) for x in channels]
    levels = np.maximum(np.full(n_channels, levels), LEAST * np.max(levels))
    levels[levels == 0] = 1
    covariance = np.cov((channels / levels[:, None, None]).reshape(n_channels, -1))
    directions = np.linalg.eigh(covariance)[1][:, ::-1].T
    forward, inverse = directions / levels, levels[:, None] * directions.T
    return forward.astype(pixels.dtype), inverse.astype(pixels.dtype)


def _cosines(n_channels, dtype):
    return dct(np.eye(n_channels), norm="ortho", axis=0).astype(dtype)


def _check_passes(similar, n_passes):
    for name, value, least in (("similar", similar, 2), ("n_passes", n_passes, 0)):
        if not isinstance(value, Integral) or value < least:
            raise ValueError(
                f"{name} must be an integer of at least {least}, got {value!r}."
            )
    return int(similar), int(n_passes)


def _check_noise_std(noise_std):
    if noise_std is None:
        return None
    if not isinstance(noise_std, Real) or not 0 <= noise_std < np.inf:
        raise ValueError(
            "noise_std must be a finite number of at least 0, or None, got "
            f"{noise_std!r}."
        )
    return float(noise_std)


def _printer(verbose, name):
    """Return a function that prints the share of a stage that is done."""

    def report(stage, share):
        if verbose:
            print(f"[denoise_image] {name}{stage}: {share:.0%}", flush=True)

    return report


def _check_image(image, channel_axis):
    """Return an image, the axis of its channels, and how many of them are alpha."""
    image = np.asarray(image)
    if image.dtype.kind not in "fiu":
        raise ValueError(
            "image must have a float or integer dtype, got dtype "
            f"{image.dtype}{REMEDIES.get(image.dtype.kind, '')}."
        )
    axis, n_alpha = channel_axis, 0
    if channel_axis == "auto":
        axis = None if image.ndim == 2 else -1
        n_last = image.shape[-1] if image.ndim > 2 else 0
        if n_last > MOST_CHANNELS:
            raise ValueError(
                f"channel_axis is not clear from the shape {image.shape} of image: "
                f"pass None for a stack of grey images, or -1 for {n_last} channels."
            )
        n_alpha = int(n_last in (2, 4))
    elif axis is not None and (
        not isinstance(axis, Integral) or not -image.ndim <= axis < image.ndim
    ):
        raise ValueError(
            f"channel_axis must be 'auto', None or an axis of image, of shape "
            f"{image.shape}, got {channel_axis!r}."
        )
    if image.ndim < (2 if axis is None else 3) or 0 in image.shape:
        raise ValueError(
            "image must have shape (..., height, width) or (..., height, width, "
            f"n_channels), got shape {image.shape} and channel_axis={channel_axis!r}."
        )
    return image, axis, n_alpha


def _with_channels_last(image, axis):
    """Return a stack of images of shape (n_images, height, width, n_channels)."""
    moved = image[..., None] if axis is None else np.moveaxis(image, axis, -1)
    return moved.reshape(-1, *moved.shape[-3:])


def _missing_pixels(pictures, n_alpha, image, mask, axis):
    """Return where pixels of the colours are missing, for each image of a stack."""
    colours = pictures[..., : pictures.shape[3] - n_alpha]
    missing = np.isnan(colours)
    if mask is not None:
        mask, without = np.asarray(mask), image.shape
        if axis is not None:
            without = np.moveaxis(image, axis, -1).shape[:-1]
        if mask.shape not in (image.shape, without) or not np.isin(mask, (0, 1)).all():
            shapes = " or ".join(map(str, dict.fromkeys((without, image.shape))))
            raise ValueError(
                f"mask must be boolean and have shape {shapes}, got shape "
                f"{mask.shape} and dtype {mask.dtype}."
            )
        if axis is not None and mask.shape == image.shape:
            mask = _with_channels_last(mask, axis)[..., : colours.shape[3]]
        missing |= np.asarray(mask, dtype=bool).reshape(*pictures.shape[:3], -1)
    if np.any(np.isinf(colours) & ~missing):
        raise ValueError("image must not be infinite; NaN marks missing pixels.")
    if missing.all(axis=(1, 2)).any():
        raise ValueError(
            "image must have pixels that are not missing, in each channel."
        )
    return missing


def _unit_of(image):
    """Return what pixels are divided by, so that sums of squares are in range."""
    if image.dtype.kind != "f":
        return 1
    largest = float(np.abs(image).max(initial=0))
    narrow = np.float32 if image.dtype == np.float32 else np.float64
    bounds = np.finfo(narrow)
    if np.sqrt(bounds.tiny) * SUMMED < largest < np.sqrt(bounds.max) / SUMMED:
        return 1
    return narrow(unit_near(largest, narrow))


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
    low, high = np.array([bounds.min, bounds.max], narrow) / max(unit, 1)
    return (np.clip(restored, low, high) * unit).astype(dtype)
