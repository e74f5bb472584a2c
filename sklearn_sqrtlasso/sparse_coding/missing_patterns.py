"""Patterns of missing entries: rows that lack the same ones share their atoms.

Where nothing is known of codes, unobserved entries of a row are free, so a code
restores them by the atoms, and only the observed entries have residuals: the code of
the row is that of its observed entries, in what these leave of the atoms, with the same
penalties. Where codes of training rows are known, unobserved entries are expected to be
something, and have residuals of some weight: see ``code_prior``.

A pattern changes the products of atoms by those of the missing entries, so that rows
that lack few entries cost little, however long they are.
"""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.blockwise.linalg import dense_rows
from sklearn_sqrtlasso.blockwise.sparse_rows import dense_batches
from sklearn_sqrtlasso.sparse_coding.dictionary import (
    Dictionary,
    make_dictionary,
    products_without,
)

NOTHING = np.empty(0, np.int64)


class Part(NamedTuple):
    """Rows that lack the same entries, without these or with what they should be.

    Attributes
    ----------
    rows : ndarray of shape (n_rows,) or slice
        Their indices.
    X : ndarray of shape (n_rows, n_entries)
        Their entries, those that are missing as they are expected to be times their
        weights, or 0; or coordinates in the span of the atoms.
    dictionary : Dictionary
        Atoms, missing entries times their weights, or 0; or of these coordinates.
    missing : ndarray of shape (n_missing,)
        Indices of the missing entries.
    """

    rows: np.ndarray | slice
    X: np.ndarray
    dictionary: Dictionary
    missing: np.ndarray = NOTHING


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
    yield Part(everything, complete, dictionary)
    yield from _incomplete_parts(X, missing, dictionary, prior)


def _incomplete_parts(X, missing, dictionary, prior):
    some = np.flatnonzero(missing.any(axis=1) & ~missing.all(axis=1))
    for rows in rows_alike(missing, some):
        lost, x, weights = missing[rows[0]], X[rows], np.zeros(1)
        x[:, lost] = 0
        if prior is not None:
            expected, weights = prior.expect(x, lost)
            x[:, lost] = weights * expected
        atoms = weigh_entries(dictionary, lost, weights)
        yield Part(rows, x, atoms, np.flatnonzero(lost))


def weigh_entries(dictionary, entries, weights):
    """Return a dictionary some of whose entries have weights.

    Parameters
    ----------
    dictionary : Dictionary
        Atoms.
    entries : ndarray of shape (n_features,)
        Which entries have a weight other than 1.
    weights : ndarray of shape (n_entries,) or (1,)
        Their weights, in [0, 1].

    Returns
    -------
    dictionary : Dictionary
        Of few such entries, with products less those of these.
    """
    D, few = dictionary.D.copy(), 2 * np.count_nonzero(entries) <= len(entries)
    lost = D[:, entries]
    D[:, entries] = weights * lost
    if not few:
        return make_dictionary(D)
    lost *= np.sqrt(1 - weights**2)
    return Dictionary(D, products_without(dictionary.G, lost, lambda: D))


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
    yield Part(everything, span.coordinates(complete), span.dictionary)
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
