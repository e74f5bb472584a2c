"""Two layers with biases: gradients of both blocks, units, and the exact prox."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.blockwise.blocks import thread_map
from sklearn_sqrtlasso.models.biased_autoencoder import (
    BiasedAutoencoder,
    Objective,
    Parameters,
    rescale_model,
    rescale_parameters,
)
from sklearn_sqrtlasso.models.block import join_block, split_block
from sklearn_sqrtlasso.models.pointwise import POINTWISE, smoothstep
from sklearn_sqrtlasso.models.sigmoid_prox import exact_prox, largest_exact_step
from tests import oracles

SMOOTH = [name for name, row in POINTWISE.items() if not row.surrogate]
ENCODERS = {name: POINTWISE[name] for name in SMOOTH} | {"step": smoothstep(2.0)}
SHAPE = 3, 4


def make(encoder="sigmoid", decoder="sigmoid", n_rows=7, shape=SHAPE, penalty=0.3):
    rng, d, n = np.random.default_rng(0), *shape
    model = BiasedAutoencoder(shape, ENCODERS[encoder], POINTWISE[decoder], penalty)
    parameters = Parameters(
        rng.standard_normal(d * n + d), rng.standard_normal(d * n + n)
    )
    return model, parameters, rng.uniform(size=(n_rows, n))


@pytest.mark.parametrize(
    ("encoder", "decoder"), list(itertools.product(ENCODERS, SMOOTH))
)
def test_gradients_are_those_of_the_loss(encoder, decoder):
    model, parameters, X = make(encoder, decoder)
    objective = Objective(model._replace(gain=0.7), X)
    Z = objective.codes(parameters.encoder)
    for block, theta in (
        (objective.encoder_block(parameters.decoder), parameters.encoder),
        (objective.decoder_block(Z), parameters.decoder),
    ):
        value, ours = block.evaluate(theta)
        assert value == pytest.approx(block.value(theta), rel=1e-14)
        expected = oracles.gradient(block.value, theta)
        assert_allclose(ours, expected, rtol=1e-5, atol=1e-7)


def test_the_gradient_of_free_codes_is_that_of_the_loss():
    model, parameters, X = make()
    block = Objective(model, X).codes_block(parameters.decoder)
    Z = np.random.default_rng(1).uniform(0.2, 0.8, 3 * len(X))
    assert_allclose(
        block.evaluate(Z)[1], oracles.gradient(block.value, Z), rtol=1e-5, atol=1e-7
    )


def test_the_loss_is_that_of_the_formula():
    model, (encoder, decoder), X = make()
    W, b = encoder[:12].reshape(3, 4), encoder[12:]
    V, c = decoder[:12].reshape(3, 4), decoder[12:]
    Z = 1 / (1 + np.exp(-(X @ W.T + b)))
    miss = 1 / (1 + np.exp(-(Z @ V + c))) - X
    expected = np.mean(np.sum(miss**2, axis=1) + 0.3 * np.sum(Z, axis=1))
    value = Objective(model, X).value(Parameters(encoder, decoder))
    assert value == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("encoder", ["sigmoid", "relu", "identity"])
@pytest.mark.parametrize("decoder", ["sigmoid", "relu", "identity"])
def test_another_unit_is_the_same_objective(encoder, decoder):
    model, parameters, X = make(encoder, decoder)
    value = Objective(model, X).value(parameters)
    unit = 8.0
    inside = rescale_parameters(model, parameters, 1 / unit)
    scaled = Objective(rescale_model(model, unit), X, unit=unit).value(inside)
    assert scaled * unit**2 == pytest.approx(value, rel=1e-13)
    back = rescale_parameters(model, inside, unit)
    assert_array_equal(back.encoder, parameters.encoder)


def test_a_unit_may_be_out_of_the_range_of_the_parameters():
    model, parameters, _ = make("sigmoid", "identity")
    unit = 2.0**150  # W is divided by it; the decoder is multiplied by it
    W, b = split_block(parameters.encoder.astype("f4"), SHAPE)
    decoder = 2.0**-75 * parameters.decoder.astype("f4")
    given = Parameters(join_block(2.0**75 * W, b), decoder)
    ours = rescale_parameters(model, given, unit)
    assert ours.encoder.dtype == ours.decoder.dtype == np.float32
    assert_array_equal(ours.encoder, join_block(2.0**-75 * W, b))
    assert_array_equal(ours.decoder, decoder.astype("f8") * unit)


def test_the_exact_prox_is_a_minimiser():
    model, parameters, X = make(penalty=0.5)
    objective = Objective(model, X)
    largest = largest_exact_step(objective)
    prox, v = exact_prox(objective, largest), parameters.encoder
    step = 0.9 * largest
    theta = prox(v, step)

    def loss(w):
        size = objective.codes(w).sum(axis=1).mean()
        return 0.5 * step * size + 0.5 * np.sum((w - v) ** 2)

    assert_allclose(oracles.gradient(loss, theta), 0, atol=1e-8)
    assert not np.isfinite(prox(v, 2 * largest)).any()


def test_threads_change_no_bit():
    model, parameters, X = make(n_rows=5000, shape=(40, 30))
    found = []
    for n_jobs in (1, 2, 3):
        with thread_map(n_jobs) as pmap:
            block = Objective(model, X, pmap).encoder_block(parameters.decoder)
            found.append(block.evaluate(parameters.encoder))
    for value, gradient in found[1:]:
        assert value == found[0][0]
        assert_array_equal(gradient, found[0][1])


def test_large_batches_are_split_for_threads_and_small_ones_are_not():
    assert len(Objective(*make(shape=(256, 64), n_rows=500)[::2]).parts) > 1
    assert len(Objective(*make(shape=(8, 4), n_rows=500)[::2]).parts) == 1
