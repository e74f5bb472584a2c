"""A two-layer model learnt by Adam: its parameters, its epochs, its codes."""

import numpy as np
from sklearn.utils import check_random_state

from sklearn_sqrtlasso.estimators.autoencoder import Autoencoder
from sklearn_sqrtlasso.estimators.nelu_setup import (
    activation_of,
    check_lesson,
    corruption_of,
    first_layers,
    fitted_layers,
    model_of,
    present_layers,
)
from sklearn_sqrtlasso.estimators.progress import Progress
from sklearn_sqrtlasso.learning.adam import Adam, Moments, Schedule, n_batches
from sklearn_sqrtlasso.learning.loop import DivergedError, Stopping, learn
from sklearn_sqrtlasso.learning.start import mean_square
from sklearn_sqrtlasso.models.decoders import DECODERS, best_atoms
from sklearn_sqrtlasso.models.encoder import Encoder
from sklearn_sqrtlasso.models.two_layer import SCALARS, in_units
from sklearn_sqrtlasso.solvers.rows import single_rows, team
from sklearn_sqrtlasso.solvers.visit import visit_codes


class TwoLayerEncoder(Autoencoder):
    """Learn a two-layer model by Adam, and code rows by it.

    A subclass has the parameters that ``nelu_setup`` reads.
    """

    def _learn(self, X, runs, X_clean=None, Z=None):
        begins = not (self.warm_start and hasattr(self, "components_"))
        lesson = check_lesson(self, X, X_clean, Z, runs)
        progress = Progress(self, X, self.max_iter)
        self._learn_from(lesson, begins, progress)
        progress.end(lambda: {name: getattr(self, name) for name in self._names()})

    def _learn_from(self, lesson, begins, progress=None):
        """Learn, and set the attributes; without ``progress``, for one epoch."""
        X, seeds = (
            lesson.X,
            check_random_state(self.random_state).randint(2**31, size=2),
        )
        n_seen = 0 if begins else self.optimizer_state_["n_steps"]
        rng = np.random.default_rng([*seeds, n_seen])
        unit = mean_square(X)[1] if begins else self.unit_
        n_components = self._n_components(lesson, begins)
        model = model_of(self, (n_components, X.shape[1]), lesson.coded)
        if begins:
            layers = first_layers(self, model, lesson, unit, rng)
        else:
            layers = present_layers(self, model, unit, X.dtype)
        corruption = corruption_of(self, X, unit)
        material = lesson._replace(unit=unit, corruption=corruption)
        with team(self.n_jobs) as each:
            adam = Adam(
                model,
                layers,
                None if begins else self._moments(X.dtype),
                batch_size=self.batch_size,
                unit_rows=self.unit_rows,
                each=each,
            )
            history = self._run(adam, material, rng, progress)
        if history.diverged and not history.losses and begins:
            raise FloatingPointError(self._told_of_divergence(0))
        self._keep(adam, material, history, begins)
        if history.diverged:
            raise DivergedError(self._told_of_divergence(len(history.losses)))

    def _n_components(self, lesson, begins):
        if self.n_components is not None:
            return self.n_components
        if not begins:
            return len(self.components_)
        return lesson.target.shape[1] if lesson.coded else lesson.X.shape[1]

    def _moments(self, dtype):
        state = self.optimizer_state_
        mean, square = state["mean"].astype(dtype), state["square"].astype(dtype)
        return Moments(mean, square, state["n_steps"])

    def _run(self, adam, material, rng, progress):
        held_out = None
        if progress is not None and self.early_stopping:
            material, held_out = self._hold_out(material, rng)
        energy = self._energy(material)
        n_epochs = 1 if progress is None else self.max_iter
        n_steps = n_epochs * n_batches(material, self.batch_size)
        schedule = Schedule(self.learning_rate, None if progress is None else n_steps)

        def report(n_iter, loss):
            if progress is None:
                return False
            return progress.step(n_iter, loss, lambda: self._learnt(adam, material))

        return learn(
            lambda n_iter: adam.epoch(material, schedule, rng) / energy,
            adam.state,
            adam.restore,
            Stopping(n_epochs, self.tol, self.n_iter_no_change),
            report,
            validate=held_out and (lambda: adam.loss(held_out) / energy),
        )

    def _energy(self, material):
        target = material.X if material.target is None else material.target
        size, power = mean_square(target)
        return (size * power / material.unit) ** 2 or 1.0

    def _names(self):
        names = activation_of(self).parameters
        return ["components_", "decoder_", *(f"{name}_" for name in names)]

    def _learnt(self, adam, material):
        """Return the fitted attributes that hold the present parameters."""
        activation = adam.model.activation
        W, V, p = in_units(adam.layers(), activation, material.unit)
        if material.coded:
            V = DECODERS[self.decoder].atoms(W)
            if DECODERS[self.decoder].free:
                V = best_atoms(material.target, material.X, material.unit)
        learnt = {"components_": W, "decoder_": V.astype(W.dtype)}
        for name, size in adam.model.sizes.items():
            one = size < 2 or name in SCALARS
            learnt[f"{name}_"] = float(p[name][0]) if one else p[name]
        return learnt

    def _keep(self, adam, material, history, begins):
        for name, value in self._learnt(adam, material).items():
            setattr(self, name, value)
        before = [] if begins else self.loss_curve_
        validated = [] if begins else self.validation_curve_
        self.loss_curve_ = np.concatenate([before, history.losses])
        self.validation_curve_ = np.concatenate([validated, history.validation])
        self.n_iter_ = len(self.loss_curve_)
        self.unit_ = material.unit
        mean, square, n_steps = adam.state()[1]
        self.optimizer_state_ = {"mean": mean, "square": square, "n_steps": n_steps}

    def _told_of_divergence(self, n_good):
        kept = (
            f"the parameters of epoch {n_good} are kept" if n_good else "nothing kept"
        )
        return (
            f"Learning diverged in epoch {n_good + 1}: the loss is not finite, {kept}. "
            f"Lower learning_rate={self.learning_rate}."
        )

    def _visit_codes(self, X, runs, visit, *, out=None):
        activation = activation_of(self)
        W, _, p = fitted_layers(self, activation, X.dtype)
        encoder = Encoder(W, p["alpha"], bool(self.positive), activation, p)
        shared = activation.at_level is not None or self.n_unrolled is not None
        return visit_codes(
            X,
            encoder,
            runs if shared else single_rows(X.shape[0]),
            visit,
            out=out,
            whole_runs=self.n_unrolled is not None,
            n_jobs=self.n_jobs,
        )

    def _decode(self, Z):
        return Z @ self.decoder_.astype(Z.dtype, copy=False)
