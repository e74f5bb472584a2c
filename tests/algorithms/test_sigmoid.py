"""The sigmoid in one pass, against the formula."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit

from sklearn_sqrtlasso.algorithms.sigmoid import (
    SIGMOIDS,
    l1_norm,
    pull_back_sigmoid,
    sigmoid_4,
    sigmoid_8,
)
from tests import oracles

OF_DTYPE = {"f4": sigmoid_4, "f8": sigmoid_8}
each_dtype = pytest.mark.parametrize("dtype", ["f4", "f8"])


def sigmoid(U, b):
    Z = np.full_like(U, np.nan)
    OF_DTYPE[U.dtype.str[1:]](U, b, Z)
    return Z


@each_dtype
def test_a_sigmoid_is_found_by_the_bytes_of_an_entry(dtype):
    assert SIGMOIDS[np.dtype(dtype).itemsize] is OF_DTYPE[dtype]


@each_dtype
def test_the_sigmoid_is_that_of_scipy(dtype):
    rng, eps = np.random.default_rng(0), np.finfo(dtype).eps
    U = (rng.standard_normal((40, 5)) * np.geomspace(1e-9, 30, 40)[:, None]).astype(
        dtype
    )
    b = rng.standard_normal(5).astype(dtype)
    expected = expit((U + b).astype("f8"))
    assert_allclose(sigmoid(U, b), expected, rtol=4 * eps)


@each_dtype
def test_no_input_is_too_large_for_the_sigmoid(dtype):
    least = np.finfo(dtype).tiny
    U = np.array([[-np.inf, -1e30, -1e4, 0.0, 1e4, 1e30, np.inf, np.nan]], dtype)
    Z = sigmoid(U, np.zeros(8, dtype))[0]
    assert np.all((Z[:3] >= least) & (Z[:3] < 1e-30))
    assert_array_equal(Z[3:], np.array([0.5, 1, 1, 1, np.nan], dtype))


@each_dtype
def test_the_pull_back_is_that_of_the_formula(dtype):
    rng, eps = np.random.default_rng(0), np.finfo(dtype).eps
    U, G = rng.standard_normal((2, 7, 5)).astype(dtype)
    Z, H, by_b = sigmoid(U, U[0]), np.empty_like(U), np.empty_like(U[0])
    pull_back_sigmoid(Z, G, H, by_b)
    assert_allclose(H, G * Z * (1 - Z), rtol=8 * eps)
    assert_allclose(by_b, H.sum(axis=0), rtol=1e3 * eps, atol=100 * eps)


def test_the_pull_back_is_the_finite_difference():
    rng = np.random.default_rng(0)
    U, G = rng.standard_normal((2, 7, 5))
    b, H, by_b = rng.standard_normal(5), np.empty_like(U), np.empty(5)
    pull_back_sigmoid(sigmoid(U, b), G, H, by_b)
    by_differences = oracles.gradient(lambda u: np.sum(G * expit(u + b)), U)
    # central differences with a step of 1e-6: 1e-10 of rounding
    assert_allclose(H, by_differences, atol=1e-8)
    by_differences = oracles.gradient(lambda v: np.sum(G * expit(U + v)), b)
    assert_allclose(by_b, by_differences, atol=1e-8)


@each_dtype
def test_the_size_of_codes_is_summed_in_double_precision(dtype):
    Z = np.random.default_rng(0).uniform(size=(700, 30)).astype(dtype)
    total, n_others = l1_norm(Z)
    assert total == pytest.approx(Z.sum(dtype="f8"), rel=1e-14)
    assert n_others == 0
    Z[:5, 0], Z[5:9, 1] = 0, -2
    total, n_others = l1_norm(Z)
    assert total == pytest.approx(np.abs(Z).sum(dtype="f8"), rel=1e-14)
    assert n_others == 9
