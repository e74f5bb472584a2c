"""Whole Pipelines, regressions and tables of columns as graphs."""

import importlib
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import (
    Denoiser,
    NoisyCopies,
    SqrtLasso,
    SqrtLassoCV,
    SqrtLassoTransform,
)
from tests.onnx.serving import run, session

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
TABLE = X.iloc[:, :12]
X = TABLE.to_numpy()
SCALED = StandardScaler().fit_transform(X)


@pytest.fixture(scope="module")
def coder():
    return make_pipeline(StandardScaler(), SqrtLassoTransform()).fit(X)


def test_a_pipeline_of_a_scaler_and_a_coder(coder):
    options = {SqrtLassoTransform: {"reconstruct": True, "noise_scale": True}}
    for dtype, tol in {np.float32: 1e-5, np.float64: 1e-10}.items():
        rows = X.astype(dtype)
        found = run(to_onnx(coder, rows[:1], options=options))(rows)
        size = np.linalg.norm(SCALED, axis=1, keepdims=True)
        assert np.all(np.abs(found["codes"] - coder.transform(rows)) <= tol * size)
        scaled = coder[0].transform(rows)
        restored = coder[1].reconstruct(scaled)
        assert np.all(np.abs(found["reconstruct"] - restored) <= tol * size)
        sigma = coder[1].noise_scale(scaled)
        assert_allclose(found["noise_scale"][:, 0], sigma, rtol=2 * tol, atol=tol)


def test_a_classifier_after_codes():
    model = make_pipeline(
        StandardScaler(), SqrtLassoTransform(), LogisticRegression()
    ).fit(X, y)
    options = {LogisticRegression: {"zipmap": False}}
    found = run(to_onnx(model, X[:1], options=options))(X)
    assert np.array_equal(found["label"], model.predict(X))
    assert_allclose(found["probabilities"], model.predict_proba(X), atol=1e-6)


def test_rows_are_restored_for_the_next_step():
    model = make_pipeline(Denoiser(SqrtLassoTransform())).fit(SCALED)
    found = session(model, SCALED)(SCALED)
    assert_allclose(found["restored"], model.transform(SCALED), atol=1e-10)


def test_a_model_of_noisy_copies_is_a_pipeline():
    inside = make_pipeline(SqrtLassoTransform(), LogisticRegression())
    options = {LogisticRegression: {"zipmap": False}}
    for transformer in (None, StandardScaler()):
        model = NoisyCopies(inside, transformer=transformer, random_state=0)
        model.fit(SCALED, y)
        found = run(to_onnx(model, SCALED[:1], options=options))(SCALED)
        assert np.array_equal(found["label"], model.predict(SCALED))


def test_integers_are_coded_in_double_precision():
    rows = np.random.default_rng(0).integers(-5, 5, (60, 6))
    coder = SqrtLassoTransform().fit(rows)
    found = session(coder, rows)(rows)["codes"]
    assert found.dtype == np.float64
    assert_allclose(found, coder.transform(rows), atol=1e-12)


@pytest.mark.filterwarnings("ignore:The largest column")
def test_columns_of_a_frame_are_inputs_of_their_own():
    coder = SqrtLassoTransform().fit(TABLE)
    names = [name.replace(" ", "_") for name in TABLE.columns]
    types = [(name, DoubleTensorType([None, 1])) for name in names]
    serve = run(to_onnx(coder, initial_types=types))
    given = {name: X[:, [j]] for j, name in enumerate(names)}
    size = np.linalg.norm(X, axis=1, keepdims=True)
    assert np.all(
        np.abs(serve(given)["codes"] - coder.transform(TABLE)) <= 1e-10 * size
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "model", [SqrtLasso(), SqrtLasso(fit_intercept=False), SqrtLassoCV(cv=3)]
)
def test_predictions(model, dtype):
    rows = SCALED.astype(dtype)
    model.fit(SCALED, 3 * SCALED[:, 0] + y)
    found = session(model, rows)(rows)["prediction"]
    tol = {np.float32: 1e-5, np.float64: 1e-10}[dtype]
    assert_allclose(found[:, 0], model.predict(rows), atol=tol * np.abs(SCALED).max())


def test_predictions_of_several_targets():
    targets = np.column_stack([SCALED[:, 0] + y, SCALED[:, 1]])
    model = SqrtLasso().fit(SCALED, targets)
    found = session(model, SCALED)(SCALED)["prediction"]
    assert_allclose(found, model.predict(SCALED), atol=1e-10)


def test_an_opset_without_the_operators_is_refused(coder):
    with pytest.raises(ValueError, match=r"target_opset must be at least 18 .* got 15"):
        to_onnx(coder, X[:1], target_opset=15)


@pytest.mark.parametrize(
    "model", [SqrtLasso(), Denoiser(SqrtLassoTransform()), NoisyCopies(SqrtLasso())]
)
def test_what_is_not_fitted_is_named(model):
    with pytest.raises(NotFittedError, match=f"This {type(model).__name__} instance"):
        to_onnx(clone(model), X[:1])


@pytest.mark.parametrize("opset", [18, 21])
def test_opsets(coder, opset):
    found = run(to_onnx(coder, X[:1], target_opset=opset))(X)["codes"]
    assert_allclose(found, coder.transform(X), atol=1e-9)


def test_without_the_extra_the_import_says_which(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    compat = sys.modules["sklearn_sqrtlasso.onnx.compat"]
    with pytest.raises(ImportError, match=r"pip install 'sklearn-sqrtlasso\[onnx\]'"):
        importlib.reload(compat)
