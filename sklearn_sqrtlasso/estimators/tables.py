"""Tables: arrays and data frames, of which noise changes the numeric columns."""

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.estimators.compat import (
    take,
)
from sklearn_sqrtlasso.estimators.validation import (
    DTYPES,
    check_array,
    refuse_masked,
)


def is_frame(X):
    """Return whether a table is a data frame of pandas or polars.

    Parameters
    ----------
    X : array-like or data frame
        Table.

    Returns
    -------
    named : bool
        Whether its columns have names and dtypes of their own.
    """
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def numbers_of(X):
    """Return the numeric columns of a table.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_features)
        Table. Columns of a frame that are neither floats nor integers are left out.

    Returns
    -------
    numbers : ndarray of shape (n_samples, n_numeric)
        Floats, NaN where missing.

    Raises
    ------
    ValueError
        If X is sparse, has infinite entries, or no numeric columns.
    """
    if sp.issparse(X):
        raise ValueError(
            "X must be dense, since sparse rows with noise are dense; got a sparse "
            f"matrix of shape {X.shape}: use X.toarray(), or reduce the columns first."
        )
    refuse_masked({"X": X})
    if is_frame(X):
        places = _numeric_places(X)
        if not places:
            raise ValueError(
                "X must have a column of floats or integers to add noise to, got "
                f"dtypes {sorted({str(dtype) for dtype in X.dtypes})}."
            )
        X = take(X, places, axis=1)
        X = X if _is_pandas(X) else X.to_numpy()  # in the dtype of its columns
    return check_array(X, dtype=DTYPES, ensure_all_finite="allow-nan", input_name="X")


def with_numbers(X, numbers, rows=None):
    """Return a table with other values in its numeric columns.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_features)
        Table.
    numbers : ndarray of shape (n_rows, n_numeric)
        Values.
    rows : ndarray of shape (n_rows,), default=None
        Which row of X has the other columns of each row; None keeps the rows.

    Returns
    -------
    table : ndarray or data frame of shape (n_rows, n_features)
        Array if X is none of the frames, else a frame with the columns of X.
    """
    if not is_frame(X):
        return numbers
    table, places = X if rows is None else take(X, rows), _numeric_places(X)
    if _is_pandas(table):
        table = table.copy()
        for place, values in zip(places, numbers.T, strict=True):
            table.isetitem(place, np.ascontiguousarray(values))
        return table
    names = [table.columns[place] for place in places]
    return table.with_columns(type(table)(numbers, schema=names).get_columns())


def _is_pandas(frame):
    return hasattr(frame, "isetitem")


def _numeric_places(X):
    return [place for place, dtype in enumerate(X.dtypes) if _is_numeric(dtype)]


def _is_numeric(dtype):
    if hasattr(dtype, "is_numeric"):  # polars
        return dtype.is_numeric()
    return getattr(dtype, "kind", "O") in "iuf"
