"""Designs are centred, weighted and scaled columns that nobody ever made."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.regression import design as module
from sklearn_sqrtlasso.regression.design import design_of

EPS, N, P = np.finfo(np.float64).eps, 12, 6
ROUNDING = 8 * N * EPS  # sums of N products; entries and columns are of order 1
KINDS = {
    "dense": np.asarray,
    "by columns": np.asfortranarray,
    "sparse": sp.csc_array,
    "single": lambda X: X.astype(np.float32),
    "single, sparse": lambda X: sp.csc_array(X.astype(np.float32)),
}

each_kind = pytest.mark.parametrize("kind", KINDS)
each_intercept = pytest.mark.parametrize("intercept", [True, False])


def make(kind="dense", intercept=True, scale=1.0):
    """Return a design of halves, exact in single precision, and its dense columns."""
    rng = np.random.default_rng(0)
    X = rng.integers(-5, 6, (N, P)) / 2 * (rng.random((N, P)) < 0.6)
    X[:, 0] += 1.0
    v = rng.random(N)
    v /= v.sum()
    design = design_of(KINDS[kind](scale * X), v, intercept)
    columns = X - (v @ X if intercept else 0)
    return design, np.sqrt(v)[:, None] * columns * (scale / design.unit)


def vectors():
    return np.random.default_rng(1).standard_normal((3, N))


def dense(block):
    """Return a block of columns as an array."""
    matrix, means = block if isinstance(block, tuple) else (block, None)
    return matrix if means is None else matrix.toarray(), means


@each_kind
@each_intercept
def test_correlations_are_products_of_the_columns(kind, intercept):
    design, columns = make(kind, intercept)
    for r in vectors():
        assert_allclose(design.correlate(r), columns.T @ r, rtol=0, atol=ROUNDING)


@each_kind
@each_intercept
def test_sums_and_products_of_columns_are_those_of_the_formula(kind, intercept):
    design, columns = make(kind, intercept)
    left, right = [4, 0, 2], [1, 5]
    (a, _), (b, _) = design.columns(left), design.columns(right)
    gram, whole = columns.T @ columns, design.join([a, b])
    close = {"rtol": 0, "atol": ROUNDING}
    assert_allclose(design.gram(a, b), gram[np.ix_(left, right)], **close)
    both = np.ix_(left + right, left + right)
    assert_allclose(design.gram(whole, whole), gram[both], **close)
    w = vectors()[0, :5]
    assert_allclose(design.apply(whole, w), columns[:, left + right] @ w, **close)


@each_kind
@each_intercept
def test_to_ask_for_columns_changes_nothing(kind, intercept):
    design, _ = make(kind, intercept)
    design.exclude([3])
    before = [design.means.copy(), design.is_excluded.copy(), design.unit]
    X, c = dense_of(design.X).copy(), design.correlate(vectors()[0])
    (first, constant), (again, same) = (design.columns([0, 3, 5]) for _ in "ab")
    for one, other in zip(dense(first), dense(again), strict=True):
        assert_array_equal(one, other)
    assert_array_equal(constant, same)
    for one, other in zip(
        before, [design.means, design.is_excluded, design.unit], strict=True
    ):
        assert_array_equal(one, other)
    assert_array_equal(dense_of(design.X), X)
    assert_array_equal(design.correlate(vectors()[0]), c)


def dense_of(X):
    return X.toarray() if sp.issparse(X) else X


@each_kind
@each_intercept
def test_what_is_made_of_columns_does_not_reach_the_design(kind, intercept):
    design, columns = make(kind, intercept)
    block, _ = design.columns([0, 1])
    matrix = block[0].data if isinstance(block, tuple) else block
    matrix[:] = np.nan
    r = vectors()[0]
    assert_allclose(design.correlate(r), columns.T @ r, rtol=0, atol=ROUNDING)


@each_kind
@each_intercept
@pytest.mark.parametrize("value", [0.0, 7.0, 0.1])
def test_constant_columns_are_found(kind, intercept, value):
    X = np.random.default_rng(0).integers(0, 3, (N, 4)).astype(float)
    X[:, [1, 3]] = value
    design = design_of(KINDS[kind](X), np.full(N, 1 / N), intercept)
    block, constant = design.columns([0, 1, 2, 3])
    assert_array_equal(constant, [False, intercept or is_empty(kind, value)] * 2)
    gram = design.gram(block, block)
    assert not gram[:, constant].any()
    assert not design.apply(block, constant.astype(float)).any()
    assert (np.diag(gram)[~constant] > 0).all() or value == 0


def is_empty(kind, value):
    """Tell whether a sparse design calls a column constant without an intercept."""
    return "sparse" in kind and value == 0


@each_kind
def test_excluded_columns_correlate_with_nothing(kind):
    design, columns = make(kind)
    design.exclude([1, 4])
    c, r = columns.T @ vectors()[0], vectors()[0]
    c[[1, 4]] = 0
    assert_allclose(design.correlate(r), c, rtol=0, atol=ROUNDING)


@each_kind
@each_intercept
def test_the_largest_norm_is_that_of_a_column(kind, intercept):
    design, columns = make(kind, intercept, scale=4.0)
    largest = np.linalg.norm(columns, axis=0).max() * design.unit
    assert design.largest_norm() == pytest.approx(largest, rel=ROUNDING)


@each_intercept
def test_the_target_is_centred_and_weighted(intercept):
    design, y = make(intercept=intercept)[0], vectors()[0]
    r, mean = design.centered(y)
    average = np.average(y, weights=design.sqrt_weights**2) if intercept else 0
    assert mean == pytest.approx(average, rel=ROUNDING)
    assert_allclose(r, design.sqrt_weights * (y - mean), rtol=0, atol=ROUNDING)
    assert abs(design.sqrt_weights @ r) <= ROUNDING or not intercept


@each_kind
@each_intercept
@pytest.mark.parametrize("positive", [True, False])
def test_peaks_are_the_largest_correlations(kind, intercept, positive, monkeypatch):
    monkeypatch.setattr(module, "FEATURES", 4)
    design, _ = make(kind, intercept)
    C = np.array([design.correlate(r) for r in vectors()])
    top = np.maximum(C if positive else np.abs(C), 0).max(axis=1)
    found = design.peaks(vectors().T, positive)
    # sums of N products in single precision
    assert_allclose(found, top, rtol=0, atol=8 * N * np.finfo(np.float32).eps)


@each_intercept
@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("scale", [2.0**-900, 2.0**900])
def test_columns_of_any_size_are_of_order_one(kind, intercept, scale):
    design, columns = make(kind, intercept, scale)
    assert 0.5 <= np.abs(columns / design.sqrt_weights[:, None]).max() <= 3
    block, _ = design.columns(range(P))
    gram = design.gram(block, block)
    assert_allclose(gram, columns.T @ columns, rtol=0, atol=ROUNDING)


@given(st.integers(1, 30), st.booleans())
def test_blocks_of_single_precision_rows_add_up(n_block, intercept):
    (design, columns), r = make("single", intercept), vectors()[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_BYTES", n_block * P)
        assert_allclose(design.correlate(r), columns.T @ r, rtol=0, atol=ROUNDING)
        largest = np.linalg.norm(columns, axis=0).max() * design.unit
        assert design.largest_norm() == pytest.approx(largest, rel=ROUNDING)


@each_intercept
def test_the_rank_counts_rows_that_weigh(intercept):
    v = np.array([0.5, 0.0, 0.25, 0.25])
    assert design_of(np.eye(4), v, intercept).rank == 3 - intercept
    assert design_of(np.eye(4)[:1], np.ones(1), intercept).rank == 1
