"""Least squares on supports, and thresholding with inversion, against numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.algorithms.refit import (
    refit_rows,
    smallest_of_largest,
    threshold_and_invert,
)
from tests import oracles, sized
from tests.problems import general, problems

MAX_ITER = 200


def refit(X, D, Z, phi=0.0):
    out, turned = np.full_like(Z, np.nan), np.ones(len(X), dtype=bool)
    refit_rows(X, D, D @ D.T, Z, phi, out, turned)
    return out, turned


def invert(X, D, k, factor=0.0, positive=False, max_iter=MAX_ITER):
    Z, n_iter = np.full((len(X), len(D)), np.nan), np.zeros(len(X), dtype=int)
    G, C = D @ D.T, np.ascontiguousarray(X @ D.T)
    most = k or len(D)
    threshold_and_invert(G, C, most, k, factor, positive, max_iter, Z, n_iter)
    return Z, n_iter


def sparse_codes(X, D, seed=0):
    return X @ D.T * (np.random.default_rng(seed).random((len(X), len(D))) < 0.3)


@given(st.integers(0, 10**6), st.floats(0, 1))
def test_refitted_codes_lie_on_the_line_to_least_squares(seed, phi):
    D, X = general(seed, n_rows=5, n_components=8, n_features=12)
    Z = sparse_codes(X, D, seed)
    ours, turned = refit(X, D, Z, phi)
    pairs = zip(X, Z, strict=True)
    best = np.array([oracles.least_squares(x, D, np.flatnonzero(z)) for x, z in pairs])
    assert_allclose(ours, phi * Z + (1 - phi) * best, atol=1e-10)
    assert_array_equal(turned, np.any(Z * best < 0, axis=1))


@given(problems, st.floats(0, 1))
def test_refitting_leaves_no_more_on_any_support(problem, phi):
    D, X = problem
    Z = sparse_codes(X, D)
    ours, _ = refit(X, D, Z, phi)
    before, after = (np.sum((X - codes @ D) ** 2, axis=1) for codes in (Z, ours))
    assert (after <= before * (1 + 1e-12)).all()
    assert not ours[Z == 0].any()


def test_codes_may_be_refitted_in_place():
    D, X = general()
    Z = sparse_codes(X, D)
    expected, _ = refit(X, D, Z, 0.3)
    refit_rows(X, D, D @ D.T, Z, 0.3, Z, np.empty(len(X), dtype=bool))
    assert_array_equal(Z, expected)


@given(st.lists(st.integers(-3, 3) | st.floats(-3, 3), min_size=1), st.data())
def test_the_smallest_of_the_k_largest_is_found_among_ties(numbers, data):
    sizes = np.array(numbers, dtype=float)
    k = data.draw(st.integers(1, len(sizes)))
    found = smallest_of_largest(sizes.copy(), k)
    assert found == np.sort(sizes)[-k]


@given(st.integers(0, 10**6), st.integers(1, 4), st.booleans())
def test_inversion_of_k_entries_is_that_of_the_twin(seed, k, positive):
    D, X = general(seed, n_rows=3, n_components=10, n_features=8)
    D *= np.random.default_rng(seed).uniform(0.5, 2, (len(D), 1))
    Z, n_iter = invert(X, D, k, 0.0, positive)
    twins = [oracles.threshold_and_invert(x, D, k, 0.0, positive)[0] for x in X]
    assert (n_iter < MAX_ITER).all()
    assert_allclose(Z, twins, atol=1e-9)


@given(st.integers(0, 10**6), st.floats(1.0, 4.0), st.booleans())
def test_inversion_above_a_threshold_is_that_of_the_twin(seed, factor, positive):
    D, X = general(seed, n_rows=3, n_components=7, n_features=9)
    Z, _ = invert(X, D, 0, factor, positive)
    twins = [oracles.threshold_and_invert(x, D, 0, factor, positive)[0] for x in X]
    assert_allclose(Z, twins, atol=1e-9)


def test_some_supports_stay_and_some_go_in_circles():
    D, X = general(n_components=24, n_features=16)
    Z, n_iter = invert(X, D, 3)
    length = [oracles.threshold_and_invert(x, D, 3)[1] for x in X]
    stays = [oracles.next_support(x, z, D, 3) for x, z in zip(X, Z, strict=True)]
    same = [np.flatnonzero(z).tolist() for z in Z]
    assert min(length) == 1 < max(length)
    for n, support, ours in zip(length, stays, same, strict=True):
        assert (list(support) == ours) == (n == 1)
    assert (n_iter < MAX_ITER).all()


def test_supports_that_have_not_settled_say_so():
    D, X = general(n_rows=sized(40, 10))
    n_iter = invert(X, D, 3, max_iter=1)[1]
    assert_array_equal(n_iter, 1)


@pytest.mark.parametrize("positive", [False, True])
def test_a_row_of_zeros_has_a_code_of_zeros(positive):
    D, X = general()
    Z, n_iter = invert(0 * X, D, 3, positive=positive)
    assert not Z.any()
    assert_array_equal(n_iter, 0)
