"""Codes of rows, made block by block and handed to a visitor."""

import math
from collections.abc import Callable
from threading import local
from typing import NamedTuple, Protocol

import numpy as np

from sklearn_sqrtlasso.kernels.shrinkage import (
    first_guess,
    newton_step,
    noise_share,
    run_size,
    sum_run,
)
from sklearn_sqrtlasso.solvers.rows import (
    Runs,
    blocks_of_runs,
    for_each_block,
    rows_per_block,
)


class Encoder(Protocol):
    """A map of rows to codes."""

    @property
    def components(self) -> np.ndarray:
        """What rows are projected on, of shape (n_components, n_features)."""

    @property
    def alpha(self) -> np.ndarray:
        """Penalty of each unit, pure numbers, in the dtype of ``components``."""

    @property
    def positive(self) -> bool:
        """Whether codes are nonnegative."""

    def project(self, x, out=None):
        """Return ``(U, rest)``: what is to be shrunk, and the norm out of its reach.

        Parameters
        ----------
        x : ndarray or sparse matrix of shape (n_rows, n_features)
            Rows.
        out : ndarray of shape (n_rows, n_components), default=None
            Where U may be written.

        Returns
        -------
        U : ndarray of shape (n_rows, n_components)
            What is to be shrunk.
        rest : ndarray of shape (n_rows,)
            Norm out of reach of each row.
        """

    def shrink(self, U, rest, runs, out, level):
        """Write the codes of whole runs, and the residual scale of each row's run.

        Parameters
        ----------
        U : ndarray of shape (n_rows, n_components)
            What is to be shrunk.
        rest : ndarray of shape (n_rows,)
            Norm out of reach of each row.
        runs : ndarray of shape (n_runs + 1,)
            Bounds of the runs.
        out : ndarray of shape (n_rows, n_components)
            Overwritten with the codes.
        level : ndarray of shape (n_rows,)
            Overwritten with the residual scales.
        """

    def shrink_at(self, U, rest, t, out):
        """Write the codes of a part of a run whose residual scale is t.

        Parameters
        ----------
        U : ndarray of shape (n_rows, n_components)
            What is to be shrunk.
        rest : ndarray of shape (n_rows,)
            Norm out of reach of each row.
        t : float
            Residual scale of the run.
        out : ndarray of shape (n_rows, n_components)
            Overwritten with the codes.
        """


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
    encoder: Encoder,
    runs: Runs,
    visit: Callable[[CodedBlock], object],
    *,
    out=None,
    whole_runs=False,
    n_jobs=None,
):
    """Code all rows of ``X`` block by block, and return what ``visit`` says of each.

    Parameters
    ----------
    X : array, sparse matrix or other rows of shape (n_samples, n_features)
        Anything with ``shape`` and ``dtype`` that gives rows for ``X[slice]``.
    encoder : Encoder
        The map, in the dtype of ``X``.
    runs : Runs
        Rows that share a residual scale.
    visit : callable, (CodedBlock) -> object
        Called once for each block.
    out : ndarray of shape (n_samples, n_components), default=None
        Filled with the codes, if given.
    whole_runs : bool, default=False
        Whether a run is held in memory as a whole, however long it is.
    n_jobs : int, default=None
        Threads, in the sense of joblib.

    Returns
    -------
    results : list
        What ``visit`` returned, block by block.
    """
    n_components, n_features = encoder.components.shape
    size = rows_per_block(n_components, n_features, encoder.components.itemsize)
    if whole_runs:
        size = max(size, int(np.diff(runs.starts).max(initial=0)))
    blocks = blocks_of_runs(runs.starts, size)
    levels = _long_run_levels(X, encoder, runs, blocks, n_jobs)
    direct = out is not None and runs.order is None
    scratch = local()  # a fresh array a block would be mapped and unmapped each time

    def work(block):
        rows, x = _take(X, runs, block)
        if getattr(scratch, "U", None) is None or len(scratch.U) < x.shape[0]:
            scratch.U = np.empty((x.shape[0], n_components), encoder.components.dtype)
        U, rest = encoder.project(x, scratch.U[: x.shape[0]])
        Z = out[rows] if direct else np.empty_like(U)
        level = np.empty(len(U), U.dtype)
        if block.long_run < 0:
            encoder.shrink(U, rest, block.runs, Z, level)
        else:
            t = levels[block.long_run]
            level[:] = t
            encoder.shrink_at(U, rest, t, Z)
        if out is not None and not direct:
            out[rows] = Z
        return visit(CodedBlock(block.part, rows, x, Z, level))

    return for_each_block(work, blocks, n_jobs)


def _long_run_levels(X, encoder, runs, blocks, n_jobs):
    """Return the residual scale of each run that is longer than a block.

    The rows are projected anew in each pass of Newton's method, so memory stays bounded
    by a block for each thread.
    """
    long_runs = sorted({block.long_run for block in blocks} - {-1})
    levels = {}
    for run in long_runs:
        mine = [block for block in blocks if block.long_run == run]
        levels[run] = _long_run_level(X, encoder, runs, mine, n_jobs)
    return levels


def _long_run_level(X, encoder, runs, blocks, n_jobs):
    def size_of(block):
        U, rest = encoder.project(_take(X, runs, block)[1])
        return run_size(U, rest, 0, len(U))

    n_rows = blocks[-1].stop - blocks[0].start
    n_units = len(encoder.components)
    itemsize = encoder.components.itemsize
    size = math.fsum(for_each_block(size_of, blocks, n_jobs))
    share = noise_share(encoder.alpha, encoder.positive)
    c, q = first_guess(size, n_rows, n_units, share, itemsize)
    falls, met, t = False, False, 0.0
    while not met:
        t = math.sqrt(q) / c

        def sums_of(block, t=t):
            U, rest = encoder.project(_take(X, runs, block)[1])
            return sum_run(U, rest, encoder.alpha, encoder.positive, t, c, 0, len(U))

        sums = for_each_block(sums_of, blocks, n_jobs)
        active, tail = (math.fsum(part) for part in zip(*sums, strict=True))
        q, falls, met = newton_step(q, falls, n_rows, active, tail)
    return t


def _take(X, runs, block):
    rows = slice(block.start, block.stop)
    if runs.order is not None:
        rows = runs.order[rows]
    return rows, X[rows]


def product(x, W, out=None):
    """Return ``x W'`` of dense or sparse rows as a C-contiguous array.

    Parameters
    ----------
    x : ndarray or sparse matrix of shape (n_rows, n_features)
        Rows.
    W : ndarray of shape (n_components, n_features)
        What they are multiplied with.
    out : ndarray of shape (n_rows, n_components), default=None
        Where the product of dense rows is written.

    Returns
    -------
    U : ndarray of shape (n_rows, n_components)
        The product, ``out`` if it was written there.
    """
    if isinstance(x, np.ndarray) and out is not None:
        return np.matmul(x, W.T, out=out)
    return np.ascontiguousarray(x @ W.T)
