"""An autoencoder learnt by nested alternating minimisation, with or without bits."""

from numbers import Integral, Real

from sklearn_sqrtlasso.estimators.anamo_setup import DECODERS
from sklearn_sqrtlasso.estimators.base import all_or_nothing, resolve_groups
from sklearn_sqrtlasso.estimators.compat import Interval, StrOptions, fit_context
from sklearn_sqrtlasso.estimators.nested import NestedEncoder
from sklearn_sqrtlasso.learning.binary import BINARY
from sklearn_sqrtlasso.learning.nam import METHODS
from sklearn_sqrtlasso.models.activations import POINTWISE


class ANAMOAutoencoder(NestedEncoder):
    r"""Learn to restore rows by nested alternating minimisation, each layer in its way.

    An encoder and a decoder with biases,

    .. math::
        z(x) = \sigma(W x + b), \qquad \hat x = \rho(V^\top z(x) + c),

    with :math:`W` = ``components_``, :math:`b` = ``encoder_bias_``, :math:`V` =
    ``decoder_`` and :math:`c` = ``decoder_bias_``. ``fit`` lowers

    .. math::
        \frac1N \sum_b \|x_b - \hat x(x_b)\|_2^2 + \alpha \, \|z(x_b)\|_1

    over N rows. An outer iteration takes some steps on the encoder while the decoder is
    held, and then some steps on the decoder. Each of the two blocks has its own inner
    method, number of steps and length of steps.

    Parameters
    ----------
    n_components : int, default=None
        Number of units, at least 1; None takes the number of features.
    alpha : float, default=0.1
        Penalty of the sum of the sizes of a row's code, at least 0; in squared units of
        X per unit of the code.
    encoder_activation : str, default="sigmoid"
        Map :math:`\sigma`: "sigmoid", "tanh", "relu", "helu", "identity" or "sign". Not
        used with ``binary``.
    decoder_activation : str, default="sigmoid"
        Map :math:`\rho`, of the same names but "sign". "sigmoid" restores rows of
        numbers between 0 and 1; "identity" any rows.
    binary : {"subgradient", "smoothstep", "relaxed"}, default=None
        How to learn codes that are 0 or 1; None for codes that are numbers:

        - "subgradient": the step itself, that learns by the slope of the sigmoid;
        - "smoothstep": :math:`3 q^2 - 2 q^3` with
          :math:`q = \mathrm{clip}(u / \text{width}, 0, 1)` while learning;
        - "relaxed": a code in :math:`[0, 1]` for each row and a decoder are learnt
          first, as long as they do better once binarised at one half. The decoder is
          fitted to these bits, bits change one by one where that lowers the objective,
          and the encoder is a logistic regression for each bit. Both layers are then
          learnt by up to 3000 steps of Adam with bits drawn from its probabilities.

        In all three, the decoder is fitted once more to the encoder's bits.
    width : float, default=None
        Length of the rise of "smoothstep", a pure number above 0; and how far below
        zero a unit of "helu" still learns, in units of ``unit_``. None is 1 and 0.05.
    n_encoder_steps, n_decoder_steps : int, default=5, 15
        Steps on either block in an outer iteration.
    encoder_step, decoder_step : float or "auto", default="auto"
        Length of the steps, above 0; 0.3 to 1 and 1 to 10 are common for sigmoids.
        "auto" finds one that lowers the objective, and goes on adapting it; that of
        "adam" begins at 0.01 for the encoder and 0.1 for the decoder. Numbers are
        for rows divided by ``unit_``, which is 1 where a sigmoid restores rows between
        0 and 1. With ``binary="relaxed"`` the first is that of the codes.
    encoder_method, decoder_method : str, default="fista", "accelerated"
        Inner methods: "gradient", "accelerated" (Nesterov's momentum, that restarts
        where it leads astray) and "fista", which is the same with a proximal map,
        "adam", or "lbfgs", which finds the lengths of its steps itself. "adam" on both
        sides learns fastest on images, see the user guide.
    prox : {"smooth", "exact"}, default="smooth"
        Whether the penalty of the encoder takes part in the gradient, or by its exact
        proximal map, for sigmoid codes only. "exact" costs several passes a step, and
        steps are no longer than its fixed point allows.
    init : {"mean", "random"}, default="mean"
        Whether learning begins at about the mean row, or at biases of zero. Weights
        are Gaussian.
    batch_size : int, default=None
        Rows of a batch; None takes all at once, and then the loss never rises.
    max_iter : int, default=100
        Number of outer iterations.
    tol : float, default=1e-4
        Relative fall of the loss that must be seen within five iterations, or learning
        stops; in [0, 1), 0 runs all.
    early_stopping : bool, default=False
        Whether rows are held out, and the parameters that do best on them are kept.
    validation_fraction : float, default=0.1
        Share of the rows that is held out, in (0, 1).
    warm_start : bool, default=False
        Whether ``fit`` goes on from the parameters of the fit before.
    n_jobs : int, default=None
        Threads, in the sense of joblib; results do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of the first weights, codes, and the order of the rows.
    verbose : int, default=0
        Whether to print a line for each outer iteration.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        W.
    encoder_bias_ : ndarray of shape (n_components,)
        b. Bits are 1 where :math:`W x + b \ge 0`.
    decoder_ : ndarray of shape (n_components, n_features)
        V.
    decoder_bias_ : ndarray of shape (n_features,)
        c.
    loss_curve_ : ndarray of shape (`n_iter_`,)
        Objective after each outer iteration; with ``binary``, that of the codes before
        they are binarised, and with ``batch_size`` the mean over the batches.
    encoder_loss_curve_, decoder_loss_curve_ : ndarray of shape (`n_iter_`,)
        Objective after the steps on either block.
    validation_curve_ : ndarray of shape (`n_iter_`,) or (0,)
        Objective on the held-out rows, with ``early_stopping``; with "relaxed", that of
        the codes as bits, and those where it is least are kept.
    time_curve_ : ndarray of shape (`n_iter_`,)
        Seconds from the start of learning to the end of each outer iteration.
    binary_losses_ : dict of str to float
        With ``binary``: objective when codes were "binarised" and by the "encoded" bits
        at the end; with "relaxed" also of the "continuous" codes, with the decoder
        "refitted" to the bits, with bits "changed" one by one where that helps, and by
        the bits of the encoder "regressed" on them.
    n_iter_ : int
        Number of outer iterations, those of earlier fits with ``warm_start`` and of
        ``partial_fit`` included.
    optimizer_state_ : dict of dict
        What the methods of "encoder", "decoder" and free "codes" remember, to go on
        from: lengths of steps, moments of Adam.
    unit_ : float
        Power of two that learning divides the rows by.
    n_features_in_ : int
        Number of features seen during :term:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :term:`fit`, if they are all strings.

    See Also
    --------
    NeLUAutoencoder : A network that scales with its rows, learnt by Adam.
    sklearn_sqrtlasso.theory.compression.gaussian_compression_limit : How well codes of
        signs can restore.

    Notes
    -----
    The objective is a mean over rows, so steps do not depend on their number. Where no
    place that was seen in an outer iteration is better, the block stays as it was.

    References
    ----------
    .. [1] A. Beck, M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for
       linear inverse problems", SIAM J. Imaging Sciences 2(1), 2009.
    .. [2] E. Gur, S. Sabach, S. Shtern, "Nested alternating minimization with FISTA for
       non-convex and non-smooth optimization problems", J. Optimization Theory and
       Applications 199, 2023.

    Examples
    --------
    Sixteen numbers, and sixteen bits, for an image of a digit:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn_sqrtlasso import ANAMOAutoencoder
    >>> X = load_digits().data[:500] / 16
    >>> coder = ANAMOAutoencoder(16, max_iter=20, random_state=0).fit(X)
    >>> bool(coder.loss_curve_[-1] < 3)
    True
    >>> coder = ANAMOAutoencoder(16, binary="relaxed", max_iter=20, random_state=0)
    >>> sorted(set(coder.fit_transform(X).ravel().tolist()))
    [0.0, 1.0]
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "encoder_activation": [StrOptions(set(POINTWISE))],
        "decoder_activation": [StrOptions(set(DECODERS))],
        "binary": [StrOptions(set(BINARY)), None],
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
        "encoder_method": [StrOptions(set(METHODS))],
        "decoder_method": [StrOptions(set(METHODS))],
        "prox": [StrOptions({"smooth", "exact"})],
        "init": [StrOptions({"mean", "random"})],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
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
        n_components=None,
        *,
        alpha=0.1,
        encoder_activation="sigmoid",
        decoder_activation="sigmoid",
        binary=None,
        width=None,
        n_encoder_steps=5,
        n_decoder_steps=15,
        encoder_step="auto",
        decoder_step="auto",
        encoder_method="fista",
        decoder_method="accelerated",
        prox="smooth",
        init="mean",
        batch_size=None,
        max_iter=100,
        tol=1e-4,
        early_stopping=False,
        validation_fraction=0.1,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
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
    def partial_fit(self, X, y=None, *, groups=None):
        """Learn from a batch of rows for one outer iteration.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to learn from.
        y, groups : Ignored
            Present by convention.

        Returns
        -------
        self : object
            The autoencoder, one outer iteration further.
        """
        begins = not hasattr(self, "components_")
        X = self._validate(X, reset=begins)
        self._learn_from(X, resolve_groups(groups, X.shape[0]), begins)
        return self
