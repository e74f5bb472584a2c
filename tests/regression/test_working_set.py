"""Working sets: the factor that is kept, and the coefficients it belongs to."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.algorithms.active_set import DEPENDENT
from sklearn_sqrtlasso.regression.designs import design_of
from sklearn_sqrtlasso.regression.solver import Regression
from sklearn_sqrtlasso.regression.working_set import WorkingSet
from tests import sized


def solved(n, p, fractions):
    """Return the working set after solving one penalty after another."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, p)), rng.standard_normal(n)
    design = design_of(X, np.full(n, 1 / n), True)
    regression = Regression(design, design.centered(y)[0], False)
    for fraction in fractions:
        alpha = fraction * regression.alpha_max
        assert regression.solve(alpha, 1e-9, 100).gap <= 1e-9
    return regression.set


@pytest.mark.parametrize("fractions", [[0.3], [0.02], [0.5, 0.2, 0.05, 0.3]])
def test_the_factor_is_that_of_the_active_columns(fractions):
    columns = solved(60, sized(300, 90), fractions)
    on = columns.act[: columns.n_factored]
    L = np.tril(columns.L[: len(on), : len(on)])
    assert sorted(on) == list(np.flatnonzero(columns.w))
    assert_allclose(L @ L.T, columns.G[np.ix_(on, on)], atol=1e-9)


def test_other_coefficients_take_the_factor_away():
    columns = solved(30, 40, [0.2])
    columns.start(np.zeros(len(columns.w)))
    assert columns.n_factored < 0


def test_many_columns_are_factored_at_once_and_dependent_ones_are_not():
    columns = solved(120, 80, [1e-3])
    on = np.flatnonzero(columns.w)
    assert columns._factor_at_once(on, DEPENDENT)
    columns.G[on[-1]] = columns.G[on[0]]
    columns.G[:, on[-1]] = columns.G[:, on[0]]
    assert not columns._factor_at_once(on, DEPENDENT)


@pytest.mark.parametrize("n_used", [1, 4, 8])
def test_columns_span_a_target_of_theirs_with_coefficients_of_least_squares(n_used):
    rng = np.random.default_rng(n_used)
    X, v = rng.standard_normal((30, 8)), np.full(30, 1 / 30)
    w = np.zeros(8)
    w[rng.permutation(8)[:n_used]] = rng.uniform(1, 2, n_used)
    y, noise = X @ w, rng.standard_normal(30)
    design = design_of(np.column_stack([X, np.ones(30)]), v, True)
    columns = WorkingSet(design)
    columns.add(np.arange(9))  # of which one is constant

    def spans(y):
        r = design.centered(y)[0]
        return columns.span(design.correlate(r / np.linalg.norm(r)))

    assert not spans(y + 1e-3 * noise)
    assert spans(y)
    size = np.sqrt(np.mean((y - y.mean()) ** 2))
    assert_allclose(np.ldexp(columns.w[:8] * size, -design.exponents[:8]), w, rtol=1e-9)
    assert np.count_nonzero(columns.w) == columns.n_factored == n_used


def test_dependent_columns_may_span_a_target_in_many_ways_and_none_is_taken():
    X = np.random.default_rng(0).standard_normal((30, 3))
    design = design_of(X[:, [0, 1, 2, 0]], np.full(30, 1 / 30), True)
    columns = WorkingSet(design)
    columns.add(np.arange(4))
    y = design.centered(X[:, 0])[0]
    assert not columns.span(design.correlate(y / np.linalg.norm(y)))


def test_active_columns_take_what_they_span_unless_a_sign_changes():
    columns = solved(60, 40, [0.3])
    design, on = columns.design, columns.act[: columns.n_factored]
    y, before = columns.fitted(), columns.w.copy()
    columns.w[on] *= 0.9
    assert columns.interpolate(design.correlate(y - columns.fitted()))
    assert_allclose(columns.w, before, atol=1e-12)
    away = design.correlate(-3 * y)
    assert not columns.interpolate(away)
    assert_allclose(columns.w, before, atol=1e-12)


def sweeps(X, y, most=100):
    """Return a working set of all columns after sweeps, and what these return."""
    n, p = X.shape
    design = design_of(X, np.full(n, 1 / n), False)
    columns, y = WorkingSet(design), y / np.linalg.norm(y)
    columns.add(np.arange(p))
    c = design.correlate(y)
    alpha = np.full(p, 0.1 * np.abs(c).max())
    return columns, columns.try_sweeps(c, 1.0, 0.01, alpha, False, 1e-4, most)


def test_sweeps_are_undone_at_columns_that_are_nearly_the_same():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 6))
    y = X.sum(axis=1)
    columns, (_, ended) = sweeps(X, y)
    assert ended
    assert columns.w.all()
    assert columns.factor_apart()
    X[:, 5] = X[:, 2] + 1e-3 * X[:, 5]
    columns, found = sweeps(X, y)
    assert found is None
    assert not columns.w.any()


def test_sweeps_are_undone_at_more_columns_than_a_solution_has():
    X = np.random.default_rng(0).standard_normal((5, 40))
    columns, found = sweeps(X, X.sum(axis=1), most=1)
    assert found is None
    assert not columns.w.any()


def test_columns_that_depend_on_several_others_are_not_apart():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 6))
    X[:, 5] = X[:, :5].sum(axis=1) + 1e-3 * X[:, 5]
    columns, found = sweeps(X, X.sum(axis=1))
    assert found is not None
    columns.start(np.ones(6))
    assert not columns.factor_apart()
    columns.start(np.array([1.0, 1, 1, 1, 1, 0]))
    assert columns.factor_apart()
