"""Chunks of Dask collections: checks, sums over them, and few of their rows."""

from functools import partial
from operator import itemgetter

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows
from sklearn_sqrtlasso.dask.calls import Alongside, Call, EachRow, Graph, Own
from sklearn_sqrtlasso.dask.compat import (
    Delayed,
    compute,
    da,
    delayed,
    is_dask_collection,
    is_frame,
    persist,
)
from sklearn_sqrtlasso.dask.groups import DaskGroups, SingleRows
from sklearn_sqrtlasso.estimators.validation import check_groups


def check_collection(X, name="X"):
    """Raise an error if X is no Dask collection that is chunked by rows only.

    Parameters
    ----------
    X : Dask array or Dask DataFrame
        Rows.
    name : str, default="X"
        Name of the argument.
    """
    if is_frame(X):
        return
    if not isinstance(X, da.Array):
        raise TypeError(
            f"{name} must be a Dask array or a Dask DataFrame, got "
            f"{type(X).__name__}: call the method of the estimator instead, or wrap "
            "the rows by dask.array.from_array."
        )
    if X.ndim != 2:
        raise ValueError(f"{name} must have two dimensions, got {X.ndim}.")
    if X.numblocks[1] > 1:
        raise ValueError(
            f"{name} must be chunked by rows only, got {X.numblocks[1]} chunks of "
            f"columns: use {name}.rechunk({{1: -1}})."
        )


def chunks_of(X):
    """Return the chunks of a collection, one delayed object for each.

    Parameters
    ----------
    X : Dask array or Dask DataFrame
        Rows, chunked by rows only.

    Returns
    -------
    chunks : list of Delayed
        Arrays, sparse matrices or frames.
    """
    chunks = X.to_delayed(optimize_graph=False)  # which loses those that are persisted
    return list(chunks) if is_frame(X) else list(chunks.ravel())


def lengths_of(X, chunks):
    """Return the numbers of rows of chunks; computed where they are not known.

    Parameters
    ----------
    X : Dask array or Dask DataFrame
        Rows.
    chunks : list of Delayed
        Its chunks.

    Returns
    -------
    lengths : ndarray of shape (n_chunks,)
        Integers.
    """
    known = None if is_frame(X) else np.asarray(X.chunks[0], dtype=float)
    if known is None or np.isnan(known).any():
        known = compute(*map(delayed(_n_rows), chunks))
    return np.asarray(known, dtype=np.intp)


def _n_rows(x):
    return x.shape[0]


def _take(x, rows):
    return x.iloc[rows] if hasattr(x, "iloc") else x[rows]


class DaskRows(ChunkedRows):
    """Rows of a Dask collection. A task sees one chunk, or values of other tasks.

    Parameters
    ----------
    chunks : list of Delayed
        Chunks of rows.
    lengths : ndarray of shape (n_chunks,)
        Their numbers of rows.
    n_features : int
        Number of columns.
    dtype : dtype
        Dtype of the rows.
    """

    def __init__(self, chunks, lengths, n_features, dtype):
        self.used = np.flatnonzero(lengths)  # chunks that have rows
        self.chunks = [chunks[at] for at in self.used]
        self.starts = np.concatenate([[0], np.cumsum(lengths[self.used])])
        self.shape = (int(self.starts[-1]), n_features)
        self.dtype = dtype
        self._known = {}  # values that depend on the rows alone

    def reduce(self, function, combine, *given):
        """Return the values of a function of each chunk, combined in a fixed tree."""
        own = None if given else _name_of(function)
        if own not in self._known:
            graph, values = self._graph_of_calls(function, given)
            found = compute(graph.add_tree(values, combine))[0]
            if own is None:
                return found
            self._known[own] = found
        return self._known[own]

    def map(self, function, *given, dtype=None):
        """Return rows whose chunks are a function of these."""
        return self._others(self.calls(function, given), dtype or self.dtype)

    def map_and_reduce(self, function, combine, *given):
        """Return rows that are computed once and kept, and a value, combined."""
        pairs = list(persist(*self.calls(function, given)))
        graph, columns = Graph(pairs), [(pair,) for pair in pairs]
        values = graph.add_calls(Call(itemgetter(1), ()), columns)
        total = compute(graph.add_tree(values, combine))[0]
        rows = graph.add_calls(Call(itemgetter(0), ()), columns)
        return self._others(rows, self.dtype), total

    def first(self):
        """Return one row as it was given, with the names of its columns."""
        return compute(delayed(_take)(self.chunks[0], slice(0, 1)))[0]

    def grouped(self, labels):
        """Return groups of rows with equal labels, which are gathered."""
        if labels is None:
            return SingleRows(self.shape[0])
        if not isinstance(labels, str):
            found = compute(*self.alongside(labels, "groups").chunks)
            labels = np.concatenate([np.asarray(part) for part in found])
        groups = check_groups(labels, np.empty((self.shape[0], 0)))
        return DaskGroups(groups, self.starts)

    def alongside(self, values, name):
        """Return values of the rows, in the chunks of the rows.

        Parameters
        ----------
        values : Dask array or Dask Series of shape (n_samples,) or (n_samples, n)
            One value or more for each row.
        name : str
            Name of the argument.

        Returns
        -------
        values : Alongside
            The values.
        """
        if not is_dask_collection(values):
            raise TypeError(
                f"{name} must be a Dask collection, chunked as X, got "
                f"{type(values).__name__}."
            )
        if isinstance(values, da.Array) and not np.isnan(values.shape[0]):
            if values.shape[0] != self.shape[0]:
                raise ValueError(
                    f"{name} must have a value for each of the {self.shape[0]} rows "
                    f"of X, got {values.shape[0]}."
                )
            lengths = tuple(map(int, np.diff(self.starts)))
            axes = tuple((of,) for of in values.shape[1:])
            return Alongside(chunks_of(values.rechunk((lengths, *axes))))
        chunks = chunks_of(values)
        if len(chunks) > max(self.used):
            chunks = [chunks[at] for at in self.used]
            found = compute(*map(delayed(_n_rows), chunks))
            if list(found) == list(np.diff(self.starts)):
                return Alongside(chunks)
        raise ValueError(f"{name} must be chunked as X.")

    def __getitem__(self, rows):
        """Return few rows, in the order of their indices."""
        order = np.argsort(rows, kind="stable")
        ordered = np.asarray(rows)[order]
        bounds = np.searchsorted(ordered, self.starts)
        bounds = zip(bounds[:-1], bounds[1:], self.starts[:-1], strict=True)
        own = [ordered[first:last] - start for first, last, start in bounds]
        columns = [pair for pair in zip(self.chunks, own, strict=True) if len(pair[1])]
        parts = Graph(self.chunks).add_calls(Call(_take, (Own(0),)), columns)
        found = compute(*parts)
        if sp.issparse(found[0]):
            x = type(found[0])(sp.vstack(found, format="csr"))
        else:
            x = np.concatenate(found)
        return x[np.argsort(order)]

    def calls(self, function, given):
        """Return the delayed values of a function of each chunk.

        Parameters
        ----------
        function : callable, (rows, *given) -> value
            Function.
        given : tuple
            As ``*given`` of ``reduce``.

        Returns
        -------
        values : list of Delayed
            In the order of the chunks that have rows.
        """
        return self._graph_of_calls(function, given)[1]

    def _graph_of_calls(self, function, given):
        own: list[list] = []

        def place_of(argument):
            if isinstance(argument, SingleRows):
                return EachRow()
            if isinstance(argument, Alongside | DaskGroups | DaskRows):
                own.append(argument.chunks)
                return Own(len(own) - 1)
            return argument

        call = Call(function, tuple(map(place_of, given)))
        others = [of for part in own for of in part if isinstance(of, Delayed)]
        graph = Graph([*self.chunks, *others])
        columns = list(zip(self.chunks, *own, strict=True))
        return graph, graph.add_calls(call, columns)

    def _others(self, chunks, dtype):
        return DaskRows(chunks, np.diff(self.starts), self.shape[1], dtype)


def _name_of(function):
    """Return what tells a function without other arguments from others, if anything."""
    if isinstance(function, partial):
        return None if function.keywords else function.func
    return function


def rows_of(X):
    """Return the rows of a Dask collection for a fit.

    Parameters
    ----------
    X : Dask array or Dask DataFrame
        Rows, chunked by rows only; sizes of chunks that are unknown are computed.

    Returns
    -------
    rows : DaskRows
        The rows.
    """
    check_collection(X)
    chunks = chunks_of(X)
    dtype = np.dtype(np.float64) if is_frame(X) else X.dtype
    rows = DaskRows(chunks, lengths_of(X, chunks), X.shape[1], dtype)
    if not rows.shape[0]:
        raise ValueError("X must have at least one row, got none in any chunk.")
    return rows
