"""First steps of a tight frame, on some of many rows.

Steps on a part of the rows turn a frame nearly as steps on all of them do, which then
begin where little is left to gain.
"""

import numpy as np

from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows
from sklearn_sqrtlasso.blockwise.groups import spread_over
from sklearn_sqrtlasso.learning.cleaned_rows import frame_learner
from sklearn_sqrtlasso.models.tight_frame import TightFrame

FEWEST, PER_UNIT = 2**14, 128  # rows of the part, in all and for each unit, at least
TIMES = 4  # as many rows as in the part, from which they are many
SHARE = 0.5  # of the decrease at which steps on all rows end


def turned_on_some_rows(X, frame: TightFrame, groups, unit, stopping, *, n_jobs=None):
    """Return a frame after steps on some of many rows.

    Parameters
    ----------
    X, frame, groups, unit, n_jobs
        As for ``frame_learner``.
    stopping : Stopping
        Largest number of steps, and decrease at which those on all rows end.

    Returns
    -------
    frame : TightFrame
        As given if rows are not many, or of a single step, which is one on all rows.
    """
    part = max(FEWEST, PER_UNIT * len(frame.components))
    if isinstance(X, ChunkedRows) or X.shape[0] < TIMES * part:
        return frame
    if stopping.max_iter < 2:
        return frame
    rows, groups = spread_over(groups, part)
    learner = frame_learner(X[np.asarray(rows)], frame, groups, n_jobs, unit)
    learner.run(stopping.max_iter, SHARE * stopping.tol, lambda n_iter, loss: False)
    return learner.frame
