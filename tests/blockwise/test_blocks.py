"""Groups, blocks and threads: each row is visited once, in order, by whoever."""

import time
from itertools import pairwise
from threading import Event, Thread, get_ident

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import ThreadpoolController

from sklearn_sqrtlasso.blockwise import blocks
from sklearn_sqrtlasso.blockwise.blocks import (
    N_PARTS,
    blocks_of_groups,
    in_parts,
    made_ahead,
    map_blocks,
    parallel_map,
    rows_per_block,
)
from sklearn_sqrtlasso.blockwise.groups import groups_of_labels, one_group, ungrouped

lengths = st.lists(st.integers(1, 40), min_size=1, max_size=60)
block_sizes = st.integers(1, 50)
labels = st.lists(st.sampled_from("abcd"), min_size=1, max_size=30)


def starts_of(lengths):
    return np.concatenate([[0], np.cumsum(lengths)])


@given(lengths, block_sizes)
def test_blocks_cover_each_row_once_and_in_order(lengths, size):
    blocks = blocks_of_groups(starts_of(lengths), size)
    places = [place for b in blocks for place in range(b.start, b.stop)]
    assert places == list(range(sum(lengths)))


@given(lengths, block_sizes)
def test_no_block_is_larger_than_asked_for(lengths, size):
    blocks = blocks_of_groups(starts_of(lengths), size)
    assert all(0 < b.stop - b.start <= size for b in blocks)


@given(lengths, block_sizes)
def test_runs_that_fit_a_block_stay_whole(lengths, size):
    starts = starts_of(lengths)
    bounds = [
        b.start + b.groups for b in blocks_of_groups(starts, size) if b.long_group < 0
    ]
    groups = {run for bound in bounds for run in pairwise(bound)}
    whole = pairwise(starts)
    assert groups == {(lo, hi) for lo, hi in whole if hi - lo <= size}


@given(lengths, block_sizes)
def test_longer_runs_are_cut_and_carry_their_number(lengths, size):
    starts = starts_of(lengths)
    for block in blocks_of_groups(starts, size):
        if block.long_group >= 0:
            assert starts[block.long_group] <= block.start
            assert block.stop <= starts[block.long_group + 1]
            assert block.groups.tolist() == [0, block.stop - block.start]


@given(lengths, block_sizes, st.sets(st.integers(0, 30)))
def test_groups_that_are_alone_share_no_block(lengths, size, chosen):
    starts = starts_of(lengths)
    alone = {group for group in chosen if group < len(starts) - 1}
    found = blocks_of_groups(starts, size, alone=alone)
    rows = [row for block in found for row in range(block.start, block.stop)]
    assert rows == list(range(int(starts[-1])))
    assert alone <= {block.long_group for block in found}
    for block in found:
        if block.long_group < 0:
            own = range(*np.searchsorted(starts, [block.start, block.stop]))
            assert not alone & set(own)


@given(lengths, block_sizes)
def test_parts_follow_each_other_and_are_of_one_size(lengths, size):
    parts = [block.part for block in blocks_of_groups(starts_of(lengths), size)]
    counts = np.bincount(parts)
    assert parts == sorted(parts)
    assert len(counts) <= N_PARTS
    assert counts[:-1].min(initial=counts[0]) == counts.max() >= counts[-1] > 0


@given(labels)
def test_a_group_holds_all_rows_of_one_label(labels):
    labels = np.array(labels)
    groups = groups_of_labels(labels)
    order = np.arange(len(labels)) if groups.order is None else groups.order
    bounds = pairwise(groups.starts)
    found = [labels[order[lo:hi]].tolist() for lo, hi in bounds]
    assert sorted(order) == list(range(len(labels)))
    assert all(len(set(run)) == 1 for run in found)
    assert len(found) == len(set(labels))


@given(labels)
def test_rows_of_a_group_keep_their_order(labels):
    groups = groups_of_labels(np.array(labels))
    if groups.order is not None:
        inside = np.ones(len(labels), bool)
        inside[groups.starts[:-1]] = False
        assert np.all(np.diff(groups.order, prepend=-1)[inside] > 0)


@given(labels)
def test_labels_that_stand_together_need_no_permutation(labels):
    assert groups_of_labels(np.array(sorted(labels))).order is None


def test_rows_alone_and_rows_together_are_runs_too():
    assert ungrouped(3).starts.tolist() == [0, 1, 2, 3]
    assert one_group(3).starts.tolist() == [0, 3]
    assert ungrouped(3).n_rows == one_group(3).n_rows == 3
    assert (
        groups_of_labels(np.arange(3)).starts.tolist() == ungrouped(3).starts.tolist()
    )


@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("n_features", [1, 64, 784, 10**7])
@pytest.mark.parametrize("n_components", [1, 64, 1024, 10**6])
def test_blocks_fit_their_memory(n_components, n_features, itemsize):
    n_rows = rows_per_block(n_components, n_features, itemsize)
    row_bytes = (n_components + n_features) * itemsize
    weights = min(n_components * n_features * itemsize, blocks.WIDE_BYTES)
    assert n_rows == 1 or n_rows * row_bytes <= max(blocks.BLOCK_BYTES, weights)


@pytest.mark.parametrize("n_jobs", [None, 1, 2, 5, -1])
def test_results_come_in_the_order_of_blocks(n_jobs):
    blocks = blocks_of_groups(np.arange(101), 3)
    starts = map_blocks(lambda block: block.start, blocks, n_jobs)
    assert starts == [block.start for block in blocks]


def test_a_part_is_visited_in_order_by_one_thread():
    seen = []
    blocks = blocks_of_groups(np.arange(101), 3)
    map_blocks(lambda b: seen.append((b.part, get_ident(), b.start)), blocks, 3)
    for part in {part for part, *_ in seen}:
        mine = [(thread, start) for p, thread, start in seen if p == part]
        assert mine == sorted(mine, key=lambda visit: visit[1])
        assert len({thread for thread, _ in mine}) == 1


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_what_a_visit_raises_reaches_the_caller(n_jobs):
    def fail(block):
        raise RuntimeError(f"at row {block.start}")

    with pytest.raises(RuntimeError, match="at row"):
        map_blocks(fail, blocks_of_groups(np.arange(101), 3), n_jobs)


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
@pytest.mark.parametrize("error", [IndexError, KeyError, KeyboardInterrupt])
def test_after_an_error_no_more_items_are_taken(n_jobs, error):
    taken = []

    def fail(item):
        taken.append(item)
        time.sleep(0.001)
        raise error("of an item")

    with pytest.raises(error, match="of an item"):
        parallel_map(fail, range(100), n_jobs)
    assert len(taken) <= n_jobs


@pytest.mark.parametrize("n_jobs", [1, 2, 3, 200])
def test_a_map_is_that_of_one_thread(n_jobs):
    assert parallel_map(lambda item: item**2, range(99), n_jobs) == [
        item**2 for item in range(99)
    ]
    assert parallel_map(lambda item: None, [], n_jobs) == []


@given(st.integers(1, 60), st.integers(-1, 12))
def test_parts_are_all_batches_in_order(n_batches, most):
    batches = [slice(at, at + 1) for at in range(n_batches)]
    parts = in_parts(iter(batches), most)
    assert [batch for part in parts for batch in part] == batches
    assert 1 <= len(parts) <= max(1, min(most, N_PARTS))


def test_concurrent_callers_leave_blas_as_they_found_it():
    def threads():
        info = ThreadpoolController().select(user_api="blas").info()
        return [library["num_threads"] for library in info]

    before, cut = threads(), blocks_of_groups(np.arange(2001), 100)

    def call(duration):
        map_blocks(lambda block: time.sleep(duration), cut, 2)

    callers = [Thread(target=call, args=(0.002 * i,)) for i in range(1, 6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert threads() == before


@pytest.mark.parametrize("n_jobs", [None, 1, 2, 4])
@pytest.mark.parametrize("n_items", [0, 1, 2, 7])
def test_items_are_made_once_in_order_whatever_the_threads(n_jobs, n_items):
    rng, before = np.random.default_rng(0), np.random.default_rng(0)
    drawn = made_ahead((rng.random() for _ in range(n_items)), n_jobs)
    assert list(drawn) == [before.random() for _ in range(n_items)]
    assert rng.random() == before.random()


@pytest.mark.parametrize(("n_jobs", "n_made"), [(1, 1), (2, 2)])
def test_at_most_one_item_is_made_ahead(n_jobs, n_made):
    made, asked = [], Event()

    def items():
        for i in range(5):
            made.append(i)
            if i + 1 == n_made:
                asked.set()
            yield i

    drawn = made_ahead(items(), n_jobs)
    assert next(drawn) == 0
    assert asked.wait(60)
    drawn.close()
    assert made == list(range(n_made))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_error_in_an_item_is_raised_where_the_item_would_be(n_jobs):
    drawn = made_ahead((1 // (2 - i) for i in range(4)), n_jobs)
    assert [next(drawn), next(drawn)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(drawn)


def test_a_user_who_asks_for_errors_of_numpy_gets_none_of_items_made_ahead():
    large = np.full(1, 1e38, np.float32)
    with np.errstate(all="raise"):
        drawn = made_ahead((large * np.float32(10) for _ in range(2)), 2)
        assert [float(item[0]) for item in drawn] == [np.inf, np.inf]
