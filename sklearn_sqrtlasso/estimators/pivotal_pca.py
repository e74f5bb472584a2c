"""Principal components of rows whose noise levels are found one by one."""

from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from sklearn_sqrtlasso.blockwise.callers import warn_caller
from sklearn_sqrtlasso.blockwise.chunks import ChunkedGroups, over_chunks
from sklearn_sqrtlasso.blockwise.encode import encode
from sklearn_sqrtlasso.blockwise.linalg import affine_rows, dense_rows
from sklearn_sqrtlasso.estimators.compat import Interval, RealNotInt, StrOptions
from sklearn_sqrtlasso.estimators.grouped import GroupedEncoder
from sklearn_sqrtlasso.estimators.progress import Progress
from sklearn_sqrtlasso.estimators.validation import check_observed_columns
from sklearn_sqrtlasso.learning.gaussian_prior import PriorLearner, center_and_unit
from sklearn_sqrtlasso.learning.row_span import MOST_ENTRIES
from sklearn_sqrtlasso.models.gaussian_prior import (
    GaussianEncoder,
    GaussianPrior,
    NoiseOptions,
)
from sklearn_sqrtlasso.theory.noise import student_scale

LEAST_NU = 0.1  # of Student's t; tails that are heavier have no use


class PivotalPCA(GroupedEncoder):
    r"""Principal components of noisy rows, each at a noise level of its own.

    A row is a Gaussian signal in noise whose level s is unknown, and found from the row
    alone, or from the rows of its group:

    .. math::
        x = \mu + V^\top a + b + e, \quad a \sim N(0, \Lambda), \quad
        b \sim N(0, v I), \quad e_j \sim s\, t_\nu .

    ``fit`` learns the signal: the mean, k principal directions V (``components_``),
    their variances and that of the rest. The code of a row is the posterior mean of a
    at the level found; ``reconstruct`` returns that of
    :math:`\mu + V^\top a + b`, with missing entries filled in. Rows with much noise are
    shrunk to the mean, rows with none are kept; entries far off have little weight.

    Parameters
    ----------
    n_components : int, float, None or "auto", default="auto"
        Number of directions, in [1, n_features]; or the share of the variance, in
        (0, 1), that they are to reach; None keeps all that vary. "auto" keeps 0.999 of
        the variance, but at most 256 / sqrt(n_features), or as many as levels are found
        with if these are more: see Notes. Directions that do not vary are never kept.
    nu : float, default=4.0
        Degrees of freedom of the noise, in [0.1, inf]; ``float("inf")`` is Gaussian
        noise, faster and a little better if there are no outliers.
    max_iter : int, default=100
        Largest number of EM steps of ``fit``, at least 1. Without missing entries, one
        step is exact.
    tol : float, default=3e-4
        Fall of the objective per feature at which ``fit`` stops, at least 0.
    transform_max_iter : int, default=300
        Largest number of rounds in which the level of a row is found, at least 1.
    transform_tol : float, default=1e-2
        Relative change of :math:`s^2 + v` at which rounds end, at least 0.
    n_jobs : int, default=None
        Number of threads over rows, as in joblib; results do not depend on it.
    verbose : int, default=0
        Whether to print a line after each step of ``fit``.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Orthonormal directions V, largest variance first.
    mean_ : ndarray of shape (n_features,)
        Mean :math:`\mu`.
    code_scale_ : ndarray of shape (n_components,)
        Standard deviations :math:`\sqrt{\Lambda}` of codes without noise, in units of
        X.
    residual_scale_ : float
        Standard deviation :math:`\sqrt v`, in units of X.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Share of the variance in each direction.
    noise_scale_ : float
        Median noise standard deviation of the training rows, in units of X.
    objective_curve_ : ndarray of shape (`n_iter_`,)
        Mean negative log-likelihood of a training row after each step, up to a
        constant, and of the prior of the covariance where entries are missing; never
        increases.
    n_iter_ : int
        Number of EM steps.
    stop_reason_ : {"tol", "max_iter", "callback", "interrupt"}
        Why ``fit`` ended: a step lowered the objective by at most ``tol``, all steps
        were taken, or a callback or a keyboard interrupt ended it.
    n_leading_ : int
        Number of first components that noise levels are found with.
    unit_ : float
        Power of two near the largest deviation from the mean; what computations divide
        by.
    fitted_params_ : dict
        Value of ``nu`` in the last fit, which rows are coded with.
    n_features_in_ : int
        Number of features seen during :term:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :term:`fit`, if they are all strings.

    See Also
    --------
    SqrtLassoTransform : Sparse codes at a level found row by row, in any unit.
    sklearn.decomposition.PCA : The same directions; codes are not shrunk.

    Notes
    -----
    The level s and the weights :math:`w_j` of the entries maximise

    .. math::
        \log N\bigl(x;\ \mu,\
        V^\top \Lambda V + v I + \operatorname{diag}(s^2 / w)\bigr)
        + \frac{\nu}{2} \sum_j (\log w_j - w_j),

    a variational bound of the likelihood, over the entries that are not missing. No
    step lowers it. It may have several maxima; the search starts at the level of
    Gaussian noise. Rows whose level still changes after ``transform_max_iter`` rounds
    are warned of.

    With ``n_components="auto"``, levels and weights are those of a smaller model, of
    the first components, which reach 0.97 of the variance, at most 40, and of a larger
    v for all others: they hardly differ, and take much less time. Codes are posterior
    means of the whole model, given these levels and weights. The likelihood that
    ``fit`` increases is that of the smaller model. Otherwise there is one model.

    Noise is told from signal by the variances of training: a row in another unit than
    the training rows has another code than its multiple. Noise in all training rows
    counts as signal.

    Missing entries are NaN. Where there are any, few rows would be fitted too closely:
    the covariance :math:`C = V^\top \Lambda V + v I` then has a prior, with m the mean
    number of missing entries of a row, and D the variances of the columns,

    .. math::
        \frac{m}{20} \bigl(\log \det C + \operatorname{tr}(C^{-1} D)\bigr),

    as if m / 10 more rows of columns that have nothing in common were seen. ``fit``
    decreases it together with the negative log-likelihood.

    A row without entries has the code 0, is restored as the
    mean, and its noise level is NaN. A column without entries cannot be fitted. Levels
    below 1e-5 of the root mean variance of a column are 0; entries beyond 1e100
    deviations count as that far. Sparse rows are made dense block by block, and refused
    where their principal directions would take more than a gigabyte; groups are
    held in memory.

    References
    ----------
    .. [1] M. E. Tipping, C. M. Bishop, "Probabilistic principal component analysis",
       Journal of the Royal Statistical Society B 61(3), 1999.
    .. [2] K. L. Lange, R. J. A. Little, J. M. G. Taylor, "Robust statistical modeling
       using the t distribution", Journal of the American Statistical Association
       84(408), 1989.
    .. [3] T. Sun, C.-H. Zhang, "Scaled sparse linear regression", Biometrika 99(4),
       2012.

    Examples
    --------
    Columns that are alike, and a row with an outlier and a missing entry:

    >>> import numpy as np
    >>> from sklearn_sqrtlasso import PivotalPCA
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 1)) + 0.1 * rng.standard_normal((100, 8))
    >>> coder = PivotalPCA(n_components=1).fit(X)
    >>> row = [[1.0, 1.1, 0.9, np.nan, 1.0, 99.0, 1.1, 0.9]]
    >>> coder.reconstruct(row).round(1)
    array([[1., 1., 1., 1., 1., 1., 1., 1.]])
    """

    _coded_with = ("nu",)
    _takes_missing = True

    _parameter_constraints: dict = {
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            StrOptions({"auto"}),
            None,
        ],
        "nu": [Interval(Real, LEAST_NU, None, closed="both")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "transform_max_iter": [Interval(Integral, 1, None, closed="left")],
        "transform_tol": [Interval(Real, 0, None, closed="left")],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components: int | float | str | None = "auto",
        *,
        nu: float = 4.0,
        max_iter: int = 100,
        tol: float = 3e-4,
        transform_max_iter: int = 300,
        transform_tol: float = 1e-2,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.nu = nu
        self.max_iter = max_iter
        self.tol = tol
        self.transform_max_iter = transform_max_iter
        self.transform_tol = transform_tol
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _learn(self, X, groups, resumed):
        self._check_columns(X)
        self._record_parameters()
        progress = Progress(self, X, self.max_iter)
        learner = PriorLearner(X, self.n_components, self.n_jobs)

        def attributes():
            prior = learner.prior
            return {
                "components_": prior.components.astype(X.dtype),
                "mean_": prior.mean.astype(X.dtype),
                "code_scale_": prior.code_scale,
                "residual_scale_": prior.residual_scale,
                "unit_": prior.unit,
                "n_leading_": prior.n_leading,
            }

        def report(n_iter, objective):
            return progress.step(n_iter, objective, attributes)

        history = learner.run(self.max_iter, self.tol, report)
        vars(self).update(attributes())
        variances = learner.variances
        kept = variances[: len(self.components_)]
        self.explained_variance_ratio_ = kept / (variances.sum() or 1.0)
        self.objective_curve_ = np.array(history.losses)
        self.n_iter_, self.stop_reason_ = len(history.losses), history.reason
        self.noise_scale_ = self._median_noise(X, groups)
        if not history.converged and self.tol and self.n_iter_ == self.max_iter:
            warn_caller(
                f"The components of rows with missing entries still changed after "
                f"max_iter={self.max_iter} steps of EM: the last one lowered the "
                f"objective by {learner.fall:.1e}. Raise max_iter or tol.",
                ConvergenceWarning,
            )
        progress.end(attributes)

    def _check_columns(self, X):
        if isinstance(self.n_components, Integral) and self.n_components > X.shape[1]:
            raise ValueError(
                f"n_components must be at most the number of features, {X.shape[1]}, "
                f"got {self.n_components}."
            )
        n_entries = min(X.shape) * X.shape[1]
        if sp.issparse(X) and n_entries > MOST_ENTRIES:
            raise ValueError(
                f"X must be small enough to be made dense, at most {MOST_ENTRIES} "
                f"entries, got sparse rows of shape {X.shape}: zeros are told from "
                "outliers, too. Reduce the columns first, for example by "
                "TruncatedSVD, or use SqrtLassoTransform."
            )
        check_observed_columns(X)

    def _encoder(self, dtype, *, restores=False):
        prior = GaussianPrior(
            self.mean_.astype(np.float64),
            self.components_.astype(np.float64),
            self.code_scale_,
            self.residual_scale_,
            self.unit_,
            self.n_leading_,
        )
        options = NoiseOptions(
            float(self._fitted("nu")), self.transform_tol, self.transform_max_iter
        )
        return GaussianEncoder(prior, options, restores)

    def _check_gap(self, gap):
        unsolved = gap > self.transform_tol
        if self.transform_tol and unsolved.any():
            worst = int(np.argmax(gap))
            warn_caller(
                f"The noise levels of {unsolved.sum()} of {len(gap)} rows still "
                f"changed after transform_max_iter={self.transform_max_iter} rounds, "
                f"by more than transform_tol={self.transform_tol:g}; row {worst} by "
                f"{gap[worst]:.1e}. Raise transform_max_iter or transform_tol.",
                ConvergenceWarning,
            )

    def _decode(self, Z):
        X, mean = affine_rows(Z, self.components_, self.mean_)
        with np.errstate(over="ignore"):  # what is out of range is infinite
            return X + mean

    def _reconstruct(self, X, groups):
        encoder = self._encoder(X.dtype, restores=True)
        restored, change = encode(X, encoder, groups, n_jobs=self.n_jobs)
        self._check_gap(change)
        return restored

    def _score(self, X, groups):
        mean, unit, rounding = center_and_unit(X, self.n_jobs)
        if isinstance(groups, ChunkedGroups):
            groups = groups.scaled(X, self._encoder(X.dtype))
        with np.errstate(over="ignore"):
            residual, spread, count = _energies(X, self, groups, mean, unit)
        if spread <= rounding * count:
            return float(residual <= rounding * count)
        return float(1 - residual / spread)

    def _noise_scale(self, X, groups):
        sigma = np.empty(X.shape[0], X.dtype)

        def keep(block):
            sigma[block.rows] = block.scale

        self._map_encoded(keep, X, groups)
        return sigma / X.dtype.type(student_scale(self._fitted("nu")))

    def _is_certified(self):
        raise AttributeError(
            "duality_gap is not available for PivotalPCA: the likelihood of a level is "
            "not concave. Rows that were not solved are warned of."
        )


@over_chunks(np.add)
def _energies(X, coder, groups, mean, unit):
    """Return energies of error and spread, in a unit, and the number of entries."""

    def of_block(block):
        x = dense_rows(block.X, np.float64)
        with np.errstate(over="ignore"):
            residual, spread = (x - block.Z) / unit, (x - mean) / unit
            squares = [np.nansum(of**2) for of in (residual, spread)]
        return *squares, np.sum(x == x)

    encoder = coder._encoder(X.dtype, restores=True)
    with np.errstate(over="ignore"):
        return np.sum(coder._map_encoded(of_block, X, groups, encoder), axis=0)
