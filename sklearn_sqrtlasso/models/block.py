"""A block of parameters, a matrix and its bias, and a function of it as a sum."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Block(NamedTuple):
    """A function of one block, the other held.

    Attributes
    ----------
    evaluate : callable, (theta) -> (value, gradient)
        Value of the whole objective, gradient of its smooth part.
    value : callable, (theta) -> float
        Value alone, which costs less.
    prox : callable, (theta, step) -> theta, or None
        Proximal map of ``step`` times what is not in the gradient, if anything is.
    """

    evaluate: Callable
    value: Callable
    prox: Callable | None = None


def join(matrix, bias):
    """Return a block: a matrix and, after it, a bias.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_columns)
        W or V.
    bias : ndarray of shape (n_units,)
        Of W or V: b or c.

    Returns
    -------
    block : ndarray
        Flat, an array of its own.
    """
    return np.concatenate([matrix.ravel(), bias])


def part(block, shape):
    """Return matrix and bias of a block as views.

    Parameters
    ----------
    block : ndarray
        As ``join`` returns it.
    shape : tuple of int
        Shape of the matrix.

    Returns
    -------
    matrix, bias : ndarray
        Views.
    """
    size = shape[0] * shape[1]
    return block[:size].reshape(shape), block[size:]


def summed(share, value, each, parts):
    """Return a sum over slices of the rows as a function of one block.

    Parameters
    ----------
    share : callable, (theta, rows) -> (value, matrix, bias)
        Part of a slice in value and gradient, in arrays of its own.
    value : callable, (theta, rows) -> float
        Part of a slice in the value.
    each : callable, (function, items) -> iterable of results in order
        ``map``, or that of a team of threads.
    parts : list of list of slice
        Slices that are added up one after the other.

    Returns
    -------
    block : Block
        Without a prox.
    """

    def add(theta, slices):
        loss, matrix, bias = share(theta, slices[0])
        for rows in slices[1:]:
            more, by_matrix, by_bias = share(theta, rows)
            loss += more
            matrix += by_matrix
            bias += by_bias
        return loss, matrix, bias

    def evaluate(theta):
        found = each(lambda slices: add(theta, slices), parts)
        loss, matrix, bias = (sum(of[1:], of[0]) for of in zip(*found, strict=True))
        return float(loss), join(matrix, bias)

    def total(theta):
        def add_values(slices):
            return sum(value(theta, rows) for rows in slices)

        return float(sum(each(add_values, parts)))

    return Block(evaluate, total)
