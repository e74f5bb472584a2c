"""Sessions of converted estimators, and rows that are hard to code."""

import numpy as np
import onnxruntime
from skl2onnx import to_onnx

from sklearn_sqrtlasso.onnx import register

register()


def session(estimator, X, options=()):
    """Return a function of rows: the outputs of the converted estimator by name."""
    given = {type(estimator): dict.fromkeys(options, True)} if options else None
    model = to_onnx(estimator, X[:1], options=given)
    return run(model)


def run(model):
    """Return a function of rows, or of columns by name, for a model."""
    engine = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    outputs = [output.name for output in engine.get_outputs()]
    first = engine.get_inputs()[0].name

    def serve(X):
        given = X if isinstance(X, dict) else {first: X}
        return dict(zip(outputs, engine.run(None, given), strict=True))

    return serve


def hostile_rows(n_features, n_rows=300):
    """Return rows of 12 decades with ties, zeros, constants and single entries."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, n_features))
    X[:50] = np.round(X[:50])
    X[50:60], X[60:70] = 0, 1
    X[70:80] = np.eye(n_features)[rng.integers(0, n_features, 10)]
    return X * 10 ** rng.uniform(-6, 6, (n_rows, 1))
