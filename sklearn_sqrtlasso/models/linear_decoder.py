"""Loss of rows as a quadratic function of a linear decoder, by moments of codes.

The bias is one more atom, of which all codes have one: with ``V1 = [V; c]``, which is
how a decoder is stored, and ``z1 = [z, 1]``, the decoded row is ``z1 V1``. Its loss is
that of least squares, so that rows are read once for all steps on a decoder.
"""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.algorithms.quadratic import finish_quadratic
from sklearn_sqrtlasso.blockwise.blocks import even_parts
from sklearn_sqrtlasso.blockwise.sparse_units import few_digits, multiply_units
from sklearn_sqrtlasso.models.block import BlockFunction

PART_UNITS = 8  # atoms, at least, of a part of a pass over them


class CodeMoments(NamedTuple):
    """Sums over rows x and their codes z1, which end with a one.

    Attributes
    ----------
    gram : ndarray of shape (n_components + 1, n_components + 1)
        Sum of ``z1' z1``.
    cross : ndarray of shape (n_components + 1, n_features)
        Sum of ``z1' x``.
    squares : float
        Sum of ``||x||^2``.
    n_rows : int
        Number of rows.
    """

    gram: np.ndarray
    cross: np.ndarray
    squares: float
    n_rows: int

    def plus(self, other):
        """Return the sums over both rows and others.

        Parameters
        ----------
        other : CodeMoments
            Sums over other rows.

        Returns
        -------
        moments : CodeMoments
            Their sum.
        """
        return CodeMoments(*(a + b for a, b in zip(self, other, strict=True)))

    def block(self, penalty, by_rows, pmap=map):
        """Return the mean loss as a function of the decoder.

        Parameters
        ----------
        penalty : float
            Mean penalty of the codes.
        by_rows : callable, (decoder) -> float
            The mean loss of decoded rows, for decoders that restore rows so well that
            a difference of sums of squares has too few digits.
        pmap : callable, (function, items) -> iterable of results in order
            ``map``, or ``thread_map``, applied to parts of the decoder.

        Returns
        -------
        block : BlockFunction
            The loss, without a proximal map.
        """

        def evaluate(decoder):
            V, slope = decoder.reshape(self.cross.shape), np.empty_like(self.cross)
            multiply_units(self.gram, V, slope, pmap)

            def finish(part):
                at = V[part], self.cross[part], slope[part]
                return finish_quadratic(*at, 2 / self.n_rows)

            found = sum(pmap(finish, even_parts(len(V), PART_UNITS)))
            error = self.squares + found
            if not error > few_digits(V.dtype) * (2 * self.squares + abs(found)):
                return by_rows(decoder), slope.ravel()
            return error / self.n_rows + penalty, slope.ravel()

        return BlockFunction(evaluate, lambda of: evaluate(of)[0], pmap=pmap)


def moments_of_codes(z, x):
    """Return the sums over dense rows and their codes.

    Parameters
    ----------
    z : ndarray of shape (n_rows, n_components)
        Codes.
    x : ndarray of shape (n_rows, n_features)
        Rows.

    Returns
    -------
    moments : CodeMoments
        Sums in the dtype of the codes, squares in double precision.
    """
    z = with_one(z)
    squares = float(np.einsum("ij,ij->", x, x, dtype=np.float64))
    return CodeMoments(z.T @ z, z.T @ x, squares, len(z))


def with_one(z):
    """Return codes with one more entry, of the bias.

    Parameters
    ----------
    z : ndarray of shape (n_rows, n_components)
        Codes.

    Returns
    -------
    z1 : ndarray of shape (n_rows, n_components + 1)
        The codes, each followed by a one.
    """
    return np.hstack([z, np.ones((len(z), 1), z.dtype)])
