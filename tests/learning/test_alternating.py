"""Nested alternating minimisation: it never rises, and finds what is to be found."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.blockwise.blocks import thread_map
from sklearn_sqrtlasso.learning.alternating import (
    METHODS,
    Alternation,
    InnerSolver,
    minimize_block,
)
from sklearn_sqrtlasso.learning.binarization import flip_bits, refit_bits
from sklearn_sqrtlasso.models.biased_autoencoder import (
    BiasedAutoencoder,
    Objective,
    Parameters,
)
from sklearn_sqrtlasso.models.block import BlockFunction
from sklearn_sqrtlasso.models.pointwise import BITS, POINTWISE
from sklearn_sqrtlasso.models.sigmoid_prox import exact_prox, largest_exact_step

each_method = pytest.mark.parametrize("method", METHODS)


def make(encoder="sigmoid", decoder="sigmoid", n_rows=60, seed=0):
    rng, d, n = np.random.default_rng(seed), 4, 6
    model = BiasedAutoencoder((d, n), POINTWISE[encoder], POINTWISE[decoder], 0.05)
    first = rng.standard_normal(d * n + d), rng.standard_normal(d * n + n)
    plane = rng.standard_normal((n_rows, 2)) @ rng.standard_normal((2, n))
    return model, Parameters(*first), 1 / (1 + np.exp(-plane))


def alternation(model, parameters, encoder, decoder, exact=False):
    memory = {"encoder": {}, "decoder": {}}
    return Alternation(model, parameters, encoder, decoder, memory, exact, map)


def quadratic(scale, size=8):
    rng = np.random.default_rng(1)
    A = rng.standard_normal((20, size)) * np.geomspace(1, 5, size)
    best = rng.standard_normal(size)

    def value(w):
        return 0.5 * scale * float(np.sum((A @ (w - best)) ** 2))

    return best, BlockFunction(
        lambda w: (value(w), scale * A.T @ (A @ (w - best))), value
    )


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("method", ["gradient", "fista", "accelerated", "lbfgs"])
def test_automatic_steps_suit_any_scale(method, scale):
    best, block = quadratic(scale)
    theta, memory = np.zeros(8), {}
    for _ in range(100):
        theta, _ = minimize_block(block, theta, InnerSolver(method, 20), memory)
    assert_allclose(theta, best, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("first", "second"), list(itertools.product(METHODS, METHODS)))
def test_the_loss_never_rises(first, second):
    model, parameters, X = make()
    objective = Objective(model, X)
    start = objective.value(parameters)
    on_way = alternation(
        model, parameters, InnerSolver(first, 5), InnerSolver(second, 7)
    )
    losses = [start, *(on_way.iterate([objective]) for _ in range(10))]
    assert np.all(np.diff(losses) <= 0)
    by_encoder, by_decoder = on_way.curves["encoder"], on_way.curves["decoder"]
    assert np.all(np.array(by_decoder) <= by_encoder)
    assert losses[-1] < start
    assert objective.value(on_way.parameters) == pytest.approx(losses[-1], rel=1e-12)


@given(step=st.floats(1e-6, 1e6), seed=st.integers(0, 20))
def test_no_given_step_makes_it_rise(step, seed):
    model, parameters, X = make(seed=seed)
    objective = Objective(model, X)
    on_way = alternation(
        model,
        parameters,
        InnerSolver("fista", 3, step),
        InnerSolver("accelerated", 3, step),
    )
    losses = [objective.value(parameters)]
    losses += [on_way.iterate([objective]) for _ in range(3)]
    assert np.all(np.diff(losses) <= 0)


def test_exact_steps_lead_to_where_the_whole_gradient_vanishes():
    model, parameters, X = make()
    objective = Objective(model, X)
    whole = objective.encoder_block(parameters.decoder)
    block = objective.encoder_block(parameters.decoder, smooth=False)
    block = block._replace(prox=exact_prox(objective, largest_exact_step(objective)))
    theta, memory = parameters.encoder, {}
    before = np.linalg.norm(whole.evaluate(theta)[1])
    for _ in range(10):
        theta, _ = minimize_block(block, theta, InnerSolver("fista", 40), memory)
    assert np.linalg.norm(whole.evaluate(theta)[1]) < 1e-2 * before


def test_one_step_of_fista_is_a_proximal_gradient_step():
    model, parameters, X = make()
    objective = Objective(model, X)
    block = objective.encoder_block(parameters.decoder, smooth=False)
    prox = exact_prox(objective, np.inf)
    block = block._replace(prox=prox)
    theta = parameters.encoder
    found, _ = minimize_block(block, theta, InnerSolver("fista", 1, 0.1), {})
    expected = prox(theta - 0.1 * block.evaluate(theta)[1], 0.1)
    assert_array_equal(found, expected)


def test_three_steps_are_those_of_the_formula():
    model, (encoder, decoder), X = make()
    block, step = Objective(model, X).encoder_block(decoder), 0.05
    x, y, s = encoder, encoder, 1.0
    for _ in range(3):
        new = y - step * block.evaluate(y)[1]
        faster = (1 + np.sqrt(1 + 4 * s * s)) / 2
        y, x, s = new + (s - 1) / faster * (new - x), new, faster
    found, value = minimize_block(block, encoder, InnerSolver("fista", 3, step), {})
    assert_allclose(found, x, rtol=1e-12)
    assert value == pytest.approx(block.value(x), rel=1e-12)


def test_bits_change_for_the_better_only():
    model, parameters, X = make()
    objective = Objective(model._replace(encoder=BITS), X)
    bits = (np.random.default_rng(0).uniform(size=(60, 4)) > 0.5).astype(float)
    block = objective.decoder_block(bits)
    changed = flip_bits(objective, bits, parameters.decoder)
    assert set(np.unique(changed)) <= {0.0, 1.0}
    after = objective.decoder_block(changed).value(parameters.decoder)
    assert after < block.value(parameters.decoder)


def test_losses_of_bits_fall_where_the_decoder_is_fitted():
    model, parameters, X = make()
    objective = Objective(model._replace(encoder=BITS), X)
    codes = np.random.default_rng(0).uniform(size=(60, 4))
    with thread_map(1):  # these products are too small for the threads of BLAS
        refitted, losses = refit_bits(
            objective, parameters, codes, np.random.default_rng(1)
        )
    assert losses["flipped"] <= losses["refitted"] <= losses["binarized"]
    assert losses["encoded"] <= losses["regressed"]
    assert objective.value(refitted) == pytest.approx(losses["encoded"], rel=1e-12)
