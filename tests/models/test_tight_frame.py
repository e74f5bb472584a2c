"""Codes of rows by a frame do not depend on how the work is cut and spread."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits

from sklearn_sqrtlasso.blockwise import blocks
from sklearn_sqrtlasso.blockwise.encode import encode, map_encoded
from sklearn_sqrtlasso.blockwise.groups import groups_of_labels, one_group, ungrouped
from sklearn_sqrtlasso.learning.tight_frame import dct_frame
from sklearn_sqrtlasso.models.tight_frame import (
    TightFrame,
    nearest_tight_frame,
    noise_scale,
)
from sklearn_sqrtlasso.sparse_coding.shrinkage_gap import shrinkage_gap
from tests import oracles, sized

N_ROWS = sized(350, 60)
SHAPES = {"square": (16, 16), "over": (40, 16), "under": (9, 16)}
GROUPS = {
    "rows": ungrouped(N_ROWS),
    "together": one_group(N_ROWS),
    "contiguous": groups_of_labels(np.arange(N_ROWS) // 25),
    "scattered": groups_of_labels(np.arange(N_ROWS) % 7),
}
# Products of blocks of other shapes are summed in another order: some roundings.
ROUNDING = {"rtol": 1e-12, "atol": 1e-12}

each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
each_grouping = pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)


@pytest.fixture
def small_blocks(monkeypatch):
    """Make blocks of five rows, so that most groups are longer than a block."""
    monkeypatch.setattr(blocks, "CODE_BYTES", 1)
    monkeypatch.setattr(blocks, "MIN_ROWS", 5)


def make_frame(shape, alpha=0.45, positive=False, dtype="f8"):
    W = nearest_tight_frame(np.random.default_rng(0).standard_normal(shape)).astype(
        dtype
    )
    return TightFrame(W, np.full(shape[0], alpha, dtype), positive)


def make_rows(dtype="f8"):
    rng = np.random.default_rng(1)
    signal = rng.standard_normal((N_ROWS, 16)) * (rng.random((N_ROWS, 16)) < 0.2)
    return (3 * signal + rng.standard_normal((N_ROWS, 16))).astype(dtype)


def codes(X, frame, groups, n_jobs=None):
    """Return the codes and the residual scales."""
    Z, _ = encode(X, frame, groups, n_jobs=n_jobs)
    scale = np.empty(X.shape[0], Z.dtype)

    def note(block):
        assert_array_equal(block.Z, Z[block.rows])
        scale[block.rows] = block.scale

    map_encoded(note, X, frame, groups, n_jobs=n_jobs)
    return Z, scale


@each_shape
@each_grouping
def test_threads_do_not_change_a_bit(shape, groups, small_blocks):
    for frame in (make_frame(shape), make_frame(shape, positive=True)):
        Z, level = codes(make_rows(), frame, groups, n_jobs=1)
        again = codes(make_rows(), frame, groups, n_jobs=2)
        assert_array_equal(again[0], Z)
        assert_array_equal(again[1], level)


@each_shape
@each_grouping
@pytest.mark.parametrize("n_block_rows", [1, 3, 64])
def test_blocks_do_not_change_codes(shape, groups, n_block_rows, monkeypatch):
    Z, level = codes(make_rows(), make_frame(shape), groups)
    monkeypatch.setattr(blocks, "CODE_BYTES", 1)
    monkeypatch.setattr(blocks, "MIN_ROWS", n_block_rows)
    again = codes(make_rows(), make_frame(shape), groups)
    assert_allclose(again[0], Z, **ROUNDING)
    assert_allclose(again[1], level, **ROUNDING)


@each_shape
@each_grouping
def test_codes_are_optimal(shape, groups, small_blocks):
    X, frame = make_rows(), make_frame(shape)
    Z, _ = codes(X, frame, groups)
    gap = shrinkage_gap(
        *frame.project(X)[:1], Z, frame.alpha, frame.project(X)[1], groups=groups
    )
    assert gap.max() <= 1e-9


@each_shape
@each_grouping
def test_codes_are_those_of_the_oracle(shape, groups):
    X, frame = make_rows(), make_frame(shape, positive=True)
    Z, _ = codes(X, frame, groups)
    W = frame.components
    order = np.arange(N_ROWS) if groups.order is None else groups.order
    for lo, hi in list(pairwise(groups.starts))[:7]:
        run = X[order[lo:hi]]
        U, outside = run @ W.T, np.linalg.norm(run - run @ W.T @ W, axis=1)
        best = oracles.shrink(U, frame.alpha, outside, True)
        assert_allclose(Z[order[lo:hi]], best, **ROUNDING)


@each_shape
@each_grouping
def test_rows_of_a_group_share_their_level(shape, groups, small_blocks):
    X, frame = make_rows(), make_frame(shape)
    Z, level = codes(X, frame, groups)
    U, outside = frame.project(X)
    order = np.arange(N_ROWS) if groups.order is None else groups.order
    for lo, hi in pairwise(groups.starts):
        run = order[lo:hi]
        left = oracles.residual_scale(Z[run], U[run], outside[run])
        assert_allclose(level[run], left, **ROUNDING)


@each_shape
def test_permuted_rows_and_groups_have_permuted_codes(shape, small_blocks):
    X, frame, groups = make_rows(), make_frame(shape), np.arange(N_ROWS) % 7
    order = np.random.default_rng(2).permutation(N_ROWS)
    Z, level = codes(X, frame, groups_of_labels(groups))
    moved = codes(X[order], frame, groups_of_labels(groups[order]))
    assert_allclose(moved[0], Z[order], **ROUNDING)
    assert_allclose(moved[1], level[order], **ROUNDING)


@each_shape
@each_grouping
@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix])
def test_sparse_rows_have_the_codes_of_dense_rows(
    shape, groups, container, small_blocks
):
    X, frame = make_rows(), make_frame(shape)
    X[np.abs(X) < 1] = 0
    Z, level = codes(X, frame, groups)
    sparse = codes(container(X), frame, groups)
    assert_allclose(sparse[0], Z, **ROUNDING)
    assert_allclose(sparse[1], level, **ROUNDING)


@each_shape
@each_grouping
@pytest.mark.parametrize("exponent", [-400, -40, 40, 400])
def test_a_power_of_two_scales_codes_exactly(shape, groups, exponent, small_blocks):
    dtype = "f8" if abs(exponent) > 40 else "f4"
    X, frame = make_rows(dtype), make_frame(shape, dtype=dtype)
    c = X.dtype.type(2.0**exponent)
    Z, level = codes(X, frame, groups)
    by_c = codes(c * X, frame, groups)
    assert_array_equal(by_c[0], c * Z)
    assert_array_equal(by_c[1], c * level)


@each_grouping
@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_huge_and_tiny_rows_are_coded_like_others(groups, scale, small_blocks):
    X, frame = make_rows(), make_frame(SHAPES["under"])
    Z, _ = codes(X, frame, groups)
    assert_allclose(codes(scale * X, frame, groups)[0] / scale, Z, **ROUNDING)


@each_grouping
def test_single_precision_follows_double(groups, small_blocks):
    shape = SHAPES["under"]
    Z, level = codes(make_rows(), make_frame(shape), groups)
    low = codes(make_rows("f4"), make_frame(shape, dtype="f4"), groups)
    assert low[0].dtype == low[1].dtype == np.float32
    # products of 16 terms of size 5, some roundings of 6e-8 each
    assert_allclose(low[0], Z, rtol=0, atol=1e-5)
    assert_allclose(low[1], level, rtol=1e-5)


def test_codes_of_digits_are_optimal():
    X = load_digits().data[: sized(1797, 200)]
    W = nearest_tight_frame(dct_frame(X, 100, None))
    frame, groups = (
        TightFrame(W, np.full(100, 0.2), False),
        groups_of_labels(np.arange(len(X)) % 9),
    )
    Z, _ = codes(X, frame, groups)
    assert shrinkage_gap(X @ W.T, Z, 0.2, groups=groups).max() <= 1e-9


@each_shape
def test_projection_splits_the_energy_of_a_row(shape):
    X = make_rows()
    U, outside = make_frame(shape).project(X)
    energy = np.sum(U**2, axis=1) + outside**2
    assert_allclose(energy, np.sum(X**2, axis=1), rtol=1e-12)
    assert shape[0] < 16 or not outside.any()


@pytest.mark.parametrize("scale", [5e-324, 1e-200, 1e200, 1e306])
def test_energy_out_of_reach_neither_overflows_nor_underflows(scale):
    X = np.rint(9 * make_rows()[:20]) * scale
    W = np.eye(16)[:9]
    outside = TightFrame(W, np.ones(9), False).project(X)[1]
    expected = np.linalg.norm(X[:, 9:] / scale, axis=1) * scale
    assert_allclose(outside, expected, rtol=1e-14, atol=5e-324)


def test_exact_zeros_among_rows_cost_nothing():
    X = np.vstack([make_rows()[:3], np.zeros((3, 16))])
    Z, level = codes(X, make_frame(SHAPES["square"]), ungrouped(6))
    assert not Z[3:].any()
    assert_array_equal(level[3:], 0)
    assert level[:3].all()


def test_rows_may_be_anything_that_is_sliced():
    class Doubled:
        shape, dtype = (N_ROWS, 16), np.dtype("f8")

        def __getitem__(self, places):
            return 2 * make_rows()[places]

    frame = make_frame(SHAPES["square"])
    for groups in (GROUPS["rows"], GROUPS["together"]):
        Z, _ = codes(Doubled(), frame, groups)
        assert_array_equal(Z, 2 * codes(make_rows(), frame, groups)[0])


@pytest.mark.parametrize("n_jobs", [1, 2])
@each_shape
def test_rows_of_a_group_get_one_noise_level(shape, n_jobs, small_blocks):
    X, frame = make_rows(), make_frame(shape)
    sigma = noise_scale(X, frame, GROUPS["scattered"], n_jobs=n_jobs)
    for label in range(7):
        assert len(set(sigma[label::7])) == 1
    assert len(set(sigma)) == 7


@each_shape
@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_rows_are_coded_and_decoded_about_the_mean(shape, scale):
    X, frame = make_rows(), make_frame(shape)
    mean = 1e9 * np.round(np.linspace(-3, 4, 16))
    far, rows = replace(frame, mean=scale * mean), scale * (X + mean)
    exact = X + mean - mean  # what rounding leaves of the rows
    assert_allclose(far.centred(rows) / scale, exact, rtol=0, atol=2e-6)
    Z, _ = codes(rows, far, GROUPS["scattered"])
    usual, _ = codes(exact, frame, GROUPS["scattered"])
    assert_allclose(Z / scale, usual, rtol=0, atol=1e-4)
    decoded = far.decode(Z)
    assert_allclose(decoded, Z @ frame.components + scale * mean, rtol=1e-12)


@each_shape
@pytest.mark.parametrize("offset", [0.0, 1.0, 1e9])
def test_sparse_rows_are_coded_like_dense_ones(shape, offset):
    X, mean = make_rows(), offset * np.arange(16.0)
    X[np.abs(X) < 1] = 0
    frame = replace(make_frame(shape), mean=mean if offset else None)
    X[1:3] = [mean, mean + frame.components[0]]  # and rows that lose digits
    rows = sp.csr_array(X)
    for dense, sparse in zip(frame.project(X), frame.project(rows), strict=True):
        assert_allclose(sparse, dense, rtol=1e-12, atol=1e-12 * (1 + offset))
    Z = codes(X, frame, GROUPS["rows"])[0]
    found = codes(rows, frame, GROUPS["rows"])[0]
    assert_allclose(found, Z, rtol=0, atol=1e-11 * (1 + offset))


def test_rows_without_a_mean_are_not_copied():
    X, plain = make_rows(), make_frame(SHAPES["square"])
    assert plain.centred(X) is X


def test_what_is_decoded_out_of_range_is_infinite():
    frame = make_frame(SHAPES["square"], dtype="f4")
    frame = replace(frame, components=np.eye(16, dtype="f4"), mean=np.full(16, 3e38))
    decoded = frame.decode(np.full((1, 16), 3e38, "f4"))
    assert decoded.dtype == np.float32
    assert np.all(decoded == np.inf)
