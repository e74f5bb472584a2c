"""The last rows of a stream, which tell penalties however few a batch has."""

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.blockwise.groups import groups_of_labels

KEPT = 2  # rows a unit: more restored other rows of tables no better
ENOUGH_NEW = 1 / 4  # share of new rows at which penalties are learnt again


def join_recent_rows(recent, X, groups, n_rows):
    """Return the last rows of a stream after a batch.

    Parameters
    ----------
    recent : tuple (X, labels, n_new), or None
        Last rows before the batch, the group of each, and the number of them that came
        after penalties were learnt.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows of the batch.
    groups : RowGroups
        Their groups, other ones than those of earlier batches.
    n_rows : int
        Number of rows to keep; all of a larger batch.

    Returns
    -------
    recent : tuple (X, labels, n_new)
        The same after the batch.
    groups : RowGroups
        Groups of these rows.
    """
    labels, n_new = groups.labels(), X.shape[0]
    if recent is not None and n_new < n_rows:
        earlier, of_earlier, n_unused = recent
        kept = slice(max(0, len(of_earlier) + n_new - n_rows), None)
        stack = sp.vstack if sp.issparse(earlier) or sp.issparse(X) else np.concatenate
        X = stack([earlier[kept], X])
        X = X.tocsr() if sp.issparse(X) else X
        labels = np.concatenate([of_earlier[kept], labels + of_earlier.max() + 1])
        n_new += n_unused
    return (X, labels, n_new), groups_of_labels(labels)


def are_enough_new(recent):
    """Return whether enough of the last rows of a stream are new to learn from them."""
    _, labels, n_new = recent
    return n_new >= ENOUGH_NEW * len(labels)


def without_new(recent, n_rows):
    """Return the last rows of a stream, after penalties were learnt from them.

    Parameters
    ----------
    recent : tuple (X, labels, n_new)
        As in ``join_recent_rows``.
    n_rows : int
        Number of rows to keep.

    Returns
    -------
    recent : tuple (X, labels, 0)
        A copy of these rows.
    """
    X, labels, _ = recent
    return X[-n_rows:].copy(), labels[-n_rows:].copy(), 0
