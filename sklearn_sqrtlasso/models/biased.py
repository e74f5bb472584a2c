"""Two layers with biases, as two blocks of parameters: loss and gradient of each."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.utils import gen_batches

from sklearn_sqrtlasso.models.activations import Activation, Rows
from sklearn_sqrtlasso.solvers.rows import rows_per_block


class Biased(NamedTuple):
    """What is fixed before learning.

    Attributes
    ----------
    shape : tuple of int
        (n_components, n_features).
    encoder, decoder : Activation
        Pointwise ones.
    penalty : float
        Of the sum of the sizes of a row's codes.
    gain : float
        What the decoder's activation is multiplied by; 1 but for rows of another unit.
    """

    shape: tuple[int, int]
    encoder: Activation
    decoder: Activation
    penalty: float
    gain: float = 1.0


class Parameters(NamedTuple):
    """The two blocks; each is a matrix and, after it, a bias, in one flat array.

    Attributes
    ----------
    encoder : ndarray of shape (n_components * n_features + n_components,)
        W, of shape (n_components, n_features), and b.
    decoder : ndarray of shape (n_components * n_features + n_features,)
        V, of shape (n_components, n_features), and c.
    """

    encoder: np.ndarray
    decoder: np.ndarray


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


class Objective:
    r"""The mean loss of some rows, and its two blocks.

    .. math::
        \frac1N \sum_b \|g\,\rho(V^\top z_b + c) - x_b\|_2^2 + \lambda \|z_b\|_1 ,
        \qquad z_b = \sigma(W x_b + b)

    It is summed over blocks of rows that stay in the cache, in a fixed order: it does
    not depend on threads.

    Parameters
    ----------
    model : Biased
        The model.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.
    each : callable, (function, items) -> iterable of results in order
        ``map``, or that of a team of threads.
    unit : float, default=1.0
        Rows are divided by it.
    """

    def __init__(self, model: Biased, X, each=map, unit=1.0):
        self.model, self.X, self.each, self.unit = model, X, each, X.dtype.type(unit)
        self.n_rows = X.shape[0]
        size = rows_per_block(*model.shape, X.dtype.itemsize)
        self.slices = list(gen_batches(self.n_rows, size))

    def value(self, parameters: Parameters):
        """Return the mean loss.

        Parameters
        ----------
        parameters : Parameters
            Both blocks.

        Returns
        -------
        loss : float
            Mean over the rows.
        """
        return self.encoder_block(parameters.decoder).value(parameters.encoder)

    def codes(self, encoder):
        """Return the codes of all rows.

        Parameters
        ----------
        encoder : ndarray
            W and b.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Codes.
        """
        W, b = part(encoder, self.model.shape)
        rows = self.each(lambda s: self.code(W, b, self.rows(s))[1], self.slices)
        return np.concatenate(list(rows))

    def encoder_block(self, decoder, *, smooth=True):
        """Return the loss as a function of the encoder.

        Parameters
        ----------
        decoder : ndarray
            The other block.
        smooth : bool, default=True
            Whether the gradient holds that of the penalty.

        Returns
        -------
        block : Block
            Without a prox.
        """
        V, c = part(decoder, self.model.shape)
        by_code = self.model.penalty / self.n_rows if smooth else 0.0

        def share(encoder, rows):
            x = self.rows(rows)
            W, b = part(encoder, self.model.shape)
            u, z, memory = self.code(W, b, x)
            loss, H, _ = self.miss(V, c, z, x)
            G = H @ V.T
            size, sign = self._size(z)
            if by_code:
                G += sign * G.dtype.type(by_code)
            H, by_p = self.model.encoder.pull_back(u, {}, z, memory, G)
            return loss + size, H.T @ x, -by_p["alpha"]

        def value(encoder, rows):
            x = self.rows(rows)
            z = self.code(*part(encoder, self.model.shape), x)[1]
            return self.miss(V, c, z, x, pull=False)[0] + self._size(z)[0]

        return self.block(share, value)

    def decoder_block(self, Z):
        """Return the loss as a function of the decoder.

        Parameters
        ----------
        Z : ndarray of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        block : Block
            Without a prox.
        """

        def share(decoder, rows):
            z, (V, c) = Z[rows], part(decoder, self.model.shape)
            loss, H, by_c = self.miss(V, c, z, self.rows(rows))
            return loss + sizes[rows.start], z.T @ H, by_c

        def value(decoder, rows):
            V, c = part(decoder, self.model.shape)
            x = self.rows(rows)
            loss = self.miss(V, c, Z[rows], x, pull=False)[0]
            return loss + sizes[rows.start]

        # Added up as in the encoder's block: what does not rise, does not by rounding.
        sizes = {rows.start: self._size(Z[rows])[0] for rows in self.slices}
        return self.block(share, value)

    def codes_block(self, decoder):
        """Return the loss, times the number of rows, as a function of free codes.

        Codes are in [0, 1], flat, where the penalty is linear; with it in the gradient,
        a proximal step is ``clip(v - step * (slope + penalty), 0, 1)``.

        Parameters
        ----------
        decoder : ndarray
            The other block.

        Returns
        -------
        block : Block
            The function, a sum over the rows.
        """
        V, c = part(decoder, self.model.shape)
        n_components, penalty = self.model.shape[0], self.model.penalty

        def share(Z, rows):
            z = Z.reshape(-1, n_components)[rows]
            loss, H, _ = self.miss(V, c, z, self.rows(rows))
            by_z = H @ (V.T * V.dtype.type(self.n_rows))
            return loss + self._size(z)[0], by_z + V.dtype.type(penalty)

        def evaluate(Z):
            done = list(self.each(lambda rows: share(Z, rows), self.slices))
            gradient = np.concatenate([by_z.ravel() for _, by_z in done])
            return float(sum(loss for loss, _ in done)) * self.n_rows, gradient

        def prox(Z, step):
            return np.clip(Z, 0, 1)

        return Block(evaluate, lambda Z: evaluate(Z)[0], prox)

    def rows(self, rows):
        """Return some rows.

        Parameters
        ----------
        rows : slice
            Which.

        Returns
        -------
        x : ndarray of shape (n_rows, n_features)
            Dense, divided by ``unit``.
        """
        x = self.X[rows]
        x = x.toarray() if hasattr(x, "toarray") else x
        return x if self.unit == 1 else x / self.unit

    def code(self, W, b, x):
        """Return the codes of rows, and what their pull-back wants.

        Parameters
        ----------
        W : ndarray of shape (n_components, n_features)
            Weights.
        b : ndarray of shape (n_components,)
            Biases.
        x : ndarray of shape (n_rows, n_features)
            Rows.

        Returns
        -------
        u : Rows
            What the activation was applied to.
        z : ndarray of shape (n_rows, n_components)
            Codes.
        memory : object
            What the activation remembers.
        """
        rows = Rows(x @ W.T, None, False)
        return rows, *self.model.encoder.value(rows, {"alpha": -b})

    def miss(self, V, c, z, x, pull=True):
        """Return what rows that are restored from codes add to the loss.

        Parameters
        ----------
        V : ndarray of shape (n_components, n_features)
            Weights.
        c : ndarray of shape (n_features,)
            Biases.
        z : ndarray of shape (n_rows, n_components)
            Codes.
        x : ndarray of shape (n_rows, n_features)
            Rows.
        pull : bool, default=True
            Whether gradients are wanted.

        Returns
        -------
        loss : float
            Squared error, divided by the number of all rows.
        by_pre : ndarray of shape (n_rows, n_features) or None
            Gradient with respect to ``z V``.
        by_c : ndarray of shape (n_features,) or None
            Gradient with respect to c.
        """
        rows = Rows(z @ V, None, False)
        P, memory = self.model.decoder.value(rows, {"alpha": -c})
        miss = P if self.model.gain == 1 else P * P.dtype.type(self.model.gain)
        miss = miss - x
        loss = float(np.vdot(miss, miss)) / self.n_rows
        if not pull:
            return loss, None, None
        miss *= miss.dtype.type(2 * self.model.gain / self.n_rows)
        H, by_p = self.model.decoder.pull_back(rows, {}, P, memory, miss)
        return loss, H, -by_p["alpha"]

    def _size(self, z):
        """Return the penalty of codes, and their signs, 1 if all are positive."""
        positive = bool(z.min() > 0)  # one look spares two passes of every sigmoid
        total = (z if positive else np.abs(z)).sum(dtype=np.float64)
        sign = 1 if positive else np.sign(z)
        return self.model.penalty / self.n_rows * float(total), sign

    def block(self, share, value):
        """Return a sum over the blocks of rows as a function of one block.

        Parameters
        ----------
        share : callable, (theta, rows) -> (value, matrix, bias)
            Part of a slice of the rows in value and gradient.
        value : callable, (theta, rows) -> float
            Part of a slice in the value.

        Returns
        -------
        block : Block
            Without a prox.
        """

        def evaluate(theta):
            found = self.each(lambda rows: share(theta, rows), self.slices)
            loss, matrix, bias = (sum(of[1:], of[0]) for of in zip(*found, strict=True))
            return float(loss), join(matrix, bias)

        def total(theta):
            return float(sum(self.each(lambda rows: value(theta, rows), self.slices)))

        return Block(evaluate, total)
