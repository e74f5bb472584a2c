"""Moments of earlier rows: what they say of a change is what the rows would say."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.models.biased_autoencoder import (
    BiasedAutoencoder,
    Objective,
    Parameters,
)
from sklearn_sqrtlasso.models.earlier_rows import (
    LossOfAllRows,
    gather_rows,
    join_rows,
)
from sklearn_sqrtlasso.models.pointwise import POINTWISE

D, N = 5, 4
ROWS = np.random.default_rng(0).standard_normal((40, N)) @ np.diag([3.0, 2.0, 1.0, 0.3])


def make(encoder="tanh", decoder="identity", n_components=D, gain=1.0):
    rng, shape = np.random.default_rng(1), (n_components, N)
    pair = POINTWISE[encoder], POINTWISE[decoder]
    sizes = n_components * N + n_components, n_components * N + N
    parameters = Parameters(*(0.5 * rng.standard_normal(size) for size in sizes))
    return BiasedAutoencoder(shape, *pair, 0.0, gain), parameters


def curved(block, theta, change):
    """Return what a function rises by beyond its slope."""
    value, gradient = block.evaluate(theta)
    return block.value(theta + change) - value - gradient @ change


def rises(model, parameters, changes, n_rows=10):
    """Return the rises of earlier rows, as the two blocks of a batch of zeros say."""
    rows = gather_rows(model, ROWS, 1.0, parameters)
    of_all = LossOfAllRows(model.shape, rows, n_rows)
    batch = Objective(model, np.zeros((n_rows, N)))
    alone = batch.encoder_block(parameters.decoder)
    whole = of_all.of_encoder(alone, *parameters)
    pairs = [(alone, whole)]
    alone = batch.decoder_block(batch.codes(parameters.encoder))
    pairs.append((alone, of_all.of_decoder(alone, parameters.decoder)))
    share = n_rows / (n_rows + len(ROWS))
    for (alone, whole), theta, change in zip(pairs, parameters, changes, strict=True):
        past = whole.value(theta + change) - share * alone.value(theta + change)
        yield past / (1 - share)


def changes_of(parameters):
    rng = np.random.default_rng(2)
    return Parameters(*(0.1 * rng.standard_normal(of.shape) for of in parameters))


@pytest.mark.parametrize("encoder", ["tanh", "identity", "relu"])
def test_of_a_linear_decoder_the_rise_is_that_of_the_rows(encoder):
    model, parameters = make(encoder)
    changes = changes_of(parameters)
    objective = Objective(model, ROWS)
    block = objective.decoder_block(objective.codes(parameters.encoder))
    _, rise = rises(model, parameters, changes)
    assert rise == pytest.approx(curved(block, parameters.decoder, changes.decoder))


def test_of_a_linear_encoder_whose_codes_tell_all_the_rise_is_that_of_the_rows():
    model, parameters = make("identity")
    changes = changes_of(parameters)
    block = Objective(model, ROWS).encoder_block(parameters.decoder)
    rise, _ = rises(model, parameters, changes)
    assert rise == pytest.approx(curved(block, parameters.encoder, changes.encoder))


def test_weights_of_one_column_rise_by_its_mean_square_whatever_codes_tell():
    model, parameters = make("identity", n_components=2)
    changes = changes_of(parameters)
    block = Objective(model, ROWS).encoder_block(parameters.decoder)
    for column in range(N):
        change = np.zeros(3 * N - 2)
        change[column : 2 * N : N] = changes.encoder[column : 2 * N : N]
        rise, _ = rises(model, parameters, Parameters(change, changes.decoder))
        assert rise == pytest.approx(curved(block, parameters.encoder, change))


@pytest.mark.parametrize("decoder", ["identity", "sigmoid"])
@pytest.mark.parametrize("encoder", ["tanh", "sigmoid", "relu"])
def test_the_gradient_is_that_of_the_value(encoder, decoder):
    model, parameters = make(encoder, decoder, gain=0.5)
    rows = gather_rows(model, ROWS, 2.0, parameters)
    of_all = LossOfAllRows(model.shape, rows, 7)
    batch = Objective(model, ROWS[:7] + 1)
    block = batch.decoder_block(batch.codes(parameters.encoder))
    blocks = (
        of_all.of_encoder(batch.encoder_block(parameters.decoder), *parameters),
        of_all.of_decoder(block, parameters.decoder),
    )
    changes = changes_of(parameters)
    for block, start, change in zip(blocks, parameters, changes, strict=True):
        theta, step = start + change, 1e-6 * change
        value, gradient = block.evaluate(theta)
        assert value == pytest.approx(block.value(theta), rel=1e-12)
        slope = (block.value(theta + step) - block.value(theta - step)) / 2
        assert gradient @ step == pytest.approx(slope, rel=1e-5)


def test_rows_are_gathered_as_their_parts_and_as_sparse_ones():
    model, parameters = make("tanh", "sigmoid")
    whole = gather_rows(model, ROWS, 1.0, parameters)
    parts = [
        gather_rows(model, rows, 1.0, parameters) for rows in (ROWS[:10], ROWS[10:])
    ]
    sparse = gather_rows(model, sp.csr_array(ROWS), 1.0, parameters)
    joined = join_rows(*parts)
    assert joined.n_rows == 10 + 30 / 2
    for ours, other, expected in zip(joined[1:], sparse[1:], whole[1:], strict=True):
        assert_allclose(ours, expected, rtol=1e-10, atol=1e-14)
        assert_allclose(other, expected, rtol=1e-10, atol=1e-14)


def test_batches_of_a_stream_weigh_as_their_place():
    model, parameters = make()
    joined = None
    for place in range(6):
        rows = gather_rows(model, np.full((8, N), float(place)), 1.0, parameters)
        joined = join_rows(joined, rows)
    weights = np.arange(2.0, 8.0)
    weights[0] += 1.0  # of the first batch, which has no other before it
    expected = np.average(np.arange(6.0), weights=weights)
    assert_allclose(joined.products[-1, :-1], expected)


def test_what_is_not_finite_is_not_kept():
    model, parameters = make("identity")
    rows = gather_rows(model, ROWS, 1.0, parameters)
    with np.errstate(over="ignore", invalid="ignore"):
        assert gather_rows(model, 1e200 * ROWS, 1.0, parameters) is None
    assert join_rows(rows, None) is rows
    assert join_rows(None, rows) is rows
