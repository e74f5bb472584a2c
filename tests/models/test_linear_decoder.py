"""Losses of linear decoders by moments of codes, against those of decoded rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.models.biased_autoencoder import BiasedAutoencoder, Objective
from sklearn_sqrtlasso.models.linear_decoder import moments_of_codes, with_one
from sklearn_sqrtlasso.models.pointwise import POINTWISE

ROWS, UNITS, COLUMNS = 40, 5, 7
DTYPES = pytest.mark.parametrize("dtype", ["f8", "f4"])


def draw(dtype, seed=0):
    """Return codes, rows and a decoder with its bias."""
    rng = np.random.default_rng(seed)
    shapes = (ROWS, UNITS), (ROWS, COLUMNS), (UNITS + 1, COLUMNS)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def decoded_loss(decoder, z, x):
    """Return the mean squared error of rows, each decoded in double precision."""
    miss = with_one(z).astype("f8") @ decoder - x
    return np.sum(miss**2) / len(x)


def unreachable(decoder):
    raise AssertionError("rows are decoded, although moments have enough digits")


@DTYPES
def test_moments_tell_the_loss_and_its_gradient(dtype):
    z, x, decoder = draw(dtype)
    block = moments_of_codes(z, x).block(3.0, unreachable)
    value, slope = block.evaluate(decoder.ravel())
    tol = 1e3 * float(np.finfo(dtype).eps)
    assert value == pytest.approx(decoded_loss(decoder, z, x) + 3.0, rel=tol)
    assert block.value(decoder.ravel()) == value
    assert slope.dtype == dtype
    miss = with_one(z).astype("f8") @ decoder - x
    wanted = 2 / ROWS * with_one(z).T @ miss
    assert_allclose(slope.reshape(wanted.shape), wanted, rtol=tol, atol=tol)


@DTYPES
def test_moments_of_parts_add_up(dtype):
    z, x, _ = draw(dtype)
    whole = moments_of_codes(z, x)
    parts = moments_of_codes(z[:9], x[:9]).plus(moments_of_codes(z[9:], x[9:]))
    assert parts.n_rows == whole.n_rows == ROWS
    for part, of in zip(parts, whole, strict=True):
        assert_allclose(part, of, rtol=1e-4, atol=1e-5)


@given(st.integers(0, 10**6), st.sampled_from(["f8", "f4"]))
def test_rows_are_decoded_where_the_difference_has_no_digits(seed, dtype):
    z, _, decoder = draw(dtype, seed)
    x = with_one(z) @ decoder
    block = moments_of_codes(z, x).block(0.0, lambda of: float(np.sum(of == of)))
    assert block.value(decoder.ravel()) == decoder.size


@pytest.mark.parametrize("n_rows", [UNITS - 1, UNITS, ROWS])
def test_a_step_on_the_decoder_is_that_of_rows(n_rows):
    """Of few rows the loss is that of rows, of more it comes from moments."""
    z, x, decoder = draw("f8")
    z, x = z[:n_rows], x[:n_rows]
    linear = POINTWISE["identity"]
    model = BiasedAutoencoder((UNITS, COLUMNS), POINTWISE["sigmoid"], linear, 0.5)
    block = Objective(model, x).decoder_block(z)
    flat = decoder.ravel()
    penalty = 0.5 * np.abs(z).sum() / n_rows
    expected = decoded_loss(decoder, z, x) + penalty
    assert block.value(flat) == pytest.approx(expected, rel=1e-12)
    wanted = 2 / n_rows * with_one(z).T @ (with_one(z) @ decoder - x)
    assert_allclose(block.evaluate(flat)[1], wanted.ravel(), rtol=1e-10, atol=1e-12)
