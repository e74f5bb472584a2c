"""Losses of sparse rows, by their nonzeros, against those of the same dense rows."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.blockwise.blocks import thread_map
from sklearn_sqrtlasso.models.biased_autoencoder import Objective
from sklearn_sqrtlasso.models.block import join_block
from sklearn_sqrtlasso.models.decoders import DECODERS
from sklearn_sqrtlasso.models.pointwise import POINTWISE
from sklearn_sqrtlasso.models.sigmoid_prox import exact_prox, largest_exact_step
from sklearn_sqrtlasso.models.span_noise import roots_of
from sklearn_sqrtlasso.models.sparse_objective import SparseObjective, objective_of
from sklearn_sqrtlasso.models.two_layer import Batch, flatten
from sklearn_sqrtlasso.models.two_layer_loss import loss_and_gradient
from tests.models.test_biased_autoencoder import ENCODERS, make
from tests.models.test_two_layer import ALL, make_batch, make_model

WIDE = 6, 40


def few_of(X):
    """Return rows of which few entries are not zero, none in a row and a column."""
    rng = np.random.default_rng(2)
    X = X * (rng.random(X.shape) < 0.1)
    X[1], X[:, 2] = 0, 0
    return X


def both(batch, X, target):
    """Return a batch of dense rows, and of the same sparse ones."""
    dense = batch._replace(X=X, target=target)
    if batch.coded:
        return dense, dense._replace(X=sp.csr_array(X))
    return dense, dense._replace(X=sp.csr_array(X), target=sp.csr_array(target))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("coded", [False, True], ids=["rows", "codes"])
def test_the_gradient_is_that_of_dense_rows(name, decoder, coded):
    model, held = make_model(name, decoder, shape=WIDE)
    batch = make_batch(coded, shape=WIDE)
    target = batch.target if coded else few_of(batch.target)
    dense, sparse = both(batch, few_of(batch.X), target)
    flat = flatten(model, held)
    loss, gradient = loss_and_gradient(model, flat, held, dense)
    ours, slope = loss_and_gradient(model, flat, held, sparse)
    assert ours == pytest.approx(loss, rel=1e-12)
    assert_allclose(slope, gradient, rtol=1e-9, atol=1e-11)


@given(st.integers(0, 10**6), st.sampled_from(["f8", "f4"]))
def test_a_loss_of_few_digits_is_that_of_decoded_rows(seed, dtype):
    """Rows that are restored up to rounding: the difference has no digits."""
    model, held = make_model("identity", shape=WIDE)
    V = few_of(np.random.default_rng(seed).standard_normal(WIDE)).astype(dtype)
    V[:, 0] = 1
    held = held._replace(W=np.linalg.pinv(V.astype("f8")).T.astype(dtype), V=V)
    p = {"alpha": np.zeros(WIDE[0], dtype)}
    held = held._replace(p=p)
    X = (np.diag(np.arange(1.0, 7)) @ V).astype(dtype)
    batch = make_batch(n_rows=6, groups=np.arange(7), shape=WIDE)
    batch = batch._replace(weight=np.ones(6, dtype))
    flat = flatten(model, held)
    dense, sparse = both(batch, X, X)
    loss = loss_and_gradient(model, flat, held, dense)[0]
    terms, rounding = np.mean(X.astype("f8") ** 2), float(np.finfo(dtype).eps)
    assert loss_and_gradient(model, flat, held, sparse)[0] == pytest.approx(
        loss, rel=1e-4, abs=100 * rounding**2 * terms
    )


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("decoder", DECODERS)
def test_noise_in_the_span_of_the_weights_is_noise_of_the_rows(kind, decoder):
    model, held = make_model("nelu", decoder, shape=WIDE)
    batch, flat = make_batch(shape=WIDE), flatten(model, held)
    X, E = few_of(batch.X), np.random.default_rng(3).standard_normal((9, WIDE[0]))
    root, inverse = roots_of(held.W)
    assert_allclose(root @ root, held.W @ held.W.T, rtol=1e-12, atol=1e-12)
    assert_allclose(root @ inverse, np.eye(WIDE[0]), atol=1e-12)
    noisy = batch._replace(X=X + E @ inverse @ held.W, target=X)
    loss, gradient = loss_and_gradient(model, flat, held, noisy)
    given_apart = batch._replace(X=kind(X), target=kind(X), noise=E)
    ours, slope = loss_and_gradient(model, flat, held, given_apart)
    assert ours == pytest.approx(loss, rel=1e-12)
    assert_allclose(slope, gradient, rtol=1e-9, atol=1e-11)


def test_noise_needs_no_weights_of_full_rank():
    W = np.random.default_rng(0).standard_normal(WIDE)
    W[1], W[2] = W[0], 0
    root, inverse = roots_of(W)
    assert_allclose(root @ root, W @ W.T, atol=1e-12)
    Q = inverse @ W
    assert_allclose(Q @ W.T, root, atol=1e-12)
    assert np.isnan(roots_of(np.full(WIDE, np.nan)).root).all()


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_threads_change_no_bit(kind):
    model, held = make_model("nelu", shape=(9, 5000))
    batch = make_batch(n_rows=300, groups=np.arange(0, 301, 5), shape=(9, 5000))
    X = kind(few_of(batch.X))
    noise = np.random.default_rng(3).standard_normal((300, 9))
    batch = batch._replace(X=X, target=X, noise=noise)
    flat, results = flatten(model, held), []
    for n_jobs in (1, 2, 3):
        with thread_map(n_jobs) as pmap:
            results.append(loss_and_gradient(model, flat, held, batch, pmap))
    for loss, gradient in results[1:]:
        assert loss == results[0][0]
        assert_array_equal(gradient, results[0][1])


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("unit", [1.0, 4.0])
def test_blocks_are_those_of_dense_rows(encoder, unit):
    model, parameters, X = make(encoder, "identity", n_rows=30, shape=WIDE)
    X = few_of(X)
    dense, ours = (
        Objective(model, X, unit=unit),
        objective_of(model, sp.csr_array(X), unit=unit),
    )
    assert isinstance(ours, SparseObjective)
    Z = dense.codes(parameters.encoder)
    assert_allclose(ours.codes(parameters.encoder), Z, rtol=1e-12, atol=1e-14)
    assert ours.value(parameters) == pytest.approx(dense.value(parameters), rel=1e-12)
    free = np.random.default_rng(1).uniform(size=Z.shape)
    for block, theta in (
        ("encoder_block", parameters.encoder),
        ("decoder_block", parameters.decoder),
        ("codes_block", free.ravel()),
    ):
        fixed = {"encoder_block": parameters.decoder, "decoder_block": Z}
        fixed = fixed.get(block, parameters.decoder)
        value, gradient = getattr(dense, block)(fixed).evaluate(theta)
        made = getattr(ours, block)(fixed)
        assert made.value(theta) == pytest.approx(value, rel=1e-12)
        found, slope = made.evaluate(theta)
        assert found == pytest.approx(value, rel=1e-12)
        assert_allclose(slope, gradient, rtol=1e-9, atol=1e-12)


def test_codes_are_those_of_the_last_encoder_evaluated():
    model, parameters, X = make("tanh", "identity", n_rows=30, shape=WIDE)
    objective = SparseObjective(model, sp.csr_array(few_of(X)))
    block, other = objective.encoder_block(parameters.decoder), parameters.encoder + 1
    block.value(other)
    assert_array_equal(block.codes(other), objective.codes(other))
    first = objective.codes(parameters.encoder)
    assert_array_equal(block.codes(parameters.encoder), first)


def test_a_decoder_that_restores_rows_has_their_loss():
    model, _, X = make("identity", "identity", n_rows=30, shape=WIDE)
    X = few_of(X)
    left, sizes, right = np.linalg.svd(X, full_matrices=False)
    model = model._replace(penalty=0.0)
    Z, V = left[:, :6] * sizes[:6], right[:6]
    low_rank = Z @ V
    low_rank[np.abs(low_rank) < 1e-14] = 0
    decoder = join_block(V, np.zeros(WIDE[1]))
    dense, ours = (
        Objective(model, low_rank),
        SparseObjective(model, sp.csr_array(low_rank)),
    )
    value = dense.decoder_block(Z).value(decoder)
    assert value < 1e-20
    assert ours.decoder_block(Z).value(decoder) == pytest.approx(value, abs=1e-28)


def test_the_exact_prox_is_that_of_dense_rows():
    model, parameters, X = make("sigmoid", "identity", n_rows=30, shape=WIDE)
    X, found = few_of(X), []
    for objective in (Objective(model, X), SparseObjective(model, sp.csr_array(X))):
        largest = largest_exact_step(objective)
        found.append(exact_prox(objective, largest)(parameters.encoder, largest / 2))
    assert_allclose(*found, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["relu", "sigmoid"])
def test_decoders_that_are_not_linear_are_evaluated_in_dense_blocks(name):
    assert not POINTWISE[name].is_linear
    model, parameters, X = make("sigmoid", name, n_rows=30, shape=WIDE)
    X = few_of(X)
    ours = objective_of(model, sp.csr_array(X))
    assert type(ours) is Objective
    expected = Objective(model, X).encoder_block(parameters.decoder)
    block = ours.encoder_block(parameters.decoder)
    assert_allclose(
        block.evaluate(parameters.encoder)[1],
        expected.evaluate(parameters.encoder)[1],
        rtol=1e-12,
    )


def test_noise_in_the_span_teaches_what_noise_of_all_entries_does():
    """Both gradients are means over many draws; that of less noise varies less."""
    model, held = make_model("tanh", shape=(2, 6))
    n_rows, rng = 40_000, np.random.default_rng(0)
    X, flat = np.tile(rng.standard_normal(6), (n_rows, 1)), flatten(model, held)
    groups, one = np.arange(n_rows + 1), np.ones(n_rows)
    noisy = X + rng.standard_normal(X.shape)
    loss, gradient = loss_and_gradient(model, flat, held, Batch(noisy, X, groups, one))
    E = rng.standard_normal((n_rows, 2))
    apart = Batch(X, X, groups, one, noise=E)
    ours, slope = loss_and_gradient(model, flat, held, apart)
    assert ours == pytest.approx(loss, rel=0.02)
    assert_allclose(slope, gradient, atol=0.02 * np.abs(gradient).max())
