"""Penalties per unit restore noisy rows about as well as the best that are searched."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_digits

from sklearn_sqrtlasso import SqrtLassoTransform
from sklearn_sqrtlasso.blockwise.groups import groups_of_labels, one_group, ungrouped
from sklearn_sqrtlasso.learning.restoring_penalties import (
    restoring_penalties,
    tell_better_penalties,
)
from sklearn_sqrtlasso.models.tight_frame import TightFrame, nearest_tight_frame
from tests import oracles, sized

compiled_only = pytest.mark.skipif(
    sized(False, True), reason="too long without a compiler"
)
POWERS = (0.25, 0.5, 0.75, 1.0)
N_ROWS, SPREAD = sized(60, 16), np.geomspace(4, 0.25, 8)
SHAPES = {"square": (8, 8), "over": (14, 8), "under": (4, 8)}
GROUPS = {
    "rows": ungrouped(N_ROWS),
    "together": one_group(N_ROWS),
    "scattered": groups_of_labels(np.arange(N_ROWS) % 7),
}

each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
each_grouping = pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)


def make_rows(seed=0):
    return np.random.default_rng(seed).laplace(size=(N_ROWS, 8)) * SPREAD


def make_frame(shape, positive=False, dtype="f8", mean=None):
    K, n = shape
    W = np.eye(K, n)
    if n < K:
        W = nearest_tight_frame(np.random.default_rng(1).standard_normal(shape))
    return TightFrame(W.astype(dtype), np.ones(K, dtype), positive, mean)


def penalties(X, frame, groups=GROUPS["rows"]):
    return restoring_penalties(X, frame, groups)


@each_shape
@each_grouping
def test_penalties_are_the_same_in_any_unit(shape, groups):
    X, frame = make_rows(), make_frame(shape)
    alpha = penalties(X, frame, groups)
    for exponent in sized((-900, -3, 900), (-900,)):
        assert_array_equal(penalties(2.0**exponent * X, frame, groups), alpha)
    for scale in sized((1e-150, 1e150), (1e150,)):
        assert_allclose(penalties(scale * X, frame, groups), alpha, rtol=1e-9)


@each_shape
@each_grouping
@pytest.mark.parametrize("positive", [False, True])
def test_penalties_fall_with_a_power_of_the_spread_of_units(shape, groups, positive):
    X, frame = make_rows(), make_frame(shape, positive)
    alpha = penalties(X, frame, groups)
    spread = np.sqrt(np.mean((X @ frame.components.T) ** 2, axis=0))
    assert np.all(alpha > 0)
    powers = [np.ptp(alpha * spread**power / alpha[0]) for power in POWERS]
    assert np.min(powers) < 1e-9


def test_units_that_hardly_spread_have_a_thousand_times_the_smallest_penalty():
    X = make_rows()
    X[:, 3], X[:, 5] = 0, 1e-9
    alpha = penalties(X, make_frame((8, 8)))
    assert_allclose(alpha[[3, 5]], 1000 * alpha.min(), rtol=1e-9)


def shrink_rows(U, alpha, outside, positive):
    """Bisect the residual scales of all rows at once, for their largest roots."""
    low, high = np.zeros(len(U)), np.sqrt(np.sum(U**2, axis=1) + outside**2)
    for _ in range(60):
        t = (low + high) / 2
        left = U - oracles.soft(U, alpha * t[:, None], positive)
        too_low = t < np.sqrt(np.sum(left**2, axis=1) + outside**2)
        low, high = np.where(too_low, t, low), np.where(too_low, high, t)
    return oracles.soft(U, alpha * high[:, None], positive)


def error_of(factor, power, X, frame, shrink, seed):
    """Return the weighted error of restored rows, by numpy alone."""
    W, rng = frame.components, np.random.default_rng(seed)
    spread = np.sqrt(np.mean((X @ W.T) ** 2, axis=0))
    alpha = factor * (spread.max() / spread) ** power
    noise = rng.standard_normal(X.shape)
    total = 0.0
    for level in (0, 0.25, 0.5, 1, 2):
        noisy = X + level * np.sqrt(np.mean(X**2)) * noise
        U, outside = noisy @ W.T, np.zeros(len(X))
        if len(W) < X.shape[1]:
            outside = np.linalg.norm(noisy - U @ W, axis=1)
        Z = shrink(U, alpha, outside, frame.positive)
        total += (1 if level else 4) * np.sum((Z @ W - X) ** 2)
        if level == 0:
            energy = np.sum(U**2, axis=0)
            shares = np.sum((Z - U) ** 2, axis=0) / energy
            total += 8 / X.shape[1] * np.mean(shares) * np.sum(energy)
    return total


SHRINK = {"rows": shrink_rows, "together": oracles.shrink}


@compiled_only
@each_shape
@pytest.mark.parametrize("grouping", ["rows", "together"])
@pytest.mark.parametrize("positive", [False, True])
def test_factor_and_power_are_near_the_best_of_a_search(shape, grouping, positive):
    X, frame = make_rows(), make_frame(shape, positive)
    X = np.abs(X) if positive else X
    alpha = penalties(X, frame, GROUPS[grouping])
    spread = np.sqrt(np.mean((X @ frame.components.T) ** 2, axis=0))
    power = np.polyfit(np.log(spread), -np.log(alpha), 1)[0]
    shrink = SHRINK[grouping]

    def error(factor, power):
        return sum(error_of(factor, power, X, frame, shrink, s) for s in (1, 2, 3))

    others = [error(f, p) for f in np.geomspace(3e-2, 1, 9) for p in (0.25, 1)]
    assert error(alpha.min(), power) <= 1.01 * min(others)


@pytest.mark.parametrize("rows", [np.zeros((5, 8)), np.full((5, 8), 3.0)])
def test_rows_at_the_mean_give_every_unit_the_same_penalty(rows):
    frame = make_frame((8, 8), mean=rows[0])
    alpha = penalties(rows, frame, ungrouped(5))
    assert_allclose(alpha, np.full(8, 1.5 / np.sqrt(8)))
    assert penalties(np.zeros((2, 1)), make_frame((1, 1)), ungrouped(2)) == 1


@each_shape
def test_one_row_has_finite_positive_penalties(shape):
    alpha = penalties(make_rows()[:1], make_frame(shape), ungrouped(1))
    assert alpha.shape == shape[:1]
    assert np.all((alpha > 0) & (alpha < np.inf))


def test_the_mean_of_the_frame_is_subtracted():
    X, mean = make_rows(), 100 + np.arange(8.0)
    ours = penalties(X + mean, make_frame((8, 8), mean=mean))
    assert_allclose(ours, penalties(X, make_frame((8, 8))), rtol=1e-9)


@each_shape
def test_sparse_rows_and_single_precision_give_the_same_penalties(shape):
    X = make_rows()
    X[np.abs(X) < 0.5] = 0
    alpha = penalties(X, make_frame(shape))
    assert_allclose(penalties(sp.csr_array(X), make_frame(shape)), alpha, rtol=1e-9)
    low = penalties(X.astype("f4"), make_frame(shape, dtype="f4"))
    assert low.dtype == np.float32
    assert_allclose(low, alpha, rtol=1e-4)


@compiled_only
def test_few_of_many_rows_are_enough():
    many = np.random.default_rng(0).laplace(size=(20_000, 8)) * SPREAD
    ours = penalties(many, make_frame((8, 8)), ungrouped(20_000))
    all_rows = np.sqrt(np.mean(many**2, axis=0))
    ratios = [(all_rows[0] / all_rows) ** power for power in POWERS]
    # spreads of 1000 rows of kurtosis 6: 3.5 % each
    assert min(np.abs(ours / ours[0] / ratio - 1).max() for ratio in ratios) < 0.2


def explained(coder, clean, noisy):
    left = np.sum((coder.reconstruct(noisy) - clean) ** 2)
    return 1 - left / np.sum((clean - clean.mean(axis=0)) ** 2)


# Table, the least deviation that columns are divided by, and by how much "auto" is
# better without noise, and at noise of 1/2 and 1 deviation
TABLES = {
    "breast cancer": (load_breast_cancer, 0.0, [0.45, 0.45, 0.4]),
    "digits": (load_digits, 0.5, [0.45, 0.4, 0.3]),
}


@compiled_only
@pytest.mark.parametrize(("load", "least", "margins"), TABLES.values(), ids=TABLES)
def test_tables_are_restored_better_than_by_the_pivotal_penalty(load, least, margins):
    X = load().data[:600]
    X = (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), least)
    train, clean = X[::2], X[1::2]
    auto, pivotal = (
        SqrtLassoTransform(alpha=alpha, max_iter=3, tol=0.0).fit(train)
        for alpha in ("auto", "pivotal")
    )
    noise = np.random.default_rng(0).standard_normal(clean.shape)
    for level, margin in zip((0, 0.5, 1), margins, strict=True):
        noisy = clean + level * noise
        restored = explained(auto, clean, noisy)
        assert restored > explained(pivotal, clean, noisy) + margin


@compiled_only
def test_rows_tell_better_penalties_if_they_are_of_another_kind():
    X = load_breast_cancer().data
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    X, rng = X[np.random.default_rng(0).permutation(len(X))], np.random.default_rng(1)
    W = np.linalg.svd(X[:400], full_matrices=False)[2]
    frame = TightFrame(W, np.ones(len(W)), positive=False)
    frame = replace(frame, alpha=penalties(X[:400], frame, ungrouped(400)))
    for n_rows in (40, 169):
        rows = ungrouped(n_rows)
        alike, others = X[400 : 400 + n_rows], rng.standard_normal((n_rows, 30))
        assert not tell_better_penalties(alike, frame, rows, 400)
        assert tell_better_penalties(others, frame, rows, 400)
        assert tell_better_penalties(1e150 * sp.csr_array(others), frame, rows, 400)


def test_too_few_groups_and_rows_of_zeros_tell_no_penalties():
    frame, X = make_frame((8, 8)), make_rows()
    assert not tell_better_penalties(0 * X, frame, GROUPS["rows"], N_ROWS)
    assert not tell_better_penalties(X, frame, GROUPS["together"], N_ROWS)
    assert not tell_better_penalties(X[:3], frame, ungrouped(3), 3)


@each_grouping
def test_more_rows_than_those_of_a_fit_tell_better_penalties(groups):
    assert tell_better_penalties(make_rows(), make_frame((8, 8)), groups, N_ROWS - 1)
