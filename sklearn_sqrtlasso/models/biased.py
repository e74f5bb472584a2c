"""Two layers with biases, as two blocks of parameters: loss and gradient of each."""

from typing import NamedTuple

import numpy as np
from sklearn.utils import gen_batches

from sklearn_sqrtlasso.kernels.sigmoid import size_of
from sklearn_sqrtlasso.models.activations import Activation, Rows
from sklearn_sqrtlasso.models.block import Block, part, summed
from sklearn_sqrtlasso.solvers.rows import N_PARTS, rows_per_block


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
        n_components, n_features = model.shape  # with codes goes their gradient
        size = rows_per_block(2 * n_components, n_features, X.dtype.itemsize)
        self.slices = list(gen_batches(self.n_rows, size))
        length = -(-len(self.slices) // N_PARTS)
        self.parts = [
            self.slices[at : at + length] for at in range(0, len(self.slices), length)
        ]
        self.last = None, None  # encoder whose value was asked for last, and codes

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
        if self.last[0] is encoder:
            return self.last[1]
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
            x, z = self.rows(rows), Z[rows]
            z[:] = self.code(*part(encoder, self.model.shape), x)[1]
            return self.miss(V, c, z, x, pull=False)[0] + self._size(z)[0]

        def total(encoder):
            found = block.value(encoder)
            self.last = encoder, Z  # the decoder's turn begins with them
            return found

        Z = np.empty((self.n_rows, self.model.shape[0]), self.X.dtype)
        block = self.block(share, value)
        return block._replace(value=total)

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
        total, n_others = size_of(z)
        sign = np.sign(z) if n_others else 1  # spares two passes of every sigmoid
        return self.model.penalty / self.n_rows * total, sign

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
        return summed(share, value, self.each, self.parts)
