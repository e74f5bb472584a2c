r"""Learning of tight frames from rows with missing entries and outliers.

The objective of ``models.incomplete_rows`` is minimised over the frame W, over clean
rows c, which are without outliers and complete, and over codes z of these. Codes have a
closed form. At their residual scale t the objective is majorised by ::

    sum_b ||c_b - z_b W||^2 / (2 t_b) + t_b / 2 + sum_j beta_j |x_bj - c_bj| + ... ,

so that the next clean rows are thresholds of residuals, and the next frame is a polar
factor, as of complete rows. A step costs two products more than one of complete rows.

Steps of one after the other approach a minimum slowly. They are taken from a point that
lies ahead, in the direction of the last change of W and c, by a share that grows as in
Nesterov's accelerated gradient method. Where that does not lower the objective, the
step is taken without it, and the share starts from 0 [1]_. Of a share s, steps are
``1 / (1 - s)`` times as long as others, so that learning ends where 1 - s of what they
gain is little: beyond, frames of few rows learn their noise. Closed forms leave
rows as they are that are decoded without an error, as by the first directions of fewer
rows than columns. Those are coded by some of Newton's steps at first; and all rows are
once more where little is left to gain, if some of them tell that this lowers the
objective.

References
----------
.. [1] B. O'Donoghue, E. Candes, "Adaptive restart for accelerated gradient schemes",
   Foundations of Computational Mathematics 15, 2015.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows, added, each_chunk
from sklearn_sqrtlasso.blockwise.encode import map_encoded
from sklearn_sqrtlasso.blockwise.groups import spread_over
from sklearn_sqrtlasso.blockwise.linalg import dense_rows
from sklearn_sqrtlasso.learning.tight_frame import (
    FrameLearner,
    FrameStatistics,
    statistics_here,
    tight_frame_ahead,
    turned,
)
from sklearn_sqrtlasso.models.tight_frame import TightFrame

DELAY = 3  # steps by which the share of the last change lags behind 1: n / (n + DELAY)
NEWTON_STEPS = 8  # of a row, in learning
TOLD_BY = 128  # rows, of which Newton's steps must lower the objective


def clean_rows(X, frame: TightFrame, groups, *, n_jobs=None):
    """Return rows without outliers and with missing entries filled in.

    Parameters
    ----------
    X, frame, groups, n_jobs
        As for ``frame_statistics``; NaN where an entry is missing.

    Returns
    -------
    clean : ndarray or sparse matrix of shape (n_samples, n_features)
        X itself if nothing is missing and the frame has no penalty of outliers.
    penalty : float
        Penalty of the outliers, summed over rows.
    """
    frame = frame.prepared(X)
    if not frame.whole_groups:
        return X, 0.0
    if isinstance(X, ChunkedRows):
        given = frame, groups.scaled(X, frame)
        return X.map_and_reduce(clean_rows, np.add, *given)
    clean = _RowsOfBlocks(X)

    def clear(block):
        rows, outliers = frame.cleaned(block.X, block.Z, block.scale)
        clean.put(block.rows, rows)
        return (
            0.0 if outliers is None else np.sum(np.abs(outliers) @ frame.outlier_alpha)
        )

    penalties = map_encoded(clear, X, frame, groups, n_jobs=n_jobs)
    return clean.joined(), float(np.sum(penalties))


def cleaner_rows(clean, X, frame: TightFrame, groups, unit=1.0, *, n_jobs=None):
    """Return rows that are cleaned once more, and the statistics of a learning step.

    Parameters
    ----------
    clean : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows without outliers and with missing entries filled in.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        The rows as they are.
    frame, groups, unit, n_jobs
        As for ``frame_statistics``.

    Returns
    -------
    cleaner : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows for the codes of the clean ones.
    statistics : FrameStatistics
        The objective of the clean rows, with the penalty of what was taken from X, and
        the moment of codes and cleaner rows.
    """
    pure = replace(frame, outlier_alpha=None, whole_groups=False)
    if isinstance(clean, ChunkedRows):
        given = X, frame, groups.scaled(clean, pure), unit
        return clean.map_and_reduce(cleaner_rows, added, *given)
    cleaner, frame = _RowsOfBlocks(clean), replace(frame, whole_groups=True)

    def seen(block):
        x = X[block.rows]
        rows, _ = frame.cleaned(x, block.Z, block.scale)
        cleaner.put(block.rows, rows)
        if frame.outlier_alpha is None:
            return rows, 0.0
        outliers = np.nan_to_num(dense_rows(x) - dense_rows(block.X))
        penalty = np.abs(outliers) @ frame.outlier_alpha
        return rows, float(np.sum(penalty, dtype=np.float64))

    statistics = statistics_here(clean, pure, groups, unit, n_jobs=n_jobs, seen=seen)
    return cleaner.joined(), statistics


class _RowsOfBlocks:
    """Rows of blocks that come in any order, as one array or matrix like X."""

    def __init__(self, X):
        self.kind, self.n_rows, self.parts = type(X), X.shape[0], []
        self.rows = None if sp.issparse(X) else np.empty(X.shape, X.dtype)

    def put(self, places, rows):
        """Put rows in their places, a slice or indices."""
        if self.rows is None:
            self.parts.append((np.arange(self.n_rows)[places], rows))
        else:
            self.rows[places] = rows

    def joined(self):
        """Return all rows."""
        if self.rows is not None:
            return self.rows
        places, parts = zip(*self.parts, strict=True)
        rows = self.kind(sp.vstack(parts, format="csr"))
        return rows[np.argsort(np.concatenate(places))]


class _Point(NamedTuple):
    """A frame and clean rows, and what a step from there needs."""

    frame: TightFrame
    clean: np.ndarray
    cleaner: np.ndarray
    statistics: FrameStatistics


class CleaningLearner(FrameLearner):
    """Minimise the objective over tight frames and clean rows. It never increases.

    Parameters
    ----------
    X, groups, n_jobs, unit
        As for ``frame_statistics``; NaN where an entry is missing.
    frame : TightFrame
        Initial frame.

    Attributes
    ----------
    frame : TightFrame
        Current frame.
    statistics : FrameStatistics
        Statistics of the clean rows for the current frame.
    """

    def __init__(self, X, frame, groups, n_jobs=None, unit=1.0):
        self.given, self.n_jobs, self.has_rested = X, n_jobs, False
        self.last, self.n_ahead = None, 0  # of steps without a restart
        n_steps = NEWTON_STEPS if X.shape[0] < X.shape[1] else 0
        clean = self._cleaned(X, frame, groups, n_steps)
        super().__init__(clean, frame, groups, n_jobs, unit)

    def _statistics_at(self, frame):
        self.point = self._at(frame, self.X)
        return self.point.statistics

    def _cleaned(self, X, frame, groups, n_steps):
        frame = replace(frame, n_steps=n_steps)
        return clean_rows(X, frame, groups, n_jobs=self.n_jobs)[0]

    def _at(self, frame, clean):
        given = clean, self.given, frame, self.groups, self.unit
        return _Point(frame, clean, *cleaner_rows(*given, n_jobs=self.n_jobs))

    def step(self, n_iter):
        """Take a step if it lowers the objective; return the mean objective per row."""
        before = self.objective
        self._turn()
        plain = 1 - self._share()
        rests = plain * (before - self.objective) <= self.tol * before
        if rests and not self.has_rested:
            self.has_rested = True
            self._clean()
        fall = plain * (before - self.objective)
        self.fall = fall / before if before else fall
        return self.objective

    def _share(self):
        """Return the share of the last change by which the next step is ahead."""
        return self.n_ahead / (self.n_ahead + DELAY)

    def _turn(self):
        """Step from ahead of the current point, or else from there."""
        plain = turned(self.frame, self.statistics), self.point.cleaner
        moved = self.last is not None and self._take(self._ahead(*plain))
        if not moved:
            self.n_ahead = 0
            moved = self._take(self._at(*plain))
        self.last, self.n_ahead = (plain, self.n_ahead + 1) if moved else (None, 0)

    def _ahead(self, frame, clean):
        """Return the point ahead of the next one, by a share of the last change."""
        share, (last, last_clean) = self._share(), self.last
        W = frame.components
        ahead = tight_frame_ahead(W, last.components, share)
        frame = replace(frame, components=ahead.astype(W.dtype))
        return self._at(frame, _beyond(clean, last_clean, share))

    def _clean(self):
        """Clean the rows by Newton's steps if that lowers the objective."""
        if not self._gains():
            return
        clean = self._cleaned(self.given, self.frame, self.groups, NEWTON_STEPS)
        if self._take(self._at(self.frame, clean)):
            self.last, self.n_ahead = None, 0

    def _gains(self):
        """Return whether Newton's steps lower the objective of some rows enough."""
        rows, groups = spread_over(self.groups, TOLD_BY)
        x, now = self.given[rows], self.point.clean[rows]
        clean = self._cleaned(x, self.frame, groups, NEWTON_STEPS)
        before, after = (
            cleaner_rows(of, x, self.frame, groups, self.unit)[1].objective
            for of in (now, clean)
        )
        return before - after > self.tol * before

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


@each_chunk
def _beyond(rows, last, share):
    """Return rows, farther from the last ones by a share."""
    return rows + rows.dtype.type(share) * (rows - last)


def frame_learner(X, frame: TightFrame, groups, n_jobs=None, unit=1.0):
    """Return the learner of a tight frame for rows, complete or not.

    Parameters
    ----------
    X, frame, groups, n_jobs, unit
        As for ``CleaningLearner``.

    Returns
    -------
    learner : FrameLearner
        The learner.
    """
    cleans = frame.prepared(X).whole_groups
    return (CleaningLearner if cleans else FrameLearner)(X, frame, groups, n_jobs, unit)
