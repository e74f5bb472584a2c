"""Learnt sparsifying transform: one penalty for all noise levels."""

from dataclasses import replace
from numbers import Integral, Real
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from sklearn_sqrtlasso._types import Groups, Rows, Seed
from sklearn_sqrtlasso.blockwise.callers import warn_caller
from sklearn_sqrtlasso.blockwise.encode import encode
from sklearn_sqrtlasso.blockwise.linalg import (
    column_means,
    filled_rows,
    largest_spread,
    missing_counts,
    unit_near,
)
from sklearn_sqrtlasso.blockwise.orthogonal import add_in_place
from sklearn_sqrtlasso.blockwise.spread import mean_norm
from sklearn_sqrtlasso.estimators.compat import Interval, StrOptions, fit_context
from sklearn_sqrtlasso.estimators.docstrings import list_choices
from sklearn_sqrtlasso.estimators.drafts import all_or_nothing
from sklearn_sqrtlasso.estimators.grouped import MEDIAN_ROWS, GroupedEncoder
from sklearn_sqrtlasso.estimators.progress import Progress
from sklearn_sqrtlasso.estimators.row_sizes import follow_sizes, in_usual_size
from sklearn_sqrtlasso.estimators.training_codes import remedy_for_outliers
from sklearn_sqrtlasso.estimators.validation import (
    as_numbers,
    check_groups,
    check_in_range,
    check_observed_columns,
    frame_of_full_rank,
)
from sklearn_sqrtlasso.learning.cleaned_rows import (
    NEWTON_STEPS,
    clean_rows,
    frame_learner,
)
from sklearn_sqrtlasso.learning.first_turns import turned_on_some_rows
from sklearn_sqrtlasso.learning.held_out_steps import (
    HELD_OUT,
    may_hold_out,
    most_steps,
    steps_are_dear,
    steps_that_help,
)
from sklearn_sqrtlasso.learning.loop import Stopping
from sklearn_sqrtlasso.learning.recent_rows import recent_rows
from sklearn_sqrtlasso.learning.restoring_penalties import (
    restoring_penalties,
    tell_better_penalties,
)
from sklearn_sqrtlasso.learning.row_span import (
    RowSpan,
    rank_of_rows,
    span_of_few_rows,
)
from sklearn_sqrtlasso.learning.tight_frame import (
    INITS,
    frame_statistics,
    procrustes_frame,
    tight_frame_ahead,
)
from sklearn_sqrtlasso.models.tight_frame import TightFrame, noise_scale
from sklearn_sqrtlasso.sparse_coding.outliers import usual_outlier_alpha
from sklearn_sqrtlasso.sparse_coding.shrinkage_gap import gaps_of_rows
from sklearn_sqrtlasso.theory.pivotal import pivotal_alpha

UNSOLVED = 1e-3  # relative duality gap of a row that is warned of
FEW_ROWS = 128  # of the median noise level, where codes are not in closed form
CODES_NOTHING = 1e9  # a penalty at which all codes are zero, for any groups


@list_choices({"init": INITS})
class SqrtLassoTransform(GroupedEncoder):
    r"""Learn a tight frame in which rows have sparse codes.

    The code of a row :math:`x` by the transform :math:`W` (``components_``) is

    .. math::
        z(x) = \arg\min_z \; \sqrt{\|W (x - \mu) - z\|_2^2 + \rho(x)^2}
        + \sum_i \alpha_i |z_i|, \qquad \hat x = \mu + W^\top z,

    with :math:`\mu` (``mean_``) the column means of the training rows. This is
    soft-thresholding of :math:`W(x - \mu)` at thresholds proportional to the residual
    of the row. Scaling a row about the mean scales its code, so one fitted transform
    suits all noise levels. ``fit`` minimises the sum of this objective over the rows,
    over all W with :math:`W^\top W = I`, or :math:`W W^\top = I` if there are fewer
    components than features; :math:`\rho(x)` is the norm of :math:`x - \mu` outside the
    span of W, which is zero in the former case.

    Parameters
    ----------
    n_components : int, default=None
        Number of units, at least 1; None uses the number of features or of rows,
        whichever is smaller, but of features in ``partial_fit``, and for "dct" and
        "random" with ``max_iter=0``; or the number of rows of ``init`` if that is an
        array.
    alpha : float, "auto" or "pivotal", default="auto"
        Penalties :math:`\alpha_i`, pure numbers: at a penalty of :math:`\alpha` of all
        units, at most :math:`1/\alpha^2` entries of a code are nonzero, and a unit with
        a penalty of at least 1 is not used by ungrouped rows. The norm is not divided
        by :math:`\sqrt{n}`.

        - "auto" learns one penalty per unit, to restore rows: :math:`\alpha_i = a\,
          (s_1 / s_i)^\gamma`, with :math:`s_i` the standard deviation of the
          coefficient of unit i for the initial W, :math:`s_1` the largest, and the
          factor a and the exponent, 1/4, 1/2, 3/4 or 1, with the smallest mean squared
          error of rows restored from Gaussian noise of 0, 1/4, 1/2, 1 and 2 times
          their root mean square. That of rows without noise has weight 4, and what
          they lose of each unit, as a share of :math:`s_i^2`, has weight 8 /
          n_features, times the mean square of a row.
        - "pivotal" detects: it is the value at which at least 19 of 20 rows of pure
          noise have a zero code, see
          :func:`~sklearn_sqrtlasso.theory.pivotal.pivotal_alpha`. Rows of few features
          are shrunk to zero, whatever they hold.
        - A number in [0, inf) is the penalty of all units.
    center : bool, default=True
        Whether to subtract the column means; of sparse X, from products instead of
        from rows, which stay sparse.
    outlier_alpha : float or "auto", default=None
        Penalty :math:`\beta` of outliers, a pure number above 0: the code is then that
        of :math:`x - e`, with :math:`\beta \|e\|_1` added to the objective, which is
        minimised over e, too. Entries are taken for outliers where their residual
        exceeds :math:`\beta` times that of the row; "auto" is :math:`2.2 /
        \sqrt{\text{n\_features}}`. None knows no outliers.
    positive : bool, default=False
        Whether to constrain codes to be nonnegative.
    init : str or array-like of shape (n_components, n_features), default="pca"
        Initial directions, which are projected on the constraint.

        <choices of init>.
    max_iter : int, default=100
        Largest number of learning steps of ``fit``, at least 0; 0 keeps ``init``. Of
        65536 rows and more, or 512 a unit, some are first taken for as many steps.
    tol : float, default=1e-3
        Relative decrease of the objective at which ``fit`` stops, at least 0.
    early_stopping : bool or "auto", default="auto"
        Whether a tenth of the rows, or of their groups, is held out for a trial of up
        to four steps with the others. If the objective of that tenth rises by a share
        of more than ``tol``, ``fit`` takes as many steps with all rows as made it
        least, else it goes on. Steps are accelerated, and ``0.3 * max_iter`` are the
        most of them if rows are complete. "auto" does so for fewer than four rows a
        component where learning takes longer than about a second, and holds out none of
        ten groups or fewer, nor for positive codes, outliers, or more than a tenth of
        missing entries.
    sparse_output : bool, default=False
        Whether ``transform`` returns CSR codes.
    n_jobs : int, default=None
        Number of threads over rows, as in joblib; results do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of ``init``: for "random", for "pca" with more components than features,
        and for the start of Lanczos' method that "pca" uses on very wide data.
    verbose : int, default=0
        Whether to print a line after each learning step.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Transform W, one unit per row.
    alpha_ : float or ndarray of shape (n_components,)
        Fitted penalty, one per unit with ``alpha="auto"``.
    mean_ : ndarray of shape (n_features,)
        Column means :math:`\mu`, in units of X; zero if ``center=False``.
    n_iter_ : int
        Number of learning steps on all rows; after ``partial_fit``, number of its
        calls.
    stop_reason_ : {"tol", "max_iter", "held_out", "callback", "interrupt"}
        Why the last ``fit`` ended: a step lowered the objective by a share of at most
        ``tol``, all steps were taken, further ones do not lower the objective of rows
        that were held out, or a callback or a keyboard interrupt ended it.
    objective_curve_ : ndarray of shape (n_steps + 1,)
        Mean objective per row before the first step on all rows and after each, in
        units of X; never increases. After ``partial_fit``, mean objective of each batch
        before its step.
    fitted_params_ : dict
        Values of ``alpha``, ``center``, ``outlier_alpha`` and ``positive`` in the last
        fit, which rows are coded with; later changes act at the next fit.
    noise_scale_ : float
        Median noise standard deviation of the training rows, of at most 4096 of them,
        or 128 if entries are missing or may be outliers, in units of X.
    moment_ : ndarray of shape (n_components, n_features)
        Sum :math:`\sum_i z_i (x_i - \mu)^\top / t_i`, divided by the mean norm of the
        rows of its batch, from which ``partial_fit`` resumes.
    log2_sizes_ : tuple of float
        Binary logarithms of the usual size of rows and of that of the last ones that
        were not zero, which ``partial_fit`` scales unusual batches by.
    recent_rows_ : dict or None
        Of a stream of batches, its last "rows", two a component at most, which
        penalties are learnt from, the "labels" of their groups, and the number "n_new"
        of rows that came since that was done.
    n_samples_seen_ : int
        Number of rows that contributed to ``moment_``.
    n_samples_fit_ : int
        Number of rows of the last ``fit``, 0 of a stream of batches.
    n_features_in_ : int
        Number of features seen during :term:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :term:`fit`, if they are all strings.

    See Also
    --------
    sklearn.decomposition.SparseCoder : Sparse coding by the lasso, whose penalty
        depends on the noise level.
    sklearn.decomposition.PCA : Orthonormal components of largest variance, dense codes.

    Notes
    -----
    With more components than features, the constraint allows rows of W to vanish, and
    minimisation leads there: learnt frames end up close to an orthonormal basis, with
    the other rows small. Use ``max_iter=0`` to keep an overcomplete frame.

    With at least as many components as features, and up to
    :math:`\alpha = 1/\sqrt{\text{n\_components}}`, codes are not shrunk and ``fit``
    cannot learn.

    NaN in X is an entry that was not observed. A row is coded by its observed entries:
    the objective is minimised over the others, too, which ``reconstruct`` fills in.
    Rows without observed entries have a code of zeros. With missing entries or
    outliers, codes are not in closed form; ``duality_gap`` bounds their error.

    The level of noise of a single row with few features is hard to tell from its
    signal: pass ``groups`` where rows share a noise level.

    References
    ----------
    .. [1] N. Goldenstein, J. Sulam, Y. Romano, "Pivotal Auto-Encoder via
       Self-Normalizing ReLU", arXiv:2406.16052, 2024.
    .. [2] A. Belloni, V. Chernozhukov, L. Wang, "Square-root lasso: pivotal recovery of
       sparse signals via conic programming", Biometrika 98(4), 2011.

    Examples
    --------
    A row with one large entry, at two scales:

    >>> from sklearn_sqrtlasso import SqrtLassoTransform
    >>> X = [[9.0, 1.0, -1.0, 1.0], [900.0, 100.0, -100.0, 100.0]]
    >>> coder = SqrtLassoTransform(alpha=0.6, center=False, init="dct", max_iter=0)
    >>> coder = coder.fit(X)
    >>> coder.transform(X).round(2)[1] / 100 == coder.transform(X).round(2)[0]
    array([ True,  True,  True,  True])

    Rows of measurements are restored from noise that the training rows did not have:

    >>> import numpy as np
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import StandardScaler
    >>> X = StandardScaler().fit_transform(load_breast_cancer().data)
    >>> coder = SqrtLassoTransform().fit(X[:400])
    >>> rng = np.random.default_rng(0)
    >>> noisy = X[400:] + rng.standard_normal(X[400:].shape)
    >>> bool(np.mean((coder.reconstruct(noisy) - X[400:]) ** 2) < 0.3)
    True
    """

    _takes_missing = True
    _coded_with = ("alpha", "center", "outlier_alpha", "positive")
    _kept_with = ("center",)

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "alpha": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"auto", "pivotal"}),
        ],
        "center": ["boolean"],
        "outlier_alpha": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
            None,
        ],
        "positive": ["boolean"],
        "init": [StrOptions(set(INITS)), "array-like"],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "sparse_output": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        alpha: float | str = "auto",
        center: bool = True,
        outlier_alpha: float | str | None = None,
        positive: bool = False,
        init: str | ArrayLike = "pca",
        max_iter: int = 100,
        tol: float = 1e-3,
        early_stopping: bool | str = "auto",
        sparse_output: bool = False,
        n_jobs: int | None = None,
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.alpha = alpha
        self.center = center
        self.outlier_alpha = outlier_alpha
        self.positive = positive
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.early_stopping = early_stopping
        self.sparse_output = sparse_output
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _learn(self, X, groups, resumed):
        check_observed_columns(X)
        self._record_parameters()
        progress = Progress(self, X, self.max_iter)
        self.mean_ = self._column_means(X)
        whole = filled_rows(X, self.mean_)
        self.log2_sizes_ = follow_sizes(whole).log2_sizes
        span = self._span(X)
        unit = unit_near(largest_spread(whole, self.mean_), X.dtype)
        size = mean_norm(whole, self.mean_, unit)
        learner, alpha, holds_out = self._learner(whole, span, groups, unit)
        most, helpful, rows = self.max_iter, None, span.coordinates
        if holds_out:
            most = most_steps(rows, learner.frame, self.max_iter)
            helpful = steps_that_help(learner, rows, self.tol, own=self._in_span())

        def attributes():
            W = span.unfold(learner.frame.components)
            return {"components_": W, "alpha_": alpha}

        def report(n_iter, objective):
            return progress.step(n_iter, objective, attributes)

        n_steps = most if helpful is None else min(most, helpful)
        history = learner.run(n_steps, self.tol, report)
        curve, self.stop_reason_ = history.losses, history.reason
        if n_steps < most and history.reason == "max_iter":
            self.stop_reason_ = "held_out"
        vars(self).update(attributes())
        self.n_iter_ = len(curve) - 1
        self.objective_curve_ = np.array(curve)
        moment = learner.statistics.moment
        moment /= size
        self.moment_ = span.unfold(moment)
        self.n_samples_seen_ = self.n_samples_fit_ = learner.statistics.n_rows
        self.recent_rows_ = None
        iterates = learner.frame.prepared(X).whole_groups
        most = FEW_ROWS if iterates else MEDIAN_ROWS
        self.noise_scale_ = self._median_noise(X, groups, most)
        self._warn_if_not_converged()
        progress.end(attributes)

    @fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    def partial_fit(
        self, X: Rows, y: ArrayLike | None = None, *, groups: Groups = None
    ) -> Self:
        """Take one learning step with a batch of rows.

        The statistics of the batch, exact for the current transform and divided by the
        mean norm of its rows, are added to those of earlier rows, whose weight decays:
        the n-th row has weight n/N when N rows have been seen, regardless of batches
        and of their scale. Column means and learnt penalties are averaged likewise;
        the latter are those of the last rows, two a component, or of a larger batch,
        and are learnt again when a fourth of these are new. A batch of zeros, or whose
        rows are 8 times larger or smaller than usual, leaves both as they are, unless
        the batch before was of another size too. The first call, on an unfitted
        estimator, is one step of ``fit`` on the batch.

        Rows of a ``fit`` count twice in N, so that they weigh as a batch of as many
        rows does. A batch of n rows, no more than the m of that, leaves its penalties
        unless those that half of the batch tells restore the other half with an error
        smaller by a share of (1 - n / m) / 20, and if it has fewer rows than features.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Batch of rows.
        y : Ignored
            Not used, present by convention.
        groups : array-like of shape (n_samples,) or "all", default=None
            Group label of each row, as in ``fit``.

        Returns
        -------
        self : object
            The updated encoder.

        Raises
        ------
        ValueError
            If a parameter, X or ``groups`` is not valid; the estimator is left
            unchanged.
        """
        X, resumed = self._begin(X, warm=True)
        groups = check_groups(groups, X)
        before = self.log2_sizes_ if resumed else (None, None)
        X, scale, sizes = in_usual_size(X, before)
        self.log2_sizes_ = sizes.log2_sizes
        if not resumed:
            check_observed_columns(X)
            self.n_samples_seen_, self.n_samples_fit_, self.n_iter_ = 0, 0, 0
            self.objective_curve_ = np.empty(0)
        if not resumed or sizes.shift:
            self.recent_rows_ = None
        self.n_samples_seen_ += X.shape[0]
        share = self._share(X.shape[0])
        pace = _pace(share) if sizes.tells else 0.0
        pace = 1.0 if before[0] is None else pace
        self._follow_mean(X, pace, sizes.shift)
        whole = filled_rows(X, self.mean_)
        if not resumed:
            self.components_ = self._first_components(whole, None)
            self.moment_ = np.zeros(self.components_.shape)
        self._follow_penalties(whole, groups, pace)
        self._record_parameters()
        objective = self._step_with(X, whole, groups, share)
        self.n_iter_ += 1
        self.objective_curve_ = np.append(self.objective_curve_, objective / scale)
        self.noise_scale_ = self._median_noise(X, groups) / float(scale)
        return self

    def _step_with(self, X, whole, groups, share):
        """Take a step with a share of rows; return their mean objective before it."""
        frame = self._encoder(X.dtype)
        unit = unit_near(largest_spread(whole, self.mean_), X.dtype)
        clean, penalty = clean_rows(X, frame, groups, n_jobs=self.n_jobs)
        given = replace(frame, outlier_alpha=None), groups, unit
        batch = frame_statistics(clean, *given, n_jobs=self.n_jobs)
        del frame, given  # with what they hold for products
        size = mean_norm(whole, self.mean_, unit)
        moment = batch.moment
        moment /= size
        add_in_place(moment, 1 - share, self.moment_)
        self.moment_ = moment
        W = procrustes_frame(self.moment_, self.components_)
        self.components_ = W.astype(self.components_.dtype, copy=False)
        return (batch.objective * unit + penalty) / batch.n_rows

    def _follow_mean(self, X, pace, shift):
        """Move the column means to those of a batch, after a change of their unit."""
        now, whole = self._column_means(X), np.ceil(shift)
        before = getattr(self, "mean_", np.zeros_like(now))
        dtype = np.promote_types(before.dtype, now.dtype)
        before = np.ldexp(before * np.exp2(shift - whole), int(whole))
        now = np.where(missing_counts(X) == X.shape[0], before, now)
        self.mean_ = (before + pace * (now - before)).astype(dtype)

    def _follow_penalties(self, X, groups, pace):
        """Move the penalties to those of recent rows, or set them if ``alpha`` changed.

        Fewer rows than features do not tell better ones than a fit.
        """
        learnt = self.alpha == "auto" and np.ndim(getattr(self, "alpha_", 0.0)) == 1
        if learnt and not pace:
            return
        if self._samples_fit():
            if learnt and not self._tells_penalties(X, groups):
                return
        elif self.alpha == "auto" and pace:
            kept = getattr(self, "recent_rows_", None)  # not of earlier versions
            recent = recent_rows(kept, X, groups, len(self.components_))
            self.recent_rows_ = recent.kept
            if learnt and not recent.tell:
                return
            X, groups = recent.X, recent.groups
            pace = max(pace, _pace(self._share(X.shape[0])))
        alpha = self._penalties(X, self.components_, groups, kept=False)
        self.alpha_ = self.alpha_ ** (1 - pace) * alpha**pace if learnt else alpha

    def _tells_penalties(self, X, groups):
        if X.shape[0] < X.shape[1]:
            return False
        given = self._encoder(X.dtype), groups, self._samples_fit()
        return tell_better_penalties(X, *given, n_jobs=self.n_jobs)

    def _samples_fit(self):
        """Return the number of rows of a fit; fits of earlier versions do not tell."""
        return getattr(self, "n_samples_fit_", 0)

    def _share(self, n_rows):
        """Return the share of rows among all that were seen, those of a fit twice."""
        return n_rows / (self.n_samples_seen_ + self._samples_fit())

    def _warn_if_not_converged(self):
        curve = self.objective_curve_
        if self.n_iter_ < self.max_iter or not self.n_iter_ or not self.tol:
            return
        decrease = (curve[-2] - curve[-1]) / curve[-2] if curve[-2] else 0.0
        if decrease > self.tol:
            warn_caller(
                f"Learning stopped at max_iter={self.max_iter}: the last step lowered "
                f"the objective by a share of {decrease:.1e}, more than tol="
                f"{self.tol:.1e}. Raise max_iter or tol.",
                ConvergenceWarning,
            )

    def _holds_out(self, X, frame, groups):
        """Return whether some rows are held out at first."""
        if not self.max_iter or not self.early_stopping:
            return False
        if self.early_stopping == "auto":
            return steps_are_dear(X, frame, groups)
        if not may_hold_out(X, groups):
            raise ValueError(
                f"early_stopping=True needs rows in one place, of more than {HELD_OUT} "
                f"groups, got {len(groups.starts) - 1}: set early_stopping=False."
            )
        return True

    def _in_span(self):
        """Return whether first directions are those of the rows."""
        return isinstance(self.init, str) and INITS[self.init].in_span

    def _span(self, X):
        """Return the rows in their span, if a fit stays there, else as they are."""
        whole = RowSpan(X, None)
        if not self._in_span() or self.outlier_alpha is not None:
            return whole
        mean = self.mean_ if self.center else None
        n_components = self.n_components or min(X.shape)
        span = span_of_few_rows(X, mean, n_components=n_components)
        fits = span.basis is not None and (self.n_components or 0) <= len(span.basis)
        return span if fits else whole

    def _learner(self, X, span, groups, unit):
        """Return a learner, the penalties of its frame, and whether to hold out rows.

        The first frame is its own, so that it goes with the first step.
        """
        frame, alpha = self._first_frame(X, span, groups)
        rows, stopping = span.coordinates, Stopping(self.max_iter, self.tol)
        frame = turned_on_some_rows(
            rows, frame, groups, unit, stopping, n_jobs=self.n_jobs
        )
        holds_out = self._holds_out(rows, frame, groups)
        learner = frame_learner(
            rows, frame, groups, self.n_jobs, unit, accelerated=holds_out
        )
        return learner, alpha, holds_out

    def _first_frame(self, X, span, groups):
        """Return the initial frame for coordinates in the span, and its penalties."""
        W = self._first_components(X, span)
        alpha = self._penalties(X, W, groups, kept=self.max_iter == 0)
        frame = self._frame(W, alpha, X.dtype)
        if span.basis is not None:
            signs = np.sign(np.einsum("ij,ij->i", W, span.basis[: len(W)]))
            axes = np.eye(len(W), len(span.basis), dtype=W.dtype)
            frame = replace(frame, components=signs[:, None] * axes, mean=None)
        return frame, alpha

    def _first_components(self, X, span):
        """Return the initial frame, whose columns are contiguous for sparse rows."""
        W = self._first_weights(X, span)
        return np.asfortranarray(W) if sp.issparse(X) else W

    def _first_weights(self, X, span):
        """Return the initial frame for rows, in their span if that is known."""
        n_features = X.shape[1]
        if span is not None and span.basis is not None:
            W = span.basis[: self.n_components]
            return W * np.where(W.sum(axis=1, keepdims=True) < 0, -1, 1).astype(X.dtype)
        if isinstance(self.init, str):
            rng = check_random_state(self.random_state)
            in_span = self._in_span()
            few = span is not None and (self.max_iter > 0 or in_span)
            n_components = self.n_components or (min(X.shape) if few else n_features)
            W = INITS[self.init].directions(X, n_components, rng, self.mean_)
            if in_span and n_components < n_features and self.n_components is None:
                W = W[: rank_of_rows(X, self.mean_, W)]
            if in_span and len(W) <= n_features:  # orthonormal but for rounding
                return tight_frame_ahead(W, W, 0.0).astype(X.dtype, copy=False)
        else:
            W = as_numbers(self.init, "init")
            n_components = self.n_components or len(np.atleast_1d(W))
            if W.shape != (n_components, n_features) or not np.all(np.isfinite(W)):
                raise ValueError(
                    f"init must be finite and have shape (n_components, n_features) = "
                    f"({n_components}, {n_features}), got shape {W.shape}."
                )
        return frame_of_full_rank(W).astype(X.dtype)

    def _column_means(self, X):
        means = column_means(X) if self.center else np.zeros(X.shape[1])
        return means.astype(X.dtype)

    def _penalties(self, X, W, groups, *, kept):
        # For a fixed frame the pivotal penalty is simulated, else a bound is used.
        if self.alpha == "auto":
            frame = self._frame(W, 1.0, X.dtype)
            return restoring_penalties(X, frame, groups, n_jobs=self.n_jobs)
        if self.alpha == "pivotal":
            return pivotal_alpha(*W.shape, components=W if kept else None)
        return float(self.alpha)

    def _fitted_rows(self, X, groups=None):
        X, groups = super()._fitted_rows(X, groups)
        check_in_range("mean_", self.mean_, X.dtype)
        return X, groups

    def _frame(self, W, alpha, dtype):
        alpha = np.minimum(np.full(len(W), alpha), CODES_NOTHING).astype(dtype)
        with np.errstate(over="ignore"):  # what is out of range is infinite
            mean = self.mean_.astype(dtype, copy=False)
        mean = mean if self._fitted("center") else None
        positive = bool(self._fitted("positive"))
        W, spikes = W.astype(dtype, copy=False), self._fitted("outlier_alpha")
        if spikes is not None:
            spikes = usual_outlier_alpha(W.shape[1]) if spikes == "auto" else spikes
            spikes = np.full(W.shape[1], spikes, dtype)
        return TightFrame(W, alpha, positive, mean, spikes)

    def _encoder(self, dtype):
        return self._frame(self.components_, self.alpha_, dtype)

    def _rough_encoder(self, dtype):
        return replace(self._encoder(dtype), n_steps=NEWTON_STEPS)

    def _remedy_for_zeros(self):
        if self.alpha == "pivotal":
            return (
                "Set alpha='auto' or a lower number; alpha='pivotal' detects, it does "
                "not restore."
            )
        outliers = remedy_for_outliers(
            self._fitted("outlier_alpha"), self.n_features_in_
        )
        return outliers or f"Lower {self._told_alpha()}{self._or_auto()}."

    def _remedy_for_dense_codes(self):
        if self.alpha in (0, "auto"):
            return None
        return f"Set alpha='auto', or raise {self._told_alpha()}."

    def _decode(self, Z):
        return self._encoder(Z.dtype).decode(Z)

    def _linear_decoder(self):
        return self.components_, self._encoder(self.components_.dtype).mean

    def _noise_scale(self, X, groups):
        return noise_scale(X, self._encoder(X.dtype), groups, n_jobs=self.n_jobs)

    def _duality_gap(self, X, groups):
        encoder = self._encoder(X.dtype)
        if encoder.prepared(X).whole_groups:
            gap, order = encode(X, encoder, groups, n_jobs=self.n_jobs)[1], groups.order
            return gap if order is None else gap[np.argsort(order)]
        return gaps_of_rows(X, encoder, groups, n_jobs=self.n_jobs)

    def _check_gap(self, gap):
        n_unsolved = int(np.sum(gap > UNSOLVED))
        if n_unsolved:
            warn_caller(
                f"{n_unsolved} of {len(gap)} rows with missing entries or outliers "
                f"have a duality gap of up to {gap.max():.1e}: see duality_gap.",
                ConvergenceWarning,
            )


def _pace(share):
    """Return the weight of rows in a mean of which later ones weigh more."""
    return 2 * share / (1 + share)
