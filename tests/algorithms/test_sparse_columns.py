"""Products and sizes of sparse columns, against those of dense ones."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.algorithms.sparse_columns import (
    correlate_columns,
    measure_columns,
)

each_dtype = pytest.mark.parametrize("dtype", ["f4", "f8"])
each_index = pytest.mark.parametrize("index", [np.int32, np.int64])
each_shape = pytest.mark.parametrize("shape", [(7, 5), (3, 1), (1, 6)])


def stored(seed, shape, dtype, index):
    """Return sparse columns, some of them empty, their arrays and a generator."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal(shape) * (rng.random(shape) < 0.4)
    X = sp.csc_array(X.astype(dtype))
    bounds = X.indptr.astype(index)
    return X, (X.data, X.indices.astype(index), bounds[:-1], bounds[1:]), rng


@each_dtype
@each_index
@each_shape
@given(st.integers(0, 10**6))
def test_columns_are_correlated(shape, index, dtype, seed):
    X, arrays, rng = stored(seed, shape, dtype, index)
    r, out = rng.standard_normal(shape[0]), np.full(shape[1], np.nan)
    correlate_columns(*arrays, r, out)
    assert_allclose(out, X.toarray().astype("f8").T @ r, rtol=0, atol=1e-13)


@each_dtype
@each_index
@each_shape
@pytest.mark.parametrize("centered", [True, False])
@given(st.integers(0, 10**6))
def test_columns_are_measured(shape, index, dtype, centered, seed):
    X, arrays, rng = stored(seed, shape, dtype, index)
    weights, factor = rng.random(shape[0]), 2.0 ** rng.integers(-40, 40)
    weights /= weights.sum()
    means, norms = np.full((2, shape[1]), np.nan)
    given = means if centered else means[:0]
    measure_columns(*arrays, weights, factor, given, norms)
    dense = X.toarray().astype("f8") * factor
    expected = weights @ dense * centered
    assert_allclose(given, expected[: len(given)], rtol=0, atol=1e-14 * factor)
    squares = weights @ (dense - expected) ** 2
    assert_allclose(norms, np.sqrt(squares), rtol=0, atol=1e-14 * factor)
