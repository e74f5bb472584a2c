"""Dictionary learning: k-SVD, approximate k-SVD, optimal directions, and online.

To add a learner that sweeps over all rows, write an update of the atoms and add a
record with it to ``LEARNERS``. Constraints, tests and documentation use the record.
"""

import math
from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.linalg import pinvh
from sklearn.utils import gen_batches

from sklearn_sqrtlasso.algorithms.dictionary_update import ksvd_sweep, online_sweep
from sklearn_sqrtlasso.blockwise.blocks import one_thread_of_blas
from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows, end_to_end, over_chunks
from sklearn_sqrtlasso.blockwise.linalg import (
    column_means,
    dense_rows,
    filled_rows,
    has_missing,
    missing_counts,
    row_norms,
)
from sklearn_sqrtlasso.blockwise.sparse_rows import dense_batches, distances
from sklearn_sqrtlasso.learning.coded_rows import (
    DictionaryTask,
    Statistics,
    atom_order,
    batches_of,
    code_by_atom,
    no_statistics,
    stored_entries,
    sum_codes,
)
from sklearn_sqrtlasso.learning.loop import Stopping, learn
from sklearn_sqrtlasso.learning.sparse_ksvd import sparse_ksvd_sweep
from sklearn_sqrtlasso.sparse_coding.coding_work import work_of_row

POWER_STEPS, POWER_TOL = 30, 1e-4  # of the first singular pair in k-SVD
ALIKE = 0.99  # correlation above which one of two atoms is replaced
FEW_USERS = 3  # users up to which an atom is replaced, if there are enough rows
ROWS_PER_ATOM = 10  # rows per atom that are enough for that
ENOUGH_ROWS = 64  # rows per atom that atoms are learnt from
SWEEPS, STEPS = 30, 100  # after which more hardly restore rows better
WORK = 2e10  # products after which no sweep starts: some ten seconds of a core
ACTIVE = 1 / 3  # share of the atoms that a code takes, before any is known
OUTLYING = 1 / 2  # the same of the largest number of outliers
LEAST_ROWS = 1  # rows per atom of a sweep, which each has users enough among
ROUNDING = np.finfo(np.float64).eps  # share of the largest eigenvalue that is nothing
MOST_COLUMNS = 1024  # of all atoms, which least squares fit at a time
ATOMS = 16  # of a block of an online sweep
BATCH = 512  # rows of a batch of the online learner
COPIED = 2**23  # entries of rows drawn by what may hold few, unless it needs more
FORGETTING = 5.0  # exponent of its decay: the first half of all rows has weight 1/32


def _singular_pairs(task, coded, n_steps):
    order, D, X = task.rng.permutation(len(task.D)), task.D, coded.X
    X = X if sp.issparse(X) else X[:]  # sparse rows would be copied
    if sp.issparse(X) and not _residuals_are_few(X, D):
        positive = task.options.positive
        sparse_ksvd_sweep(X, D, order, coded, positive, n_steps, POWER_TOL)
        return
    residual, atoms = dense_rows(X) - coded.codes @ D, np.ascontiguousarray(D)
    ksvd_sweep(
        residual, atoms, order, coded.users, coded.starts, coded.values,
        task.options.positive, n_steps, POWER_TOL, coded.values.copy(),
        np.empty(D.shape[1]),
    )  # fmt: skip
    D[:] = atoms


def _residuals_are_few(X, D):
    """Return whether residuals of sparse rows cost less than products of atoms."""
    return X.shape[1] <= len(D) and X.shape[0] * X.shape[1] <= COPIED


def update_by_ksvd(task, coded):
    """Fit each atom and its entries by a singular pair, in random order: k-SVD."""
    _singular_pairs(task, coded, POWER_STEPS)


def update_by_aksvd(task, coded):
    """Fit each atom, then its entries, once: approximate k-SVD."""
    _singular_pairs(task, coded, 1)


def update_by_mod(task, coded):
    """Fit all atoms jointly by least squares: the method of optimal directions."""
    gram, moment, _ = coded.statistics
    used = np.flatnonzero(gram.diagonal())
    if not len(used):
        return
    inverse, energy = pinvh(gram[np.ix_(used, used)], rtol=ROUNDING), 0.0
    strips = list(gen_batches(moment.shape[1], MOST_COLUMNS))
    for columns in strips:
        energy += np.sum((inverse @ moment[used, columns]) ** 2, axis=1)
    fitted = energy > 0
    inverse = inverse[fitted] / np.sqrt(energy[fitted])[:, None]
    for columns in strips:  # anew: all of a fit would be as large as the atoms
        task.D[used[fitted], columns] = inverse @ moment[used, columns]


def first_atoms(X, n_components, rng):
    """Return random rows of X as unit-norm atoms, and noise if there are too few.

    Missing entries are those of the mean row.

    Parameters
    ----------
    X : ndarray, CSR matrix or ScaledRows of shape (n_samples, n_features)
        Rows; NaN where an entry is missing.
    n_components : int
        Number of atoms.
    rng : RandomState
        Source of the choice.

    Returns
    -------
    D : ndarray of shape (n_components, n_features)
        Atoms, in double precision and in the order of ``atom_order``.
    """
    means = _means_of_incomplete(X)
    used = np.flatnonzero(_largest_entries(X, means) > 0)
    picked = used[rng.permutation(len(used))[:n_components]]
    D = np.empty((n_components, X.shape[1]), order=atom_order(X))
    D[len(picked) :] = rng.standard_normal((n_components - len(picked), X.shape[1]))
    for places in dense_batches(np.arange(len(picked)), X.shape[1]):
        x = dense_rows(filled_rows(X[picked[places]], means))
        D[places] = x / np.abs(x).max(axis=1, keepdims=True)
    for places in dense_batches(np.arange(n_components), X.shape[1]):
        D[places] /= np.linalg.norm(D[places], axis=1, keepdims=True)
    return D


@over_chunks(end_to_end)
def _largest_entries(X, means):
    """Return the largest absolute value of an entry of each row, filled in."""

    def sizes(rows):
        x = abs(filled_rows(X[rows], means))
        return dense_rows(x.max(axis=1)).ravel()

    return np.concatenate([sizes(rows) for rows in batches_of(X)])


def _means_of_incomplete(X):
    """Return the means of columns, zeros if nothing is missing."""
    if not _is_incomplete(X):
        return np.zeros(X.shape[1])
    total, n_observed = _sums_of_observed(X)
    return total / np.maximum(n_observed, 1)


@over_chunks(np.logical_or)
def _is_incomplete(X):
    return any(has_missing(X[rows]) for rows in batches_of(X))


@over_chunks(np.add)
def _sums_of_observed(X):
    """Return sums and numbers of the observed entries of each column."""
    sums = np.zeros((2, X.shape[1]))
    for rows in batches_of(X):
        x = X[rows]
        seen = x.shape[0] - missing_counts(x)
        sums += column_means(x) * seen, seen
    return sums


def mean_energy(X):
    """Return the mean squared norm of rows, 1 if they are all zero.

    Parameters
    ----------
    X : ndarray, CSR matrix or ScaledRows of shape (n_samples, n_features)
        Rows with entries near 1; missing entries count as usual ones.

    Returns
    -------
    energy : float
        Positive.
    """
    energy, n_missing = _energy_and_missing(X)
    share = 1 - n_missing / (X.shape[0] * X.shape[1])
    return float(energy / X.shape[0] / (share or 1.0)) or 1.0


@over_chunks(np.add)
def _energy_and_missing(X):
    """Return the sum of squares, and the number of missing entries."""
    sums = np.zeros(2)
    for rows in batches_of(X):
        x = X[rows]
        sums += (
            np.nansum((x.data if sp.issparse(x) else x) ** 2),
            missing_counts(x).sum(),
        )
    return sums


def replace_atoms(task: DictionaryTask, X, n_users, residuals, few=None):
    """Replace dead, rare and duplicate atoms by the rows of largest residual.

    Parameters
    ----------
    task : DictionaryTask
        Task whose atoms are updated.
    X : ndarray, CSR matrix or ScaledRows of shape (n_rows, n_features)
        Rows.
    n_users : ndarray of shape (n_components,)
        Number of rows that use each atom.
    residuals : Residuals
        Their residuals, with as many of the largest as there are atoms.
    few : int, default=None
        Number of users up to which an atom is rare; None depends on the number of rows.

    Returns
    -------
    n_replaced : int
        Number of atoms that were replaced.
    """
    D = task.D
    if few is None:
        few = FEW_USERS if X.shape[0] >= ROWS_PER_ATOM * len(D) else 0
    bad = n_users <= few
    alike = np.triu(np.abs(D @ D.T) > ALIKE, k=1)
    bad |= alike[~bad].any(axis=0)
    worst = residuals.worst[: int(bad.sum())]
    if not len(worst):
        return 0
    rows = task.cleaned(X[worst])
    sizes = distances(rows, None) if sp.issparse(rows) else row_norms(rows)
    norms = residuals.norms[: len(worst)]
    worst = np.flatnonzero((sizes > 0) & (norms > 1e-10 * sizes))
    places = np.flatnonzero(bad)[: len(worst)]
    for place, row in zip(places, worst[: len(places)], strict=True):
        D[place] = dense_rows(rows[row : row + 1])[0] / sizes[row]
    return len(places)


def sweep_in_blocks(A, B, D):
    """Take the sweep of ``online_sweep``, a block of atoms after the other.

    What other atoms leave to a block is a product of matrices, and the atoms of a block
    fit the cache.

    Parameters
    ----------
    A, B, D
        As for ``online_sweep``.
    """
    for own in gen_batches(len(D), ATOMS):
        others = A[own].copy()
        others[:, own] = 0
        with one_thread_of_blas:  # a product rounds differently on more threads
            left = others @ D
        np.subtract(B[own], left, out=left)
        inner, atoms = (np.ascontiguousarray(of) for of in (A[own, own], D[own]))
        online_sweep(inner, left, atoms)
        D[own] = atoms


def add_codes(task: DictionaryTask, X, statistics, past_weight, energy=1.0):
    """Code a batch of rows, and add sums over it to those over earlier rows.

    Parameters
    ----------
    task : DictionaryTask
        Atoms; its rows are not used.
    X : ndarray, CSR matrix or ScaledRows of shape (n_rows, n_features)
        Batch of rows.
    statistics : Statistics
        Sums over earlier rows; updated.
    past_weight : float
        Weight of earlier rows, in [0, 1].
    energy : float, default=1.0
        Sums over the batch are divided by it.

    Returns
    -------
    sums : CodeSums
        Sums over the batch, but for the moment, which is that of ``statistics``.
    """
    if _is_incomplete(X):
        task = task.knowing(statistics.gram, statistics.error)
    moment = statistics.moment  # as large as the atoms, so there is one
    moment *= past_weight * energy
    sums = sum_codes(task, X, moment)
    moment /= energy
    for past, new in (statistics.gram, sums.gram), (statistics.error, sums.error):
        past *= past_weight
        past += new / energy
    return sums


def online_step(task: DictionaryTask, X, statistics, past_weight):
    """Take one step of online learning with a batch of rows.

    Parameters
    ----------
    task : DictionaryTask
        Task whose atoms are updated; its rows are not used.
    X, statistics, past_weight
        As for ``add_codes``.

    Returns
    -------
    sums : CodeSums
        As of ``add_codes``.
    """
    sums = add_codes(task, X, statistics, past_weight)
    sweep_in_blocks(statistics.gram, statistics.moment, task.D)
    return sums


def past_weight(n_rows, n_seen, n_fit=0, n_atoms=1):
    """Return the weight of earlier rows relative to a batch.

    It decays fast, as codes in early atoms are poor. Those of a fit are not: its rows
    weigh as much as ``1 + FORGETTING`` times as many rows of a stream, if they were
    enough for its atoms.

    Parameters
    ----------
    n_rows : int
        Number of rows of the batch.
    n_seen : int
        Number of rows so far, including the batch.
    n_fit : int, default=0
        Number of the first of them, whose codes are those of a fit.
    n_atoms : int, default=1
        Number of atoms.

    Returns
    -------
    weight : float
        Weight in [0, 1).
    """
    enough = min(1.0, n_fit / (ROWS_PER_ATOM * n_atoms))
    return (1 - n_rows / (n_seen + FORGETTING * enough * n_fit)) ** FORGETTING


class SweepLearner:
    """Learn atoms by sweeps that alternate coding of all rows and atom updates.

    Parameters
    ----------
    task : DictionaryTask
        Rows and atoms.
    stopping : Stopping
        Stopping criterion.
    update : callable, (task, coded) -> None
        Updates the atoms of the task from codes.
    code : callable, (task) -> CodeSums or CodedRows
        Codes the rows of the task. Sums add up over sweeps.

    Notes
    -----
    A sweep is over rows drawn anew, if one over all takes more than its share of the
    work. Incomplete ones with outliers are then filled in by what they were decoded to
    the last time, at first by means, and coded as complete ones: each pattern of
    missing entries would take several times as long. Where entries do not change any
    more, codes are those of observed entries.
    """

    def __init__(self, task, stopping, update, code):
        self.task, self.stopping, self.update, self.code = task, stopping, update, code
        self.by_sums = code is sum_codes
        self.losses, self.n_replaced = [], 0
        self.converged = self.spent = False
        self.coded, self.work, self.n_rows, self.n_seen = None, 0.0, 0, 0
        self.sums, self.n_summed = None, 0.0  # over parts, earlier ones by a weight
        self.rows = self.filled = None  # of the last part, and all if filled in
        self.of_row, self.incomplete = _expected_work(task), _is_incomplete(task.X)

    def epoch(self, n_iter):
        """Code rows, update atoms, replace bad atoms; return the loss of the codes."""
        self.coded = None  # before others are made
        n_before, part = self.n_rows, self._next_part()
        if part.X.shape[0] == self.task.X.shape[0]:
            self.sums = None
        self.coded, self.n_rows = self.code(part), part.X.shape[0]
        if self.filled is not None:
            self.filled[self.rows] = part.filled
        residuals, n_users = self.coded.residuals, self.coded.n_users
        self.losses.append(residuals.root_mean_square)
        self.work += self.coded.work
        self.of_row = self.coded.work / self.n_rows
        n_all = self.task.X.shape[0]
        alike = n_before == self.n_rows == n_all  # losses are of the same rows
        self.spent = self.work >= self.stopping.most_work
        losses = self.losses[-2 if alike else -1 :]
        self.converged = _converged(losses, self.stopping.tol, self.n_replaced)
        if self.by_sums:
            self._pool()
        self.update(part, self.coded)
        if self.incomplete:
            self.task = self.task.knowing(self.coded.gram, self.coded.error)
        if n_iter < self.stopping.max_iter and not (self.converged or self.spent):
            rows = part.X if self.filled is None else self.coded.X
            self.n_replaced = replace_atoms(self.task, rows, n_users, residuals)
        return self.losses[-1]

    def _next_part(self):
        """Return the task with the rows of the next sweep, drawn if some will do."""
        X, p = self.task.X, len(self.task.D)
        share = self.stopping.most_work / self.stopping.max_iter
        most = max(share / self.of_row, LEAST_ROWS * p)
        if most >= X.shape[0] and self.filled is None:
            return self.task
        if self.filled is None and self._may_fill():
            self.filled = _filled_in(X)
            self.of_row = _expected_work(self.task._replace(X=self.filled))
            most = max(share / self.of_row, LEAST_ROWS * p)
        if self.by_sums:  # rows need not fit in memory
            most = min(most, max(COPIED // stored_entries(X), LEAST_ROWS * p))
        n_rows = min(int(most), X.shape[0])
        self.rows = np.sort(self.task.rng.permutation(X.shape[0])[:n_rows])
        filled = None if self.filled is None else self.filled[self.rows]
        return self.task._replace(X=X[self.rows], filled=filled)

    def _may_fill(self):
        """Return whether incomplete rows are held, and missing entries left out."""
        X, outlying = self.task.X, self.task.options.outlier_alpha is not None
        held = not (self.by_sums or sp.issparse(X[:0]))
        return outlying and held and _is_incomplete(X)

    def _pool(self):
        """Add sums over earlier parts to those of the last one, as online."""
        self.n_seen += self.n_rows
        first = self.sums is None
        weight = 0.0 if first else past_weight(self.n_rows, self.n_seen)
        self.n_summed = weight * self.n_summed + self.n_rows
        if weight:
            pairs = zip(self.sums, self.coded.statistics, strict=True)
            pooled = Statistics(*(weight * past + new for past, new in pairs))
            self.coded = self.coded._replace(statistics=pooled)
        self.sums = self.coded.statistics

    def run(self, report):
        """Learn; return the losses before each sweep, and the last statistics.

        Those of sweeps over some rows are sums over all, if these are like them.
        """
        history, n_rows = _run(self, report), self.n_summed or self.n_rows
        if self.coded is None:  # their sweep was interrupted
            self.coded = self.code(self._next_part())
        statistics = Statistics(*map(np.asarray, self.coded.statistics))
        for sums in statistics:
            sums *= self.task.X.shape[0] / n_rows
        return history, statistics


def _filled_in(X):
    """Return rows whose missing entries are the means of columns."""
    return filled_rows(X[:], _means_of_incomplete(X))


def _expected_work(task):
    """Return what a row takes before codes are known."""
    (p, n), options = task.D.shape, task.options
    k, n_spikes = options.n_nonzero or ACTIVE * p, 0
    if options.outlier_alpha is not None:  # signs of outliers are at most a unit long
        n_spikes = n * (1 + options.positive)
        k += min(math.sqrt(OUTLYING) / float(options.outlier_alpha), math.sqrt(n)) ** 2
    n_missing = _energy_and_missing(task.X)[1] / task.X.shape[0]
    return work_of_row(k, p, n_missing, n_spikes)


class OnlineLearner:
    """Learn atoms online from batches (Mairal, Bach, Ponce and Sapiro 2010).

    Parameters
    ----------
    task : DictionaryTask
        Rows and atoms.
    stopping : Stopping
        Stopping criterion.
    """

    def __init__(self, task, stopping):
        self.task, self.stopping = task, stopping
        self.statistics = no_statistics(task.D.shape, task.X)
        self.losses, self.n_seen, self.work = [], 0, 0.0
        self.converged = self.spent = False

    def epoch(self, n_iter):
        """Process all rows once in batches, while work is left; return their loss."""
        X, D, n_rows = self.task.X, self.task.D, self.task.X.shape[0]
        order, energy = self.task.rng.permutation(n_rows), 0.0
        n_users = np.zeros(len(D), np.int64)
        for places in gen_batches(n_rows, rows_of_batch(X)):
            batch = X[order[places]]
            self.n_seen += batch.shape[0]
            weight = past_weight(batch.shape[0], self.n_seen)
            sums = online_step(self.task, batch, self.statistics, weight)
            energy += sums.residuals.energy
            n_users += sums.n_users
            self.work += sums.work
            self.spent = self.work >= self.stopping.most_work
            if self.spent:
                n_rows = places.stop
                break
        self.losses.append(float(np.sqrt(energy / n_rows)))
        last, n_replaced = self.spent or n_iter == self.stopping.max_iter, 0
        if not last:
            n_replaced = replace_atoms(self.task, batch, n_users, sums.residuals)
        self.converged = _converged(self.losses, self.stopping.tol, n_replaced)
        return self.losses[-1]

    def run(self, report):
        """Learn; return the losses of the passes, and the statistics of all rows."""
        return _run(self, report), self.statistics


def _run(learner, report):
    """Run epochs; an interrupt keeps the atoms as they are, good at any time."""

    def ended():
        return learner.converged or learner.spent

    def keep(state=None):
        """Keep no copy of the atoms: it would be as large as they are."""

    history = learn(
        learner.epoch, keep, keep, learner.stopping, report, converged=ended
    )
    if history.converged and not learner.converged:
        return history._replace(reason="max_iter")
    return history


def _converged(losses, tol, n_replaced):
    """Return whether the last sweep lowered the loss by at most a share of ``tol``."""
    small = len(losses) > 1 and losses[-2] - losses[-1] <= tol * losses[-2]
    return losses[-1] == 0 or (tol > 0 and small and not n_replaced)


class Learner(NamedTuple):
    """Dictionary learning algorithm, and its properties.

    Attributes
    ----------
    make : callable, (task, stopping) -> learner
        Returns a learner with ``run(report) -> (history, statistics)``.
    summary : str
        What it is, for the documentation.
    by_batch : bool
        Whether atoms are updated after each batch of rows, not after each sweep.
    by_sums : bool
        Whether atoms are updated from sums over the codes of rows.
    """

    make: Callable
    summary: str
    by_batch: bool = False
    by_sums: bool = False

    def usual_rows(self, X, n_atoms):
        """Return how many rows are enough for a number of atoms, None for all."""
        if not self.by_batch:
            return ENOUGH_ROWS * n_atoms
        if isinstance(X, ChunkedRows):  # which need not fit in memory
            return None
        few, most = STEPS * rows_of_batch(X), COPIED // stored_entries(X)
        return max(few, min(math.isqrt(few * X.shape[0]), most))

    def usual_stopping(self, X, tol):
        """Return the criterion that stops sweeps over rows where they are enough."""
        return Stopping(self.usual_sweeps(X), tol, most_work=WORK)

    def usual_sweeps(self, X):
        """Return how many sweeps over rows are enough."""
        if not self.by_batch:
            return SWEEPS
        return min(max(STEPS // -(-X.shape[0] // rows_of_batch(X)), 1), SWEEPS)


def rows_of_batch(X):
    """Return how many rows the online learner takes at a time.

    A step updates all columns of the atoms, so a batch has an entry for each.

    Parameters
    ----------
    X : ndarray, CSR matrix or ScaledRows of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    n_rows : int
        At least ``BATCH``, which it is for dense rows.
    """
    return max(BATCH, X.shape[1] // stored_entries(X))


def _sweeps(update, code=sum_codes):
    return lambda task, stopping: SweepLearner(task, stopping, update, code)


LEARNERS: MappingProxyType[str, Learner] = MappingProxyType(
    {
        "ksvd": Learner(
            _sweeps(update_by_ksvd, code_by_atom),
            "k-SVD: each atom and its entries in turn, by the first singular pair of "
            "the residual without it",
        ),
        "aksvd": Learner(
            _sweeps(update_by_aksvd, code_by_atom),
            "approximate k-SVD: the same, by one step of the power method",
        ),
        "mod": Learner(
            _sweeps(update_by_mod),
            "the method of optimal directions: all atoms at once, by least squares",
            by_sums=True,
        ),
        "online": Learner(
            OnlineLearner,
            f"online, in batches of {BATCH} rows, or as many sparse rows as hold an "
            "entry for each column, from running sums, as ``partial_fit`` always does",
            by_batch=True,
            by_sums=True,
        ),
    }
)


def learn_dictionary(task: DictionaryTask, learner, stopping: Stopping, report):
    """Learn the atoms of a task, in place.

    Parameters
    ----------
    task : DictionaryTask
        Rows and atoms.
    learner : str
        Name in ``LEARNERS``.
    stopping : Stopping
        Stopping criterion.
    report : callable, (n_iter, loss) -> bool
        Called after each sweep; learning stops if it returns True.

    Returns
    -------
    history : History
        With the root mean square norm of the residuals before each sweep.
    statistics : Statistics
        Statistics of the codes of the last sweep, or of all rows if online.
    """
    return LEARNERS[learner].make(task, stopping).run(report)
