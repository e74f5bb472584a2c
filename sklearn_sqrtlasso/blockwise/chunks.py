"""Rows in chunks that are held elsewhere: sums over them, and functions of each.

A function of rows whose values for disjoint rows can be combined, such as a sum, is
decorated by ``over_chunks``. It is then a function of chunked rows, too: it is called
where each chunk is, and only its values travel. So ``fit`` runs over chunks unchanged,
and no formula is written twice.
"""

from abc import ABC, abstractmethod
from functools import partial, wraps

import numpy as np


class ChunkedRows(ABC):
    """Rows that are never all in one place.

    Attributes
    ----------
    shape : tuple of int
        (n_samples, n_features).
    dtype : dtype
        Dtype of the rows.
    """

    ndim = 2
    shape: tuple[int, int]
    dtype: np.dtype

    @abstractmethod
    def reduce(self, function, combine, *given):
        """Return the values of a function of each chunk, combined.

        Parameters
        ----------
        function : callable, (rows, *given) -> value
            Called for each chunk that has rows.
        combine : callable, (value, value) -> value
            Combines two values. The order is that of the chunks, in a fixed tree.
        *given
            Arguments that all calls have in common. Groups of rows, and other rows in
            the same chunks, are replaced by those of a chunk.

        Returns
        -------
        value : object
            The value for all rows.
        """

    @abstractmethod
    def map(self, function, *given, dtype=None):
        """Return a function of each chunk, computed whenever its rows are read.

        Parameters
        ----------
        function : callable, (rows, *given) -> rows
            Keeps the shape.
        *given
            As in ``reduce``.
        dtype : dtype, default=None
            Dtype of the other rows; None is that of these.

        Returns
        -------
        rows : ChunkedRows
            The other rows.
        """

    @abstractmethod
    def map_and_reduce(self, function, combine, *given):
        """Return rows that are computed once and kept, and a value, combined.

        Parameters
        ----------
        function : callable, (rows, *given) -> (rows, value)
            As in ``map`` and ``reduce``.
        combine, *given
            As in ``reduce``.

        Returns
        -------
        rows : ChunkedRows
            The other rows, kept where the chunks are.
        value : object
            The value for all rows.
        """

    @abstractmethod
    def first(self):
        """Return one row as it was given, with the names of its columns."""

    @abstractmethod
    def grouped(self, labels):
        """Return the groups of rows with equal labels.

        Parameters
        ----------
        labels : None, "all" or chunked labels
            As of ``validation.check_groups``; None is for groups of one row each.

        Returns
        -------
        groups : ChunkedGroups
            The groups.
        """

    @abstractmethod
    def __getitem__(self, rows):
        """Return few rows.

        Parameters
        ----------
        rows : ndarray of int
            Their indices.

        Returns
        -------
        x : ndarray or sparse matrix
            The rows, in this order.
        """


class ChunkedGroups(ABC):
    """Groups of chunked rows.

    Attributes
    ----------
    n_rows : int
        Number of rows.
    """

    n_rows: int
    order = None  # rows of a group need not be next to each other

    @abstractmethod
    def rows_at(self, places):
        """Return the rows at positions in increasing order, and their groups."""

    @abstractmethod
    def scaled(self, X, encoder):
        """Return the groups, with residual scales of those in several chunks.

        Parameters
        ----------
        X : ChunkedRows
            Rows.
        encoder : Encoder
            Map of rows to codes.

        Returns
        -------
        groups : ChunkedGroups
            The groups, ready to encode the rows of each chunk by itself.
        """


def over_chunks(combine):
    """Make a function of rows, whose values can be combined, one of chunked rows too.

    Parameters
    ----------
    combine : callable, (value, value) -> value
        Returns the value for the rows of both.

    Returns
    -------
    decorate : callable
        Decorator of a function whose first argument are rows.
    """

    def decorate(function):
        @wraps(function)
        def call(X, *given, **named):
            if isinstance(X, ChunkedRows):
                return X.reduce(partial(call, **named), combine, *given)
            return function(X, *given, **named)

        return call

    return decorate


def each_chunk(function):
    """Make a function of rows, which returns as many rows, one of chunked rows too.

    Parameters
    ----------
    function : callable, (rows, *given) -> rows
        Keeps the dtype and the shape.

    Returns
    -------
    call : callable
        The same; of chunked rows it is computed when they are read.
    """

    @wraps(function)
    def call(X, *given):
        if isinstance(X, ChunkedRows):
            return X.map(call, *given)
        return function(X, *given)

    return call


def added(one, two):
    """Return the sums of the fields of two records."""
    return type(one)(*(a + b for a, b in zip(one, two, strict=True)))


def end_to_end(one, two):
    """Return two arrays of values of rows as one."""
    return np.concatenate([one, two])
