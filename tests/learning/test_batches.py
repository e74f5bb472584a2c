"""Batches hold every row once, groups in groups, and fresh noise of a given size."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.blockwise.groups import groups_of_labels, one_group, ungrouped
from sklearn_sqrtlasso.blockwise.linalg import root_mean_square
from sklearn_sqrtlasso.learning.batches import (
    CHUNK_ROWS,
    WEIGHT_POWER,
    Corruption,
    TrainingData,
    batches,
    split_groups,
)
from sklearn_sqrtlasso.learning.initialization import first_weights, span_of

N_ROWS = 500
LABELS = np.arange(N_ROWS) % 3
GROUPS = {
    "alone": ungrouped(N_ROWS),
    "all": one_group(N_ROWS),
    "sorted": groups_of_labels(np.sort(LABELS)),
    "scattered": groups_of_labels(LABELS),
    "unequal": groups_of_labels(np.repeat([0, 1, 2], [3, 400, 97])),
}

each_groups = pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)


def rng(seed=0):
    return np.random.default_rng(seed)


def numbered(groups, corruption=None, unit=1.0):
    """Return rows whose entries tell their number."""
    X = np.arange(N_ROWS, dtype=float)[:, None] * np.ones(5)
    return TrainingData(X, None, False, groups, unit, corruption)


def labels_of(groups):
    places = np.arange(N_ROWS) if groups.order is None else groups.order
    labels = np.empty(N_ROWS, int)
    labels[places] = np.repeat(
        np.arange(len(groups.starts) - 1), np.diff(groups.starts)
    )
    return labels


@each_groups
@pytest.mark.parametrize("batch_size", [1, 50, 128, 10_000])
def test_each_row_comes_once(groups, batch_size):
    found = list(batches(numbered(groups), batch_size, rng()))
    assert max(len(batch.X) for batch in found) <= batch_size
    rows = np.concatenate([batch.X[:, 0] for batch in found])
    assert_array_equal(np.sort(rows), np.arange(N_ROWS))
    assert np.any(rows != np.arange(N_ROWS))


@each_groups
def test_a_group_has_rows_of_one_group_only(groups):
    labels = labels_of(groups)
    for batch in batches(numbered(groups), 128, rng()):
        assert batch.groups[0] == 0
        assert batch.groups[-1] == len(batch.X)
        for lo, hi in zip(batch.groups[:-1], batch.groups[1:], strict=True):
            assert 0 < hi - lo <= CHUNK_ROWS
            assert len(set(labels[batch.X[lo:hi, 0].astype(int)])) == 1


@each_groups
def test_batches_are_nearly_full(groups):
    found = list(batches(numbered(groups), 128, rng()))
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
    data = TrainingData(
        X, None, False, ungrouped(20_000), 1.0, Corruption(0.5, 8.0, None)
    )
    batch = next(batches(data, 20_000, rng()))
    size = np.sqrt(np.mean(batch.X**2, axis=1))
    # log-uniform: log2 spreads over 4 octaves evenly; one row tells its size to 25 %
    assert_allclose(np.mean(np.log2(size)), 1.0, atol=0.15)
    assert_allclose(np.std(np.log2(size)), 4 / np.sqrt(12), rtol=0.1)
    assert_array_equal(batch.target, X)


def test_weights_fall_with_the_noise():
    data = numbered(GROUPS["all"], Corruption(1.0, 100.0, None))._replace(
        X=np.zeros((N_ROWS, 5000))
    )
    batch = next(batches(data, 512, rng()))
    size = np.sqrt(np.mean(batch.X**2, axis=1))
    expected = (size / 10) ** -WEIGHT_POWER
    assert_allclose(batch.weight, expected, rtol=0.05)  # 5000 entries tell size to 4 %


def test_rows_of_a_group_share_their_noise():
    data = numbered(GROUPS["all"], Corruption(1.0, 100.0, None))
    for batch in batches(data, 256, rng()):
        for lo, hi in zip(batch.groups[:-1], batch.groups[1:], strict=True):
            assert len(set(batch.weight[lo:hi])) == 1
        assert len(set(batch.weight)) == len(batch.groups) - 1


def test_noise_stays_in_the_span_of_the_rows():
    X = rng().standard_normal((300, 6))
    X -= X.mean(axis=1, keepdims=True)
    span = span_of(X)
    assert_allclose(span, np.eye(6) - 1 / 6, atol=1e-10)
    data = TrainingData(X, None, False, ungrouped(300), 1.0, Corruption(1, 1, span))
    batch = next(batches(data, 300, rng()))
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
    size, power = root_mean_square(container(scale * X))
    assert np.frexp(power)[0] == 0.5
    assert 0.5 <= size < 1
    expected = np.sqrt(np.mean(X**2))
    assert_allclose(size * (power / scale), expected, rtol=1e-12)


@pytest.mark.parametrize("noise", [None, Corruption(1.0, 1.0, None, 3)])
def test_rows_come_divided_by_the_unit_and_sparse_ones_sparse(noise):
    X = sp.random_array((N_ROWS, 5), density=0.3, rng=rng(), format="csr")
    data = TrainingData(X, None, False, ungrouped(N_ROWS), 4.0, noise)
    found = list(batches(data, 100, rng()))
    assert all(sp.issparse(batch.X) for batch in found)
    sums = np.concatenate([batch.X.sum(axis=1) for batch in found])
    assert_allclose(np.sort(sums), np.sort(X.sum(axis=1)) / 4, rtol=1e-12)
    if noise is not None:
        drawn = np.vstack([batch.noise for batch in found])
        assert drawn.shape == (N_ROWS, 3)
        assert np.std(drawn) == pytest.approx(1, abs=0.1)


def test_sparse_rows_with_noise_on_all_entries_are_those_of_dense_rows():
    X = sp.random_array((N_ROWS, 5), density=0.3, rng=rng(), format="csr")
    noise, groups = Corruption(0.5, 2.0), ungrouped(N_ROWS)
    ours = batches(TrainingData(X, None, False, groups, 4.0, noise), 100, rng())
    X = X.toarray()
    dense = batches(TrainingData(X, None, False, groups, 4.0, noise), 100, rng())
    for one, other in zip(ours, dense, strict=True):
        assert_array_equal(one.X, other.X)
        assert_array_equal(one.target.toarray(), other.target)


@each_groups
def test_a_split_keeps_groups_apart(groups):
    labels = labels_of(groups)
    kept, held_out = split_groups(groups, 100, rng())
    assert kept.n_rows == 400
    assert held_out.n_rows == 100
    both = np.concatenate([kept.order, held_out.order])
    assert_array_equal(np.sort(both), np.arange(N_ROWS))
    for part in (kept, held_out):
        for lo, hi in zip(part.starts[:-1], part.starts[1:], strict=True):
            assert len(set(labels[part.order[lo:hi]])) == 1
