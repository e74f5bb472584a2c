"""Missing entries are expected to be what codes of training rows tell of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.sparse_coding.code_prior import code_prior
from sklearn_sqrtlasso.sparse_coding.dictionary import CodingOptions, make_dictionary
from sklearn_sqrtlasso.sparse_coding.encoder import code_rows
from tests.sparse_coding.test_incomplete_rows import make_atoms, make_rows

LASSO = CodingOptions("sqrt_lasso", 0.3)


def make_prior(D, seed=0):
    Z = np.random.default_rng(seed).standard_normal((30, len(D)))
    return code_prior(Z.T @ Z, 5.0, D)


def test_entries_are_expected_as_of_a_gaussian():
    D, X = make_atoms(), make_rows()
    prior = make_prior(D)
    covariance = D.T @ prior.gram @ D / prior.error + np.eye(D.shape[1])
    for x in X[1:-1]:
        seen = ~np.isnan(x)
        if seen.all() or not seen.any():
            continue
        expected, weights = prior.expect(np.where(seen, x, 0)[None], ~seen)
        across, own = covariance[np.ix_(~seen, seen)], covariance[np.ix_(seen, seen)]
        gain = np.linalg.solve(own, across.T).T
        left = np.diagonal(covariance[np.ix_(~seen, ~seen)] - gain @ across.T)
        assert_allclose(expected[0], gain @ x[seen], rtol=1e-6, atol=1e-9)
        assert_allclose(weights**-4, left, rtol=1e-6)


@given(st.floats(1e-6, 1e6))
def test_what_entries_do_not_tell_of_each_other_weighs_less_the_more_it_varies(size):
    prior = code_prior(size * np.eye(4), 1.0, np.eye(4))
    seen = np.array([True, False, True, False])
    expected, weights = prior.expect(1.0 * seen[None], ~seen)
    assert_array_equal(expected, 0)
    assert_allclose(weights, (1 + size) ** -0.25)


@pytest.mark.parametrize("phi", [0.0, 1.0])
def test_a_row_is_coded_with_what_it_is_expected_to_be(phi):
    D, X = make_atoms(), make_rows()
    prior, rule = make_prior(D), LASSO._replace(phi=phi)
    found = code_rows(X, make_dictionary(D), rule, prior=prior)
    assert found.gap.max() <= 1e-8
    for x, z in zip(X[1:], found.Z[1:], strict=True):
        seen, weights, filled = ~np.isnan(x), np.ones(len(x)), x.copy()
        if not seen.all():
            zeroed = np.where(seen, x, 0)[None]
            expected, weights[~seen] = prior.expect(zeroed, ~seen)
            filled[~seen] = expected[0]
        whole = code_rows((weights * filled)[None], make_dictionary(weights * D), rule)
        assert_allclose(z, whole.Z[0], atol=1e-6 * np.abs(z).max())
    assert_array_equal(found.Z[-1], code_rows(X, make_dictionary(D), rule).Z[-1])
    assert_array_equal(found.Z[0], 0)


@given(power=st.integers(-300, 300))
def test_a_power_of_two_scales_codes_exactly(power):
    D, X = make_atoms(), make_rows(4)
    prior, dictionary = make_prior(D), make_dictionary(D)
    ours = code_rows(X, dictionary, LASSO, prior=prior)
    scaled = code_rows(2.0**power * X, dictionary, LASSO, prior=prior)
    assert_array_equal(scaled.Z, 2.0**power * ours.Z)


def test_codes_of_zeros_tell_nothing():
    assert code_prior(np.zeros((3, 3)), 1.0, np.eye(3)) is None


def test_atoms_that_explain_all_and_unused_atoms_are_no_trouble():
    D, gram = np.eye(3), np.diag([1.0, 1.0, 0.0])
    gram[0, 1] = gram[1, 0] = 1.0
    expected, weights = code_prior(gram, 0.0, D).expect(
        np.array([[2.0, 0.0, 1.0]]), np.array([False, True, False])
    )
    assert_allclose(expected, [[2.0]], rtol=1e-6)
    assert np.all((weights > 0) & (weights <= 1))
