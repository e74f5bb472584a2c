"""A few rows stand for many: the same products, and so the same regressions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.regression.equivalent_rows import equivalent_rows
from sklearn_sqrtlasso.regression.moments import gather, pooled

rng = np.random.default_rng(0)
X, y = rng.standard_normal((200, 5)) * 10.0 ** np.arange(5), rng.standard_normal(200)
y, WEIGHTS = y + X[:, 0], rng.integers(1, 4, 200).astype(float)
SLICES = (np.arange(70), np.arange(70, 200))


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_products_are_those_of_all_rows(fit_intercept):
    moments = pooled(gather(X, y, WEIGHTS, rows) for rows in SLICES)
    rows = equivalent_rows(moments, 5, fit_intercept)
    Z, mean = np.column_stack([X, y]), np.average(np.c_[X, y], axis=0, weights=WEIGHTS)
    if fit_intercept:
        Z = Z - mean
    few, share = np.hstack([rows.X, rows.y]), WEIGHTS / WEIGHTS.sum()
    expected = Z.T @ (share[:, None] * Z)
    sizes = np.sqrt(expected.diagonal())
    found = few.T @ few / len(few)
    assert_allclose(found / np.outer(sizes, sizes), expected / np.outer(sizes, sizes))
    assert_allclose(rows.means, mean if fit_intercept else 0)
    coef = np.array([[1.0, 0, 0, 0, 0]])
    expected = mean[-1] - mean[0] if fit_intercept else 0
    assert_allclose(rows.intercepts(coef), [expected])


def test_constant_columns_are_zero():
    constant = np.column_stack([X[:, 0], np.full(200, 1e3)])
    rows = equivalent_rows(gather(constant, y, WEIGHTS, np.arange(200)), 2, True)
    assert not rows.X[:, 1].any()
