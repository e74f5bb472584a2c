"""An autoencoder whose one set of weights serves every noise level."""

from numbers import Integral, Real

from sklearn_sqrtlasso.estimators.base import all_or_nothing, resolve_groups
from sklearn_sqrtlasso.estimators.compat import (
    Interval,
    StrOptions,
    fit_context,
    with_callbacks,
)
from sklearn_sqrtlasso.estimators.nelu_setup import check_lesson
from sklearn_sqrtlasso.estimators.two_layer import TwoLayerEncoder
from sklearn_sqrtlasso.models.activations import ACTIVATIONS
from sklearn_sqrtlasso.models.decoders import DECODERS

LEARN_ALPHA = ("per_unit", "shared")


class NeLUAutoencoder(TwoLayerEncoder):
    r"""Learn to restore rows through sparse codes that follow each row's own noise.

    An encoder :math:`W` (``components_``), the exact square-root-lasso shrinkage, and a
    decoder :math:`V` (``decoder_``),

    .. math::
        z(x) = \arg\min_z \; \|W x - z\|_2 + \sum_i \alpha_i |z_i|,
        \qquad \hat x = V^\top z(x),

    trained end to end: ``fit`` minimises

    .. math::
        \frac{1}{N n} \sum_b \omega_b \, \|\hat x(x_b + \sigma_b g_b) - x_b\|_2^2

    over W, V and :math:`\alpha` by Adam, with :math:`N` rows of :math:`n` features,
    Gaussian noise :math:`g_b` that is drawn anew in every epoch, and
    :math:`\omega_b \propto 1/\sigma_b`. Scaling a row scales its restoration,
    so one network serves every noise level; no bias stands in the way of that.

    Parameters
    ----------
    n_components : int, default=None
        Number of units, at least 1; None takes the number of features, or of columns of
        ``Z``.
    alpha : float or "pivotal", default="pivotal"
        Penalty, or its first value if it is learnt. For "nelu", "nelu_adaptive",
        "nelu_helu" and "topk" a pure number: at most :math:`1/\alpha^2` entries of a
        row's code are nonzero ("topk": exactly its integer part). "pivotal" is the
        value that codes 19 of 20 rows of pure noise by zero at the first weights; half
        of it, if it is learnt, so that all units have something to learn from. Learnt,
        it stays in (0, 1). For the others a number that is subtracted from :math:`Wx`,
        the part of a bias: a threshold in units of X ("soft", "relu", "helu",
        "identity") or a pure number ("sigmoid", "tanh", "sign"); never "pivotal".
    learn_alpha : {"per_unit", "shared"} or bool, default="per_unit"
        Whether each unit learns a penalty of its own, all share one, or it is held
        (False). True is "per_unit".
    activation : str, default="nelu"
        Map from :math:`Wx` to the code:

        - "nelu": the minimiser above;
        - "nelu_adaptive": soft-thresholding at
          :math:`\kappa_i t^2 / \sqrt{\|Wx\|^2 + 0.05\, t^2}`, with t the residual norm
          of "nelu" and learnt :math:`\kappa_i`: rows far above the noise are shrunk
          less. It scales with the row too, but is no minimiser of the objective;
        - "nelu_helu": as "nelu", but units just below their threshold (within 5 % of
          it) learn as if they were active, which revives dead ones;
        - "soft", "relu", "topk": shrinkage at a fixed threshold, with and without
          negative codes; the largest entries. "helu": relu that learns as if active
          down to 0.05 below its threshold, in units where rows have entries near 1;
        - "sigmoid", "tanh", "sign", "identity": pure numbers as codes, but for the
          last. "sign" learns by the slope of :math:`\tanh(u/0.1)`.
    positive : bool, default=False
        Whether codes are nonnegative, for "nelu", its relatives, "soft" and "topk".
    decoder : {"free", "tied", "pinv"}, default="free"
        Whether V is learnt by itself (from the pseudo-inverse on), is W, or stays the
        pseudo-inverse of W.
    unit_rows : bool, default=False
        Whether rows of W are kept at unit norm, where the theory of "pivotal" holds.
    n_unrolled : int, default=None
        Number of proximal steps that replace the exact shrinkage of "nelu", with a
        learnt step and momentum; None is exact. Steps of a fixed length do not scale
        with the row. A group of rows is then held in memory as a whole.
    noise_std : float or pair of float, default=0.0
        Standard deviation of the noise added to the rows while learning, in units of X;
        a pair ``(low, high)`` is drawn from log-uniformly for each row, or run of up to
        64 rows of a group. Noise stays in the span of the rows of X: rows that have had
        their mean removed remain without.
    learning_rate : float, default=3e-3
        Largest length of a step of Adam. It rises for 100 steps, at most a tenth of
        all, and falls by half a cosine to zero at the end of ``max_iter``.
    batch_size : int, default=256
        Number of rows of a step.
    max_iter : int, default=200
        Number of epochs.
    tol : float, default=0.0
        Relative fall of the loss that must be seen within ``n_iter_no_change`` epochs,
        in [0, 1); 0 runs all epochs, whose last ones are the ones that polish.
    n_iter_no_change : int, default=10
        Number of epochs without such a fall after which learning stops.
    early_stopping : bool, default=False
        Whether rows are held out, and the parameters of the epoch that does best on
        them are kept.
    validation_fraction : float, default=0.1
        Share of the rows that is held out, in (0, 1).
    warm_start : bool, default=False
        Whether ``fit`` goes on from the parameters of the fit before.
    n_jobs : int, default=None
        Threads, in the sense of joblib; results do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of the first weights, the order of the rows and the noise.
    verbose : int, default=0
        Whether to print a line for each epoch.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The encoder W.
    decoder_ : ndarray of shape (n_components, n_features)
        The decoder V, rows are atoms. With ``Z`` and a free decoder: that which
        restores the rows of X from ``Z`` with least squared error.
    alpha_ : float or ndarray of shape (n_components,)
        The penalty in use; an array if each unit has its own.
    kappa_ : float or ndarray of shape (n_components,)
        Factors of the threshold, of "nelu_adaptive" only.
    step_, momentum_ : float
        Pace of the steps, with ``n_unrolled`` only; ``step_`` is in units of X.
    loss_curve_ : ndarray of shape (`n_iter_`,)
        Mean loss of each epoch, as a share of the mean square of what is wanted: 1 is
        what zero would give.
    validation_curve_ : ndarray of shape (`n_iter_`,) or (0,)
        The same on the held-out rows after each epoch, with ``early_stopping``.
    n_iter_ : int
        Number of epochs, those before a ``warm_start`` or ``partial_fit`` included.
    unit_ : float
        Power of two near the size of the entries of X, that learning divides by.
    optimizer_state_ : dict
        Running moments of the gradient and their number of steps, to go on from.
    n_features_in_ : int
        Number of features seen during :term:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :term:`fit`, if they are all strings.

    See Also
    --------
    SqrtLassoTransform : The same codes by a tight frame, learnt without noise.
    sklearn.neural_network.MLPRegressor : Networks of relu or sigmoid units.

    Notes
    -----
    Defaults were chosen on parts of photographs that no figure is reported on: a free
    decoder, one penalty a unit and free rows of W restored as well as their
    alternatives or better, by up to 0.4 dB, and "pivotal" is as good a first penalty as
    one tuned by hand.

    A single row says little about its own noise. Where rows share a noise level, as the
    patches of an image do, pass ``groups``, in ``fit`` and afterwards.

    References
    ----------
    .. [1] N. Goldenstein, J. Sulam, Y. Romano, "Pivotal Auto-Encoder via
       Self-Normalizing ReLU", arXiv:2406.16052, 2024.
    .. [2] S. G. Chang, B. Yu, M. Vetterli, "Adaptive wavelet thresholding for image
       denoising and compression", IEEE Trans. Image Processing 9(9), 2000.

    Examples
    --------
    Rows near a plane; a network trained at noise 0.1 to 1 restores rows a thousand
    times as large, and as noisy:

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
        batch_size=256,
        max_iter=200,
        tol=0.0,
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
            Codes that the rows of X should get; learning begins at the linear map that
            comes closest. A free decoder is the one that restores X from Z best.
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
