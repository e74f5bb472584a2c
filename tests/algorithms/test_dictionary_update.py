"""Sweeps over the atoms of a dictionary, against singular values and plain numpy."""

from itertools import repeat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.algorithms.dictionary_update import ksvd_sweep, online_sweep
from tests import oracles
from tests.problems import general

MANY = 2000  # steps of the power method: until nothing grows


def coded(seed=0, positive=False):
    """Return rows, atoms of unit norm, and codes of few entries."""
    D, X = general(seed, n_rows=40, n_components=8, n_features=6)
    rng = np.random.default_rng(seed + 1)
    Z = X @ D.T * (rng.random((40, 8)) < 0.3)
    return X, D, np.maximum(Z, 0) if positive else Z


def swept(X, D, Z, order, positive=False, n_steps=1):
    """Return residuals, atoms and codes after turns of some atoms."""
    atoms, users = np.nonzero(Z.T)
    starts = np.searchsorted(atoms, np.arange(len(D) + 1))
    R, D, values = X - Z @ D, D.copy(), Z[users, atoms]
    given = np.array(order), users, starts, values, positive, n_steps, 1e-15
    ksvd_sweep(R, D, *given, values.copy(), np.empty(D.shape[1]))
    Z = np.zeros_like(Z)
    Z[users, atoms] = values
    return R, D, Z


def left_by_others(X, D, Z, atom):
    """Return what other atoms leave of the rows that use one, and those rows."""
    users = Z[:, atom] != 0
    return (X - Z @ D)[users] + np.outer(Z[users, atom], D[atom]), users


@pytest.mark.parametrize("n_steps", [1, 5, MANY])
@pytest.mark.parametrize("positive", [False, True])
def test_residuals_stay_those_of_the_codes(positive, n_steps):
    X, D, Z = coded(positive=positive)
    R, D, after = swept(X, D, Z, range(8), positive, n_steps)
    assert_allclose(R, X - after @ D, atol=1e-12)
    assert_allclose(np.linalg.norm(D, axis=1), 1)
    assert not after[Z == 0].any()
    assert not positive or (after >= 0).all()


@pytest.mark.parametrize("n_steps", [1, 5, MANY])
@given(st.integers(0, 10**6))
def test_a_turn_leaves_less_of_the_rows(n_steps, seed):
    X, D, Z = coded(seed)
    before = np.sum((X - Z @ D) ** 2)
    for atom in range(8):
        R, D, Z = swept(X, D, Z, [atom], n_steps=n_steps)
        assert np.sum(R**2) <= before * (1 + 1e-12)
        before = np.sum(R**2)


@pytest.mark.parametrize("seed", range(8))
def test_a_turn_fits_an_atom_to_the_first_singular_pair_of_what_others_leave(seed):
    X, D, Z = coded(seed)
    supports = [np.flatnonzero(z) for z in Z]
    Z = np.array([oracles.least_squares(*of) for of in zip(X, repeat(D), supports)])
    E, users = left_by_others(X, D, Z, 4)
    _, after, codes = swept(X, D, Z, [4], n_steps=MANY)
    left, sizes, right = np.linalg.svd(E)
    fit = np.outer(codes[users, 4], after[4])
    # it stops where the singular value stops growing: at half of the digits
    assert_allclose(fit, sizes[0] * np.outer(left[:, 0], right[0]), atol=1e-5)


def test_one_step_is_the_approximate_ksvd():
    X, D, Z = coded()
    E, users = left_by_others(X, D, Z, 4)
    _, after, codes = swept(X, D, Z, [4])
    atom = Z[users, 4] @ E / np.linalg.norm(Z[users, 4] @ E)
    assert_allclose(after[4], atom, atol=1e-12)
    assert_allclose(codes[users, 4], E @ atom, atol=1e-12)


def test_turns_are_taken_in_their_order():
    X, D, Z = coded()
    together = swept(X, D, Z, [5, 2])
    one = swept(X, D, Z, [5])
    assert_allclose(together[1], swept(X, *one[1:], [2])[1], atol=1e-12)
    assert not np.allclose(together[1], swept(X, D, Z, [2, 5])[1])


def test_an_atom_that_no_row_uses_stays():
    X, D, Z = coded()
    Z[:, 3] = 0
    assert_array_equal(swept(X, D, Z, [3], n_steps=MANY)[1], D)


@given(st.integers(0, 10**6))
def test_an_online_sweep_is_that_of_the_twin(seed):
    X, D, Z = coded(seed)
    Z[:, 3] = 0
    A, B, ours = Z.T @ Z, Z.T @ X, D.copy()
    online_sweep(A, B, ours)
    assert_allclose(ours, oracles.update_atoms(A, B, D), atol=1e-9)
    assert_array_equal(ours[3], D[3])


@given(st.integers(0, 10**6))
def test_online_sweeps_lower_their_objective(seed):
    X, D, Z = coded(seed)
    A, B = Z.T @ Z, Z.T @ X
    values = [np.sum((X - Z @ D) ** 2)]
    for _ in range(5):
        online_sweep(A, B, D)
        values.append(np.sum((X - Z @ D) ** 2))
    assert (np.diff(values) <= 1e-9).all()
    assert_allclose(np.linalg.norm(D, axis=1), 1)


def test_the_power_method_does_not_stop_at_the_norm_of_old_values():
    E, old = np.diag([2.0, 1.0]), np.array([0.6, 0.8])
    values = np.array([30.0, 50.0])  # far longer than the singular vector
    R, D = E - np.outer(values, old), old[None].copy()
    ksvd_sweep(
        R, D, np.array([0]), np.array([0, 1]), np.array([0, 2]), values, False, 1000,
        1e-15, values.copy(), np.empty(2),
    )  # fmt: skip
    assert_allclose(np.abs(D[0]), [1, 0], atol=1e-6)
    assert_allclose(np.sum(R**2), 1, rtol=1e-12)
