"""Groups of rows that share a residual scale: from labels that are checked here."""

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


def is_missing(labels):
    """Return which labels are None, NaN or another value not equal to itself.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Labels of any dtype.

    Returns
    -------
    missing : ndarray of shape (n_samples,)
        Booleans.
    """
    if labels.dtype != object:
        return labels != labels
    same = [False if label is None else label == label for label in labels]
    return np.array([not (isinstance(x, bool | np.bool_) and x) for x in same])


def check_groups(groups, n_samples):
    """Return the groups of rows that share a noise level.

    Parameters
    ----------
    groups : None, "all" or array-like of shape (n_samples,)
        Group label of each row; None puts each row into its own group.
    n_samples : int
        Number of rows.

    Returns
    -------
    groups : RowGroups
        The groups.
    """
    if groups is None:
        return ungrouped(n_samples)
    if isinstance(groups, str):
        if groups != "all":
            raise ValueError(
                f"groups must be None, 'all' or an array of {n_samples} labels, "
                f"got {groups!r}."
            )
        return one_group(n_samples)
    labels = np.asarray(groups)
    if labels.shape != (n_samples,):
        found = f"an array of shape {labels.shape}" if labels.ndim else repr(groups)
        raise ValueError(
            f"groups must be None, 'all' or an array of {n_samples} labels, "
            f"one for each row of X, got {found}."
        )
    n_missing = int(np.sum(is_missing(labels)))
    if n_missing:
        raise ValueError(
            f"groups must label every row, got {n_missing} missing labels (None, NaN)."
        )
    try:
        return groups_of_labels(labels)
    except TypeError as error:
        raise TypeError(
            "groups must be labels of one sortable type, got labels that cannot be "
            "compared."
        ) from error


def check_group_word(groups, modes):
    """Raise an error if ``groups`` is neither None nor one of the given strings.

    Parameters
    ----------
    groups : None or str
        Argument to check.
    modes : tuple of str
        Allowed strings.
    """
    if groups is None or (isinstance(groups, str) and groups in modes):
        return
    words = " or ".join(repr(mode) for mode in modes)
    raise ValueError(f"groups must be None or {words}, got {groups!r}.")
