"""Rows coded in the atoms that are learnt: in batches, in sums, or atom by atom."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.blockwise.blocks import N_PARTS, one_thread_of_blas, parallel_map
from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows, added, over_chunks
from sklearn_sqrtlasso.blockwise.encode import map_encoded
from sklearn_sqrtlasso.blockwise.groups import ungrouped
from sklearn_sqrtlasso.blockwise.linalg import (
    entries_per_row,
    has_missing,
    row_batches,
)
from sklearn_sqrtlasso.blockwise.sparse_rows import add_moments
from sklearn_sqrtlasso.sparse_coding.code_prior import CodePrior, code_prior
from sklearn_sqrtlasso.sparse_coding.dictionary import CodingOptions, make_dictionary
from sklearn_sqrtlasso.sparse_coding.encoder import DictionaryEncoder

FEW = 1 / 32  # share of nonzeros of codes up to which sparse products are faster
HELD_ENTRIES = 2**21  # of rows that are scaled once: 16 MiB, 40 MiB of sparse ones


class ScaledRows:
    """Rows over a unit, in double precision, computed whenever they are read.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Rows of any dtype, such as a memory map.
    unit : float
        A power of two.
    """

    dtype = np.dtype(np.float64)

    def __init__(self, X, unit):
        self.X, self.unit, self.shape = X, unit, X.shape

    def __getitem__(self, rows):
        """Return some rows."""
        return _over_unit(self.X[rows], self.unit)

    def __array__(self, dtype=None, copy=None):
        """Return all rows, if they are dense."""
        return self[:]


def _over_unit(X, unit):
    """Return rows over a unit, of which sparse ones share their columns."""
    if not sp.issparse(X):
        return X.astype(ScaledRows.dtype) / unit
    data = X.data.astype(ScaledRows.dtype)
    data /= unit
    return type(X)((data, X.indices, X.indptr), shape=X.shape)


def scaled_rows(X, unit):
    """Return rows over a unit, in double precision.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Rows.
    unit : float
        A power of two.

    Returns
    -------
    rows : ndarray, CSR matrix, ScaledRows or ChunkedRows
        Rows that are many are read, converted and scaled in blocks.
    """
    if isinstance(X, ChunkedRows):
        return X.map(_over_unit, unit, dtype=ScaledRows.dtype)
    rows = ScaledRows(X, unit)
    return rows if X.shape[0] * entries_per_row(X) > HELD_ENTRIES else rows[:]


def stored_entries(X):
    """Return how many entries of a row are stored, on average; also of `ScaledRows`."""
    return entries_per_row(X.X if isinstance(X, ScaledRows) else X)


def batches_of(X, n_components=1):
    """Return slices of rows that are few enough to be copied, with their codes."""
    return row_batches(X.shape[0], max(stored_entries(X), n_components))


def _joined(parts):
    return (sp.vstack if sp.issparse(parts[0]) else np.vstack)(parts)


def _joined_parts(X, parts):
    """Return rows of which some parts have changed; None is one that has not."""
    return _joined([X[at] if changed is None else changed for at, changed in parts])


class Statistics(NamedTuple):
    """Sums over rows from which atoms are learnt; they add up over disjoint rows.

    Attributes
    ----------
    gram : ndarray of shape (n_components, n_components)
        Sum of ``z z'``.
    moment : ndarray of shape (n_components, n_features)
        Sum of ``z x'``.
    error : ndarray of shape ()
        Sum of what the other entries of a row leave of the variance of an entry.
    """

    gram: np.ndarray
    moment: np.ndarray
    error: np.ndarray


class CodedBatch(NamedTuple):
    """Rows that follow each other, with their codes.

    Attributes
    ----------
    rows : slice
        Their indices.
    X : ndarray or CSR matrix of shape (n_rows, n_features)
        The rows, filled in and without outliers.
    Z : ndarray of shape (n_rows, n_components)
        Their codes.
    norms : ndarray of shape (n_rows,)
        Norms of their residuals ``x - z D``.
    error : float
        Sum of what the other entries of a row leave of the variance of an entry.
    work : float
        Number of products that their coding took, about.
    untouched : bool
        Whether the rows are as they were given.
    """

    rows: slice
    X: np.ndarray
    Z: np.ndarray
    norms: np.ndarray
    error: float
    work: float
    untouched: bool


class DictionaryTask(NamedTuple):
    """Data, atoms and options of a learner.

    Attributes
    ----------
    X : ndarray, CSR matrix, ScaledRows or ChunkedRows of shape (n_samples, n_features)
        Rows, in double precision; NaN where an entry is missing.
    D : ndarray of shape (n_components, n_features)
        Atoms of unit norm; updated in place.
    options : CodingOptions
        Options of the coding step.
    rng : RandomState
        Source of the order of rows and atoms.
    n_jobs : int or None
        Number of threads, as in joblib.
    prior : CodePrior or None
        Tells missing entries; None leaves them out.
    filled : ndarray of shape (n_samples, n_features) or None
        Rows whose missing entries are filled in, which are coded instead, as complete
        ones; afterwards they are those of the decoded rows.
    """

    X: np.ndarray
    D: np.ndarray
    options: CodingOptions
    rng: np.random.RandomState
    n_jobs: int | None = None
    prior: CodePrior | None = None
    filled: np.ndarray | None = None

    def knowing(self, gram, error):
        """Return the task with what codes so far tell of missing entries.

        Parameters
        ----------
        gram : ndarray of shape (n_components, n_components)
            Sum of ``z z'``.
        error : float
            As of ``Statistics``.

        Returns
        -------
        task : DictionaryTask
            With a prior.
        """
        return self._replace(prior=code_prior(gram, error, np.array(self.D)))

    def batches(self, X) -> Iterator[CodedBatch]:
        """Yield coded rows, a batch at a time.

        Missing entries are filled in by the decoded rows, and outliers are taken out.
        With the rest of a row fixed, its residual is then that of its observed entries,
        and from other atoms at least that: atoms that lower the one lower the other.

        Parameters
        ----------
        X : ndarray, CSR matrix or ScaledRows of shape (n_rows, n_features)
            Rows.

        Yields
        ------
        batch : CodedBatch
            Next rows.
        """
        coded = self._coder_of_batches(X)
        for rows in batches_of(X, len(self.D)):
            batch = coded(rows, self.n_jobs)
            yield batch
            del batch  # before another is made

    def map_batches(self, function, X):
        """Return a function's results for all batches, which threads share.

        Parameters
        ----------
        function : callable, (CodedBatch) -> object
            Keeps no reference to the batch.
        X : ndarray, CSR matrix or ScaledRows of shape (n_rows, n_features)
            Rows.

        Returns
        -------
        results : list
            In the order of the rows.
        """
        slices = list(batches_of(X, len(self.D)))
        if len(slices) < N_PARTS:  # threads share the blocks of each
            return [function(batch) for batch in self.batches(X)]
        coded = self._coder_of_batches(X)
        return parallel_map(lambda rows: function(coded(rows)), slices, self.n_jobs)

    def _coder_of_batches(self, X):
        """Return a function of a slice of rows, and of n_jobs, that codes them."""
        outlying = self.options.outlier_alpha is not None
        encoder = DictionaryEncoder(
            make_dictionary(self.D), self.options, outlying, prior=self.prior
        )
        encoder = encoder.prepared(X)

        def clean(block, x, same):
            given = block if same else block._replace(X=x[block.rows])
            found = encoder.cleaned(given)
            norms = encoder.residual_norms(found.X, found.Z)
            errors = encoder.errors_of_prediction(given, norms).sum()
            work = encoder.work_of(block)
            changed = None if found is given else found.X
            return (block.rows, changed), found.Z, norms, errors, work

        def coded(rows, n_jobs=None):
            x = X[rows]
            filled = x if self.filled is None else self.filled[rows]
            groups = ungrouped(x.shape[0])
            blocks = map_encoded(
                lambda block: clean(block, x, filled is x),
                filled, encoder, groups, n_jobs=n_jobs,
            )  # fmt: skip
            parts, *found = zip(*blocks, strict=True)
            untouched = all(changed is None for _, changed in parts)
            if not untouched:
                changed = _joined_parts(x, parts)
                if self.filled is not None:
                    self.filled[rows] = np.where(np.isnan(x), changed, x)
                x = changed
            codes, left = np.concatenate(found[0]), np.concatenate(found[1])
            sums = sum(found[2]), sum(found[3])
            return CodedBatch(rows, x, codes, left, *sums, untouched)

        return coded

    def cleaned(self, X):
        """Return few rows, filled in and without outliers."""
        if self.options.outlier_alpha is None and not has_missing(X):
            return X
        return _joined([batch.X for batch in self.batches(X)])


class Residuals(NamedTuple):
    """What is kept of the residuals ``x - z D`` of rows.

    Attributes
    ----------
    n_rows : int
        Number of rows.
    energy : float
        Sum of their squares.
    worst : ndarray of shape (n_worst,)
        Indices of the rows of largest residual, the largest first.
    norms : ndarray of shape (n_worst,)
        Norms of their residuals.
    """

    n_rows: int
    energy: float
    worst: np.ndarray
    norms: np.ndarray

    @property
    def root_mean_square(self):
        """Root mean square of the norms."""
        return float(np.sqrt(self.energy / self.n_rows))

    def joined(self, later):
        """Return what is kept of these and of the rows that come after them."""
        worst = np.concatenate([self.worst, later.worst + self.n_rows])
        norms = np.concatenate([self.norms, later.norms])
        order = _largest_first(norms)[: max(len(self.worst), len(later.worst))]
        n_rows, energy = self.n_rows + later.n_rows, self.energy + later.energy
        return Residuals(n_rows, energy, worst[order], norms[order])


def _largest_first(norms):
    return np.argsort(-norms, kind="stable")


def residuals_of(norms, n_worst):
    """Return what is kept of residuals with some norms.

    Parameters
    ----------
    norms : ndarray of shape (n_rows,)
        Norms.
    n_worst : int
        Number of rows of largest residual.

    Returns
    -------
    residuals : Residuals
        Sums and the largest.
    """
    worst = _largest_first(norms)[:n_worst]
    return Residuals(len(norms), np.sum(norms**2), worst, norms[worst])


class CodeSums(NamedTuple):
    """Sums over the codes of all rows.

    Attributes
    ----------
    n_users : ndarray of shape (n_components,)
        Number of rows that use each atom.
    residuals : Residuals
        Sums over the residuals, and the largest of them.
    statistics : Statistics
        What atoms are learnt from.
    work : float
        Number of products that their coding took, about.
    """

    n_users: np.ndarray
    residuals: Residuals
    statistics: Statistics
    work: float

    @property
    def gram(self):
        """Sum of ``z z'``."""
        return self.statistics.gram

    @property
    def error(self):
        """Sum of what the other entries of a row leave of the variance of an entry."""
        return self.statistics.error


def _joined_sums(one, two):
    """Return the sums over the codes of rows and of those that come after them."""
    residuals = one.residuals.joined(two.residuals)
    statistics = added(one.statistics, two.statistics)
    n_users, work = one.n_users + two.n_users, one.work + two.work
    return CodeSums(n_users, residuals, statistics, work)


def atom_order(X):
    """Return the order of atoms in memory: "F" for sparse rows, else "C".

    Products with sparse rows read and write the entries of all atoms in a column.

    Parameters
    ----------
    X : ndarray, CSR matrix, ScaledRows or ChunkedRows
        Rows.

    Returns
    -------
    order : str
        As numpy takes it.
    """
    sparse = not isinstance(X, ChunkedRows) and sp.issparse(X[:0])
    return "F" if sparse else "C"


def empty_moment(shape, X):
    """Return zeros to which products of codes and rows are added.

    Parameters
    ----------
    shape : tuple of int
        (n_components, n_features).
    X : ndarray, CSR matrix, ScaledRows or ChunkedRows
        Rows.

    Returns
    -------
    moment : ndarray of the shape
        In the order of atoms.
    """
    return np.zeros(shape, order=atom_order(X))


def no_statistics(shape, X):
    """Return the sums over no rows.

    Parameters
    ----------
    shape, X
        As for ``empty_moment``.

    Returns
    -------
    statistics : Statistics
        Zeros.
    """
    return Statistics(np.zeros((shape[0],) * 2), empty_moment(shape, X), np.zeros(()))


def sum_codes(task: DictionaryTask, X=None, moment=None):
    """Code rows, and keep sums over them.

    Parameters
    ----------
    task : DictionaryTask
        Atoms.
    X : ndarray, CSR matrix or ScaledRows, default=None
        Rows; None codes those of the task.
    moment : ndarray of shape (n_components, n_features), default=None
        Earlier sum of ``z x'``, to which that of the rows is added; None starts anew.

    Returns
    -------
    sums : CodeSums
        Sums over the rows.
    """
    X = task.X if X is None else X
    task = task._replace(X=task.D[:0])  # rows do not travel
    if moment is None or not isinstance(X, ChunkedRows):
        return _sum_codes(X, task, moment)
    sums = _sum_codes(X, task, None)
    moment += sums.statistics.moment
    return sums._replace(statistics=sums.statistics._replace(moment=moment))


@over_chunks(_joined_sums)
def _sum_codes(X, task, moment):
    p = len(task.D)
    n_users, norms = np.zeros(p, np.int64), np.empty(X.shape[0])
    moment = empty_moment(task.D.shape, X) if moment is None else moment
    sums, work = _Sums(moment), 0.0
    for batch in task.batches(X):
        work += batch.work
        n_users += np.count_nonzero(batch.Z, axis=0)
        norms[batch.rows] = batch.norms
        sums.add(batch.Z, batch.X, batch.error)
        del batch
    return CodeSums(n_users, residuals_of(norms, p), sums.statistics(), work)


class _Sums:
    """Running sums of ``z z'`` and ``z x'``, one of dense or of sparse rows.

    Parameters
    ----------
    moment : ndarray of shape (n_components, n_features)
        To which products are added, as of ``empty_moment``.
    """

    def __init__(self, moment):
        self.gram = np.zeros((len(moment),) * 2)
        self.moment, self.error = moment, np.zeros(())

    def add(self, Z, X, error=0.0):
        """Add those of some rows, and the sum of their errors of prediction."""
        self.error += error
        with one_thread_of_blas:  # a product rounds differently on more threads
            gram = Z.T @ Z
            self.gram += gram.toarray() if sp.issparse(gram) else gram
            if not sp.issparse(X):
                self.moment += Z.T @ X
            elif self.moment.flags.f_contiguous:
                add_moments(X, Z, self.moment.T)
            else:
                self.moment += (X.T @ Z).T

    def statistics(self):
        """Return the sums."""
        return Statistics(self.gram, self.moment, self.error)


class CodedRows(NamedTuple):
    """Codes of all rows, sorted by atom.

    Attributes
    ----------
    users : ndarray of shape (n_nonzero,)
        Indices of the rows that use each atom.
    starts : ndarray of shape (n_components + 1,)
        Users of atom j are at ``starts[j]`` to ``starts[j + 1]``.
    values : ndarray of shape (n_nonzero,)
        Entries of the codes; updated by learners that change codes.
    X : ndarray, CSR matrix or ScaledRows of shape (n_samples, n_features)
        The rows, filled in and without outliers.
    norms : ndarray of shape (n_samples,)
        Norms of the residuals ``x - z D``.
    error : float
        Sum of what the other entries of a row leave of the variance of an entry.
    work : float
        Number of products that their coding took, about.
    """

    users: np.ndarray
    starts: np.ndarray
    values: np.ndarray
    X: np.ndarray
    norms: np.ndarray
    error: float
    work: float

    @property
    def n_users(self):
        """Number of rows that use each atom."""
        return np.diff(self.starts)

    @property
    def residuals(self):
        """Sums over the residuals, and the largest of them."""
        return residuals_of(self.norms, len(self.n_users))

    @property
    def codes(self):
        """Sparse codes of the rows, by columns."""
        shape = (self.X.shape[0], len(self.starts) - 1)
        return sp.csc_array((self.values, self.users, self.starts), shape=shape)

    @property
    def gram(self):
        """Sum of ``z z'``."""
        sums = _Sums(np.zeros((len(self.n_users), 0)))
        for _, z in self._batches_of_codes():
            sums.add(z, np.zeros((z.shape[0], 0)))
        return sums.gram

    @property
    def statistics(self):
        """What atoms are learnt from."""
        sums = _Sums(empty_moment((len(self.n_users), self.X.shape[1]), self.X))
        sums.error += self.error
        for rows, z in self._batches_of_codes():
            sums.add(z, self.X[rows])
        return sums.statistics()

    def _batches_of_codes(self):
        """Yield slices of rows with their codes, sparse if few of them are not zero."""
        Z = self.codes.tocsr()
        few = Z.nnz <= FEW * Z.shape[0] * Z.shape[1] and not sp.issparse(self.X[:0])
        width = 1 if few else Z.shape[1]  # of codes that are held densely
        for rows in batches_of(self.X, width):
            yield rows, Z[rows] if few else Z[rows].toarray()


def code_by_atom(task: DictionaryTask):
    """Code all rows, and sort the codes by atom.

    Parameters
    ----------
    task : DictionaryTask
        Rows and atoms.

    Returns
    -------
    coded : CodedRows
        Codes and norms of the residuals.
    """

    def sorted_out(batch):
        place = np.flatnonzero(batch.Z)
        row, atom = np.divmod(place, len(task.D))
        found = row + batch.rows.start, atom, batch.Z.ravel()[place], batch.norms
        x = None if batch.untouched else batch.X  # of rows that are not as they were
        return found, (batch.rows, x), batch.error, batch.work

    parts, X, errors, work = zip(*task.map_batches(sorted_out, task.X), strict=True)
    users, atom, values, norms = map(np.concatenate, zip(*parts, strict=True))
    order = np.argsort(atom, kind="stable")
    counts = np.bincount(atom, minlength=len(task.D))
    starts = np.concatenate([[0], np.cumsum(counts)])
    rows = task.X
    if any(changed is not None for _, changed in X):
        rows = _joined_parts(task.X, X)
    sums = sum(errors), sum(work)
    return CodedRows(users[order], starts, values[order], rows, norms, *sums)
