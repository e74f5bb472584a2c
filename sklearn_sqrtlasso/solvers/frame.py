"""Codes of rows by a tight frame, handed block by block to a visitor."""

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
    Runs,
    blocks_of_runs,
    for_each_block,
    rows_per_block,
)
from sklearn_sqrtlasso.theory.noise import noise_std


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
    out : ndarray of shape (n_samples, n_components), default=None
        Filled with the codes, if given.
    n_jobs : int, default=None
        Threads, in the sense of joblib.

    Returns
    -------
    results : list
        What ``visit`` returned, block by block.
    """
    n_components, n_features = frame.components.shape
    size = rows_per_block(n_components, n_features, frame.components.itemsize)
    blocks = blocks_of_runs(runs.starts, size)
    levels = _long_run_levels(X, frame, runs, blocks, n_jobs)
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


def noise_scale(X, frame, runs, *, n_jobs=None):
    """Return the noise standard deviation of each row, calibrated for Gaussian noise.

    Parameters
    ----------
    X, frame, runs, n_jobs
        As for ``visit_codes``; one penalty for all units.

    Returns
    -------
    sigma : ndarray of shape (n_samples,)
        Equal in the rows of a run, in units of X.
    """
    energy = np.sum(np.square(frame.components, dtype=np.float64), axis=1)
    alpha = np.asarray(frame.alpha, dtype=np.float64)
    level, seen, spent = np.empty((3, X.shape[0]))

    def count(block):
        active = block.Z != 0
        level[block.rows] = block.level
        seen[block.rows] = active @ energy
        spent[block.rows] = active @ alpha**2

    visit_codes(X, frame, runs, count, n_jobs=n_jobs)
    places = slice(None) if runs.order is None else runs.order
    first, n_rows = runs.starts[:-1], np.diff(runs.starts)
    sigma = noise_std(
        level[places][first],
        np.maximum(n_rows - np.add.reduceat(spent[places], first), 0),
        n_rows * max(0.0, X.shape[1] - energy.sum()),
        n_rows * energy.sum() - np.add.reduceat(seen[places], first),
        alpha[0] / np.sqrt(np.sum(energy**2) / energy.sum()),
    )
    by_row = np.empty(X.shape[0], frame.components.dtype)
    by_row[places] = np.repeat(sigma, n_rows)
    return by_row


def _long_run_levels(X, frame, runs, blocks, n_jobs):
    """Return the residual scale of each run that is longer than a block.

    The rows are projected anew in each pass of Newton's method, so memory stays bounded
    by a block for each thread.
    """
    long_runs = sorted({block.long_run for block in blocks} - {-1})
    levels = {}
    for run in long_runs:
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
    falls, met, t = False, False, 0.0
    while not met:
        t = math.sqrt(q) / c

        def sums_of(block, t=t):
            U, rest = project(_take(X, runs, block)[1], frame)
            return sum_run(U, rest, frame.alpha, frame.positive, t, c, 0, len(U))

        sums = for_each_block(sums_of, blocks, n_jobs)
        active, tail = (math.fsum(part) for part in zip(*sums, strict=True))
        q, falls, met = newton_step(q, falls, n_rows, active, tail)
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


def _take(X, runs, block):
    rows = slice(block.start, block.stop)
    if runs.order is not None:
        rows = runs.order[rows]
    return rows, X[rows]
