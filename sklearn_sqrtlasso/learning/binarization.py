"""Binarization schemes: training of binary encoders, and refits to their bits.

To add a scheme, add a record to ``SCHEMES`` with the activation that replaces the step
in training, and whether codes are learnt first.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from sklearn_sqrtlasso.learning.adam import Adam, Schedule
from sklearn_sqrtlasso.learning.alternating import InnerSolver, minimize_block
from sklearn_sqrtlasso.learning.loop import learn
from sklearn_sqrtlasso.learning.weights_and_penalties import DECAY_SQUARE
from sklearn_sqrtlasso.models.biased_autoencoder import (
    BiasedAutoencoder,
    Objective,
    Parameters,
)
from sklearn_sqrtlasso.models.block import BlockFunction, join_block, split_block
from sklearn_sqrtlasso.models.pointwise import BITS, Pointwise, smoothstep

REFIT = InnerSolver("lbfgs", 100)  # of the decoder, for given bits
ROUNDS = 10  # of flipping single bits and refitting the decoder
FOLLOW = InnerSolver("lbfgs", 15)  # of the decoder, after each round
REGRESSION = InnerSolver("lbfgs", 200)  # of the encoder, on given bits
RIDGE = 1e-3  # of that regression: separable bits have no finite optimum
DRAWN_RATE = 0.02  # learning rate of Adam on both layers, with random bits
DRAWN_ROWS = 100  # rows of each of its batches
MOST_DRAWN, MOST_PASSES = 3000, 300  # its largest numbers of steps and of epochs


class Scheme(NamedTuple):
    """Binarization scheme, and its properties.

    Attributes
    ----------
    activation : callable, (width) -> Pointwise
        Activation that replaces the step in training.
    summary : str
        Description for the documentation.
    middle : float
        Argument at which the activation is one half, in widths.
    free_codes : bool
        Whether the codes of all rows are learnt first, by proximal steps, and then the
        encoder from the codes.
    default_width : float
        Default width.
    """

    activation: Callable[[float], Pointwise]
    summary: str
    middle: float = 0.0
    free_codes: bool = False
    default_width: float = 1.0


SCHEMES: MappingProxyType[str, Scheme] = MappingProxyType(
    {
        "subgradient": Scheme(
            lambda width: BITS,
            "the step itself, with the gradient of the sigmoid",
        ),
        "smoothstep": Scheme(
            smoothstep,
            r":math:`3 q^2 - 2 q^3` with "
            r":math:`q = \mathrm{clip}(v / \text{width}, 0, 1)` in training",
            middle=0.5,
        ),
        "relaxed": Scheme(
            lambda width: BITS,
            "free codes in :math:`[0, 1]` and a decoder are learnt first, until the "
            "loss of the codes binarized at one half stops decreasing; then bits, "
            "decoder and encoder are fitted to each other",
            free_codes=True,
        ),
    }
)


class FreeCodes:
    """Minimise over free codes in [0, 1] and a decoder in turn.

    Parameters
    ----------
    alternation : Alternation
        Source of the decoder, inner methods, memory and curves.
    objective : Objective
        Objective of all rows.
    codes : ndarray of shape (n_samples, n_components)
        Initial codes.
    """

    def __init__(self, alternation, objective, codes):
        self.alternation, self.objective, self.codes = alternation, objective, codes

    def iterate(self):
        """Minimise over codes, then over the decoder; return the mean loss."""
        alternation, decoder = self.alternation, self.alternation.parameters.decoder
        block = self.objective.codes_block(decoder)
        solver = alternation.encoder
        memory = alternation.memory.setdefault("codes", {})
        flat, first = minimize_block(block, self.codes.ravel(), solver, memory)
        self.codes = flat.reshape(self.codes.shape)
        block = self.objective.decoder_block(self.codes)
        decoder, second = minimize_block(
            block, decoder, alternation.decoder, alternation.memory["decoder"]
        )
        alternation.parameters = alternation.parameters._replace(decoder=decoder)
        alternation.record(first / self.objective.n_rows, second)
        return second

    def run(self, stopping, report):
        """Minimise until the binarized loss stops decreasing; return the history."""
        return learn(
            lambda n_iter: self.iterate(),
            self.state,
            self.restore,
            stopping,
            report,
            validate=self.binarized,
        )

    def binarized(self):
        """Return the mean loss of the binarized codes."""
        block = self.objective.decoder_block(binarize(self.codes))
        return block.value(self.alternation.parameters.decoder)

    def state(self):
        """Return a copy of everything that an iteration changes."""
        return self.alternation.state(), self.codes

    def restore(self, state):
        """Restore a copy returned by ``state``."""
        self.alternation.restore(state[0])
        self.codes = state[1]


def binarize(codes):
    """Return 1 where a code in [0, 1] is above one half, else 0."""
    return (codes > 0.5).astype(codes.dtype)


def regress_bits(model: BiasedAutoencoder, objective: Objective, bits, encoder):
    r"""Return an encoder that predicts bits by one logistic regression per bit.

    .. math::
        \min_{W, b} \frac1N \sum_{b, i}
        \log(1 + e^{-(2 h_{bi} - 1)(w_i^\top x_b + b_i)}) + \frac\rho2 \|W\|_F^2

    Parameters
    ----------
    model : BiasedAutoencoder
        Model of the given shape.
    objective : Objective
        Objective with the rows.
    bits : ndarray of shape (n_samples, n_components)
        Zeros and ones.
    encoder : ndarray
        Starting point.

    Returns
    -------
    encoder : ndarray
        W and b.
    """
    signs, n_rows = 2 * bits - 1, len(bits)

    def share(theta, rows):
        W, b = split_block(theta, model.shape)
        x = objective.rows(rows)
        margin = signs[rows] * (x @ W.T + b)
        loss = float(np.logaddexp(0, -margin).sum(dtype=np.float64)) / n_rows
        G = -signs[rows] * expit(-margin) * theta.dtype.type(1 / n_rows)
        return loss, G.T @ x, G.sum(axis=0)

    plain = objective.block(share, None).evaluate

    def evaluate(theta):
        loss, gradient = plain(theta)
        W, _ = split_block(theta, model.shape)
        gradient[: W.size] += theta.dtype.type(RIDGE) * W.ravel()
        return loss + 0.5 * RIDGE * float(np.vdot(W, W)), gradient

    block = BlockFunction(evaluate, lambda theta: evaluate(theta)[0])
    return minimize_block(block, encoder, REGRESSION, {})[0]


def flip_bits(objective: Objective, bits, decoder):
    """Flip the bits of each row, one after the other, where that lowers the loss.

    Parameters
    ----------
    objective : Objective
        Objective with the rows and the model.
    bits : ndarray of shape (n_samples, n_components)
        Zeros and ones.
    decoder : ndarray
        V and c.

    Returns
    -------
    bits : ndarray of shape (n_samples, n_components)
        Bits whose loss is not larger.
    """
    model = objective.model
    (V, c), penalty = split_block(decoder, model.shape), model.penalty

    def losses(pre, x):
        P = model.decoder.value(pre, c)[0]
        residual = P * P.dtype.type(model.gain) - x
        return np.einsum("ij,ij->i", residual, residual)

    def share(rows):
        z, x = bits[rows].copy(), objective.rows(rows)
        pre = z @ V
        loss = losses(pre, x)
        for k in range(z.shape[1]):
            turn = 1 - 2 * z[:, k]
            other = pre + turn[:, None] * V[k]
            changed = losses(other, x)
            better = changed + penalty * turn < loss
            z[better, k] += turn[better]
            pre[better], loss[better] = other[better], changed[better]
        return z

    return np.concatenate(list(objective.pmap(share, objective.slices)))


def refit_decoder(objective: Objective, Z, decoder):
    """Refit the decoder to given codes; return it and its loss.

    Parameters
    ----------
    objective : Objective
        Objective with the rows.
    Z : ndarray of shape (n_samples, n_components)
        Codes.
    decoder : ndarray
        Starting point.

    Returns
    -------
    decoder : ndarray
        Best decoder evaluated.
    loss : float
        Mean loss.
    """
    return minimize_block(objective.decoder_block(Z), decoder, REFIT, {})


def draw_bits(objective: Objective, parameters: Parameters, rng):
    """Train both layers with random bits, 1 with the probability of a sigmoid.

    The gradient of the encoder is that of the sigmoid (straight-through estimator):
    Bengio, Léonard and Courville, "Estimating or propagating gradients through
    stochastic neurons", 2013.

    Parameters
    ----------
    objective : Objective
        Objective with the rows and the model.
    parameters : Parameters
        Initial parameters.
    rng : numpy.random.Generator
        Source of rows and bits.

    Returns
    -------
    parameters : Parameters
        Parameters after steps of Adam on ``DRAWN_ROWS`` rows each.
    """
    n_batches = -(-objective.n_rows // DRAWN_ROWS)
    n_steps = min(MOST_DRAWN, MOST_PASSES * n_batches)
    schedule = Schedule(DRAWN_RATE, n_steps)
    model, size = objective.model, parameters.encoder.size
    theta = np.concatenate(parameters)
    (W, b), (V, c) = (split_block(of, model.shape) for of in np.split(theta, [size]))
    adam = Adam(theta, None, decay_square=DECAY_SQUARE)
    for n in range(1, n_steps + 1):
        x = objective.rows(rng.integers(objective.n_rows, size=DRAWN_ROWS))
        q = expit(x @ W.T + b)
        z = (rng.random(q.shape) < q).astype(q.dtype)
        _, H, by_c = Objective(model, x).residual(V, c, z, x)
        G = (H @ V.T + q.dtype.type(model.penalty / DRAWN_ROWS)) * q * (1 - q)
        gradient = np.concatenate(
            [join_block(G.T @ x, G.sum(axis=0)), join_block(z.T @ H, by_c)]
        )
        adam.step(theta, gradient, schedule.at(n))
    return Parameters(theta[:size], theta[size:])


def refit_bits(objective: Objective, parameters: Parameters, codes, rng):
    """Binarize codes, and refit both layers to the bits.

    Parameters
    ----------
    objective : Objective
        Objective with the rows, of the model with a binary encoder.
    parameters : Parameters
        Parameters of that model.
    codes : ndarray of shape (n_samples, n_components) or None
        Free codes, which the encoder is regressed on; None uses the bits of the
        encoder.
    rng : numpy.random.Generator
        Source of random bits.

    Returns
    -------
    parameters : Parameters
        Parameters with the decoder refitted to the bits of the encoder.
    losses : dict of str to float
        Mean loss after each stage: "continuous" codes, "binarized" codes, decoder
        "refitted" to the bits, bits "flipped" one by one, encoder "regressed" on them,
        and final "encoded" bits.
    """
    encoder, decoder = parameters
    if codes is None:
        bits = objective.codes(encoder)
        losses = {"binarized": objective.decoder_block(bits).value(decoder)}
        decoder, losses["encoded"] = refit_decoder(objective, bits, decoder)
        return Parameters(encoder, decoder), losses
    bits, decoder, losses = _free_bits(objective, codes, decoder)
    encoder = regress_bits(objective.model, objective, bits, encoder)
    decoder, losses["regressed"] = refit_decoder(
        objective, objective.codes(encoder), decoder
    )
    regressed = Parameters(encoder, decoder)
    encoder, decoder = draw_bits(objective, regressed, rng)
    decoder, losses["encoded"] = refit_decoder(
        objective, objective.codes(encoder), decoder
    )
    if losses["encoded"] < losses["regressed"]:
        return Parameters(encoder, decoder), losses
    return regressed, losses | {"encoded": losses["regressed"]}


def _free_bits(objective, codes, decoder):
    """Minimise over bits and decoder in turn; return both and the losses."""
    bits = binarize(codes)
    losses = {
        "continuous": objective.decoder_block(codes).value(decoder),
        "binarized": objective.decoder_block(bits).value(decoder),
    }
    decoder, losses["refitted"] = refit_decoder(objective, bits, decoder)
    for _ in range(ROUNDS):
        before, bits = bits, flip_bits(objective, bits, decoder)
        block = objective.decoder_block(bits)
        decoder, losses["flipped"] = minimize_block(block, decoder, FOLLOW, {})
        if np.array_equal(bits, before):
            break
    return bits, decoder, losses
