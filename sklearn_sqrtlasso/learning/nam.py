"""Nested alternating minimisation: each block by an algorithm of its own."""

from collections.abc import Callable
from time import perf_counter
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from sklearn_sqrtlasso.learning.batches import Material, batches
from sklearn_sqrtlasso.models.biased import Biased, Objective, Parameters
from sklearn_sqrtlasso.models.block import Block
from sklearn_sqrtlasso.models.exact_prox import exact_prox, largest_exact_step

LONGER, SHORTER = 1.1, 0.5  # factors of an automatic step that did well, or badly
CAREFUL = 0.125  # share of the longest step that falls, to begin: sigmoids saturate
LEAST = 1e-4  # share of the first step; shorter ones try it again: slopes may be lent
DECAY, DECAY_OF_SQUARES = 0.9, 0.999
N_TRIALS = 60  # powers of four in which a first step is looked for


class Inner(NamedTuple):
    """How one block is minimised.

    Attributes
    ----------
    method : str
        Name in ``METHODS``.
    n_steps : int
        Steps in an outer iteration.
    step : float or None
        Their length; None: automatic.
    first : float
        Where an automatic step of Adam begins.
    """

    method: str
    n_steps: int
    step: float | None = None
    first: float = 0.01


class Search:
    """A block on its way through some steps: the best place seen, and the step.

    Parameters
    ----------
    block : Block
        The function.
    theta : ndarray
        Where to begin.
    memory : dict
        What the method remembers of earlier outer iterations, "step" among it.
    """

    def __init__(self, block: Block, theta, memory):
        self.block, self.memory = block, memory
        self.theta, self.best = theta, np.inf

    def see(self, theta, value):
        """Note a place; return whether it is the best so far."""
        if not value < self.best:
            return False
        self.theta, self.best = theta, value
        return True

    def move(self, y, gradient, step):
        """Return where a proximal gradient step from y leads."""
        step = y.dtype.type(step)
        moved = y - step * gradient
        return moved if self.block.prox is None else self.block.prox(moved, step)

    def first_step(self, gradient):
        """Return a step at which curvature is covered, within a factor of four."""
        step = 1.0
        falls = self._falls(gradient, step)
        factor = 4.0 if falls else 0.25
        for _ in range(N_TRIALS):
            if self._falls(gradient, step * factor) != falls:
                break
            step *= factor
        return step if falls else step * factor

    def _falls(self, gradient, step):
        moved = self.move(self.theta, gradient, step)
        way = moved - self.theta
        model = float(np.vdot(gradient, way) + 0.5 * np.vdot(way, way) / step)
        return bool(self.block.value(moved) <= self.best + model)


def _accelerated(search, inner, momentum=True):
    """Take accelerated proximal gradient steps that restart when they should.

    An automatic step costs no more evaluations than a fixed one: a place that is worse
    than the start sends the search back to the best one, first without momentum, then
    with a shorter step. To ask for a fall each time would be to forbid momentum.
    """
    step, n_steps = inner.step, inner.n_steps
    automatic, y = step is None, search.theta
    value, gradient = search.block.evaluate(y)
    search.see(y, value)
    home, before, s, fresh, worst, smooth = gradient, y, 1.0, True, value, automatic
    if automatic:
        if not np.any(gradient):  # says nothing about steps to come
            return
        step = search.memory.get("step") or CAREFUL * search.first_step(gradient)
        first = search.memory.setdefault("first", step)
    for n in range(n_steps):
        x = search.move(y, gradient, step)
        faster = (1 + np.sqrt(1 + 4 * s * s)) / 2 if momentum else 1.0
        weight = y.dtype.type((s - 1) / faster if momentum else 0.0)
        if n == n_steps - 1:
            smooth &= search.see(x, search.block.value(x)) or n > 0
            break
        turns = momentum and np.vdot(gradient, x - before) > 0
        following = x if turns else x + weight * (x - before)
        value, gradient = search.block.evaluate(following)
        if search.see(following, value):
            home = gradient
        if value <= worst or not automatic:
            y, before, s, fresh = following, x, 1.0 if turns else faster, turns
        else:
            step, smooth = step * (SHORTER if fresh else 1.0), False
            y, before, gradient, s, fresh = search.theta, search.theta, home, 1.0, True
    if automatic:
        step *= SHORTER if search.best == worst else LONGER if smooth else 1.0
        step = step if step >= LEAST * first else first
    search.memory["step"] = float(step)


def _gradient(search, inner):
    _accelerated(search, inner, momentum=False)


def _adam(search, inner):
    """Take steps of Adam, whose moments last over the outer iterations."""
    memory, theta = search.memory, search.theta
    automatic = inner.step is None
    given = memory.get("step", inner.first) if automatic else inner.step
    mean = memory.get("mean", np.zeros_like(theta))
    square = memory.get("square", np.zeros_like(theta))
    start = None
    for _ in range(inner.n_steps):
        value, gradient = search.block.evaluate(theta)
        start = value if start is None else start
        search.see(theta, value)
        count = memory["count"] = memory.get("count", 0) + 1
        mean = DECAY * mean + (1 - DECAY) * gradient
        square = DECAY_OF_SQUARES * square + (1 - DECAY_OF_SQUARES) * gradient**2
        size = np.sqrt(square / (1 - DECAY_OF_SQUARES**count))
        size += np.finfo(theta.dtype).eps * (1 + float(size.max(initial=0)))
        move = (given / (1 - DECAY**count) * mean / size).astype(theta.dtype)
        theta = theta - move
    search.see(theta, search.block.value(theta))
    memory |= {"mean": mean, "square": square}
    if automatic and not search.best < start:
        given *= SHORTER
    memory["step"] = float(given)


def _lbfgs(search, inner):
    """Take steps of a quasi-Newton method, which finds their lengths itself."""
    start = search.theta

    def evaluate(theta):
        value, gradient = search.block.evaluate(theta.astype(start.dtype))
        return value, gradient.astype(np.float64)

    search.see(start, search.block.value(start))
    found = minimize(
        evaluate,
        start.astype(np.float64),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": inner.n_steps, "ftol": 0.0, "gtol": 0.0},
    )
    theta = found.x.astype(start.dtype)
    search.see(theta, search.block.value(theta))


METHODS = MappingProxyType(
    {
        "gradient": _gradient,
        "fista": _accelerated,
        "accelerated": _accelerated,
        "adam": _adam,
        "lbfgs": _lbfgs,
    }
)
WITH_PROX = ("gradient", "fista", "accelerated")


def lower(block: Block, theta, inner: Inner, memory):
    """Minimise a block for some steps; the value never rises.

    Parameters
    ----------
    block : Block
        The function.
    theta : ndarray
        Where to begin.
    inner : Inner
        How.
    memory : dict
        What the method remembers; changed.

    Returns
    -------
    theta : ndarray
        The best place seen.
    value : float
        The value there; NaN if it is nowhere finite.
    """
    if memory.get("method") != inner.method:
        memory.clear()
        memory["method"] = inner.method
    search = Search(block, theta, memory)
    METHODS[inner.method](search, inner)
    return search.theta, search.best if search.best < np.inf else np.nan


class Alternation:
    """Encoder and decoder on their way, in turns.

    Parameters
    ----------
    model : Biased
        The model.
    parameters : Parameters
        Where to begin.
    encoder, decoder : Inner
        How each block is minimised.
    memory : dict of dict
        What the methods of "encoder" and "decoder" remember of earlier learning.
    exact : bool
        Whether the penalty has its exact proximal map, else its gradient.
    each : callable, (function, items) -> iterable of results
        ``map``, or that of a team of threads.
    """

    def __init__(
        self, model: Biased, parameters, encoder, decoder, memory, exact, each
    ):
        self.model, self.parameters = model, parameters
        self.encoder, self.decoder = encoder, decoder
        self.memory, self.exact, self.each = memory, exact, each
        self.curves: dict[str, list[float]] = {"encoder": [], "decoder": [], "time": []}
        self.begin = perf_counter()

    def iterate(self, objectives):
        """Improve both blocks on each batch of rows; return the mean loss after it.

        Parameters
        ----------
        objectives : iterable of Objective
            All rows, or batch after batch.

        Returns
        -------
        loss : float
            Mean over the rows.
        """
        totals, n_rows = np.zeros(2), 0
        for objective in objectives:
            totals += np.array(self._turn(objective)) * objective.n_rows
            n_rows += objective.n_rows
        self.note(*(float(total) / n_rows for total in totals))
        return self.curves["decoder"][-1]

    def note(self, by_encoder, by_decoder):
        """Keep the losses of an iteration after each block, and the time."""
        self.curves["encoder"].append(by_encoder)
        self.curves["decoder"].append(by_decoder)
        self.curves["time"].append(perf_counter() - self.begin)

    def _turn(self, objective):
        encoder, decoder = self.parameters
        block = objective.encoder_block(decoder, smooth=not self.exact)
        if self.exact:
            prox = exact_prox(objective, largest_exact_step(objective))
            block = block._replace(prox=prox)
        encoder, by_encoder = lower(
            block, encoder, self.encoder, self.memory["encoder"]
        )
        block = objective.decoder_block(objective.codes(encoder))
        decoder, by_decoder = lower(
            block, decoder, self.decoder, self.memory["decoder"]
        )
        self.parameters = Parameters(encoder, decoder)
        return by_encoder, by_decoder

    def state(self):
        """Return a copy of all that an iteration changes."""
        memory = {name: dict(of) for name, of in self.memory.items()}
        return self.parameters, memory

    def restore(self, state):
        """Go back to what ``state`` returned."""
        self.parameters, self.memory = state


def objectives_of(model: Biased, material: Material, batch_size, rng, each: Callable):
    """Return a function that yields the objectives of an outer iteration.

    Parameters
    ----------
    model : Biased
        The model.
    material : Material
        Rows.
    batch_size : int or None
        Rows of a batch; None: all rows at once, without a copy of them.
    rng : numpy.random.Generator
        Draws the batches.
    each : callable, (function, items) -> iterable of results
        Runs the blocks of rows.

    Returns
    -------
    objectives : callable, () -> iterable of Objective
        Those of the next iteration.
    """
    if batch_size is None:
        rows = material.X
        if material.runs.order is not None:
            rows = rows[material.runs.order]
        whole = [Objective(model, rows, each, material.unit)]
        return lambda: whole

    def parts():
        for batch in batches(material, batch_size, rng):
            yield Objective(model, batch.X, each)

    return parts
