"""The last rows of a stream, which tell penalties however few a batch has."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.blockwise.groups import RowGroups, groups_of_labels

KEPT = 2  # rows a unit: more restored other rows of tables no better
ENOUGH_NEW = 1 / 4  # share of new rows at which penalties are learnt again


class RecentRows(NamedTuple):
    """The last rows of a stream after a batch.

    Attributes
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        These rows.
    groups : RowGroups
        Their groups; those of one batch are other ones than those of another.
    tell : bool
        Whether enough of them are new to learn penalties again.
    kept : dict
        What the next batch needs: copies of "rows", their "labels" of groups, and the
        number "n_new" of rows that came since penalties were learnt.
    """

    X: np.ndarray
    groups: RowGroups
    tell: bool
    kept: dict


def recent_rows(kept, X, groups, n_components):
    """Return the last rows of a stream after a batch, some for each component.

    Parameters
    ----------
    kept : dict or None
        As after the batch before.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows of the batch, all of which are among the last ones.
    groups : RowGroups
        Their groups.
    n_components : int
        Number of components.

    Returns
    -------
    recent : RecentRows
        The last rows.
    """
    n_rows, labels, n_new = KEPT * n_components, groups.labels(), X.shape[0]
    if kept is not None and n_new < n_rows:
        before, of_before = kept["rows"], kept["labels"]
        last = slice(max(0, len(of_before) + n_new - n_rows), None)
        if sp.issparse(before) or sp.issparse(X):
            X = sp.vstack([before[last], X], format="csr")
        else:
            X = np.concatenate([before[last], X])
        labels = np.concatenate([of_before[last], labels + of_before.max() + 1])
        n_new += kept["n_new"]
    tell = n_new >= ENOUGH_NEW * len(labels)
    last = {"rows": X[-n_rows:].copy(), "labels": labels[-n_rows:].copy()}
    kept = {**last, "n_new": 0 if tell else n_new}
    return RecentRows(X, groups_of_labels(labels), tell, kept)
