"""Codes of rows by a frame do not depend on how the work is cut and spread."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits

from sklearn_sqrtlasso.learning.frames import dct_frame, nearest_frame
from sklearn_sqrtlasso.solvers import rows
from sklearn_sqrtlasso.solvers.frame import Frame, noise_scale
from sklearn_sqrtlasso.solvers.rows import one_run, runs_of_groups, single_rows
from sklearn_sqrtlasso.solvers.solution import shrinkage_gap
from sklearn_sqrtlasso.solvers.visit import visit_codes
from tests import oracles, sized

N_ROWS = sized(350, 60)
SHAPES = {"square": (16, 16), "over": (40, 16), "under": (9, 16)}
RUNS = {
    "rows": single_rows(N_ROWS),
    "together": one_run(N_ROWS),
    "contiguous": runs_of_groups(np.arange(N_ROWS) // 25),
    "scattered": runs_of_groups(np.arange(N_ROWS) % 7),
}
# Products of blocks of other shapes are summed in another order: some roundings.
ROUNDING = {"rtol": 1e-12, "atol": 1e-12}

each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
each_run = pytest.mark.parametrize("runs", RUNS.values(), ids=RUNS)


@pytest.fixture
def small_blocks(monkeypatch):
    """Make blocks of five rows, so that most runs are longer than a block."""
    monkeypatch.setattr(rows, "CODE_BYTES", 1)
    monkeypatch.setattr(rows, "MIN_ROWS", 5)


def make_frame(shape, alpha=0.45, positive=False, dtype="f8"):
    W = nearest_frame(np.random.default_rng(0).standard_normal(shape)).astype(dtype)
    return Frame(W, np.full(shape[0], alpha, dtype), positive)


def make_rows(dtype="f8"):
    rng = np.random.default_rng(1)
    signal = rng.standard_normal((N_ROWS, 16)) * (rng.random((N_ROWS, 16)) < 0.2)
    return (3 * signal + rng.standard_normal((N_ROWS, 16))).astype(dtype)


def codes(X, frame, runs, n_jobs=None):
    """Return the codes and, as the visits tell them, the levels."""
    out = np.empty((X.shape[0], len(frame.components)), frame.components.dtype)
    level = np.empty(X.shape[0], out.dtype)

    def visit(block):
        level[block.rows] = block.level

    visit_codes(X, frame, runs, visit, out=out, n_jobs=n_jobs)
    return out, level


@each_shape
@each_run
def test_threads_do_not_change_a_bit(shape, runs, small_blocks):
    for frame in (make_frame(shape), make_frame(shape, positive=True)):
        Z, level = codes(make_rows(), frame, runs, n_jobs=1)
        again = codes(make_rows(), frame, runs, n_jobs=2)
        assert_array_equal(again[0], Z)
        assert_array_equal(again[1], level)


@each_shape
@each_run
@pytest.mark.parametrize("n_block_rows", [1, 3, 64])
def test_blocks_do_not_change_codes(shape, runs, n_block_rows, monkeypatch):
    Z, level = codes(make_rows(), make_frame(shape), runs)
    monkeypatch.setattr(rows, "CODE_BYTES", 1)
    monkeypatch.setattr(rows, "MIN_ROWS", n_block_rows)
    again = codes(make_rows(), make_frame(shape), runs)
    assert_allclose(again[0], Z, **ROUNDING)
    assert_allclose(again[1], level, **ROUNDING)


@each_shape
@each_run
def test_codes_are_optimal(shape, runs, small_blocks):
    X, frame = make_rows(), make_frame(shape)
    Z, _ = codes(X, frame, runs)
    gap = shrinkage_gap(
        *frame.project(X)[:1], Z, frame.alpha, frame.project(X)[1], runs=runs
    )
    assert gap.max() <= 1e-9


@each_shape
@each_run
def test_codes_are_those_of_the_oracle(shape, runs):
    X, frame = make_rows(), make_frame(shape, positive=True)
    Z, _ = codes(X, frame, runs)
    W = frame.components
    order = np.arange(N_ROWS) if runs.order is None else runs.order
    for lo, hi in list(pairwise(runs.starts))[:7]:
        run = X[order[lo:hi]]
        U, rest = run @ W.T, np.linalg.norm(run - run @ W.T @ W, axis=1)
        best = oracles.shrink(U, frame.alpha, rest, True)
        assert_allclose(Z[order[lo:hi]], best, **ROUNDING)


@each_shape
@each_run
def test_rows_of_a_run_share_their_level(shape, runs, small_blocks):
    X, frame = make_rows(), make_frame(shape)
    Z, level = codes(X, frame, runs)
    U, rest = frame.project(X)
    order = np.arange(N_ROWS) if runs.order is None else runs.order
    for lo, hi in pairwise(runs.starts):
        run = order[lo:hi]
        left = oracles.residual_scale(Z[run], U[run], rest[run])
        assert_allclose(level[run], left, **ROUNDING)


@each_shape
def test_permuted_rows_and_groups_have_permuted_codes(shape, small_blocks):
    X, frame, groups = make_rows(), make_frame(shape), np.arange(N_ROWS) % 7
    order = np.random.default_rng(2).permutation(N_ROWS)
    Z, level = codes(X, frame, runs_of_groups(groups))
    moved = codes(X[order], frame, runs_of_groups(groups[order]))
    assert_allclose(moved[0], Z[order], **ROUNDING)
    assert_allclose(moved[1], level[order], **ROUNDING)


@each_shape
@each_run
@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix])
def test_sparse_rows_have_the_codes_of_dense_rows(shape, runs, container, small_blocks):
    X, frame = make_rows(), make_frame(shape)
    X[np.abs(X) < 1] = 0
    Z, level = codes(X, frame, runs)
    sparse = codes(container(X), frame, runs)
    assert_allclose(sparse[0], Z, **ROUNDING)
    assert_allclose(sparse[1], level, **ROUNDING)


@each_shape
@each_run
@pytest.mark.parametrize("exponent", [-400, -40, 40, 400])
def test_a_power_of_two_scales_codes_exactly(shape, runs, exponent, small_blocks):
    dtype = "f8" if abs(exponent) > 40 else "f4"
    X, frame = make_rows(dtype), make_frame(shape, dtype=dtype)
    c = X.dtype.type(2.0**exponent)
    Z, level = codes(X, frame, runs)
    by_c = codes(c * X, frame, runs)
    assert_array_equal(by_c[0], c * Z)
    assert_array_equal(by_c[1], c * level)


@each_run
@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_huge_and_tiny_rows_are_coded_like_others(runs, scale, small_blocks):
    X, frame = make_rows(), make_frame(SHAPES["under"])
    Z, _ = codes(X, frame, runs)
    assert_allclose(codes(scale * X, frame, runs)[0] / scale, Z, **ROUNDING)


@each_run
def test_single_precision_follows_double(runs, small_blocks):
    shape = SHAPES["under"]
    Z, level = codes(make_rows(), make_frame(shape), runs)
    low = codes(make_rows("f4"), make_frame(shape, dtype="f4"), runs)
    assert low[0].dtype == low[1].dtype == np.float32
    # products of 16 terms of size 5, some roundings of 6e-8 each
    assert_allclose(low[0], Z, rtol=0, atol=1e-5)
    assert_allclose(low[1], level, rtol=1e-5)


def test_codes_of_digits_are_optimal():
    X = load_digits().data[: sized(1797, 200)]
    W = nearest_frame(dct_frame(X, 100, None))
    frame, runs = (
        Frame(W, np.full(100, 0.2), False),
        runs_of_groups(np.arange(len(X)) % 9),
    )
    Z, _ = codes(X, frame, runs)
    assert shrinkage_gap(X @ W.T, Z, 0.2, runs=runs).max() <= 1e-9


@each_shape
def test_projection_splits_the_energy_of_a_row(shape):
    X = make_rows()
    U, rest = make_frame(shape).project(X)
    energy = np.sum(U**2, axis=1) + rest**2
    assert_allclose(energy, np.sum(X**2, axis=1), rtol=1e-12)
    assert shape[0] < 16 or not rest.any()


@pytest.mark.parametrize("scale", [5e-324, 1e-200, 1e200, 1e306])
def test_energy_out_of_reach_neither_overflows_nor_underflows(scale):
    X = np.rint(9 * make_rows()[:20]) * scale
    W = np.eye(16)[:9]
    rest = Frame(W, np.ones(9), False).project(X)[1]
    expected = np.linalg.norm(X[:, 9:] / scale, axis=1) * scale
    assert_allclose(rest, expected, rtol=1e-14, atol=5e-324)


def test_exact_zeros_among_rows_cost_nothing():
    X = np.vstack([make_rows()[:3], np.zeros((3, 16))])
    Z, level = codes(X, make_frame(SHAPES["square"]), single_rows(6))
    assert not Z[3:].any()
    assert_array_equal(level[3:], 0)
    assert level[:3].all()


def test_rows_may_be_anything_that_is_sliced():
    class Doubled:
        shape, dtype = (N_ROWS, 16), np.dtype("f8")

        def __getitem__(self, places):
            return 2 * make_rows()[places]

    frame = make_frame(SHAPES["square"])
    for runs in (RUNS["rows"], RUNS["together"]):
        Z, _ = codes(Doubled(), frame, runs)
        assert_array_equal(Z, 2 * codes(make_rows(), frame, runs)[0])


@pytest.mark.parametrize("n_jobs", [1, 2])
@each_shape
def test_rows_of_a_run_get_one_noise_level(shape, n_jobs, small_blocks):
    X, frame = make_rows(), make_frame(shape)
    sigma = noise_scale(X, frame, RUNS["scattered"], n_jobs=n_jobs)
    for label in range(7):
        assert len(set(sigma[label::7])) == 1
    assert len(set(sigma)) == 7
