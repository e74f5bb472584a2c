"""Autoencoder with biases: loss and gradient as functions of either layer."""

from functools import reduce
from typing import NamedTuple

import numpy as np
from sklearn.utils import gen_batches

from sklearn_sqrtlasso.algorithms.sigmoid import l1_norm
from sklearn_sqrtlasso.blockwise.blocks import N_PARTS, rows_per_block
from sklearn_sqrtlasso.blockwise.linalg import dense_rows, scaled
from sklearn_sqrtlasso.models.block import (
    BlockFunction,
    join_block,
    split_block,
    sum_over_rows,
)
from sklearn_sqrtlasso.models.linear_decoder import CodeMoments, moments_of_codes
from sklearn_sqrtlasso.models.pointwise import Pointwise

MIN_SHARE = 2**20  # multiplications of a layer, from twice as many on rows are split
# Relative to the rows: codes are zero well below it; float32 holds squared gradients.
LARGEST_PENALTY = 1e15


class BiasedAutoencoder(NamedTuple):
    """Fixed properties of the model.

    Attributes
    ----------
    shape : tuple of int
        (n_components, n_features).
    encoder, decoder : Pointwise
        Activations of the two layers.
    penalty : float
        Penalty on the l1 norm of a code.
    gain : float
        Factor of the decoder's activation; 1 unless rows are rescaled.
    """

    shape: tuple[int, int]
    encoder: Pointwise
    decoder: Pointwise
    penalty: float
    gain: float = 1.0


class Parameters(NamedTuple):
    """The two parameter blocks; each is a matrix and then a bias, in one flat array.

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
    r"""Mean loss of given rows, as a function of each parameter block.

    .. math::
        \frac1N \sum_b \|g\,\rho(V^\top z_b + c) - x_b\|_2^2 + \lambda \|z_b\|_1 ,
        \qquad z_b = \sigma(W x_b + b)

    It is summed over row blocks that fit into the cache, in a fixed order, so that it
    does not depend on the number of threads.

    Parameters
    ----------
    model : BiasedAutoencoder
        The model.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.
    pmap : callable, (function, items) -> iterable of results in order
        ``map``, or ``thread_map``.
    unit : float, default=1.0
        Unit of scaling that rows are divided by.
    """

    def __init__(self, model: BiasedAutoencoder, X, pmap=map, unit=1.0):
        self.model, self.X, self.pmap, self.unit = model, X, pmap, X.dtype.type(unit)
        self.n_rows = X.shape[0]
        n_components, n_features = model.shape  # twice: codes and their gradient
        size = rows_per_block(2 * n_components, n_features, X.dtype.itemsize)
        least = -(-MIN_SHARE // (n_components * n_features))
        size = min(size, max(least, -(-self.n_rows // 2)))  # at least two, for threads
        self.slices = list(gen_batches(self.n_rows, size))
        length = -(-len(self.slices) // N_PARTS)
        self.parts = [
            self.slices[at : at + length] for at in range(0, len(self.slices), length)
        ]

    def value(self, parameters: Parameters):
        """Return the mean loss.

        Parameters
        ----------
        parameters : Parameters
            Both parameter blocks.

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
        W, b = split_block(encoder, self.model.shape)
        rows = self.pmap(lambda s: self.code(W, b, self.rows(s))[0], self.slices)
        return np.concatenate(list(rows))

    def encoder_block(self, decoder, *, smooth=True):
        """Return the loss as a function of the encoder.

        Parameters
        ----------
        decoder : ndarray
            V and c.
        smooth : bool, default=True
            Whether the gradient includes that of the penalty.

        Returns
        -------
        block : BlockFunction
            The loss, without a proximal map.
        """
        V, c = split_block(decoder, self.model.shape)
        by_code = self.model.penalty / self.n_rows if smooth else 0.0

        def share(encoder, rows):
            x = self.rows(rows)
            W, b = split_block(encoder, self.model.shape)
            z, memory = self.code(W, b, x)
            loss, H, _ = self.residual(V, c, z, x)
            G = H @ V.T
            size, sign = self._size(z)
            if by_code:
                G += sign * G.dtype.type(by_code)
            H, by_b = self.model.encoder.pull_back(z, memory, G)
            return loss + size, H.T @ x, by_b

        def value(encoder, rows):
            x, z = self.rows(rows), Z[rows]
            z[:] = self.code(*split_block(encoder, self.model.shape), x)[0]
            return self.residual(V, c, z, x, gradient=False)[0] + self._size(z)[0]

        def total(encoder):
            nonlocal coded
            coded = encoder
            return block.value(encoder)

        def codes(encoder):
            return Z if coded is encoder else self.codes(encoder)

        Z = np.empty((self.n_rows, self.model.shape[0]), self.X.dtype)
        coded = None  # the encoder whose codes are in Z: the last one evaluated
        block = self.block(share, value)
        return block._replace(value=total, codes=codes)

    def decoder_block(self, Z):
        """Return the loss as a function of the decoder.

        Parameters
        ----------
        Z : ndarray of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        block : BlockFunction
            The loss, without a proximal map.
        """
        # Summed as in the encoder block: rounding does not increase the loss.
        sizes = {rows.start: self._size(Z[rows])[0] for rows in self.slices}
        by_rows = self._decoder_block_by_rows(Z, sizes)
        if not self._is_quadratic():
            return by_rows
        moments, penalty = self._moments(Z), sum(sizes.values())
        return moments.block(penalty, by_rows.value, self.pmap)

    def _is_quadratic(self):
        """Return whether moments of the codes tell the loss of all decoders, sooner.

        Their products cost as much as those of a step or two with the rows.
        """
        linear = self.model.decoder.is_linear and self.model.gain == 1
        return linear and self.n_rows >= self.model.shape[0]

    def _moments(self, Z):
        def add(slices):
            found = (moments_of_codes(Z[rows], self.rows(rows)) for rows in slices)
            return reduce(CodeMoments.plus, found)

        return reduce(CodeMoments.plus, self.pmap(add, self.parts))

    def _decoder_block_by_rows(self, Z, sizes):
        def share(decoder, rows):
            z, (V, c) = Z[rows], split_block(decoder, self.model.shape)
            loss, H, by_c = self.residual(V, c, z, self.rows(rows))
            return loss + sizes[rows.start], z.T @ H, by_c

        def value(decoder, rows):
            V, c = split_block(decoder, self.model.shape)
            x = self.rows(rows)
            loss = self.residual(V, c, Z[rows], x, gradient=False)[0]
            return loss + sizes[rows.start]

        return self.block(share, value)

    def codes_block(self, decoder):
        """Return the loss, times the number of rows, as a function of free codes.

        Codes are one flat array in [0, 1], where the penalty is linear and part of the
        gradient: a proximal step is ``clip(v - step * (slope + penalty), 0, 1)``.

        Parameters
        ----------
        decoder : ndarray
            V and c.

        Returns
        -------
        block : BlockFunction
            The loss, as a sum over the rows.
        """
        V, c = split_block(decoder, self.model.shape)
        n_components, penalty = self.model.shape[0], self.model.penalty

        def share(Z, rows):
            z = Z.reshape(-1, n_components)[rows]
            loss, H, _ = self.residual(V, c, z, self.rows(rows))
            by_z = H @ (V.T * V.dtype.type(self.n_rows))
            return loss + self._size(z)[0], by_z + V.dtype.type(penalty)

        def evaluate(Z):
            done = list(self.pmap(lambda rows: share(Z, rows), self.slices))
            gradient = np.concatenate([by_z.ravel() for _, by_z in done])
            return float(sum(loss for loss, _ in done)) * self.n_rows, gradient

        def prox(Z, step):
            return np.clip(Z, 0, 1)

        return BlockFunction(evaluate, lambda Z: evaluate(Z)[0], prox)

    def penalty_slope(self, encoder):
        """Return the gradient of the penalty of positive codes.

        Parameters
        ----------
        encoder : ndarray
            W and b.

        Returns
        -------
        gradient : ndarray
            In the order of the encoder.
        """
        by_code = self.model.penalty / self.n_rows

        def share(encoder, rows):
            x = self.rows(rows)
            z, memory = self.code(*split_block(encoder, self.model.shape), x)
            H, by_b = self.model.encoder.pull_back(z, memory, np.full_like(z, by_code))
            return 0.0, H.T @ x, by_b

        return self.block(share, None).evaluate(encoder)[1]

    def rows(self, rows):
        """Return a slice of the rows.

        Parameters
        ----------
        rows : slice
            Indices of the rows.

        Returns
        -------
        x : ndarray of shape (n_rows, n_features)
            Dense rows, divided by ``unit``.
        """
        x = dense_rows(self.X[rows])
        return x if self.unit == 1 else x / self.unit

    def code(self, W, b, x):
        """Return the codes of rows, and values that the pull-back needs.

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
        z : ndarray of shape (n_rows, n_components)
            Codes.
        memory : object
            Argument of the pull-back of the activation.
        """
        return self.model.encoder.value(x @ W.T, b)

    def residual(self, V, c, z, x, gradient=True):
        """Return the squared error of rows decoded from codes, and its gradient.

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
        gradient : bool, default=True
            Whether to compute gradients.

        Returns
        -------
        loss : float
            Squared error, divided by the number of all rows.
        by_pre : ndarray of shape (n_rows, n_features) or None
            Gradient with respect to ``z V``.
        by_c : ndarray of shape (n_features,) or None
            Gradient with respect to c.
        """
        P, memory = self.model.decoder.value(z @ V, c)
        residual = P if self.model.gain == 1 else P * P.dtype.type(self.model.gain)
        residual = residual - x
        loss = float(np.vdot(residual, residual)) / self.n_rows
        if not gradient:
            return loss, None, None
        residual *= residual.dtype.type(2 * self.model.gain / self.n_rows)
        return loss, *self.model.decoder.pull_back(P, memory, residual)

    def _size(self, z):
        """Return the penalty of codes, and their signs; 1 if all are positive."""
        total, n_others = l1_norm(z)
        sign = np.sign(z) if n_others else 1  # saves two passes for sigmoid codes
        return self.model.penalty / self.n_rows * total, sign

    def block(self, share, value):
        """Return a sum over row blocks as a function of one parameter block.

        Parameters
        ----------
        share : callable, (theta, rows) -> (value, matrix, bias)
            Contribution of a slice of the rows to value and gradient.
        value : callable, (theta, rows) -> float
            Contribution of a slice of the rows to the value.

        Returns
        -------
        block : BlockFunction
            The sum, without a proximal map.
        """
        return sum_over_rows(share, value, self.pmap, self.parts)


def powers_of_unit(model: BiasedAutoencoder):
    """Return the powers of the unit of scaling with which W, b, V and c scale.

    Parameters
    ----------
    model : BiasedAutoencoder
        The model.

    Returns
    -------
    powers : tuple of int
        Powers of W, b, V and c.
    """
    inner, outer = int(model.encoder.scales), int(model.decoder.scales)
    return inner - 1, inner, outer - inner, outer


def rescale_parameters(model: BiasedAutoencoder, parameters: Parameters, unit):
    """Return parameters for rows multiplied by ``unit``.

    Parameters
    ----------
    model : BiasedAutoencoder
        The model.
    parameters : Parameters
        Parameters for rows ``X``.
    unit : float
        Positive factor.

    Returns
    -------
    parameters : Parameters
        Equivalent parameters for rows ``X * unit``, in units of these rows; infinite
        where they are out of the range of their dtype.
    """
    layers = (split_block(block, model.shape) for block in parameters)
    return join_rescaled(model, layers, unit)


def join_rescaled(model: BiasedAutoencoder, layers, unit):
    """Return parameters of layers for rows multiplied by ``unit``, one after the other.

    Parameters
    ----------
    model : BiasedAutoencoder
        The model.
    layers : iterable of (matrix, bias)
        Encoder and decoder for rows ``X``.
    unit : float
        Positive factor.

    Returns
    -------
    parameters : Parameters
        As of ``rescale_parameters``.
    """
    powers = powers_of_unit(model)
    pairs = zip(layers, (powers[:2], powers[2:]), strict=True)
    return Parameters(
        *(
            join_block(*(scaled(of, unit**n) for of, n in zip(layer, by, strict=True)))
            for layer, by in pairs
        )
    )


def shift_biases(model: BiasedAutoencoder, parameters: Parameters, shift):
    """Return parameters with a number added to all biases of the encoder.

    Parameters
    ----------
    model : BiasedAutoencoder
        The model.
    parameters : Parameters
        Its parameters.
    shift : float
        The number.

    Returns
    -------
    parameters : Parameters
        The parameters.
    """
    W, b = split_block(parameters.encoder, model.shape)
    return parameters._replace(encoder=join_block(W, b + b.dtype.type(shift)))


def rescale_model(model: BiasedAutoencoder, unit):
    """Return the equivalent model for rows divided by ``unit``.

    Parameters
    ----------
    model : BiasedAutoencoder
        Model of rows that are not rescaled.
    unit : float
        Positive divisor, at least 1 if the output of the decoder is a pure number.

    Returns
    -------
    model : BiasedAutoencoder
        Model whose objective is that of ``model``, divided by ``unit`` squared.
    """
    penalty = model.penalty / unit / (1.0 if model.encoder.scales else unit)
    gain = model.gain if model.decoder.scales else model.gain / unit
    return model._replace(penalty=min(penalty, LARGEST_PENALTY), gain=gain)
