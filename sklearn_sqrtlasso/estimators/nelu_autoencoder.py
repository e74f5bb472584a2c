"""Square-root-lasso autoencoder: one set of weights for all noise levels."""

import math
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklearn_sqrtlasso._types import Groups, Rows, Seed
from sklearn_sqrtlasso.blockwise.blocks import thread_map
from sklearn_sqrtlasso.blockwise.linalg import largest_entry
from sklearn_sqrtlasso.blockwise.products import decode_rows
from sklearn_sqrtlasso.estimators.autoencoder import AutoencoderMixin
from sklearn_sqrtlasso.estimators.compat import (
    Interval,
    StrOptions,
    fit_context,
    with_callbacks,
)
from sklearn_sqrtlasso.estimators.docstrings import list_choices
from sklearn_sqrtlasso.estimators.drafts import all_or_nothing
from sklearn_sqrtlasso.estimators.first_alpha import first_alpha
from sklearn_sqrtlasso.estimators.grouped import GroupedEncoder
from sklearn_sqrtlasso.estimators.resumption import (
    carried_moments,
    extend_curves,
    refuse_change,
)
from sklearn_sqrtlasso.estimators.training_noise import fills_rows, training_noise
from sklearn_sqrtlasso.estimators.training_targets import check_clean_rows
from sklearn_sqrtlasso.estimators.validation import (
    check_array,
    check_groups,
    check_size_of_target,
)
from sklearn_sqrtlasso.learning.adam import Schedule
from sklearn_sqrtlasso.learning.batches import TrainingData
from sklearn_sqrtlasso.learning.initialization import (
    initial_layers,
    start_in_directions,
)
from sklearn_sqrtlasso.learning.loop import Stopping
from sklearn_sqrtlasso.learning.precision import dtype_of_steps, in_precision
from sklearn_sqrtlasso.learning.usual_steps import UsualSteps
from sklearn_sqrtlasso.learning.weights_and_penalties import (
    TwoLayerLearner,
    n_batches,
    run_training,
)
from sklearn_sqrtlasso.models.activations import ACTIVATIONS
from sklearn_sqrtlasso.models.decoders import DECODERS, least_squares_atoms
from sklearn_sqrtlasso.models.encoders import LayerEncoder
from sklearn_sqrtlasso.models.two_layer import (
    Layers,
    TwoLayer,
    rescale_layers,
    shapes,
)
from sklearn_sqrtlasso.sparse_coding.shrinkage_gap import gaps_of_rows

LEARN_ALPHA = ("per_unit", "shared")


@list_choices({"activation": ACTIVATIONS, "decoder": DECODERS})
class NeLUAutoencoder(AutoencoderMixin, GroupedEncoder):
    r"""Sparse autoencoder whose thresholds follow the noise level of each row.

    The model has an encoder :math:`W` (``components_``), the exact square-root-lasso
    shrinkage, and a decoder :math:`V` (``decoder_``),

    .. math::
        z(x) = \arg\min_z \; \|W x - z\|_2 + \sum_i \alpha_i |z_i|,
        \qquad \hat x = V^\top z(x),

    and is trained end to end: ``fit`` minimises

    .. math::
        \frac{1}{N n} \sum_b \omega_b \, \|\hat x(x_b + \sigma_b g_b) - x_b\|_2^2

    over W, V and :math:`\alpha` by Adam, with :math:`N` rows of :math:`n` features,
    Gaussian noise :math:`g_b` that is drawn anew in every epoch, and :math:`\omega_b
    \propto \sigma_b^{-0.7}`. The layers have no bias: scaling a row scales its
    reconstruction, so one network suits all noise levels.

    Parameters
    ----------
    n_components : int, default=None
        Number of units, at least 1. None uses the number of features or of rows,
        whichever is smaller, in ``partial_fit`` of features; or the number of columns
        of ``Z`` if it is given.
    alpha : float, "auto" or "pivotal", default="auto"
        Penalty, or its initial value if it is learnt. For "nelu", "nelu_adaptive",
        "nelu_helu" and "topk", a pure number of at least 0, in (0, 1) if learnt: at
        most :math:`1/\alpha^2` entries of a code are nonzero ("topk": exactly the
        integer part). "pivotal" is the value at which 19 of 20 rows of pure noise get
        a zero code with the initial weights, or half of it if it is learnt, so that
        units do not start dead. For the other activations, an offset that is subtracted
        from :math:`Wx`, like a bias: a threshold in units of X ("soft", "relu", "helu",
        "identity") or a pure number ("sigmoid", "tanh", "sign"); never "pivotal".
        "auto" is 0 for offsets, and "pivotal" for penalties. Where weights start in
        principal directions, "auto" is what restores the training rows best if it is
        learnt, at most "pivotal". They start there from fewer than twice as many rows
        as columns, and of more than 1024 columns if rows and columns are both more than
        four times as many as units; and near those of the first batch in
        ``partial_fit``, with no more units than columns and this default.
    learn_alpha : {"per_unit", "shared"} or bool, default="per_unit"
        Whether to learn one ``alpha`` per unit ("per_unit" or True), one for all units
        ("shared"), or none (False: ``alpha`` is fixed).
    activation : str, default="nelu"
        Map from :math:`Wx` to the code:

        <choices of activation>.

        The pointwise activations, from "relu" on, are functions of
        :math:`v = Wx - \alpha`. "topk" keeps as many entries as "nelu" can keep at the
        same penalty.
    positive : bool, default=False
        Whether to constrain codes to be nonnegative. The pointwise activations, from
        "relu" on, ignore it.
    decoder : {"free", "tied", "pinv"}, default="free"
        Where the decoder V comes from.

        <choices of decoder>.
    unit_rows : bool, default=False
        Whether to keep rows of W at unit norm, as the theory of "pivotal" assumes.
    n_unrolled : int, default=None
        Number of proximal steps, at least 1, that replace the exact shrinkage of
        "nelu"; their length and momentum are learnt. None is exact. With steps of a
        fixed length, codes do not scale with the row. Each group is held in memory as
        a whole.
    noise_std : float, pair of float or "auto", default="auto"
        Standard deviation of the Gaussian noise added during training, at least 0, in
        units of X. For a pair ``(low, high)`` above 0, it is drawn log-uniformly for
        each row, or for up to 64 rows of a group at once. "auto" is the pair of 0.1 and
        2 times the root mean square of X about its column means, and 0 if ``X_clean``
        or ``Z`` is given. Noise is projected on the span of the rows of X: centered
        rows stay centered. Of more than 1024 columns and fewer units, it is projected
        on the span of the weights, as the rest of it reaches no code.
    learning_rate : float, default=3e-3
        Largest step length of Adam, above 0. It rises during the first 100 steps, at
        most a tenth of all, and then falls by half a cosine to zero at ``max_iter``.
        Steps on weights of n > 1024 columns are shorter, by :math:`\sqrt{1024 / n}`.
    batch_size : int, default=256
        Number of rows of a batch, at least 1.
    max_iter : int or "auto", default="auto"
        Largest number of epochs, at least 1. "auto" is the number that makes 2000
        steps, one for each batch, but at most 200; or 200 steps and 20 epochs if
        weights start in principal directions (``alpha``), and then fewer of many
        weights: at most 2.5e10 products of a weight and an entry of X, or an epoch. Of
        more rows than these steps take in, some are drawn at random. Where they make
        more than 1e10 such products, rows without a target that are dense, as sparse
        ones with noise are, are learnt from in single precision, if this keeps their
        digits; parameters have the dtype of X.
    tol : float, default=0.0
        Learning stops if the loss has not decreased by this share within
        ``n_iter_no_change`` epochs, in [0, 1). 0 runs all epochs, so that the learning
        rate reaches zero.
    n_iter_no_change : int, default=10
        Number of epochs without such a decrease after which learning stops, at least 1.
    early_stopping : bool, default=False
        Whether to hold out rows and keep the parameters of the epoch with the smallest
        loss on them.
    validation_fraction : float, default=0.1
        Share of the rows to hold out with ``early_stopping``, in (0, 1).
    warm_start : bool, default=False
        Whether ``fit`` resumes from the parameters of the previous fit.
    n_jobs : int, default=None
        Number of threads, as in joblib; results do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of the rows and the noise.
    verbose : int, default=0
        Whether to print a line after each epoch.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Encoder W.
    decoder_ : ndarray of shape (n_components, n_features)
        Decoder V, one atom per row. If ``Z`` was given and ``decoder="free"``, the
        least-squares map from ``Z`` to X.
    alpha_ : float or ndarray of shape (n_components,)
        Fitted penalty or offset, one per unit if ``learn_alpha="per_unit"``.
    kappa_ : float or ndarray of shape (n_components,)
        Factor :math:`\kappa_i` of the threshold; only for "nelu_adaptive".
    step_, momentum_ : float
        Length, in units of X, and momentum of the steps; only with ``n_unrolled``.
    loss_curve_ : ndarray of shape (`n_iter_`,)
        Mean loss of each epoch, divided by the mean square of the target: an output of
        zero has loss 1.
    validation_curve_ : ndarray of shape (`n_iter_`,) or (0,)
        The same on the held-out rows after each epoch, with ``early_stopping``.
    n_iter_ : int
        Number of epochs, including those before resuming.
    stop_reason_ : {"tol", "max_iter", "callback", "interrupt", "diverged"}
        Why the last ``fit`` ended: the loss no longer fell (``tol``), all
        epochs were run, a callback or a keyboard interrupt ended it, or a loss was not
        finite, which raises an error.
    unit_ : float
        Unit of scaling that X is divided by in training: a power of two near the root
        mean square of its entries; near a running mean of those of the batches after
        ``partial_fit``.
    optimizer_state_ : dict
        State of the optimizer, used to resume: running moments of the gradient with
        respect to each learnt parameter, ``n_steps``, ``log2_sizes``, the logarithms of
        the usual and of the last size of rows, and ``n_seen``, the number of rows of
        the last ``fit`` and after it, 0 in a stream of batches without one.
    fitted_params_ : dict
        Values of ``activation``, ``n_unrolled``, ``positive``, ``alpha`` and
        ``learn_alpha`` in the last fit, which rows are coded with; later changes act at
        the next fit.
    n_features_in_ : int
        Number of features seen during :term:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :term:`fit`, if they are all strings.

    See Also
    --------
    SqrtLassoTransform : The same codes in a tight frame, learnt without noise.
    sklearn.neural_network.MLPRegressor : Networks of relu or sigmoid units.

    Notes
    -----
    Defaults were chosen on parts of photographs that no reported result uses: a free
    decoder, one penalty per unit and rows of W of any norm restored as well as their
    alternatives or better, by up to 0.4 dB, and "pivotal" is as good an initial penalty
    as one tuned by hand.

    The noise level of a single row is hard to estimate. If rows share a noise level, as
    the patches of an image do, pass ``groups`` to ``fit`` and to the other methods.

    References
    ----------
    .. [1] N. Goldenstein, J. Sulam, Y. Romano, "Pivotal Auto-Encoder via
       Self-Normalizing ReLU", arXiv:2406.16052, 2024.
    .. [2] S. G. Chang, B. Yu, M. Vetterli, "Adaptive wavelet thresholding for image
       denoising and compression", IEEE Trans. Image Processing 9(9), 2000.

    Examples
    --------
    The rows lie near a plane. A network trained at noise levels from 0.1 to 1 also
    restores rows, and their noise, scaled by a thousand:

    >>> import numpy as np
    >>> from sklearn_sqrtlasso import NeLUAutoencoder
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((500, 2)) @ rng.standard_normal((2, 16))
    >>> coder = NeLUAutoencoder(32, noise_std=(0.1, 1.0), max_iter=50, random_state=0)
    >>> coder = coder.fit(X)
    >>> noisy = X + rng.standard_normal(X.shape)
    >>> bool(np.mean((coder.reconstruct(noisy) - X) ** 2) < 0.3)
    True
    >>> ratio = coder.reconstruct(1024 * noisy) / coder.reconstruct(noisy)
    >>> bool(np.all(ratio == 1024))
    True
    """

    _coded_with = ("activation", "n_unrolled", "positive", "alpha", "learn_alpha")
    _kept_with = ("activation", "n_unrolled")
    _usual = UsualSteps(2000, 200)
    _of_directions = UsualSteps(200, 20, 2.5e10)

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "alpha": [Real, StrOptions({"auto", "pivotal"})],
        "learn_alpha": [StrOptions(set(LEARN_ALPHA)), "boolean"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "positive": ["boolean"],
        "decoder": [StrOptions(set(DECODERS))],
        "unit_rows": ["boolean"],
        "n_unrolled": [Interval(Integral, 1, None, closed="left"), None],
        "noise_std": [
            Interval(Real, 0, None, closed="left"),
            "array-like",
            StrOptions({"auto"}),
        ],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
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
        n_components: int | None = None,
        *,
        alpha: float | str = "auto",
        learn_alpha: str | bool = "per_unit",
        activation: str = "nelu",
        positive: bool = False,
        decoder: str = "free",
        unit_rows: bool = False,
        n_unrolled: int | None = None,
        noise_std: float | ArrayLike | str = "auto",
        learning_rate: float = 3e-3,
        batch_size: int = 256,
        max_iter: int | str = "auto",
        tol: float = 0.0,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
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
    def fit(
        self,
        X: Rows,
        y: ArrayLike | None = None,
        *,
        X_clean: Rows | None = None,
        Z: Rows | None = None,
        groups: Groups = None,
    ) -> Self:
        """Fit the autoencoder to restore the rows of X, or to predict their codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : Ignored
            Not used, present by convention.
        X_clean : {array-like, sparse matrix} of shape (n_samples, n_features), \
                default=None
            Target of the reconstruction; None uses X.
        Z : array-like of shape (n_samples, n_components), default=None
            Target codes. The initial encoder is then the least-squares map from X to Z,
            and a free decoder the least-squares map from Z to X.
        groups : array-like of shape (n_samples,) or "all", default=None
            Group label of each row; rows of a group share a noise level. "all" puts all
            rows into one group, None puts each row into its own.

        Returns
        -------
        self : object
            The fitted autoencoder.

        Raises
        ------
        ValueError
            If a parameter or an argument is not valid; the estimator is left unchanged.
        DivergedError
            If the loss is no longer finite; the last finite parameters are kept. If
            there are none, a ``FloatingPointError`` is raised and nothing is kept.
        """
        X, resumed = self._begin(X, coded=Z is not None)
        groups = check_groups(groups, X)
        self._learn(X, groups, resumed, X_clean, Z)
        self._check_codes(X, groups)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    def partial_fit(
        self,
        X: Rows,
        y: ArrayLike | None = None,
        *,
        X_clean: Rows | None = None,
        Z: Rows | None = None,
        groups: Groups = None,
    ) -> Self:
        r"""Train on a batch of rows for one epoch, at a constant learning rate.

        Steps on the first hundred batches are shorter. By default, weights of no more
        units than columns start near principal directions of the first batch, at the
        penalty that restores it best from noise.

        After a ``fit``, the rate of steps on n rows is multiplied by
        :math:`\sqrt{n / N}`, with N the number of rows of the fit and of all batches
        since, this one included: gradients of n rows are as much noisier than one of N
        rows. What rows like those of the fit undo of it then depends on their number,
        not on that of calls; other rows are followed as they become a share of all.

        Parameters
        ----------
        X, y, X_clean, Z, groups
            As in ``fit``.

        Returns
        -------
        self : object
            The updated autoencoder.
        """
        X, resumed = self._begin(X, warm=True, coded=Z is not None)
        groups = check_groups(groups, X)
        self._learn_from(self._training_data(X, X_clean, Z, groups), resumed)
        return self

    def fit_transform(
        self,
        X: Rows,
        y: ArrayLike | None = None,
        *,
        X_clean: Rows | None = None,
        Z: Rows | None = None,
        groups: Groups = None,
    ) -> Any:
        """Fit to the rows of X and return their codes.

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

    def _learn(self, X, groups, resumed, X_clean=None, Z=None):
        self._learn_all(self._training_data(X, X_clean, Z, groups), resumed)

    def _training_data(self, X, X_clean, Z, groups):
        """Return validated rows and targets, without unit of scaling or noise."""
        if X_clean is not None and Z is not None:
            raise ValueError(
                "X_clean and Z were both given: pass one of them, not both."
            )
        if X_clean is not None:
            X_clean = check_clean_rows(X_clean, X, self)
        if Z is not None:
            Z = check_array(Z, dtype=X.dtype, input_name="Z")
            fitted = len(self.components_) if hasattr(self, "components_") else None
            wanted = (X.shape[0], self.n_components or fitted or Z.shape[1])
            if Z.shape != wanted:
                raise ValueError(
                    f"Z must have the shape (n_samples, n_components) = {wanted}, "
                    f"got {Z.shape}."
                )
            self._check_size_of_codes(X, Z)
        target = X_clean if Z is None else Z
        return TrainingData(X, target, coded=Z is not None, groups=groups)

    def _check_size_of_codes(self, X, Z):
        """Raise an error if no weights of ordinary size map rows to codes."""
        both = largest_entry(X) > 0 and largest_entry(Z) > 0
        if not both and not hasattr(self, "components_"):
            raise ValueError(
                "X and Z must not be all zero in a first fit to codes, which starts "
                "from the least-squares map of X to Z."
            )
        check_size_of_target(X, Z, "Z", pure=not self._activation().scales)

    def _activation(self):
        name, n_unrolled = self._fitted("activation"), self._fitted("n_unrolled")
        activation = ACTIVATIONS[name]
        if n_unrolled is None:
            return activation
        if activation.unrolled is None:
            exact = [name for name, row in ACTIVATIONS.items() if row.unrolled]
            raise ValueError(
                f"n_unrolled is for an activation among {exact}, got "
                f"activation={name!r}; set n_unrolled=None."
            )
        return activation.unrolled(n_unrolled)

    def _model(self, shape, coded):
        """Return the model; with target codes, the decoder is not trained."""
        activation = self._activation()
        size = {"per_unit": shape[0], "shared": 1, True: shape[0], False: 0}
        sizes = {}
        for name in activation.parameters:
            shared = activation.parameter(name).shared
            sizes[name] = 1 if shared else size[self.learn_alpha]
        decoder = DECODERS["tied" if coded else self.decoder]
        return TwoLayer(shape, activation, decoder, bool(self.positive), sizes)

    def _train(self, data, resumed, rng, progress):
        X = data.X
        stream = progress is None
        units = self._units(self._rows_with_unit(data), resumed, stream)
        unit = units.model
        if resumed:
            self._check_resumed_penalty()
        given = not resumed or self.alpha != self._fitted("alpha")
        self._record_parameters()
        shape = (self._n_components_of(data, resumed, stream), X.shape[1])
        model = self._model(shape, data.coded)
        start = first_alpha(self.alpha, self.activation, model, unit)
        pure = data.coded and not model.activation.scales
        data = data._replace(unit=units.rows, target_unit=1.0 if pure else units.rows)
        noise = training_noise(self.noise_std, data, model.shape[0])
        data = data._replace(corruption=noise)
        dtype = dtype_of_steps(data, 0.0 if stream else self._usual_work(data))
        if resumed:
            layers = self._resumed_layers(model, unit).astype(X.dtype)
            if given and not model.sizes["alpha"]:
                layers.p["alpha"][:] = start.alpha(layers.W)
        else:
            layers = initial_layers(model, data, start, rng, whole=stream)
        layers, data = layers.astype(dtype), in_precision(data, dtype)
        state = self.optimizer_state_ if resumed else None

        def moments():
            return state and carried_moments(state, shapes(model), dtype)

        with thread_map(self.n_jobs) as pmap:
            learner = TwoLayerLearner(
                model,
                layers,
                moments,
                batch_size=self.batch_size,
                unit_rows=self.unit_rows,
                pmap=pmap,
                n_jobs=self.n_jobs,
            )
            n_seen = self._n_seen(data, resumed, stream)
            history = self._run(learner, data, unit, rng, progress, n_seen)
        self._refuse_divergence(history, resumed)
        self._set_learnt(learner, data, unit, history, resumed)
        state = {"log2_sizes": units.log2_sizes, "n_seen": n_seen}
        self.unit_, self.optimizer_state_ = unit, {**learner.named_moments(), **state}
        return history

    def _rows_with_unit(self, data):
        """Return the rows, or targets of their unit if all of them are zero."""
        has_unit = data.target is not None
        if data.coded:
            has_unit = self._activation().scales
        if has_unit and largest_entry(data.X) == 0:
            return data.target
        return data.rows

    def _check_resumed_penalty(self):
        """Raise an error if penalties learnt for each unit would have to be one."""
        before, now = self._fitted("learn_alpha"), self.learn_alpha
        if now == "shared" and np.size(np.unique(self.alpha_)) > 1:
            refuse_change(self, "learn_alpha", before, now)

    def _stays_in_span(self, data):
        return data.coded or data.target is None

    def _starts_in_directions(self, data):
        return not data.coded and start_in_directions(self._shape(data), data.X)

    def _rows_of_batch(self, data):
        return self.batch_size

    def _n_products(self, data):
        n_components, n_features = self._shape(data)
        if fills_rows(self.noise_std, data, n_components):
            return n_components * n_features
        return super()._n_products(data)

    def _usual_work(self, data):
        """Return the number of products of a default fit, 0 if steps are given."""
        if self.max_iter != "auto":
            return 0.0
        given = data, self.batch_size, self._n_products(data)
        return self._usual_steps(data).work(*given)

    def _n_seen(self, data, resumed, stream):
        """Return the number of rows of a fit and since; 0 in a stream without one."""
        earlier = self.optimizer_state_.get("n_seen", 0) if resumed and stream else 0
        return earlier + data.groups.n_rows if earlier or not stream else 0

    def _run(self, learner, data, unit, rng, progress, n_seen):
        held_out, n_epochs, n_steps, rate = None, 1, None, self.learning_rate
        if progress is None and n_seen:
            n_rows = data.groups.n_rows / n_batches(data, self.batch_size)
            rate *= math.sqrt(n_rows / n_seen)
        if progress is not None:
            data = self._rows_to_learn(data, self.batch_size, rng)
            if self.early_stopping:
                data, held_out = self._hold_out(data, rng)
            n_epochs = progress.max_iter
            n_steps = n_epochs * n_batches(data, self.batch_size)

        def report(n_iter, loss):
            if progress is None:
                return False

            def learnt():
                return self._learnt(learner.model, learner.layers(), data, unit)

            return progress.step(n_iter, loss, learnt)

        schedule = Schedule(rate, n_steps)
        stopping = Stopping(n_epochs, self.tol, self.n_iter_no_change)
        return run_training(learner, data, held_out, schedule, stopping, rng, report)

    def _learnt(self, model, layers, data, unit):
        """Return the fitted attributes that hold the values of all parameters."""
        activation = model.activation
        W, V, p = rescale_layers(layers.astype(data.X.dtype), activation, unit)
        if data.coded:
            V = DECODERS[self.decoder].atoms(W)
            if DECODERS[self.decoder].free:
                units = data.target_unit or data.unit, data.unit
                V = least_squares_atoms(data.target, data.X, *units)
                V *= units[1] / units[0]
        learnt = {"components_": W, "decoder_": V.astype(W.dtype, copy=V is W)}
        for name, size in model.sizes.items():
            one = size == 1 or (np.all(p[name] == p[name][0]) and not size)
            learnt[f"{name}_"] = float(p[name][0]) if one else p[name]
        return learnt

    def _set_learnt(self, learner, data, unit, history, resumed):
        layers = learner.layers(copy=False)
        for name, value in self._learnt(learner.model, layers, data, unit).items():
            setattr(self, name, value)
        curves = {
            "loss_curve_": history.losses,
            "validation_curve_": history.validation,
        }
        extend_curves(self, resumed, curves)
        self.n_iter_ = len(self.loss_curve_)

    def _parameters(self):
        names = self._activation().parameters
        names = ["components_", "decoder_", *(f"{name}_" for name in names)]
        return {name: getattr(self, name) for name in names}

    def _remedy_for_zeros(self):
        rate = f" or learning_rate={self.learning_rate}" if self.learn_alpha else ""
        return f"Lower {self._told_alpha()}{rate}."

    def _remedy_for_dense_codes(self):
        meant = self._activation().role_of_alpha != "penalty" or not self.alpha
        return None if meant or self.learn_alpha else f"Raise {self._told_alpha()}."

    def _remedy(self):
        return f"Lower learning_rate={self.learning_rate}."

    def _layers(self, activation):
        """Return the fitted layers, for rows that are not rescaled."""
        p, n_components = {}, len(self.components_)
        for name in activation.parameters:
            size = 1 if activation.parameter(name).shared else n_components
            p[name] = np.full(size, getattr(self, f"{name}_"), np.float64)
        return Layers(self.components_, self.decoder_, p)

    def _resumed_layers(self, model, unit):
        """Return the fitted layers in units of the model.

        What is learnt is a number of units, and so follows ``unit_``, except that a
        threshold does not grow with it; what is fixed is in units of X.
        """
        layers = self._layers(model.activation)
        if not model.activation.scales:  # their weights have units, and are rescaled
            layers = layers.astype(np.float64)
        fixed = rescale_layers(layers, model.activation, 1 / unit).p["alpha"]
        layers = rescale_layers(layers, model.activation, 1 / self.unit_)
        keep = np.abs(fixed) < np.abs(layers.p["alpha"])
        keep |= model.sizes["alpha"] == 0
        layers.p["alpha"][keep] = fixed[keep]
        return layers

    def _encoder(self, dtype):
        activation = self._activation()
        with np.errstate(over="ignore"):  # what is out of range is infinite
            W, _, p = self._layers(activation).astype(dtype)
        return LayerEncoder(W, bool(self._fitted("positive")), activation, p)

    def _decode(self, Z):
        return decode_rows(Z, self.decoder_)

    def _linear_decoder(self):
        return self.decoder_, None

    def _is_certified(self):
        if not self._activation().certified:
            certified = [name for name, row in ACTIVATIONS.items() if row.certified]
            raise AttributeError(
                "duality_gap is not available for activation="
                f"{self._fitted('activation')!r}; "
                f"activations with a duality gap are {certified}."
            )
        return True

    def _duality_gap(self, X, groups):
        return gaps_of_rows(X, self._encoder(X.dtype), groups, n_jobs=self.n_jobs)
