"""Designs are centred, weighted and scaled columns that nobody ever made."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.regression import design as module
from sklearn_sqrtlasso.regression.design import AllColumns
from sklearn_sqrtlasso.regression.designs import design_of

EPS, N, P = np.finfo(np.float64).eps, 12, 6
ROUNDING = 8 * N * EPS  # sums of N products; entries and columns are of order 1
KINDS = {
    "dense": np.asarray,
    "by columns": np.asfortranarray,
    "sparse": sp.csc_array,
    "single": lambda X: X.astype(np.float32),
    "single, by columns": lambda X: np.asfortranarray(X, dtype=np.float32),
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
    return design, np.sqrt(v)[:, None] * np.ldexp(scale * columns, -design.exponents)


def vectors():
    return np.random.default_rng(1).standard_normal((3, N))


def dense(block):
    """Return what a block of columns is made of, as arrays."""
    if isinstance(block, AllColumns):
        return [np.concatenate(list(block))]
    return [dense_of(part) for part in (block if isinstance(block, tuple) else [block])]


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
    a, b = design.columns(left), design.columns(right)
    gram, whole = columns.T @ columns, design.join([a, b])
    close = {"rtol": 0, "atol": ROUNDING}
    assert_allclose(design.gram(a, b), gram[np.ix_(left, right)], **close)
    both = np.ix_(left + right, left + right)
    assert_allclose(design.gram(whole, whole), gram[both], **close)
    w = vectors()[0, :5]
    assert_allclose(design.apply(whole, w), columns[:, left + right] @ w, **close)


@each_kind
@each_intercept
def test_all_columns_at_once_are_the_same_as_some_of_them(kind, intercept):
    design, columns = make(kind, intercept)
    block, w = design.columns(np.arange(P)), np.arange(1.0, P + 1)
    gram = design.gram(block, block)
    assert_allclose(gram, columns.T @ columns, rtol=0, atol=ROUNDING)
    assert_allclose(design.apply(block, w), columns @ w, rtol=0, atol=P * ROUNDING)


@each_kind
@each_intercept
def test_to_ask_for_columns_changes_nothing(kind, intercept):
    design, _ = make(kind, intercept)
    X, c = dense_of(design.X).copy(), design.correlate(vectors()[0])
    for features in ([0, 3, 5], np.arange(P)):
        first, again = (design.columns(features) for _ in "ab")
        for one, other in zip(dense(first), dense(again), strict=True):
            assert_array_equal(one, other)
    assert_array_equal(dense_of(design.X), X)
    assert_array_equal(design.correlate(vectors()[0]), c)


def dense_of(X):
    return X.toarray() if sp.issparse(X) else X


@each_kind
@each_intercept
def test_what_is_made_of_columns_does_not_reach_the_design(kind, intercept):
    design, columns = make(kind, intercept)
    block = design.columns([0, 1])
    matrix = block[0].data if isinstance(block, tuple) else block
    matrix[:] = np.nan
    r = vectors()[0]
    assert_allclose(design.correlate(r), columns.T @ r, rtol=0, atol=ROUNDING)


@each_kind
@each_intercept
@pytest.mark.parametrize("value", [0.0, 7.0, 0.1, 1e300])
def test_constant_columns_are_found(kind, intercept, value):
    value = min(value, 1e30) if "single" in kind else value
    X = np.random.default_rng(0).integers(0, 3, (N, 4)).astype(float)
    X[:, [1, 3]] = value
    design = design_of(KINDS[kind](X), np.full(N, 1 / N), intercept)
    block, constant = design.columns([0, 1, 2, 3]), design.norms == 0
    assert_array_equal(constant, [False, intercept or value == 0] * 2)
    gram = design.gram(block, block)
    assert not gram[:, constant].any()
    assert not design.apply(block, constant.astype(float)).any()
    assert not design.correlate(vectors()[0])[constant].any()
    assert (np.diag(gram)[~constant] > 0).all()


@each_kind
@each_intercept
def test_the_largest_norm_is_that_of_a_column(kind, intercept):
    design, columns = make(kind, intercept, scale=4.0)
    largest = np.ldexp(np.linalg.norm(columns, axis=0), design.exponents).max()
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
def test_a_sketch_adds_signed_rows(kind, intercept):
    design, columns = make(kind, intercept)
    rng, features = np.random.default_rng(0), np.arange(1, P)
    places, signs = rng.integers(0, 3, N), rng.choice(np.array([-1.0, 1.0]), N)
    adder = np.zeros((3, N))
    adder[places, np.arange(N)] = signs
    sketch, norms = design.sketch(features, places, signs, 3)
    assert_allclose(sketch, adder @ columns[:, features], rtol=0, atol=1e-5)
    true = np.linalg.norm(columns[:, features], axis=0)
    assert_allclose(norms, true, rtol=0, atol=ROUNDING)
    assert_allclose(design.dense(features), columns[:, features], atol=ROUNDING)


@each_intercept
@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("scale", [2.0**-1020, 2.0**-900, 2.0**900, 2.0**1020])
def test_columns_of_any_size_are_of_order_one(kind, intercept, scale):
    design, columns = make(kind, intercept, scale)
    assert 0.5 <= np.abs(columns / design.sqrt_weights[:, None]).max() <= 8
    block = design.columns(range(P))
    gram = design.gram(block, block)
    assert_allclose(gram, columns.T @ columns, rtol=0, atol=64 * ROUNDING)
    for r in vectors():
        assert_allclose(design.correlate(r), columns.T @ r, rtol=0, atol=8 * ROUNDING)


exponents = st.lists(st.integers(-1020, 1010), min_size=P, max_size=P)


@given(exponents, st.sampled_from(["dense", "by columns", "sparse"]), st.booleans())
def test_columns_of_different_sizes_are_all_of_order_one(sizes, kind, intercept):
    X = np.random.default_rng(0).integers(-5, 6, (N, P)) / 2
    X[0] += 1.0
    v = np.full(N, 1 / N)
    one, many = (
        design_of(KINDS[kind](A), v, intercept) for A in (X, X * 2.0 ** np.array(sizes))
    )
    norms = np.ldexp(one.norms, one.exponents)
    assert_allclose(np.log2(many.norms) + many.exponents, np.log2(norms) + sizes)
    assert (many.norms > 2.0**-7).all()
    assert (many.norms < 2.0**7).all()
    r, block = vectors()[0], many.columns(np.arange(P))
    units = np.ldexp(1.0, one.exponents - many.exponents + sizes)
    assert_allclose(many.correlate(r), units * one.correlate(r), atol=64 * ROUNDING)
    first = one.columns(np.arange(P))
    gram = np.outer(units, units) * one.gram(first, first)
    assert_allclose(many.gram(block, block), gram, atol=2.0**12 * ROUNDING)
    w = np.arange(1.0, P + 1)
    assert_allclose(
        many.apply(block, w / units), one.apply(first, w), atol=P * 64 * ROUNDING
    )


@given(st.sampled_from(sorted(KINDS)), st.integers(0, 40), st.integers(1, 6))
def test_offsets_do_not_matter(kind, offset, seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(-5, 6, (N, P)) / 2
    X[0] += 1.0
    if "single" in kind:  # offsets as large as its digits allow
        offset = min(offset, 20)
    v = np.full(N, 1 / N)
    moved = X.copy()
    moved[:, ::2] += 2.0**offset
    one, many = (design_of(KINDS[kind](A), v, True) for A in (X, moved))
    assert_allclose(many.norms, one.norms, rtol=ROUNDING)
    assert_array_equal(many.exponents, one.exponents)
    assert_allclose(
        np.ldexp(many.means - one.means, one.exponents),
        np.where(np.arange(P) % 2, 0, 2.0**offset),
        rtol=ROUNDING,
        atol=64 * ROUNDING,
    )
    r = vectors()[0]
    r -= r.mean()
    # of sums of entries up to 256 times as large as what varies
    assert_allclose(many.correlate(r), one.correlate(r), atol=256 * ROUNDING)
    a, b = one.columns([0, 1, 2]), many.columns([0, 1, 2])
    assert_allclose(many.gram(b, b), one.gram(a, a), atol=256 * ROUNDING)


@pytest.mark.parametrize("form", [sp.csc_array, sp.csc_matrix])
def test_entries_given_twice_are_summed_and_left_as_they_are(form):
    data, rows, start = np.arange(1.0, 7), np.array([2, 0, 0, 1, 1, 0]), [0, 3, 6]
    X = form((data, rows, np.array(start)), shape=(3, 2))
    before = X.data.copy(), X.indices.copy(), X.indptr.copy()
    one, two = (design_of(A, np.full(3, 1 / 3), True) for A in (X, X.toarray()))
    assert_allclose(one.norms, two.norms)
    assert_allclose(one.correlate(vectors()[0, :3]), two.correlate(vectors()[0, :3]))
    for now, then in zip((X.data, X.indices, X.indptr), before, strict=True):
        assert_array_equal(now, then)


@each_kind
def test_columns_that_are_not_finite_are_noticed(kind):
    X = np.random.default_rng(0).standard_normal((N, P))
    for bad in (np.nan, np.inf):
        X[3, 2] = bad
        with pytest.raises(FloatingPointError, match="not finite"):
            design_of(KINDS[kind](X), np.full(N, 1 / N), True)


@given(st.integers(1, 90), st.booleans(), st.sampled_from(["", ", by columns"]))
def test_blocks_in_single_precision_add_up(n_block, intercept, order):
    r = vectors()[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_ENTRIES", n_block)
        design, columns = make("single" + order, intercept)
        assert_allclose(design.correlate(r), columns.T @ r, rtol=0, atol=ROUNDING)
        largest = np.ldexp(np.linalg.norm(columns, axis=0), design.exponents).max()
        assert design.largest_norm() == pytest.approx(largest, rel=ROUNDING)


@each_intercept
def test_the_rank_counts_rows_that_weigh(intercept):
    v = np.array([0.5, 0.0, 0.25, 0.25])
    assert design_of(np.eye(4), v, intercept).rank == 3 - intercept
    assert design_of(np.eye(4)[:1], np.ones(1), intercept).rank == 1


@pytest.mark.parametrize("shape", [(70_000, 2), (3, 1), (3, 70_000), (300, 700)])
def test_slices_of_sparse_columns_cover_all_of_them_and_none_is_empty(shape):
    X = sp.csc_array(np.ones(shape))
    design = design_of(X, np.full(shape[0], 1 / shape[0]), False)
    parts = design.slices()
    assert [part.start for part in parts[1:]] == [part.stop for part in parts[:-1]]
    assert (parts[0].start, parts[-1].stop) == (0, shape[1])
    assert all(part.start < part.stop for part in parts)
    assert_allclose(np.ldexp(design.norms, design.exponents), 1.0, rtol=1e-12)
    assert_allclose(design.largest_in_units_of_x(design.norms), 1.0, rtol=1e-12)
