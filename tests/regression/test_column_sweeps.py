"""Regressions of many sparse columns: solved by sweeps, without their products."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from sklearn_sqrtlasso import SqrtLasso, SqrtLassoCV, sqrt_lasso_path
from sklearn_sqrtlasso.regression import column_sweeps, working_set
from sklearn_sqrtlasso.regression.column_sweeps import ColumnSweeps
from sklearn_sqrtlasso.regression.designs import design_of
from sklearn_sqrtlasso.regression.solver import Regression
from sklearn_sqrtlasso.regression.sparse_design import SparseDesign
from sklearn_sqrtlasso.regression.working_set import WorkingSet
from tests import sized

TOL = 1e-6
WAYS = {
    "default": {},
    "without intercept": {"fit_intercept": False},
    "nonnegative": {"positive": True},
    "finer": {"tol": 1e-10},
}


def few_entries(n, p, seed=0, offset=0.0):
    """Return columns of four entries on average, and a target of many of them."""
    rng = np.random.default_rng(seed)
    X = sp.random_array((n, p), density=4 / n, format="csc", rng=rng)
    X.data += 0.5 + offset  # of a common scale
    w = rng.standard_normal(p) * (rng.random(p) < 0.5)
    return X, X @ w + rng.standard_normal(n)


def gap(X, y, w, alpha, positive=False):
    """Return the relative duality gap of coefficients, from its definition."""
    n, r = len(y), y - X @ w
    sigma, c = np.linalg.norm(r) / np.sqrt(n), X.T @ r / n
    worst = np.max(c if positive else np.abs(c))
    excess = sigma + alpha * np.abs(w).sum() - y @ r / n / max(sigma, worst / alpha)
    return excess / np.linalg.norm(y) * np.sqrt(n)


@pytest.fixture
def counted(monkeypatch):
    """Count products of columns and sweeps over them, which are never left."""
    monkeypatch.setattr(column_sweeps, "SHARE", 1.0)
    counts = {"products": 0, "sweeps": 0}
    gram, solve = SparseDesign.gram, ColumnSweeps.solve

    def counting_products(design, left, right):
        counts["products"] = max(counts["products"], left[0].shape[1])
        return gram(design, left, right)

    def counting_sweeps(*args):
        counts["sweeps"] += 1
        return solve(*args)

    monkeypatch.setattr(SparseDesign, "gram", counting_products)
    monkeypatch.setattr(ColumnSweeps, "solve", counting_sweeps)
    return counts


@pytest.mark.parametrize("way", WAYS)
def test_they_are_certified_without_products_of_their_columns(way, counted):
    options, p = WAYS[way], 800
    X, y = few_entries(p, p, offset=3.0)
    top = SqrtLasso.path(X, y, alphas=1, positive="positive" in options)[0][0]
    model = SqrtLasso(0.1 * top, **options).fit(X, y)
    assert counted["sweeps"] > 0
    assert counted["products"] < np.count_nonzero(model.coef_)
    centred = model.fit_intercept
    dense = X.toarray() - centred * X.toarray().mean(axis=0)
    given = dense, y - centred * y.mean(), model.coef_, model.alpha, model.positive
    assert gap(*given) <= model.tol + 1e-12
    assert abs(gap(*given) - model.dual_gap_) <= 1e-12
    assert not (model.positive and np.any(model.coef_ < 0))


@pytest.mark.parametrize("weighted", [False, True])
def test_they_are_those_of_dense_columns(weighted):
    p = 800
    X, y = few_entries(p, p, seed=1)
    weights = np.random.default_rng(0).uniform(0.5, 2, p) if weighted else None
    alpha = 0.1 * SqrtLasso.path(X, y, alphas=1)[0][0]
    model = SqrtLasso(alpha, tol=1e-12)
    ours = model.fit(X, y, weights).coef_
    theirs = model.fit(X.toarray(), y, weights).coef_
    assert_allclose(ours, theirs, atol=1e-7 * np.abs(theirs).max())


def test_paths_and_folds_are_solved_by_them_too(counted):
    p = sized(800, 300)
    X, y = few_entries(p, p, seed=2)
    alphas, coefs, gaps, _ = sqrt_lasso_path(X, y, alphas=8, eps=0.1, tol=1e-10)
    assert counted["sweeps"] > 0
    assert gaps.max() <= 1e-10
    for alpha, w in zip(alphas, coefs.T, strict=True):
        theirs = SqrtLasso(alpha, tol=1e-10, fit_intercept=False).fit(X.toarray(), y)
        assert_allclose(w, theirs.coef_, atol=1e-5 * np.abs(coefs).max())
    model = SqrtLassoCV(alphas=alphas, cv=2).fit(X, y)
    assert model.alpha_ < alphas[0]
    assert model.dual_gap_ <= TOL


def test_products_follow_where_sweeps_take_longer(monkeypatch, counted):
    p = sized(800, 500)
    X, y = few_entries(p, p, seed=3)
    alpha = 0.1 * SqrtLasso.path(X, y, alphas=1)[0][0]
    swept = SqrtLasso(alpha, tol=1e-10).fit(X, y).coef_
    assert counted["products"] < np.count_nonzero(swept)
    monkeypatch.setattr(column_sweeps, "SHARE", 1e-9)
    model = SqrtLasso(alpha, tol=1e-10).fit(X, y)
    assert counted["products"] >= np.count_nonzero(swept)
    assert_allclose(model.coef_, swept, atol=1e-6 * np.abs(swept).max())


def test_a_residual_that_vanishes_is_found_after_them(counted):
    n = 120
    X, y = few_entries(n, 6 * n, seed=4)
    alpha = 1e-3 * SqrtLasso.path(X, y, alphas=1)[0][0]
    model = SqrtLasso(alpha).fit(X, y)
    assert counted["sweeps"] > 0
    assert model.dual_gap_ <= TOL
    assert model.sigma_ <= 1e-9 * y.std()


def test_no_combination_of_sweeps_raises_the_objective():
    n, p = 40, 90
    X, y = few_entries(n, p, seed=5)
    design = design_of(X, np.full(n, 1 / n), True)
    regression = Regression(design, design.centered(y)[0], False)
    columns, r = WorkingSet(design), regression.y
    columns.add(np.arange(p))
    alpha, before = np.full(p, 1e-3 * regression.top), np.inf
    for _ in range(sized(8, 4)):  # with so little work, as often as it may be tried
        sweeps = ColumnSweeps(design, False)
        sweeps.begin()
        sweeps.solve(columns, r, 0.0, alpha, 0)
        r = regression.y - columns.fitted()
        now = np.linalg.norm(r) + alpha @ np.abs(columns.w)
        assert now <= before * (1 + 1e-12)
        before = now


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_idle_columns_of_long_working_sets_are_dropped(monkeypatch, form):
    X, y = few_entries(60, 1200, seed=6)  # more than one path on all columns takes
    X = X.toarray() if form == "dense" else X
    alpha = 1e-2 * SqrtLasso.path(X, y, alphas=1)[0][0]
    whole = SqrtLasso(alpha).fit(X, y)
    counts, drop = [], WorkingSet._drop_idle

    def counting(columns):
        drop(columns)
        counts.append(len(columns.features))
        assert np.all(columns.w != 0)
        assert np.count_nonzero(columns.is_in) == counts[-1]

    monkeypatch.setattr(working_set, "FEW", 0)
    monkeypatch.setattr(working_set, "SPARE", 1)
    monkeypatch.setattr(WorkingSet, "_drop_idle", counting)
    model = SqrtLasso(alpha).fit(X, y)
    assert counts
    assert model.dual_gap_ <= TOL
    objectives = [m.sigma_ + alpha * np.abs(m.coef_).sum() for m in (whole, model)]
    assert_allclose(*objectives, rtol=1e-5)
