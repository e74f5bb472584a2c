"""The last rows of a stream: which they are, whose groups, and how many are new."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_sqrtlasso.blockwise.groups import groups_of_labels
from sklearn_sqrtlasso.learning.recent_rows import (
    are_enough_new,
    join_recent_rows,
    without_new,
)

N_ROWS = 12


def batches_of_labels(sizes, n_labels=3):
    """Return batches, whose only column counts rows, and labels of their groups."""
    ends = np.cumsum(sizes)
    counts = [np.arange(end - n, end) for n, end in zip(sizes, ends, strict=True)]
    return [(rows[:, None] + 0.0, rows % n_labels) for rows in counts]


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12))
@pytest.mark.parametrize("as_matrix", [np.asarray, sp.csr_array])
def test_the_last_rows_stay_in_their_groups(as_matrix, sizes):
    recent, known, n_since = None, [], 0
    for number, (X, labels) in enumerate(batches_of_labels(sizes)):
        groups = groups_of_labels(labels)
        recent, joined = join_recent_rows(recent, as_matrix(X), groups, N_ROWS)
        known += [
            (row, (number, label)) for row, label in zip(X[:, 0], labels, strict=True)
        ]
        rows, found, n_new = recent
        n_since += len(X)
        kept = known[-max(min(N_ROWS, len(known)), len(X)) :]
        dense = rows.toarray() if sp.issparse(rows) else rows
        assert_array_equal(dense[:, 0], [row for row, _ in kept])
        same = np.equal.outer(found, found)
        wanted = [[one == other for _, other in kept] for _, one in kept]
        assert_array_equal(same, wanted)
        assert_array_equal(np.equal.outer(joined.labels(), joined.labels()), wanted)
        assert min(n_new, len(kept)) == min(n_since, len(kept))
        assert are_enough_new(recent) == (4 * n_since >= len(kept))
        if are_enough_new(recent):
            recent, n_since = without_new(recent, N_ROWS), 0
            assert recent[0].shape[0] == len(recent[1]) <= N_ROWS


def test_kept_rows_are_copies():
    X = np.ones((3, 2))
    recent, _ = join_recent_rows(None, X, groups_of_labels(np.arange(3)), N_ROWS)
    recent = without_new(recent, N_ROWS)
    X[:] = 0
    assert recent[0].min() == 1
