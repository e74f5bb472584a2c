r"""The quantile of the largest correlation of noise with columns.

Let :math:`R_j = a_j^\top g / \|g\|` for Gaussian noise g. The law of a single
:math:`R_j` is known, that of :math:`\max_j |R_j|` is not, but the *union bound*
:math:`P_0(t) = \sum_j P(|R_j| > t)` is at least the probability P(t) that any of them
exceeds t. The share :math:`P(t) / P_0(t)` is one over the number of columns above t
together, on average. To find it, draw noise in which a column, taken in proportion to
its probability, exceeds t, and count the N columns that do [1]_: the mean of 1 / N is
the share. Every draw counts, where of plain noise one in twenty does. With a part
:math:`\beta` of plain draws, which know of columns that seldom lead, ::

    P(t) = mean of 1(N > 0) / (beta + (1 - beta) N / P_0(t))

over all draws. Shares hardly depend on t: the quantile is where P_0 times the share is
one minus the confidence.

A draw in which a column leads is a combination of that column and of plain noise. Hence
few products serve many draws: those of columns with some vectors of noise, each of
which is a plain draw too, and with some leading columns.

.. [1] R. J. Adler, J. H. Blanchet, J. Liu, "Efficient Monte Carlo for high excursions
   of Gaussian random fields", Annals of Applied Probability 22(3), 2012.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import betainc, betaincinv

from sklearn_sqrtlasso.algorithms.noise_peaks import combine_with_leaders, peak_level

GRID = 512  # thresholds at which the law of one column is tabulated
LEAST_LOG = -600.0  # of a probability that counts
STEPS = 1024  # of norms of columns, in a factor of e, that are told apart
NEVER = 32.0  # ratio to the largest norm below which a column never leads
AT_ONCE = 2**16  # columns that are counted at a time
LEADERS = 11  # columns that lead in turn, for each vector of noise
PLAIN = 1 / (LEADERS + 1)  # share of plain draws
USUAL = 0.8  # share to start from
DRAWS = (48, 512)  # vectors of a round: the first, and the largest for small columns
SMALL = 2**22  # products of numbers of a round, for small columns
ROUNDS = 8  # of the largest size, at most
MARGIN = 1.2  # times the vectors that an error asks for, as it is an estimate
ACCURATE = 0.003  # standard error of the quantile, relative to it
MOVED = 0.001  # error of the quantile from a share at another threshold
FORGOTTEN = 0.01  # share of the probability of columns that are left out


class Tail(NamedTuple):
    """The law of the correlation of noise with one column of norm one.

    Attributes
    ----------
    logs : ndarray of shape (n_levels,)
        Logarithms of the probabilities that it exceeds thresholds.
    log_levels : ndarray of shape (n_levels,)
        Logarithms of the thresholds, at equal steps up to 0.
    """

    logs: np.ndarray
    log_levels: np.ndarray

    @property
    def law(self):
        """What kernels take as a law: probabilities, and the first threshold."""
        return self.logs, float(self.log_levels[0])

    def probabilities(self, log_levels):
        """Return the probabilities that it exceeds thresholds."""
        return np.exp(np.interp(log_levels, self.log_levels, self.logs, right=-np.inf))


@lru_cache(maxsize=16)
def tail_of(freedom, level, sides):
    """Return the law of one column from where it exceeds a level.

    Parameters
    ----------
    freedom : int
        Dimension of the noise, at least 2.
    level : float
        Probability, in (0, 1).
    sides : float
        1 for correlations of both signs, 1/2 for positive ones.

    Returns
    -------
    tail : Tail
        The law.
    """
    half = (freedom - 1) / 2
    alone = betaincinv(half, 0.5, min(level / sides, 1.0))
    log_levels = np.linspace(np.log(max(np.sqrt(1 - alone), 1e-6)), 0.0, GRID)
    with np.errstate(divide="ignore"):
        logs = np.log(sides * betainc(half, 0.5, 1 - np.exp(2 * log_levels)))
    return Tail(np.maximum(logs, LEAST_LOG), log_levels)


def _count_steps(norms, largest):
    """Return how many norms are some steps below the largest one, unless far below."""
    near = norms[norms * NEVER > largest]
    return np.bincount(np.rint(STEPS * np.log(largest / near)).astype(np.intp))


class Peaks:
    """The law of the largest correlation of noise with columns.

    Parameters
    ----------
    norms : ndarray of shape (n_columns,)
        Norms of the columns, not all zero.
    freedom : int
        Dimension of the noise, at least 2.
    level : float
        One minus the confidence, in (0, 1).
    positive : bool
        Whether negative correlations are ignored.
    """

    def __init__(self, norms, freedom, level, positive):
        self.level, self.positive = level, positive
        self.freedom, largest = freedom, norms.max()
        self.tail = tail_of(freedom, level, 0.5 if positive else 1.0)
        parts = range(0, len(norms), AT_ONCE)
        parts = [_count_steps(norms[at : at + AT_ONCE], largest) for at in parts]
        counts = np.zeros(max(map(len, parts)), dtype=np.intp)
        for part in parts:
            counts[: len(part)] += part
        self.counts = counts[counts > 0]
        self.log_norms = np.log(largest) - np.flatnonzero(counts) / STEPS

    def leaders(self, norms):
        """Return the columns that matter: others hardly ever exceed the quantile."""
        least = self.tail.log_levels[0] + self.log_norms[0]
        chances = self.counts * self.tail.probabilities(least - self.log_norms)
        below = np.cumsum(chances[::-1])[::-1]
        last = self.log_norms[below > FORGOTTEN * self.level][-1] - 1 / STEPS
        parts, least = range(0, len(norms), AT_ONCE), np.exp(last)
        parts = [at + np.flatnonzero(norms[at : at + AT_ONCE] >= least) for at in parts]
        return np.concatenate(parts)

    def quantile(self, share):
        """Return where the union bound times a share is the level.

        Returned is the logarithm of the threshold, and by what share the bound falls
        where this grows by one.
        """
        goal = float(np.log(self.level / share))
        return peak_level(*self.tail.law, self.log_norms, self.counts, goal)


def _shares(peaks, columns, chances, log_t, n, rng):
    """Return what has the share as its mean, for n vectors of noise, in rows.

    Each vector is a plain draw, the first, and one for each of several columns that
    lead. Columns are given with the sums of their probabilities and of those before.
    """
    ticks, total = (np.arange(n) + rng.random(n)) / n, chances[-1]
    leaders = np.minimum(np.searchsorted(chances, ticks * total), len(chances) - 1)
    noise, lead = columns.draw(n, rng), columns.take(leaders)
    freedom = peaks.freedom - columns.dimension
    # Parts of the noise that no column sees have a square, no more.
    energy = np.einsum("ij,ij->j", noise, noise).astype(np.float64)
    energy += rng.chisquare(freedom, n) if freedom > 0 else 0.0
    logs = np.log(columns.norms[leaders])
    given = noise.T @ lead, energy, logs, rng.permutation(n)
    rates = rng.exponential(size=(n, LEADERS))
    places = np.empty((n, LEADERS + 1, 2), np.intp)
    factors = np.empty(places.shape, np.float32)
    combine_with_leaders(*peaks.tail.law, log_t, *given, rates, places, factors)
    t = float(np.exp(log_t))
    N = columns.count(noise, lead, places, factors, t, peaks.positive)
    np.maximum(N[:, 1:], 1, out=N[:, 1:])  # at least, whatever is rounded
    return (N > 0) / (PLAIN * total + (1 - PLAIN) * N)


def _sums_of_chances(peaks, norms, log_t):
    """Return sums of the probabilities that columns, up to each, exceed a threshold."""
    chances = np.empty(len(norms))
    for start in range(0, len(norms), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        with np.errstate(divide="ignore"):
            below = log_t - np.log(norms[part])
        chances[part] = peaks.tail.probabilities(below)
    return np.cumsum(chances, out=chances)


def _parts_of(n, at_once):
    """Return sizes of parts of n vectors, each enough to combine with all leaders."""
    n_parts = max(n // max(at_once, LEADERS + 1), 1)
    return np.diff(n * np.arange(n_parts + 1) // n_parts)


def _mean_and_error(shares, level):
    """Return the mean of all draws, and its standard error.

    Few plain draws are above the threshold, as many as the level: maybe none is.
    """
    n, width = shares.shape
    means, plain = shares.sum(axis=1) / width, shares[:, 0]
    mean, of_plain = means.sum() / n, plain.sum() / n
    missed = max(level - (plain @ plain / n - of_plain**2), 0.0) * PLAIN**2
    spread = means - mean
    return min(mean, 1.0), np.sqrt((spread @ spread / n + missed) / n)


def peak_quantile(peaks, columns, rng):
    r"""Return the quantile of the largest correlation of noise with columns.

    Rounds of draws are added until its standard error is .3 %, each of as many as the
    error of those before asks for. One or two, of 48 vectors of noise or some more, are
    enough for columns that are not much correlated, where 1000 plain draws scatter by
    1 %. Those at another threshold are forgotten. The number of all is bounded: columns
    that are all much alike need most.

    Parameters
    ----------
    peaks : Peaks
        The laws of single columns.
    columns : NoiseColumns
        The columns that matter.
    rng : Generator
        Source of the draws.

    Returns
    -------
    quantile : float
        In units of the norms.
    """
    few, many = DRAWS
    many = min(max(SMALL // max(columns.size, 1), 2 * few), many)
    (log_t, _), n, n_draws = peaks.quantile(USUAL), few, 0
    shares = np.empty((0, LEADERS + 1))
    while n_draws < ROUNDS * many:
        n_draws += n
        chances = _sums_of_chances(peaks, columns.norms, log_t)
        for k in _parts_of(n, columns.vectors_at_once):
            new = _shares(peaks, columns, chances, log_t, k, rng)
            shares = np.concatenate([shares, new])
        share, error = _mean_and_error(shares, peaks.level)
        before, (log_t, slope) = log_t, peaks.quantile(share)
        error /= share * slope
        needed = MARGIN * len(shares) * (error / ACCURATE) ** 2
        if abs(log_t - before) * (1 - share) > max(MOVED, error):
            shares = shares[:0]  # they were those of another threshold
        elif error < ACCURATE:
            break
        n = int(min(max(needed - len(shares), few), many))
    return float(np.exp(log_t))
