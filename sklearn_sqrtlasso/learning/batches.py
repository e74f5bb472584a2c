"""Batches of rows, in a new order and with new noise in every epoch."""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.models.two_layer import Batch
from sklearn_sqrtlasso.rows.blocks import RowGroups
from sklearn_sqrtlasso.rows.linalg import dense_rows

CHUNK_ROWS = 64  # rows of one group that come together in a batch
WEIGHT_POWER = 0.7  # errors at noise sigma weigh sigma^-.7: no level drowns the others


class Corruption(NamedTuple):
    """Gaussian noise whose standard deviation is drawn log-uniformly for each chunk.

    Attributes
    ----------
    low, high : float
        Bounds of the standard deviation, in units of the rows.
    span : ndarray of shape (n_features, n_features) or None
        Projector on the span of the rows, if they do not fill the space.
    """

    low: float
    high: float
    span: np.ndarray | None = None


class TrainingData(NamedTuple):
    """Rows to learn from, and what they should become.

    Attributes
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Input rows.
    target : ndarray or sparse matrix, or None
        What they should become; None: themselves.
    coded : bool
        Whether ``target`` holds codes.
    groups : RowGroups
        Rows that share a noise level.
    unit : float
        Rows are divided by it.
    corruption : Corruption or None
        Noise added to the input.
    """

    X: np.ndarray
    target: np.ndarray | None
    coded: bool
    groups: RowGroups
    unit: float
    corruption: Corruption | None


def batches(data: TrainingData, batch_size, rng):
    """Yield all rows once, in a random order, as batches.

    Rows of a group come in chunks of at most ``CHUNK_ROWS``; a batch is made of whole
    chunks, and has at most ``batch_size`` rows unless one chunk alone has more.

    Parameters
    ----------
    data : TrainingData
        The rows.
    batch_size : int
        Largest number of rows of a batch.
    rng : numpy.random.Generator
        Draws order and noise.

    Yields
    ------
    batch : Batch
        The next rows, in arrays of its own.
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
    """Cut groups into chunks of random rows, and put the chunks in a random order.

    Parameters
    ----------
    groups : RowGroups
        The groups.
    most_rows : int
        Largest number of rows of a chunk.
    rng : numpy.random.Generator
        Draws the order.

    Returns
    -------
    places : ndarray of shape (n_samples,)
        Rows, chunk by chunk.
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
    """Split rows at random; rows of a group stay one group in each part.

    Parameters
    ----------
    groups : RowGroups
        The groups.
    n_held_out : int
        Number of rows of the second part.
    rng : numpy.random.Generator
        Draws the rows.

    Returns
    -------
    kept, held_out : RowGroups
        Groups of either part, in terms of the rows of the whole.
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
    """Return the rows at ``rows`` as a batch, with new noise.

    Parameters
    ----------
    data : TrainingData
        The rows.
    rows : ndarray of shape (n_rows,)
        Places in ``data.X``.
    bounds : ndarray of shape (n_groups + 1,)
        Bounds of the groups.
    rng : numpy.random.Generator
        Draws the noise.

    Returns
    -------
    batch : Batch
        Arrays of its own.
    """
    x = _scaled_rows(data.X, rows, data.unit)
    weight = np.ones(len(rows), x.dtype)
    target = x if data.target is None else _scaled_rows(data.target, rows, data.unit)
    if data.corruption is not None:
        x, weight = _corrupt(x, data.corruption, np.diff(bounds), rng)
    return Batch(x, target, bounds, weight, data.coded)


def _scaled_rows(X, rows, unit):
    x = dense_rows(X[rows])  # a copy, as the rows are picked by their places
    x /= X.dtype.type(unit)
    return x


def _corrupt(x, corruption, lengths, rng):
    """Return noisy rows, and weights; levels are spread evenly over the chunks."""
    low, high, span = corruption
    strata = (rng.permutation(len(lengths)) + rng.random(len(lengths))) / len(lengths)
    sigma = low * (high / low) ** strata
    weight = (sigma / np.sqrt(low * high)) ** -WEIGHT_POWER
    noise = rng.standard_normal(x.shape, dtype=x.dtype)
    noise *= np.repeat(sigma, lengths).astype(x.dtype)[:, None]
    if span is not None:
        noise = noise @ span
    noise += x
    return noise, np.repeat(weight, lengths).astype(x.dtype)
