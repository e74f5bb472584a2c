"""Rows that the path gets lost on: atoms nearly alike, residuals nearly zero."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_sqrtlasso.sparse_coding.dictionary import CodingOptions, make_dictionary
from sklearn_sqrtlasso.sparse_coding.encoder import code_rows
from tests import sized
from tests.problems import PENALTIES, largest_penalty, near_problems, problems

LASSOS = {"lasso": False, "sqrt_lasso": True}


def code(X, D, rule):
    return code_rows(X, make_dictionary(D), rule)


def energy(X, Z, D):
    return np.sum((X - Z @ D) ** 2, axis=1)


@pytest.mark.parametrize("distance", [1e-3, 1e-6])
@pytest.mark.parametrize("alpha", [0.5, 0.1, 1e-2, 1e-4])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("selector", LASSOS)
def test_atoms_that_are_nearly_alike_are_told_apart(
    selector, positive, alpha, distance
):
    rng = np.random.default_rng(0)
    D = rng.standard_normal((12, 6))
    D = np.r_[D, D + distance * rng.standard_normal(D.shape)]
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    X = rng.standard_normal((30, 6))
    rule = CodingOptions(selector, alpha, 0, 1.0, positive)
    assert code(X, D, rule).gap.max() <= 1e-8


def test_atoms_that_enter_from_afar_are_not_missed():
    """The correlation of the last atom rises faster than the penalty falls."""
    rng = np.random.default_rng(0)
    D = np.abs(rng.standard_normal((60, 8)))  # coherent: strong rules fail
    X = rng.standard_normal((200, 8))
    for share in (0.5, 0.1, 0.01):
        alpha = share * np.abs(X @ D.T).max()
        solution = code(X, D, CodingOptions("lasso", alpha, 0, 1.0))
        assert solution.gap.max() <= 1e-8


@pytest.mark.parametrize("distance", [1e-6, 1e-8, 1e-10])
def test_a_small_residual_is_certified(distance):
    """Rows that two atoms restore but for a few digits."""
    rng = np.random.default_rng(0)
    for _ in range(sized(40, 5)):
        D = np.abs(rng.standard_normal((12, 3)))
        D /= np.linalg.norm(D, axis=1, keepdims=True)
        X = 0.005 * D[:4] + 0.6 * D[4:8] + distance * rng.standard_normal((4, 3))
        rule = CodingOptions("sqrt_lasso", 0.1, phi=1.0, positive=True)
        assert code(X, D, rule).gap.max() <= 1e-8


@pytest.mark.parametrize("selector", LASSOS)
@given(
    problems | near_problems,
    st.sampled_from(PENALTIES),
    st.floats(0, 1),
    st.booleans(),
)
def test_refitting_never_leaves_more(selector, problem, share, phi, positive):
    D, X = problem
    alpha = share * largest_penalty(D, X, LASSOS[selector])
    first = code(X, D, CodingOptions(selector, alpha, phi=1.0, positive=positive)).Z
    Z = code(X, D, CodingOptions(selector, alpha, phi=phi, positive=positive)).Z
    more, less = energy(X, first, D), energy(X, Z, D)
    assert (less <= more + 1e-9 * energy(X, 0 * Z, D)).all()
    assert not positive or (Z >= 0).all()
    assert not Z[first == 0].any()
