"""Training data, and its batches in random order and with noise."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.blockwise.groups import RowGroups
from sklearn_sqrtlasso.blockwise.linalg import dense_rows
from sklearn_sqrtlasso.models.two_layer import Batch

CHUNK_ROWS = 64  # rows of one group that stay together in a batch
WEIGHT_POWER = 0.7  # errors at noise sigma weigh sigma^-.7: no level dominates


class Corruption(NamedTuple):
    """Gaussian noise whose standard deviation is drawn log-uniformly for each chunk.

    Attributes
    ----------
    low, high : float
        Bounds of the standard deviation, in units of the rows.
    span : ndarray of shape (n_features, n_features) or None
        Projector on the span of the rows, None if it is the whole space.
    n_directions : int or None
        Number of coordinates of noise in the span of the weights
        (``models.span_noise``); None adds noise to all entries.
    """

    low: float
    high: float
    span: np.ndarray | None = None
    n_directions: int | None = None


class TrainingData(NamedTuple):
    """Training data.

    Attributes
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Input rows.
    target : ndarray or sparse matrix, or None
        Target of each row; None is the row.
    coded : bool
        Whether ``target`` holds codes.
    groups : RowGroups
        Rows that share a noise level.
    unit : float
        Unit of scaling that rows are divided by.
    corruption : Corruption or None
        Noise added to the input.
    target_unit : float or None
        Unit that targets are divided by, 1 for codes that are pure numbers; None is the
        unit of rows.
    given : ndarray, sparse matrix or None
        Rows as they were given, if X holds coordinates of them.
    dtype : dtype or None
        Dtype of batches, None that of X.
    """

    X: np.ndarray
    target: np.ndarray | None
    coded: bool
    groups: RowGroups
    unit: float = 1.0
    corruption: Corruption | None = None
    target_unit: float | None = None
    given: np.ndarray | None = None
    dtype: np.dtype | None = None

    @property
    def rows(self):
        """The rows as they were given."""
        return self.X if self.given is None else self.given


def batches(data: TrainingData, batch_size, rng):
    """Yield all rows once, in random order, as batches.

    Rows of a group stay together in chunks of at most ``CHUNK_ROWS``. A batch consists
    of whole chunks, of at most ``batch_size`` rows in total.

    Parameters
    ----------
    data : TrainingData
        Training data.
    batch_size : int
        Largest number of rows of a batch.
    rng : numpy.random.Generator
        Source of the order and of noise.

    Yields
    ------
    batch : Batch
        Next rows, in new arrays.
    """
    places, lengths = shuffle_chunks(data.groups, min(CHUNK_ROWS, batch_size), rng)
    ends = np.cumsum(lengths)
    first_chunk, start = 0, 0
    while first_chunk < len(lengths):
        last_chunk = int(np.searchsorted(ends, start + batch_size, side="right"))
        stop = int(ends[last_chunk - 1])
        bounds = np.concatenate([[0], ends[first_chunk:last_chunk] - start])
        yield gather_batch(data, places[start:stop], bounds, rng)
        first_chunk, start = last_chunk, stop


def shuffle_chunks(groups: RowGroups, most_rows, rng):
    """Split groups into chunks of random rows, and shuffle the chunks.

    Parameters
    ----------
    groups : RowGroups
        Groups of all rows.
    most_rows : int
        Largest number of rows of a chunk.
    rng : numpy.random.Generator
        Source of the order.

    Returns
    -------
    places : ndarray of shape (n_samples,)
        Indices of the rows, chunk by chunk.
    lengths : ndarray of shape (n_chunks,)
        Number of rows of each chunk.
    """
    n_rows, sizes = groups.n_rows, np.diff(groups.starts)
    if sizes.max(initial=1) == 1:
        places = rng.permutation(n_rows)
        return _rows_at(groups, places), np.ones(n_rows, int)
    group = np.repeat(np.arange(len(sizes)), sizes)
    places = np.lexsort((rng.random(n_rows), group))  # shuffled within groups
    within = np.arange(n_rows) - np.repeat(groups.starts[:-1], sizes)
    starts = np.flatnonzero(within % most_rows == 0)
    lengths = np.diff(starts, append=n_rows)
    order = rng.permutation(len(starts))
    starts, lengths = starts[order], lengths[order]
    ends = np.cumsum(lengths)
    steps = np.repeat(starts - (ends - lengths), lengths)
    return _rows_at(groups, places[np.arange(n_rows) + steps]), lengths


def _rows_at(groups, places):
    return places if groups.order is None else groups.order[places]


def split_groups(groups: RowGroups, n_held_out, rng):
    """Split rows at random; rows of a group remain one group in each part.

    Parameters
    ----------
    groups : RowGroups
        Groups of all rows.
    n_held_out : int
        Number of rows of the second part.
    rng : numpy.random.Generator
        Source of the split.

    Returns
    -------
    kept, held_out : RowGroups
        Groups of each part, as indices of all rows.
    """
    chosen = np.zeros(groups.n_rows, bool)
    chosen[rng.permutation(groups.n_rows)[:n_held_out]] = True
    group = np.repeat(np.arange(len(groups.starts) - 1), np.diff(groups.starts))

    def part(places):
        sizes = np.bincount(group[places])
        starts = np.concatenate([[0], np.cumsum(sizes[sizes > 0])])
        return RowGroups(starts, _rows_at(groups, places))

    return part(np.flatnonzero(~chosen)), part(np.flatnonzero(chosen))


def gather_batch(data: TrainingData, rows, bounds, rng):
    """Return the rows at given indices as a batch, with new noise.

    Parameters
    ----------
    data : TrainingData
        Training data.
    rows : ndarray of shape (n_rows,)
        Indices of rows of ``data.X``.
    bounds : ndarray of shape (n_groups + 1,)
        Bounds of the groups.
    rng : numpy.random.Generator
        Source of noise.

    Returns
    -------
    batch : Batch
        Batch in new arrays.
    """
    dtype = data.dtype or data.X.dtype
    x = _scaled_rows(data.X, rows, data.unit).astype(dtype, copy=False)
    target = x
    if data.target is not None:
        target = _scaled_rows(data.target, rows, data.target_unit or data.unit)
    weight, noise = np.ones(len(rows), x.dtype), None
    if data.corruption is not None:
        n_directions, lengths = data.corruption.n_directions, np.diff(bounds)
        width = n_directions or x.shape[1]
        noise, weight = _draw_noise(data.corruption, lengths, width, x.dtype, rng)
        if n_directions is None:
            noise += dense_rows(x)
            x, noise = noise, None
    return Batch(x, target, bounds, weight, data.coded, noise)


def _scaled_rows(X, rows, unit):
    x = np.take(X, rows, axis=0) if isinstance(X, np.ndarray) else X[rows]  # a copy
    if unit != 1:
        values = x.data if sp.issparse(x) else x
        values /= X.dtype.type(unit)
    return x


def _draw_noise(corruption, lengths, width, dtype, rng):
    """Return noise of rows, and weights; levels are stratified over the chunks."""
    low, high, span, _ = corruption
    strata = (rng.permutation(len(lengths)) + rng.random(len(lengths))) / len(lengths)
    sigma = low * (high / low) ** strata
    weight = (sigma / np.sqrt(low * high)) ** -WEIGHT_POWER
    noise = rng.standard_normal((lengths.sum(), width), dtype=dtype)
    noise *= np.repeat(sigma, lengths).astype(dtype)[:, None]
    if span is not None:
        noise = noise @ span
    return noise, np.repeat(weight, lengths).astype(dtype)
