"""Groups of rows, row blocks, and parallel maps over them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import pairwise
from threading import Lock
from typing import NamedTuple

import numpy as np
from joblib import effective_n_jobs
from threadpoolctl import ThreadpoolController

CODE_BYTES = 2**20  # codes of a row block, which fit the second-level cache
BLOCK_BYTES = 2**22  # codes and data of a row block, for rows of any width
WIDE_BYTES = 2**24  # the same, of weights that are larger
WIDE_ROWS = 256  # with fewer, products read such weights more often than they compute
MIN_ROWS = 512  # with fewer rows, products with wide matrices are slow
N_PARTS = 8  # parts of the work; fixed, so that sums do not depend on n_jobs


class RowBlock(NamedTuple):
    """Positions from ``start`` to ``stop``, with their groups, relative to ``start``.

    Attributes
    ----------
    part : int
        Part of the work that the block belongs to, from 0 to ``N_PARTS - 1``.
    start, stop : int
        First position, and the one after the last.
    groups : ndarray of shape (n_groups + 1,)
        Bounds of the groups; a block inside a long group is one group.
    long_group : int
        Index of the group if it is longer than a block, else -1.
    """

    part: int
    start: int
    stop: int
    groups: np.ndarray
    long_group: int


def rows_per_block(n_components, n_features, itemsize):
    """Return the number of rows whose codes and data fit the cache, or wide weights."""
    by_codes = max(MIN_ROWS, CODE_BYTES // (n_components * itemsize))
    row, weights = n_components + n_features, n_components * n_features
    by_weights = min(WIDE_ROWS, min(WIDE_BYTES // itemsize, weights) // row)
    return max(1, min(by_codes, max(BLOCK_BYTES // (row * itemsize), by_weights)))


def blocks_of_groups(starts, n_block_rows, n_parts=N_PARTS, alone=()):
    """Split rows into blocks of about ``n_block_rows``, of whole groups if they fit.

    Groups in ``alone`` are taken like those that are longer than a block. The blocks,
    and the parts of the work that they belong to, depend only on the arguments, not on
    threads.
    """
    starts = np.asarray(starts)
    blocks, group, n_groups = [], 0, len(starts) - 1
    stops = [*sorted(alone), n_groups]
    while group < n_groups:
        start = int(starts[group])
        while stops[0] < group:
            stops.pop(0)
        if starts[group + 1] - start > n_block_rows or stops[0] == group < n_groups:
            for at in range(start, int(starts[group + 1]), n_block_rows):
                stop = min(at + n_block_rows, int(starts[group + 1]))
                blocks.append(RowBlock(0, at, stop, np.array([0, stop - at]), group))
            group += 1
            continue
        full = int(np.searchsorted(starts, start + n_block_rows, side="right")) - 1
        stop_group = min(full, stops[0])
        groups = starts[group : stop_group + 1] - start
        blocks.append(RowBlock(0, start, int(starts[stop_group]), groups, -1))
        group = stop_group
    size = max(1, -(-len(blocks) // n_parts))
    return [block._replace(part=b // size) for b, block in enumerate(blocks)]


def even_parts(n, least=1):
    """Return slices of an axis, the same for any number of threads.

    Parameters
    ----------
    n : int
        Length of the axis, at least 1.
    least : int, default=1
        Length of a part from which on there are several.

    Returns
    -------
    parts : list of slice
        At most eight.
    """
    n_parts = max(1, min(N_PARTS, n // least))
    bounds = [n * k // n_parts for k in range(n_parts + 1)]
    return [slice(first, last) for first, last in pairwise(bounds)]


def in_parts(batches, most=N_PARTS):
    """Return batches of rows in parts, the same for any number of threads.

    Parameters
    ----------
    batches : iterable of slice
        Batches, at least one.
    most : int, default=8
        Largest number of parts; there is always one.

    Returns
    -------
    parts : list of list of slice
        Batches that are processed sequentially.
    """
    batches = list(batches)
    least = -(-len(batches) // max(1, most))
    return [batches[part] for part in even_parts(len(batches), least)]


class _OneThreadOfBlas:
    """Limit BLAS to one thread while in use, and restore it after the last user.

    A matrix product rounds differently on more threads, so results would depend on
    their number. If two concurrent callers each restored the limit they found, the
    second would leave the process on one thread.
    """

    def __init__(self):
        self.lock, self.n_users = Lock(), 0
        self.controller = self.limiter = None

    def __enter__(self):
        with self.lock:
            if self.controller is None:  # finding the libraries takes 3 ms
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


def map_blocks(
    function: Callable[[RowBlock], object], blocks: Sequence[RowBlock], n_jobs=None
) -> list:
    """Call ``function(block)`` for all blocks on ``n_jobs`` threads.

    The function releases the GIL (BLAS, kernels) and writes only to entries of its
    block or its part. The blocks of a part are processed sequentially, in order, so
    neither results nor sums depend on the number of threads.

    A plain thread pool starts in 1 ms; joblib takes 16 ms to dispatch eight parts to
    threads, as long as coding twenty thousand rows.

    Parameters
    ----------
    function : callable, (RowBlock) -> object
        Processes one block.
    blocks : list of RowBlock
        Row blocks, from ``blocks_of_groups``.
    n_jobs : int, default=None
        Number of threads, as in joblib.

    Returns
    -------
    results : list
        Results of the function, in the order of the blocks.
    """
    parts = [[b for b in blocks if b.part == part] for part in range(N_PARTS)]

    def map_part(part):
        return [function(block) for block in part]

    results = parallel_map(map_part, [part for part in parts if part], n_jobs)
    return [result for part in results for result in part]


def parallel_map(function: Callable, items: Sequence, n_jobs=None) -> list:
    """Call ``function(item)`` for all items on ``n_jobs`` threads.

    Parameters
    ----------
    function : callable
        Releases the GIL, and does not write to what another item reads or writes.
    items : list
        Arguments of the calls.
    n_jobs : int, default=None
        Number of threads, as in joblib.

    Returns
    -------
    results : list
        Results of the function, in the order of the items.

    Notes
    -----
    The calling thread takes items too, and each thread the next one when it is free.
    """
    n_others = min(effective_n_jobs(n_jobs), len(items)) - 1
    with one_thread_of_blas:
        if n_others < 1:
            return [function(item) for item in items]
        results, left = [None] * len(items), deque(range(len(items)))

        def next_place():
            with suppress(IndexError):
                return left.popleft()

        def take():
            try:
                for place in iter(next_place, None):
                    results[place] = function(items[place])
            except BaseException:
                left.clear()  # the other threads end too
                raise

        with ThreadPoolExecutor(n_others) as pool:
            others = [pool.submit(take) for _ in range(n_others)]
            take()
            for other in others:
                other.result()
    return results


@contextmanager
def thread_map(n_jobs=None):
    """Yield a parallel map for many calls with few items each.

    The calling thread processes its share of the items, and BLAS is limited to one
    thread, so results do not depend on ``n_jobs``.

    Parameters
    ----------
    n_jobs : int, default=None
        Number of threads, as in joblib.

    Yields
    ------
    pmap : callable, (function, items) -> list of results, in the order of the items
        Slow functions should release the GIL.
    """
    n_threads = effective_n_jobs(n_jobs)

    def pmap(function, items):
        def take(first):
            return [function(item) for item in items[first::n_threads]]

        others = range(1, min(n_threads, len(items)))
        futures = [pool.submit(take, first) for first in others]
        results = [None] * len(items)
        results[::n_threads] = take(0)
        for first, future in zip(others, futures, strict=True):
            results[first::n_threads] = future.result()
        return results

    with one_thread_of_blas, ThreadPoolExecutor(max(1, n_threads - 1)) as pool:
        yield pmap


def made_ahead(items: Iterable, n_jobs=None) -> Iterator:
    """Yield items, of which one thread makes the next while others use one.

    Parameters
    ----------
    items : iterable
        Items, which do not depend on what is done with those before.
    n_jobs : int, default=None
        Number of threads, as in joblib. One makes items when they are asked for.

    Yields
    ------
    item : object
        Next item, in order.

    Notes
    -----
    Two items exist at a time. Numbers out of range raise no warnings in the thread.
    """
    if effective_n_jobs(n_jobs) < 2:
        yield from items
        return
    coming, end = iter(items), object()

    def make():
        with np.errstate(all="ignore"):
            return next(coming, end)

    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(make)
        while (item := made.result()) is not end:
            made = pool.submit(make)
            yield item
