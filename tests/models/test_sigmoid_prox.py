"""The proximal map of sigmoid codes is exact as far as it says, and says how far."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit

from sklearn_sqrtlasso.models.biased_autoencoder import BiasedAutoencoder, Objective
from sklearn_sqrtlasso.models.pointwise import POINTWISE
from sklearn_sqrtlasso.models.sigmoid_prox import (
    CONTRACTION,
    MOST_PASSES,
    exact_prox,
    largest_exact_step,
)

SHAPE = 3, 4


def make(penalty=0.3, dtype="f8"):
    rng, row = np.random.default_rng(0), POINTWISE["sigmoid"]
    X = rng.uniform(size=(9, SHAPE[1])).astype(dtype)
    objective = Objective(BiasedAutoencoder(SHAPE, row, row, penalty), X)
    return objective, X, rng.standard_normal((2, 15)).astype(dtype)


def slope_of_the_penalty(theta, X, penalty):
    """Return the gradient of the mean size of codes, by its formula."""
    W, b = theta[:12].reshape(SHAPE), theta[12:]
    Z = expit(X @ W.T + b)
    H = penalty / len(X) * Z * (1 - Z)
    return np.concatenate([(H.T @ X).ravel(), H.sum(axis=0)])


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_map_is_the_fixed_point(share, dtype):
    objective, X, (v, _) = make(dtype=dtype)
    largest = largest_exact_step(objective)
    theta = exact_prox(objective, largest)(v, share * largest)
    assert theta.dtype == dtype
    left = theta - v + share * largest * slope_of_the_penalty(theta, X, 0.3)
    # passes end at a change of EPS of the norm, or after MOST_PASSES of such a rate
    rate, moved = share * CONTRACTION, np.linalg.norm(theta - v)
    rounding = np.finfo(dtype).eps * (np.linalg.norm(v) + 1) / (1 - rate)
    size = rounding + rate**MOST_PASSES * moved
    assert_allclose(left, 0, rtol=0, atol=size)


def test_the_slope_contracts_by_the_rate_up_to_the_largest_step():
    objective, X, pairs = make()
    largest = largest_exact_step(objective)
    slopes = [slope_of_the_penalty(theta, X, 0.3) for theta in pairs]
    moved = largest * np.linalg.norm(np.subtract(*slopes))
    assert 0 < moved <= CONTRACTION * np.linalg.norm(np.subtract(*pairs))


def test_the_map_contracts_what_the_convex_part_leaves():
    objective, _, (v, w) = make()
    largest = largest_exact_step(objective)
    prox = exact_prox(objective, largest)
    apart = np.linalg.norm(prox(v, largest) - prox(w, largest))
    assert apart <= np.linalg.norm(v - w) / (1 - CONTRACTION)


def test_longer_steps_are_refused():
    objective, _, (v, _) = make()
    largest = largest_exact_step(objective)
    assert_array_equal(exact_prox(objective, largest)(v, 1.01 * largest), np.inf)


def test_the_largest_step_falls_as_the_penalty_grows():
    one, two = (largest_exact_step(make(penalty)[0]) for penalty in (0.25, 0.5))
    assert one == 2 * two


def test_without_a_penalty_the_map_moves_nothing():
    objective, _, (v, _) = make(penalty=0.0)
    assert largest_exact_step(objective) == np.inf
    assert_array_equal(exact_prox(objective, np.inf)(v, 1e9), v)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_the_largest_step_of_many_columns_is_hardly_shorter(kind, monkeypatch):
    objective = Objective(
        BiasedAutoencoder(SHAPE, POINTWISE["sigmoid"], POINTWISE["identity"], 0.3),
        kind(np.random.default_rng(0).standard_normal((30, SHAPE[1]))),
        unit=4.0,
    )
    exact = largest_exact_step(objective)
    monkeypatch.setattr("sklearn_sqrtlasso.models.sigmoid_prox.MOST_COLUMNS", 0)
    assert 0.99 * exact < largest_exact_step(objective) <= exact
