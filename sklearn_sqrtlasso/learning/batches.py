"""Batches of rows, in a new order and with new noise in every epoch."""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.models.two_layer import Batch
from sklearn_sqrtlasso.solvers.rows import Runs

RUN_ROWS = 64  # rows of one group that stand together in a batch
WEIGHT_POWER = 0.7  # errors at noise sigma weigh sigma^-.7: no level drowns the others


class Corruption(NamedTuple):
    """Gaussian noise whose standard deviation is drawn log-uniformly for each run.

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


class Material(NamedTuple):
    """Rows to learn from.

    Attributes
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Input rows.
    target : ndarray or sparse matrix, or None
        What they should become; None: themselves.
    coded : bool
        Whether ``target`` holds codes.
    runs : Runs
        Rows that share a noise level.
    unit : float
        Rows are divided by it.
    corruption : Corruption or None
        Noise added to the input.
    """

    X: np.ndarray
    target: np.ndarray | None
    coded: bool
    runs: Runs
    unit: float
    corruption: Corruption | None


def batches(material: Material, batch_size, rng):
    """Yield all rows once, in a random order, as batches.

    Rows of a group come in runs of at most ``RUN_ROWS``; a batch is made of whole runs,
    and has at most ``batch_size`` rows unless one run alone has more.

    Parameters
    ----------
    material : Material
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
    places, lengths = shuffle_runs(material.runs, min(RUN_ROWS, batch_size), rng)
    ends = np.cumsum(lengths)
    first_run, start = 0, 0
    while first_run < len(lengths):
        last_run = int(np.searchsorted(ends, start + batch_size, side="right"))
        stop = int(ends[last_run - 1])
        bounds = np.concatenate([[0], ends[first_run:last_run] - start])
        yield take(material, places[start:stop], bounds, rng)
        first_run, start = last_run, stop


def shuffle_runs(runs: Runs, most_rows, rng):
    """Cut groups into runs of random rows, and put the runs in a random order.

    Parameters
    ----------
    runs : Runs
        The groups.
    most_rows : int
        Largest number of rows of a run.
    rng : numpy.random.Generator
        Draws the order.

    Returns
    -------
    places : ndarray of shape (n_samples,)
        Rows, run by run.
    lengths : ndarray of shape (n_runs,)
        Number of rows of each run.
    """
    n_rows, sizes = runs.n_rows, np.diff(runs.starts)
    if sizes.max(initial=1) == 1:
        places = rng.permutation(n_rows)
        return _rows_at(runs, places), np.ones(n_rows, int)
    group = np.repeat(np.arange(len(sizes)), sizes)
    places = np.lexsort((rng.random(n_rows), group))  # shuffled within groups
    within = np.arange(n_rows) - np.repeat(runs.starts[:-1], sizes)
    starts = np.flatnonzero(within % most_rows == 0)
    lengths = np.diff(starts, append=n_rows)
    order = rng.permutation(len(starts))
    starts, lengths = starts[order], lengths[order]
    ends = np.cumsum(lengths)
    steps = np.repeat(starts - (ends - lengths), lengths)
    return _rows_at(runs, places[np.arange(n_rows) + steps]), lengths


def _rows_at(runs, places):
    return places if runs.order is None else runs.order[places]


def split_runs(runs: Runs, n_held_out, rng):
    """Split rows at random; rows of a group stay one group in each part.

    Parameters
    ----------
    runs : Runs
        The groups.
    n_held_out : int
        Number of rows of the second part.
    rng : numpy.random.Generator
        Draws the rows.

    Returns
    -------
    kept, held_out : Runs
        Groups of either part, in terms of the rows of the whole.
    """
    chosen = np.zeros(runs.n_rows, bool)
    chosen[rng.permutation(runs.n_rows)[:n_held_out]] = True
    group = np.repeat(np.arange(len(runs.starts) - 1), np.diff(runs.starts))

    def part(places):
        sizes = np.bincount(group[places])
        starts = np.concatenate([[0], np.cumsum(sizes[sizes > 0])])
        return Runs(starts, _rows_at(runs, places))

    return part(np.flatnonzero(~chosen)), part(np.flatnonzero(chosen))


def take(material: Material, rows, bounds, rng):
    """Return the rows at ``rows`` as a batch, with new noise.

    Parameters
    ----------
    material : Material
        The rows.
    rows : ndarray of shape (n_rows,)
        Places in ``material.X``.
    bounds : ndarray of shape (n_runs + 1,)
        Bounds of the runs.
    rng : numpy.random.Generator
        Draws the noise.

    Returns
    -------
    batch : Batch
        Arrays of its own.
    """
    x = _dense_rows(material.X, rows, material.unit)
    weight = np.ones(len(rows), x.dtype)
    if material.target is None:
        target = x
    else:
        target = _dense_rows(material.target, rows, material.unit)
    if material.corruption is not None:
        x, weight = _corrupt(x, material.corruption, np.diff(bounds), rng)
    return Batch(x, target, bounds, weight, material.coded)


def _dense_rows(X, rows, unit):
    x = X[rows]
    x = x.toarray() if hasattr(x, "toarray") else x
    x /= X.dtype.type(unit)
    return x


def _corrupt(x, corruption, lengths, rng):
    """Return noisy rows, and weights; levels are spread evenly over the runs."""
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
