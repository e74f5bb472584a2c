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
    """

    starts: np.ndarray
    order: np.ndarray | None = None

    @property
    def n_rows(self):
        """Number of rows."""
        return int(self.starts[-1])


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
