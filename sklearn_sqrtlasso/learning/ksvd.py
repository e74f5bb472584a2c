"""Learn atoms in which rows have sparse codes: k-SVD, its relatives, and online."""

from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.linalg import lstsq

from sklearn_sqrtlasso.kernels.atoms import fit_atoms, sweep_atoms
from sklearn_sqrtlasso.solvers.coding import visit_codes
from sklearn_sqrtlasso.solvers.relaxation import make_atoms

POWER_STEPS, POWER_TOL = 30, 1e-8  # of the first singular pair in k-SVD
ALIKE = 0.99  # correlation from which one of two atoms is replaced
FEW_USERS = 3  # users up to which an atom is replaced, if there are rows enough
ROWS_PER_ATOM = 10  # rows for each atom from which few users are a sign of a bad atom
BATCH = 512  # rows of a step of the online learner
FORGETTING = 5.0  # how fast it forgets: rows of the first half weigh 1/32 of the last


class CodedRows(NamedTuple):
    """Codes of all rows, atom by atom, and what they leave.

    Attributes
    ----------
    users : ndarray of shape (n_nonzero,)
        Rows that use each atom.
    starts : ndarray of shape (n_components + 1,)
        Users of atom j stand from ``starts[j]`` to ``starts[j + 1]``.
    values : ndarray of shape (n_nonzero,)
        Entries of the codes.
    residual : ndarray of shape (n_samples, n_features)
        ``X - Z D``.
    """

    users: np.ndarray
    starts: np.ndarray
    values: np.ndarray
    residual: np.ndarray


class Effort(NamedTuple):
    """How long to learn, and by how many threads.

    Attributes
    ----------
    max_iter : int
        Largest number of sweeps.
    tol : float
        Relative decrease of the residual at which to stop; 0 makes all sweeps.
    n_jobs : int or None
        Threads, in the sense of joblib.
    """

    max_iter: int
    tol: float
    n_jobs: int | None = None


class Statistics(NamedTuple):
    """Sums over rows from which atoms are learnt; they add over disjoint rows.

    Attributes
    ----------
    gram : ndarray of shape (n_components, n_components)
        Sum of ``z z'``.
    moment : ndarray of shape (n_components, n_features)
        Sum of ``z x'``.
    """

    gram: np.ndarray
    moment: np.ndarray


def code_all(X, D, rule, n_jobs=None):
    """Code all rows, and sort the codes by atoms.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.
    D : ndarray of shape (n_components, n_features)
        Atoms.
    rule : Rule
        How to code.
    n_jobs : int, default=None
        Threads, in the sense of joblib.

    Returns
    -------
    coded : CodedRows
        The codes.
    """
    residual = np.empty(X.shape)
    atoms = make_atoms(D)

    def pack(block):
        residual[block.rows] = block.X - block.Z @ atoms.D
        place = np.flatnonzero(block.Z)
        row, atom = np.divmod(place, len(D))
        return row + block.rows.start, atom, block.Z.ravel()[place]

    told, _ = visit_codes(X, atoms, rule, pack, n_jobs=n_jobs)
    users, atom, values = (np.concatenate(part) for part in zip(*told, strict=True))
    order = np.argsort(atom, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(atom, minlength=len(D)))])
    return CodedRows(users[order], starts, values[order], residual)


def _k_svd(X, D, coded, rng, positive, n_steps):
    users, starts, values, residual = coded
    order = rng.permutation(len(D))
    fit_atoms(residual, D, order, users, starts, values, positive, n_steps, POWER_TOL)


def update_by_ksvd(X, D, coded, rng, positive):
    """Fit each atom with its entries by a singular pair, in random order (k-SVD)."""
    _k_svd(X, D, coded, rng, positive, POWER_STEPS)


def update_by_aksvd(X, D, coded, rng, positive):
    """Fit each atom, then its entries, once: the approximate k-SVD."""
    _k_svd(X, D, coded, rng, positive, 1)


def update_by_mod(X, D, coded, rng, positive):
    """Fit all atoms at once by least squares: the method of optimal directions."""
    used = np.flatnonzero(np.diff(coded.starts))
    gram, moment = _statistics_of(X, D, coded)
    fit = lstsq(gram[np.ix_(used, used)], moment[used])[0]
    norms = np.linalg.norm(fit, axis=1)
    D[used[norms > 0]] = fit[norms > 0] / norms[norms > 0, None]


def first_atoms(X, n_components, rng):
    """Return rows of X at random, as atoms of unit norm, with noise where they lack."""
    size = np.abs(X).max(axis=1, keepdims=True)
    rows = X[size[:, 0] > 0] / size[size[:, 0] > 0]
    picked = rows[rng.permutation(len(rows))[:n_components]]
    noise = rng.standard_normal((n_components - len(picked), X.shape[1]))
    atoms = np.vstack([picked, noise])
    return atoms / np.linalg.norm(atoms, axis=1, keepdims=True)


def replace_atoms(X, D, n_users, residual):
    """Put the worst represented rows in the place of dead, rare and double atoms.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.
    D : ndarray of shape (n_components, n_features)
        Atoms of unit norm; updated.
    n_users : ndarray of shape (n_components,)
        Number of rows that use each atom.
    residual : ndarray of shape (n_samples, n_features)
        What codes leave of the rows.

    Returns
    -------
    n_replaced : int
        Number of atoms that were replaced.
    """
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


def online_step(X, D, statistics, rule, kept, n_jobs=None):
    """Take one step of online learning with a batch of rows.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Batch.
    D : ndarray of shape (n_components, n_features)
        Atoms of unit norm, in double precision; updated.
    statistics : Statistics
        Sums over the rows before; updated.
    rule : Rule
        How to code.
    kept : float
        Weight of the rows before, in [0, 1].
    n_jobs : int, default=None
        Threads, in the sense of joblib.

    Returns
    -------
    n_users : ndarray of shape (n_components,)
        Number of rows that use each atom.
    residual : ndarray of shape (n_samples, n_features)
        What the codes leave of the batch.
    """
    residual, atoms = np.empty(X.shape), make_atoms(D)

    def add(block):
        residual[block.rows] = block.X - block.Z @ atoms.D
        users = np.count_nonzero(block.Z, axis=0)
        return block.Z.T @ block.Z, block.Z.T @ block.X, users

    told, _ = visit_codes(X, atoms, rule, add, n_jobs=n_jobs)
    grams, moments, users = zip(*told, strict=True)
    statistics.gram[:] = kept * statistics.gram + sum(grams)
    statistics.moment[:] = kept * statistics.moment + sum(moments)
    sweep_atoms(statistics.gram, statistics.moment, D)
    return sum(users), residual


def weight_of_the_past(n_rows, n_seen):
    """Return the weight of earlier rows beside ``n_rows`` new ones.

    Codes by early atoms are soon forgotten.

    Parameters
    ----------
    n_rows : int
        Rows of a batch.
    n_seen : int
        All rows seen so far, the batch included.

    Returns
    -------
    weight : float
        In [0, 1).
    """
    return (1 - n_rows / n_seen) ** FORGETTING


def _sweep_online(X, D, statistics, rule, rng, n_seen, n_jobs):
    """Pass once over all rows in batches; return the energy that codes left."""
    order, energy, n_users = rng.permutation(len(X)), 0.0, np.zeros(len(D), np.int64)
    for start in range(0, len(X), BATCH):
        batch = X[order[start : start + BATCH]]
        n_seen += len(batch)
        kept = weight_of_the_past(len(batch), n_seen)
        users, residual = online_step(batch, D, statistics, rule, kept, n_jobs)
        energy += np.einsum("ij,ij->", residual, residual)
        n_users += users
    return energy, n_users, batch, residual


def learn_online(X, D, rule, rng, *, effort, report):
    """Learn atoms by passes over batches (Mairal, Bach, Ponce and Sapiro 2010).

    Parameters, returns: as for ``learn_atoms``.
    """
    statistics = Statistics(np.zeros((len(D), len(D))), np.zeros(D.shape))
    curve = []
    for n_iter in range(1, effort.max_iter + 1):
        energy, *left = _sweep_online(
            X, D, statistics, rule, rng, (n_iter - 1) * len(X), effort.n_jobs
        )
        curve.append(float(np.sqrt(energy / len(X))))
        n_users, batch, residual = left
        last = n_iter == effort.max_iter
        replaced = 0 if last else replace_atoms(batch, D, n_users, residual)
        if report(n_iter, D, curve[-1]) or _settled(curve, effort.tol, replaced):
            break
    return curve, statistics


def learn_in_sweeps(X, D, rule, rng, *, update, effort, report):
    """Learn atoms by sweeps over all rows: codes, atoms, codes, atoms.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows, in double precision.
    D : ndarray of shape (n_components, n_features)
        Where to begin, atoms of unit norm; updated.
    rule : Rule
        How to code.
    rng : RandomState
        Orders the atoms.
    update : callable, (X, D, coded, rng, positive) -> None
        Updates atoms from codes.
    effort : Effort
        How long, and on how many threads.
    report : callable, (n_iter, D, objective) -> bool
        Told of each sweep; whether to stop.

    Returns
    -------
    curve : list of float
        Root mean square norm of the residuals before each sweep.
    statistics : Statistics
        Of the codes of the last sweep.
    """
    curve, replaced = [], 0
    for n_iter in range(1, effort.max_iter + 1):
        coded = code_all(X, D, rule, effort.n_jobs)
        energy = np.einsum("ij,ij->", coded.residual, coded.residual)
        curve.append(float(np.sqrt(energy / len(X))))
        settled = _settled(curve, effort.tol, replaced)
        update(X, D, coded, rng, rule.positive)
        if n_iter < effort.max_iter and not settled:
            n_users = np.diff(coded.starts)
            replaced = replace_atoms(X, D, n_users, coded.residual)
        if report(n_iter, D, curve[-1]) or settled:
            break
    return curve, _statistics_of(X, D, coded)


def _statistics_of(X, D, coded):
    shape = (len(X), len(D))
    Z = sp.csc_matrix((coded.values, coded.users, coded.starts), shape=shape)
    return Statistics((Z.T @ Z).toarray(), np.asarray(Z.T @ X))


def _settled(curve, tol, replaced):
    small = len(curve) > 1 and curve[-2] - curve[-1] <= tol * curve[-2]
    return curve[-1] == 0 or (tol > 0 and small and not replaced)


LEARNERS: MappingProxyType[str, Callable[..., tuple]] = MappingProxyType(
    {
        "ksvd": partial(learn_in_sweeps, update=update_by_ksvd),
        "aksvd": partial(learn_in_sweeps, update=update_by_aksvd),
        "mod": partial(learn_in_sweeps, update=update_by_mod),
        "online": learn_online,
    }
)
