"""A two-layer model learnt block by block: its parameters, its turns, its codes."""

import numpy as np
from sklearn.utils import check_random_state

from sklearn_sqrtlasso.estimators.anamo_setup import (
    NAMES,
    check_ways,
    first_parameters,
    fitted_values,
    inner_of,
    middle_of,
    model_of,
    present_parameters,
)
from sklearn_sqrtlasso.estimators.autoencoder import Autoencoder
from sklearn_sqrtlasso.estimators.progress import Progress
from sklearn_sqrtlasso.learning.batches import Material
from sklearn_sqrtlasso.learning.binary import BINARY, Codes, settle
from sklearn_sqrtlasso.learning.loop import DivergedError, Stopping, learn
from sklearn_sqrtlasso.learning.nam import Alternation, objectives_of
from sklearn_sqrtlasso.learning.start import mean_square
from sklearn_sqrtlasso.models.activations import ACTIVATIONS, BITS, Rows
from sklearn_sqrtlasso.models.biased import Objective
from sklearn_sqrtlasso.models.biased_units import model_for_unit
from sklearn_sqrtlasso.models.block import join, part
from sklearn_sqrtlasso.models.encoder import Encoder
from sklearn_sqrtlasso.models.exact_prox import largest_exact_step
from sklearn_sqrtlasso.solvers.rows import single_rows, team
from sklearn_sqrtlasso.solvers.visit import visit_codes

PATIENCE = 5  # outer iterations without a fall of the loss


class NestedEncoder(Autoencoder):
    """Learn two layers with biases in turns, and code rows by them.

    A subclass has the parameters that ``anamo_setup`` reads.
    """

    def _learn(self, X, runs):
        begins = not (self.warm_start and hasattr(self, "components_"))
        progress = Progress(self, X, self.max_iter)
        self._learn_from(X, runs, begins, progress)
        progress.end(lambda: {name: getattr(self, name) for name in NAMES})

    def _learn_from(self, X, runs, begins, progress=None):
        """Learn, and set the attributes; without ``progress``, one iteration."""
        check_ways(self)
        seeds = check_random_state(self.random_state).randint(2**31, size=2)
        rng = np.random.default_rng([*seeds, 0 if begins else self.n_iter_])
        unit = self._unit(X) if begins else self.unit_
        n_components = self.n_components or (
            X.shape[1] if begins else len(self.components_)
        )
        whole = model_of(self, (n_components, X.shape[1]))
        if begins:
            parameters = first_parameters(self, whole, X, unit, rng)
            memory = {"encoder": {}, "decoder": {}}
        else:
            parameters = present_parameters(self, whole, unit, X.dtype)
            memory = {side: dict(of) for side, of in self.optimizer_state_.items()}
        model = model_for_unit(whole, unit)
        material = Material(X, None, False, single_rows(X.shape[0]), unit, None)
        with team(self.n_jobs) as each:
            ways = inner_of(self)
            on_way = Alternation(
                model, parameters, *ways, memory, self.prox == "exact", each
            )
            history, losses = self._run(on_way, material, rng, begins, progress)
        if history.diverged and not history.losses and begins:
            raise FloatingPointError(self._told_of_divergence(0))
        self._keep(on_way, history, losses, unit, begins)
        if history.diverged:
            raise DivergedError(self._told_of_divergence(len(history.losses)))

    def _unit(self, X):
        unit = mean_square(X)[1]
        return unit if ACTIVATIONS[self.decoder_activation].scales else max(unit, 1.0)

    def _run(self, on_way, material, rng, begins, progress):
        """Learn; return the history, and the losses of bits if there are any."""
        n_iter = 1 if progress is None else self.max_iter
        stopping = Stopping(n_iter, self.tol, PATIENCE)
        model, unit = on_way.model, material.unit

        def report(n_iter, loss):
            if progress is None:
                return False
            return progress.step(
                n_iter,
                loss * unit * unit,
                lambda: fitted_values(self, model, on_way.parameters, unit),
            )

        whole = Objective(model, material.X, on_way.each, unit)
        if on_way.exact and on_way.encoder.step is not None:
            self._check_exact(on_way.encoder.step, largest_exact_step(whole))
        codes = None
        if self.binary is not None and BINARY[self.binary].free:
            start = whole.codes(on_way.parameters.encoder)
            if begins:
                start = rng.uniform(size=start.shape).astype(start.dtype)
            codes = Codes(on_way, whole, start)
            history = learn(
                lambda n_iter: codes.iterate(),
                codes.state,
                codes.restore,
                stopping,
                report,
                validate=codes.binarised,
            )
        else:
            history = self._alternate(on_way, material, rng, stopping, report)
        if self.binary is None or (history.diverged and not history.losses):
            return history, {}
        bits = Objective(model._replace(encoder=BITS), material.X, on_way.each, unit)
        centred = self._moved(on_way.parameters, model, -1)
        parameters, losses = settle(bits, centred, codes and codes.codes, rng)
        on_way.parameters = self._moved(parameters, model, 1)
        return history, losses

    def _check_exact(self, step, largest):
        if step > largest:
            raise ValueError(
                f"encoder_step={step} is too long for prox='exact', whose fixed point "
                f"is found up to {largest:.3g} on these rows: set it to 'auto'."
            )

    def _alternate(self, on_way, material, rng, stopping, report):
        held_out, model = None, on_way.model
        if self.early_stopping and stopping.max_iter > 1:
            material, batch = self._hold_out(material, rng)
            held_out = Objective(model, batch.X, on_way.each)
        objectives = objectives_of(model, material, self.batch_size, rng, on_way.each)
        return learn(
            lambda n_iter: on_way.iterate(objectives()),
            on_way.state,
            on_way.restore,
            stopping,
            report,
            validate=held_out and (lambda: held_out.value(on_way.parameters)),
        )

    def _moved(self, parameters, model, sign):
        """Return parameters whose encoder has its middle moved, to zero by -1."""
        W, b = part(parameters.encoder, model.shape)
        move = sign * middle_of(self)
        return parameters._replace(encoder=join(W, b + b.dtype.type(move)))

    def _keep(self, on_way, history, losses, unit, begins):
        model = on_way.model
        parameters = on_way.parameters
        for name, value in fitted_values(self, model, parameters, unit).items():
            setattr(self, name, value)
        n_good = len(history.losses)
        curves = {
            "loss_curve_": history.losses,
            "encoder_loss_curve_": on_way.curves["encoder"][:n_good],
            "decoder_loss_curve_": on_way.curves["decoder"][:n_good],
            "validation_curve_": history.validation,
        }
        for name, curve in curves.items():
            before = [] if begins else getattr(self, name)
            told = np.asarray(curve, dtype=np.float64) * unit * unit
            setattr(self, name, np.concatenate([before, told]))
        before = np.zeros(1) if begins else np.append(0, self.time_curve_)
        times = before[-1] + np.array(on_way.curves["time"][:n_good])
        self.time_curve_ = np.concatenate([before[1:], times])
        self.n_iter_ = len(self.loss_curve_)
        self.unit_ = unit
        self.optimizer_state_ = on_way.memory
        if self.binary is not None:
            told = {name: loss * unit * unit for name, loss in losses.items()}
            self.binary_losses_ = told

    def _told_of_divergence(self, n_good):
        kept = (
            f"the parameters of iteration {n_good} are kept" if n_good else "none kept"
        )
        return (
            f"Learning diverged in iteration {n_good + 1}: the loss is not finite, "
            f"{kept}. Set encoder_step and decoder_step to 'auto'."
        )

    def _visit_codes(self, X, runs, visit, *, out=None):
        activation = ACTIVATIONS[self.encoder_activation]
        if self.binary is not None:
            activation = BITS
        W = self.components_.astype(X.dtype)
        p = {"alpha": -self.encoder_bias_.astype(X.dtype)}
        encoder = Encoder(W, p["alpha"], False, activation, p)
        alone = single_rows(X.shape[0])
        return visit_codes(X, encoder, alone, visit, out=out, n_jobs=self.n_jobs)

    def _decode(self, Z):
        V, c = (of.astype(Z.dtype) for of in (self.decoder_, self.decoder_bias_))
        activation = ACTIVATIONS[self.decoder_activation]
        return activation.value(Rows(Z @ V, None, False), {"alpha": -c})[0]
