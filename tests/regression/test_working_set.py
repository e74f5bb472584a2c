"""Working sets: the factor that is kept, and the coefficients it belongs to."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.regression.design import design_of
from sklearn_sqrtlasso.regression.solver import Regression
from sklearn_sqrtlasso.regression.working_set import FEW
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
    assert len(on) > FEW
    assert columns._factor_at_once(on)
    columns.G[on[-1]] = columns.G[on[0]]
    columns.G[:, on[-1]] = columns.G[:, on[0]]
    assert not columns._factor_at_once(on)


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
