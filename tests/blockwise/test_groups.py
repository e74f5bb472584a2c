"""Groups of rows, and rows that are spread evenly over them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_sqrtlasso.blockwise.groups import (
    groups_of_labels,
    one_group,
    split_groups_of,
    spread_over,
    ungrouped,
)

LABELS = {
    "rows": (ungrouped(60), np.arange(60)),
    "together": (one_group(60), np.zeros(60)),
    "contiguous": (groups_of_labels(np.arange(60) // 7), np.arange(60) // 7),
    "scattered": (groups_of_labels(np.arange(60) % 7), np.arange(60) % 7),
}

each_grouping = pytest.mark.parametrize(
    ("groups", "labels"), LABELS.values(), ids=LABELS
)


@each_grouping
@pytest.mark.parametrize("n_rows", [1, 2, 7, 20, 59])
def test_rows_stay_in_their_groups_and_spread_evenly(groups, labels, n_rows):
    rows, few = spread_over(groups, n_rows)
    assert len(set(rows)) == few.n_rows == n_rows
    assert few.order is None
    of_rows = np.repeat(np.arange(len(few.starts) - 1), np.diff(few.starts))
    same = labels[rows][:, None] == labels[rows]
    assert_array_equal(of_rows[:, None] == of_rows, same)
    counts = np.bincount(np.unique(labels, return_inverse=True)[1])
    kept = np.array([np.sum(labels[rows] == label) for label in np.unique(labels)])
    assert np.all(np.abs(kept - counts * n_rows / 60) < 1)


@each_grouping
@pytest.mark.parametrize("n_rows", [1, 8, 20, 1000])
def test_parts_are_of_whole_groups_and_short(groups, labels, n_rows):
    parts = list(split_groups_of(groups, n_rows))
    rows = np.concatenate([np.arange(60)[rows] for rows, _ in parts])
    whole = np.arange(60) if groups.order is None else groups.order
    assert_array_equal(rows, whole)
    assert_array_equal(
        np.concatenate([np.diff(part.starts) for _, part in parts]),
        np.diff(groups.starts),
    )
    for rows, part in parts:
        assert part.order is None
        assert part.n_rows == len(labels[rows])
        assert part.n_rows <= n_rows or len(part.starts) == 2


@each_grouping
@pytest.mark.parametrize("n_rows", [60, 1000])
def test_all_rows_are_kept_if_there_are_no_more(groups, labels, n_rows):
    rows, same = spread_over(groups, n_rows)
    assert_array_equal(np.sort(rows), np.arange(60))
    assert_array_equal(same.starts, groups.starts)
    if groups.order is not None:
        assert_array_equal(rows, groups.order)
