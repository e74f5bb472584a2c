"""Nested alternating minimisation: each block in turn, by its own inner method.

To add an inner method, write a function ``(search, solver)`` that evaluates
``search.block`` and passes each point to ``search.see``, and add a record with it to
``METHODS``. Constraints, error messages, tests and documentation use the record.
"""

from collections.abc import Callable
from time import perf_counter
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from sklearn_sqrtlasso.learning.adam import Adam, Moments, pace
from sklearn_sqrtlasso.learning.batches import TrainingData, batches
from sklearn_sqrtlasso.learning.loop import Stopping, learn
from sklearn_sqrtlasso.models.biased_autoencoder import (
    BiasedAutoencoder,
    Parameters,
)
from sklearn_sqrtlasso.models.block import BlockFunction
from sklearn_sqrtlasso.models.earlier_rows import LossOfAllRows
from sklearn_sqrtlasso.models.sigmoid_prox import exact_prox, largest_exact_step
from sklearn_sqrtlasso.models.sparse_objective import objective_of

LONGER, SHORTER = 1.1, 0.5  # factors of an automatic step after success or failure
CAREFUL = 0.125  # initial share of the longest decreasing step: sigmoids saturate
LEAST = 1e-4  # share of the first step, below which it is reset: for surrogate slopes
DECAY_SQUARE = 0.999  # of mean squares in Adam
LEAST_USED = 1 / 64  # share of the longest step, below which a step is too short
SIDES = ("encoder", "decoder")
N_TRIALS = 60  # powers of four tried in the search for a first step


class InnerSolver(NamedTuple):
    """Inner method of one parameter block, and its options.

    Attributes
    ----------
    method : str
        Name in ``METHODS``.
    n_steps : int
        Number of steps in an outer iteration.
    step : float or None
        Step length; None is automatic.
    first : float
        Initial value of an automatic step length of Adam.
    """

    method: str
    n_steps: int
    step: float | None = None
    first: float = 0.01


class Search:
    """State of an inner method: best point, and memory of earlier outer iterations.

    Parameters
    ----------
    block : BlockFunction
        Function to minimise.
    theta : ndarray
        Starting point.
    memory : dict
        State of the method from earlier outer iterations, such as "step"; "new_rows"
        tells that the rows are others since.
    """

    def __init__(self, block: BlockFunction, theta, memory):
        self.block, self.memory = block, memory
        self.theta, self.best = theta, np.inf

    def see(self, theta, value):
        """Record a point and its value; return whether it is the best so far."""
        if not value < self.best:
            return False
        self.theta, self.best = theta, value
        return True

    def move(self, y, gradient, step):
        """Return the point after a proximal gradient step from y."""
        step = y.dtype.type(step)
        moved = y - step * gradient
        return moved if self.block.prox is None else self.block.prox(moved, step)

    def first_step(self, gradient, step=1.0):
        """Return the longest step of sufficient decrease, within a factor of four.

        The search begins at ``step``; 0 is returned if it finds none.
        """
        falls = self._falls(gradient, step)
        factor = 4.0 if falls else 0.25
        for _ in range(N_TRIALS):
            if self._falls(gradient, step * factor) != falls:
                break
            step *= factor
        else:
            return step if falls else 0.0
        return step if falls else step * factor

    def remembered_step(self, gradient):
        """Return the step length of earlier calls, or another if it does not suit.

        It may not after it was found on rows of another size, or never was.
        """
        memory = self.memory
        step, new_rows = memory.get("step"), memory.get("new_rows", False)
        if step is None or new_rows:
            longest = self.first_step(gradient, step or 1.0)
            if step is None or not step <= longest <= step / LEAST_USED:
                step = CAREFUL * longest or step or 1.0
                memory["first"] = step
        return step

    def _falls(self, gradient, step):
        moved = self.move(self.theta, gradient, step)
        way = moved - self.theta
        model = float(np.vdot(gradient, way) + 0.5 * np.vdot(way, way) / step)
        return bool(self.block.value(moved) <= self.best + model)


class Iterate(NamedTuple):
    """Iterate of an accelerated method.

    Attributes
    ----------
    y : ndarray
        Starting point of the next step.
    gradient : ndarray
        Gradient at y.
    x : ndarray
        Result of the previous step, without momentum.
    s : float
        Nesterov's sequence; 1 without momentum.
    fresh : bool
        Whether momentum was just restarted.
    """

    y: np.ndarray
    gradient: np.ndarray
    x: np.ndarray
    s: float = 1.0
    fresh: bool = True


def _accelerated(search, solver, momentum=True):
    """Take accelerated proximal gradient steps with adaptive restart.

    An automatic step costs no more evaluations than a fixed one: after a point worse
    than the start, the search returns to the best one, first without momentum, then
    with a shorter step. A decrease in every step would not be compatible with momentum.
    """
    step, start, automatic = solver.step, search.theta, solver.step is None
    worst, gradient = search.block.evaluate(start)
    search.see(start, worst)
    if automatic:
        if not np.any(gradient):  # no information about the step length
            return
        step = search.remembered_step(gradient)
        first = search.memory.setdefault("first", step)
    now = best = Iterate(start, gradient, start)
    smooth = automatic
    for n in range(solver.n_steps):
        x = search.move(now.y, now.gradient, step)
        if n == solver.n_steps - 1:
            smooth &= search.see(x, search.block.value(x)) or n > 0
            break
        s = (1 + np.sqrt(1 + 4 * now.s * now.s)) / 2 if momentum else 1.0
        weight = x.dtype.type((now.s - 1) / s if momentum else 0.0)
        turns = momentum and np.vdot(now.gradient, x - now.x) > 0
        y = x if turns else x + weight * (x - now.x)
        value, gradient = search.block.evaluate(y)
        if search.see(y, value):
            best = Iterate(y, gradient, y)
        if value <= worst or not automatic:
            now = Iterate(y, gradient, x, 1.0 if turns else s, turns)
        else:
            step, smooth = step * (SHORTER if now.fresh else 1.0), False
            now = best
    if automatic:
        step *= SHORTER if search.best == worst else LONGER if smooth else 1.0
        step = step if step >= LEAST * first else first
    search.memory["step"] = float(step)


def _gradient(search, solver):
    _accelerated(search, solver, momentum=False)


def _adam(search, solver):
    """Take steps of Adam, whose moments are kept over outer iterations."""
    memory, theta = search.memory, search.theta
    automatic = solver.step is None
    rate = solver.step
    if automatic:
        rate = min(memory.get("step", solver.first), solver.first)
    moments = None
    if "mean" in memory:
        copies = memory["mean"].copy(), memory["square"].copy()
        moments = Moments(*copies, memory["count"])
    given = {"decay_square": DECAY_SQUARE, "pmap": search.block.pmap}
    adam, start = Adam(theta, moments, **given), None
    for _ in range(solver.n_steps):
        value, gradient = search.block.evaluate(theta)
        start = value if start is None else start
        search.see(theta, value)
        theta = theta.copy()  # the previous point may be the best
        adam.step(theta, gradient, rate)
    search.see(theta, search.block.value(theta))
    memory |= {"mean": adam.mean, "square": adam.square, "count": adam.n_steps}
    if automatic:
        rate *= LONGER if search.best < start else SHORTER
        rate = min(rate, solver.first)
    memory["step"] = float(rate)


def _lbfgs(search, solver):
    """Take steps of a quasi-Newton method with its own line search."""
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
        options={"maxiter": solver.n_steps, "ftol": 0.0, "gtol": 0.0},
    )
    theta = found.x.astype(start.dtype)
    search.see(theta, search.block.value(theta))


class Method(NamedTuple):
    """Inner method for one parameter block, and its properties.

    Attributes
    ----------
    run : callable, (search, solver) -> None
        Minimises the block, and passes the points it evaluates to ``search.see``.
    summary : str
        Description for the documentation.
    takes_prox : bool
        Whether it supports proximal steps.
    finds_step : bool
        Whether it has its own line search, so that no step length can be given.
    first_steps : tuple of float
        Initial automatic step lengths for the encoder and the decoder, for methods that
        do not search for one.
    first_move : float
        The same for an encoder of bounded units, if it is longer, as the largest change
        of the input of a unit in a step, of rows with entries of size one.
    in_stream : float
        Factor of both for rows that come a batch at a time: longer steps fit a batch
        at the cost of what was learnt from earlier ones.
    """

    run: Callable
    summary: str
    takes_prox: bool = False
    finds_step: bool = False
    first_steps: tuple[float, float] = (1.0, 1.0)
    first_move: float = 0.0
    in_stream: float = 1.0

    def first_step(self, side, bounded, n_features, in_stream):
        """Return the initial automatic step length of a side."""
        step = self.first_steps[SIDES.index(side)]
        if side == "encoder" and bounded:
            step = max(step, self.first_move / n_features)
        return step * pace(n_features) * (self.in_stream if in_stream else 1.0)


METHODS: MappingProxyType[str, Method] = MappingProxyType(
    {
        "gradient": Method(_gradient, "proximal gradient steps", takes_prox=True),
        "fista": Method(
            _accelerated,
            "accelerated proximal gradient steps, with adaptive restart of the "
            "momentum",
            takes_prox=True,
        ),
        "accelerated": Method(
            _accelerated,
            'the same as "fista", by its usual name without a proximal map',
            takes_prox=True,
        ),
        "adam": Method(
            _adam,
            "steps of Adam, whose moments are kept over outer iterations",
            first_steps=(0.01, 0.1),  # the decoder is convex except for its sigmoid
            first_move=0.7,  # with less, codes shrink while the decoder grows
            in_stream=0.3,
        ),
        "lbfgs": Method(
            _lbfgs,
            "quasi-Newton steps (L-BFGS) with their own line search",
            finds_step=True,
        ),
    }
)


def minimize_block(block: BlockFunction, theta, solver: InnerSolver, memory):
    """Minimise a parameter block by a number of steps; its value never increases.

    Parameters
    ----------
    block : BlockFunction
        Function to minimise.
    theta : ndarray
        Starting point.
    solver : InnerSolver
        Inner method and its options.
    memory : dict
        State of the method; updated.

    Returns
    -------
    theta : ndarray
        Best point evaluated.
    value : float
        Its value; NaN if no value was finite.
    """
    if memory.get("method") != solver.method:
        memory.clear()
        memory["method"] = solver.method
    search = Search(block, theta, memory)
    METHODS[solver.method].run(search, solver)
    memory.pop("new_rows", None)
    return search.theta, search.best if search.best < np.inf else np.nan


class Alternation:
    """Minimise over encoder and decoder in turn.

    Parameters
    ----------
    model : BiasedAutoencoder
        The model.
    parameters : Parameters
        Initial parameters.
    encoder, decoder : InnerSolver
        Inner method of each block.
    memory : dict of dict
        State of the inner methods of "encoder" and "decoder" to resume from.
    exact : bool
        Whether to use the exact proximal map of the penalty instead of its gradient.
    pmap : callable, (function, items) -> iterable of results
        ``map``, or ``thread_map``.
    earlier : EarlierRows or None, default=None
        Moments of earlier rows, which are learnt from too.
    """

    def __init__(
        self,
        model: BiasedAutoencoder,
        parameters,
        encoder,
        decoder,
        memory,
        exact,
        pmap,
        earlier=None,
    ):
        self.model, self.parameters = model, parameters
        self.encoder, self.decoder = encoder, decoder
        self.memory, self.exact, self.pmap = memory, exact, pmap
        self.earlier = earlier
        self.curves: dict[str, list[float]] = {"encoder": [], "decoder": [], "time": []}
        self.begin = perf_counter()

    def iterate(self, objectives):
        """Minimise both blocks on each batch; return the mean loss afterwards.

        Parameters
        ----------
        objectives : iterable of Objective
            Objective of all rows, or of each batch.

        Returns
        -------
        loss : float
            Mean over the rows.
        """
        totals, n_rows = np.zeros(2), 0
        for objective in objectives:
            totals += np.array(self._turn(objective)) * objective.n_rows
            n_rows += objective.n_rows
        self.record(*(float(total) / n_rows for total in totals))
        return self.curves["decoder"][-1]

    def record(self, by_encoder, by_decoder):
        """Append the loss of an iteration after each block, and the time."""
        self.curves["encoder"].append(by_encoder)
        self.curves["decoder"].append(by_decoder)
        self.curves["time"].append(perf_counter() - self.begin)

    def _turn(self, objective):
        encoder, decoder = start = self.parameters
        block = objective.encoder_block(decoder, smooth=not self.exact)
        if self.exact:
            prox = exact_prox(objective, largest_exact_step(objective))
            block = block._replace(prox=prox)
        of_all = None
        if self.earlier is not None:
            of_all = LossOfAllRows(self.model.shape, self.earlier, objective.n_rows)
        whole = of_all and of_all.of_encoder(block, *start)
        encoder, by_encoder = self._minimize("encoder", block, encoder, whole)
        block = objective.decoder_block(block.codes(encoder))
        whole = of_all and of_all.of_decoder(block, decoder)
        decoder, by_decoder = self._minimize("decoder", block, decoder, whole)
        self.parameters = Parameters(encoder, decoder)
        return by_encoder, by_decoder

    def _minimize(self, side, block, theta, whole):
        """Minimise a block, or that of all rows; return its best point and value."""
        solver, memory = getattr(self, side), self.memory[side]
        if whole is None:
            return minimize_block(block, theta, solver, memory)
        theta, _ = minimize_block(whole, theta, solver, memory)
        return theta, block.value(theta)

    def state(self):
        """Return a copy of everything that an iteration changes."""
        memory = {name: dict(of) for name, of in self.memory.items()}
        return self.parameters, memory

    def restore(self, state):
        """Restore a copy returned by ``state``."""
        self.parameters, self.memory = state


def make_objectives(
    model: BiasedAutoencoder, data: TrainingData, batch_size, rng, pmap: Callable
):
    """Return a function that yields the objectives of an outer iteration.

    Parameters
    ----------
    model : BiasedAutoencoder
        The model.
    data : TrainingData
        Rows.
    batch_size : int or None
        Number of rows of a batch; None uses all rows at once, without a copy.
    rng : numpy.random.Generator
        Source of random batches.
    pmap : callable, (function, items) -> iterable of results
        ``map``, or ``thread_map``, applied to row blocks.

    Returns
    -------
    objectives : callable, () -> iterable of Objective
        Returns the objectives of the next iteration.
    """
    if batch_size is None:
        rows = data.X
        if data.groups.order is not None:
            rows = rows[data.groups.order]
        whole = [objective_of(model, rows, pmap, data.unit)]
        return lambda: whole

    def parts():
        for batch in batches(data, batch_size, rng):
            yield objective_of(model, batch.X, pmap)

    return parts


def run_alternation(
    alternation: Alternation,
    data: TrainingData,
    held_out,
    batch_size,
    stopping: Stopping,
    rng,
    report,
):
    """Run outer iterations of nested alternating minimisation.

    Parameters
    ----------
    alternation : Alternation
        Initial parameters and inner methods; updated.
    data : TrainingData
        Training data.
    held_out : Batch or None
        Rows for validation, if any.
    batch_size : int or None
        Number of rows of a batch; None uses all rows at once.
    stopping : Stopping
        Stopping criterion.
    rng : numpy.random.Generator
        Source of random batches.
    report : callable, (n_iter, loss) -> bool
        Called after each iteration; learning stops if it returns True.

    Returns
    -------
    history : History
        Losses of the outer iterations.
    """
    model, pmap = alternation.model, alternation.pmap
    objectives = make_objectives(model, data, batch_size, rng, pmap)
    validate = None
    if held_out is not None:
        others = objective_of(model, held_out.X, pmap)

        def validate():
            return others.value(alternation.parameters)

    return learn(
        lambda n_iter: alternation.iterate(objectives()),
        alternation.state,
        alternation.restore,
        stopping,
        report,
        validate=validate,
    )
