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

.. [1] R. J. Adler, J. H. Blanchet, J. Liu, "Efficient Monte Carlo for high excursions
   of Gaussian random fields", Annals of Applied Probability 22(3), 2012.
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv

GRID = 512  # thresholds at which the law of one column is tabulated
LEAST_LOG = -600.0  # of a probability that counts
STEPS = 1024  # of norms of columns, in a factor of e, that are told apart
NEVER = 32.0  # ratio to the largest norm below which a column never leads
PLAIN = 0.25  # share of plain draws
PILOT = 64  # draws of the first round, which finds about where the quantile is
DRAWS = (128, 512)  # of a round, from large columns to small ones
SMALL = 2**22  # products of numbers of a round, for small columns
ROUNDS = 8  # at most, beside the first
ACCURATE = 0.003  # standard error of the quantile, relative to it
FORGOTTEN = 0.01  # share of the probability of columns that are left out


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
        self.freedom, self.half = freedom, (freedom - 1) / 2
        self.sides = 0.5 if positive else 1.0
        self.largest = norms.max()
        alone = betaincinv(self.half, 0.5, min(level / self.sides, 1.0))
        self.least = max(np.sqrt(1 - alone), 1e-6) * self.largest
        grid = np.geomspace(self.least / self.largest, 1.0, GRID)
        with np.errstate(divide="ignore"):
            logs = np.log(self.sides * betainc(self.half, 0.5, 1 - grid**2))
        self._grid = np.log(grid), np.maximum(logs, LEAST_LOG)
        near = norms * NEVER > self.largest
        steps = np.rint(STEPS * np.log(self.largest / norms[near])).astype(np.intp)
        counts = np.bincount(steps)
        self.counts = counts[counts > 0]
        self.log_levels = np.log(self.largest) - np.flatnonzero(counts) / STEPS

    def probabilities(self, log_norms, t):
        """Return the probabilities that columns of given norms exceed ``t``."""
        logs = np.interp(np.log(t) - log_norms, *self._grid, right=-np.inf)
        return np.exp(logs)

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
        """Return where the union bound times a share is the level."""

        def excess(t):
            return np.log(share * self.union_bound(t) / self.level + 1e-300)

        if excess(self.least) <= 0:
            return self.least
        return brentq(excess, self.least, self.largest, rtol=1e-7)

    def slope(self, t):
        """Return by what share the union bound falls where ``t`` grows by one."""
        step = 1e-3
        high = min(t * (1 + step), self.largest)  # with few rows, t is hardly less
        fall = np.log(self.union_bound(high / (1 + step)) / self.union_bound(high))
        return max(fall / step, step)


def _leading_noise(peaks, columns, t, probabilities, n, rng):
    """Return directions of noise in which a random column exceeds ``t``.

    Parts of the direction that no column sees are left out.
    """
    norms = columns.norms
    chances = np.cumsum(probabilities)
    ticks = (np.arange(n) + rng.random(n)) / n * chances[-1]
    j = np.minimum(np.searchsorted(chances, ticks), len(norms) - 1)
    lead, noise = columns.take(j), columns.draw(n, rng)
    lead *= _single(1 / norms[j])
    noise -= lead * _products(lead, noise)
    energy = _products(noise, noise) + _unseen(peaks, columns, n, rng)
    tails = betainc(peaks.half, 0.5, np.maximum(1 - (t / norms[j]) ** 2, 0.0))
    left = betaincinv(peaks.half, 0.5, rng.random(n) * tails)
    sign = 1.0 if peaks.positive else rng.choice(np.array([-1.0, 1.0]), n)
    lead *= _single(sign * np.sqrt(1 - left))
    noise *= _single(np.sqrt(left / energy))
    noise += lead
    return noise


def _single(values):
    return values.astype(np.float32)


def _products(left, right):
    """Return the inner products of columns that correspond."""
    return np.einsum("ij,ij->j", left, right)


def _unseen(peaks, columns, n, rng):
    """Return the energies of the parts of noise that no column sees."""
    freedom = peaks.freedom - columns.dimension
    return rng.chisquare(freedom, n) if freedom > 0 else np.zeros(n)


def _shares(peaks, columns, t, n, rng):
    """Return, for n draws, what has the share of the union bound as its mean."""
    n_plain = int(PLAIN * n)
    with np.errstate(divide="ignore"):
        probabilities = peaks.probabilities(np.log(columns.norms), t)
    plain = columns.draw(n_plain, rng)
    energy = _products(plain, plain) + _unseen(peaks, columns, n_plain, rng)
    plain *= _single(1 / np.sqrt(energy))
    leading = _leading_noise(peaks, columns, t, probabilities, n - n_plain, rng)
    N = [columns.count(noise, t, peaks.positive) for noise in (plain, leading)]
    N = np.concatenate([N[0], np.maximum(N[1], 1)])  # whatever is rounded
    bound = probabilities.sum()
    return (N > 0) / (PLAIN * bound + (1 - PLAIN) * N)


def peak_quantile(peaks, columns, rng):
    r"""Return the quantile of the largest correlation of noise with columns.

    Rounds of draws are added until its standard error is .3 %: one or two are enough
    for columns that are not much correlated, where 1000 plain draws scatter by 1 %. The
    last is the eighth: columns that are all much alike need most.

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
    n = int(np.clip(SMALL // max(columns.matrix.size, 1), few, many))
    t = peaks.quantile(1.0)
    t = peaks.quantile(min(_shares(peaks, columns, t, PILOT, rng).mean(), 1.0))
    shares = np.empty(0)
    for _ in range(ROUNDS):
        shares = np.append(shares, _shares(peaks, columns, t, n, rng))
        share = min(shares.mean(), 1.0)
        t = peaks.quantile(share)
        if shares.std() < ACCURATE * np.sqrt(len(shares)) * share * peaks.slope(t):
            break
    return float(t)
