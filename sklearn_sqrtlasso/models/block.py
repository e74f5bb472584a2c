"""Parameter blocks of a matrix and a bias, and functions of one block."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class BlockFunction(NamedTuple):
    """Function of one parameter block, with the other one fixed.

    Attributes
    ----------
    evaluate : callable, (theta) -> (value, gradient)
        Value of the whole objective, gradient of its smooth part.
    value : callable, (theta) -> float
        Value only, which is cheaper.
    prox : callable, (theta, step) -> theta, or None
        Proximal map of ``step`` times the nonsmooth part, if there is one.
    codes : callable, (theta) -> Z, or None
        Codes of all rows, for an encoder block; cached if theta was the last argument
        of ``value``.
    pmap : callable, (function, items) -> iterable of results in order
        ``map``, or ``thread_map``, for work on parts of theta.
    """

    evaluate: Callable
    value: Callable
    prox: Callable | None = None
    codes: Callable | None = None
    pmap: Callable = map


def join_block(matrix, bias):
    """Return a parameter block: a matrix followed by a bias.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_columns)
        Weights W or V.
    bias : ndarray of shape (n_units,)
        Bias b or c.

    Returns
    -------
    block : ndarray
        New flat array.
    """
    return np.concatenate([matrix.ravel(), bias])


def split_block(block, shape):
    """Return matrix and bias of a parameter block as views.

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
    """Return a sum over slices of the rows as a function of one parameter block.

    Parameters
    ----------
    share : callable, (theta, rows) -> (value, matrix, bias)
        Contribution of a slice to value and gradient, in new arrays.
    value : callable, (theta, rows) -> float
        Contribution of a slice to the value.
    pmap : callable, (function, items) -> iterable of results in order
        ``map``, or ``thread_map``.
    parts : list of list of slice
        Lists of slices that are summed sequentially.

    Returns
    -------
    block : BlockFunction
        The sum, without a proximal map.
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

    return BlockFunction(evaluate, total, pmap=pmap)
