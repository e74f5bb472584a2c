"""Dictionary learning: k-SVD, approximate k-SVD, optimal directions, and online.

To add a learner that sweeps over all rows, write an update of the atoms and add a
record with it to ``LEARNERS``. Constraints, tests and documentation use the record.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.linalg import lstsq

from sklearn_sqrtlasso.algorithms.dictionary_update import ksvd_sweep, online_sweep
from sklearn_sqrtlasso.blockwise.encode import map_encoded
from sklearn_sqrtlasso.blockwise.groups import ungrouped
from sklearn_sqrtlasso.blockwise.linalg import (
    column_means,
    filled_rows,
    has_missing,
    missing_counts,
)
from sklearn_sqrtlasso.learning.loop import Stopping, learn
from sklearn_sqrtlasso.sparse_coding.dictionary import CodingOptions, make_dictionary
from sklearn_sqrtlasso.sparse_coding.encoder import DictionaryEncoder

POWER_STEPS, POWER_TOL = 30, 1e-8  # of the first singular pair in k-SVD
ALIKE = 0.99  # correlation above which one of two atoms is replaced
FEW_USERS = 3  # users up to which an atom is replaced, if there are enough rows
ROWS_PER_ATOM = 10  # rows per atom that are enough for that
ENOUGH_ROWS = 64  # rows per atom that atoms are learnt from
SWEEPS, STEPS = 30, 100  # after which more hardly restore rows better
BATCH = 512  # rows of a batch of the online learner
FORGETTING = 5.0  # exponent of its decay: the first half of all rows has weight 1/32


class CodedRows(NamedTuple):
    """Codes of all rows, sorted by atom, and their residuals.

    Attributes
    ----------
    users : ndarray of shape (n_nonzero,)
        Indices of the rows that use each atom.
    starts : ndarray of shape (n_components + 1,)
        Users of atom j are at ``starts[j]`` to ``starts[j + 1]``.
    values : ndarray of shape (n_nonzero,)
        Entries of the codes.
    residual : ndarray of shape (n_samples, n_features)
        ``X - Z D``.
    X : ndarray of shape (n_samples, n_features)
        The rows, filled in and without outliers.
    """

    users: np.ndarray
    starts: np.ndarray
    values: np.ndarray
    residual: np.ndarray
    X: np.ndarray


class Statistics(NamedTuple):
    """Sums over rows from which atoms are learnt; they add up over disjoint rows.

    Attributes
    ----------
    gram : ndarray of shape (n_components, n_components)
        Sum of ``z z'``.
    moment : ndarray of shape (n_components, n_features)
        Sum of ``z x'``.
    """

    gram: np.ndarray
    moment: np.ndarray


class DictionaryTask(NamedTuple):
    """Data, atoms and options of a learner.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows, in double precision; NaN where an entry is missing.
    D : ndarray of shape (n_components, n_features)
        Atoms of unit norm; updated in place.
    options : CodingOptions
        Options of the coding step.
    rng : RandomState
        Source of the order of rows and atoms.
    n_jobs : int or None
        Number of threads, as in joblib.
    """

    X: np.ndarray
    D: np.ndarray
    options: CodingOptions
    rng: np.random.RandomState
    n_jobs: int | None = None

    def encode(self, function, X):
        """Apply a function to each coded block of rows, and return those rows.

        Missing entries are filled in by the decoded rows, and outliers are taken out.
        With the rest of a row fixed, its residual is then that of its observed entries,
        and from other atoms at least that: atoms that lower the one lower the other.

        Parameters
        ----------
        function : callable, (EncodedBlock) -> object
            Called for each block.
        X : ndarray of shape (n_rows, n_features)
            Rows.

        Returns
        -------
        results : list
            Results of the function.
        clean : ndarray of shape (n_rows, n_features)
            The rows of the blocks; X itself if they are as they were.
        """
        outlying = self.options.outlier_alpha is not None
        encoder = DictionaryEncoder(make_dictionary(self.D), self.options, outlying)
        clean = np.empty(X.shape) if outlying or has_missing(X) else X

        def call(block):
            if clean is X:
                return function(block)
            block = encoder.cleaned(block)
            clean[block.rows] = block.X
            return function(block)

        groups = ungrouped(len(X))
        return map_encoded(call, X, encoder, groups, n_jobs=self.n_jobs), clean


def code_by_atom(task: DictionaryTask):
    """Code all rows, and sort the codes by atom.

    Parameters
    ----------
    task : DictionaryTask
        Rows and atoms.

    Returns
    -------
    coded : CodedRows
        Codes and residuals.
    """
    X, D = task.X, task.D
    residual = np.empty(X.shape)

    def pack(block):
        residual[block.rows] = block.X - block.Z @ D
        place = np.flatnonzero(block.Z)
        row, atom = np.divmod(place, len(D))
        return row + block.rows.start, atom, block.Z.ravel()[place]

    packed, clean = task.encode(pack, X)
    users, atom, values = (np.concatenate(part) for part in zip(*packed, strict=True))
    order = np.argsort(atom, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(atom, minlength=len(D)))])
    return CodedRows(users[order], starts, values[order], residual, clean)


def _singular_pairs(task, coded, n_steps):
    users, starts, values, residual, _ = coded
    order = task.rng.permutation(len(task.D))
    ksvd_sweep(
        residual, task.D, order, users, starts, values, task.options.positive, n_steps,
        POWER_TOL,
    )  # fmt: skip


def update_by_ksvd(task, coded):
    """Fit each atom and its entries by a singular pair, in random order: k-SVD."""
    _singular_pairs(task, coded, POWER_STEPS)


def update_by_aksvd(task, coded):
    """Fit each atom, then its entries, once: approximate k-SVD."""
    _singular_pairs(task, coded, 1)


def update_by_mod(task, coded):
    """Fit all atoms jointly by least squares: the method of optimal directions."""
    used = np.flatnonzero(np.diff(coded.starts))
    gram, moment = _statistics_of(coded)
    fit = lstsq(gram[np.ix_(used, used)], moment[used])[0]
    norms = np.linalg.norm(fit, axis=1)
    task.D[used[norms > 0]] = fit[norms > 0] / norms[norms > 0, None]


def first_atoms(X, n_components, rng):
    """Return random rows of X as unit-norm atoms, and noise if there are too few.

    Missing entries are those of the mean row.
    """
    X = filled_rows(X, column_means(X))
    size = np.abs(X).max(axis=1, keepdims=True)
    rows = X[size[:, 0] > 0] / size[size[:, 0] > 0]
    picked = rows[rng.permutation(len(rows))[:n_components]]
    noise = rng.standard_normal((n_components - len(picked), X.shape[1]))
    atoms = np.vstack([picked, noise])
    return atoms / np.linalg.norm(atoms, axis=1, keepdims=True)


def mean_energy(X):
    """Return the mean squared norm of rows, 1 if they are all zero.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows with entries near 1; missing entries count as usual ones.

    Returns
    -------
    energy : float
        Positive.
    """
    share = 1 - missing_counts(X).sum() / X.size
    X = filled_rows(X, np.zeros(X.shape[1]))
    return float(np.einsum("ij,ij->", X, X) / len(X) / (share or 1.0)) or 1.0


def replace_atoms(X, D, n_users, residual, few=None):
    """Replace dead, rare and duplicate atoms by the rows of largest residual.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.
    D : ndarray of shape (n_components, n_features)
        Atoms of unit norm; updated.
    n_users : ndarray of shape (n_components,)
        Number of rows that use each atom.
    residual : ndarray of shape (n_samples, n_features)
        Residuals of the rows.
    few : int, default=None
        Number of users up to which an atom is rare; None depends on the number of rows.

    Returns
    -------
    n_replaced : int
        Number of atoms that were replaced.
    """
    if few is None:
        few = FEW_USERS if len(X) >= ROWS_PER_ATOM * len(D) else 0
    bad = n_users <= few
    alike = np.triu(np.abs(D @ D.T) > ALIKE, k=1)
    bad |= alike[~bad].any(axis=0)
    energy = np.einsum("ij,ij->i", residual, residual)
    worst = np.argsort(-energy, kind="stable")[: int(bad.sum())]
    norms = np.linalg.norm(X[worst], axis=1)
    worst = worst[(norms > 0) & (energy[worst] > 1e-20 * norms**2)]
    places = np.flatnonzero(bad)[: len(worst)]
    worst = worst[: len(places)]
    D[places] = X[worst] / np.linalg.norm(X[worst], axis=1, keepdims=True)
    return len(places)


def online_step(task: DictionaryTask, X, statistics, past_weight, energy=1.0):
    """Take one step of online learning with a batch of rows.

    Parameters
    ----------
    task : DictionaryTask
        Task whose atoms are updated; its rows are not used.
    X : ndarray of shape (n_rows, n_features)
        Batch of rows.
    statistics : Statistics
        Sums over earlier rows; updated.
    past_weight : float
        Weight of earlier rows, in [0, 1].
    energy : float, default=1.0
        Sums over the batch are divided by it.

    Returns
    -------
    n_users : ndarray of shape (n_components,)
        Number of rows that use each atom.
    residual : ndarray of shape (n_rows, n_features)
        Residuals of the batch.
    clean : ndarray of shape (n_rows, n_features)
        The batch, filled in and without outliers.
    """
    D, residual = task.D, np.empty(X.shape)

    def add(block):
        residual[block.rows] = block.X - block.Z @ D
        users = np.count_nonzero(block.Z, axis=0)
        return block.Z.T @ block.Z, block.Z.T @ block.X, users

    sums, clean = task.encode(add, X)
    grams, moments, users = zip(*sums, strict=True)
    statistics.gram[:] = past_weight * statistics.gram + sum(grams) / energy
    statistics.moment[:] = past_weight * statistics.moment + sum(moments) / energy
    online_sweep(statistics.gram, statistics.moment, D)
    return sum(users), residual, clean


def past_weight(n_rows, n_seen):
    """Return the weight of earlier rows relative to a batch.

    It decays fast, as codes in early atoms are poor.

    Parameters
    ----------
    n_rows : int
        Number of rows of the batch.
    n_seen : int
        Number of rows so far, including the batch.

    Returns
    -------
    weight : float
        Weight in [0, 1).
    """
    return (1 - n_rows / n_seen) ** FORGETTING


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
    """

    def __init__(self, task, stopping, update):
        self.task, self.stopping, self.update = task, stopping, update
        self.losses, self.n_replaced, self.converged = [], 0, False
        self.coded = None

    def epoch(self, n_iter):
        """Code rows, update atoms, replace bad atoms; return the loss of the codes."""
        self.coded = code_by_atom(self.task)
        residual = self.coded.residual
        energy = np.einsum("ij,ij->", residual, residual)
        self.losses.append(float(np.sqrt(energy / len(residual))))
        self.converged = _converged(self.losses, self.stopping.tol, self.n_replaced)
        self.update(self.task, self.coded)
        if n_iter < self.stopping.max_iter and not self.converged:
            n_users = np.diff(self.coded.starts)
            rows, D = self.coded.X, self.task.D
            self.n_replaced = replace_atoms(rows, D, n_users, residual)
        return self.losses[-1]

    def run(self, report):
        """Learn; return the loss before each sweep, and the statistics of the last."""
        _run(self, report)
        return self.losses, _statistics_of(self.coded)


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
        p, n = task.D.shape
        self.statistics = Statistics(np.zeros((p, p)), np.zeros((p, n)))
        self.losses, self.converged, self.n_seen = [], False, 0

    def epoch(self, n_iter):
        """Process all rows once in batches; return the loss of their codes."""
        X, D = self.task.X, self.task.D
        order, energy = self.task.rng.permutation(len(X)), 0.0
        n_users = np.zeros(len(D), np.int64)
        for start in range(0, len(X), BATCH):
            batch = X[order[start : start + BATCH]]
            self.n_seen += len(batch)
            weight = past_weight(len(batch), self.n_seen)
            users, residual, clean = online_step(
                self.task, batch, self.statistics, weight
            )
            energy += np.einsum("ij,ij->", residual, residual)
            n_users += users
        self.losses.append(float(np.sqrt(energy / len(X))))
        last, n_replaced = n_iter == self.stopping.max_iter, 0
        if not last:
            n_replaced = replace_atoms(clean, D, n_users, residual)
        self.converged = _converged(self.losses, self.stopping.tol, n_replaced)
        return self.losses[-1]

    def run(self, report):
        """Learn; return the loss of each pass, and the statistics of all rows."""
        _run(self, report)
        return self.losses, self.statistics


def _run(learner, report):
    task, stopping = learner.task, learner.stopping

    def restore(D):
        task.D[:] = D

    def converged():
        return learner.converged

    learn(learner.epoch, task.D.copy, restore, stopping, report, converged=converged)


def _statistics_of(coded):
    shape = (len(coded.X), len(coded.starts) - 1)
    Z = sp.csc_matrix((coded.values, coded.users, coded.starts), shape=shape)
    return Statistics((Z.T @ Z).toarray(), np.asarray(Z.T @ coded.X))


def _converged(losses, tol, n_replaced):
    """Return whether the last sweep lowered the loss by at most a share of ``tol``."""
    small = len(losses) > 1 and losses[-2] - losses[-1] <= tol * losses[-2]
    return losses[-1] == 0 or (tol > 0 and small and not n_replaced)


class Learner(NamedTuple):
    """Dictionary learning algorithm, and its properties.

    Attributes
    ----------
    make : callable, (task, stopping) -> learner
        Returns a learner with ``run(report) -> (losses, statistics)``.
    summary : str
        What it is, for the documentation.
    batch_size : int or None
        Rows of a batch; None if each sweep is one step.
    """

    make: Callable
    summary: str
    batch_size: int | None = None

    def usual_rows(self, n_atoms):
        """Return how many rows are enough for a number of atoms, None for all."""
        return None if self.batch_size else ENOUGH_ROWS * n_atoms

    def usual_sweeps(self, n_rows):
        """Return how many sweeps over a number of rows are enough."""
        if not self.batch_size:
            return SWEEPS
        return min(max(STEPS // -(-n_rows // self.batch_size), 1), SWEEPS)


def _sweeps(update):
    return lambda task, stopping: SweepLearner(task, stopping, update)


LEARNERS: MappingProxyType[str, Learner] = MappingProxyType(
    {
        "ksvd": Learner(
            _sweeps(update_by_ksvd),
            "k-SVD: each atom and its entries in turn, by the first singular pair of "
            "the residual without it",
        ),
        "aksvd": Learner(
            _sweeps(update_by_aksvd),
            "approximate k-SVD: the same, by one step of the power method",
        ),
        "mod": Learner(
            _sweeps(update_by_mod),
            "the method of optimal directions: all atoms at once, by least squares",
        ),
        "online": Learner(
            OnlineLearner,
            f"online, in batches of {BATCH} rows, from running sums; ``partial_fit`` "
            "always does this",
            BATCH,
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
    losses : list of float
        Root mean square norm of the residuals before each sweep.
    statistics : Statistics
        Statistics of the codes of the last sweep, or of all rows if online.
    """
    return LEARNERS[learner].make(task, stopping).run(report)
