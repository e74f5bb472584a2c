"""Calls of a function for each chunk, with arguments of all chunks and of its own."""

from typing import NamedTuple

from sklearn_sqrtlasso.blockwise.groups import ungrouped


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


class Call(NamedTuple):
    """A function with the arguments that all chunks have in common."""

    function: object
    given: tuple


def call_chunk(x, call, *own):
    """Call a function for a chunk, with what the chunk has of its own."""

    def argument(of):
        if isinstance(of, Own):
            return own[of.place]
        return ungrouped(x.shape[0]) if isinstance(of, EachRow) else of

    return call.function(x, *map(argument, call.given))
