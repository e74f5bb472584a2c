"""Learning finds the atoms that made the rows, and keeps them sound on the way."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.algorithms.dictionary_update import online_sweep
from sklearn_sqrtlasso.blockwise import linalg
from sklearn_sqrtlasso.learning import coded_rows
from sklearn_sqrtlasso.learning.coded_rows import (
    DictionaryTask,
    code_by_atom,
    residuals_of,
)
from sklearn_sqrtlasso.learning.dictionary_learning import (
    LEARNERS,
    first_atoms,
    learn_dictionary,
    mean_energy,
    replace_atoms,
    sweep_in_blocks,
    update_by_aksvd,
    update_by_ksvd,
    update_by_mod,
)
from sklearn_sqrtlasso.learning.loop import Stopping
from sklearn_sqrtlasso.sparse_coding.coding_work import work_of_row
from sklearn_sqrtlasso.sparse_coding.dictionary import CodingOptions, make_dictionary
from sklearn_sqrtlasso.sparse_coding.encoder import code_rows
from tests import sized

OPTIONS = CodingOptions("omp", n_nonzero=3)
# Recovered atoms of 50 after 80 sweeps, less what fewer rows and sweeps cost.
FOUND = {"ksvd": 40, "aksvd": 38, "mod": 38}
LEAST = 30  # that any learner finds

each_learner = pytest.mark.parametrize("learner", LEARNERS)


def made_rows(n_rows=1500, n_components=50, n_features=20, k=3, snr=20, seed=0):
    """Return rows of k atoms each, in noise, and the atoms."""
    rng = np.random.default_rng(seed)
    D = rng.standard_normal((n_components, n_features))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    Z = np.zeros((n_rows, n_components))
    for z in Z:
        z[rng.permutation(n_components)[:k]] = rng.standard_normal(k)
    X, noise = Z @ D, rng.standard_normal((n_rows, n_features))
    noise *= np.linalg.norm(X) / np.linalg.norm(noise) / 10 ** (snr / 20)
    return X + noise, D


def n_found(D, true):
    return int(np.sum(1 - np.abs(true @ D.T).max(axis=1) < 0.01))


def learn(
    X, learner, n_components, *, max_iter=10, tol=0.0, n_jobs=None, options=OPTIONS
):
    D, (history, _) = run(
        X, learner, n_components, Stopping(max_iter, tol), n_jobs, options
    )
    return D, history.losses


def run(X, learner, n_components, stopping, n_jobs=None, options=OPTIONS):
    rng = np.random.RandomState(0)
    D = first_atoms(X, n_components, rng)
    task = DictionaryTask(X, D, options, rng, n_jobs)
    return D, learn_dictionary(task, learner, stopping, lambda *step: False)


@each_learner
@pytest.mark.filterwarnings("ignore:Learning was interrupted")
def test_a_sweep_that_is_interrupted_leaves_atoms_and_sums_of_their_codes(
    learner, monkeypatch
):
    X, _ = made_rows(60, n_components=10)
    n_coded, batches = 0, DictionaryTask.batches

    def interrupted(task, rows):
        nonlocal n_coded
        n_coded += 1
        if n_coded == 2:
            raise KeyboardInterrupt
        return batches(task, rows)

    monkeypatch.setattr(DictionaryTask, "batches", interrupted)
    D, (history, statistics) = run(X, learner, 5, Stopping(4, 0.0))
    assert (history.reason, len(history.losses)) == ("interrupt", 1)
    assert_allclose(np.linalg.norm(D, axis=1), 1, rtol=1e-12)
    assert np.isfinite(statistics.moment).all()
    assert statistics.gram.any()


@pytest.mark.skipif(sized(False, True), reason="too long without a compiler")
@each_learner
def test_atoms_that_made_the_rows_are_found(learner):
    X, true = made_rows()
    D, _ = learn(X, learner, 50, max_iter=60)
    assert n_found(D, true) >= FOUND.get(learner, LEAST)


@each_learner
def test_learning_lowers_the_residual(learner):
    X, _ = made_rows(sized(600, 60), 12, 8, 2)
    _, curve = learn(X, learner, 12)
    assert curve[-1] < 0.8 * curve[0]


@each_learner
@pytest.mark.parametrize("positive", [False, True])
def test_atoms_keep_unit_norm(learner, positive):
    X, _ = made_rows(sized(300, 60), 12, 8, 2)
    D, _ = learn(X, learner, 12, options=OPTIONS._replace(positive=positive))
    assert_allclose(np.linalg.norm(D, axis=1), 1)


@each_learner
def test_threads_do_not_change_atoms(learner):
    X, _ = made_rows(sized(1500, 60), 12, 8, 2)
    D, _ = learn(X, learner, 12, max_iter=3)
    assert_array_equal(learn(X, learner, 12, max_iter=3, n_jobs=2)[0], D)


@each_learner
def test_learning_stops_where_nothing_changes(learner):
    X, _ = made_rows(sized(300, 60), 12, 8, 2)
    _, curve = learn(X, learner, 12, max_iter=200, tol=1e-2)
    assert len(curve) < 100


def test_codes_are_sorted_by_atoms():
    X, true = made_rows(60, 12, 8, 2)
    coded = code_by_atom(DictionaryTask(X, true, OPTIONS, None))
    users, starts, values = coded.users, coded.starts, coded.values
    Z = np.zeros((len(X), len(true)))
    for j in range(len(true)):
        own = slice(starts[j], starts[j + 1])
        Z[users[own], j] = values[own]
    assert_array_equal(coded.codes.toarray(), Z)
    assert_allclose(coded.norms, np.linalg.norm(X - Z @ true, axis=1), atol=1e-12)


SWEEPS = {"ksvd": update_by_ksvd, "aksvd": update_by_aksvd, "mod": update_by_mod}


def least_squares_energy(X, D, coded):
    """Return the energy of observed entries beside least squares on given supports."""
    used = np.zeros((len(X), len(D)), bool)
    for j in range(len(D)):
        used[coded.users[coded.starts[j] : coded.starts[j + 1]], j] = True
    energy = 0.0
    for x, on in zip(X, used, strict=True):
        seen = ~np.isnan(x)
        z = np.linalg.lstsq(D[on][:, seen].T, x[seen], rcond=None)[0]
        energy += np.sum((x[seen] - z @ D[on][:, seen]) ** 2)
    return energy


@pytest.mark.parametrize("update", SWEEPS.values(), ids=SWEEPS)
def test_new_atoms_restore_observed_entries_no_worse(update):
    X, _ = made_rows(sized(300, 60), 12, 8, 2)
    X[np.random.default_rng(0).random(X.shape) < 0.3] = np.nan
    rng = np.random.RandomState(0)
    D = first_atoms(X, 12, rng)
    task = DictionaryTask(X, D, OPTIONS._replace(n_nonzero=2), rng)
    for _ in range(5):
        coded = code_by_atom(task)
        assert_array_equal(coded.X[~np.isnan(X)], X[~np.isnan(X)])
        decoded = coded.codes @ D
        assert_allclose(coded.X[np.isnan(X)], decoded[np.isnan(X)], atol=1e-12)
        before = least_squares_energy(X, D, coded)
        assert_allclose(before, np.sum(coded.norms**2))
        update(task, coded)
        assert least_squares_energy(X, D, coded) <= before * (1 + 1e-12)


@pytest.mark.parametrize("update", SWEEPS.values(), ids=SWEEPS)
def test_the_objective_of_observed_entries_falls_with_each_sweep(update):
    X, true = made_rows(sized(300, 60), 12, 8, 2)
    X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
    X = X[~np.isnan(X).all(axis=1)]
    rng, noise = np.random.RandomState(0), np.random.default_rng(1)
    D = true + 0.2 * noise.standard_normal(true.shape)  # near: supports hardly change
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    task, energies = DictionaryTask(X, D, OPTIONS._replace(n_nonzero=2), rng), []
    for _ in range(6):
        coded = code_by_atom(task)
        energies.append(np.sum(coded.norms**2))
        update(task, coded)
    assert np.all(np.diff(energies) <= 0)


def test_rows_without_gaps_are_not_copied():
    X, true = made_rows(60, 12, 8, 2)
    assert code_by_atom(DictionaryTask(X, true, OPTIONS, None)).X is X


def test_first_atoms_have_no_gaps():
    X, _ = made_rows(60, 12, 8, 2)
    X[:, ::3] = np.nan
    X[0] = 1.0
    assert np.isfinite(first_atoms(X, 12, np.random.RandomState(0))).all()


def test_missing_entries_count_as_usual_ones_in_the_energy_of_rows():
    X = np.full((4, 6), 2.0)
    X[1:, 1::2] = np.nan
    assert mean_energy(X) == mean_energy(np.full((4, 6), 2.0)) == 24
    assert mean_energy(np.full((4, 6), np.nan)) == 1


def test_dead_and_double_atoms_are_replaced_by_bad_rows():
    X, true = made_rows(300, 12, 8, 2)
    norms = np.zeros(len(X))
    norms[5], norms[9] = 1, 2
    D, n_users = true.copy(), np.full(12, 50)
    D[3], n_users[7] = -D[1], 0
    task = DictionaryTask(X, D, OPTIONS, None)
    assert replace_atoms(task, X, n_users, residuals_of(norms, 12)) == 2
    new = X[[9, 5]] / np.linalg.norm(X[[9, 5]], axis=1, keepdims=True)
    assert_allclose(D[[3, 7]], new)
    others = [j for j in range(12) if j not in (3, 7)]
    assert_array_equal(D[others], true[others])


def test_atoms_stay_where_all_rows_are_coded_exactly():
    X, true = made_rows(300, 12, 8, 2)
    D = true.copy()
    task = DictionaryTask(X, D, OPTIONS, None)
    exact = residuals_of(np.zeros(len(X)), 12)
    assert replace_atoms(task, X, np.zeros(12), exact) == 0
    assert_array_equal(D, true)


def test_there_are_first_atoms_for_few_and_for_zero_rows():
    rng = np.random.RandomState(0)
    for X in (np.zeros((3, 4)), np.eye(2, 4), 1e300 * np.eye(2, 4)):
        D = first_atoms(X, 6, rng)
        assert D.shape == (6, 4)
        assert_allclose(np.linalg.norm(D, axis=1), 1)


@pytest.fixture
def rows_of_sweeps(monkeypatch):
    """Collect how many rows are coded at a time."""
    found, batches = [], DictionaryTask.batches

    def counted(task, X):
        found.append(X.shape[0])
        return batches(task, X)

    monkeypatch.setattr(DictionaryTask, "batches", counted)
    return found


@each_learner
@pytest.mark.parametrize("n_sweeps", [2.5, 0.1])
def test_no_sweep_starts_once_the_work_is_done(learner, n_sweeps, rows_of_sweeps):
    X, _ = made_rows(n_rows=300)
    whole = len(X) * work_of_row(OPTIONS.n_nonzero, 50)
    stopping = Stopping(5, 0.0, most_work=n_sweeps * whole)
    _, (history, _) = run(X, learner, 50, stopping)
    assert history.reason == "max_iter"
    done = np.cumsum(rows_of_sweeps)
    assert done[-1] >= n_sweeps * len(X) > 0
    assert len(done) == 1 or done[-2] < n_sweeps * len(X)


@pytest.mark.parametrize("learner", ["ksvd", "aksvd"])
def test_atoms_fitted_to_their_users_are_swept_over_rows_drawn_anew(
    learner, rows_of_sweeps
):
    X, _ = made_rows(n_rows=300)
    whole = len(X) * work_of_row(OPTIONS.n_nonzero, 50)
    _, (history, some) = run(X, learner, 50, Stopping(4, 0.1, most_work=2 * whole))
    assert len(history.losses) == 4  # losses of different rows do not end learning
    assert 150 <= min(rows_of_sweeps) <= max(rows_of_sweeps) < 300
    rows_of_sweeps.clear()
    run(X, learner, 50, Stopping(1000, 0.0, most_work=1.01 * whole))
    assert set(rows_of_sweeps) == {50}  # at least as many as atoms
    _, (_, all_of_them) = run(X, learner, 50, Stopping(4, 0.0))
    # sums stand for all rows
    ratio = np.trace(some.gram) / np.trace(all_of_them.gram)
    assert ratio == pytest.approx(1, rel=0.3)


@each_learner
@pytest.mark.parametrize("outlier_alpha", [None, 0.5])
def test_sweeps_over_rows_that_take_longer_are_over_fewer(
    learner, outlier_alpha, rows_of_sweeps
):
    """Missing entries and outliers count as work, so that fits take as long."""
    X, _ = made_rows(n_rows=1200, n_components=10)
    options, rows = CodingOptions("sqrt_lasso", 0.25), []
    stopping = Stopping(10, 0.0, most_work=3 * len(X) * work_of_row(10, 10))
    some = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    for x, beta in ((X, None), (some, outlier_alpha)):
        rows_of_sweeps.clear()
        given = options._replace(outlier_alpha=beta)
        run(x, learner, 10, stopping, options=given)
        rows.append(sum(rows_of_sweeps))
    few, many = sorted(rows)
    assert rows == [many, few]
    assert few < many


@pytest.mark.parametrize("learner", ["ksvd", "aksvd"])
def test_incomplete_rows_are_coded_filled_in_where_sweeps_are_dear(
    learner, monkeypatch
):
    """Missing entries are then restored about as by sweeps over all patterns."""
    rng, filled, batches = np.random.default_rng(0), [], DictionaryTask.batches
    true = rng.standard_normal((400, 8)) @ rng.standard_normal((8, 40))
    lost = rng.random(true.shape) < 0.25
    X = np.where(lost, np.nan, true + 0.3 * rng.standard_normal(true.shape))
    X[rng.random(X.shape) < 0.05] += 10

    def followed(task, X):
        filled.append(task.filled)
        return batches(task, X)

    monkeypatch.setattr(DictionaryTask, "batches", followed)
    options, errors = CodingOptions("sqrt_lasso", 0.19, outlier_alpha=0.35), []
    for most_work in (1.5e8, np.inf):
        filled.clear()
        stopping = Stopping(20, 0.0, most_work=most_work)
        D, _ = run(X, learner, 20, stopping, options=options)
        dear = [of for of in filled if of is not None]
        assert len(dear) == (20 if most_work < np.inf else 0)
        assert all(np.isfinite(of).all() for of in dear)
        Z = code_rows(X, make_dictionary(D), options).Z
        errors.append(np.sum((Z @ D - true)[lost] ** 2) / np.sum(true[lost] ** 2))
    assert errors[0] < min(0.1, 1.1 * errors[1])


@pytest.mark.parametrize("n_components", [1, 16, 17, 50])
def test_a_sweep_in_blocks_is_a_sweep_over_atoms(n_components):
    rng = np.random.default_rng(n_components)
    Z = rng.standard_normal((70, n_components)) * (rng.random(n_components) < 0.9)
    X, ours = rng.standard_normal((70, 20)), rng.standard_normal((n_components, 20))
    ours /= np.linalg.norm(ours, axis=1, keepdims=True)
    A, B, atoms = Z.T @ Z, Z.T @ X, ours.copy()
    sweep_in_blocks(A, B, ours)
    online_sweep(A, B, atoms)
    assert_allclose(ours, atoms, atol=1e-12)


@pytest.mark.parametrize("missing", [0, 0.02])
@pytest.mark.parametrize("n_nonzero", [3, 20])
def test_threads_share_batches_and_change_no_bit(n_nonzero, missing, monkeypatch):
    rng = np.random.default_rng(8)
    X, true = made_rows(900, n_components=100)
    X[rng.random(X.shape) < missing] = np.nan
    monkeypatch.setattr(linalg, "BLOCK_ENTRIES", 90 * len(true))  # ten batches
    options = OPTIONS._replace(n_nonzero=n_nonzero)
    made = [DictionaryTask(X, true, options, None, n_jobs) for n_jobs in (1, 2, 3)]
    one, *others = (code_by_atom(task) for task in made)
    for other in others:
        for name in ("users", "starts", "values", "norms", "X"):
            assert_array_equal(getattr(other, name), getattr(one, name))
        assert (other.error, other.work) == (one.error, one.work)
    rows, Z = [(batch.X, batch.Z) for batch in made[0].batches(X)], one.codes.toarray()
    for ours, found in zip((one.X, Z), zip(*rows, strict=True), strict=True):
        assert_array_equal(ours, np.concatenate(found))
    few = np.count_nonzero(Z) <= coded_rows.FEW * Z.size
    assert few == (n_nonzero == 3)  # sums are of sparse products, and of dense ones
    assert_allclose(one.gram, Z.T @ Z, atol=1e-10)
    for found, wanted in zip(one.statistics, (Z.T @ Z, Z.T @ one.X), strict=False):
        assert_allclose(found, wanted, atol=1e-10)
