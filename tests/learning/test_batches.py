"""Batches hold every row once, groups in runs, and fresh noise of a given size."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.learning.batches import (
    RUN_ROWS,
    WEIGHT_POWER,
    Corruption,
    Material,
    batches,
    split_runs,
)
from sklearn_sqrtlasso.learning.start import first_weights, mean_square, span_of
from sklearn_sqrtlasso.solvers.rows import one_run, runs_of_groups, single_rows

N_ROWS = 500
LABELS = np.arange(N_ROWS) % 3
GROUPS = {
    "alone": single_rows(N_ROWS),
    "all": one_run(N_ROWS),
    "sorted": runs_of_groups(np.sort(LABELS)),
    "scattered": runs_of_groups(LABELS),
    "unequal": runs_of_groups(np.repeat([0, 1, 2], [3, 400, 97])),
}

each_groups = pytest.mark.parametrize("runs", GROUPS.values(), ids=GROUPS)


def rng(seed=0):
    return np.random.default_rng(seed)


def numbered(runs, corruption=None, unit=1.0):
    """Return rows whose entries tell their number."""
    X = np.arange(N_ROWS, dtype=float)[:, None] * np.ones(5)
    return Material(X, None, False, runs, unit, corruption)


def labels_of(runs):
    places = np.arange(N_ROWS) if runs.order is None else runs.order
    labels = np.empty(N_ROWS, int)
    labels[places] = np.repeat(np.arange(len(runs.starts) - 1), np.diff(runs.starts))
    return labels


@each_groups
@pytest.mark.parametrize("batch_size", [1, 50, 128, 10_000])
def test_each_row_comes_once(runs, batch_size):
    found = list(batches(numbered(runs), batch_size, rng()))
    assert max(len(batch.X) for batch in found) <= batch_size
    rows = np.concatenate([batch.X[:, 0] for batch in found])
    assert_array_equal(np.sort(rows), np.arange(N_ROWS))
    assert np.any(rows != np.arange(N_ROWS))


@each_groups
def test_a_run_has_rows_of_one_group_only(runs):
    labels = labels_of(runs)
    for batch in batches(numbered(runs), 128, rng()):
        assert batch.runs[0] == 0
        assert batch.runs[-1] == len(batch.X)
        for lo, hi in zip(batch.runs[:-1], batch.runs[1:], strict=True):
            assert 0 < hi - lo <= RUN_ROWS
            assert len(set(labels[batch.X[lo:hi, 0].astype(int)])) == 1


@each_groups
def test_batches_are_nearly_full(runs):
    found = list(batches(numbered(runs), 128, rng()))
    assert len(found) <= -(-N_ROWS // 64)


def test_epochs_differ_and_seeds_repeat():
    def rows(generator):
        found = batches(numbered(GROUPS["all"]), 128, generator)
        return np.concatenate([batch.X[:, 0] for batch in found])

    generator = rng()
    first, second = rows(generator), rows(generator)
    assert np.any(first != second)
    assert_array_equal(rows(rng()), first)


def test_noise_has_the_size_that_is_asked_for():
    X = np.zeros((20_000, 8))
    material = Material(
        X, None, False, single_rows(20_000), 1.0, Corruption(0.5, 8.0, None)
    )
    batch = next(batches(material, 20_000, rng()))
    size = np.sqrt(np.mean(batch.X**2, axis=1))
    # log-uniform: log2 spreads over 4 octaves evenly; one row tells its size to 25 %
    assert_allclose(np.mean(np.log2(size)), 1.0, atol=0.15)
    assert_allclose(np.std(np.log2(size)), 4 / np.sqrt(12), rtol=0.1)
    assert_array_equal(batch.target, X)


def test_weights_fall_with_the_noise():
    material = numbered(GROUPS["all"], Corruption(1.0, 100.0, None))._replace(
        X=np.zeros((N_ROWS, 5000))
    )
    batch = next(batches(material, 512, rng()))
    size = np.sqrt(np.mean(batch.X**2, axis=1))
    expected = (size / 10) ** -WEIGHT_POWER
    assert_allclose(batch.weight, expected, rtol=0.05)  # 5000 entries tell size to 4 %


def test_rows_of_a_run_share_their_noise():
    material = numbered(GROUPS["all"], Corruption(1.0, 100.0, None))
    for batch in batches(material, 256, rng()):
        for lo, hi in zip(batch.runs[:-1], batch.runs[1:], strict=True):
            assert len(set(batch.weight[lo:hi])) == 1
        assert len(set(batch.weight)) == len(batch.runs) - 1


def test_noise_stays_in_the_span_of_the_rows():
    X = rng().standard_normal((300, 6))
    X -= X.mean(axis=1, keepdims=True)
    span = span_of(X)
    assert_allclose(span, np.eye(6) - 1 / 6, atol=1e-10)
    material = Material(X, None, False, single_rows(300), 1.0, Corruption(1, 1, span))
    batch = next(batches(material, 300, rng()))
    assert_allclose(batch.X.sum(axis=1), 0, atol=1e-10)
    assert np.std(batch.X - batch.target) > 0.5


def test_rows_that_fill_the_space_have_no_span():
    assert span_of(rng().standard_normal((300, 6))) is None
    assert span_of(np.zeros((300, 6))) is None


def test_first_weights_are_unit_rows_in_the_span():
    span = np.eye(6) - 1 / 6
    W = first_weights((9, 6), span, rng(), "f4")
    assert W.dtype == np.float32
    assert_allclose(np.linalg.norm(W, axis=1), 1, rtol=1e-6)
    assert_allclose(W.sum(axis=1), 0, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1.0, 1e150, 1e300])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_the_unit_is_a_power_of_two_near_the_root_mean_square(scale, container):
    X = rng().standard_normal((10_000, 7))
    size, power = mean_square(container(scale * X))
    assert np.frexp(power)[0] == 0.5
    assert 0.5 <= size < 1
    expected = np.sqrt(np.mean(X**2))
    assert_allclose(size * (power / scale), expected, rtol=1e-12)


def test_rows_come_divided_by_the_unit_and_sparse_ones_dense():
    X = sp.random_array((N_ROWS, 5), density=0.3, rng=rng(), format="csr")
    material = Material(X, None, False, single_rows(N_ROWS), 4.0, None)
    found = np.vstack([batch.X for batch in batches(material, 100, rng())])
    assert_allclose(np.sort(found.sum(axis=1)), np.sort(X.sum(axis=1)) / 4, rtol=1e-12)


@each_groups
def test_a_split_keeps_groups_apart(runs):
    labels = labels_of(runs)
    kept, held_out = split_runs(runs, 100, rng())
    assert kept.n_rows == 400
    assert held_out.n_rows == 100
    both = np.concatenate([kept.order, held_out.order])
    assert_array_equal(np.sort(both), np.arange(N_ROWS))
    for part in (kept, held_out):
        for lo, hi in zip(part.starts[:-1], part.starts[1:], strict=True):
            assert len(set(labels[part.order[lo:hi]])) == 1
