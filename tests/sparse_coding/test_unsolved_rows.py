"""What is said of rows that were not solved."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sklearn_sqrtlasso.sparse_coding.unsolved_rows import warn_unsolved_rows


def test_nothing_is_said_where_all_rows_are_solved():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_unsolved_rows(np.array([0.0, 1e-8]), 1e-8, 10)


def test_the_worst_row_and_its_gap_are_named():
    gap = np.array([0.0, 1e-3, 0.25, 1e-9])
    message = r"2 of 4 rows .* transform_tol=1e-08 .* row 2 .* gap of 2\.5e-01"
    with pytest.warns(ConvergenceWarning, match=message) as said:
        warn_unsolved_rows(gap, 1e-8, 10)
    assert len(said) == 1
    assert "duality_gap(X)" in str(said[0].message)


def test_a_gap_that_is_no_number_is_the_worst():
    with pytest.warns(ConvergenceWarning, match="row 1 .* gap of nan"):
        warn_unsolved_rows(np.array([1.0, np.nan]), 1e-8, 10)


def test_a_row_without_a_gap_did_not_find_its_support():
    with pytest.warns(ConvergenceWarning, match="row 0, whose support") as said:
        warn_unsolved_rows(np.array([np.inf, 0.0]), 1e-8, 10)
    assert "duality_gap" not in str(said[0].message)
