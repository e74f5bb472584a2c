"""Loss of sparse rows in a biased autoencoder with a linear decoder, by nonzeros.

The bias is one more atom, of which all codes have one: with ``V1 = [V; c]``, which is
how a decoder is stored, and ``z1 = [z, 1]``, the decoded row is ``z1 V1``.
"""

from typing import NamedTuple

import numpy as np
from sklearn.utils import gen_batches

from sklearn_sqrtlasso.blockwise.blocks import rows_per_block
from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows, added, over_chunks
from sklearn_sqrtlasso.blockwise.linalg import entries_per_row
from sklearn_sqrtlasso.blockwise.sparse_units import (
    SparseTargets,
    add_units,
    is_mostly_zero,
    project_units,
)
from sklearn_sqrtlasso.models.biased_autoencoder import (
    BiasedAutoencoder,
    Objective,
    Parameters,
)
from sklearn_sqrtlasso.models.block import BlockFunction, split_block
from sklearn_sqrtlasso.models.linear_decoder import CodeMoments, with_one

MANY_UNITS = 2  # times as many units as rows, for which products are dense


def objective_of(model: BiasedAutoencoder, X, pmap=map, unit=1.0):
    """Return the mean loss of rows, by dense or by sparse products.

    Parameters
    ----------
    model, X, pmap, unit
        As for ``Objective``.

    Returns
    -------
    objective : Objective
        A ``SparseObjective`` where that costs less.
    """
    if isinstance(X, ChunkedRows):
        return ChunkedObjective(model, X, pmap, unit)
    linear = model.decoder.is_linear and model.gain == 1
    few_units = model.shape[0] <= MANY_UNITS * X.shape[0]
    sparse = linear and few_units and is_mostly_zero(X)
    return (SparseObjective if sparse else Objective)(model, X, pmap, unit)


class Terms(NamedTuple):
    """Value and gradient of a loss, summed over rows."""

    value: float
    gradient: np.ndarray


def _times(n_rows, value, gradient):
    return Terms(value * n_rows, gradient * gradient.dtype.type(n_rows))


@over_chunks(added)
def _encoder_terms(X, model, unit, parameters, smooth):
    objective = objective_of(model, X, unit=unit)
    block = objective.encoder_block(parameters.decoder, smooth=smooth)
    return _times(X.shape[0], *block.evaluate(parameters.encoder))


@over_chunks(added)
def _decoder_terms(X, model, unit, parameters):
    objective = objective_of(model, X, unit=unit)
    block = objective.decoder_block(objective.codes(parameters.encoder))
    return _times(X.shape[0], *block.evaluate(parameters.decoder))


@over_chunks(np.add)
def _value(X, model, unit, parameters):
    return objective_of(model, X, unit=unit).value(parameters) * X.shape[0]


class ChunkedObjective:
    """Mean loss of chunked rows, whose codes are computed in each evaluation.

    Its methods are those of ``Objective``.

    Parameters
    ----------
    model, X, pmap, unit
        As for ``Objective``.
    """

    def __init__(self, model: BiasedAutoencoder, X, pmap=map, unit=1.0):
        self.X, self.given, self.pmap = X, (model, unit), pmap
        self.n_rows = X.shape[0]

    def value(self, parameters: Parameters):
        """Return the mean loss."""
        return float(_value(self.X, *self.given, parameters) / self.n_rows)

    def encoder_block(self, decoder, *, smooth=True):
        """Return the loss as a function of the encoder, which stands for the codes."""

        def evaluate(encoder):
            parameters = Parameters(encoder, decoder)
            return self._mean(_encoder_terms(self.X, *self.given, parameters, smooth))

        def value(encoder):
            return self.value(Parameters(encoder, decoder))

        return BlockFunction(evaluate, value, codes=lambda of: of, pmap=self.pmap)

    def decoder_block(self, encoder):
        """Return the loss as a function of the decoder, for codes of an encoder."""

        def evaluate(decoder):
            parameters = Parameters(encoder, decoder)
            return self._mean(_decoder_terms(self.X, *self.given, parameters))

        def value(decoder):
            return self.value(Parameters(encoder, decoder))

        return BlockFunction(evaluate, value, pmap=self.pmap)

    def _mean(self, terms):
        value, gradient = terms
        return float(value / self.n_rows), gradient / gradient.dtype.type(self.n_rows)


class SparseObjective(Objective):
    """Mean loss of sparse rows that are decoded by a linear map.

    Parameters
    ----------
    model, X, pmap, unit
        As for ``Objective``.
    """

    def __init__(self, model: BiasedAutoencoder, X, pmap=map, unit=1.0):
        super().__init__(model, X, pmap, unit)
        width = entries_per_row(X)
        size = rows_per_block(2 * model.shape[0], width, X.dtype.itemsize)
        self.batches = list(gen_batches(self.n_rows, size))

    def codes(self, encoder):
        """Return the codes of all rows."""
        coded = [self._coded(encoder, self._sparse(rows))[0] for rows in self.batches]
        return np.concatenate(coded)

    def encoder_block(self, decoder, *, smooth=True):
        """Return the loss as a function of the encoder."""
        targets = self._targets(decoder)
        by_code = self.model.penalty / self.n_rows if smooth else 0.0

        def add(encoder, rows, of, gradient):
            by_W, by_b = split_block(gradient, self.model.shape)
            z, memory = self._coded(encoder, of.x)
            errors, slopes = of.errors(with_one(z))
            G = slopes[:, :-1] * z.dtype.type(2 / self.n_rows)
            size, sign = self._size(z)
            if by_code:
                G += sign * z.dtype.type(by_code)
            H, more = self.model.encoder.pull_back(z, memory, G)
            add_units(of.x, H, by_W, self.pmap)
            by_b += more
            return float(errors.sum()) / self.n_rows + size

        def evaluate(encoder):
            gradient = np.zeros_like(encoder)
            pairs = zip(self.batches, targets, strict=True)
            return sum(add(encoder, *pair, gradient) for pair in pairs), gradient

        def value(encoder):
            nonlocal coded
            coded, total = encoder, 0.0
            for rows, of in zip(self.batches, targets, strict=True):
                z = self._coded(encoder, of.x)[0]
                errors, Z[rows] = of.errors(with_one(z))[0], z
                total += float(errors.sum()) / self.n_rows + self._size(z)[0]
            return total

        def codes(encoder):
            return Z if coded is encoder else self.codes(encoder)

        Z = np.empty((self.n_rows, self.model.shape[0]), self.X.dtype)
        coded = None  # the encoder whose codes are in Z: the last one evaluated
        return BlockFunction(evaluate, value, codes=codes, pmap=self.pmap)

    def _moments(self, Z):
        z = with_one(Z)
        cross, squares = np.zeros((z.shape[1], self.model.shape[1]), z.dtype), 0.0
        for rows in self.batches:
            x = self._sparse(rows)
            add_units(x, z[rows], cross, self.pmap)
            squares += float(np.sum(x.data.astype(np.float64) ** 2))
        return CodeMoments(z.T @ z, cross, squares, self.n_rows)

    def _is_quadratic(self):
        return True

    def codes_block(self, decoder):
        """Return the loss as a function of free codes."""
        targets, penalty = self._targets(decoder), self.model.penalty

        def evaluate(Z):
            z, total = Z.reshape(self.n_rows, -1), 0.0
            gradient = np.empty_like(z)
            for rows, of in zip(self.batches, targets, strict=True):
                errors, slopes = of.errors(with_one(z[rows]))
                total += float(errors.sum()) + self.n_rows * self._size(z[rows])[0]
                gradient[rows] = 2 * slopes[:, :-1] + z.dtype.type(penalty)
            return total, gradient.ravel()

        def prox(Z, step):
            return np.clip(Z, 0, 1)

        return BlockFunction(evaluate, lambda Z: evaluate(Z)[0], prox)

    def penalty_slope(self, encoder):
        """Return the gradient of the penalty of positive codes."""
        gradient = np.zeros_like(encoder)
        by_W, by_b = split_block(gradient, self.model.shape)
        for x in map(self._sparse, self.batches):
            z, memory = self._coded(encoder, x)
            by_code = np.full_like(z, self.model.penalty / self.n_rows)
            H, more = self.model.encoder.pull_back(z, memory, by_code)
            add_units(x, H, by_W, self.pmap)
            by_b += more
        return gradient

    def _sparse(self, rows):
        """Return a slice of the rows, divided by the unit."""
        x = self.X[rows]
        return x if self.unit == 1 else x / self.unit

    def _coded(self, encoder, x):
        W, b = split_block(encoder, self.model.shape)
        return self.model.encoder.value(project_units(x, W, self.pmap), b)

    def _targets(self, decoder):
        V = decoder.reshape(-1, self.model.shape[1])
        gram = V @ V.T
        slices = map(self._sparse, self.batches)
        return [SparseTargets(x, V, gram, self.pmap) for x in slices]
