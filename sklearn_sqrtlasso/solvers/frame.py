"""Codes of rows by a tight frame: project, shrink, and hand each block to a visitor."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.kernels.shrinkage import (
    first_guess,
    newton_step,
    run_size,
    shrink_run,
    shrink_runs,
    sum_run,
)
from sklearn_sqrtlasso.solvers.rows import (
    Block,
    Runs,
    blocks_of_runs,
    for_each_block,
    rows_per_block,
)


class Frame(NamedTuple):
    """What maps a row to its code.

    Attributes
    ----------
    components : ndarray of shape (n_components, n_features)
        W, with ``W'W = I`` or, if it has fewer rows than columns, ``WW' = I``.
    alpha : ndarray of shape (n_components,)
        Penalty of each unit, pure numbers, in the dtype of ``components``.
    positive : bool
        Whether codes are nonnegative.
    """

    components: np.ndarray
    alpha: np.ndarray
    positive: bool


class CodedBlock(NamedTuple):
    """Rows of one block with their codes; arrays are valid during the visit only.

    Attributes
    ----------
    part : int
        Share of the work: blocks of one part are visited in order, by one thread.
    rows : slice or ndarray
        Where the rows stand in the data.
    X : ndarray or sparse matrix of shape (n_rows, n_features)
        The rows.
    Z : ndarray of shape (n_rows, n_components)
        Their codes.
    level : ndarray of shape (n_rows,)
        Residual scale t of each row's run, in units of X.
    """

    part: int
    rows: slice | np.ndarray
    X: np.ndarray
    Z: np.ndarray
    level: np.ndarray


def visit_codes(
    X,
    frame: Frame,
    runs: Runs,
    visit: Callable[[CodedBlock], object],
    *,
    levels=None,
    out=None,
    n_jobs=None,
):
    """Code all rows of ``X`` block by block, and return what ``visit`` says of each.

    Parameters
    ----------
    X : array, sparse matrix or other rows of shape (n_samples, n_features)
        Anything with ``shape`` and ``dtype`` that gives rows for ``X[slice]``.
    frame : Frame
        The map, in the dtype of ``X``.
    runs : Runs
        Rows that share a residual scale.
    visit : callable, (CodedBlock) -> object
        Called once for each block.
    levels : dict of int to float, default=None
        Residual scale of each run longer than a block, as ``long_run_levels`` returns
        them; None solves for them.
    out : ndarray of shape (n_samples, n_components), default=None
        Filled with the codes, if given.
    n_jobs : int, default=None
        Threads, in the sense of joblib.

    Returns
    -------
    results : list
        What ``visit`` returned, block by block.
    """
    blocks = _blocks(X, frame, runs)
    if levels is None:
        levels = long_run_levels(X, frame, runs, n_jobs=n_jobs)
    direct = out is not None and runs.order is None

    def work(block):
        rows, x = _take(X, runs, block)
        U, rest = project(x, frame)
        Z = out[rows] if direct else np.empty_like(U)
        level = np.empty(len(U), U.dtype)
        if block.long_run < 0:
            shrink_runs(U, rest, frame.alpha, frame.positive, block.runs, Z, level)
        else:
            t = levels[block.long_run]
            level[:] = t
            shrink_run(U, rest, frame.alpha, frame.positive, t, 1.0, 0, len(U), Z)
        if out is not None and not direct:
            out[rows] = Z
        return visit(CodedBlock(block.part, rows, x, Z, level))

    return for_each_block(work, blocks, n_jobs)


def long_run_levels(X, frame, runs, *, n_jobs=None):
    """Return the residual scale of each run that is longer than a block.

    The rows are projected anew in each pass of Newton's method, so memory stays bounded
    by a block for each thread.

    Parameters
    ----------
    X, frame, runs, n_jobs
        As for ``visit_codes``.

    Returns
    -------
    levels : dict of int to float
        Number of the run to its residual scale t, in units of X.
    """
    blocks = [block for block in _blocks(X, frame, runs) if block.long_run >= 0]
    levels = {}
    for run in sorted({block.long_run for block in blocks}):
        mine = [block for block in blocks if block.long_run == run]
        levels[run] = _long_run_level(X, frame, runs, mine, n_jobs)
    return levels


def _long_run_level(X, frame, runs, blocks, n_jobs):
    def size_of(block):
        U, rest = project(_take(X, runs, block)[1], frame)
        return run_size(U, rest, 0, len(U))

    n_rows = blocks[-1].stop - blocks[0].start
    n_units = len(frame.components)
    itemsize = frame.components.itemsize
    size = math.fsum(for_each_block(size_of, blocks, n_jobs))
    c, q = first_guess(size, n_rows, n_units, itemsize)
    last, met, t = -1.0, False, 0.0
    while not met:
        t = min(math.sqrt(q) / c, float(np.finfo(frame.components.dtype).max))

        def sums_of(block, t=t):
            U, rest = project(_take(X, runs, block)[1], frame)
            return sum_run(U, rest, frame.alpha, frame.positive, t, c, 0, len(U))

        sums = for_each_block(sums_of, blocks, n_jobs)
        active, tail = (math.fsum(part) for part in zip(*sums, strict=True))
        q, last, met = newton_step(q, last, n_rows, active, tail)
    return t


def project(x, frame):
    """Return ``U = x W'`` and the norm of each row that U cannot see.

    Parameters
    ----------
    x : ndarray or sparse matrix of shape (n_rows, n_features)
        Rows.
    frame : Frame
        The map.

    Returns
    -------
    U : ndarray of shape (n_rows, n_components)
        What is to be shrunk.
    rest : ndarray of shape (n_rows,)
        ``||x - W'W x||``; zero if W has at least as many rows as columns.
    """
    W = frame.components
    U = np.ascontiguousarray(x @ W.T)
    if W.shape[0] >= W.shape[1]:
        return U, np.zeros(len(U), U.dtype)
    return U, row_norms(np.asarray(x - U @ W))


def row_norms(R):
    """Return the l2 norm of each row, without overflow or underflow of squares."""
    top = np.abs(R).max(axis=1, initial=0)
    scale = np.where(top > 0, top, 1).astype(R.dtype)
    R = R / scale[:, None]
    return scale * np.sqrt(np.einsum("ij,ij->i", R, R))


def _blocks(X, frame, runs) -> list[Block]:
    size = rows_per_block(*frame.components.shape, frame.components.itemsize)
    return blocks_of_runs(runs.starts, size)


def _take(X, runs, block):
    rows = slice(block.start, block.stop)
    if runs.order is not None:
        rows = runs.order[rows]
    return rows, X[rows]
