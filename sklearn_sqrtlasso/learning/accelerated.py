"""Accelerated learning of tight frames: steps from ahead of the current one.

Steps of one after the other approach a minimum slowly. They are taken from a point that
lies ahead, in the direction of the last change, by a share that grows as in Nesterov's
accelerated gradient method. Where that does not lower the objective, the step is taken
without it, and the share starts from 0 [1]_. Of a share s, steps are ``1 / (1 - s)``
times as long as others, so that learning ends where 1 - s of what they gain is little.

References
----------
.. [1] B. O'Donoghue, E. Candes, "Adaptive restart for accelerated gradient schemes",
   Foundations of Computational Mathematics 15, 2015.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.learning.tight_frame import (
    FrameLearner,
    FrameStatistics,
    frame_statistics,
    tight_frame_ahead,
    turned,
)
from sklearn_sqrtlasso.models.tight_frame import TightFrame

LONGER = 2  # times less is left to gain where these steps end than where others do
DELAY = 3  # steps by which the share of the last change lags behind 1: n / (n + DELAY)


class Point(NamedTuple):
    """A frame and rows, and what a step from there needs.

    Attributes
    ----------
    frame : TightFrame
        The frame.
    rows : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows that are coded.
    next_rows : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows of the next point: the same if rows are complete.
    statistics : FrameStatistics
        Statistics of a learning step.
    """

    frame: TightFrame
    rows: np.ndarray
    next_rows: np.ndarray
    statistics: FrameStatistics


class AcceleratedLearner(FrameLearner):
    """Minimise the objective over tight frames by longer steps. It never increases.

    Parameters
    ----------
    X, frame, groups, n_jobs, unit
        As for ``FrameLearner``.

    Attributes
    ----------
    frame : TightFrame
        Current frame.
    statistics : FrameStatistics
        Statistics of the rows for the current frame.
    """

    def __init__(self, X, frame, groups, n_jobs=None, unit=1.0):
        self.last, self.n_ahead = None, 0  # of steps without a restart
        super().__init__(X, frame, groups, n_jobs, unit)

    def among(self, rows, frame, groups):
        """Return a learner from some of the rows.

        Parameters
        ----------
        rows : ndarray of shape (n_rows,)
            Their indices.
        frame : TightFrame
            Initial frame.
        groups : RowGroups
            Their groups.

        Returns
        -------
        learner : AcceleratedLearner
            The learner.
        """
        given = self.X[rows], frame, groups, self.n_jobs, self.unit
        return AcceleratedLearner(*given)

    def _statistics_at(self, frame):
        self.point = self._at(frame, self.X)
        return self.point.statistics

    def _at(self, frame, rows):
        """Return the point of a frame and rows."""
        given = self.groups, self.unit
        statistics = frame_statistics(rows, frame, *given, n_jobs=self.n_jobs)
        return Point(frame, rows, rows, statistics)

    def step(self, n_iter):
        """Take a step if it lowers the objective; return the mean objective per row."""
        before = self.objective
        self._turn()
        fall = LONGER * (1 - self._share()) * (before - self.objective)
        self.fall = fall / before if before else fall
        return self.objective

    def _share(self):
        """Return the share of the last change by which the next step is ahead."""
        return self.n_ahead / (self.n_ahead + DELAY)

    def _turn(self):
        """Step from ahead of the current point, or else from there."""
        plain = turned(self.frame, self.statistics), self.point.next_rows
        moved = self.last is not None and self._take(self._at(*self._ahead(*plain)))
        if not moved:
            self.n_ahead = 0
            moved = self._take(self._at(*plain))
        self.last, self.n_ahead = (plain, self.n_ahead + 1) if moved else (None, 0)

    def _ahead(self, frame, rows):
        """Return the frame ahead of the next one, by a share of the last change."""
        W, last = frame.components, self.last[0].components
        ahead = tight_frame_ahead(W, last, self._share())
        return replace(frame, components=ahead.astype(W.dtype)), rows

    def _take(self, point):
        """Go to a point where the objective is not larger; return whether it is not."""
        falls = point.statistics.objective <= self.statistics.objective
        if falls:
            self.restore((point, self.last, self.n_ahead))
        return falls

    def state(self):
        """Return what ``restore`` takes: all that a step changes."""
        return self.point, self.last, self.n_ahead

    def restore(self, state):
        """Restore an earlier point."""
        self.point, self.last, self.n_ahead = state
        self.frame, self.statistics = self.point.frame, self.point.statistics
