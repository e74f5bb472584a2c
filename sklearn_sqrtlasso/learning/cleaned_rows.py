r"""Learning of tight frames from rows with missing entries and outliers.

The objective of ``models.incomplete_rows`` is minimised over the frame W, over clean
rows c, which are without outliers and complete, and over codes z of these. Codes have a
closed form. At their residual scale t the objective is majorised by ::

    sum_b ||c_b - z_b W||^2 / (2 t_b) + t_b / 2 + sum_j beta_j |x_bj - c_bj| + ... ,

so that the next clean rows are thresholds of residuals, and the next frame is a polar
factor, as of complete rows. A step costs two products more than one of complete rows.

Steps are accelerated, of W and c together. Of a share s of the last change, they are
``1 / (1 - s)`` times as long as others, so that learning ends where 1 - s of what they
gain is little: beyond, frames of few rows learn their noise. Closed forms leave
rows as they are that are decoded without an error, as by the first directions of fewer
rows than columns. Those are coded by some of Newton's steps at first; and all rows are
once more where little is left to gain, if some of them tell that this lowers the
objective.
"""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows, added, each_chunk
from sklearn_sqrtlasso.blockwise.encode import map_encoded
from sklearn_sqrtlasso.blockwise.groups import spread_over
from sklearn_sqrtlasso.blockwise.linalg import dense_rows
from sklearn_sqrtlasso.learning.accelerated import AcceleratedLearner, Point
from sklearn_sqrtlasso.learning.tight_frame import (
    FrameLearner,
    frame_statistics,
    statistics_here,
)
from sklearn_sqrtlasso.models.tight_frame import TightFrame

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
        if outliers is None:
            return 0.0
        return np.sum(np.abs(outliers) @ frame.outlier_alpha)

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


def objective_of_rows(X, frame: TightFrame, groups, unit=1.0, *, n_jobs=None):
    """Return the mean objective of rows that a frame did not learn from.

    Parameters
    ----------
    X, frame, groups, unit, n_jobs
        As for ``CleaningLearner``; rows are complete or not.

    Returns
    -------
    objective : float
        In units of scaling; of incomplete rows after some of Newton's steps.
    """
    if frame.prepared(X).whole_groups:
        rough = replace(frame, n_steps=NEWTON_STEPS)
        clean, _ = clean_rows(X, rough, groups, n_jobs=n_jobs)
        given = clean, X, frame, groups, unit
        statistics = cleaner_rows(*given, n_jobs=n_jobs)[1]
    else:
        statistics = frame_statistics(X, frame, groups, unit, n_jobs=n_jobs)
    return statistics.objective / groups.n_rows


class CleaningLearner(AcceleratedLearner):
    """Minimise the objective over tight frames and clean rows. It never increases.

    Parameters
    ----------
    X, groups, n_jobs, unit
        As for ``frame_statistics``; NaN where an entry is missing.
    frame : TightFrame
        Initial frame.
    clean : ndarray or sparse matrix of shape (n_samples, n_features), default=None
        Initial clean rows; None codes the rows.

    Attributes
    ----------
    frame : TightFrame
        Current frame.
    statistics : FrameStatistics
        Statistics of the clean rows for the current frame.
    """

    def __init__(self, X, frame, groups, n_jobs=None, unit=1.0, *, clean=None):
        self.given, self.n_jobs, self.has_rested = X, n_jobs, False
        if clean is None:
            n_steps = NEWTON_STEPS if X.shape[0] < X.shape[1] else 0
            clean = self._cleaned(X, frame, groups, n_steps)
        super().__init__(clean, frame, groups, n_jobs, unit)

    def _cleaned(self, X, frame, groups, n_steps):
        frame = replace(frame, n_steps=n_steps)
        return clean_rows(X, frame, groups, n_jobs=self.n_jobs)[0]

    def among(self, rows, frame, groups):
        """Return a learner from some rows, as clean as they are now."""
        clean = self.point.rows[rows]
        given = self.given[rows], frame, groups, self.n_jobs, self.unit
        return CleaningLearner(*given, clean=clean)

    def _at(self, frame, clean):
        given = clean, self.given, frame, self.groups, self.unit
        return Point(frame, clean, *cleaner_rows(*given, n_jobs=self.n_jobs))

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

    def _ahead(self, frame, clean):
        """Return the frame and rows ahead of the next, by a share of the change."""
        frame, _ = super()._ahead(frame, clean)
        return frame, _beyond(clean, self.last[1], self._share())

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
        x, now = self.given[rows], self.point.rows[rows]
        clean = self._cleaned(x, self.frame, groups, NEWTON_STEPS)
        before, after = (
            cleaner_rows(of, x, self.frame, groups, self.unit)[1].objective
            for of in (now, clean)
        )
        return before - after > self.tol * before


@each_chunk
def _beyond(rows, last, share):
    """Return rows, farther from the last ones by a share."""
    return rows + rows.dtype.type(share) * (rows - last)


def frame_learner(
    X, frame: TightFrame, groups, n_jobs=None, unit=1.0, *, accelerated=False
):
    """Return the learner of a tight frame for rows, complete or not.

    Parameters
    ----------
    X, frame, groups, n_jobs, unit
        As for ``CleaningLearner``.
    accelerated : bool, default=False
        Whether steps are accelerated if rows are complete; others always are.

    Returns
    -------
    learner : FrameLearner
        The learner.
    """
    learner = AcceleratedLearner if accelerated else FrameLearner
    learner = CleaningLearner if frame.prepared(X).whole_groups else learner
    return learner(X, frame, groups, n_jobs, unit)
