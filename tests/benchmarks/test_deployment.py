"""Served models: time a row in ONNX Runtime beside ours, and the size of files."""

import pickle
from functools import cache

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sklearn_sqrtlasso import NeLUAutoencoder, SqrtLassoTransform

N_FEATURES, N_COMPONENTS = 64, 256
CODERS = {
    "frame": SqrtLassoTransform(N_COMPONENTS, alpha=0.2, init="random", max_iter=0),
    "nelu": NeLUAutoencoder(N_COMPONENTS, max_iter=1),
    "topk": NeLUAutoencoder(N_COMPONENTS, max_iter=1, activation="topk"),
    "relu": NeLUAutoencoder(N_COMPONENTS, max_iter=1, activation="relu"),
}


@cache
def pipeline_and_rows(name):
    """Return a Pipeline fitted in single precision, and rows."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8192, 8)) @ rng.standard_normal((8, N_FEATURES))
    X = (X + 0.3 * rng.standard_normal(X.shape)).astype(np.float32)
    model = make_pipeline(StandardScaler(), CODERS[name].set_params(random_state=0))
    return model.fit(X[:1024]), X


def converted(model, X):
    """Return the bytes of a model in ONNX."""
    skl2onnx = pytest.importorskip("skl2onnx")
    from sklearn_sqrtlasso.onnx import register

    register()
    return skl2onnx.to_onnx(model, X[:1]).SerializeToString()


@pytest.mark.parametrize("n_rows", [1, 8192])
@pytest.mark.parametrize("name", CODERS)
def test_rows_in_onnxruntime(race, note, name, n_rows):
    onnxruntime = pytest.importorskip("onnxruntime")
    model, X = pipeline_and_rows(name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    engine = onnxruntime.InferenceSession(
        converted(model, X), options, providers=["CPUExecutionProvider"]
    )
    rows, repeats = X[:n_rows], 200 if n_rows == 1 else 1

    def ours():
        for _ in range(repeats):
            model.transform(rows)

    def engine_runs():
        for _ in range(repeats):
            engine.run(None, {"X": rows})

    with threadpool_limits(1):
        medians = race(ours, onnxruntime=engine_runs)
    each = {of: 1e6 * time / repeats / n_rows for of, time in medians.items()}
    note(", ".join(f"{of} {time:.3g} us a row" for of, time in each.items()))


@pytest.mark.parametrize("name", CODERS)
def test_size_of_files(benchmark, note, name):
    skops = pytest.importorskip("skops.io")
    model, X = pipeline_and_rows(name)
    onnx = benchmark.pedantic(converted, (model, X), rounds=1)
    sizes = {
        "ONNX": len(onnx),
        "pickle": len(pickle.dumps(model)),
        "skops": len(skops.dumps(model)),
        "parameters": 4 * sum(of.size for of in parameters(model[1])),
    }
    note(", ".join(f"{of} {size / 1024:.0f} KiB" for of, size in sizes.items()))
    assert sizes["ONNX"] < sizes["parameters"] + 2**14


def parameters(coder):
    """Return the arrays that codes depend on."""
    names = ("components_", "alpha_", "mean_")
    return [np.asarray(getattr(coder, name)) for name in names if hasattr(coder, name)]
