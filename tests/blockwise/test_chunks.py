"""Functions of rows are the same of rows in chunks."""

from functools import reduce

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows
from sklearn_sqrtlasso.blockwise.linalg import (
    column_means,
    entries_per_row,
    filled_rows,
    has_missing,
    largest_entry,
    largest_spread,
    missing_counts,
    root_mean_square,
)
from sklearn_sqrtlasso.blockwise.spread import (
    mean_norm,
    root_mean_spread,
    second_moment,
)


class ListOfRows(ChunkedRows):
    """Rows in a list of arrays."""

    def __init__(self, parts):
        self.parts, self.dtype = parts, parts[0].dtype
        self.shape = (sum(len(of) for of in parts), parts[0].shape[1])

    def reduce(self, function, combine, *given):
        return reduce(combine, (function(part, *given) for part in self.parts))

    def map(self, function, *given, dtype=None):
        return ListOfRows([function(part, *given) for part in self.parts])

    def map_and_reduce(self, function, combine, *given):
        raise NotImplementedError

    def first(self):
        return self.parts[0][:1]

    def grouped(self, labels):
        raise NotImplementedError

    def __getitem__(self, rows):
        return np.concatenate(self.parts)[rows]


rng = np.random.default_rng(0)
X = 3 + rng.standard_normal((50, 4))
GAPS = np.where(rng.random(X.shape) < 0.2, np.nan, X)
BOUNDS = (1, 20)
MEAN = X.mean(axis=0)
OF_WHOLE = {
    "largest_entry": largest_entry,
    "largest_spread": lambda rows: largest_spread(rows, MEAN),
    "root_mean_square": root_mean_square,
    "root_mean_spread": root_mean_spread,
    "mean_norm": lambda rows: mean_norm(rows, MEAN, 2.0),
    "second_moment": lambda rows: second_moment(rows, MEAN, 2.0),
    "entries_per_row": entries_per_row,
}
OF_ANY = {
    "has_missing": has_missing,
    "missing_counts": missing_counts,
    "column_means": column_means,
}


def in_chunks(rows):
    return ListOfRows(np.split(rows, BOUNDS))


@pytest.mark.parametrize("name", [*OF_WHOLE, *OF_ANY])
def test_a_value_of_chunks_is_that_of_all_rows(name):
    function = (OF_WHOLE | OF_ANY)[name]
    for rows in [X, GAPS] if name in OF_ANY else [X]:
        assert_allclose(function(in_chunks(rows)), function(rows), rtol=1e-14)


def test_chunks_are_filled_in():
    filled = filled_rows(in_chunks(GAPS), MEAN)
    assert_array_equal(np.concatenate(filled.parts), filled_rows(GAPS, MEAN))
    whole = in_chunks(X)
    assert filled_rows(whole, MEAN) is whole


def test_chunks_may_be_sparse():
    mostly_zero = np.where(X > 4, X, 0)
    parts = [sp.csr_array(part) for part in np.split(mostly_zero, BOUNDS)]
    for part in parts:
        assert part.shape[1] == 4

    class Sparse(ListOfRows):
        def __init__(self):
            self.parts, self.dtype, self.shape = parts, X.dtype, X.shape

    for function in (largest_entry, column_means, root_mean_square, entries_per_row):
        expected = function(sp.csr_array(mostly_zero))
        assert_allclose(function(Sparse()), expected, rtol=1e-14)
