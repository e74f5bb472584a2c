"""A block of parameters, a matrix and its bias, and a function of it as a sum."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class BlockFunction(NamedTuple):
    """A function of one block, the other held.

    Attributes
    ----------
    evaluate : callable, (theta) -> (value, gradient)
        Value of the whole objective, gradient of its smooth part.
    value : callable, (theta) -> float
        Value alone, which costs less.
    prox : callable, (theta, step) -> theta, or None
        Proximal map of ``step`` times what is not in the gradient, if anything is.
    codes : callable, (theta) -> Z, or None
        Codes of all rows, of a block that makes them; free of cost where the value of
        theta was the last that was asked for.
    """

    evaluate: Callable
    value: Callable
    prox: Callable | None = None
    codes: Callable | None = None


def join_block(matrix, bias):
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


def split_block(block, shape):
    """Return matrix and bias of a block as views.

    Parameters
    ----------
    block : ndarray
        As ``join_block`` returns it.
    shape : tuple of int
        Shape of the matrix.

    Returns
    -------
    matrix, bias : ndarray
        Views.
    """
    size = shape[0] * shape[1]
    return block[:size].reshape(shape), block[size:]


def sum_over_rows(share, value, pmap, parts):
    """Return a sum over slices of the rows as a function of one block.

    Parameters
    ----------
    share : callable, (theta, rows) -> (value, matrix, bias)
        Part of a slice in value and gradient, in arrays of its own.
    value : callable, (theta, rows) -> float
        Part of a slice in the value.
    pmap : callable, (function, items) -> iterable of results in order
        ``map``, or that of a team of threads.
    parts : list of list of slice
        Slices that are added up one after the other.

    Returns
    -------
    block : BlockFunction
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
        found = pmap(lambda slices: add(theta, slices), parts)
        loss, matrix, bias = (sum(of[1:], of[0]) for of in zip(*found, strict=True))
        return float(loss), join_block(matrix, bias)

    def total(theta):
        def add_values(slices):
            return sum(value(theta, rows) for rows in slices)

        return float(sum(pmap(add_values, parts)))

    return BlockFunction(evaluate, total)
