"""Autoencoder with real or binary codes, by nested alternating minimisation."""

from functools import partial
from numbers import Integral, Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from sklearn_sqrtlasso._types import Rows, Seed
from sklearn_sqrtlasso.blockwise.blocks import thread_map
from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows
from sklearn_sqrtlasso.blockwise.linalg import affine_rows, narrowed
from sklearn_sqrtlasso.estimators.anamo_parameters import (
    activation_name,
    check_combination,
    check_exact_step,
    learns_codes,
    middle_of,
    suits_directions,
    width_of,
    with_width,
)
from sklearn_sqrtlasso.estimators.autoencoder import AutoencoderMixin, Units
from sklearn_sqrtlasso.estimators.base import BaseEncoder
from sklearn_sqrtlasso.estimators.compat import Interval, StrOptions, fit_context
from sklearn_sqrtlasso.estimators.docstrings import list_choices
from sklearn_sqrtlasso.estimators.drafts import all_or_nothing
from sklearn_sqrtlasso.estimators.resumption import (
    extend_curves,
    refuse_change,
    rows_of_state,
    state_of_rows,
)
from sklearn_sqrtlasso.estimators.row_sizes import usual_spread
from sklearn_sqrtlasso.estimators.training_codes import differ_beyond_rounding
from sklearn_sqrtlasso.estimators.validation import check_groups
from sklearn_sqrtlasso.learning.alternating import (
    METHODS,
    SIDES,
    Alternation,
    InnerSolver,
    run_alternation,
)
from sklearn_sqrtlasso.learning.batches import TrainingData
from sklearn_sqrtlasso.learning.binarization import SCHEMES, FreeCodes, refit_bits
from sklearn_sqrtlasso.learning.initialization import (
    initial_biased_parameters,
    parameters_of_directions,
    start_in_directions,
)
from sklearn_sqrtlasso.learning.loop import Stopping
from sklearn_sqrtlasso.learning.usual_steps import UsualSteps
from sklearn_sqrtlasso.models.biased_autoencoder import (
    BiasedAutoencoder,
    Parameters,
    join_rescaled,
    rescale_model,
    rescale_parameters,
    shift_biases,
)
from sklearn_sqrtlasso.models.block import split_block
from sklearn_sqrtlasso.models.earlier_rows import gather_rows, join_rows
from sklearn_sqrtlasso.models.encoders import BiasedEncoder
from sklearn_sqrtlasso.models.pointwise import BITS, POINTWISE
from sklearn_sqrtlasso.models.sparse_objective import objective_of

ALPHA, LARGEST = 0.01, 1e300  # of "auto", for rows of spread one, and of ``alpha_``
FEW_ROWS, BATCH = 2000, 500  # learnt from at once, and in a batch of more
MANY_ROWS = 2**17  # the first of these if weights start in principal directions
ALIKE = 4  # largest ratio of units of scaling of rows that are learnt from together
AFFORDABLE = 1e10  # products of the usual steps
IN_SPAN = 25  # iterations of rows that are learnt from in their span, and soon restored
PATIENCE = 5  # outer iterations without a decrease of the loss by ``tol``
DECODER_ACTIVATIONS = {name: row for name, row in POINTWISE.items() if not row.is_step}
NAMES = ("components_", "encoder_bias_", "decoder_", "decoder_bias_")


@list_choices({"activation": POINTWISE, "scheme": SCHEMES, "method": METHODS})
class ANAMOAutoencoder(AutoencoderMixin, BaseEncoder):
    r"""Autoencoder with biases, trained by nested alternating minimisation.

    The model is an encoder and a decoder with biases,

    .. math::
        z(x) = \sigma(W x + b), \qquad \hat x = \rho(V^\top z(x) + c),

    with :math:`W` = ``components_``, :math:`b` = ``encoder_bias_``, :math:`V` =
    ``decoder_`` and :math:`c` = ``decoder_bias_``. ``fit`` decreases

    .. math::
        \frac1N \sum_b \|x_b - \hat x(x_b)\|_2^2 + \alpha \, \|z(x_b)\|_1

    over N rows. An outer iteration takes a number of steps on the encoder with the
    decoder fixed, and then on the decoder with the encoder fixed. Each of the two
    parameter blocks has its own inner method, number of steps and step length.

    Parameters
    ----------
    n_components : int, default=None
        Number of units, at least 1; None uses the number of features or of rows,
        whichever is smaller, in ``partial_fit`` of features.
    alpha : float or "auto", default="auto"
        Penalty on the :math:`\ell_1` norm of the codes, at least 0, in squared units of
        X per unit of the code. "auto" is a hundredth of the mean square of the entries
        of X about their column means, or of its root for codes in units of X, as of
        "relu".
    encoder_activation : str, default="auto"
        Pointwise activation :math:`\sigma`, a function of the entries of
        :math:`v = Wx + b`; not used with ``binary``. "auto" is "sigmoid" with
        ``prox="exact"``, else "tanh".

        <choices of activation>.
    decoder_activation : str, default="identity"
        Pointwise activation :math:`\rho`, one of the above except "sign". "identity" is
        for any X, "sigmoid" for X in [0, 1].
    binary : {"subgradient", "smoothstep", "relaxed"}, default=None
        Binarization scheme, for codes that are 0 or 1; None for real codes.

        <choices of scheme>.

        With "relaxed", bits are flipped one by one where that lowers the objective, the
        encoder is a logistic regression for each bit, and both layers are then trained
        by up to 3000 steps of Adam with bits drawn from its probabilities. All three
        schemes end with a refit of the decoder to the bits of the encoder.
    width : float, default=None
        Width, above 0: for "smoothstep", length of the rise from 0 to 1, a pure number;
        for "helu", distance below zero within which a unit still learns, in units of
        ``unit_``. None is 1 for "smoothstep" and 0.05 for "helu".
    n_encoder_steps, n_decoder_steps : int, default=5, 15
        Number of steps on each block in an outer iteration, at least 1.
    encoder_step, decoder_step : float or "auto", default="auto"
        Step length, above 0; 0.3 to 1 for the encoder and 1 to 10 for the decoder are
        common for sigmoids. "auto" searches for a length that lowers the objective and
        keeps adapting it; for "adam", it starts at 0.1 for the decoder and at 0.01 for
        the encoder, or 0.7 over the number of features if that is more and codes are
        bounded, at 0.3 of that in ``partial_fit``, and for n > 1024 features at
        :math:`\sqrt{1024 / n}` of that. Lengths refer to rows divided by
        ``unit_``, which is 1 for sigmoid decoders and X in [0, 1]. With
        ``binary="relaxed"``, ``encoder_step`` is that of the codes.
    encoder_method, decoder_method : str, default="auto", "adam"
        Inner method of each block. "auto" is "adam", or "fista" where the encoder needs
        a proximal map, for ``prox="exact"`` and ``binary="relaxed"``.

        <choices of method>.
    prox : {"smooth", "exact"}, default="smooth"
        Whether steps on the encoder include the penalty in the gradient ("smooth") or
        use its exact proximal map ("exact", for sigmoid codes only). "exact" takes
        several passes per step, and limits the step length so that its fixed-point
        iteration converges.
    init : {"mean", "random"}, default="mean"
        Initial biases: such that the output is close to the mean row ("mean"), or zero
        ("random"). Initial weights are Gaussian; but with "mean", an activation that is
        smooth at zero and a linear decoder, principal directions of fewer than twice as
        many rows as columns, of more than 1024 columns if these and rows are both more
        than four times as many as units, and of dense rows of which the usual
        ``max_iter`` from Gaussian weights would make more than 1e10 products of a
        weight and an entry of X. A stream starts in those of its first batch if columns
        are more than 1024 and than four times as many as units.
    batch_size : int, None or "auto", default="auto"
        Number of rows of a batch, at least 1; None uses all rows at once, and then the
        loss never increases. "auto" is None up to 2000 rows, and for binary codes that
        are learnt freely; else 500. If weights start in principal directions (``init``)
        it is None up to 131072 rows, else 65536.
    max_iter : int or "auto", default="auto"
        Largest number of outer iterations, at least 1: passes over the rows. "auto" is
        100, or 25 if columns are at least twice as many as rows, which are learnt from
        in their span; or as many as make 500 batches. If weights start in principal
        directions, it is 20, or as many as make 20 batches or 5e9 products of a weight
        and an entry of X, but at least one. Of more rows than these take in, some are
        drawn at random.
    tol : float, default=1e-4
        Learning stops if the loss has not decreased by this share within five outer
        iterations, in [0, 1); 0 runs all.
    early_stopping : bool, default=False
        Whether to hold out rows and keep the parameters with the smallest loss on them.
    validation_fraction : float, default=0.1
        Share of the rows to hold out with ``early_stopping``, in (0, 1).
    warm_start : bool, default=False
        Whether ``fit`` resumes from the parameters of the previous fit.
    n_jobs : int, default=None
        Number of threads, as in joblib; results do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights and codes, and of the order of the rows.
    verbose : int, default=0
        Whether to print a line after each outer iteration.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Weights W of the encoder.
    encoder_bias_ : ndarray of shape (n_components,)
        Bias b of the encoder. With ``binary``, bits are 1 where :math:`W x + b \ge 0`.
    decoder_ : ndarray of shape (n_components, n_features)
        Weights V of the decoder.
    decoder_bias_ : ndarray of shape (n_features,)
        Bias c of the decoder.
    alpha_ : float
        Penalty of the last iteration, 1e300 if it is larger.
    loss_curve_ : ndarray of shape (`n_iter_`,)
        Objective after each outer iteration: with ``binary``, of the codes before they
        are binarized; with ``batch_size``, the mean over the batches.
    encoder_loss_curve_, decoder_loss_curve_ : ndarray of shape (`n_iter_`,)
        Objective after the steps on each block.
    validation_curve_ : ndarray of shape (`n_iter_`,) or (0,)
        Objective on the held-out rows, with ``early_stopping``. With
        ``binary="relaxed"``, objective of the binarized codes; the codes with the
        smallest one are kept.
    time_curve_ : ndarray of shape (`n_iter_`,)
        Seconds from the start of training to the end of each outer iteration.
    binary_losses_ : dict of str to float
        With ``binary``: objective after codes are "binarized", and of the final
        "encoded" bits. With "relaxed" also of the "continuous" codes, after the decoder
        is "refitted" to the bits, after bits are "flipped" one by one, and of the bits
        of the encoder "regressed" on them.
    n_iter_ : int
        Number of outer iterations, including those before resuming.
    stop_reason_ : {"tol", "max_iter", "callback", "interrupt", "diverged"}
        Why the last ``fit`` ended: the loss no longer fell (``tol``), all
        iterations were done, a callback or a keyboard interrupt ended it, or a loss
        was not finite, which raises an error.
    optimizer_state_ : dict of dict
        State of the inner methods of "encoder", "decoder" and free "codes", used to
        resume: step lengths, moments of Adam; ``rows``, the moments of earlier rows in
        units of training, or None; and ``log2_sizes``, the logarithms of the usual and
        of the last size of rows.
    fitted_params_ : dict
        Values of ``encoder_activation``, ``decoder_activation``, ``binary``, ``width``
        and ``prox`` in the last fit, which rows are coded with. The first four cannot
        change when learning resumes; changes act at the next fit.
    unit_ : float
        Unit of scaling that X is divided by in training: a power of two near the root
        mean square of its entries, or a running mean of those of the batches after
        ``partial_fit``; at least 1 if the output of the decoder is a pure number.
    n_features_in_ : int
        Number of features seen during :term:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :term:`fit`, if they are all strings.

    See Also
    --------
    NeLUAutoencoder : Autoencoder without bias, whose output scales with the row.
    sklearn_sqrtlasso.theory.compression.gaussian_compression_limit : Smallest error of
        a reconstruction from sign codes.

    Notes
    -----
    The objective is a mean over rows, so step lengths do not depend on their number. A
    block is left unchanged if no point visited in an outer iteration is better.

    References
    ----------
    .. [1] A. Beck, M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for
       linear inverse problems", SIAM J. Imaging Sciences 2(1), 2009.
    .. [2] E. Gur, S. Sabach, S. Shtern, "Nested alternating minimization with FISTA for
       non-convex and non-smooth optimization problems", J. Optimization Theory and
       Applications 199, 2023.

    Examples
    --------
    The published recipe for images with pixels in [0, 1], and sixteen bits of an image:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn_sqrtlasso import ANAMOAutoencoder
    >>> X = load_digits().data[:500] / 16
    >>> coder = ANAMOAutoencoder(
    ...     16,
    ...     alpha=0.1,
    ...     encoder_activation="sigmoid",
    ...     decoder_activation="sigmoid",
    ...     encoder_method="fista",
    ...     decoder_method="accelerated",
    ...     max_iter=20,
    ...     random_state=0,
    ... ).fit(X)
    >>> bool(coder.loss_curve_[-1] < 3)
    True
    >>> coder = ANAMOAutoencoder(16, binary="relaxed", max_iter=20, random_state=0)
    >>> sorted(set(coder.fit_transform(X).ravel().tolist()))
    [0.0, 1.0]
    """

    _kept_with = ("encoder_activation", "decoder_activation", "binary", "width")
    _coded_with = (*_kept_with, "prox")
    _usual = UsualSteps(500, 100)
    _of_directions = UsualSteps(20, 20, 5e9)

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "encoder_activation": [StrOptions({"auto", *POINTWISE})],
        "decoder_activation": [StrOptions(set(DECODER_ACTIVATIONS))],
        "binary": [StrOptions(set(SCHEMES)), None],
        "width": [Interval(Real, 0, None, closed="neither"), None],
        "n_encoder_steps": [Interval(Integral, 1, None, closed="left")],
        "n_decoder_steps": [Interval(Integral, 1, None, closed="left")],
        "encoder_step": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
        ],
        "decoder_step": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
        ],
        "encoder_method": [StrOptions({"auto", *METHODS})],
        "decoder_method": [StrOptions(set(METHODS))],
        "prox": [StrOptions({"smooth", "exact"})],
        "init": [StrOptions({"mean", "random"})],
        "batch_size": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
            None,
        ],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "tol": [Interval(Real, 0, 1, closed="left")],
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
        encoder_activation: str = "auto",
        decoder_activation: str = "identity",
        binary: str | None = None,
        width: float | None = None,
        n_encoder_steps: int = 5,
        n_decoder_steps: int = 15,
        encoder_step: float | str = "auto",
        decoder_step: float | str = "auto",
        encoder_method: str = "auto",
        decoder_method: str = "adam",
        prox: str = "smooth",
        init: str = "mean",
        batch_size: int | str | None = "auto",
        max_iter: int | str = "auto",
        tol: float = 1e-4,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.alpha = alpha
        self.encoder_activation = encoder_activation
        self.decoder_activation = decoder_activation
        self.binary = binary
        self.width = width
        self.n_encoder_steps = n_encoder_steps
        self.n_decoder_steps = n_decoder_steps
        self.encoder_step = encoder_step
        self.decoder_step = decoder_step
        self.encoder_method = encoder_method
        self.decoder_method = decoder_method
        self.prox = prox
        self.init = init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    def partial_fit(self, X: Rows, y: ArrayLike | None = None) -> Self:
        """Train on a batch of rows for one outer iteration.

        After ``fit``, and if a stream starts in principal directions (``init``),
        earlier rows are learnt from too, by their moments: a batch changes parameters
        so far as these allow. Rows of ``fit`` count as often as it passed over them,
        and of a stream, rows of later batches more. Not so with ``binary``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : Ignored
            Not used, present by convention.

        Returns
        -------
        self : object
            The updated autoencoder.
        """
        X, resumed = self._begin(X, warm=True)
        self._learn_from(self._training_data(X), resumed)
        return self

    def _learn(self, X, groups, resumed):
        data = self._training_data(X)
        self._learn_all(data, resumed)
        if self.binary is None:
            self._remember(data)

    def _remember(self, data):
        """Keep moments of the rows of a fit, each as often as it was learnt from."""
        units = Units(self.unit_, self.unit_, None)
        model, rescaled = self._model(data, len(self.components_), units)
        parameters = self._fitted_parameters(model, data.X.dtype)
        if model.decoder.is_linear:  # moments do not follow from it: it may be large
            parameters = parameters._replace(decoder=None)
        with thread_map(self.n_jobs):
            rows = gather_rows(rescaled, data.X, self.unit_, parameters)
        rows = rows and rows._replace(n_rows=rows.n_rows * self.n_iter_)
        self.optimizer_state_ = {**self.optimizer_state_, **state_of_rows(rows)}

    def _training_data(self, X):
        return TrainingData(X, target=None, coded=False, groups=check_groups(None, X))

    def _method(self, side):
        """Return the inner method of a block."""
        method = getattr(self, f"{side}_method")
        if method != "auto":
            return method
        return "fista" if learns_codes(self) or self.prox == "exact" else "adam"

    def _model(self, data, n_components, units):
        """Return the model of rows that are not rescaled, and that of rows that are."""
        encoder, decoder = (
            with_width(self, POINTWISE[activation_name(name, self.prox)])
            for name in (self.encoder_activation, self.decoder_activation)
        )
        if self.binary is not None:
            scheme = SCHEMES[self.binary]
            encoder = scheme.activation(width_of(self, scheme))
        shape, auto = (n_components, data.X.shape[1]), self.alpha == "auto"
        penalty = 0.0 if auto else float(self.alpha)
        model = BiasedAutoencoder(shape, encoder, decoder, penalty)
        rescaled = rescale_model(model, units.model)
        if auto:
            spread = usual_spread(data.rows) / units.rows
            penalty = ALPHA * spread ** (1 if encoder.scales else 2)
            rescaled = rescaled._replace(penalty=penalty)
        return model, rescaled

    def _stays_in_span(self, data):
        return POINTWISE[self.decoder_activation].is_linear

    def _starts_in_directions(self, data, *, stream=False):
        if not suits_directions(self):
            return False
        n_components = self._n_components_of(data, hasattr(self, "components_"), stream)
        shape = n_components, data.X.shape[1]
        if start_in_directions(shape, data.X, stream):
            return True
        random = stream or isinstance(data.X, ChunkedRows)  # however long it takes
        if random or self.max_iter != "auto":
            return False
        given = data, self._rows_of_batch(data, few=False), self._n_products(data)
        return self._usual.work(*given) > AFFORDABLE

    def _rows_of_batch(self, data, few=None):
        if self.batch_size != "auto":
            return self.batch_size
        few = self._starts_in_directions(data) if few is None else few
        most, size = (MANY_ROWS, MANY_ROWS // 2) if few else (FEW_ROWS, BATCH)
        at_once = learns_codes(self) or data.groups.n_rows <= most
        return None if at_once else size

    def _usual_steps(self, data):
        steps = super()._usual_steps(data)
        if data.given is None:
            return steps
        return steps._replace(most_epochs=min(steps.most_epochs, IN_SPAN))

    def _inner_solvers(self, model, in_stream):
        """Return the inner solvers of encoder and decoder."""
        solvers, bounded = [], not model.encoder.scales
        for name in SIDES:
            step, method = getattr(self, f"{name}_step"), self._method(name)
            if METHODS[method].finds_step and step != "auto":
                raise ValueError(
                    f"{name}_step must be 'auto' for {name}_method={method!r}, which "
                    f"finds its own step lengths, got {name}_step={step!r}; set it to "
                    "'auto'."
                )
            n_steps = getattr(self, f"n_{name}_steps")
            length = None if step == "auto" else float(step)
            first = METHODS[method].first_step(name, bounded, model.shape[1], in_stream)
            solvers.append(InnerSolver(method, n_steps, length, first))
        return solvers

    def _train(self, data, resumed, rng, progress):
        check_combination(self, self._method("encoder"))
        if resumed:
            before, now = self._fitted("prox"), self.prox
            if self.encoder_activation == "auto" and before != now:
                refuse_change(self, "prox", before, now)
        X = data.X
        least = 0.0 if POINTWISE[self.decoder_activation].scales else 1.0
        units = self._units(data.rows, resumed, progress is None, least)
        unit = units.model
        self._record_parameters()
        n_components = self._n_components_of(data, resumed, progress is None)
        model, rescaled = self._model(data, n_components, units)
        data = data._replace(unit=units.rows)
        earlier, rows, stream = None, None, progress is None
        if resumed:
            parameters = self._fitted_parameters(model, X.dtype)
            memory = self._memory(new_rows=stream)
            if stream and 1 / ALIKE <= unit / self.unit_ <= ALIKE:
                earlier = rows_of_state(self.optimizer_state_)
            near = earlier is not None
        else:
            near = self._starts_in_directions(data, stream=stream)
            parameters = self._first_parameters(model, data, near, rng)
            memory = {side: {} for side in SIDES}
        with thread_map(self.n_jobs) as pmap:
            alternation = Alternation(
                rescaled,
                parameters,
                *self._inner_solvers(model, stream),
                memory,
                self.prox == "exact",
                pmap,
                earlier,
            )
            history, losses = self._run(alternation, data, resumed, rng, progress)
            if stream and near:  # to parameters that suit these rows
                rows = gather_rows(rescaled, X, units.rows, alternation.parameters)
        self._refuse_divergence(history, resumed)
        self._set_learnt(alternation, history, losses, unit, resumed)
        in_span = data.given is not None  # in which inner methods cannot go on
        memory = {side: {} for side in SIDES} if in_span else alternation.memory
        state = state_of_rows(join_rows(earlier, rows))
        self.unit_ = unit
        self.optimizer_state_ = {**memory, **state, "log2_sizes": units.log2_sizes}
        return history

    def _first_parameters(self, model, data, in_directions, rng):
        start = partial(initial_biased_parameters, init=self.init)
        start = parameters_of_directions if in_directions else start
        parameters = start(model, data.X, data.unit, rng=rng)
        return shift_biases(model, parameters, middle_of(self))

    def _memory(self, new_rows):
        """Return the state of the inner methods, to resume on the same or new rows."""
        state = self.optimizer_state_
        names = state.keys() - {"log2_sizes", "rows"}
        return {name: {**state[name], "new_rows": new_rows} for name in sorted(names)}

    def _run(self, alternation, data, resumed, rng, progress):
        """Train; return the history, and the losses of binary codes if any."""
        n_iter = 1 if progress is None else progress.max_iter
        stopping = Stopping(n_iter, self.tol, PATIENCE)
        model, unit = alternation.model, data.unit

        def report(n_iter, loss):
            if progress is None:
                return False
            return progress.step(
                n_iter,
                loss * unit * unit,
                lambda: self._learnt(model, alternation.parameters, unit),
            )

        whole = objective_of(model, data.X, alternation.pmap, unit)
        check_exact_step(alternation, whole)
        codes, held_out = None, None
        if learns_codes(self):
            codes = whole.codes(alternation.parameters.encoder)
            if not resumed:
                codes = rng.uniform(size=codes.shape).astype(codes.dtype)
            codes = FreeCodes(alternation, whole, codes)
            history = codes.run(stopping, report)
        else:
            batch_size = self._rows_of_batch(data)
            if progress is not None:
                data = self._rows_to_learn(data, batch_size, rng)
            if self.early_stopping and stopping.max_iter > 1:
                data, held_out = self._hold_out(data, rng)
            history = run_alternation(
                alternation, data, held_out, batch_size, stopping, rng, report
            )
        if self.binary is None or (history.diverged and not history.losses):
            return history, {}
        of_bits = model._replace(encoder=BITS)
        bits = objective_of(of_bits, data.X, alternation.pmap, unit)
        parameters = shift_biases(model, alternation.parameters, -middle_of(self))
        parameters, losses = refit_bits(bits, parameters, codes and codes.codes, rng)
        alternation.parameters = shift_biases(model, parameters, middle_of(self))
        return history, losses

    def _fitted_parameters(self, model, dtype):
        """Return the fitted parameters in units of the model, which they follow."""
        W, b, V, c = (np.asarray(getattr(self, name), np.float64) for name in NAMES)
        layers = (W, b + middle_of(self)), (V, c)
        blocks = join_rescaled(model, layers, 1 / self.unit_)
        return Parameters(*(block.astype(dtype, copy=False) for block in blocks))

    def _learnt(self, model, parameters, unit):
        """Return the fitted attributes for parameters of rows divided by ``unit``."""
        parameters = rescale_parameters(model, parameters, unit)
        parameters = shift_biases(model, parameters, -middle_of(self))
        layers = (split_block(block, model.shape) for block in parameters)
        values = (of.copy() for layer in layers for of in layer)
        return dict(zip(NAMES, values, strict=True))

    def _set_learnt(self, alternation, history, losses, unit, resumed):
        model = alternation.model
        learnt = self._learnt(model, alternation.parameters, unit)
        for name, value in learnt.items():
            setattr(self, name, value)
        alpha = model.penalty * unit * (1.0 if model.encoder.scales else unit)
        self.alpha_ = float(min(alpha, LARGEST) if self.alpha == "auto" else self.alpha)
        n_good = len(history.losses)
        curves = {
            "loss_curve_": history.losses,
            "encoder_loss_curve_": alternation.curves["encoder"][:n_good],
            "decoder_loss_curve_": alternation.curves["decoder"][:n_good],
            "validation_curve_": history.validation,
        }
        curves = {name: np.array(of) * unit * unit for name, of in curves.items()}
        start = self.time_curve_[-1] if resumed and len(self.time_curve_) else 0.0
        curves["time_curve_"] = start + np.array(alternation.curves["time"][:n_good])
        extend_curves(self, resumed, curves)
        self.n_iter_ = len(self.loss_curve_)
        if self.binary is not None:
            losses = {name: loss * unit * unit for name, loss in losses.items()}
            self.binary_losses_ = losses

    def _parameters(self):
        return {name: getattr(self, name) for name in NAMES}

    def _are_away(self, x, mean):
        """Return whether rows are not restored, up to rounding, by a code of zeros."""
        zeros = np.zeros((1, len(self.components_)), x.dtype)
        return differ_beyond_rounding(x, self._decode(zeros)[0])

    def _remedy_for_zeros(self):
        return f"Lower {self._told_alpha()}."

    def _remedy(self):
        return "Set encoder_step and decoder_step to 'auto'."

    def _encoder_activation(self):
        """Return the name of the activation of the encoder as of the last fit."""
        return activation_name(self._fitted("encoder_activation"), self._fitted("prox"))

    def _encoder(self, dtype):
        activation = POINTWISE[self._encoder_activation()]
        if self._fitted("binary") is not None:
            activation = BITS
        W = narrowed(self.components_, dtype)
        return BiasedEncoder(W, self.encoder_bias_, activation)

    def _decode(self, Z):
        X, c = affine_rows(Z, self.decoder_, self.decoder_bias_)
        with np.errstate(over="ignore"):  # what is out of range is infinite
            return POINTWISE[self._fitted("decoder_activation")].value(X, c)[0]

    def _linear_decoder(self):
        linear = POINTWISE[self._fitted("decoder_activation")].is_linear
        return (self.decoder_, self.decoder_bias_) if linear else None
