"""Numeric columns are taken from tables and put back, whatever else they have."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal

from sklearn_sqrtlasso.estimators.tables import numbers_of, with_numbers

ROWS = np.array([2, 0, 0])


def pandas_table():
    return pd.DataFrame(
        {
            "length": [1.5, 2.5, np.nan],
            "name": ["a", "b", "c"],
            "count": [1, 2, 3],
            "kind": pd.Categorical(["x", "y", "x"]),
            "good": [True, False, True],
            "rank": pd.array([1, None, 3], dtype="Int64"),
            "day": pd.to_datetime(["2020-01-01"] * 3),
        },
        index=[7, 8, 9],
    )


def polars_table():
    return pl.DataFrame(
        {
            "length": [1.5, 2.5, None],
            "name": ["a", "b", "c"],
            "count": [1, 2, 3],
            "kind": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
            "good": [True, False, True],
            "rank": pl.Series([1, None, 3], dtype=pl.Int16),
        }
    )


NUMBERS = [[1.5, 1, 1], [2.5, 2, np.nan], [np.nan, 3, 3]]
NUMERIC = ["length", "count", "rank"]
each_frame = pytest.mark.parametrize("make", [pandas_table, polars_table])


@each_frame
def test_floats_and_integers_are_taken(make):
    numbers = numbers_of(make())
    assert numbers.dtype == np.float64
    assert_array_equal(numbers, NUMBERS)


@each_frame
@pytest.mark.parametrize("rows", [None, ROWS])
def test_other_columns_stay_as_they_are(make, rows):
    table, numbers = make(), np.arange(9.0).reshape(3, 3)
    changed = with_numbers(table, numbers, rows)
    assert list(changed.columns) == list(table.columns)
    assert_array_equal(changed[NUMERIC].to_numpy(), numbers)
    for name in set(table.columns) - set(NUMERIC):
        assert changed[name].dtype == table[name].dtype
        kept = table[name].to_numpy()
        assert_array_equal(
            changed[name].to_numpy(), kept if rows is None else kept[rows]
        )
    assert_array_equal(numbers_of(table), NUMBERS)  # the table itself has not changed


def test_rows_keep_the_index_of_a_pandas_frame():
    table, numbers = pandas_table(), np.zeros((3, 3))
    assert list(with_numbers(table, numbers).index) == [7, 8, 9]
    assert list(with_numbers(table, numbers, ROWS).index) == [9, 7, 7]


def test_columns_of_one_name_are_told_apart():
    table = pd.DataFrame([[1, "a", 2.0]], columns=["x", "x", "x"])
    changed = with_numbers(table, np.array([[5.0, 6.0]]))
    assert changed.to_numpy().tolist() == [[5.0, "a", 6.0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_stays(dtype):
    X = np.ones((4, 2), dtype)
    for table in (X, pd.DataFrame(X), pl.DataFrame(X, ["a", "b"])):
        assert numbers_of(table).dtype == dtype
    assert numbers_of(X.astype(int)).dtype == np.float64
    assert numbers_of(X.tolist()).dtype == np.float64


def test_arrays_are_their_numbers():
    X = np.random.default_rng(0).standard_normal((3, 2))
    assert_array_equal(numbers_of(X), X)
    assert with_numbers(X.tolist(), X) is X


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (sp.eye_array(3, format="csr"), r"X must be dense.*sparse matrix.*\(3, 3\)"),
        (pd.DataFrame({"a": ["x", "y"]}), "X must have a column of floats or integers"),
        (pl.DataFrame({"a": [True]}), r"X must have a column .*\['Boolean'\]"),
        ([[1.0, np.inf]], "contains infinity"),
        ([["a", "b"]], "could not convert string"),
        (np.ma.masked_equal([[1.0, 2.0]], 2.0), "X must have no masked entries"),
    ],
)
def test_tables_without_numbers_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        numbers_of(X)
