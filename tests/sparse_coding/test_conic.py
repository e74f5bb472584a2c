"""Codes in given atoms are those of a conic solver."""

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.sparse_coding.dictionary import CodingOptions, make_dictionary
from sklearn_sqrtlasso.sparse_coding.encoder import code_rows
from tests import oracles, sized
from tests.problems import ATOMS, general, largest_penalty, make_problem

LASSOS = {"lasso": False, "sqrt_lasso": True}
each_lasso = pytest.mark.parametrize("selector", LASSOS)
each_sign = pytest.mark.parametrize("positive", [False, True])


def code(X, D, rule):
    return code_rows(X, make_dictionary(D), rule)


def by_conic_solver(x, D, alpha, root, positive):
    z = cp.Variable(len(D), nonneg=positive)
    left = x - D.T @ z
    loss = cp.norm2(left) if root else cp.sum_squares(left) / 2
    problem = cp.Problem(cp.Minimize(loss + alpha * cp.norm1(z)))
    problem.solve(solver=cp.CLARABEL)
    return problem.value


@each_lasso
@each_sign
@pytest.mark.parametrize("kind", ATOMS)
def test_the_objective_is_that_of_a_conic_solver(selector, positive, kind):
    root = LASSOS[selector]
    for seed in range(sized(4, 1)):
        D, X = make_problem(kind, 5 + 4 * seed, 9, seed)
        alpha = [0.5, 0.1, 0.02, 0.3][seed] * largest_penalty(D, X, root)
        rule = CodingOptions(selector, alpha, phi=1.0, positive=positive)
        for x, z in zip(X[1:], code(X, D, rule).Z[1:], strict=True):
            ours = oracles.coding_objective(x, z, D, alpha, root)
            best = by_conic_solver(x, D, alpha, root, positive)
            # the solver stops at a gap of 1e-8
            assert ours <= best + 1e-7 * max(1, best)


@each_lasso
@each_sign
def test_the_codes_are_those_of_a_conic_solver(selector, positive):
    D, X = general(n_rows=5)
    alpha = 0.2 * largest_penalty(D, X, LASSOS[selector])
    solution = code(X, D, CodingOptions(selector, alpha, phi=1.0, positive=positive))
    for x, ours in zip(X, solution.Z, strict=True):
        z = cp.Variable(len(D), nonneg=positive)
        left = x - D.T @ z
        loss = cp.norm2(left) if LASSOS[selector] else cp.sum_squares(left) / 2
        cp.Problem(cp.Minimize(loss + alpha * cp.norm1(z))).solve(solver=cp.CLARABEL)
        # codes know half of the digits of a gap of 1e-8
        assert_allclose(ours, z.value, atol=1e-4)


def test_without_a_penalty_rows_are_met_exactly():
    D, X = general()
    for selector in LASSOS:
        Z = code(X, D, CodingOptions(selector, 0.0, phi=1.0)).Z
        assert_allclose(Z @ D, X, atol=1e-9)
        pursuit = [by_conic_solver_of_least_norm(x, D) for x in X[:5]]
        assert_allclose(np.abs(Z[:5]).sum(axis=1), pursuit, rtol=1e-6)


def by_conic_solver_of_least_norm(x, D):
    z = cp.Variable(len(D))
    problem = cp.Problem(cp.Minimize(cp.norm1(z)), [D.T @ z == x])
    return problem.solve(solver=cp.CLARABEL)
