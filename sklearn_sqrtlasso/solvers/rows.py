"""The one way to run work over many rows: runs of rows, in blocks, on threads."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import NamedTuple

import numpy as np
from joblib import effective_n_jobs
from threadpoolctl import ThreadpoolController

CODE_BYTES = 2**20  # codes of a block: they stay in the second-level cache
BLOCK_BYTES = 2**22  # codes and data of a block, however wide a row is
MIN_ROWS = 512  # below this, products with wide matrices lose speed
N_PARTS = 8  # shares of the work; fixed, so that sums do not depend on threads


class Runs(NamedTuple):
    """Rows that share a residual scale, as runs of a permutation of the rows.

    Attributes
    ----------
    starts : ndarray of shape (n_runs + 1,)
        Run g is made of the places from ``starts[g]`` to ``starts[g + 1]``.
    order : ndarray of shape (n_samples,) or None
        Row at each place; None if every row stands at its own place.
    """

    starts: np.ndarray
    order: np.ndarray | None = None

    @property
    def n_rows(self):
        """Number of rows."""
        return int(self.starts[-1])


def single_rows(n_rows):
    """Return the runs in which every row stands alone."""
    return Runs(np.arange(n_rows + 1))


def one_run(n_rows):
    """Return the runs in which all rows stand together."""
    return Runs(np.array([0, n_rows]))


def runs_of_groups(groups):
    """Return the runs of equal labels in ``groups``, of shape (n_samples,)."""
    change = np.flatnonzero(groups[1:] != groups[:-1]) + 1
    _, labels = np.unique(groups, return_inverse=True)
    n_labels = int(labels.max(initial=-1)) + 1
    if len(change) + 1 <= n_labels:  # each label stands in one place already
        return Runs(np.concatenate([[0], change, [len(groups)]]))
    order = np.argsort(labels, kind="stable")
    return Runs(np.concatenate([[0], np.cumsum(np.bincount(labels))]), order)


class Block(NamedTuple):
    """Places from ``start`` to ``stop``, and the runs in it, relative to ``start``.

    Attributes
    ----------
    part : int
        Share of the work that the block belongs to, from 0 to ``N_PARTS - 1``.
    start, stop : int
        First place, and the place after the last.
    runs : ndarray of shape (n_runs + 1,)
        Bounds of the runs; a block inside a long run is one run.
    long_run : int
        Number of the run if it is longer than a block, else -1.
    """

    part: int
    start: int
    stop: int
    runs: np.ndarray
    long_run: int


def rows_per_block(n_components, n_features, itemsize):
    """Return the number of rows whose codes and data fit the cache."""
    by_codes = max(MIN_ROWS, CODE_BYTES // (n_components * itemsize))
    by_bytes = BLOCK_BYTES // ((n_components + n_features) * itemsize)
    return max(1, min(by_codes, by_bytes))


def blocks_of_runs(starts, n_block_rows):
    """Cut runs into blocks of about ``n_block_rows`` rows, whole runs where they fit.

    The cut depends on the runs and on ``n_block_rows`` only, never on threads.
    """
    starts = np.asarray(starts)
    blocks, run, n_runs = [], 0, len(starts) - 1
    while run < n_runs:
        start = int(starts[run])
        if starts[run + 1] - start > n_block_rows:
            for at in range(start, int(starts[run + 1]), n_block_rows):
                stop = min(at + n_block_rows, int(starts[run + 1]))
                blocks.append(Block(0, at, stop, np.array([0, stop - at]), run))
            run += 1
            continue
        stop_run = int(np.searchsorted(starts, start + n_block_rows, side="right")) - 1
        runs = starts[run : stop_run + 1] - start
        blocks.append(Block(0, start, int(starts[stop_run]), runs, -1))
        run = stop_run
    size = max(1, -(-len(blocks) // N_PARTS))
    return [block._replace(part=b // size) for b, block in enumerate(blocks)]


class _OneThreadOfBlas:
    """Hold BLAS to one thread while anybody works, and restore it after the last.

    A matrix product rounds differently on more threads, so results would depend on
    them; and of two callers who each restore what they found, the second would leave
    the process on one thread for good.
    """

    def __init__(self):
        self.lock, self.n_users = Lock(), 0
        self.controller = self.limiter = None

    def __enter__(self):
        with self.lock:
            if self.controller is None:  # to find the libraries takes 3 ms
                self.controller = ThreadpoolController()
            if self.n_users == 0:
                self.limiter = self.controller.limit(limits=1, user_api="blas")
            self.n_users += 1

    def __exit__(self, *error):
        with self.lock:
            self.n_users -= 1
            if self.n_users == 0:
                self.limiter.restore_original_limits()


one_thread_of_blas = _OneThreadOfBlas()


def for_each_block(
    work: Callable[[Block], object], blocks: Sequence[Block], n_jobs=None
) -> list:
    """Call ``work(block)`` for all blocks on ``n_jobs`` threads; return the results.

    ``work`` releases the GIL (BLAS, kernels) and writes into places of its own block or
    its own part only. The blocks of a part run one after the other, in order, so
    neither results nor sums depend on the number of threads.

    A plain pool of threads starts in 1 ms; joblib's threads take 16 ms to hand out
    eight parts, as long as coding twenty thousand rows.

    Parameters
    ----------
    work : callable, (Block) -> object
        Does the work of one block.
    blocks : list of Block
        As ``blocks_of_runs`` returns them.
    n_jobs : int, default=None
        Threads, in the sense of joblib.

    Returns
    -------
    results : list
        What ``work`` returned for each block, in the order of the blocks.
    """
    parts = [[b for b in blocks if b.part == part] for part in range(N_PARTS)]
    parts = [part for part in parts if part]

    def run(part):
        return [work(block) for block in part]

    n_threads = min(effective_n_jobs(n_jobs), max(1, len(parts)))
    with one_thread_of_blas:
        if n_threads == 1:
            done = [run(part) for part in parts]
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                done = list(pool.map(run, parts))
    return [result for part in done for result in part]
