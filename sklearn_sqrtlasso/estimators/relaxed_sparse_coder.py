"""Sparse coding without shrinkage: select atoms, then refit their weights."""

from numbers import Integral, Real
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_sqrtlasso._types import Rows, Seed
from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows, over_chunks
from sklearn_sqrtlasso.blockwise.encode import encode
from sklearn_sqrtlasso.blockwise.groups import ungrouped
from sklearn_sqrtlasso.blockwise.integer_rows import some_rows
from sklearn_sqrtlasso.blockwise.linalg import (
    filled_rows,
    largest_entry,
    row_norms,
    unit_near,
)
from sklearn_sqrtlasso.estimators.base import BaseEncoder
from sklearn_sqrtlasso.estimators.compat import Interval, StrOptions, fit_context
from sklearn_sqrtlasso.estimators.docstrings import list_choices
from sklearn_sqrtlasso.estimators.drafts import all_or_nothing
from sklearn_sqrtlasso.estimators.progress import Progress
from sklearn_sqrtlasso.estimators.row_sizes import follow_sizes
from sklearn_sqrtlasso.estimators.training_codes import remedy_for_outliers
from sklearn_sqrtlasso.estimators.validation import (
    check_dictionary,
    check_observed_columns,
    check_outlier_alpha,
    check_selector,
)
from sklearn_sqrtlasso.learning.coded_rows import (
    DictionaryTask,
    Statistics,
    batches_of,
    no_statistics,
    scaled_rows,
)
from sklearn_sqrtlasso.learning.dictionary_learning import (
    LEARNERS,
    add_codes,
    first_atoms,
    learn_dictionary,
    mean_energy,
    past_weight,
    replace_atoms,
    sweep_in_blocks,
)
from sklearn_sqrtlasso.learning.loop import Stopping
from sklearn_sqrtlasso.learning.row_span import RowSpan, span_of_few_rows
from sklearn_sqrtlasso.sparse_coding.code_prior import code_prior
from sklearn_sqrtlasso.sparse_coding.component_usage import CodeReport, report_refit
from sklearn_sqrtlasso.sparse_coding.dictionary import CodingOptions, make_dictionary
from sklearn_sqrtlasso.sparse_coding.encoder import DictionaryEncoder
from sklearn_sqrtlasso.sparse_coding.outliers import usual_outlier_alpha
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS, usual_count
from sklearn_sqrtlasso.sparse_coding.unsolved_rows import warn_unsolved_rows
from sklearn_sqrtlasso.theory.pivotal import (
    pivotal_alpha,
    pivotal_alpha_of_dictionary,
)

LARGEST_SIZE = 1000.0  # binary logarithm of a size of rows, times norms of atoms


def _unit_of(X):
    """Return a power of two near the largest observed entry."""
    return unit_near(_largest_observed(X))


@over_chunks(max)
def _largest_observed(X):
    zeros = np.zeros(X.shape[1])
    filled = (filled_rows(X[rows], zeros) for rows in batches_of(X))
    return max(map(largest_entry, filled))


def _chosen(selector, n_nonzero_coefs):
    """Return the name of a selector, "auto" replaced by what it stands for."""
    if selector != "auto":
        return selector
    return "sqrt_lasso" if n_nonzero_coefs is None else "omp"


def _is_certified(estimator):
    certified = [name for name, row in SELECTORS.items() if row.certified]
    selector = _chosen(estimator._fitted("selector"), estimator.n_nonzero_coefs)
    if selector not in certified:
        raise AttributeError(
            f"duality_gap is not available for selector={selector!r}; "
            f"selectors with a duality gap are {certified}."
        )
    return True


@list_choices({"selector": SELECTORS, "learner": LEARNERS})
class RelaxedSparseCoder(BaseEncoder):
    r"""Sparse coding in a dictionary, with a refit that removes shrinkage.

    Coding has two stages. A selector codes the row :math:`x` by the atoms :math:`D`
    (``components_``), and the support S of its code is kept. The weights are then
    refitted on S,

    .. math::
        z = \arg\min_{z \text{ on } S} \;
            \tfrac12 \|x - z D\|_2^2 + \phi \mu \|z\|_1,

    with :math:`\mu` the penalty of the selector: ``phi=0`` is least squares, ``phi=1``
    the code of the selector, and values in between are the relaxed lasso. All solutions
    are exact.

    Parameters
    ----------
    n_components : int, default=None
        Number of atoms to learn, at least 1; None uses the number of features or of
        rows, whichever is smaller, in ``partial_fit`` of features; or the number of
        rows of ``dictionary``.
    dictionary : array-like of shape (n_components, n_features), default=None
        Fixed atoms, used without normalisation; None learns atoms.
    selector : str, default="auto"
        Method that selects the support. "auto" is "omp" if ``n_nonzero_coefs`` is
        given, else "sqrt_lasso".

        <choices of selector>.
    alpha : float, "auto" or "pivotal", default="auto"
        Parameter :math:`\alpha` of the selector, at least 0. For "sqrt_lasso" a pure
        number if atoms have unit norm. In units of :math:`xD^\top` for "lasso" and
        "threshold", of X for "omp" and "ols". Other selectors, and those given
        ``n_nonzero_coefs``, do not use it; leave it at its default then.

        "auto" keeps the larger part of ordinary rows: for "sqrt_lasso" :math:`1.2 /
        \sqrt n`, at most 0.9, where n is ``n_features``, but if that exceeds 1024, at
        most :math:`\max(1024, \sqrt{\text{n\_components} \,
        \text{n\_features}})`; a third of the root mean square of the training rows for
        "lasso" and "threshold"; both times the root mean square norm of the atoms.
        "omp", "ols" and "topk" then use a quarter as many atoms as there are features,
        at least 2.

        "pivotal", for "sqrt_lasso" only, detects: 19 of 20 rows of pure noise get a
        zero code.
    n_nonzero_coefs : int, default=None
        Largest number of nonzero entries of a code, at least 1; only for "omp", "ols",
        "topk" and "iti". None leaves it to ``alpha``.
    outlier_alpha : float or "auto", default=None
        Penalty :math:`\beta` of outliers, a pure number above 0, only for
        "sqrt_lasso": the code is then that of :math:`x - e`, with
        :math:`\beta \|e\|_1` added to the objective, which is minimised over e, too.
        The refit leaves out the entries found to be outliers, or their share
        :math:`1 - \phi`. "auto" is :math:`2.2 / \sqrt{\text{n\_features}}`. None knows
        no outliers.
    phi : float, default=0.0
        Share of the shrinkage that is kept by the refit, in [0, 1].
    positive : bool, default=False
        Whether to constrain codes to be nonnegative.
    learner : str, default="ksvd"
        Method that learns atoms, of unit norm, from codes.

        <choices of learner>.
    subsample : int, None or "auto", default="auto"
        Number of rows, drawn at random, that atoms are learnt from, at least 1; None
        uses all. "auto" is 64 rows an atom; but for "online" 100 batches of 512, or, of
        more rows, the geometric mean of both numbers, with up to 8 million entries.
        "ksvd" and "aksvd" hold these rows, with their residuals, in memory; others read
        them in blocks.
    max_iter : int or "auto", default="auto"
        Largest number of sweeps over these rows, at least 1. "auto" is 30, but as many
        as make 100 batches for "online", and at least one; none starts after
        :math:`2 \cdot 10^{10}` products, some ten seconds of coding, of which a row of
        k atoms takes :math:`k^2 / 4` times the number of atoms, one with outliers or
        missing entries several times as many. If 30 sweeps over all rows take more,
        they are over rows drawn anew each time, at least as many as there are atoms.
    tol : float, default=1e-4
        Learning stops if a sweep lowers the residual by this share or less, at least 0;
        0 runs all sweeps.
    transform_max_iter : int, default=1000
        Largest number of active sets tried for a row that its path does not solve, and
        of supports tried by "iti", at least 1.
    transform_tol : float, default=1e-8
        Relative duality gap up to which a row counts as solved, above 0. Penalties
        below 1e-10 of the smallest one with a zero code are certified at that value;
        products of an atom with a dual point are known to 1e-15 of their factors.
    sparse_output : bool, default=False
        Whether ``transform`` returns CSR codes.
    n_jobs : int, default=None
        Number of threads over rows, as in joblib; results do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial atoms, which are rows of X, and of the order of updates.
    verbose : int, default=0
        Whether to print a line after each sweep.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Atoms D, one per row.
    alpha_ : float
        Penalty of the selector; 0 if it uses ``n_nonzero_coefs`` instead.
    n_iter_ : int
        Number of sweeps, 1 for a fixed dictionary; after ``partial_fit``, number of
        its calls.
    stop_reason_ : {"tol", "max_iter", "callback", "interrupt"}
        Why the last ``fit`` ended: a sweep lowered the loss by a share of at most
        ``tol``, all sweeps were done, or as many as a default fit affords, or a
        callback or a keyboard interrupt ended it.
    objective_curve_ : ndarray of shape (n_sweeps,)
        Root mean square norm of the residuals before each sweep, of the observed
        entries of its rows that are no outliers, in units of X.
    fitted_params_ : dict
        Values of ``selector``, ``n_nonzero_coefs``, ``phi``, ``positive`` and
        ``outlier_alpha`` in the last fit, which rows are coded with; defaults are
        replaced by what they stood for. Later changes act at the next fit.
    log2_sizes_ : tuple of float
        Binary logarithms of the usual size of rows and of that of the last ones that
        were not zero, which ``alpha="auto"`` follows in ``partial_fit``.
    code_gram_ : ndarray of shape (n_components, n_components)
        Sum of :math:`z^\top z` over rows, divided by the mean energy of the rows of
        their batch, from which ``partial_fit`` resumes. Like the next three, only set
        if atoms are learnt.
    code_moment_ : ndarray of shape (n_components, n_features)
        Sum of :math:`z^\top x`, divided like ``code_gram_``.
    code_error_ : ndarray of shape ()
        Sum over rows of the error with which the other entries of a row tell an entry,
        squared, divided like ``code_gram_``.
    n_samples_seen_ : int
        Number of training rows so far.
    n_samples_fit_ : int
        Number of rows of the last ``fit``, 0 of a stream of batches; only set if atoms
        are learnt.
    n_features_in_ : int
        Number of features seen during :term:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :term:`fit`, if they are all strings.

    See Also
    --------
    SqrtLassoTransform : Learnt tight frame; coding is a product and a threshold.
    sklearn.decomposition.SparseCoder : Sparse coding with shrinkage, in fixed atoms.
    sklearn.decomposition.DictionaryLearning : Dictionary learning with the lasso.

    Notes
    -----
    Each row is coded independently. Codes are computed in double precision and returned
    in the dtype of X. Each call computes the Gram matrix of the atoms, so pass many
    rows per call.

    NaN in X is an entry that was not observed. A row is coded by its observed entries
    and what they leave of the atoms, with the same ``alpha``. If atoms were learnt, so
    were the second moment of codes and the error :math:`\sigma` with which entries of a
    row tell one that was left out. If both were Gaussian, a missing entry would have
    some mean and standard deviation s given the observed ones: it counts as that mean,
    with the weight :math:`\sigma / s` in :math:`\|x - zD\|_2^2`. Of given atoms, or
    with outliers, nothing is known: missing entries have no weight. ``reconstruct``
    fills them in by :math:`zD`. "pivotal" penalties hold for given atoms, since these
    lose as much energy as noise does. ``noise_scale`` knows the observed entries only.
    Rows without any have a code of zeros. Learning fills in rows anew in each sweep.

    Do not use the coder to rank nearly identical atoms: the selection among them is
    exact but arbitrary. An atom with less than a share of 1e-11 of its energy outside
    the span of others counts as dependent on them, and need not be refitted; penalties
    below 1e-10 of that of a zero code are raised to it.

    References
    ----------
    .. [1] N. Meinshausen, "Relaxed Lasso", Computational Statistics & Data Analysis
       52(1), 2007.
    .. [2] M. Aharon, M. Elad, A. Bruckstein, "K-SVD: An Algorithm for Designing
       Overcomplete Dictionaries for Sparse Representation", IEEE Transactions on Signal
       Processing 54(11), 2006.
    .. [3] A. Maleki, "Coherence Analysis of Iterative Thresholding Algorithms",
       Allerton Conference, 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sqrtlasso import RelaxedSparseCoder
    >>> atoms = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]])
    >>> coder = RelaxedSparseCoder(dictionary=atoms, selector="lasso", alpha=0.5)
    >>> coder.fit_transform([[3.0, 4.0, 0.1]])
    array([[0., 5.]])
    >>> coder.set_params(phi=1.0).fit_transform([[3.0, 4.0, 0.1]])
    array([[0. , 4.5]])

    A missing entry is filled in, and an outlier is left alone:

    >>> coder = RelaxedSparseCoder(
    ...     dictionary=np.ones((1, 8)), alpha=0.1, outlier_alpha="auto"
    ... )
    >>> coder = coder.fit(np.eye(8))
    >>> coder.reconstruct([[2.0, np.nan, 2.1, 99.0, 1.9, 2.0, 2.0, 2.0]]).round(1)
    array([[2., 2., 2., 2., 2., 2., 2., 2.]])
    """

    _coded_with = ("selector", "n_nonzero_coefs", "phi", "positive", "outlier_alpha")
    _takes_missing = True

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "dictionary": ["array-like", None],
        "selector": [StrOptions({"auto", *SELECTORS})],
        "alpha": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"auto", "pivotal"}),
        ],
        "n_nonzero_coefs": [Interval(Integral, 1, None, closed="left"), None],
        "outlier_alpha": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
            None,
        ],
        "phi": [Interval(Real, 0, 1, closed="both")],
        "positive": ["boolean"],
        "learner": [StrOptions(set(LEARNERS))],
        "subsample": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
            None,
        ],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "transform_max_iter": [Interval(Integral, 1, None, closed="left")],
        "transform_tol": [Interval(Real, 0, None, closed="neither")],
        "sparse_output": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        dictionary: ArrayLike | None = None,
        selector: str = "auto",
        alpha: float | str = "auto",
        n_nonzero_coefs: int | None = None,
        outlier_alpha: float | str | None = None,
        phi: float = 0.0,
        positive: bool = False,
        learner: str = "ksvd",
        subsample: int | str | None = "auto",
        max_iter: int | str = "auto",
        tol: float = 1e-4,
        transform_max_iter: int = 1000,
        transform_tol: float = 1e-8,
        sparse_output: bool = False,
        n_jobs: int | None = None,
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.dictionary = dictionary
        self.selector = selector
        self.alpha = alpha
        self.n_nonzero_coefs = n_nonzero_coefs
        self.outlier_alpha = outlier_alpha
        self.phi = phi
        self.positive = positive
        self.learner = learner
        self.subsample = subsample
        self.max_iter = max_iter
        self.tol = tol
        self.transform_max_iter = transform_max_iter
        self.transform_tol = transform_tol
        self.sparse_output = sparse_output
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _learn(self, X, groups, resumed):
        check_observed_columns(X)
        self._record_selection(X.shape[1])
        self.log2_sizes_ = follow_sizes(X).log2_sizes
        if self.dictionary is None:
            self._learn_atoms(X)
            return
        progress = Progress(self, X, 1)
        D = check_dictionary(self.dictionary, self.n_components, X.shape[1], X.dtype)
        self._set_atoms(D.copy(), X.dtype)
        self.n_iter_, self.objective_curve_ = 1, np.empty(0)
        self.stop_reason_ = "max_iter"
        progress.end(lambda: {"components_": self.components_, "alpha_": self.alpha_})

    def _learn_atoms(self, X):
        rng, (n_rows, n_features) = check_random_state(self.random_state), X.shape
        n_atoms = self.n_components or min(X.shape)
        X, given = self._some_rows(X, n_atoms, rng), X
        stopping, dtype, unit = self._stopping(X), X.dtype, _unit_of(X)
        progress = Progress(self, given, stopping.max_iter)
        X = scaled_rows(X, unit)  # exact: avoids overflow of squares, also in alpha
        whole = self.outlier_alpha or isinstance(X, ChunkedRows) or sp.issparse(X[:0])
        span = RowSpan(X, None) if whole else span_of_few_rows(X)
        X = span.coordinates
        D = first_atoms(X, self.n_components or min(X.shape), rng)
        alpha = self._penalty((len(D), n_features))
        task = DictionaryTask(X, D, self._options(alpha, unit), rng, self.n_jobs)

        def attributes():
            return {"components_": span.unfold(D).astype(dtype), "alpha_": alpha}

        def report(n_iter, objective):
            return progress.step(n_iter, objective * unit, attributes)

        history, statistics = learn_dictionary(task, self.learner, stopping, report)
        curve, self.stop_reason_ = history.losses, history.reason
        self._set_atoms(span.unfold(D), dtype)
        self.n_iter_, self.objective_curve_ = len(curve), np.array(curve) * unit
        weight = mean_energy(X) * X.shape[0] / n_rows
        self.code_gram_ = statistics.gram / weight
        self.code_moment_ = span.unfold(statistics.moment)
        self.code_moment_ /= weight
        share = X.shape[1] / n_features  # of directions, in which a residual is alike
        self.code_error_ = np.asarray(statistics.error * share / weight)
        self.n_samples_seen_ = self.n_samples_fit_ = n_rows
        progress.end(attributes)

    def _stopping(self, X):
        if self.max_iter == "auto":
            return LEARNERS[self.learner].usual_stopping(X, self.tol)
        return Stopping(self.max_iter, self.tol)

    def _some_rows(self, X, n_atoms, rng):
        """Return the rows that atoms are learnt from, in their order."""
        most = self.subsample
        if most == "auto":
            most = LEARNERS[self.learner].usual_rows(X, n_atoms)
        if most is None or most >= X.shape[0]:
            return X
        rows = np.sort(rng.permutation(X.shape[0])[:most])
        return some_rows(X, rows)

    @fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    def partial_fit(self, X: Rows, y: ArrayLike | None = None) -> Self:
        """Take one online learning step with a batch of rows, for any ``learner``.

        The weight of earlier rows decays with the number of rows seen; it does not
        depend on the scale of batches. When N rows have been seen, the n-th row has
        weight :math:`(n / N)^5`, as early atoms are poor. Those of a ``fit`` are not:
        its rows count six times in N, so that they weigh as a batch of as many rows
        does, or fewer times if they are less than ten for each atom. The first call, on
        an unfitted estimator, uses rows of the batch as initial atoms. Atoms that no
        row has used yet are replaced by rows of the batch that are restored worst.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Batch of rows; NaN where an entry is missing. The first batch must have an
            entry in every column.
        y : Ignored
            Not used, present by convention.

        Returns
        -------
        self : object
            The updated coder.

        Raises
        ------
        ValueError
            If a parameter or X is not valid, or ``dictionary`` is given; the estimator
            is left unchanged.
        """
        if self.dictionary is not None:
            raise ValueError(
                "partial_fit learns atoms, but dictionary gives them; set "
                "dictionary=None or call fit."
            )
        X, resumed = self._begin(X, warm=True, attribute="code_gram_")
        self._record_selection(X.shape[1])
        known = self.log2_sizes_ if resumed else (None, None)
        self.log2_sizes_ = follow_sizes(X, known).log2_sizes
        rng, unit, dtype = check_random_state(self.random_state), _unit_of(X), X.dtype
        batch = scaled_rows(X, unit)
        if resumed:
            dtype, D = self.components_.dtype, self.components_
            D = D.astype(np.float64, copy=False)
            sums = self.code_gram_, self.code_moment_, self.code_error_
            statistics = Statistics(*map(np.array, sums))
        else:
            check_observed_columns(X)
            D = first_atoms(batch, self.n_components or X.shape[1], rng)
            statistics = no_statistics(D.shape, batch)
            self.n_iter_, self.objective_curve_ = 0, np.empty(0)
            self.n_samples_seen_ = self.n_samples_fit_ = 0
        self.n_samples_seen_ += X.shape[0]
        n_fit = getattr(self, "n_samples_fit_", 0)  # not of earlier versions
        weight = past_weight(X.shape[0], self.n_samples_seen_, n_fit, len(D))
        options = self._options(self._penalty(D.shape), unit)
        task = DictionaryTask(batch, D, options, rng, self.n_jobs)
        energy = mean_energy(batch)
        residuals = add_codes(task, batch, statistics, weight, energy).residuals
        task = task._replace(D=np.array(D))  # atoms change as a whole, or not at all
        sweep_in_blocks(statistics.gram, statistics.moment, task.D)
        replace_atoms(task, batch, np.diagonal(statistics.gram) > 0, residuals, few=0)
        self.code_gram_, self.code_moment_ = statistics.gram, statistics.moment
        self.code_error_ = np.asarray(statistics.error)
        self._set_atoms(task.D, dtype)
        self.n_iter_ += 1
        objective = residuals.root_mean_square * unit
        self.objective_curve_ = np.append(self.objective_curve_, objective)
        return self

    @available_if(_is_certified)
    def duality_gap(self, X: Rows) -> np.ndarray:
        """Return a bound on the suboptimality of the code of each row.

        The bound is for the code of the selector, before the refit.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        gap : ndarray of shape (n_samples,)
            Relative duality gaps, pure numbers: the objective exceeds its minimum by at
            most ``gap`` times its value at a zero code.

        Raises
        ------
        AttributeError
            If ``selector`` does not minimise an objective with a duality gap.
        """
        X, groups = self._fitted_rows(X)
        return encode(X, self._encoder(X.dtype), groups, n_jobs=self.n_jobs)[1]

    def _record_selection(self, n_features):
        """Record the parameters, with the selector and count that are used."""
        count = self.n_nonzero_coefs
        selector = _chosen(self.selector, count)
        check_selector(selector, count, self.alpha)
        check_outlier_alpha(self.outlier_alpha, selector)
        row = SELECTORS[selector]
        if count is None and row.auto_count:
            free = self.alpha == "auto" or row.alpha_unit is None
            count = usual_count(n_features) if free else None
        self._record_parameters()
        self.fitted_params_ |= {"selector": selector, "n_nonzero_coefs": count}
        if self.outlier_alpha == "auto":
            self.fitted_params_["outlier_alpha"] = usual_outlier_alpha(n_features)

    def _set_atoms(self, D, dtype):
        self.components_ = D.astype(dtype, copy=False)
        self.alpha_ = self._penalty(D.shape, self.components_)

    def _penalty(self, shape, D=None):
        """Return the penalty for atoms, or for those of unit norm not learnt yet."""
        row = SELECTORS[self._fitted("selector")]
        if self.alpha == "pivotal" and row.pivotal:
            if D is None:
                return pivotal_alpha(*shape)
            return pivotal_alpha_of_dictionary(D, positive=self.positive)
        if not isinstance(self.alpha, str):
            return float(self.alpha)
        if row.auto_alpha is None:
            return 0.0
        norm = 1.0 if D is None else float(np.sqrt(np.mean(row_norms(D) ** 2)))
        usual = self.log2_sizes_[0]
        size = 0.0 if usual is None else float(np.exp2(min(usual, LARGEST_SIZE)))
        alpha = row.auto_alpha(shape, size) * norm
        return min(alpha, float(np.finfo(np.float64).max))

    def _options(self, alpha, unit=1.0, phi=None):
        """Return coding options for rows divided by ``unit``."""
        selector, count, fitted_phi, positive, outlier_alpha = map(
            self._fitted, self._coded_with
        )
        pure = SELECTORS[selector].alpha_unit == "pure"
        return CodingOptions(
            selector=selector,
            alpha=float(alpha if pure else alpha / unit),
            n_nonzero=int(count or 0),
            phi=float(fitted_phi if phi is None else phi),
            positive=bool(positive),
            max_iter=int(self.transform_max_iter),
            tol=float(self.transform_tol),
            outlier_alpha=outlier_alpha,
        )

    def _encoder(self, dtype, phi=None, *, tells_outliers=False):
        options = self._options(self.alpha_, phi=phi)
        tells_outliers = tells_outliers and options.outlier_alpha is not None
        dictionary, prior = make_dictionary(self.components_), None
        if hasattr(self, "code_gram_"):
            prior = code_prior(self.code_gram_, self.code_error_, dictionary.D)
        return DictionaryEncoder(dictionary, options, tells_outliers, prior=prior)

    def _remedy_for_zeros(self):
        if self._fitted("n_nonzero_coefs") is not None:
            return None
        if SELECTORS[self._fitted("selector")].alpha_unit is None:
            return f"Set n_nonzero_coefs: selector={self.selector!r} takes no alpha."
        outliers = remedy_for_outliers(
            self._fitted("outlier_alpha"), self.n_features_in_
        )
        return outliers or f"Lower {self._told_alpha()}{self._or_auto()}."

    def _remedy_for_dense_codes(self):
        if self._fitted("n_nonzero_coefs") is not None or not self.alpha:
            return None
        return f"Raise {self._told_alpha()}{self._or_auto()}."

    def _check_gap(self, gap):
        warn_unsolved_rows(gap, self.transform_tol, self.transform_max_iter)

    def _noise_scale(self, X, groups):
        sigma = np.empty(X.shape[0], X.dtype)
        encoder = self._encoder(X.dtype, phi=0.0, tells_outliers=True).prepared(X)

        def measure(block):
            norms = encoder.observed_residuals(block)
            with np.errstate(over="ignore"):  # what is out of range is infinite
                sigma[block.rows] = encoder.noise_scales(block, norms)

        self._map_encoded(measure, X, groups, encoder)
        return sigma

    def shrinkage_report(self, X: Rows) -> CodeReport:
        """Report the shrinkage of the codes of the selector.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        report : CodeReport
            As of :func:`sklearn_sqrtlasso.metrics.shrinkage_report`, for the codes with
            ``phi=1``, regardless of ``phi``.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False).astype(np.float64, copy=False)
        encoder, rows = self._encoder(X.dtype, phi=1.0), ungrouped(X.shape[0])
        Z, gap = encode(X, encoder, rows, n_jobs=self.n_jobs)
        self._check_gap(gap)
        positive = bool(self._fitted("positive"))
        return report_refit(X, Z, self.components_, positive=positive)
