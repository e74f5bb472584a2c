"""Rows come in many containers, dtypes and magnitudes, and mean the same in all."""

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sklearn_sqrtlasso import SqrtLassoTransform
from tests.estimators.common import (
    ROUNDING,
    SELECTORS,
    dense,
    each_groups,
    make_rows,
)

NAMES = [f"sensor{j}" for j in range(12)]
FRAMES = {
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES),
    "polars": lambda X: pl.DataFrame(X, schema=NAMES),
    "pyarrow": lambda X: pa.table(dict(zip(NAMES, X.T, strict=True))),
}
ARRAYS = {
    "list": lambda X: X.tolist(),
    "fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "reversed": lambda X: X[::-1].copy()[::-1],
}
SPARSE = {"array": sp.csr_array, "matrix": sp.csr_matrix, "coo": sp.coo_array}

each_sparse = pytest.mark.parametrize("container", SPARSE.values(), ids=SPARSE)
methods = ["transform", "reconstruct", "noise_scale", "score"]


def sparse_rows():
    return np.where(np.abs(make_rows()) < 1.5, 0, make_rows())


@pytest.mark.parametrize("container", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("method", methods)
def test_the_layout_of_rows_does_not_matter(container, method):
    X, ours = make_rows(), clone(SELECTORS["positive"]).fit(make_rows())
    expected = getattr(ours, method)(X)
    again = SqrtLassoTransform(alpha=0.4, positive=True).fit(container(X))
    assert_array_equal(getattr(again, method)(container(X)), expected)


@pytest.mark.parametrize("container", [*FRAMES.values(), *SPARSE.values()])
@pytest.mark.parametrize("method", methods)
def test_the_container_of_rows_does_not_matter(container, method):
    X, ours = sparse_rows(), clone(SELECTORS["positive"]).fit(sparse_rows())
    expected = getattr(ours, method)(X)
    again = SqrtLassoTransform(alpha=0.4, positive=True).fit(container(X))
    assert_allclose(
        getattr(again, method)(container(X)), expected, rtol=1e-9, atol=1e-9
    )


def test_rows_are_not_changed(coder):
    X = make_rows()
    coder.fit(X).reconstruct(X, groups="all")
    coder.partial_fit(X).score(X)
    assert_array_equal(X, make_rows())


def test_memory_mapped_and_read_only_rows_are_enough(coder, tmp_path):
    joblib.dump(make_rows(), tmp_path / "rows")
    X = joblib.load(tmp_path / "rows", mmap_mode="r")
    Z = dense(coder.fit(make_rows()).transform(make_rows(), groups="all"))
    assert_array_equal(dense(coder.fit(X).transform(X, groups="all")), Z)
    coder.partial_fit(X)


@pytest.mark.parametrize("dtype", ["i4", "u1", "?", "f2", ">f8"])
def test_other_numbers_are_coded_as_floats(dtype):
    X = np.rint(np.abs(make_rows())).astype(dtype)
    Z = clone(SELECTORS["under"]).fit(X).transform(X)
    assert Z.dtype.kind == "f"
    assert_array_equal(Z, clone(SELECTORS["under"]).fit(X.astype(Z.dtype)).transform(X))


@each_groups
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_single_precision_stays_single(coder, groups, n_jobs, container):
    X = container(sparse_rows().astype("f4"))
    coder = coder.set_params(n_jobs=n_jobs).fit(X, groups=groups)
    Z = coder.transform(X, groups=groups)
    assert coder.components_.dtype == Z.dtype == np.float32
    assert coder.inverse_transform(Z).dtype == np.float32
    assert coder.reconstruct(X, groups=groups).dtype == np.float32
    assert coder.noise_scale(X, groups=groups).dtype == np.float32
    assert coder.partial_fit(X).components_.dtype == np.float32


def test_single_precision_follows_double(coder):
    X = make_rows()
    high = dense(coder.fit(X).transform(X))
    low = dense(coder.transform(X.astype("f4")))
    # entries of size 15, and products of 12 of them: some roundings of 1e-6
    assert_allclose(low, high, rtol=0, atol=2e-5)


@each_groups
@each_sparse
def test_sparse_rows_are_coded_like_dense_ones(coder, groups, container):
    X = sparse_rows()
    coder = coder.fit(X)
    Z = dense(coder.transform(X, groups=groups))
    sparse = dense(coder.transform(container(X), groups=groups))
    assert_allclose(sparse, Z, **ROUNDING)


@each_groups
def test_sparse_codes_are_the_dense_codes(groups):
    X, coder = make_rows(), clone(SELECTORS["sparse"]).fit(make_rows())
    ours = coder.transform(X, groups=groups)
    Z = SqrtLassoTransform(alpha=0.4).fit(X).transform(X, groups=groups)
    assert sp.issparse(ours)
    assert ours.format == "csr"
    assert ours.nnz == np.count_nonzero(Z) < Z.size
    assert_array_equal(ours.toarray(), Z)
    assert_allclose(
        coder.inverse_transform(ours), coder.inverse_transform(Z), **ROUNDING
    )


def test_sparse_codes_come_in_the_container_that_is_asked_for():
    X, coder = make_rows(), clone(SELECTORS["sparse"]).fit(make_rows())
    assert isinstance(coder.transform(X), sp.csr_matrix)
    if "sparse_interface" in sklearn.get_config():  # scikit-learn 1.9 and later
        with sklearn.config_context(sparse_interface="sparray"):
            assert isinstance(coder.transform(X), sp.csr_array)


@pytest.mark.parametrize("container", [*FRAMES.values(), *SPARSE.values()])
def test_codes_are_decoded_from_any_container(container):
    coder = clone(SELECTORS["positive"]).fit(make_rows())
    Z = coder.transform(make_rows())
    assert_allclose(coder.inverse_transform(container(Z)), Z @ coder.components_)


@pytest.mark.parametrize("X", [[[1.0, 2.0, 3.0]], [[1.0], [2.0], [-3.0]], [[5.0]]])
@pytest.mark.parametrize("init", ["pca", "dct", "random"])
@pytest.mark.parametrize("n_components", [None, 1, 4])
def test_one_row_or_one_feature_is_enough(X, init, n_components):
    coder = SqrtLassoTransform(n_components, init=init, alpha=0.5, random_state=0)
    for method in (coder.fit, coder.partial_fit):
        Z = method(X).transform(X, groups="all")
        assert Z.shape == (len(X), n_components or len(X[0]))
        assert np.isfinite(Z).all()
        assert np.isfinite(coder.noise_scale_)


DEGENERATE = {
    "zeros": np.zeros((6, 4)),
    "constant": np.full((6, 4), 3.0),
    "constant columns": np.column_stack(
        [np.zeros(6), np.ones(6), np.arange(12).reshape(6, 2)]
    ),
    "duplicates": np.repeat(np.arange(4.0)[None], 6, axis=0),
    "one nonzero": np.eye(6, 4) * 1e-3,
    "tiny and huge": np.diag([1e-150, 1.0, 1e150, 0.0]),
}


@pytest.mark.parametrize("X", DEGENERATE.values(), ids=DEGENERATE)
@pytest.mark.parametrize("n_components", [2, 4, 7])
@pytest.mark.parametrize("alpha", ["pivotal", 0.0, 0.3, 2.0])
def test_degenerate_rows_are_fitted_and_coded(X, n_components, alpha):
    coder = SqrtLassoTransform(n_components, alpha=alpha, random_state=0).fit(X)
    for groups in (None, "all"):
        assert np.isfinite(coder.transform(X, groups=groups)).all()
        assert np.isfinite(coder.noise_scale(X, groups=groups)).all()
    assert np.isfinite(coder.objective_curve_).all()
    assert np.isfinite(coder.score(X))


@pytest.mark.parametrize("exponent", [-500, 500])
def test_the_unit_of_the_rows_scales_the_fit_exactly(coder, exponent):
    X, c = make_rows(), 2.0**exponent
    ours = coder.fit(X)
    W, curve, sigma = ours.components_, ours.objective_curve_, ours.noise_scale_
    by_c = coder.fit(c * X)
    assert_array_equal(by_c.components_, W)
    assert_array_equal(by_c.objective_curve_, c * curve)
    assert by_c.noise_scale_ == c * sigma


@pytest.mark.parametrize(
    ("scale", "dtype"), [(1e-150, "f8"), (1e150, "f8"), (1e-18, "f4"), (1e18, "f4")]
)
def test_huge_and_tiny_rows_are_fitted_like_others(scale, dtype):
    X = make_rows().astype(dtype)
    coder = SqrtLassoTransform(alpha=0.4)
    curve = coder.fit(X).objective_curve_ * scale
    by_scale = coder.fit(X.dtype.type(scale) * X).objective_curve_
    n = min(len(curve), len(by_scale))  # rounding may end one of them a step earlier
    assert_allclose(by_scale[:n], curve[:n], rtol=1e4 * np.finfo(dtype).eps)


@pytest.mark.parametrize(
    ("scale", "dtype"), [(1e-318, "f8"), (1e300, "f8"), (1e-42, "f4"), (1e30, "f4")]
)
def test_rows_at_the_ends_of_their_range_are_fitted(coder, scale, dtype):
    X = (scale * make_rows()).astype(dtype)
    for method in (coder.fit, coder.partial_fit):
        Z = dense(method(X).transform(X, groups="all"))
        assert np.isfinite(Z).all()
        assert np.isfinite(coder.objective_curve_).all()
        assert 0 < coder.noise_scale_ < 10 * scale
