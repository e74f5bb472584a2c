"""Steps of a tight frame that help rows which it does not learn from.

A frame of n units has n (n - 1) / 2 angles. Where rows are few for that, steps from
their principal directions may fit what these rows have by chance. Whether they do, a
tenth of the rows tells: the others give principal directions of their own and a few
steps, and as many steps are taken with all rows as lowered the objective of that tenth.
It costs a few steps, and is asked where many are dear.
"""

from dataclasses import replace
from math import ceil

import numpy as np

from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows
from sklearn_sqrtlasso.blockwise.groups import parted
from sklearn_sqrtlasso.blockwise.linalg import filled_rows, missing_counts
from sklearn_sqrtlasso.learning.accelerated import AcceleratedLearner
from sklearn_sqrtlasso.learning.cleaned_rows import objective_of_rows
from sklearn_sqrtlasso.learning.row_span import rank_of_rows
from sklearn_sqrtlasso.learning.tight_frame import pca_frame
from sklearn_sqrtlasso.models.tight_frame import TightFrame, nearest_tight_frame

MOST_LACKING = 0.1  # of entries: of rows that lack more it tells as little
HELD_OUT = 10  # one group of so many is held out
FEW = 4  # rows a unit: with more, steps from principal directions help other rows
MANY_STEPS, POLAR = 30, 10  # of a fit; products of that size in a polar factor, by time
DEAR = 2**34  # products of a fit, about a second of a core
ACCELERATED = 0.3  # of the steps that others take, with which no objective was larger
N_TRIED = 4  # steps; more may help if these do


def steps_are_dear(X, frame: TightFrame, groups):
    """Return whether steps are worth a trial on rows that are held out.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.
    frame : TightFrame
        Initial frame.
    groups : RowGroups
        Rows that share a residual scale.

    Returns
    -------
    dear : bool
        Whether rows are few for the units, and their fit takes much work.
    """
    if not may_hold_out(X, groups) or X.shape[0] >= FEW * len(frame.components):
        return False
    if frame.positive or frame.outlier_alpha is not None:
        return False  # their objective tells less of how they restore other rows
    if missing_counts(X).sum() > MOST_LACKING * X.shape[0] * X.shape[1]:
        return False
    n_products = 2 * X.shape[0] + POLAR * min(frame.components.shape)
    return MANY_STEPS * n_products * frame.components.size > DEAR


def may_hold_out(X, groups):
    """Return whether some groups may be held out of rows in one place."""
    return not isinstance(X, ChunkedRows) and len(groups.starts) - 1 > HELD_OUT


def steps_that_help(learner: AcceleratedLearner, X, tol, *, own=True):
    """Return how many steps lower the objective of rows that are held out.

    Parameters
    ----------
    learner : AcceleratedLearner
        Learner from all rows, at the initial frame.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        The rows.
    tol : float
        Relative change of the objective that is little: learning stops at such a
        decrease, and a trial at a larger increase.
    own : bool, default=True
        Whether the initial frame is of principal directions of the rows, so that rows
        have another one where some are held out.

    Returns
    -------
    n_steps : int or None
        None if the objective has not risen, so that more steps may help, too.
    """
    (rows, its_groups), (others, their_groups) = parted(learner.groups, HELD_OUT)
    first = _principal_frame(X[rows], learner.frame) if own else learner.frame
    trial, held_out = learner.among(rows, first, its_groups), X[others]

    def loss():
        given = trial.frame, their_groups, trial.unit
        return objective_of_rows(held_out, *given, n_jobs=trial.n_jobs)

    losses = [loss()]
    for n_iter in range(1, N_TRIED + 1):
        trial.step(n_iter)
        losses.append(loss())
        if losses[-1] > (1 + tol) * min(losses):
            return int(np.argmin(losses))
        if trial.fall <= tol:
            return None
    return None if min(losses) < losses[0] else 0


def most_steps(X, frame: TightFrame, max_iter):
    """Return the largest number of accelerated steps, given that of others.

    Parameters
    ----------
    X, frame
        As for ``frame_learner``.
    max_iter : int
        Largest number of steps.

    Returns
    -------
    n_steps : int
        The same if rows are incomplete, whose steps are always accelerated.
    """
    if frame.prepared(X).whole_groups:
        return max_iter
    return ceil(ACCELERATED * max_iter)


def _principal_frame(X, frame):
    """Return the frame of principal directions of rows, at most as many as of one."""
    n_components, n_features = frame.components.shape
    rng, mean = np.random.default_rng(0), frame.mean
    mean = np.zeros(n_features, X.dtype) if mean is None else mean
    X = filled_rows(X, mean)
    W = pca_frame(X, n_components, rng, mean)
    if n_components > n_features:
        W = nearest_tight_frame(W)
    else:
        W = W[: rank_of_rows(X, mean, W)]
    W = W.astype(frame.components.dtype)
    return replace(frame, components=W, alpha=frame.alpha[: len(W)])
