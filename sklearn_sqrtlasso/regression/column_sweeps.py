"""Coordinate descent on sparse columns, where their products would take longer.

Products of k columns are k^2 numbers, and each change of the active set reads all of
those that are in use. A sweep over columns of few entries reads these alone. Sweeps
converge slowly where columns are much alike; every few of them, the combination of the
last coefficients whose steps cancel best is tried (Anderson extrapolation, as in
Bertrand and Massias, 2021), and kept if the objective is smaller.
"""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.coordinate_descent import sweep_columns

SPARSE = 32  # columns in use, over the entries of one, from which sweeps are faster
AT_ONCE = 8  # sweeps, after which a combination is tried
TOLS = (1e-4, 1e-6)  # last steps, over the residual: with new columns, and without
FINER = 0.1  # factor of the latter from one try to the next
AGAIN = 2  # times as many columns as they were left with, of which they are tried again
SHARE = 1 / 256  # of the cube of their number: work after which products are faster


class ColumnSweeps:
    """Sweeps over the columns of working sets of one regression.

    Parameters
    ----------
    design : Columns
        The columns.
    positive : bool
        Whether coefficients are nonnegative.
    """

    def __init__(self, design, positive):
        self.design, self.positive = design, positive
        self.left_at = 0  # columns of which they took longer than products would have

    def begin(self):
        """Prepare for another penalty."""
        self.tol, self.work = TOLS[1], 0

    def pay(self, working_set):
        """Return whether sweeps are faster than products of the columns."""
        size = len(working_set.w)
        if size <= max(SPARSE, AGAIN * self.left_at):
            return False
        stored = self.design.stored_entries(working_set.block)
        return stored is not None and size * size > SPARSE * len(stored[0])

    def solve(self, working_set, r, floor, alpha, new):
        """Sweep until steps are small; undo it where that takes long.

        They converge slowly where the residual nearly vanishes, and use more columns
        than it has dimensions.

        Parameters
        ----------
        working_set : WorkingSet
            The columns, whose coefficients are overwritten.
        r : ndarray of shape (n_samples,)
            The residual.
        floor : float
            Lower bound of its norm in the thresholds.
        alpha : ndarray of shape (n_features,)
            Penalties.
        new : int
            Number of columns that are new: others may follow.

        Returns
        -------
        solved : bool
            Whether steps have become small, and no more columns are used than the rank.
        """
        on, w = working_set.features, working_set.w
        stored = self.design.stored_entries(working_set.block)
        columns = *stored, self.design.norms_of(on) ** 2
        tol = TOLS[0] if new else self.tol
        self.tol *= 1.0 if new else FINER
        tol *= max(floor, np.linalg.norm(r))
        most, ended = SHARE * float(len(w)) ** 3, False
        W, alpha, r = np.empty((AT_ONCE + 1, len(w))), alpha[on], r.copy()
        while not ended and self.work < most:
            W[0] = w
            given = floor**2, alpha, self.positive, tol
            n, ended = sweep_columns(columns, W, r, r @ r, *given)
            self.work += n * (2 * len(stored[0]) + len(w))
            r, w = self._without_mean(r), W[n]
            if not ended:
                w, r = self._extrapolate(working_set, W, r, floor, alpha)
        solved = ended and np.count_nonzero(w) <= self.design.rank
        if solved:
            working_set.start(w.copy())
        else:
            self.left_at, self.work = len(w), 0
        return solved

    def _without_mean(self, r):
        roots = self.design.sqrt_weights
        return r - roots * (roots @ r) if self.design.fit_intercept else r

    def _extrapolate(self, working_set, W, r, floor, alpha):
        """Return the last coefficients or a better combination, and the residual."""
        steps, last = np.diff(W, axis=0), W[-1]
        try:
            shares = np.linalg.solve(steps @ steps.T, np.ones(len(steps)))
        except np.linalg.LinAlgError:
            return last, r
        w = shares @ W[1:] / shares.sum()
        w = np.maximum(w, 0.0) if self.positive else w
        moved = r - self.design.apply(working_set.block, w - last)
        before = _objective(last, r, floor, alpha)
        better = _objective(w, moved, floor, alpha) < before
        return (w, moved) if better else (last, r)


def _objective(w, r, floor, alpha):
    """Return what sweeps minimise: a small norm is replaced by its square."""
    norm = math.sqrt(r @ r)
    norm = norm if norm >= floor else (norm * norm / floor + floor) / 2
    return norm + alpha @ np.abs(w)
