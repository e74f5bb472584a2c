"""Train binary encoders by three schemes, and refit both layers to their bits.

To add a scheme, name it in a row of ``SCHEMES``: what stands for the step while
learning, and whether codes are learnt first.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from sklearn_sqrtlasso.kernels.adam import adam_step
from sklearn_sqrtlasso.learning.adam import DECAY_SQUARE, Schedule
from sklearn_sqrtlasso.learning.alternating import InnerSolver, minimise_block
from sklearn_sqrtlasso.learning.loop import learn
from sklearn_sqrtlasso.models.biased_autoencoder import (
    BiasedAutoencoder,
    Objective,
    Parameters,
)
from sklearn_sqrtlasso.models.block import BlockFunction, join_block, split_block
from sklearn_sqrtlasso.models.pointwise import BITS, Pointwise, smoothstep

REFIT = InnerSolver("lbfgs", 100)  # of the decoder, for given bits
ROUNDS = 10  # of single bits that change their mind, and a decoder that follows
FOLLOW = InnerSolver("lbfgs", 15)
REGRESSION = InnerSolver("lbfgs", 200)  # of the encoder, on given bits
RIDGE = 1e-3  # of that regression: separable bits have no finite optimum
DRAWN_RATE = 0.02  # of Adam on both layers, with bits that are drawn
DRAWN_ROWS = 100  # of one of its steps
MOST_DRAWN, MOST_PASSES = 3000, 300  # steps, and passes over the rows, of it


class Scheme(NamedTuple):
    """A binarisation scheme, and its facts.

    Attributes
    ----------
    activation : callable, (width) -> Pointwise
        What stands for the step while learning.
    summary : str
        What it does, for the documentation.
    middle : float
        Where the activation is one half, in widths.
    free_codes : bool
        Whether a code for each row is learnt first, by proximal steps on all rows at
        once, and the encoder from the codes.
    default_width : float
        The width unless it is given.
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
            "the step itself, that learns by the slope of the sigmoid",
        ),
        "smoothstep": Scheme(
            smoothstep,
            r":math:`3 q^2 - 2 q^3` with "
            r":math:`q = \mathrm{clip}(v / \text{width}, 0, 1)` while learning",
            middle=0.5,
        ),
        "relaxed": Scheme(
            lambda width: BITS,
            "a code in :math:`[0, 1]` for each row and a decoder are learnt first, as "
            "long as they do better once binarised at one half; then bits, decoder and "
            "encoder are fitted to each other",
            free_codes=True,
        ),
    }
)


class FreeCodes:
    """Minimise over free codes in [0, 1] and a decoder in turns.

    Parameters
    ----------
    alternation : Alternation
        Of encoder and decoder; its decoder, methods, memory and curves are used.
    objective : Objective
        All rows.
    codes : ndarray of shape (n_samples, n_components)
        Where to begin.
    """

    def __init__(self, alternation, objective, codes):
        self.alternation, self.objective, self.codes = alternation, objective, codes

    def iterate(self):
        """Improve codes, then decoder; return the mean loss."""
        alternation, decoder = self.alternation, self.alternation.parameters.decoder
        block = self.objective.codes_block(decoder)
        solver = alternation.encoder
        memory = alternation.memory.setdefault("codes", {})
        flat, first = minimise_block(block, self.codes.ravel(), solver, memory)
        self.codes = flat.reshape(self.codes.shape)
        block = self.objective.decoder_block(self.codes)
        decoder, second = minimise_block(
            block, decoder, alternation.decoder, alternation.memory["decoder"]
        )
        alternation.parameters = alternation.parameters._replace(decoder=decoder)
        alternation.record(first / self.objective.n_rows, second)
        return second

    def run(self, stopping, report):
        """Minimise until the codes do no better as bits; return the history."""
        return learn(
            lambda n_iter: self.iterate(),
            self.state,
            self.restore,
            stopping,
            report,
            validate=self.binarised,
        )

    def binarised(self):
        """Return the mean loss that the codes would have as bits."""
        block = self.objective.decoder_block(binarise(self.codes))
        return block.value(self.alternation.parameters.decoder)

    def state(self):
        """Return a copy of all that an iteration changes."""
        return self.alternation.state(), self.codes

    def restore(self, state):
        """Go back to what ``state`` returned."""
        self.alternation.restore(state[0])
        self.codes = state[1]


def binarise(codes):
    """Return 1 where a code in [0, 1] is above one half, else 0."""
    return (codes > 0.5).astype(codes.dtype)


def regress_bits(model: BiasedAutoencoder, objective: Objective, bits, encoder):
    r"""Return the encoder that tells given bits from rows: logistic, one for each bit.

    .. math::
        \min_{W, b} \frac1N \sum_{b, i}
        \log(1 + e^{-(2 h_{bi} - 1)(w_i^\top x_b + b_i)}) + \frac\rho2 \|W\|_F^2

    Parameters
    ----------
    model : BiasedAutoencoder
        Gives the shape.
    objective : Objective
        Holds the rows.
    bits : ndarray of shape (n_samples, n_components)
        Zeros and ones.
    encoder : ndarray
        Where to begin.

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
    return minimise_block(block, encoder, REGRESSION, {})[0]


def flip_bits(objective: Objective, bits, decoder):
    """Change each bit of each row, one after the other, where that lowers the loss.

    Parameters
    ----------
    objective : Objective
        Holds rows and model.
    bits : ndarray of shape (n_samples, n_components)
        Zeros and ones.
    decoder : ndarray
        V and c.

    Returns
    -------
    bits : ndarray of shape (n_samples, n_components)
        Of a loss that is no larger.
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


def refit(objective: Objective, Z, decoder):
    """Return the decoder of least loss on given codes, and that loss.

    Parameters
    ----------
    objective : Objective
        Holds the rows.
    Z : ndarray of shape (n_samples, n_components)
        Codes.
    decoder : ndarray
        Where to begin.

    Returns
    -------
    decoder : ndarray
        The best seen.
    loss : float
        Mean loss.
    """
    return minimise_block(objective.decoder_block(Z), decoder, REFIT, {})


def draw_bits(objective: Objective, parameters: Parameters, rng):
    """Learn both layers while bits are drawn: 1 with the probability of a sigmoid.

    Chance tells what another bit would have done, and the slope of the sigmoid passes
    it on to the encoder: Bengio, Léonard and Courville, "Estimating or propagating
    gradients through stochastic neurons", 2013.

    Parameters
    ----------
    objective : Objective
        Holds rows and model.
    parameters : Parameters
        Where to begin.
    rng : numpy.random.Generator
        Draws rows and bits.

    Returns
    -------
    parameters : Parameters
        After some steps of Adam on ``DRAWN_ROWS`` rows each.
    """
    n_batches = -(-objective.n_rows // DRAWN_ROWS)
    n_steps = min(MOST_DRAWN, MOST_PASSES * n_batches)
    schedule = Schedule(DRAWN_RATE, n_steps)
    model, size = objective.model, parameters.encoder.size
    theta = np.concatenate(parameters)
    (W, b), (V, c) = (split_block(of, model.shape) for of in np.split(theta, [size]))
    mean, square = np.zeros_like(theta), np.zeros_like(theta)
    for n in range(1, n_steps + 1):
        x = objective.rows(rng.integers(objective.n_rows, size=DRAWN_ROWS))
        q = expit(x @ W.T + b)
        z = (rng.random(q.shape) < q).astype(q.dtype)
        _, H, by_c = Objective(model, x).residual(V, c, z, x)
        G = (H @ V.T + q.dtype.type(model.penalty / DRAWN_ROWS)) * q * (1 - q)
        gradient = np.concatenate(
            [join_block(G.T @ x, G.sum(axis=0)), join_block(z.T @ H, by_c)]
        )
        rate = schedule.at(n)
        adam_step(
            theta,
            gradient,
            mean,
            square,
            n,
            rate,
            DECAY_SQUARE,
            theta.size,
            1.0,
            np.inf,
        )

    return Parameters(theta[:size], theta[size:])


def refit_bits(objective: Objective, parameters: Parameters, codes, rng):
    """Make bits of codes, and fit both layers to them.

    Parameters
    ----------
    objective : Objective
        Of the model whose encoder gives bits; holds the rows.
    parameters : Parameters
        Of that model.
    codes : ndarray of shape (n_samples, n_components) or None
        Free codes, that the encoder is regressed on; None: its own bits are taken.
    rng : numpy.random.Generator
        Draws bits.

    Returns
    -------
    parameters : Parameters
        The decoder fits the bits that the encoder gives.
    losses : dict of str to float
        Mean loss after each step: "continuous" codes, "binarised", decoder "refitted",
        bits "flipped" one by one, bits given by an encoder that was "regressed" on
        them, and at the end, "encoded".
    """
    encoder, decoder = parameters
    if codes is None:
        bits = objective.codes(encoder)
        losses = {"binarised": objective.decoder_block(bits).value(decoder)}
        decoder, losses["encoded"] = refit(objective, bits, decoder)
        return Parameters(encoder, decoder), losses
    bits, decoder, losses = _free_bits(objective, codes, decoder)
    encoder = regress_bits(objective.model, objective, bits, encoder)
    decoder, losses["regressed"] = refit(objective, objective.codes(encoder), decoder)
    regressed = Parameters(encoder, decoder)
    encoder, decoder = draw_bits(objective, regressed, rng)
    decoder, losses["encoded"] = refit(objective, objective.codes(encoder), decoder)
    if losses["encoded"] < losses["regressed"]:
        return Parameters(encoder, decoder), losses
    return regressed, losses | {"encoded": losses["regressed"]}


def _free_bits(objective, codes, decoder):
    """Improve bits and decoder in turns; return both, and the losses on the way."""
    bits = binarise(codes)
    losses = {
        "continuous": objective.decoder_block(codes).value(decoder),
        "binarised": objective.decoder_block(bits).value(decoder),
    }
    decoder, losses["refitted"] = refit(objective, bits, decoder)
    for _ in range(ROUNDS):
        before, bits = bits, flip_bits(objective, bits, decoder)
        block = objective.decoder_block(bits)
        decoder, losses["flipped"] = minimise_block(block, decoder, FOLLOW, {})
        if np.array_equal(bits, before):
            break
    return bits, decoder, losses
