"""The last rows of a stream: which they are, whose groups, and when they tell."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_sqrtlasso.blockwise.groups import groups_of_labels
from sklearn_sqrtlasso.learning.recent_rows import ENOUGH_NEW, KEPT, recent_rows

N_COMPONENTS = 6


def batches(sizes, n_labels=3):
    """Return batches, whose only column counts rows, and labels of their groups."""
    ends = np.cumsum(sizes)
    counts = [np.arange(end - n, end) for n, end in zip(sizes, ends, strict=True)]
    return [(rows[:, None] + 0.0, rows % n_labels) for rows in counts]


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12))
@pytest.mark.parametrize("as_matrix", [np.asarray, sp.csr_array])
def test_the_last_rows_stay_in_their_groups(as_matrix, sizes):
    kept, known, n_since = None, [], 0
    for number, (X, labels) in enumerate(batches(sizes)):
        recent = recent_rows(kept, as_matrix(X), groups_of_labels(labels), N_COMPONENTS)
        known += [(row, (number, of)) for row, of in zip(X[:, 0], labels, strict=True)]
        n_since += len(X)
        last = known[-max(KEPT * N_COMPONENTS, len(X)) :]
        rows = recent.X.toarray() if sp.issparse(recent.X) else recent.X
        assert_array_equal(rows[:, 0], [row for row, _ in last])
        found = recent.groups.labels()
        wanted = [[one == other for _, other in last] for _, one in last]
        assert_array_equal(np.equal.outer(found, found), wanted)
        assert recent.tell == (n_since >= ENOUGH_NEW * len(last))
        n_since = 0 if recent.tell else n_since
        kept = recent.kept
        assert kept["rows"].shape[0] == len(kept["labels"]) <= KEPT * N_COMPONENTS


def test_kept_rows_are_copies():
    X = np.ones((3, 2))
    recent = recent_rows(None, X, groups_of_labels(np.arange(3)), N_COMPONENTS)
    X[:] = 0
    assert recent.kept["rows"].min() == 1
