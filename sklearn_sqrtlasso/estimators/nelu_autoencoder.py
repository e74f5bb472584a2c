"""An autoencoder whose one set of weights serves every noise level."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_sqrtlasso.estimators.base import (
    RowEncoder,
    all_or_nothing,
    resolve_groups,
)
from sklearn_sqrtlasso.estimators.compat import (
    Interval,
    StrOptions,
    fit_context,
    with_callbacks,
)
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
from sklearn_sqrtlasso.estimators.report import CodeReport
from sklearn_sqrtlasso.learning.adam import Adam, Moments, Schedule, n_batches
from sklearn_sqrtlasso.learning.batches import split_runs, take
from sklearn_sqrtlasso.learning.loop import DivergedError, Stopping, learn
from sklearn_sqrtlasso.learning.start import mean_square
from sklearn_sqrtlasso.models.activations import ACTIVATIONS
from sklearn_sqrtlasso.models.decoders import DECODERS, best_atoms
from sklearn_sqrtlasso.models.two_layer import SCALARS, Encoder, in_units
from sklearn_sqrtlasso.solvers.frame import row_norms
from sklearn_sqrtlasso.solvers.rows import single_rows, team
from sklearn_sqrtlasso.solvers.visit import visit_codes

LEARN_ALPHA = ("per_unit", "shared")


class NeLUAutoencoder(RowEncoder):
    r"""DOC"""

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "alpha": [Real, StrOptions({"pivotal"})],
        "learn_alpha": [StrOptions(set(LEARN_ALPHA)), "boolean"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "positive": ["boolean"],
        "decoder": [StrOptions(set(DECODERS))],
        "unit_rows": ["boolean"],
        "n_unrolled": [Interval(Integral, 1, None, closed="left"), None],
        "noise_std": [Interval(Real, 0, None, closed="left"), "array-like"],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, 1, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "warm_start": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=None,
        *,
        alpha="pivotal",
        learn_alpha="per_unit",
        activation="nelu",
        positive=False,
        decoder="free",
        unit_rows=False,
        n_unrolled=None,
        noise_std=0.0,
        learning_rate=3e-3,
        batch_size=512,
        max_iter=200,
        tol=1e-4,
        n_iter_no_change=10,
        early_stopping=False,
        validation_fraction=0.1,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.alpha = alpha
        self.learn_alpha = learn_alpha
        self.activation = activation
        self.positive = positive
        self.decoder = decoder
        self.unit_rows = unit_rows
        self.n_unrolled = n_unrolled
        self.noise_std = noise_std
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    @with_callbacks
    def fit(self, X, y=None, *, X_clean=None, Z=None, groups=None):
        """Learn to restore the rows of X, or to code them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to learn from.
        y : Ignored
            Present by convention.
        X_clean : {array-like, sparse matrix} of shape (n_samples, n_features), \
                default=None
            What the rows of X should become; None: themselves.
        Z : array-like of shape (n_samples, n_components), default=None
            Codes that the rows of X should get. The decoder is then the one that
            restores X from Z best.
        groups : array-like of shape (n_samples,) or "all", default=None
            Label of each row's group: the rows of a group share one noise level. "all"
            says that any rows may share one. None lets every row stand alone.

        Returns
        -------
        self : object
            The fitted autoencoder.

        Raises
        ------
        ValueError
            If a parameter or an argument is not valid; the estimator stays as it was.
        DivergedError
            If the loss leaves the finite numbers; the last good parameters are kept.
            A ``FloatingPointError`` that keeps nothing if there are none.
        """
        begins = not (self.warm_start and hasattr(self, "components_"))
        X = self._validate(X, reset=begins)
        self._learn(X, resolve_groups(groups, X.shape[0]), X_clean, Z)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    def partial_fit(self, X, y=None, *, X_clean=None, Z=None, groups=None):
        """Learn from a batch of rows for one epoch, at a constant learning rate.

        Parameters
        ----------
        X, y, X_clean, Z, groups
            As in ``fit``.

        Returns
        -------
        self : object
            The autoencoder, one epoch further.
        """
        begins = not hasattr(self, "components_")
        X = self._validate(X, reset=begins)
        runs = resolve_groups(groups, X.shape[0])
        self._learn_from(check_lesson(self, X, X_clean, Z, runs), begins)
        return self

    def fit_transform(self, X, y=None, *, X_clean=None, Z=None, groups=None):
        """Learn from the rows of X, and code them.

        Parameters
        ----------
        X, y, X_clean, Z, groups
            As in ``fit``.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            ``fit(...).transform(X, groups=groups)``.
        """
        self.fit(X, y, X_clean=X_clean, Z=Z, groups=groups)
        return self.transform(X, groups=groups)

    def report(self, X, *, groups=None):
        """Tell how the units are used on the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        groups : array-like of shape (n_samples,) or "all", default=None
            Label of each row's group, as in ``transform``.

        Returns
        -------
        report : CodeReport
            Share of dead units, mean number of active units, explained variance.
        """
        check_is_fitted(self)
        score = self.score(X, groups=groups)
        X = self._validate(X, reset=False)
        runs = resolve_groups(groups, X.shape[0])
        counts = self._visit_codes(X, runs, lambda b: np.count_nonzero(b.Z, axis=0))
        used = np.sum(counts, axis=0)
        return CodeReport(
            float(np.mean(used == 0)), float(used.sum() / X.shape[0]), score, len(used)
        )

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
            layers = first_layers(self, model, X, unit, rng)
        else:
            layers = present_layers(self, model, unit, X.dtype)
        corruption = corruption_of(self, X, unit, rng)
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

    def _hold_out(self, material, rng):
        n_samples = material.runs.n_rows
        n_held_out = round(self.validation_fraction * n_samples)
        if not 0 < n_held_out < n_samples:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {n_samples} rows "
                "leaves nothing to learn from or to validate with."
            )
        kept, held_out = split_runs(material.runs, n_held_out, rng)
        batch = take(material, held_out.order, held_out.starts, rng)
        return material._replace(runs=kept), batch

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

    def _noise_scale(self, X, runs):
        norms = np.empty(X.shape[0])

        def measure(block):
            x = block.X.toarray() if hasattr(block.X, "toarray") else block.X
            norms[block.rows] = row_norms(x - self._decode(block.Z))

        self._visit_codes(X, runs, measure)
        places = slice(None) if runs.order is None else runs.order
        first, n_rows = runs.starts[:-1], np.diff(runs.starts)
        norms = norms[places]
        top = np.repeat(np.maximum(np.maximum.reduceat(norms, first), 1e-300), n_rows)
        mean = np.add.reduceat((norms / top) ** 2, first) / n_rows / X.shape[1]
        sigma = np.empty(X.shape[0], X.dtype)
        sigma[places] = top * np.repeat(np.sqrt(mean), n_rows)
        return sigma

    def _decode(self, Z):
        return Z @ self.decoder_.astype(Z.dtype, copy=False)
