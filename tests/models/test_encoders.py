"""Learnt layers as encoders: what they write is the activation of their products."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal

from sklearn_sqrtlasso.models.activations import ACTIVATIONS, ProjectedRows, unrolled
from sklearn_sqrtlasso.models.encoders import BiasedEncoder, LayerEncoder
from sklearn_sqrtlasso.models.pointwise import POINTWISE

ALL = {**ACTIVATIONS, "unrolled": unrolled(3)}
POOLED = [name for name, row in ALL.items() if row.at_scale is not None]
GROUPS = np.array([0, 1, 4, 6])

each = pytest.mark.parametrize("name", ALL)
each_function = pytest.mark.parametrize("name", POINTWISE)
each_sign = pytest.mark.parametrize("positive", [False, True])
each_dtype = pytest.mark.parametrize("dtype", ["f4", "f8"])


def make(name, dtype="f8", positive=False):
    """Return rows, whole numbers, which lose nothing in products, and an encoder."""
    rng = np.random.default_rng(0)
    X, W = rng.integers(-4, 5, (6, 5)), rng.integers(-2, 3, (4, 5))
    p = {"alpha": np.full(4, 0.6), "kappa": np.full(4, 0.5)}
    p |= {"step": np.array([0.8]), "momentum": np.array([0.3])}
    p = {key: p[key].astype(dtype) for key in ALL[name].parameters}
    return X.astype(dtype), LayerEncoder(W.astype(dtype), positive, ALL[name], p)


def biased(name, dtype="f8"):
    X, layer = make("nelu", dtype)
    b = np.linspace(-1, 1, 4, dtype=dtype)
    return X, BiasedEncoder(layer.components, b, POINTWISE[name])


def encoded(X, encoder):
    """Return codes and scales, from memory that held nonsense."""
    workspace, out = np.full((2, 6, 4), np.nan, X.dtype)
    scale, gap = encoder.encode(X, GROUPS, workspace, out)
    assert gap is None
    return out, scale


@each
@each_sign
@each_dtype
def test_a_layer_writes_the_activation_of_its_products(name, positive, dtype):
    X, encoder = make(name, dtype, positive)
    Z, scale = encoded(X, encoder)
    rows = ProjectedRows(X @ encoder.components.T, GROUPS, positive)
    expected, memory = ALL[name].value(rows, encoder.p)
    assert_array_equal(Z, expected)
    assert scale.shape == (6,)
    assert scale.dtype == dtype
    assert_array_equal(scale, memory if name in POOLED else 0)


@each_function
@each_dtype
def test_a_biased_layer_writes_the_function_of_its_products(name, dtype):
    X, encoder = biased(name, dtype)
    Z, scale = encoded(X, encoder)
    expected = POINTWISE[name].value(X @ encoder.components.T, encoder.bias)[0]
    assert_array_equal(Z, expected)
    assert_array_equal(scale, np.zeros(6, dtype))


@pytest.mark.parametrize("encoder", [make("nelu")[1], biased("tanh")[1]])
def test_sparse_rows_are_coded_as_dense_ones(encoder):
    X = make("nelu")[0]
    assert_array_equal(encoded(sp.csr_array(X), encoder)[0], encoded(X, encoder)[0])


@pytest.mark.parametrize("name", POOLED)
@each_sign
def test_parts_of_a_group_are_coded_at_its_scale(name, positive):
    X, encoder = make(name, positive=positive)
    Z, scale = encoded(X, encoder)
    part = np.full((2, 4), np.nan)
    encoder.shrink_at_scale(*encoder.project(X[2:4]), scale[2], part)
    assert_array_equal(part, Z[2:4])


def test_what_is_projected_has_nothing_outside():
    X, encoder = make("nelu")
    out = np.empty((6, 4))
    U, outside = encoder.project(X, out)
    assert U is out
    assert_array_equal(U, X @ encoder.components.T)
    assert_array_equal(outside, np.zeros(6))


@each
def test_a_layer_pools_what_its_activation_pools(name):
    encoder = make(name)[1]
    assert encoder.pools_groups == ALL[name].pools_groups
    assert encoder.whole_groups == ALL[name].whole_groups
    assert encoder.n_components == 4
    assert encoder.rows_per_block(3) >= 1


@each_function
def test_rows_of_a_biased_layer_stand_alone(name):
    encoder = biased(name)[1]
    assert (encoder.pools_groups, encoder.whole_groups) == (False, False)
    assert encoder.n_components == 4
    assert encoder.rows_per_block(3) >= 1
