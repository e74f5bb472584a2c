"""The penalty that pure noise asks for, simulated or in closed form."""

import numpy as np
from scipy.special import ndtri

DRAWS = 1000  # of the simulation: the penalty is known to about one per cent
DRAWS_AT_ONCE = 250
BY_FEATURES = 512  # up to this number of features, draws are made in their space
RANGE = 1e-12  # of the largest eigenvalue of a Gram matrix: those below are zero
SLACK = 1.1  # the constant c > 1 of the theory


def asymptotic_alpha(design, n_rows, confidence):
    r"""Return the closed form :math:`1.1\, \Phi^{-1}(1 - q/(2p)) / \sqrt n`.

    It holds for columns of root mean square one; others scale it by the largest.

    Parameters
    ----------
    design : Design
        The columns.
    n_rows : float
        Number n of rows, the sum of their weights.
    confidence : float
        One minus q, in (0, 1).

    Returns
    -------
    alpha : float
        Penalty, in units of X.
    """
    n_features = design.shape[1]
    level = ndtri(1 - (1 - confidence) / (2 * n_features))
    return float(SLACK * level / np.sqrt(n_rows) * design.largest_norm())


def simulated_alpha(design, n_rows, confidence, positive, rng):
    r"""Return the quantile of :math:`\|X^\top g\|_\infty / (\sqrt n \|g\|_2)`.

    With g Gaussian noise, centred where the columns are. At larger penalties all
    coefficients of pure noise are zero, whatever its level. A row of weight k stands
    for k rows with noise of their own.

    Parameters
    ----------
    design : Design
        The columns.
    n_rows : float
        Number n of rows, the sum of their weights.
    confidence : float
        Probability, in (0, 1).
    positive : bool
        Whether coefficients are nonnegative.
    rng : RandomState
        Source of the draws.

    Returns
    -------
    alpha : float
        Penalty, in units of X.
    """
    draw = _by_features if design.shape[1] <= BY_FEATURES else _by_rows
    peaks, energy = draw(design, n_rows, positive, rng)
    ratios = np.divide(peaks, np.sqrt(energy), out=np.zeros(DRAWS), where=energy > 0)
    return float(np.quantile(ratios, confidence) * design.unit)


def _chi_square(rng, freedom):
    return rng.chisquare(freedom, DRAWS) if freedom > 0 else np.zeros(DRAWS)


def _by_features(design, n_rows, positive, rng):
    """Draw by the Gram matrix: a row of weight two is the same as two rows."""
    block = design.take(np.arange(design.shape[1]))
    values, vectors = np.linalg.eigh(design.gram(block, block))
    seen = values > RANGE * max(values[-1], 0.0)
    vectors, roots = vectors[:, seen], np.sqrt(values[seen])
    seeds = rng.standard_normal((DRAWS, design.shape[1])) @ vectors
    C = (seeds * roots) @ vectors.T
    unseen = n_rows - design.fit_intercept - np.count_nonzero(seen)
    energy = np.sum(seeds**2, axis=1) + _chi_square(rng, unseen)
    return (C if positive else np.abs(C)).max(axis=1, initial=0.0), energy


def _by_rows(design, n_rows, positive, rng):
    peaks, energy = np.empty(DRAWS), np.empty(DRAWS)
    on = (design.root > 0)[:, None]
    for start in range(0, DRAWS, DRAWS_AT_ONCE):
        part = slice(start, start + DRAWS_AT_ONCE)
        Z = rng.standard_normal((design.shape[0], DRAWS_AT_ONCE)) * on
        if design.fit_intercept:
            Z -= np.outer(design.root, design.root @ Z)
        peaks[part] = design.peaks(Z, positive)
        energy[part] = np.sum(Z**2, axis=0)
    return peaks, energy + _chi_square(rng, n_rows - np.count_nonzero(on))
