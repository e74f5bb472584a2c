"""Sparse features of a regression, however they are stored, are those of an array."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso import SqrtLasso, SqrtLassoCV, sqrt_lasso_path

SHAPES = [(60, 8), (30, 40)]
TYPES = [np.float64, np.float32, np.int64, np.int8]
REGRESSORS = [
    SqrtLasso(0.2),
    SqrtLasso(0.2, phi=0.3, fit_intercept=False),
    SqrtLasso(0.2, penalty_loadings="auto"),
    SqrtLasso(0.2, precompute=True),
    SqrtLassoCV(alphas=5, eps=0.1, cv=3),
]


def with_places(X, add, rng):
    """Store a matrix by its entries, to which others are added, in random order."""
    i, j = np.nonzero(X)
    free = np.argwhere(X == 0)[:20].T
    places, values = np.array([i, j]), X[i, j]
    if add == "zeros":
        places, values = np.hstack([places, free]), np.append(values, 0 * free[0])
    if add == "terms":  # that cancel, and entries given in two parts
        places = np.hstack([places, places, free, free])
        terms = np.ones(free.shape[1])
        values = np.concatenate([2 * values, -values, terms, -terms])
    order = rng.permutation(len(values))
    return places[:, order], values[order].astype(X.dtype)


def compressed(X, add, indices, rng):
    """Return a matrix by rows, neither sorted nor summed."""
    (i, j), values = with_places(X, add, rng)
    order = np.argsort(i, kind="stable")
    ends = np.cumsum(np.bincount(i, minlength=X.shape[0]))
    A = sp.csr_array(X.shape, dtype=X.dtype)
    A.data, A.indices = values[order], j[order].astype(indices)
    A.indptr = np.append(0, ends).astype(indices)
    assert_array_equal(A.toarray(), X)
    return A


def table(shape, dtype):
    """Return small integers with an empty row and an empty column, and a target."""
    rng = np.random.default_rng(0)
    X = np.rint(4 * rng.standard_normal(shape)) * (rng.random(shape) < 0.4)
    X[5] = X[-1] = X[:, 3] = 0
    y = X[:, :3] @ [2.0, -1.0, 1.5] + rng.standard_normal(shape[0])
    return X.astype(dtype), y, rng


@pytest.mark.parametrize("model", REGRESSORS, ids=str)
@pytest.mark.parametrize("add", ["nothing", "zeros", "terms"])
@pytest.mark.parametrize("indices", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_however_entries_are_stored_they_are_those_of_an_array(
    model, add, indices, dtype, shape
):
    X, y, rng = table(shape, dtype)
    A = compressed(X, add, indices, rng)
    parts = A.data, A.indices, A.indptr
    given = [part.copy() for part in parts]
    tol = 1e-3 if dtype == np.float32 else 1e-6
    one, two = model.fit(X, y).coef_, model.fit(A, y).coef_
    assert_allclose(two, one, atol=tol * np.abs(one).max())
    assert two.dtype == one.dtype
    assert_allclose(model.predict(A), model.predict(X), rtol=1e-4, atol=1e-6)
    for part, before in zip(parts, given, strict=True):
        assert_array_equal(part, before)


@pytest.mark.parametrize("add", ["nothing", "zeros", "terms"])
@pytest.mark.parametrize("shape", SHAPES)
def test_paths_of_entries_are_those_of_an_array(add, shape):
    X, y, rng = table(shape, np.float64)
    A = compressed(X, add, np.int64, rng)
    one, two = (sqrt_lasso_path(Z, y, alphas=5, eps=0.1).coefs for Z in (X, A))
    assert_allclose(two, one, atol=1e-6 * np.abs(one).max())
