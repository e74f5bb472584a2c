"""Orthogonal matching pursuit, against a least-squares fit after each atom."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.algorithms.matching_pursuit import match_rows
from tests import oracles
from tests.problems import general, problems

each_rule = pytest.mark.parametrize("recursive", [False, True], ids=["omp", "ols"])


def pursue(X, D, most, recursive=False, positive=False, residual_energy=0.0):
    Z, energy = np.full((len(X), len(D)), np.nan), np.sum(X**2, axis=1)
    ends = np.full(len(X), residual_energy)
    G, C = D @ D.T, np.ascontiguousarray(X @ D.T)
    match_rows(G, C, energy, most, ends, recursive, positive, Z)
    return Z


def energies(X, Z, D):
    return np.sum((X - Z @ D) ** 2, axis=1)


@each_rule
@pytest.mark.parametrize("positive", [False, True])
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_the_atoms_and_codes_are_those_of_the_twin(recursive, positive, seed, k):
    D, X = general(seed, n_rows=3, n_components=10, n_features=8)
    D *= np.random.default_rng(seed).uniform(0.5, 2, (len(D), 1))
    twins = [oracles.matching_pursuit(x, D, k, recursive, positive) for x in X]
    # random atoms are told apart; codes of four have a condition of 1e4 at most
    assert_allclose(pursue(X, D, k, recursive, positive), twins, atol=1e-9)


@each_rule
@given(problems, st.integers(1, 6), st.booleans())
def test_a_code_is_the_least_squares_on_its_atoms(recursive, problem, k, positive):
    D, X = problem
    Z = pursue(X, D, min(k, len(D)), recursive, positive)
    assert (np.count_nonzero(Z, axis=1) <= k).all()
    for x, z in zip(X, Z, strict=True):
        best = oracles.least_squares(x, D, np.flatnonzero(z))
        ours, least = (oracles.energy_left(x, code, D) for code in (z, best))
        # atoms that keep 1e-11 of their energy are taken: half of the digits are lost
        assert ours <= least + 1e-9 * (x @ x)


@each_rule
@given(problems)
def test_more_atoms_leave_less(recursive, problem):
    D, X = problem
    left = [energies(X, pursue(X, D, k, recursive), D) for k in (1, 2)]
    assert (left[1] <= left[0] + 1e-12 * np.sum(X**2, axis=1)).all()


@each_rule
def test_a_row_is_done_at_its_residual_energy(recursive):
    D, X = general()
    Z = pursue(X, D, 12, recursive, residual_energy=2.0)
    assert (energies(X, Z, D) <= 2 + 1e-12).all()
    for x, z in zip(X, Z, strict=True):
        k = np.count_nonzero(z)
        fewer = oracles.matching_pursuit(x, D, max(k - 1, 0), recursive)
        assert k == 0 or oracles.energy_left(x, fewer, D) > 2


@each_rule
def test_dependent_atoms_are_not_taken_twice(recursive):
    D, X = general(n_components=4)
    Z = pursue(X, np.vstack([D, D, -D, 0 * D]), 8, recursive)
    assert (np.count_nonzero(Z, axis=1) == 4).all()
    assert_allclose(Z @ np.vstack([D, D, -D, 0 * D]), X @ np.linalg.pinv(D) @ D)


@each_rule
def test_a_row_that_is_met_takes_no_more_atoms(recursive):
    D, X = general()
    Z = pursue(np.vstack([D[:5], 0 * X[:1]]), D, 8, recursive)
    assert (np.count_nonzero(Z, axis=1) == [1, 1, 1, 1, 1, 0]).all()


@each_rule
def test_positive_pursuit_takes_atoms_of_positive_correlation_only(recursive):
    D, X = general()
    Z = pursue(X, D, 1, recursive, positive=True)
    assert (Z.sum(axis=1) > 0).all()
    assert_allclose(Z.max(axis=1), (X @ D.T).max(axis=1))


@pytest.mark.parametrize("positive", [False, True])
def test_rounding_does_not_choose_the_last_atom(positive):
    rng = np.random.default_rng(0)
    D, X = rng.standard_normal((9, 5)), rng.standard_normal((400, 5))
    Q = np.linalg.qr(rng.standard_normal((5, 5)))[0]  # leaves all products, but rounded
    codes = []
    for atoms, rows in ((D, X), (D @ Q, X @ Q)):
        energy, Z = np.einsum("ij,ij->i", rows, rows), np.empty((400, 9))
        none = np.zeros(400)
        given = atoms @ atoms.T, rows @ atoms.T, energy, 5, none
        match_rows(*given, True, positive, Z)
        codes.append(Z)
    apart = np.abs(codes[0] - codes[1]).max(axis=1) > 1e-6
    assert np.count_nonzero(codes[0]) > 1000
    # A few gains are at a border, or err by more; half of all rows without ties.
    assert apart.mean() < 0.05
