"""Encode rows in blocks: all codes, or a function of each encoded block.

The codes are those of an encoder; ``algorithms.shrinkage`` finds the threshold of a row
or group. Only groups that are longer than a block are handled here, by the same steps.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from threading import local
from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.algorithms.shrinkage import (
    first_guess,
    group_size,
    inactive_energy,
    is_uneven,
    lower_root,
    newton_step,
    noise_share,
    power_of_two_near,
    split_group,
    sum_group,
    sum_of_squares,
)
from sklearn_sqrtlasso.blockwise.blocks import (
    N_PARTS,
    blocks_of_groups,
    map_blocks,
    rows_per_block,
)
from sklearn_sqrtlasso.blockwise.groups import RowGroups, ungrouped
from sklearn_sqrtlasso.blockwise.linalg import entries_per_row


class Encoder(ABC):
    """A map of rows to codes. A subclass has ``components``, or its own width.

    Attributes
    ----------
    pools_groups : bool
        Whether rows of a group share a residual scale; it is a ``PoolingEncoder`` then.
    whole_groups : bool
        Whether a group is encoded at once, however many rows it has.
    """

    components: np.ndarray
    pools_groups = False
    whole_groups = False

    @property
    def n_components(self) -> int:
        """Number of entries of a code."""
        return len(self.components)

    def prepared(self, X):
        """Return the encoder for given rows: another one if they need it."""
        return self

    def rows_per_block(self, width) -> int:
        """Return the preferred number of rows of a block.

        Parameters
        ----------
        width : int
            Number of entries of a row that are stored, on average.
        """
        return rows_per_block(self.n_components, width, self.components.itemsize)

    @abstractmethod
    def encode(self, x, groups, workspace, out):
        """Write the codes of whole groups.

        Parameters
        ----------
        x : ndarray or sparse matrix of shape (n_rows, n_features)
            Rows.
        groups : ndarray of shape (n_groups + 1,)
            Bounds of the groups.
        workspace : ndarray of shape (n_rows, n_components)
            May be overwritten.
        out : ndarray of shape (n_rows, n_components)
            Overwritten with the codes.

        Returns
        -------
        scale : ndarray of shape (n_rows,)
            Residual scale of each row's group, 0 where there is none.
        gap : ndarray of shape (n_rows,) or None
            Relative duality gap of each row; None where codes are in closed form.
        """


class PoolingEncoder(Encoder):
    """An encoder whose groups share a residual scale.

    Attributes
    ----------
    alpha : ndarray of shape (n_components,)
        Penalty of each unit, pure numbers.
    positive : bool
        Whether codes are nonnegative.
    """

    alpha: np.ndarray
    positive: bool
    pools_groups = True

    @abstractmethod
    def project(self, x, out=None):
        """Return projections ``U`` to shrink, and each row's norm outside the span."""

    @abstractmethod
    def shrink_at_scale(self, U, outside, t, out):
        """Write the codes of rows from a group whose residual scale is t."""


class EncodedBlock(NamedTuple):
    """Rows of one block with their codes; arrays are valid during the call only.

    Attributes
    ----------
    part : int
        Part of the work: its blocks are processed in order, by one thread.
    rows : slice or ndarray
        Indices of the rows in the data.
    X : ndarray or sparse matrix of shape (n_rows, n_features)
        The rows.
    Z : ndarray of shape (n_rows, n_components)
        Their codes, in the dtype of the data.
    scale : ndarray of shape (n_rows,)
        Residual scale t of each row's group, in units of X.
    gap : ndarray of shape (n_rows,) or None
        Relative duality gap of each row, where the encoder is iterative.
    """

    part: int
    rows: slice | np.ndarray
    X: np.ndarray
    Z: np.ndarray
    scale: np.ndarray
    gap: np.ndarray | None


def encode(X, encoder: Encoder, groups: RowGroups, *, n_jobs=None):
    """Return the codes of all rows.

    Parameters
    ----------
    X, encoder, groups, n_jobs
        As for ``map_encoded``.

    Returns
    -------
    Z : ndarray of shape (n_samples, n_components)
        Codes, in the dtype of X.
    gap : ndarray of shape (n_samples,) or None
        Relative duality gap of each row, where the encoder is iterative.
    """
    Z = np.empty((X.shape[0], encoder.n_components), X.dtype)
    gaps = _map_encoded(lambda block: block.gap, X, encoder, groups, Z, n_jobs)
    return Z, None if gaps[0] is None else np.concatenate(gaps)


def map_encoded(
    function: Callable[[EncodedBlock], object],
    X,
    encoder: Encoder,
    groups: RowGroups,
    *,
    n_jobs=None,
    n_parts=N_PARTS,
) -> list:
    """Encode rows block by block, and return the function's result for each block.

    Parameters
    ----------
    function : callable, (EncodedBlock) -> object
        Called once for each block, possibly from several threads.
    X : array, sparse matrix or other rows of shape (n_samples, n_features)
        Any object with ``shape`` and ``dtype`` whose ``X[slice]`` are rows.
    encoder : Encoder
        Map of rows to codes.
    groups : RowGroups
        Rows that share a residual scale, if the encoder pools groups.
    n_jobs : int, default=None
        Number of threads, as in joblib.
    n_parts : int, default=8
        Number of parts of the work, and so the largest number of threads.

    Returns
    -------
    results : list
        In the order of the blocks.
    """
    return _map_encoded(function, X, encoder, groups, None, n_jobs, n_parts)


def _map_encoded(function, X, encoder, groups, out, n_jobs, n_parts=N_PARTS):
    if not encoder.pools_groups:
        groups = ungrouped(X.shape[0])
    encoder = encoder.prepared(X)
    size = encoder.rows_per_block(entries_per_row(X))
    if encoder.whole_groups:
        size = max(size, int(np.diff(groups.starts).max(initial=0)))
    known = groups.scales or {}
    blocks = blocks_of_groups(groups.starts, size, n_parts, known)
    scales = known | _scales_of_long_groups(X, encoder, groups, blocks, n_jobs)
    direct = out is not None and groups.order is None
    kept = local()  # per thread: a new workspace per block costs memory mapping

    def encode_block(block):
        rows, x = _rows_of(X, groups, block)
        shape = (x.shape[0], encoder.n_components)
        if getattr(kept, "workspace", None) is None or len(kept.workspace) < shape[0]:
            kept.workspace = np.empty(shape, X.dtype)
        workspace = kept.workspace[: shape[0]]
        Z = out[rows] if direct else np.empty(shape, X.dtype)
        if block.long_group < 0:
            scale, gap = encoder.encode(x, block.groups, workspace, Z)
        else:
            t, gap = scales[block.long_group], None
            scale = np.full(shape[0], t, X.dtype)
            encoder.shrink_at_scale(*encoder.project(x, workspace), t, Z)
        if out is not None and not direct:
            out[rows] = Z
        return function(EncodedBlock(block.part, rows, x, Z, scale, gap))

    return map_blocks(encode_block, blocks, n_jobs)


class LongGroup(NamedTuple):
    """A group that is longer than a block, of which only sums over blocks are kept.

    The rows are projected again in each pass of Newton's method, so memory is bounded
    by a block for each thread.
    """

    X: np.ndarray
    encoder: PoolingEncoder
    groups: RowGroups
    blocks: list
    n_jobs: int | None

    @property
    def n_rows(self):
        """Number of rows."""
        return self.blocks[-1].stop - self.blocks[0].start

    def over_blocks(self, function, *given):
        """Return the results of a kernel for the rows of each block."""
        encoder = self.encoder

        def of_block(block):
            U, outside = encoder.project(_rows_of(self.X, self.groups, block)[1])
            return function(U, outside, *given, 0, len(U))

        return map_blocks(of_block, self.blocks, self.n_jobs)

    def scale(self):
        """Return the residual scale."""
        steps = scale_steps(self.encoder, self.n_rows, self.X.dtype.itemsize)
        found = None
        while True:
            try:
                function, given = steps.send(found)
            except StopIteration as end:
                return end.value
            found = self.over_blocks(function, *given)


def scale_steps(encoder: PoolingEncoder, n_rows, itemsize):
    """Find the residual scale of a group, by the steps of ``shrink_groups``.

    Parameters
    ----------
    encoder : PoolingEncoder
        Map of rows to codes.
    n_rows : int
        Number of rows of the group.
    itemsize : int
        Bytes of an entry of the rows.

    Yields
    ------
    function : callable, (U, outside, *given, first, last) -> value
        Kernel to call for the projected rows of each block. The values of all blocks
        are to be sent.
    given : tuple
        Its arguments.

    Returns
    -------
    scale : float
        Residual scale t.
    """
    penalties = encoder.alpha, encoder.positive
    share = noise_share(*penalties)
    sizes = yield group_size, ()
    with np.errstate(over="ignore"):
        size = float(np.sum(sizes))
    c, q = first_guess(size, n_rows, encoder.n_components, share, itemsize)
    falls, met, t = False, False, 0.0
    while not met:
        t = math.sqrt(q) / c
        sums = yield sum_group, (*penalties, t, c)
        active, tail = (math.fsum(part) for part in zip(*sums, strict=True))
        q, falls, met = newton_step(q, falls, n_rows, active, tail)
    if is_uneven(size, q, itemsize):
        return (yield from _steps_if_uneven(encoder, n_rows))
    return t


def _steps_if_uneven(encoder, n_rows):
    """Find the residual scale by the steps of ``scale_of_uneven_group``."""
    alpha, positive = penalties = encoder.alpha, encoder.positive
    may_rest = positive or sum_of_squares(alpha) >= 1
    before, t = math.inf, math.inf
    while True:
        parts = yield split_group, (*penalties, t)
        actives, largest, beyond = zip(*parts, strict=True)
        if max(beyond) == 0 and not may_rest:
            return 0.0
        c = power_of_two_near(max(largest), 8)
        tail = math.fsum((yield inactive_energy, (*penalties, t, c)))
        before, t = t, lower_root(t, n_rows, math.fsum(actives), tail, c)
        if not t < before:
            return t


def _scales_of_long_groups(X, encoder, groups, blocks, n_jobs):
    """Return the residual scale of each group that is longer than a block."""
    scales = {}
    known = groups.scales or {}
    for group in sorted({block.long_group for block in blocks} - {-1} - set(known)):
        own = [block for block in blocks if block.long_group == group]
        scales[group] = LongGroup(X, encoder, groups, own, n_jobs).scale()
    return scales


def _rows_of(X, groups, block):
    """Return the indices of the rows of a block, and the rows."""
    rows = slice(block.start, block.stop)
    if groups.order is not None:
        rows = groups.order[rows]
    return rows, X[rows]
