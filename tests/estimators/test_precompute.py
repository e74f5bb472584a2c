"""Products of features handed in, against fits that gather them or look at the rows."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.linear_model import Lasso

from sklearn_sqrtlasso import SqrtLasso, sqrt_lasso_path
from sklearn_sqrtlasso.estimators import sqrt_lasso
from sklearn_sqrtlasso.regression import design

FORMS = {"dense": np.asarray, "columns": np.asfortranarray, "sparse": sp.csc_array}
each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def make(n=60, p=8):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) + 0.8 * rng.standard_normal((n, 1)) + 2
    return X, X[:, :3] @ [2.0, -1.0, 1.0] + rng.standard_normal(n) + 5


def gram(X, intercept=True, weights=None):
    v = np.ones(len(X)) if weights is None else weights * len(X) / weights.sum()
    X = X - v @ X / v.sum() * intercept
    return X.T @ (v[:, None] * X)


@each_form
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("shape", [(60, 8), (60, 40), (30, 50)])
def test_coefficients_do_not_depend_on_who_multiplies(form, intercept, shape):
    X, y = make(*shape)
    A = form(X)
    for alpha in (0.6, 0.1):
        model = SqrtLasso(alpha, fit_intercept=intercept, tol=1e-12)
        expected = clone(model).set_params(precompute=False).fit(A, y)
        for precompute in (True, gram(X, intercept), gram(X, intercept).tolist()):
            found = clone(model).set_params(precompute=precompute).fit(A, y)
            assert_allclose(found.coef_, expected.coef_, rtol=0, atol=1e-8)
            assert_allclose(found.intercept_, expected.intercept_, atol=1e-7)
            assert_allclose(found.sigma_, expected.sigma_, rtol=1e-7)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loadings", [None, np.linspace(0.5, 2, 30)])
def test_products_are_gathered_where_many_columns_are_in_use(
    dtype, loadings, monkeypatch
):
    for module, name in ((sqrt_lasso, "FEW_COLUMNS"), (design, "SMALL")):
        monkeypatch.setattr(module, name, 0)
    monkeypatch.setattr(sqrt_lasso, "PER_TARGET", 0)
    gather, counts = sqrt_lasso.moment_design_of, []

    def counting(*given):
        counts.append(1)
        return gather(*given)

    monkeypatch.setattr(sqrt_lasso, "moment_design_of", counting)
    rng, weights = np.random.default_rng(1), np.arange(90) % 3
    X, E = rng.standard_normal((90, 30)).astype(dtype), rng.standard_normal((90, 2))
    Y = 3 * X[:, :2] + E
    model = SqrtLasso(0.02, penalty_loadings=loadings, tol=1e-10)
    for y in (Y, Y[:, 0]):
        model.fit(X, y, sample_weight=weights)
        assert len(counts) == 1
        theirs = clone(model).set_params(precompute=False)
        theirs.fit(X, y, sample_weight=weights)
        assert np.count_nonzero(theirs.coef_) > 10
        assert_allclose(model.coef_, theirs.coef_, atol=1e-6)
        assert np.all(model.dual_gap_ <= 1e-10)
        assert len(counts) == 1
        counts.clear()
    SqrtLasso(0.3).fit(X, Y, sample_weight=weights)  # brings few into use
    X[:, 1:] = X[:, :1] + 0.01 * X[:, 1:]  # of columns that are alike, few are in use
    one, two = (SqrtLasso(0.02, precompute=of).fit(X, Y) for of in ("auto", False))
    assert not counts
    assert_allclose(one.predict(X), two.predict(X), atol=1e-4)


@each_form
def test_weights_are_those_of_the_lasso(form):
    X, y = make()
    weights = np.arange(60) % 4 / 2
    X -= weights @ X / weights.sum()
    G = gram(X, True, weights)
    lasso = Lasso(0.2, precompute=G, tol=1e-12).fit(X, y, weights)
    one = SqrtLasso(0.1, precompute=G, tol=1e-12).fit(form(X), y, weights)
    two = SqrtLasso(0.1, tol=1e-12).fit(X, y, weights)
    same = Lasso(0.1 * one.sigma_, precompute=G, tol=1e-12).fit(X, y, weights)
    assert_allclose(one.coef_, two.coef_, atol=1e-8)
    assert_allclose(one.coef_, same.coef_, atol=1e-6)
    assert not np.allclose(lasso.coef_, same.coef_)


@each_form
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("shape", [(60, 8), (40, 30)])
def test_paths_do_not_depend_on_who_multiplies(form, intercept, shape):
    X, y = make(*shape)
    Y = np.column_stack([y, -y[::-1]])
    given = {"alphas": 5, "eps": 0.1, "fit_intercept": intercept, "tol": 1e-12}
    given["phi"] = [0.3, 1.0]
    expected = sqrt_lasso_path(form(X), Y, precompute=False, **given)
    for precompute in (True, gram(X, intercept)):
        found = sqrt_lasso_path(form(X), Y, precompute=precompute, **given)
        assert_allclose(found.alphas, expected.alphas)
        assert_allclose(found.coefs, expected.coefs, rtol=0, atol=1e-8)
        assert_allclose(found.sigmas, expected.sigmas, rtol=1e-7)


@each_form
def test_the_pivotal_penalty_is_about_the_same(form):
    X, y = make()
    one, two = (SqrtLasso(precompute=G).fit(form(X), y) for G in (gram(X), "auto"))
    assert_allclose(one.alpha_, two.alpha_, rtol=0.01)


def far_off(X):
    G = gram(X)
    G[2, 5] += 1e-3
    G[5, 2] += 1e-3
    return G


BAD = {
    "shape": (lambda X: gram(X)[:3, :3], r"shape \(8, 8\).*\(3, 3\)"),
    "vector": (lambda X: gram(X)[0], r"shape \(8, 8\)"),
    "word": (lambda X: "yes", "precompute"),
    "asymmetric": (lambda X: gram(X) + np.eye(8)[[1] + 7 * [0]], "symmetric"),
    "negative": (lambda X: -gram(X), "diagonal"),
    "missing": (lambda X: np.full((8, 8), np.nan), "precompute"),
    "not centred": (lambda X: gram(X, False), "centred features"),
    "one entry": (far_off, "feature [25]"),
    "single precision": (lambda X: gram(X).astype(np.float32), "double precision"),
    "another": (lambda X: gram(X[::2]), "Gram matrix of X"),
}


@pytest.mark.parametrize("bad", BAD)
def test_products_that_are_not_those_of_the_features_are_refused(bad):
    X, y = make()
    given, match = BAD[bad]
    with pytest.raises(ValueError, match=match):
        SqrtLasso(0.1, precompute=given(X)).fit(X, y)
    with pytest.raises(ValueError, match=match):
        sqrt_lasso_path(X, y, precompute=given(X), fit_intercept=True)


@each_form
def test_products_of_too_few_digits_are_not_used(form):
    X, y = make()
    X += 1e7
    one, two = (SqrtLasso(0.1, precompute=G).fit(form(X), y) for G in (gram(X), False))
    assert_allclose(one.coef_, two.coef_, rtol=1e-9)


@each_form
@pytest.mark.parametrize("intercept", [True, False])
def test_products_of_many_features_are_checked_though_rows_are_faster(form, intercept):
    X, y = make(30, 120)
    X[:, 7] *= 1e3
    X[:, 5] = 4.0
    weights = np.random.default_rng(0).uniform(0.5, 2, 30)
    model = SqrtLasso(0.3, fit_intercept=intercept)
    expected = clone(model).set_params(precompute=False)
    expected.fit(form(X), y, sample_weight=weights)
    G = gram(X, intercept, weights)
    found = clone(model).set_params(precompute=G)
    found.fit(form(X), y, sample_weight=weights)
    assert_allclose(found.coef_, expected.coef_, rtol=1e-9)
    with pytest.raises(ValueError, match="Gram matrix of X"):
        found.fit(form(X), y)  # with other weights
    G[7, 9] += 1.0
    G[9, 7] += 1.0
    with pytest.raises(ValueError, match=r"feature [79] differ"):
        found.fit(form(X), y, sample_weight=weights)
    X += 1e5  # most digits are lost
    clone(model).set_params(precompute=gram(X, intercept)).fit(form(X), y)
