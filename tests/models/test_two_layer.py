"""The gradient of the whole loss, for every activation, decoder and kind of penalty."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.blockwise import products
from sklearn_sqrtlasso.blockwise.blocks import thread_map
from sklearn_sqrtlasso.models.activations import ACTIVATIONS, ProjectedRows, unrolled
from sklearn_sqrtlasso.models.decoders import DECODERS, least_squares_atoms
from sklearn_sqrtlasso.models.two_layer import (
    Batch,
    Layers,
    TwoLayer,
    flatten,
    rescale_layers,
    unflatten,
)
from sklearn_sqrtlasso.models.two_layer_loss import loss_and_gradient
from tests import oracles

ALL = {**ACTIVATIONS, "unrolled": unrolled(4)}
# A surrogate has the gradient of its loss where no entry lies in its window, as here.
SMOOTH = [name for name in ALL if name != "sign"]
D, N, GROUPS = 6, 4, np.array([0, 1, 2, 5, 9])

each_decoder = pytest.mark.parametrize("decoder", DECODERS)


def make_model(name, decoder="free", size=None, shape=(D, N)):
    rng, activation = np.random.default_rng(0), ALL[name]
    size = shape[0] if size is None else size
    shared = {key for key in activation.parameters if activation.parameter(key).shared}
    sizes = {key: 1 if key in shared else size for key in activation.parameters}
    model = TwoLayer(shape, activation, DECODERS[decoder], False, sizes)
    W, V = rng.standard_normal((2, *shape))
    one = {"alpha": {"topk": 0.45, "helu": 0.35}.get(name, 0.3), "kappa": 0.4}
    p = {key: np.full(shape[0], one[key]) for key in one if key in sizes}
    p |= {key: np.array([0.7]) for key in shared}
    if size > 1 and name != "topk":
        p["alpha"] += rng.uniform(0, 0.1, shape[0])
    return model, Layers(W, V, p)


def make_batch(coded=False, n_rows=9, groups=GROUPS, shape=(D, N)):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((n_rows, shape[1]))
    target = rng.standard_normal((n_rows, shape[0] if coded else shape[1]))
    return Batch(X, target, groups, rng.uniform(0.5, 2, n_rows), coded)


@pytest.mark.parametrize("name", SMOOTH)
@each_decoder
@pytest.mark.parametrize("size", [0, 1, D], ids=["held", "shared", "per unit"])
@pytest.mark.parametrize("coded", [False, True], ids=["rows", "codes"])
def test_the_gradient_is_that_of_the_loss(name, decoder, size, coded):
    model, held = make_model(name, decoder, size)
    flat, batch = flatten(model, held), make_batch(coded)
    ours = loss_and_gradient(model, flat, held, batch)[1]
    expected = oracles.gradient(
        lambda w: loss_and_gradient(model, w, held, batch)[0], flat
    )
    assert_allclose(ours, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", [name for name in ALL if ALL[name].flat_at_zero])
@each_decoder
def test_few_codes_have_the_gradient_of_dense_rows(name, decoder, monkeypatch):
    model, held = make_model(name, decoder, shape=(130, 8))
    alpha = {"topk": 0.55, "soft": 6.5, "relu": 7.0}.get(name, 0.55)
    held.p["alpha"][:] = alpha
    flat, batch = flatten(model, held), make_batch(shape=(130, 8))
    few = []
    monkeypatch.setattr(products.FewProducts, "slopes", spied(few))
    ours = loss_and_gradient(model, flat, held, batch)
    assert few
    monkeypatch.setattr(products, "FEW", np.inf)
    loss, gradient = loss_and_gradient(model, flat, held, batch)
    assert_allclose(ours[0], loss, rtol=1e-12)
    assert_allclose(ours[1], gradient, rtol=0, atol=1e-12 * np.abs(gradient).max())


def spied(calls, function=products.FewProducts.slopes):
    def call(*args):
        calls.append(args)
        return function(*args)

    return call


def test_the_loss_is_the_weighted_mean_square():
    model, held = make_model("nelu", "pinv")
    batch = make_batch()
    loss = loss_and_gradient(model, flatten(model, held), held, batch)[0]
    Z = oracles.soft(batch.X @ held.W.T, 0)
    for lo, hi in itertools.pairwise(GROUPS):
        Z[lo:hi] = oracles.shrink(batch.X[lo:hi] @ held.W.T, held.p["alpha"])
    miss = Z @ np.linalg.pinv(held.W).T - batch.target
    expected = np.mean(batch.weight * np.mean(miss**2, axis=1))
    assert_allclose(loss, expected, rtol=1e-9)


@each_decoder
@pytest.mark.parametrize("name", ["nelu", "nelu_adaptive", "relu", "unrolled"])
def test_parameters_come_back_from_one_flat_array(name, decoder):
    model, held = make_model(name, decoder)
    back = unflatten(model, flatten(model, held), held)
    assert_array_equal(back.W, held.W)
    for key, value in held.p.items():
        assert_allclose(back.p[key], value, rtol=1e-14)


@pytest.mark.parametrize("n_rows", [100, 300, 1000])
def test_threads_change_no_bit(n_rows):
    model, held = make_model("nelu", shape=(40, 30))
    groups = np.arange(0, n_rows + 1, 5)
    batch = make_batch(n_rows=n_rows, groups=groups, shape=(40, 30))
    flat, results = flatten(model, held), []
    for n_jobs in (1, 2, 3):
        with thread_map(n_jobs) as pmap:
            results.append(loss_and_gradient(model, flat, held, batch, pmap))
    for loss, gradient in results[1:]:
        assert loss == results[0][0]
        assert_array_equal(gradient, results[0][1])


@pytest.mark.parametrize("name", ["nelu", "soft", "sigmoid", "unrolled"])
def test_another_unit_is_the_same_map(name):
    model, held = make_model(name)
    batch, c = make_batch(), 8.0

    def restore(layers, X):
        rows = ProjectedRows(X @ layers.W.T, GROUPS, False)
        return model.activation.value(rows, layers.p)[0] @ layers.V

    scaled = rescale_layers(held, model.activation, c)
    assert_allclose(
        restore(scaled, c * batch.X), c * restore(held, batch.X), rtol=1e-12
    )


@pytest.mark.parametrize("power", [-150, 150])
def test_a_unit_may_be_out_of_the_range_of_the_weights(power):
    model, held = make_model("sigmoid")
    W = 2.0 ** (power / 2) * held.W.astype("f4")
    V = 2.0 ** (-power / 2) * held.V.astype("f4")
    W[0], V[0] = 0, 0
    ours = rescale_layers(held._replace(W=W, V=V), model.activation, 2.0**power)
    assert ours.W.dtype == ours.V.dtype == np.float32
    assert_array_equal(ours.W, W.astype("f8") / 2.0**power)
    assert_array_equal(ours.V, V.astype("f8") * 2.0**power)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
def test_the_pseudo_inverse_is_that_of_numpy(shape):
    W = np.random.default_rng(0).standard_normal(shape)
    assert_allclose(DECODERS["pinv"].atoms(W), np.linalg.pinv(W).T, rtol=1e-9)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
@pytest.mark.parametrize(("dtype", "power"), [("f8", 1000), ("f4", 100)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_pseudo_inverse_of_larger_weights_is_smaller(shape, dtype, power, sign):
    W = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    scale, atoms = W.dtype.type(2.0) ** (sign * power), DECODERS["pinv"].atoms
    assert_array_equal(atoms(scale * W), atoms(W) / scale)


def test_weights_that_are_out_of_range_have_no_pseudo_inverse():
    W = np.array([[1.0, np.inf], [2.0, 3.0]])
    assert np.isnan(DECODERS["pinv"].atoms(W)).all()


def test_the_pseudo_inverse_drops_empty_directions():
    W = np.random.default_rng(0).standard_normal((8, 4))
    W -= W.mean(axis=1, keepdims=True)
    V = DECODERS["pinv"].atoms(W.astype("f4"))
    assert_allclose(V, np.linalg.pinv(W, rcond=1e-6).T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rank", [4, 2], ids=["full", "deficient"])
@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (4, 4)])
def test_gradients_pull_back_through_pseudo_inverses_of_any_rank(shape, rank):
    """Along weights of equal rank, the slope is that of numpy's pseudo-inverses."""
    rng = np.random.default_rng(1)
    left, right = (
        rng.standard_normal((shape[0], rank)),
        rng.standard_normal((rank, shape[1])),
    )
    W, G = left @ right, rng.standard_normal(shape)
    left_way, right_way = (
        rng.standard_normal((len(W),) * 2),
        rng.standard_normal((shape[1],) * 2),
    )

    def along(t):
        moved = (W + t * left_way @ W) @ (np.eye(shape[1]) + t * right_way)
        return np.vdot(G, np.linalg.pinv(moved, rcond=1e-8).T)

    slope = DECODERS["pinv"].pull_back(W, DECODERS["pinv"].atoms(W), G)
    way, t = left_way @ W + W @ right_way, 1e-6
    expected = (along(t) - along(-t)) / (2 * t)
    assert np.vdot(slope, way) == pytest.approx(expected, rel=1e-5)


def test_best_atoms_are_least_squares():
    rng = np.random.default_rng(0)
    Z, X = rng.standard_normal((50, 4)), rng.standard_normal((50, 6))
    V = least_squares_atoms(Z, X, block_rows=7)
    assert_allclose(V, np.linalg.lstsq(Z, X, rcond=None)[0], rtol=1e-10)
    assert_allclose(least_squares_atoms(1e200 * Z, 1e200 * X, 1e200), V, rtol=1e-10)


@pytest.mark.parametrize("shape", [(50, 8), (12, 20), (30, 25)])
@pytest.mark.parametrize("most", [2048, 5])
def test_best_atoms_of_sparse_rows_are_least_squares(shape, most, monkeypatch):
    monkeypatch.setattr("sklearn_sqrtlasso.models.decoders.MOST_MOMENTS", most)
    rng = np.random.default_rng(0)
    Z = rng.standard_normal(shape) * (rng.random(shape) < 0.3)
    X = rng.standard_normal((shape[0], 3))
    expected = np.linalg.lstsq(4 * Z, X, rcond=1e-8)[0]
    for x in (X, sp.csr_array(X)):
        V = least_squares_atoms(sp.csr_array(Z), x, 0.25, 1.0)
        assert_allclose(V, expected, rtol=1e-6, atol=1e-9)
    expected = np.linalg.lstsq(X, Z, rcond=None)[0]
    assert_allclose(least_squares_atoms(X, sp.csr_array(Z)), expected, atol=1e-12)
