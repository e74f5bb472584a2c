"""Rows of integers are converted in blocks, and results are those of all at once."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_sqrtlasso.blockwise import integer_rows
from sklearn_sqrtlasso.blockwise.integer_rows import IntegerRows, are_many_integers
from tests.estimators.encoders import N_FEATURES, OF_THE_CLASS, learns_from_batches, new

METHODS = ["transform", "reconstruct", "noise_scale", "duality_gap"]
NUMBERS = ["score", "report"]


def integers(dtype=np.int32, shape=(40, N_FEATURES)):
    rows = np.random.default_rng(3).integers(0, 9, shape)
    return (rows % 2 if np.dtype(dtype) == bool else rows).astype(dtype)


@pytest.fixture
def few_are_many(monkeypatch):
    monkeypatch.setattr(integer_rows, "HELD_ENTRIES", 0)


def results(coder, X):
    """Return what a fit and all methods make of rows, as dense arrays and numbers."""
    coder.fit(X)
    found = [getattr(coder, of)(X) for of in METHODS if hasattr(coder, of)]
    found = [of.toarray() if hasattr(of, "toarray") else of for of in found]
    found += [np.array(getattr(coder, of)(X)) for of in NUMBERS]
    if learns_from_batches(coder):
        found.append(coder.partial_fit(1000 * X).partial_fit(X).components_)
    return found


@pytest.mark.parametrize("name", OF_THE_CLASS)
def test_integers_read_in_blocks_are_numbers_like_others(name, few_are_many):
    X = integers()
    assert are_many_integers(X)
    expected = results(new(name), X.astype(np.float64))
    for ours, theirs in zip(results(new(name), X), expected, strict=True):
        assert ours.dtype == theirs.dtype
        assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64])
def test_rows_of_integers_act_as_an_array(dtype):
    X = integers(dtype)
    rows, whole = IntegerRows(X), X.astype(np.float64)
    assert (rows.shape, rows.size, len(rows)) == (X.shape, X.size, len(X))
    some = np.array([3, 1])
    for ours, theirs in [
        (rows[2:5], whole[2:5]),
        (rows[some], whole[some]),
        (rows * np.float64(4), whole * 4.0),
        (rows @ whole.T, whole @ whole.T),
        (rows.max(axis=0), whole.max(axis=0)),
        (rows.min(), whole.min()),
        (np.asarray(rows), whole),
        (rows.astype(np.float32), whole.astype(np.float32)),
    ]:
        assert ours.dtype == theirs.dtype
        assert_array_equal(ours, theirs)


def test_rows_of_integers_share_no_memory_with_those_given():
    X = integers()
    rows = IntegerRows(X)
    rows[:2][:] = -1
    rows.astype(np.float64)[:] = -1
    assert_array_equal(X, integers())


@pytest.mark.parametrize(
    "X",
    [integers(np.float64), integers().tolist(), integers(shape=(3, N_FEATURES))],
    ids=["floats", "lists", "wide"],
)
def test_other_rows_are_converted_as_a_whole(X, few_are_many):
    assert not are_many_integers(X)


def test_few_integers_are_converted_as_a_whole():
    assert not are_many_integers(integers())
