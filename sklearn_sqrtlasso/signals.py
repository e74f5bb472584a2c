"""Signal denoising by overlapping windows, which are compared with each other."""

from collections.abc import Iterable, Iterator
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_sqrtlasso.blockwise.blocks import parallel_map
from sklearn_sqrtlasso.blockwise.linalg import unit_near
from sklearn_sqrtlasso.blockwise.missing_pixels import (
    fill_missing,
    noise_std_where_known,
)
from sklearn_sqrtlasso.blockwise.similar_patches import (
    OF_SIGNALS,
    estimated_noise_std,
    restore_blind,
)
from sklearn_sqrtlasso.estimators.patches import removes_more, restored_by

STRIDE = OF_SIGNALS.stride
PIECE = STRIDE * 3 * 2**10  # samples that are restored at a time, at most
LEAST_WINDOW = 8  # samples, of which the fastest two cosines tell the noise level


def denoise_signal(
    x: ArrayLike,
    window: int = 32,
    *,
    estimator: Any = None,
    similar: int = 60,
    reach: int = 1024,
    n_passes: int = 2,
    noise_std: float | None = None,
    stretch: int | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> np.ndarray:
    """Denoise a recording of one or more channels.

    Windows at all samples keep the cosine coefficients that exceed the noise, and are
    averaged where they overlap. Then groups of windows that look alike, such as
    heartbeats, are restored together, as patches are by
    :func:`~sklearn_sqrtlasso.images.denoise_image`. Each channel is restored by itself.

    Parameters
    ----------
    x : array-like of shape (n_samples,) or (n_samples, n_channels)
        Recording at equal intervals, of any float or integer dtype. Samples that are
        NaN, or masked, are missing: they are filled in first, as pixels are.
    window : int, default=32
        Number of samples of a window, at least 8: about the length of what happens in
        the signal. The recording has to be as long.
    estimator : fitted estimator, default=None
        An encoder, or another transformer with ``inverse_transform``, fitted on windows
        of ``window`` samples with their means removed. It makes the first estimate in
        place of cosines; the windows of a piece share a noise level.
    similar : int, default=60
        Number of windows that are restored together, at least 2.
    reach : int, default=1024
        Number of samples, before and after a window, that others like it are looked for
        in, at least 0. Let it span several periods.
    n_passes : int, default=2
        Number of passes over similar windows, at least 0. They warn and are left out,
        for a piece of the recording, where an estimator removes more than noise of
        independent samples, at twice the level.
    noise_std : float, default=None
        Standard deviation of the noise in units of the signal, positive. None estimates
        it, for each channel, from the fastest changes in the smoothest windows.
    stretch : int, default=None
        Number of samples of a stretch, at least ``window``, for noise whose level
        changes slowly: the level of each stretch is estimated by itself. None is one
        level for the recording.
    n_jobs : int, default=None
        Number of threads, as in joblib. The result does not depend on it.
    verbose : int, default=0
        Whether to print lines of progress.

    Returns
    -------
    restored : ndarray of the shape of ``x``
        Restored signal, in single precision if x is float32, else in double.

    Raises
    ------
    ValueError
        If x is infinite, has more than two dimensions, is shorter than a window, or has
        a channel without samples, or a parameter is not valid.

    See Also
    --------
    denoise_chunks : The same for a stream.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sqrtlasso.signals import denoise_signal
    >>> t = np.arange(4000)
    >>> clean = 10 * np.exp(-(((t % 200) - 100) / 12.0) ** 2)  # a pulse, twenty times
    >>> noisy = clean + np.random.default_rng(0).standard_normal(4000)
    >>> restored = denoise_signal(noisy)
    >>> float(np.std(noisy - clean).round(1)), float(np.std(restored - clean).round(1))
    (1.0, 0.2)
    """
    known = noise_std is not None
    recording = _Recording(window, estimator, similar, reach, n_passes, known)
    noise_std, stretch = _check_level(noise_std, stretch, window)
    columns = _columns_of(x, window, may_miss=True)
    restored = np.empty(columns.shape, columns.dtype)
    report = _printer(verbose, columns.size)
    for channel, out in zip(columns.T, restored.T, strict=True):
        channel, level = _filled(channel, noise_std, window)
        if level is None and stretch is None:
            level = recording.level(channel)
        pieces = list(_pieces(len(channel), stretch))
        restore = partial(recording.restore, channel, level)
        for (start, stop), piece in zip(
            pieces, parallel_map(restore, pieces, n_jobs), strict=True
        ):
            out[start:stop] = piece
            report(stop - start)
    return restored.reshape(np.shape(x))


def denoise_chunks(
    chunks: Iterable[ArrayLike],
    window: int = 32,
    *,
    estimator: Any = None,
    similar: int = 60,
    reach: int = 1024,
    n_passes: int = 2,
    noise_std: float | None = None,
    stretch: int | None = None,
) -> Iterator[np.ndarray]:
    """Denoise a recording that comes in chunks.

    The chunks that are yielded, one after the other, are what
    :func:`denoise_signal` returns for the whole recording, to the last bit. They lag
    behind by a piece of 24576 samples, or a stretch, and what its windows reach.

    Parameters
    ----------
    chunks : iterable of array-like of shape (n_samples,) or (n_samples, n_channels)
        Parts of the recording, of any length.
    window, estimator, similar, reach, n_passes
        As for ``denoise_signal``.
    noise_std, stretch
        As for ``denoise_signal``; one of both is needed, as the level of the whole
        recording is not known before its end.

    Yields
    ------
    restored : ndarray of shape (n_samples,) or (n_samples, n_channels)
        Parts of the restored signal, in their order.

    Raises
    ------
    ValueError
        As for ``denoise_signal``, or if chunks have different channels.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sqrtlasso.signals import denoise_chunks, denoise_signal
    >>> noisy = np.random.default_rng(0).standard_normal(3000).cumsum()
    >>> parts = denoise_chunks(np.split(noisy, 5), stretch=1000)
    >>> bool(np.all(np.concatenate(list(parts)) == denoise_signal(noisy, stretch=1000)))
    True
    """
    known = noise_std is not None
    recording = _Recording(window, estimator, similar, reach, n_passes, known)
    noise_std, stretch = _check_level(noise_std, stretch, window)
    if noise_std is None and stretch is None:
        raise ValueError(
            "noise_std or stretch must be given for chunks: the noise level of a "
            "recording is not known before its end."
        )
    start, done, length = 0, 0, stretch or PIECE
    kept, flat = np.empty((0, 1)), True  # samples from ``start`` on

    def restored(first, last):
        piece = (first - start, last - start)
        columns = map(np.ascontiguousarray, kept.T)
        parts = [recording.restore(x, noise_std, piece) for x in columns]
        return parts[0] if flat else np.column_stack(parts)

    for chunk in chunks:
        columns = _columns_of(chunk, 0)
        if len(kept):
            columns = _joined(kept, columns, flat == (np.ndim(chunk) == 1))
        kept, flat = columns, np.ndim(chunk) == 1
        while start + len(kept) >= done + 2 * length + recording.halo:
            yield restored(done, done + length)
            done += length
            first = recording.first_needed(done)
            kept, start = kept[first - start :], first
    _columns_of(kept, window)
    n_left = start + len(kept) - done
    for first, last in _pieces(n_left, stretch):
        yield restored(done + first, done + last)


def _joined(kept, columns, alike):
    """Return samples of the same channels, one after the other."""
    if not alike or kept.shape[1] != columns.shape[1]:
        raise ValueError(
            "chunks must have the same channels, got one of shape "
            f"{columns.shape} after one of {kept.shape[1]} channels."
        )
    return np.concatenate([kept, columns])


class _Recording:
    """How a channel is restored, piece by piece.

    A sample depends on no sample farther away than ``halo``, and windows stand at
    multiples of ``STRIDE`` from the first sample: pieces are the same, however the
    recording is cut into them.

    Parameters
    ----------
    window, estimator, similar, reach, n_passes
        As for ``denoise_signal``.
    known : bool
        Whether the noise level is told.
    """

    def __init__(self, window, estimator, similar, reach, n_passes, known):
        given = {"window": window, "similar": similar, "reach": reach}
        least = {"window": LEAST_WINDOW, "similar": 2, "reach": 0, "n_passes": 0}
        for name, value in (given | {"n_passes": n_passes}).items():
            if not isinstance(value, Integral) or value < least[name]:
                raise ValueError(
                    f"{name} must be an integer of at least {least[name]}, got "
                    f"{value!r}."
                )
        if estimator is not None:
            check_is_fitted(estimator)
            if estimator.n_features_in_ != window:
                raise ValueError(
                    "window must be the number of features of the estimator, "
                    f"{estimator.n_features_in_}, got {window!r}."
                )
        self.window, self.estimator, self.n_passes = int(window), estimator, n_passes
        self.known = known
        self.geometry = (1, int(window)), (0, int(reach)), int(similar)
        needed = (n_passes + 1) * 2 * (int(reach) + int(window))
        self.halo = -(-needed // STRIDE) * STRIDE

    def level(self, x):
        """Return the noise level of a recording: the median of those of its pieces.

        Parameters
        ----------
        x : ndarray of shape (n_samples,)
            Recording.

        Returns
        -------
        level : float
            Standard deviation of the noise.
        """
        bounds = list(_pieces(len(x), None))
        levels = [self._level(x[start:stop]) for start, stop in bounds]
        return float(np.median(levels))

    def _level(self, x):
        x, _, unit = _centered(x)
        return estimated_noise_std(x[None], (1, self.window)) * float(unit)

    def first_needed(self, start):
        """Return the first sample that a piece depends on, where windows stand.

        Parameters
        ----------
        start : int
            First sample of the piece.

        Returns
        -------
        first : int
            A multiple of ``STRIDE``.
        """
        return max(start - self.halo, 0) // STRIDE * STRIDE

    def restore(self, x, level, piece):
        """Return a restored piece of a recording.

        Parameters
        ----------
        x : ndarray of shape (n_samples,)
            Recording, or enough of it around the piece.
        level : float or None
            Noise level; None is that of the piece.
        piece : tuple of int
            First sample of the piece, and the one after its last.

        Returns
        -------
        restored : ndarray of shape (n_samples,)
            The piece.
        """
        start, stop = piece
        first = self.first_needed(start)
        near = x[first : stop + self.halo]
        level = self._level(x[start:stop]) if level is None else level
        near, base, unit = _centered(near)
        pixels, estimate = near[None], None
        if self.estimator is not None:
            grid = (1, self.window), 1
            estimate = restored_by(self.estimator, pixels * unit, grid)
            estimate = np.moveaxis(estimate / unit, 2, 0)
        n_passes, level = self.n_passes, level / float(unit)
        blind = estimate is not None and n_passes > 0 and not self.known
        if blind and removes_more(pixels, estimate[0], self.geometry[0], level):
            n_passes = 0
        restored = restore_blind(
            pixels[None], level, self.geometry, n_passes, estimate
        )[0, 0]
        return (restored[start - first : stop - first] + base) * unit


def _centered(x):
    """Return samples without their mean, that mean, and the unit of both."""
    unit = unit_near(float(np.abs(x).max(initial=0)), x.dtype)
    x = x / unit
    base = x.dtype.type(x.mean(dtype=np.float64))
    return x - base, base, unit


def _pieces(n_samples, stretch):
    """Yield the bounds of stretches; the last is longer rather than short."""
    length = stretch or PIECE
    starts = np.arange(max(n_samples // length, 1)) * length
    yield from zip(starts.tolist(), [*starts[1:].tolist(), n_samples], strict=True)


def _filled(channel, level, window):
    """Return a channel whose missing samples are filled in, and its noise level."""
    pixels, missing = np.ascontiguousarray(channel)[None], np.isnan(channel)[None]
    if not missing.any():
        return pixels[0], level
    pixels = np.where(missing, 0, pixels)
    known = noise_std_where_known(pixels, missing) if level is None else level
    size = (1, window)
    return fill_missing(pixels[None], missing[None], [known], size)[0, 0], level


def _columns_of(x, window, may_miss=False):
    """Return the channels of a recording as columns, in a float dtype."""
    if np.ma.is_masked(x):  # as missing as NaN
        dtype = x.dtype if x.dtype.kind == "f" else np.float64
        x = np.ma.filled(x.astype(dtype), np.nan)
    x = np.asarray(x)
    if x.ndim not in (1, 2) or x.dtype.kind not in "fiu":
        raise ValueError(
            "x must have shape (n_samples,) or (n_samples, n_channels) and a float or "
            f"integer dtype, got shape {x.shape} and dtype {x.dtype}."
        )
    if len(x) < window:
        transposed = "; use x.T" if x.ndim == 2 and x.shape[1] >= window else ""
        raise ValueError(
            f"x must be at least as long as a window, {window}, got {len(x)} samples, "
            f"the first axis of {x.shape}{transposed}."
        )
    known = ~np.isnan(x)
    if not may_miss and not known.all():
        raise ValueError(
            "chunks must not have missing samples, got NaN; denoise_signal fills them "
            "in, or numpy.interp."
        )
    if np.isinf(x).any():
        raise ValueError("x must not be infinite; NaN marks missing samples.")
    if len(x) and not known.any(axis=0).all():
        raise ValueError("x must have samples that are not missing, in each channel.")
    dtype = np.float32 if x.dtype == np.float32 else np.float64
    columns = x if x.ndim == 2 else x[:, None]
    return columns.astype(dtype, copy=False)


def _check_level(noise_std, stretch, window):
    if noise_std is not None and stretch is not None:
        raise ValueError("noise_std and stretch exclude each other, got both.")
    if noise_std is not None and not (
        isinstance(noise_std, Real) and 0 < noise_std < np.inf
    ):
        raise ValueError(
            f"noise_std must be a positive finite number or None, got {noise_std!r}."
        )
    if stretch is not None and not (
        isinstance(stretch, Integral) and stretch >= window
    ):
        raise ValueError(
            f"stretch must be an integer of at least window={window} or None, got "
            f"{stretch!r}."
        )
    return noise_std, stretch


def _printer(verbose, n_samples):
    """Return a function that counts samples and prints a line for each piece."""
    done = 0

    def report(n_more):
        nonlocal done
        done += n_more
        if verbose:
            print(f"[denoise_signal] {done} of {n_samples} samples", flush=True)

    return report
