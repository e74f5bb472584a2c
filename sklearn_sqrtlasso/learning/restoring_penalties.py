r"""Penalties per unit at which rows are restored best from noise of any level.

The coefficient of unit i has standard deviation :math:`s_i` over the training rows. Its
penalty is :math:`\alpha_i = a\, (s_1 / s_i)^\gamma`, with :math:`s_1` the largest. At
:math:`\gamma = 1` this is the shape of :math:`\sigma^2 / s_i`, the threshold of a
coefficient in noise of standard deviation :math:`\sigma` that is near the best one for
many priors. Smaller exponents keep more of the directions of little variance.

The factor a and the exponent minimise the error of the restored rows, summed over
levels of noise relative to the rows, plus what is lost of rows without noise, as a
share of the variance of each direction: what comes next may depend on any of them. Only
coefficients are needed, so noise is added to those of a few hundred rows.

References
----------
.. [1] S. G. Chang, B. Yu, M. Vetterli, "Adaptive wavelet thresholding for image
   denoising and compression", IEEE Trans. Image Processing 9(9), 2000.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.blockwise.blocks import thread_map
from sklearn_sqrtlasso.blockwise.groups import RowGroups, parted, spread_over
from sklearn_sqrtlasso.blockwise.linalg import unit_near
from sklearn_sqrtlasso.models.tight_frame import TightFrame
from sklearn_sqrtlasso.sparse_coding.row_thresholds import threshold_rows

LEVELS = (0.0, 0.25, 0.5, 1.0, 2.0)  # of noise, relative to the root mean square
# Weights of rows without noise: of their error, and, times n_features, of the share
# that their directions lose. The fewer numbers a row has, the less it can tell its
# noise from its signal, so that what helps noisy rows harms clean ones.
CLEAN_WEIGHT, DIRECTIONS_WEIGHT = 4.0, 8.0
EXPONENTS = (0.25, 0.5, 0.75, 1.0)
N_ROWS, N_ENTRIES, FEWEST_ROWS = 1000, 2**18, 100  # rows that noise is added to
LEAST_SPREAD = 1e-3  # of a unit, relative to the largest
FACTORS = np.geomspace(1e-4, 1.0, 28)  # tried first, penalties of the unit s_1
N_FINE = 6  # factors tried then, on either side of the best
# Halves of batches like the rows of a fit tell penalties at which both are restored at
# errors lower by at most .03 (wine, cancer, digits, 3000 rows of 8 columns), of other
# rows by .05 to .4.
WORTH, FEWEST_GROUPS = 0.05, 4
TYPICAL = 1.5  # penalty times sqrt(n_features), for rows that say nothing


class NoisyCoefficients(NamedTuple):
    """Coefficients of rows seen through one level of noise.

    Attributes
    ----------
    U : ndarray of shape (n_rows, n_components)
        Coefficients.
    outside : ndarray of shape (n_rows,)
        Norm of each row outside the span.
    """

    U: np.ndarray
    outside: np.ndarray


def restoring_penalties(X, frame: TightFrame, groups: RowGroups, *, n_jobs=None):
    """Return penalties per unit at which noisy rows are restored best.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Training rows.
    frame : TightFrame
        Frame, whose penalties are not used.
    groups : RowGroups
        Rows that share a residual scale.
    n_jobs : int, default=None
        Number of threads, as in joblib.

    Returns
    -------
    alpha : ndarray of shape (n_components,)
        Penalties, pure numbers, in the dtype of the frame.
    """
    error, shapes = _restoration_of(X, frame, groups)
    n_components, n_features = frame.components.shape
    if not shapes:
        alpha = np.full(n_components, min(TYPICAL / np.sqrt(n_features), 1.0))
        return alpha.astype(frame.components.dtype)
    with thread_map(n_jobs) as pmap:
        alpha = _best_penalties(partial(error, pmap), shapes)
    return alpha.astype(frame.components.dtype)


def tell_better_penalties(
    X, frame: TightFrame, groups: RowGroups, n_fit, *, n_jobs=None
):
    """Return whether rows tell penalties that restore others of them better.

    Of either half, the other one is asked: its penalties must restore with an error
    that is smaller by a share of ``WORTH``, or less, the more rows there are to those
    that told the penalties before. More rows than those always tell better ones.

    Parameters
    ----------
    X, groups, n_jobs
        As for ``restoring_penalties``.
    frame : TightFrame
        Frame, with the penalties to compare with.
    n_fit : int
        Number of rows that told those.

    Returns
    -------
    better : bool
        False if there are fewer than four groups, of no more rows than ``n_fit``.
    """
    n_rows = groups.n_rows
    if n_rows > n_fit:
        return True
    if len(groups.starts) - 1 < FEWEST_GROUPS:
        return False
    chosen, groups = spread_over(groups, 2 * N_ROWS)
    halves = [(X[chosen[rows]], of) for rows, of in parted(groups, 2)]
    (first, shapes), (other, their) = (
        _restoration_of(rows, frame, of) for rows, of in halves
    )
    if not (shapes and their):
        return False
    before, worth = frame.alpha.astype(np.float64), WORTH * (1 - n_rows / n_fit)
    with thread_map(n_jobs) as pmap:

        def helps(error, another, shapes):
            alpha = _best_penalties(partial(another, pmap), shapes)
            return error(pmap, alpha) < (1 - worth) * error(pmap, before)

        return helps(first, other, their) and helps(other, first, shapes)


def _restoration_of(X, frame, groups):
    """Return the error at given penalties, and those to choose from, if any."""
    W = frame.components.astype(np.float64, copy=False)
    n_rows = max(N_ENTRIES // max(W.shape), FEWEST_ROWS)
    rows, groups = spread_over(groups, min(n_rows, N_ROWS))
    U, outside = (np.asarray(of, np.float64) for of in frame.project(X[rows]))
    unit = unit_near(max(np.abs(U).max(), outside.max()))
    clean = NoisyCoefficients(U / unit, outside / unit)
    spread = np.sqrt(np.mean(clean.U**2, axis=0))
    if not spread.any():
        return None, []
    relative = np.maximum(spread / spread.max(), LEAST_SPREAD)
    noisy = _with_noise(clean, W)
    weights = _weights_of_directions(clean.U, relative, W.shape[1])

    def error(pmap, alpha):
        options = alpha, frame.positive, groups.starts, W
        each_level = pmap(lambda rows: _restoration(clean, rows, *options), noisy)
        errors, lost = zip(*each_level, strict=True)
        return CLEAN_WEIGHT * errors[0] + sum(errors[1:]) + weights @ lost[0]

    return error, _shapes(relative)


def _best_penalties(error, shapes):
    """Return the penalties of least error, of multiples of several."""
    found, place = [], None
    for shape in shapes:
        place = _coarse_place(error, shape, place)
        found.append(_best_factor(error, shape, place))
    return found[int(np.argmin([loss for loss, _ in found]))][1]


def _weights_of_directions(U, relative, n_features):
    """Return weights of squared errors: the mean share lost, in units of all rows.

    Directions that hardly spread do not count.
    """
    varies, energy = relative > LEAST_SPREAD, np.sum(U**2, axis=0)
    weight = DIRECTIONS_WEIGHT / n_features * energy.sum() / varies.sum()
    return np.divide(weight, energy, out=np.zeros(len(energy)), where=varies)


def _shapes(relative):
    """Return the penalties to choose from, up to a factor.

    Units that hardly spread have the largest penalty: what they see is noise.
    """
    varies, largest = relative > LEAST_SPREAD, 1 / LEAST_SPREAD
    return [np.where(varies, relative**-power, largest) for power in EXPONENTS]


def _coarse_place(error, shape, start):
    """Return the place of the best of the factors: of all, or downhill from one."""
    if start is None:
        return int(np.argmin([error(factor * shape) for factor in FACTORS]))
    losses, place = {}, start

    def loss(at):
        if not 0 <= at < len(FACTORS):
            return np.inf
        if at not in losses:
            losses[at] = error(FACTORS[at] * shape)
        return losses[at]

    while True:
        best = min((place, place - 1, place + 1), key=loss)
        if best == place:
            return place
        place = best


def _best_factor(error, shape, place):
    """Return the least error of a multiple of penalties, and that multiple."""
    around = FACTORS[max(place - 1, 0)], FACTORS[min(place + 1, len(FACTORS) - 1)]
    fine = np.geomspace(*around, N_FINE)
    losses = [error(factor * shape) for factor in fine]
    best = int(np.argmin(losses))
    return losses[best], fine[best] * shape


def _with_noise(clean, W):
    """Return coefficients at each level, with the same noise at all of them."""
    n_components, n_features = W.shape
    rng, n_rows = np.random.RandomState(0), len(clean.U)
    if n_components > n_features:
        noise, beyond = rng.standard_normal((n_rows, n_features)) @ W.T, 0.0
    else:  # orthonormal rows
        noise = rng.standard_normal((n_rows, n_components))
        beyond = np.sqrt(
            2 * rng.standard_gamma((n_features - n_components) / 2, n_rows)
        )
    energy = np.sum(clean.U**2) + np.sum(clean.outside**2)
    size = np.sqrt(energy / (n_rows * n_features))
    return [
        NoisyCoefficients(
            clean.U + level * size * noise,
            np.hypot(clean.outside, level * size * beyond),
        )
        for level in LEVELS
    ]


def _restoration(clean, noisy, alpha, positive, starts, W):
    """Return the squared error of restored rows, and that of each coefficient.

    What lies outside the span is left out.
    """
    outside = noisy.outside
    Z, _ = threshold_rows(noisy.U, alpha, positive, starts, outside=outside)
    lost = np.subtract(Z, clean.U, out=Z)
    squares = np.einsum("ij,ij->j", lost, lost)
    if len(W) > W.shape[1]:
        left = lost @ W
        return float(np.vdot(left, left)), squares
    return float(squares.sum()), squares
