"""Sparse rows in the span of the atoms are coded like the dense ones."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.sparse_coding import atom_span
from sklearn_sqrtlasso.sparse_coding.atom_span import span_of_atoms
from sklearn_sqrtlasso.sparse_coding.dictionary import CodingOptions, make_dictionary
from sklearn_sqrtlasso.sparse_coding.encoder import code_rows
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS
from tests import sized

COUNTS = {"n_nonzero": 3}
PENALTIES = {"sqrt_lasso": 0.2, "lasso": 0.3, "threshold": 0.3, "omp": 0.5, "ols": 0.5}
N_ATOMS, N_FEATURES = 6, 40


def sparse_rows(seed, n_rows=20):
    """Return rows with few nonzeros, one of them empty."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, N_FEATURES))
    X[rng.random(X.shape) < 0.8] = 0
    X[1] = 0
    return X


def atoms(seed, kind="general"):
    rng = np.random.default_rng(seed)
    D = rng.standard_normal((N_ATOMS, N_FEATURES))
    if kind == "dependent":
        D[2], D[4] = D[0] + D[1], 0
    if kind == "alike":
        D[3] = D[0] + 1e-9 * D[1]
    if kind == "of many sizes":
        D *= 10.0 ** np.arange(-6, 2 * N_ATOMS - 6, 2)[:, None]
    return D


KINDS = ["general", "dependent", "alike", "of many sizes"]
each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
@settings(max_examples=sized(20, 4))
@given(seed=st.integers(0, 10**6))
def test_coordinates_keep_norms_and_products(kind, seed):
    X, dictionary = sparse_rows(seed), make_dictionary(atoms(seed, kind))
    X[2], X[3] = dictionary.D[0], 1e-200 * X[0]
    X[4] = dictionary.D[1] + 1e-7 * X[0]  # nearly in the span
    span = span_of_atoms(dictionary)
    found, D = span.coordinates(sp.csr_array(X)), span.dictionary.D
    norms = np.linalg.norm(dictionary.D, axis=1)
    whole = np.abs(X).max(axis=1, initial=1e-300)
    basis = span.decoded(np.eye(N_ATOMS))
    assert_allclose(basis @ basis.T, np.eye(N_ATOMS), atol=1e-13)
    assert_allclose(D / norms.max(), (D / norms.max())[:, :N_ATOMS] @ np.eye(6, 7))
    expected = (X / whole[:, None]) @ dictionary.D.T
    products = (found / whole[:, None]) @ D.T
    assert_allclose(products, expected, atol=1e-13 * norms.max())
    left = X / whole[:, None] - (found[:, :-1] / whole[:, None]) @ basis
    outside = np.linalg.norm(left, axis=1)
    assert_allclose(found[:, -1] / whole, outside, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_products_with_atoms_tell_coordinates_as_a_basis_does(monkeypatch, seed):
    X, dictionary = sparse_rows(seed), make_dictionary(atoms(seed))
    X[2], X[3] = dictionary.D[0], dictionary.D[1] + 1e-7 * X[0]
    ours = span_of_atoms(dictionary)
    monkeypatch.setattr(atom_span, "WELL_CONDITIONED", np.inf)
    theirs = span_of_atoms(dictionary)
    assert ours.factor is not None
    assert theirs.factor is None
    assert_allclose(ours.dictionary.D, theirs.dictionary.D, atol=1e-13)
    found, expected = (of.coordinates(sp.csr_array(X)) for of in (ours, theirs))
    assert_allclose(found, expected, atol=1e-13)


def options_of(selector, phi, positive):
    count = SELECTORS[selector].takes_count != "never"
    alpha = {} if count else {"alpha": PENALTIES[selector]}
    counts = COUNTS if count else {}
    return CodingOptions(selector, **alpha, **counts, phi=phi, positive=positive)


@pytest.mark.parametrize("selector", SELECTORS)
@pytest.mark.parametrize("positive", [False, True])
@settings(max_examples=sized(20, 4))
@given(seed=st.integers(0, 10**6), phi=st.sampled_from([0.0, 0.5, 1.0]))
def test_codes_and_gaps_are_those_of_dense_rows(selector, positive, seed, phi):
    X, dictionary = sparse_rows(seed), make_dictionary(atoms(seed))
    rule = options_of(selector, phi, positive)
    ours = code_rows(sp.csr_array(X), dictionary, rule, span_of_atoms(dictionary))
    expected = code_rows(X, dictionary, rule)
    assert_allclose(ours.Z, expected.Z, atol=1e-8)
    assert_allclose(ours.gap, expected.gap, atol=1e-9)


@pytest.mark.parametrize("selector", PENALTIES)
def test_penalties_select_the_same_atoms(selector):
    X, dictionary = sparse_rows(0), make_dictionary(atoms(0))
    rule = CodingOptions(selector, PENALTIES[selector])
    ours = code_rows(sp.csr_array(X), dictionary, rule, span_of_atoms(dictionary))
    assert_allclose(ours.Z, code_rows(X, dictionary, rule).Z, atol=1e-9)
    assert ours.Z.any()


@each_kind
def test_rows_in_the_span_are_restored_alike(kind):
    dictionary = make_dictionary(atoms(0, kind))
    X, rule = dictionary.D[:3] + dictionary.D[1:4], CodingOptions("sqrt_lasso", 0.01)
    span = span_of_atoms(dictionary)
    ours, theirs = (
        code_rows(of, dictionary, rule, to).Z @ dictionary.D
        for of, to in ((sp.csr_array(X), span), (X, None))
    )
    assert_allclose(ours, theirs, atol=1e-7 * np.abs(X).max())


def test_incomplete_sparse_rows_are_coded_by_what_is_observed():
    X, dictionary = sparse_rows(3), make_dictionary(atoms(3))
    X[[0, 5, 5, 7], [0, 1, 2, 3]] = np.nan
    X[8] = np.nan
    for selector in ("sqrt_lasso", "omp"):
        rule = CodingOptions(selector, 0.2, n_nonzero=2 * (selector == "omp"))
        ours = code_rows(sp.csr_array(X), dictionary, rule, span_of_atoms(dictionary))
        expected = code_rows(X, dictionary, rule)
        assert_allclose(ours.Z, expected.Z, atol=1e-9)
        assert_array_equal(ours.Z[8], 0)


def test_atoms_that_are_alike_are_not_left_to_cholesky():
    alike, general = make_dictionary(atoms(0, "alike")), make_dictionary(atoms(0))
    assert atom_span._basis_by_cholesky(alike) is None
    assert atom_span._basis_by_cholesky(general) is not None
