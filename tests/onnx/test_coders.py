"""Graphs of encoders, run by ONNX Runtime and by the encoders."""

from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from onnx import TensorProto, helper
from scipy.sparse import issparse

from sklearn_sqrtlasso import (
    NeLUAutoencoder,
    PivotalPCA,
    RelaxedSparseCoder,
    SqrtLassoTransform,
)
from sklearn_sqrtlasso.models.activations import ACTIVATIONS
from sklearn_sqrtlasso.models.pointwise import POINTWISE
from sklearn_sqrtlasso.onnx.graph import Graph, Tensor
from sklearn_sqrtlasso.onnx.noise import truncated_variance
from sklearn_sqrtlasso.onnx.shrinkage import (
    ACTIVATION_GRAPHS,
    POINTWISE_GRAPHS,
    SELECTOR_GRAPHS,
)
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS
from sklearn_sqrtlasso.theory import noise
from tests.estimators.encoders import ATOMS, ENCODERS, N_FEATURES, SHORT
from tests.onnx.serving import hostile_rows, run, session

RNG = np.random.default_rng(1)
TRAINING = RNG.standard_normal((80, 3)) @ RNG.standard_normal((3, N_FEATURES))
TRAINING += 0.3 * RNG.standard_normal(TRAINING.shape)
ROWS = hostile_rows(N_FEATURES)
PRECISION = {np.float32: 1e-5, np.float64: 1e-10}
KINDS = ("Transform-", "activation=", "decoder=", "NeLUAutoencoder-positive", "binary")
CLOSED = {"phi": 1.0, "random_state": 0}
MORE = {
    **{
        f"positive {name}": NeLUAutoencoder(20, positive=True, activation=name, **SHORT)
        for name, row in ACTIVATIONS.items()
        if row.offers_positive
    },
    "no penalty": SqrtLassoTransform(alpha=0, **SHORT),
    "largest penalty": SqrtLassoTransform(alpha=1e12, **SHORT),
    "almost no slack": SqrtLassoTransform(alpha=1.01 * N_FEATURES**-0.5, **SHORT),
    "one component": SqrtLassoTransform(1, alpha=0.5, positive=True, **SHORT),
    **{
        f"{name}, positive={positive}": RelaxedSparseCoder(
            dictionary=ATOMS, selector=name, positive=positive, **CLOSED
        )
        for name in SELECTOR_GRAPHS
        for positive in (False, True)
    },
    "all atoms": RelaxedSparseCoder(n_nonzero_coefs=99, selector="topk", **CLOSED),
}
CODERS = MORE | {
    name: coder
    for name, coder in ENCODERS.items()
    if any(kind in name for kind in KINDS)
}
each_coder = pytest.mark.parametrize("name", CODERS)
each_dtype = pytest.mark.parametrize("dtype", PRECISION)


@cache
def fitted(name):
    return CODERS[name].fit(TRAINING)


def options_of(coder):
    has_levels = not isinstance(coder, RelaxedSparseCoder)
    return ("reconstruct", "noise_scale") if has_levels else ("reconstruct",)


def dense(Z):
    return Z.toarray() if issparse(Z) else Z


@pytest.mark.filterwarnings("ignore")  # of short fits, and of units without codes
@each_dtype
@each_coder
def test_the_engine_and_the_encoder_agree(name, dtype):
    coder, X, tol = fitted(name), ROWS.astype(dtype), PRECISION[dtype]
    found = session(coder, X, options_of(coder))(X)
    Z, restored = dense(coder.transform(X)), coder.reconstruct(X)
    size = np.linalg.norm(X - getattr(coder, "mean_", 0), axis=1, keepdims=True)
    gain = max(1, np.abs(coder.components_).max())
    for output, wanted in {"codes": Z, "reconstruct": restored}.items():
        assert found[output].dtype == dtype
        scale = np.maximum(size, np.abs(wanted).max(axis=1, keepdims=True))
        assert np.all(np.abs(found[output] - wanted) <= tol * gain * scale)
    gap = np.abs(found["codes"] - Z)
    rounding = 16 * np.finfo(dtype).eps * np.maximum(size, Z.max(axis=1, keepdims=True))
    assert np.all((gap <= rounding) | ((found["codes"] != 0) == (Z != 0)))
    if "noise_scale" in found:
        sigma = coder.noise_scale(X)[:, None]
        assert_allclose(found["noise_scale"], sigma, rtol=tol)


@pytest.mark.parametrize("name", ["Transform-default", "Autoencoder-default"])
def test_a_row_does_not_depend_on_its_batch(name):
    coder = next(of for key, of in ENCODERS.items() if key.endswith(name)).fit(TRAINING)
    serve = session(coder, ROWS, ("noise_scale",))
    whole, one = serve(ROWS), serve(ROWS[7:8])
    for output, values in whole.items():
        assert values.shape[0] == len(ROWS)
        assert_allclose(one[output], values[7:8], rtol=1e-12)


def test_scaling_a_row_scales_its_code():
    coder = NeLUAutoencoder(20, **SHORT).fit(TRAINING)
    serve = session(coder, ROWS)
    Z = serve(ROWS)["codes"]
    assert_array_equal(serve(2**20 * ROWS)["codes"], 2**20 * Z)


def test_there_is_a_graph_of_every_closed_form():
    assert set(ACTIVATION_GRAPHS) == set(ACTIVATIONS)
    assert set(POINTWISE_GRAPHS) == set(POINTWISE)
    closed = {name for name, row in SELECTORS.items() if row.closed_form}
    assert set(SELECTOR_GRAPHS) == closed


@pytest.mark.parametrize(
    ("coder", "says"),
    [
        (PivotalPCA(), "PivotalPCA has no ONNX graph"),
        (RelaxedSparseCoder(selector="omp"), "selector must be one of .*'omp' solves"),
        (RelaxedSparseCoder(selector="topk", phi=0.5), "phi must be 1 .*phi=0.5"),
        (NeLUAutoencoder(n_unrolled=3, **SHORT), "n_unrolled must be None .* got 3"),
        (SqrtLassoTransform(outlier_alpha="auto"), "outlier_alpha must be None"),
    ],
)
def test_what_has_no_closed_form_says_why(coder, says):
    coder.fit(TRAINING)
    with pytest.raises(ValueError, match=says):
        session(coder, TRAINING)


def test_levels_after_a_refit_have_no_graph():
    coder = RelaxedSparseCoder(selector="threshold", **CLOSED).fit(TRAINING)
    with pytest.raises(ValueError, match=r"noise_scale is not available .* refit"):
        session(coder, TRAINING, ("noise_scale",))


def test_the_series_is_the_variance_of_a_truncated_gaussian():
    names = iter(f"t{i}" for i in range(10**6))
    graph = Graph(lambda kind: next(names))
    variance = truncated_variance(Tensor(graph, "a", np.dtype(np.float64)))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, None])
        for name in ("a", variance.name)
    ]
    nodes = [helper.make_node(k, i, o, **a) for k, i, o, a in graph.nodes]
    made = helper.make_graph(nodes, "g", ends[:1], ends[1:], graph.constants)
    opset = [helper.make_opsetid("", 18)]
    serve = run(helper.make_model(made, opset_imports=opset, ir_version=8))
    a = np.linspace(1, 12, 500)[:, None]
    found = serve(a)[variance.name]
    assert_allclose(found, noise.truncated_variance(a), atol=1e-12)
