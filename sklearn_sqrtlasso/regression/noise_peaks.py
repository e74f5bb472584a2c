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
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv

GRID = 512  # thresholds at which the law of one column is tabulated
LEAST_LOG = -600.0  # of a probability that counts
ROUNDING = 1e-6  # share of a square in single precision that counts as zero
STEPS = 1024  # of norms of columns, in a factor of e, that are told apart
NEVER = 32.0  # ratio to the largest norm below which a column never leads
LEADERS = 11  # columns that lead in turn, for each vector of noise
PLAIN = 1 / (LEADERS + 1)  # share of plain draws
DRAWS = (32, 512)  # vectors of a round: the first, and the largest for small columns
SMALL = 2**22  # products of numbers of a round, for small columns
ROUNDS = 8  # of the largest size, at most
ACCURATE = 0.003  # standard error of the quantile, relative to it
MOVED = 0.001  # error of the quantile from a share at another threshold
CLOSE = 1e-7  # thresholds that are one, relative to them
FORGOTTEN = 0.01  # share of the probability of columns that are left out


class Tail(NamedTuple):
    """The law of the correlation of noise with one column of norm one.

    Attributes
    ----------
    log_levels : ndarray of shape (n_levels,)
        Logarithms of thresholds, increasing to 0.
    logs : ndarray of shape (n_levels,)
        Logarithms of the probabilities that it exceeds them.
    """

    log_levels: np.ndarray
    logs: np.ndarray

    def log_probability(self, log_levels):
        """Return logarithms of the probabilities of exceeding thresholds."""
        return np.interp(log_levels, self.log_levels, self.logs, right=-np.inf)

    def log_level(self, logs):
        """Return logarithms of the thresholds of given probabilities."""
        return np.interp(logs, self.logs[::-1], self.log_levels[::-1])


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
    levels = np.geomspace(max(np.sqrt(1 - alone), 1e-6), 1.0, GRID)
    with np.errstate(divide="ignore"):
        logs = np.log(sides * betainc(half, 0.5, 1 - levels**2))
    return Tail(np.log(levels), np.maximum(logs, LEAST_LOG))


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
        self.norms, self.level, self.positive = norms, level, positive
        self.freedom, self.largest = freedom, norms.max()
        self.tail = tail_of(freedom, level, 0.5 if positive else 1.0)
        self.least = np.exp(self.tail.log_levels[0]) * self.largest
        near = norms * NEVER > self.largest
        steps = np.rint(STEPS * np.log(self.largest / norms[near])).astype(np.intp)
        counts = np.bincount(steps)
        self.counts = counts[counts > 0]
        self.log_levels = np.log(self.largest) - np.flatnonzero(counts) / STEPS

    def probabilities(self, log_norms, t):
        """Return the probabilities that columns of given norms exceed ``t``."""
        return np.exp(self.tail.log_probability(np.log(t) - log_norms))

    def union_bound(self, t):
        """Return the sum of the probabilities of all columns."""
        return float(self.counts @ self.probabilities(self.log_levels, t))

    def leaders(self):
        """Return the columns that matter: others hardly ever exceed the quantile."""
        probabilities = self.probabilities(self.log_levels, self.least)
        below = np.cumsum((self.counts * probabilities)[::-1])[::-1]
        last = self.log_levels[below > FORGOTTEN * self.level][-1] - 1 / STEPS
        return np.flatnonzero(self.norms >= np.exp(last))

    def quantile(self, share):
        """Return where the union bound times a share is the level.

        It is between those of the largest columns alone, and of as many as all.
        """

        def excess(t):
            return np.log(share * self.union_bound(t) / self.level + 1e-300)

        counts = np.array([self.counts[0], self.counts.sum()])
        logs = np.log(self.level / (share * counts))
        low, high = np.exp(self.log_levels[0] + self.tail.log_level(logs))
        if high <= low * (1 + CLOSE) or excess(low) <= 0:
            return low
        return brentq(excess, low, min(high * (1 + CLOSE), self.largest), rtol=CLOSE)

    def slope(self, t):
        """Return by what share the union bound falls where ``t`` grows by one."""
        step = 1e-3
        high = min(t * (1 + step), self.largest)  # with few rows, t is hardly less
        fall = np.log(self.union_bound(high / (1 + step)) / self.union_bound(high))
        return max(fall / step, step)


def _single(values):
    return values.astype(np.float32)


def _leading_factors(peaks, tails, overlap, energy, rng):
    """Return factors of noise and of columns for directions in which columns lead.

    The part of a direction along its column has the law of those above a threshold,
    which it exceeds with the probability of logarithm ``tails``; the rest is that of
    the noise, of given products with the columns, of norm one, and square. Noise has no
    sign: leading columns have positive products.
    """
    part = np.exp(peaks.tail.log_level(tails - rng.exponential(size=tails.shape)))
    left = energy - overlap**2  # rounding where rows leave no other direction
    across = np.zeros_like(part)
    np.divide(1 - part**2, left, out=across, where=left > ROUNDING * energy)
    across = np.sqrt(np.maximum(across, 0.0))
    return across, part - across * overlap


def _combinations(n, rng):
    """Return places of a vector of noise and of a leading column, of shape (.., 2).

    Each of n vectors is a plain draw first, and then one for each of ``LEADERS`` of the
    n columns, which are placed after the vectors, evenly chosen.
    """
    places, each = np.empty((n, LEADERS + 1, 2), np.intp), np.arange(n)
    places[:, :, 0] = each[:, None]
    steps = np.arange(LEADERS + 1) * (n // LEADERS)
    places[:, :, 1] = n + (rng.permutation(n)[:, None] + steps) % n
    return places


def _shares(peaks, columns, t, n, rng):
    """Return what has the share as its mean, for n vectors of noise, in rows.

    Each vector is a plain draw, the first, and one for each of several columns that
    lead.
    """
    norms, freedom = columns.norms, peaks.freedom - columns.dimension
    with np.errstate(divide="ignore"):
        probabilities = peaks.probabilities(np.log(norms), t)
    chances = np.cumsum(probabilities)
    ticks = (np.arange(n) + rng.random(n)) / n * chances[-1]
    leaders = np.minimum(np.searchsorted(chances, ticks), len(norms) - 1)
    noise, lead, sizes = columns.draw(n, rng), columns.take(leaders), norms[leaders]
    lead *= _single(1 / sizes)
    # Parts of the noise that no column sees have a square, no more.
    energy = np.einsum("ij,ij->j", noise, noise)[:, None].astype(np.float64)
    energy += rng.chisquare(freedom, (n, 1)) if freedom > 0 else 0.0
    places = _combinations(n, rng)
    chosen, factors = places[:, 1:, 1] - n, np.zeros(places.shape, np.float32)
    overlap = np.take_along_axis(noise.T @ lead, chosen, axis=1)
    tails = peaks.tail.log_probability(np.log(t / sizes))[chosen]
    factors[:, 0, :1] = 1 / np.sqrt(energy)
    pair = _leading_factors(peaks, tails, overlap, energy, rng)
    factors[:, 1:, 0], factors[:, 1:, 1] = pair
    vectors = np.concatenate([noise, lead], axis=1)
    N = columns.count(vectors, places, factors, t, peaks.positive)
    N[:, 1:] = np.maximum(N[:, 1:], 1)  # at least, whatever is rounded
    return (N > 0) / (PLAIN * chances[-1] + (1 - PLAIN) * N)


def _mean_and_error(peaks, shares):
    """Return the mean of all draws, and its standard error.

    Few plain draws are above the threshold, as many as the level: maybe none is.
    """
    means = shares.mean(axis=1)
    missed = max(peaks.level - shares[:, 0].var(), 0.0) * PLAIN**2
    return min(means.mean(), 1.0), np.sqrt((means.var() + missed) / len(means))


def peak_quantile(peaks, columns, rng):
    r"""Return the quantile of the largest correlation of noise with columns.

    Rounds of draws are added until its standard error is .3 %: one or two, of 32 and 64
    vectors of noise, are enough for columns that are not much correlated, where 1000
    plain draws scatter by 1 %. Those at another threshold are forgotten. The number of
    all is bounded: columns that are all much alike need most.

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
    many = int(np.clip(SMALL // max(columns.matrix.size, 1), 2 * few, many))
    t, n, n_draws, shares = peaks.quantile(1.0), few, 0, np.empty((0, LEADERS + 1))
    while n_draws < ROUNDS * many:
        n_draws += n
        shares = np.concatenate([shares, _shares(peaks, columns, t, n, rng)])
        share, error = _mean_and_error(peaks, shares)
        before, t = t, peaks.quantile(share)
        error /= share * peaks.slope(t)
        if abs(np.log(t / before)) * (1 - share) > max(MOVED, error):
            shares = shares[:0]  # they were those of another threshold
        elif error < ACCURATE:
            break
        n = min(2 * n, many)
    return float(t)
