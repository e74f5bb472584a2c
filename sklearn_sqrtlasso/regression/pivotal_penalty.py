"""Pivotal penalties of a regression: simulated, or in closed form."""

import numpy as np
from scipy.special import ndtri

from sklearn_sqrtlasso.theory.pivotal import simulated_quantile

DRAWS = 1000  # of the simulation; the penalty is accurate to about one per cent
DRAWS_AT_ONCE = 250
BY_FEATURES = 512  # largest number of features for draws by the Gram matrix
RANGE = 1e-12  # eigenvalue, relative to the largest, that counts as zero
SLACK = 1.1  # the constant c > 1 of the theory


def asymptotic_level(n_features, n_rows, confidence):
    r"""Return :math:`1.1\, \Phi^{-1}(1 - q/(2p)) / \sqrt n`, for standard columns.

    Parameters
    ----------
    n_features : int
        Number p of columns, of root mean square one.
    n_rows : float
        Number n of rows.
    confidence : float
        One minus q, in (0, 1).

    Returns
    -------
    level : float
        A pure number.
    """
    return float(
        SLACK * ndtri(1 - (1 - confidence) / (2 * n_features)) / np.sqrt(n_rows)
    )


def asymptotic_alpha(design, n_rows, confidence):
    r"""Return the closed form :math:`1.1\, \Phi^{-1}(1 - q/(2p)) / \sqrt n`.

    It holds for columns of root mean square one; else it is scaled by the largest.

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
    level = asymptotic_level(design.shape[1], n_rows, confidence)
    return level * design.largest_norm()


def simulated_alpha(design, n_rows, confidence, positive, rng):
    r"""Return the quantile of :math:`\|X^\top g\|_\infty / (\sqrt n \|g\|_2)`.

    The noise g is Gaussian, centred if the columns are. At larger penalties all
    coefficients of pure noise of any level are zero. A row of weight k counts as k rows
    with independent noise.

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
    if design.shape[1] <= BY_FEATURES:
        draw, at_once = _draws_by_features(design, n_rows, positive, rng), DRAWS
    else:
        draw, at_once = _draws_by_rows(design, n_rows, positive, rng), DRAWS_AT_ONCE
    alpha = simulated_quantile(
        draw, confidence=confidence, n_draws=DRAWS, at_once=at_once
    )
    return float(np.ldexp(alpha, design.in_units_of_x(design.norms)[1]))


def _chi_square(rng, freedom, n):
    return rng.chisquare(freedom, n) if freedom > 0 else np.zeros(n)


def _draws_by_features(design, n_rows, positive, rng):
    """Draw by the Gram matrix, in which a row of weight two equals two rows."""
    block = design.columns(np.arange(design.shape[1]))
    factors, _ = design.in_units_of_x(np.where(design.norms > 0, 1.0, 0.0))
    values, vectors = np.linalg.eigh(design.gram(block, block))
    seen = values > RANGE * max(values[-1], 0.0)
    vectors, roots = vectors[:, seen], np.sqrt(values[seen])
    unseen = n_rows - design.fit_intercept - np.count_nonzero(seen)

    def draw(n):
        seeds = rng.standard_normal((n, design.shape[1])) @ vectors
        C = (seeds * roots) @ vectors.T * factors
        energy = np.sum(seeds**2, axis=1) + _chi_square(rng, unseen, n)
        return (C if positive else np.abs(C)).max(axis=1, initial=0.0), energy

    return draw


def _draws_by_rows(design, n_rows, positive, rng):
    """Draw noise for each row, and correlate it with all columns."""
    on = (design.sqrt_weights > 0)[:, None]
    unseen = n_rows - np.count_nonzero(on)

    def draw(n):
        Z = rng.standard_normal((design.shape[0], n)) * on
        if design.fit_intercept:
            Z -= np.outer(design.sqrt_weights, design.sqrt_weights @ Z)
        energy = np.sum(Z**2, axis=0) + _chi_square(rng, unseen, n)
        return design.peaks(Z, positive), energy

    return draw
