"""Graphs of calls of a function for each chunk, and of their values, combined.

They are written down as such: a call of ``dask.delayed`` takes milliseconds, as long as
many a chunk.
"""

from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple
from uuid import uuid4

from sklearn_sqrtlasso.blockwise.groups import ungrouped
from sklearn_sqrtlasso.dask.compat import Delayed

FAN_IN = 4  # values that are combined at a time


class Alongside(NamedTuple):
    """Values for the rows of each chunk, such as targets.

    Attributes
    ----------
    chunks : list
        For each chunk of the rows an array of as many values, delayed or not.
    """

    chunks: list


class Own(NamedTuple):
    """Place of an argument that each chunk has its own of."""

    place: int


class EachRow(NamedTuple):
    """Place of the groups of a chunk, of one row each."""


@dataclass(frozen=True)
class Call:
    """A function with the arguments that all chunks have in common."""

    function: object
    given: tuple


@dataclass(frozen=True)
class Known:
    """A value in a graph, of which Dask shall not look for tasks inside."""

    value: object


class Graph:
    """Tasks, of which each calls a function with results of others.

    Parameters
    ----------
    delayed : list of Delayed
        Values that are known so far.
    """

    def __init__(self, delayed):
        self.tasks, seen = {}, set()
        for one in delayed:
            if id(one.dask) not in seen:  # chunks of a collection share theirs
                seen.add(id(one.dask))
                self.tasks.update(one.dask)

    def add_calls(self, call, columns):
        """Add a call for each chunk; return the delayed values.

        Parameters
        ----------
        call : Call
            The function.
        columns : list of tuple
            The chunk, and what it has of its own, delayed or not.

        Returns
        -------
        values : list of Delayed
            In the order of the chunks.
        """
        name = f"call_chunk-{uuid4().hex}"
        self.tasks[f"of-{name}"] = call
        for at, column in enumerate(columns):
            given = [of.key if isinstance(of, Delayed) else Known(of) for of in column]
            self.tasks[name, at] = (call_chunk, f"of-{name}", *given)
        return [Delayed((name, at), self.tasks) for at in range(len(columns))]

    def add_tree(self, values, combine):
        """Add the combination of values, in a fixed tree; return its delayed value."""
        name, level, keys = f"combined-{uuid4().hex}", 0, [of.key for of in values]
        while len(keys) > 1 or not level:
            parts = [keys[at : at + FAN_IN] for at in range(0, len(keys), FAN_IN)]
            keys = [(name, level, at) for at in range(len(parts))]
            for key, part in zip(keys, parts, strict=True):
                self.tasks[key] = (combined, part, combine)
            level += 1
        return Delayed(keys[0], self.tasks)


def call_chunk(call, x, *own):
    """Call a function for a chunk, with what the chunk has of its own.

    Parameters
    ----------
    call : Call
        The function, and arguments.
    x : ndarray, sparse matrix or frame
        Rows of the chunk.
    *own
        What takes the places of ``Own`` among the arguments.

    Returns
    -------
    value : object
        The value of the function.
    """

    def argument(of):
        if isinstance(of, Own):
            value = own[of.place]
            return value.value if isinstance(value, Known) else value
        return ungrouped(x.shape[0]) if isinstance(of, EachRow) else of

    return call.function(x, *map(argument, call.given))


def combined(values, combine):
    """Return values combined from left to right, without those that are None.

    Parameters
    ----------
    values : list
        Values of chunks that follow each other.
    combine : callable, (value, value) -> value
        Combines two of them.

    Returns
    -------
    value : object
        None if all are.
    """
    values = [value for value in values if value is not None]
    return reduce(combine, values) if values else None
