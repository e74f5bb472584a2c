"""Learn weights of two-layer models, and penalties of their units, by Adam.

A penalty is learnt as a number without bounds (``models.activation_parameters``). Its
gradient comes from the pull-back of the activation (``add_alpha_gradient`` in
``algorithms.shrinkage``) and the chain rule (``models.two_layer_loss``);
Adam (``learning.adam``) moves weights and penalties alike, as one flat array.
"""

import math

import numpy as np

from sklearn_sqrtlasso.blockwise.blocks import made_ahead
from sklearn_sqrtlasso.blockwise.linalg import root_mean_square
from sklearn_sqrtlasso.learning.adam import Adam, Schedule, pace
from sklearn_sqrtlasso.learning.batches import TrainingData, batches
from sklearn_sqrtlasso.learning.loop import learn
from sklearn_sqrtlasso.models.two_layer import (
    Batch,
    Layers,
    flatten,
    shapes,
    unflatten,
    views,
)
from sklearn_sqrtlasso.models.two_layer_loss import loss_and_gradient

DECAY_SQUARE = 0.99  # of mean squares: the noise level changes from batch to batch
FASTER = 3.0  # learning rate of the activation's parameters over that of the weights
LARGEST = 1.0  # norm at which gradients are clipped, for rows with entries near 1


class TwoLayerLearner:
    """Optimise the parameters of a two-layer model by Adam.

    Parameters
    ----------
    model : TwoLayer
        The model.
    layers : Layers
        Initial values of all parameters, and values of those that are not learnt.
    moments : callable, () -> Moments or None
        Returns moments to resume from, in new arrays.
    batch_size : int
        Largest number of rows of a batch.
    unit_rows : bool
        Whether rows of the encoder are kept at unit norm.
    pmap : callable, (function, items) -> iterable of results
        ``map``, or ``thread_map``.
    n_jobs : int, default=None
        Number of threads, as in joblib: with several, the next batch is made while one
        is learnt.
    """

    def __init__(
        self, model, layers, moments, *, batch_size, unit_rows, pmap, n_jobs=None
    ):
        self.model, self.held, self.first_moments = model, layers, moments
        self.batch_size, self.unit_rows, self.pmap = batch_size, unit_rows, pmap
        self.n_jobs = n_jobs
        self.pace = pace(model.shape[1])
        self.begin()

    def begin(self):
        """Go to the initial parameters and moments."""
        weights = [s for name, s in shapes(self.model).items() if name in ("W", "V")]
        self.flat, self.n_scheduled = flatten(self.model, self.held), 0
        self.adam = Adam(
            self.flat,
            self.first_moments(),
            decay_square=DECAY_SQUARE,
            n_slow=sum(math.prod(shape) for shape in weights),
            fast=FASTER / self.pace,
            largest=LARGEST,
            pmap=self.pmap,
        )

    def epoch(self, data: TrainingData, schedule: Schedule, rng):
        """Take one step per batch; return the mean loss, NaN on divergence."""
        total, n_rows = 0.0, 0
        drawn = batches(data, self.batch_size, rng)
        for batch in made_ahead(drawn, self.n_jobs):
            total += self.step(batch, schedule) * batch.X.shape[0]
            n_rows += batch.X.shape[0]
        return total / n_rows if np.isfinite(self.flat).all() else math.nan

    def step(self, batch: Batch, schedule: Schedule):
        """Take one step; return the loss before it, NaN if the gradient diverged."""
        loss, gradient = loss_and_gradient(
            self.model, self.flat, self.held, batch, self.pmap
        )
        self.n_scheduled += 1
        ends = schedule.n_steps is not None
        rate = schedule.at(self.n_scheduled if ends else self.adam.n_steps + 1)
        norm = self.adam.step(self.flat, gradient, self.pace * rate)
        parts = views(self.model, self.flat)
        for name in self.model.sizes.keys() & parts.keys():
            least = self.model.activation.parameter(name).least
            np.maximum(parts[name], least, out=parts[name])
        if self.unit_rows:
            W = parts["W"]
            W /= np.maximum(np.linalg.norm(W, axis=1), np.finfo(W.dtype).tiny)[:, None]
        return loss if norm < np.inf else math.nan

    def loss(self, batch: Batch):
        """Return the mean loss of a batch for the current parameters."""
        return loss_and_gradient(self.model, self.flat, self.held, batch, self.pmap)[0]

    def layers(self, *, copy=True) -> Layers:
        """Return the current values of all parameters.

        Parameters
        ----------
        copy : bool, default=True
            Whether they stay as they are; False where no step follows.

        Returns
        -------
        layers : Layers
            Weights are views of one array, a copy if asked for.
        """
        flat = self.flat.copy() if copy else self.flat
        return unflatten(self.model, flat, self.held)

    def named_moments(self):
        """Return the moments of each learnt parameter, which a step would change."""
        return {
            "mean": views(self.model, self.adam.mean),
            "square": views(self.model, self.adam.square),
            "n_steps": self.adam.n_steps,
        }

    def state(self):
        """Return a copy of everything that a step changes; None before the first."""
        return (self.flat.copy(), self.adam.moments()) if self.n_scheduled else None

    def restore(self, state):
        """Restore what ``state`` returned."""
        if state is None:
            self.begin()
            return
        flat, moments = state
        self.flat[:] = flat
        self.adam.restore(moments)


def n_batches(data: TrainingData, batch_size):
    """Return the approximate number of batches of an epoch.

    Parameters
    ----------
    data : TrainingData
        Rows.
    batch_size : int
        Largest number of rows of a batch.

    Returns
    -------
    n : int
        Number of batches, at least 1.
    """
    return max(1, math.ceil(data.groups.n_rows / batch_size))


def run_training(
    learner: TwoLayerLearner,
    data: TrainingData,
    held_out,
    schedule,
    stopping,
    rng,
    report,
):
    """Run epochs of Adam; losses are divided by the mean square of the target.

    Parameters
    ----------
    learner : TwoLayerLearner
        With the initial parameters; updated.
    data : TrainingData
        Training data.
    held_out : Batch or None
        Rows for validation, if any.
    schedule : Schedule
        Learning rates.
    stopping : Stopping
        Stopping criterion.
    rng : numpy.random.Generator
        Source of the order of rows and of noise.
    report : callable, (n_iter, loss) -> bool
        Called after each epoch; learning stops if it returns True.

    Returns
    -------
    history : History
        Losses of the epochs.
    """
    size, unit = root_mean_square(data.X if data.target is None else data.target)
    energy = (size * unit / (data.target_unit or data.unit)) ** 2 or 1.0
    return learn(
        lambda n_iter: learner.epoch(data, schedule, rng) / energy,
        learner.state,
        learner.restore,
        stopping,
        report,
        validate=held_out and (lambda: learner.loss(held_out) / energy),
    )
