"""Lazy results have the shape, dtype and numbers of the methods of estimators."""

import warnings
from itertools import pairwise

import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    PivotalPCA,
    RelaxedSparseCoder,
    SqrtLasso,
    SqrtLassoTransform,
    dask,
)
from sklearn_sqrtlasso.dask import inverse_transform, predict, score, transform
from sklearn_sqrtlasso.estimators.grouped import GroupedEncoder
from tests.dask.problems import LABELS, N_FEATURES, N_ROWS, X, Y, chunked, in_chunks

SIZES = (200, 0, 1, 309)  # of chunks
CODERS = {
    "frame": SqrtLassoTransform(3, alpha=0.3),
    "sparse": SqrtLassoTransform(4, alpha=0.3, sparse_output=True),
    "network": NeLUAutoencoder(5, max_iter=2, random_state=0),
    "atoms": RelaxedSparseCoder(4, max_iter=2, random_state=0, sparse_output=True),
    "pca": PivotalPCA(2),
    "turns": ANAMOAutoencoder(3, max_iter=2, random_state=0),
    "pipeline": make_pipeline(StandardScaler(), SqrtLassoTransform(3, alpha=0.3)),
}


@pytest.fixture(scope="module")
def coders():
    """Return the coders, fitted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: coder.fit(X) for name, coder in CODERS.items()}


def alone(coder, method, rows):
    """Return what a method returns for each chunk by itself, joined."""
    bounds = np.concatenate([[0], np.cumsum(SIZES)])
    parts = [
        getattr(coder, method)(rows[first:stop])
        for first, stop in pairwise(bounds)
        if first < stop
    ]
    return sp.vstack(parts) if sp.issparse(parts[0]) else np.concatenate(parts)


def assert_lazy(found, expected):
    """Assert that a collection announces what it is, and is what is expected."""
    assert isinstance(found, da.Array)
    assert found.chunks[0] == SIZES
    result = found.compute()
    assert found.shape == result.shape == expected.shape
    assert found.dtype == result.dtype == expected.dtype
    assert type(found._meta) is type(result)
    assert (result != expected).sum() == 0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CODERS)
def test_results_are_those_of_the_chunks(coders, name, dtype):
    coder, rows = coders[name], X.astype(dtype)
    chunks = in_chunks(rows, SIZES)
    for method in ("transform", "reconstruct", "noise_scale"):
        if hasattr(coder, method):
            found = getattr(dask, method)(coder, chunks)
            assert_lazy(found, alone(coder, method, rows))
    if name != "pipeline" or hasattr(coder, "inverse_transform"):
        codes = alone(coder, "transform", rows)
        found = inverse_transform(coder, transform(coder, chunks))
        result = found.compute()
        assert found.shape == result.shape == X.shape
        assert found.dtype == result.dtype == dtype
        expected = coder.inverse_transform(codes)
        tol = 64 * np.finfo(dtype).eps
        np.testing.assert_allclose(result, expected, rtol=0, atol=tol * abs(X).max())


@pytest.mark.parametrize("name", [name for name in CODERS if name != "pipeline"])
def test_scores_are_those_of_all_rows(coders, name):
    coder = coders[name]
    expected = coder.score(X)
    assert abs(score(coder, in_chunks(X, SIZES)) - expected) < 1e-12
    if isinstance(coder, GroupedEncoder):
        labels = np.repeat(np.arange(51), 10)  # whole in 17 chunks of 30 rows
        by_group = score(coder, chunked(X, 17), groups=chunked(labels, 17))
        assert abs(by_group - coder.score(X, groups=labels)) < 1e-12


def test_results_are_lazy(coders):
    def fail(block):
        raise AssertionError("rows were read")

    rows = chunked(X).map_blocks(fail, dtype=X.dtype, meta=X[:0])
    for method in ("transform", "reconstruct", "noise_scale"):
        assert getattr(dask, method)(coders["frame"], rows).shape[0] == N_ROWS
    with pytest.raises(AssertionError, match="rows were read"):
        transform(coders["frame"], rows).compute()


@pytest.mark.parametrize("y", [Y, Y[:, 0]], ids=["two", "one"])
def test_predictions_are_those_of_the_chunks(y):
    model = SqrtLasso().fit(X, y)
    assert_lazy(predict(model, in_chunks(X, SIZES)), alone(model, "predict", X))


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array])
def test_chunks_may_be_sparse(coders, container):
    mostly_zero = np.where(abs(X) > 1, X, 0)
    rows = in_chunks(mostly_zero, SIZES).map_blocks(container)
    found = transform(coders["frame"], rows)
    assert found.chunks == (SIZES, (3,))
    expected = coders["frame"].transform(mostly_zero)
    np.testing.assert_allclose(found.compute(), expected, atol=1e-12)


def test_sizes_of_chunks_may_be_unknown(coders):
    rows = chunked(X)[chunked(X[:, 0] > 0)]
    found = transform(coders["frame"], rows)
    assert np.isnan(found.shape[0])
    assert found.shape[1] == 3
    expected = coders["frame"].transform(X[X[:, 0] > 0])
    np.testing.assert_allclose(found.compute(), expected, atol=1e-12)


@pytest.mark.parametrize("method", ["transform", "reconstruct"])
@pytest.mark.parametrize("labels", [LABELS, np.sort(LABELS)], ids=["mixed", "sorted"])
def test_groups_may_span_chunks(coders, labels, method):
    for name in ("frame", "sparse", "network"):
        coder = coders[name]
        found = getattr(dask, method)(coder, chunked(X, 7), groups=chunked(labels, 2))
        expected = getattr(coder, method)(X, groups=labels)
        result = found.compute()
        assert found.shape == result.shape
        assert abs(result - expected).max() < 1e-12


def test_noise_levels_of_groups_need_their_rows_in_one_chunk(coders):
    coder, sizes = coders["frame"], (170, 170, 170)
    found = dask.noise_scale(
        coder, in_chunks(X, sizes), groups=chunked(np.repeat([1, 0, 5], 170))
    )
    expected = coder.noise_scale(X, groups=np.repeat([1, 0, 5], 170))
    np.testing.assert_allclose(found.compute(), expected)
    with pytest.raises(ValueError, match="in one chunk for noise_scale"):
        dask.noise_scale(coder, in_chunks(X, sizes), groups=chunked(LABELS))


def test_errors_say_what_to_do(coders):
    with pytest.raises(ValueError, match="rechunk"):
        transform(coders["frame"], chunked(X).rechunk((200, 2)))
    with pytest.raises(TypeError, match="must be a Dask array"):
        transform(coders["frame"], X)
    with pytest.raises(ValueError, match="two dimensions"):
        transform(coders["frame"], chunked(X[:, 0]))
    with pytest.raises(ValueError, match=f"expecting {N_FEATURES} features"):
        transform(coders["frame"], chunked(X[:, :4]))
    with pytest.raises(TypeError, match="groups must be a Dask collection"):
        transform(coders["frame"], chunked(X), groups=LABELS)
    with pytest.raises(TypeError, match=r"for encoders of .* got Pipeline"):
        score(coders["pipeline"], chunked(X))
    gaps = np.where(abs(X) > 2, np.nan, X)
    with pytest.raises(ValueError, match="contains NaN"):
        transform(coders["network"], chunked(gaps)).compute()


@pytest.fixture(scope="module")
def frame():
    pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    table = pd.DataFrame(X, columns=[f"c{j}" for j in range(N_FEATURES)])
    return table, dd.from_pandas(table, npartitions=3)


def test_names_are_kept(frame):
    table, parts = frame
    coder = dask.fit(SqrtLassoTransform(3, alpha=0.3), parts)
    assert list(coder.feature_names_in_) == list(table.columns)
    alone = SqrtLassoTransform(3, alpha=0.3).fit(table)
    np.testing.assert_allclose(coder.components_, alone.components_, atol=1e-10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = transform(coder, parts)
        np.testing.assert_allclose(found.compute(), coder.transform(table))
    with pytest.raises(ValueError, match="feature names"):
        transform(coder, parts.rename(columns={"c0": "other"}))


def test_frames_are_returned_if_asked_for(frame):
    table, parts = frame
    coder = SqrtLassoTransform(3, alpha=0.3).fit(table)
    coder.set_output(transform="pandas")
    found = transform(coder, parts)
    assert list(found.columns) == list(coder.get_feature_names_out())
    result = found.compute()
    assert list(result.index) == list(table.index)
    np.testing.assert_allclose(result, coder.transform(table))


def test_targets_may_be_a_series(frame):
    table, parts = frame
    model = dask.fit(SqrtLasso(), parts.drop(columns="c0"), parts["c0"])
    alone = SqrtLasso().fit(table.drop(columns="c0"), table["c0"])
    np.testing.assert_allclose(model.coef_, alone.coef_, atol=1e-12)
    assert predict(model, parts.drop(columns="c0")).compute().shape == (N_ROWS,)
