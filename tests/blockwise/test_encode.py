"""Rows are encoded block by block as they would be at once."""

from itertools import pairwise
from threading import get_ident
from typing import NamedTuple

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.blockwise.encode import encode, map_encoded
from sklearn_sqrtlasso.blockwise.groups import groups_of_labels, one_group, ungrouped
from sklearn_sqrtlasso.blockwise.linalg import dense_rows
from sklearn_sqrtlasso.models.activations import ACTIVATIONS, ProjectedRows
from sklearn_sqrtlasso.models.encoders import LayerEncoder

N_ROWS = 40
LABELS = {
    "alone": np.arange(N_ROWS),
    "runs": np.repeat([0, 1, 2, 3], [2, 3, 30, 5]),
    "spread": np.random.default_rng(0).integers(0, 9, N_ROWS),
}

each_grouping = pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
each_dtype = pytest.mark.parametrize("dtype", ["f4", "f8"])
each_team = pytest.mark.parametrize("n_jobs", [None, 1, 3])


class GroupSums(NamedTuple):
    """Code a row by itself and the sum of its group; spoil the workspace each time."""

    seen: list
    pools_groups: bool = True
    whole_groups: bool = True
    n_block_rows: int = 4
    n_components: int = 4
    has_gap: bool = False

    def prepared(self, X):
        return self

    def rows_per_block(self, width):
        return self.n_block_rows

    def encode(self, x, groups, workspace, out):
        self.seen.append((get_ident(), id(workspace.base), np.diff(groups).tolist()))
        assert workspace.shape == out.shape == (x.shape[0], 4)
        assert workspace.dtype == out.dtype == x.dtype
        workspace[:, :2] = dense_rows(x)
        for lo, hi in pairwise(groups):
            workspace[lo:hi, 2:] = workspace[lo:hi, :2].sum(axis=0)
        out[:] = workspace
        workspace[:] = np.nan
        gap = out[:, 0] + 0.5 if self.has_gap else None
        return out[:, 2].copy(), gap


def make_rows(dtype="f8"):
    """Return whole numbers, whose sums are not rounded."""
    return np.random.default_rng(1).integers(-9, 10, (N_ROWS, 2)).astype(dtype)


def sums(X, labels):
    return np.hstack([X, [X[labels == label].sum(axis=0) for label in labels]])


@each_grouping
@each_dtype
@each_team
def test_codes_are_those_of_whole_groups(labels, dtype, n_jobs):
    X, groups = make_rows(dtype), groups_of_labels(labels)
    Z, gap = encode(X, GroupSums([]), groups, n_jobs=n_jobs)
    assert Z.dtype == dtype
    assert gap is None
    assert_array_equal(Z, sums(X, labels))
    sparse = encode(sp.csr_array(X), GroupSums([]), groups, n_jobs=n_jobs)[0]
    assert_array_equal(sparse, Z)


@each_grouping
@each_team
def test_blocks_hold_the_rows_and_codes_of_their_places(labels, n_jobs):
    X, groups = make_rows(), groups_of_labels(labels)
    Z, rows = np.full((N_ROWS, 4), np.nan), np.arange(N_ROWS)

    def keep(block):
        assert_array_equal(block.X, X[block.rows])
        assert_array_equal(block.scale, block.Z[:, 2])
        Z[block.rows] = block.Z
        return rows[block.rows]

    places = map_encoded(keep, X, GroupSums([]), groups, n_jobs=n_jobs)
    assert_array_equal(Z, encode(X, GroupSums([]), groups)[0])
    order = rows if groups.order is None else groups.order
    assert_array_equal(np.concatenate(places), order)


@each_team
def test_blocks_of_a_part_come_in_order(n_jobs):
    seen, groups = [], ungrouped(N_ROWS)

    def note(block):
        seen.append((block.part, block.rows.start))

    map_encoded(note, make_rows(), GroupSums([]), groups, n_jobs=n_jobs)
    assert len(seen) == N_ROWS / 4
    for part in range(8):
        mine = [start for of, start in seen if of == part]
        assert mine == sorted(mine)
    assert [part for part, _ in sorted(seen, key=lambda of: of[1])] == (
        sorted(part for part, _ in seen)
    )


@each_grouping
def test_encoders_that_do_not_pool_see_rows_alone(labels):
    X, encoder = make_rows(), GroupSums([], pools_groups=False)
    Z, _ = encode(X, encoder, groups_of_labels(labels))
    assert_array_equal(Z, np.hstack([X, X]))
    assert [sizes for *_, sizes in encoder.seen] == 10 * [[1, 1, 1, 1]]


@pytest.mark.parametrize("whole_groups", [True, False])
def test_a_block_grows_where_groups_are_to_be_whole(whole_groups):
    encoder = GroupSums([], whole_groups=whole_groups)
    labels = np.repeat(np.arange(20), 2)
    encode(make_rows(), encoder, groups_of_labels(labels))
    assert [sizes for *_, sizes in encoder.seen] == 10 * [[2, 2]]
    if whole_groups:
        encode(make_rows(), encoder, one_group(N_ROWS))
        assert encoder.seen[-1][2] == [N_ROWS]


@each_team
def test_no_two_threads_share_a_workspace(n_jobs):
    encoder = GroupSums([])
    encode(make_rows(), encoder, ungrouped(N_ROWS), n_jobs=n_jobs)
    pairs = {(thread, base) for thread, base, _ in encoder.seen}
    assert len(pairs) == len({thread for thread, _ in pairs}) <= (n_jobs or 1)
    assert len(pairs) == len({base for _, base in pairs})


def test_gaps_stand_in_the_order_of_the_rows():
    X, encoder = make_rows(), GroupSums([], pools_groups=False, has_gap=True)
    gap = encode(X, encoder, groups_of_labels(LABELS["spread"]))[1]
    assert_array_equal(gap, X[:, 0] + 0.5)


class ShortBlocks(LayerEncoder):
    """A layer that codes four rows at a time."""

    def rows_per_block(self, width):
        return 4


@each_grouping
@each_dtype
@each_team
@pytest.mark.parametrize("name", ["nelu", "nelu_adaptive"])
def test_long_groups_are_coded_at_one_scale(name, labels, dtype, n_jobs):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((N_ROWS, 3)).astype(dtype)
    W = rng.standard_normal((5, 3)).astype(dtype)
    p = {"alpha": np.full(5, 0.7, dtype), "kappa": np.full(5, 0.5, dtype)}
    encoder = ShortBlocks(W, False, ACTIVATIONS[name], p)
    groups, found = groups_of_labels(labels), np.empty(N_ROWS)

    def keep(block):
        found[block.rows] = block.scale

    map_encoded(keep, X, encoder, groups, n_jobs=n_jobs)
    Z = encode(X, encoder, groups, n_jobs=n_jobs)[0]
    # entries below 8; sums of other blocks are rounded in another order
    close = {"rtol": 0, "atol": 64 * np.finfo(dtype).eps}
    for label in np.unique(labels):
        on = labels == label
        rows = ProjectedRows(X[on] @ W.T, np.array([0, on.sum()]), False)
        codes, scale = ACTIVATIONS[name].value(rows, p)
        assert_allclose(Z[on], codes, **close)
        assert_allclose(found[on], scale, **close)


def code_at_once_and_in_blocks(X, alpha, positive, n_jobs=None):
    """Return codes and scale of one group, encoded at once, and in blocks of four."""
    p = {"alpha": np.full(X.shape[1], alpha, X.dtype)}
    given = np.eye(X.shape[1], dtype=X.dtype), positive, ACTIVATIONS["nelu"], p
    found = []
    for encoder in (LayerEncoder(*given), ShortBlocks(*given)):
        scales = map_encoded(
            lambda block: block.scale[0], X, encoder, one_group(len(X)), n_jobs=n_jobs
        )
        codes = encode(X, encoder, one_group(len(X)), n_jobs=n_jobs)[0]
        found.append((codes, scales[0]))
    return found


@each_dtype
@each_team
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("power", [-900, -600, 600, 900])
def test_a_power_of_two_scales_long_groups_exactly(dtype, n_jobs, positive, power):
    X = np.random.default_rng(3).standard_normal((N_ROWS, 3)).astype(dtype)
    c = X.dtype.type(2.0 ** (power if dtype == "f8" else power // 10))
    _, (Z, scale) = code_at_once_and_in_blocks(X, 0.7, positive, n_jobs)
    _, (by_c, scale_by_c) = code_at_once_and_in_blocks(c * X, 0.7, positive, n_jobs)
    assert_array_equal(by_c, c * Z)
    assert scale_by_c == c * scale > 0


@each_dtype
@each_team
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("alpha", [0.5, 0.7, 4.0])
@pytest.mark.parametrize("small", [1e-160, 1e-300])
def test_a_huge_entry_does_not_hide_the_level_of_a_long_group(
    dtype, n_jobs, positive, alpha, small
):
    small, huge = (small, 1 / small) if dtype == "f8" else (1e-30, 1e30)
    X = (small * np.random.default_rng(4).standard_normal((N_ROWS, 3))).astype(dtype)
    X[5, 1] = huge
    whole, long = code_at_once_and_in_blocks(X, alpha, positive, n_jobs)
    rounding = 16 * np.finfo(dtype).eps
    assert_allclose(long[1], whole[1], rtol=rounding)
    assert_allclose(long[0], whole[0], rtol=0, atol=rounding * 6 * small)
    assert np.all((alpha > N_ROWS**0.5) | (long[0][5, 1] > huge / 2))


@each_team
def test_the_sum_of_a_long_group_may_exceed_all_numbers(n_jobs):
    X = 1e306 * np.random.default_rng(5).standard_normal((400, 3))
    whole, long = code_at_once_and_in_blocks(X, 0.7, False, n_jobs)
    assert_allclose(long[1], whole[1], rtol=1e-12)
    assert_allclose(long[0] / 1e306, whole[0] / 1e306, rtol=0, atol=1e-12)
