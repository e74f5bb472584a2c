"""Patterns of missing entries: rows that lack the same ones share their atoms.

Where nothing is known of codes, unobserved entries of a row are free, so a code
restores them by the atoms, and only the observed entries have residuals: the code of
the row is that of its observed entries, in what these leave of the atoms, with the same
penalties. Where codes of training rows are known, unobserved entries are expected to be
something, and have residuals of some weight: see ``code_prior``.
"""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.blockwise.linalg import dense_rows
from sklearn_sqrtlasso.blockwise.sparse_rows import dense_batches
from sklearn_sqrtlasso.sparse_coding.dictionary import Dictionary, make_dictionary


class Part(NamedTuple):
    """Rows that lack the same entries, without these or with what they should be.

    Attributes
    ----------
    rows : ndarray of shape (n_rows,) or slice
        Their indices.
    seen : ndarray of shape (n_features,) or slice
        Whether they have an entry.
    X : ndarray of shape (n_rows, n_entries)
        Their observed entries, and then what is expected of the others, times its
        weights; or their coordinates in the span of the atoms.
    dictionary : Dictionary
        Atoms of these entries, times their weights, or of these coordinates.
    """

    rows: np.ndarray | slice
    seen: np.ndarray | slice
    X: np.ndarray
    dictionary: Dictionary


def parts_of(X, dictionary, prior=None):
    """Yield all rows, incomplete ones as zeros, and then parts of incomplete rows.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Rows; NaN where an entry is missing.
    dictionary : Dictionary
        Atoms.
    prior : CodePrior, default=None
        Tells missing entries; None leaves them out.

    Yields
    ------
    part : Part
        Rows without observed entries are only in the first one. It holds X itself if
        nothing is missing.
    """
    missing, everything = np.isnan(X), slice(None)
    lacking = missing.any(axis=1)
    complete = np.where(lacking[:, None], 0, X) if lacking.any() else X
    yield Part(everything, everything, complete, dictionary)
    yield from _incomplete_parts(X, missing, dictionary, prior)


def _incomplete_parts(X, missing, dictionary, prior):
    some = np.flatnonzero(missing.any(axis=1) & ~missing.all(axis=1))
    for rows in rows_alike(missing, some):
        seen = ~missing[rows[0]]
        x, D = X[np.ix_(rows, seen)], dictionary.D[:, seen]
        if prior is not None:
            expected, weights = prior.expect(x, seen)
            x = np.hstack([x, weights * expected])
            D = np.hstack([D, weights * dictionary.D[:, ~seen]])
        yield Part(rows, seen, x, make_dictionary(D))


def parts_in_span(X, dictionary, span, prior=None):
    """Yield all rows in the span of the atoms, and then parts of incomplete rows.

    Parameters
    ----------
    X : CSR matrix of shape (n_rows, n_features)
        Rows; NaN where an entry is missing.
    dictionary : Dictionary
        Atoms.
    span : AtomSpan
        The span of the atoms.
    prior : CodePrior, default=None
        As for ``parts_of``.

    Yields
    ------
    part : Part
        As of ``parts_of``; only incomplete rows are made dense, a few at a time.
    """
    row, everything = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)), slice(None)
    lacking = np.bincount(row, np.isnan(X.data), minlength=X.shape[0]) > 0
    complete = X
    if lacking.any():
        complete = X.copy()
        complete.data[lacking[row]] = 0
    yield Part(everything, everything, span.coordinates(complete), span.dictionary)
    for rows in dense_batches(np.flatnonzero(lacking), X.shape[1]):
        x = dense_rows(X[rows])
        for part in _incomplete_parts(x, np.isnan(x), dictionary, prior):
            yield part._replace(rows=rows[part.rows])


def rows_alike(missing, some):
    """Return arrays of rows that lack the same entries.

    Parameters
    ----------
    missing : ndarray of shape (n_rows, n_features)
        Whether an entry is missing.
    some : ndarray of shape (n_chosen,)
        Indices of the rows to consider.

    Returns
    -------
    parts : list of ndarray
        Their indices, ascending in each array.
    """
    if not len(some):
        return []
    packed = np.packbits(missing[some], axis=1)
    which = np.unique(packed, axis=0, return_inverse=True)[1].ravel()
    order = np.argsort(which, kind="stable")
    return np.split(some[order], np.cumsum(np.bincount(which))[:-1])
