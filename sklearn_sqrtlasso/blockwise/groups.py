"""Groups of rows that share a residual scale."""

from typing import NamedTuple

import numpy as np


class RowGroups(NamedTuple):
    """Rows that share a residual scale, as ranges of permuted rows.

    Attributes
    ----------
    starts : ndarray of shape (n_groups + 1,)
        Group g holds the positions from ``starts[g]`` to ``starts[g + 1]``.
    order : ndarray of shape (n_samples,) or None
        Row at each position; None for the order of the data.
    scales : dict of int to float, or None
        Residual scales of groups that have other rows, too, elsewhere; None if there
        are none.
    """

    starts: np.ndarray
    order: np.ndarray | None = None
    scales: dict[int, float] | None = None

    @property
    def n_rows(self):
        """Number of rows."""
        return int(self.starts[-1])

    def rows_at(self, places):
        """Return the rows at positions in increasing order, and their groups."""
        labels = np.searchsorted(self.starts, places, side="right")
        rows = places if self.order is None else self.order[places]
        return rows, groups_of_labels(labels)

    def labels(self):
        """Return the number of the group of each row, in the order of the data."""
        labels = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        if self.order is not None:
            labels[self.order] = labels.copy()
        return labels


def spread_over(groups, n_rows):
    """Return rows that are spread evenly over the groups, and their groups.

    Parameters
    ----------
    groups : RowGroups
        Groups of all rows.
    n_rows : int
        Largest number of rows, at least 1.

    Returns
    -------
    rows : ndarray of shape (min(n_rows, n_samples),)
        Indices of rows.
    groups : RowGroups
        Groups of these rows, in their order.
    """
    n_rows = min(n_rows, groups.n_rows)
    return groups.rows_at(np.arange(n_rows) * groups.n_rows // n_rows)


def parted(groups, every):
    """Return the rows of most groups, and those of the others.

    Parameters
    ----------
    groups : RowGroups
        Groups of all rows, more than ``every``.
    every : int
        One group of so many is among the others.

    Returns
    -------
    most, others : tuple of (ndarray, RowGroups)
        Indices of rows, and their groups in the order of these.
    """
    sizes = np.diff(groups.starts)
    is_other = np.repeat(np.arange(len(sizes)) % every == every // 2, sizes)
    return tuple(groups.rows_at(np.flatnonzero(of)) for of in (~is_other, is_other))


def split_groups_of(groups, n_rows):
    """Yield the rows of parts of whole groups, and their groups.

    Parameters
    ----------
    groups : RowGroups
        Groups of all rows.
    n_rows : int
        Number of rows of a part, but for the last one and for longer groups.

    Yields
    ------
    rows : slice or ndarray
        Indices of the rows of a part, in the order of its groups.
    groups : RowGroups
        Their groups.
    """
    starts, first = groups.starts, 0
    while first < len(starts) - 1:
        last = int(np.searchsorted(starts, starts[first] + n_rows, side="right")) - 1
        last = max(last, first + 1)
        places = slice(int(starts[first]), int(starts[last]))
        rows = places if groups.order is None else groups.order[places]
        yield rows, RowGroups(starts[first : last + 1] - starts[first])
        first = last


def ungrouped(n_rows):
    """Return groups of one row each."""
    return RowGroups(np.arange(n_rows + 1))


def one_group(n_rows):
    """Return a single group of all rows."""
    return RowGroups(np.array([0, n_rows]))


def groups_of_labels(groups):
    """Return the groups of equal labels in ``groups``, of shape (n_samples,)."""
    change = np.flatnonzero(groups[1:] != groups[:-1]) + 1
    _, labels = np.unique(groups, return_inverse=True)
    n_labels = int(labels.max(initial=-1)) + 1
    if len(change) + 1 <= n_labels:  # rows of a label are contiguous already
        return RowGroups(np.concatenate([[0], change, [len(groups)]]))
    order = np.argsort(labels, kind="stable")
    return RowGroups(np.concatenate([[0], np.cumsum(np.bincount(labels))]), order)
