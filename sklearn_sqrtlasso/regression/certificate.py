"""Lower bounds of the minimum of a regression, and duality gaps."""

import math
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.linalg import qr

MOST = 2000  # columns without a penalty, of which the largest span is computed
INSIDE = 1e-12  # eigenvalue, relative to the largest, from which its direction counts
ROUNDING = 64 * np.finfo(np.float64).eps  # norm of a combination that vanishes
MET = 1024 * np.finfo(np.float64).eps  # correlation that counts as zero
AT_ONCE = 2**16  # columns of which ratios are computed at a time
BATCH = 64  # columns of which directions are sought at a time
TWICE = 2  # projections after which a vector is orthogonal
ROUNDS = 3  # of correction: each leaves a rounding of the one before


class DualPoint(NamedTuple):
    """What the dual objective needs of a direction, which is as long as the target.

    Attributes
    ----------
    overlap : float
        Its product with the target.
    norm : float
        Its norm.
    c : ndarray of shape (n_features,)
        Its correlations.
    """

    overlap: float
    norm: float
    c: np.ndarray


def dual_point(y, theta, c):
    """Return what the dual objective needs of a direction.

    Parameters
    ----------
    y, theta : ndarray of shape (n_samples,)
        Target and direction.
    c : ndarray of shape (n_features,)
        Correlations of the direction.

    Returns
    -------
    point : DualPoint
        Without the direction.
    """
    return DualPoint(float(y @ theta), math.sqrt(theta @ theta), c)


def parts_of(n_columns):
    """Return slices of columns, of which ratios are computed at a time.

    Parameters
    ----------
    n_columns : int
        Number of columns.

    Returns
    -------
    parts : list of slice
        They cover all columns.
    """
    starts = range(0, n_columns, AT_ONCE)
    return [slice(start, min(start + AT_ONCE, n_columns)) for start in starts]


def ratios(c, alpha, positive):
    """Return the sizes of correlations over penalties.

    Parameters
    ----------
    c, alpha : ndarray of shape (n_columns,)
        Correlations and penalties.
    positive : bool
        Whether coefficients are nonnegative: only positive correlations count.

    Returns
    -------
    sizes : ndarray of shape (n_columns,)
        A new array.
    """
    sizes = np.maximum(c, 0.0) if positive else np.abs(c)
    sizes /= alpha
    return sizes


def largest_ratio(c, alpha, positive):
    """Return the largest size of a correlation over its penalty, at least 0.

    Parameters
    ----------
    c : ndarray of shape (n_features,)
        Correlations.
    alpha : ndarray or MostlyEqual of shape (n_features,)
        Penalties.
    positive : bool
        Whether coefficients are nonnegative: only positive correlations count.

    Returns
    -------
    ratio : float
        The ratio; where both are zero, it does not count.
    """
    if len(c) > AT_ONCE:
        parts = ((c[part], alpha[part], positive) for part in parts_of(len(c)))
        return max(largest_ratio(*part) for part in parts)
    return float(np.fmax.reduce(ratios(c, alpha[:], positive), initial=0.0))


def largest_places(sizes, most):
    """Return the places of the largest sizes.

    Parameters
    ----------
    sizes : ndarray of shape (n_columns,)
        Sizes of correlations.
    most : int
        Their largest number.

    Returns
    -------
    places : slice or ndarray of shape (most,)
        In any order.
    """
    if len(sizes) <= most:
        return slice(None)
    return np.argpartition(sizes, -most)[-most:]


def dual_value(point, alpha, positive):
    """Return the dual objective of a direction, scaled until it is feasible.

    Parameters
    ----------
    point : DualPoint
        The direction.
    alpha : ndarray of shape (n_features,)
        Penalties; where one is zero, a correlation that is not is infinitely larger.
    positive : bool
        Whether coefficients are nonnegative.

    Returns
    -------
    value : float
        Lower bound of the minimum, at least 0.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        ratio = largest_ratio(point.c, alpha, positive)
        if not np.isfinite(point.c @ point.c):  # a path among rounding errors
            return 0.0
    over = max(point.norm, ratio)
    return max(point.overlap / over, 0.0) if over > 0 else 0.0


class Span:
    """The span of some columns, to which correlations with them are corrected.

    Parameters
    ----------
    design : Design
        The columns.
    features : ndarray of shape (n_columns,)
        The columns of the span.
    """

    def __init__(self, design, features):
        self.design, self.features = design, features
        self._block = design.columns(features)
        values, vectors = np.linalg.eigh(design.gram(self._block, self._block))
        inside = values > INSIDE * values[-1]
        self._shares = vectors[:, inside] / values[inside] @ vectors[:, inside].T
        self._n_left = max(design.rank - np.count_nonzero(inside), 0)
        self._small, self._large = vectors[:, ~inside], vectors[:, inside]

    def _reduced(self, v, goal=0.0):
        """Move a vector to given correlations, as far as the Gram matrix tells."""
        for _ in range(ROUNDS):
            excess = self.design.correlate(v)[self.features] - goal
            v = v - self.design.apply(self._block, self._shares @ excess)
        return v

    @cached_property
    def _lost(self):
        """Orthonormal directions that are lost in the Gram matrix, in columns.

        They are computed from the columns; where these vanish, columns are dependent.
        No more are sought than there are dimensions left.
        """
        small, vanishes = self._small, ROUNDING * np.sqrt(len(self.features))
        known = np.linalg.qr(self.design.apply(self._block, self._large))[0]
        n_known = known.shape[1]
        mixed = small @ np.random.default_rng(0).standard_normal((small.shape[1], 1))
        batches = [mixed, *np.array_split(small, -(-small.shape[1] // BATCH), axis=1)]
        for number, Z in enumerate(batches):
            E = self.design.apply(self._block, Z)
            for _ in range(TWICE):
                E = E - known @ (known.T @ E)
            new, sizes, _ = qr(E, mode="economic", pivoting=True)
            new = new[:, np.abs(sizes.diagonal()) > vanishes]
            if not number and not new.shape[1]:
                break  # all of them vanish where a random combination does
            if number:
                known = np.hstack([known, new])
            if known.shape[1] - n_known >= self._n_left:
                break
        return known[:, n_known : n_known + self._n_left]

    def correct(self, theta, goal):
        """Move a vector within the span to given correlations.

        Parameters
        ----------
        theta : ndarray of shape (n_samples,)
            The vector.
        goal : ndarray of shape (n_columns,)
            The correlations, zero for columns that depend on others.

        Returns
        -------
        theta : ndarray of shape (n_samples,)
            The vector of these correlations, up to rounding.
        """
        if not self._n_left and not goal.any():
            return np.zeros_like(theta)
        theta = self._reduced(theta, goal)
        lost = self._lost if self._small.shape[1] else np.empty((len(theta), 0))
        for _ in range(ROUNDS if lost.shape[1] else 0):
            theta = self._reduced(theta - lost @ (lost.T @ theta), goal)
        return theta


def value_without_penalties(design, y, r, alpha, free, signs, positive):
    """Return a lower bound of the minimum from columns that have no penalty.

    Without some of the penalties the minimum is not larger. A dual point is then
    orthogonal to their columns, which is exact up to rounding however small the
    penalties are. Scaled by the ratio of a correlation that is a rounding error and a
    small penalty, it would be zero.

    Parameters
    ----------
    design : Design
        The columns.
    y, r : ndarray of shape (n_samples,)
        Target and residual.
    alpha : ndarray of shape (n_features,)
        Penalties.
    free : ndarray of shape (n_features,)
        Booleans: columns whose penalties are set to zero.
    signs : ndarray of shape (n_features,)
        Signs of the coefficients.
    positive : bool
        Whether coefficients are nonnegative.

    Returns
    -------
    value : float
        Lower bound of the minimum, at least 0.
    """
    zero = free & (signs != 0) if positive else free.copy()
    values, spans = [0.0], {}
    for start in (r, np.zeros_like(r)):  # where the residual vanishes, it has a limit
        theta, size = start, np.linalg.norm(start) or 1.0
        for _ in range(ROUNDS):
            features = np.flatnonzero(zero | (~free & (signs != 0)))
            if len(features) > MOST:
                return 0.0
            if len(features):
                goal = np.where(free, 0.0, alpha * signs)[features] * size
                key = features.tobytes()
                spans[key] = spans.get(key) or Span(design, features)
                theta = spans[key].correct(start, goal)
            c, norm = design.correlate(theta), np.linalg.norm(theta)
            missing = free & ~zero & (c > ROUNDING * norm)
            zero |= missing
            if not missing.any() and (norm <= size or not start.any()):
                break
            size = norm if start.any() else 1.0
        # Otherwise the columns span the target, or the goals contradict each other.
        if norm > ROUNDING * size and np.abs(c[zero]).max(initial=0) <= MET * norm:
            c[zero | (free & (c <= ROUNDING * norm))] = 0
            point = dual_point(y, theta, c)
            values.append(dual_value(point, alpha, positive))
    return max(values)
