"""Paths and cross-validation."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LassoCV, LinearRegression
from sklearn.model_selection import KFold

from sklearn_sqrtlasso import SqrtLasso, SqrtLassoCV, sqrt_lasso_path
from sklearn_sqrtlasso.estimators import sqrt_lasso_path as module
from sklearn_sqrtlasso.regression import design, moment_path


def make(n=50, p=80, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    return X, X[:, :2] @ [2.0, -1.0] + noise * rng.standard_normal(n) + 3


def test_a_path_holds_the_solutions_of_its_penalties():
    X, y = make()
    alphas, coefs, gaps, sigmas = sqrt_lasso_path(X, y, alphas=20, fit_intercept=True)
    assert coefs.shape == (80, 20)
    assert np.all(gaps <= 1e-6)
    assert not coefs[:, 0].any()
    for k in (3, 8, 12):
        model = SqrtLasso(alphas[k]).fit(X, y)
        assert_allclose(coefs[:, k], model.coef_, atol=1e-7)
        assert_allclose(sigmas[k], model.sigma_, atol=1e-6)


def test_residuals_fall_and_norms_rise_along_a_path():
    X, y = make()
    path = sqrt_lasso_path(X, y, fit_intercept=True)
    assert np.all(np.diff(path.sigmas) <= 1e-6 * path.sigmas[0])
    norms = np.abs(path.coefs).sum(axis=0)
    assert np.all(np.diff(norms) >= -1e-6 * norms[-1])


@pytest.mark.parametrize("options", [{}, {"fit_intercept": True, "positive": True}])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_products_of_a_table_give_what_its_rows_give(monkeypatch, dtype, options):
    X, y = make(n=60, p=6)
    X, Y = X.astype(dtype), np.column_stack([1e3 * y, y - X[:, 1]])
    options = {"alphas": 20, "phi": [1.0, 0.5, 0.0], **options}
    paths = [sqrt_lasso_path(X, Y, **options)]
    monkeypatch.setattr(module, "gathers_products", lambda *_, **__: False)
    paths.append(sqrt_lasso_path(X, Y, **options))
    for ours, theirs in zip(*paths, strict=True):
        assert ours.dtype == theirs.dtype
        atol = 1e-6 if ours is paths[0].gaps else 1e-7 * np.abs(theirs).max()
        assert_allclose(ours, theirs, atol=atol)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_products_of_many_features_are_used_if_noise_uses_many(
    monkeypatch, fit_intercept
):
    X, y = make(n=60, p=12)
    monkeypatch.setattr(moment_path, "WIDE", 8)
    monkeypatch.setattr(design, "SMALL", 0)
    options = {"alphas": 20, "fit_intercept": fit_intercept}
    ours = sqrt_lasso_path(X, y, **options)
    gather, counts = module.moments_with, []

    def count(*given):
        counts.append(1)
        return gather(*given)

    monkeypatch.setattr(module, "moments_with", count)
    sqrt_lasso_path(X, y, **options)
    assert len(counts) == 1
    sqrt_lasso_path(X, y, **options | {"eps": 0.5})
    sqrt_lasso_path(sp.csc_array(X), y, **options)
    assert len(counts) == 1
    monkeypatch.setattr(module, "approach", lambda *_: (False, None))
    theirs = sqrt_lasso_path(X, y, **options)
    assert len(counts) == 1
    assert_allclose(ours.coefs, theirs.coefs, atol=1e-7 * np.abs(theirs.coefs).max())
    assert_allclose(ours.sigmas, theirs.sigmas, rtol=1e-7)
    assert np.all(ours.gaps <= 1e-6)


def test_products_that_lose_digits_are_not_used():
    X, y = make(n=60, p=6)
    near, far = (sqrt_lasso_path(X + c, y, fit_intercept=True) for c in (0, 1e5))
    assert_allclose(near.coefs, far.coefs, atol=1e-6)
    exact = sqrt_lasso_path(X, X[:, 0], alphas=[0.5, 1e-9])
    assert np.all(exact.gaps <= 1e-6)


@pytest.mark.parametrize("precompute", ["auto", True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_path_of_penalties_of_zero_is_least_squares(precompute, fit_intercept):
    X, y = make(p=12)
    options = {"precompute": precompute, "fit_intercept": fit_intercept}
    path = sqrt_lasso_path(X, np.c_[y, X[:, 0]], alphas=[0.0, 0.0], **options)
    for target, coefs in zip((y, X[:, 0]), path.coefs, strict=True):
        model = LinearRegression(fit_intercept=fit_intercept).fit(X, target)
        assert_allclose(coefs, np.stack([model.coef_] * 2, axis=1), atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 3.0])
@pytest.mark.parametrize("shape", [(12, 1), (12, 3), (3, 12)])
def test_columns_that_do_not_vary_have_a_path_of_zeros(shape, value):
    y = np.arange(shape[0]) ** 2.0
    for precompute in ("auto", True, False):
        path = sqrt_lasso_path(
            np.full(shape, value),
            y,
            alphas=4,
            fit_intercept=True,
            precompute=precompute,
        )
        assert path.coefs.shape == (shape[1], 4)
        assert not path.coefs.any()
        assert not path.alphas.any()
        assert_allclose(path.sigmas, np.std(y))


def test_a_path_without_a_positive_correlation_is_zero():
    X, _ = make(n=30, p=2)
    X = np.abs(X)
    path = sqrt_lasso_path(X, -X.sum(axis=1), alphas=3, positive=True)
    assert not path.coefs.any()
    assert_array_equal(path.alphas, 0.0)


def test_penalties_of_ones_own_are_sorted():
    X, y = make()
    path = sqrt_lasso_path(X, y, alphas=[0.1, 0.5, 0.2])
    assert_array_equal(path.alphas, [0.5, 0.2, 0.1])


def test_sparse_and_dense_paths_are_the_same():
    X, y = make()
    X[np.abs(X) < 1] = 0
    dense = sqrt_lasso_path(X, y, alphas=10, eps=0.1, fit_intercept=True)
    sparse = sqrt_lasso_path(sp.csr_array(X), y, alphas=10, eps=0.1, fit_intercept=True)
    assert_allclose(dense.coefs, sparse.coefs, atol=1e-8)


@pytest.mark.parametrize("positive", [False, True])
def test_paths_of_several_targets(positive):
    X, y = make()
    Y = np.column_stack([y, -y, 0 * y])
    path = sqrt_lasso_path(X, Y, alphas=7, positive=positive)
    assert path.coefs.shape == (3, 80, 7)
    assert path.gaps.shape == path.sigmas.shape == (3, 7)
    alone = sqrt_lasso_path(X, y, alphas=path.alphas, positive=positive)
    assert_allclose(path.coefs[0], alone.coefs, atol=1e-13)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alphas": 0}, "alphas must be at least 1"),
        ({"alphas": [-1.0]}, "nonnegative"),
        ({"alphas": [[1.0]]}, "one-dimensional"),
        ({"alphas": [np.nan]}, "NaN"),
        ({"alphas": [np.inf]}, "alphas contains infinity"),
        ({"alphas": None}, "alphas must be an integer or .* array .* got None"),
        ({"alphas": []}, "alphas must be .* at least one penalty"),
        ({"alphas": 5.5}, "alphas must be an integer"),
        ({"alphas": True}, "alphas must be an integer"),
        ({"eps": None}, "eps must be in"),
        ({"tol": None}, "tol must be"),
        ({"eps": 0}, "eps must be in"),
        ({"tol": -1}, "tol must be"),
        ({"tol": np.inf}, "tol must be"),
        ({"max_iter": 0}, "max_iter"),
        ({"max_iter": 1.5}, "max_iter must be an integer, at least 1, got 1.5"),
        ({"positive": "no"}, "positive must be True or False, got 'no'"),
        ({"fit_intercept": 2}, "fit_intercept must be True or False, got 2"),
    ],
)
def test_bad_parameters_of_a_path(options, message):
    with pytest.raises(ValueError, match=message):
        sqrt_lasso_path(*make(), **options)


def test_rows_of_x_and_y_must_agree():
    X, y = make()
    with pytest.raises(ValueError, match="inconsistent"):
        sqrt_lasso_path(X, y[:-1])


def test_cross_validation_chooses_the_best_of_its_grid():
    X, y = make()
    model = SqrtLassoCV(alphas=30, cv=KFold(4)).fit(X, y)
    assert model.mse_path_.shape == (30, 4)
    best = np.argmin(model.mse_path_.mean(axis=1))
    assert model.alpha_ == model.alphas_[best]
    assert_allclose(model.coef_, SqrtLasso(model.alpha_).fit(X, y).coef_, atol=1e-7)


def test_errors_are_those_of_held_out_rows():
    X, y = make()
    folds = list(KFold(5).split(X))
    model = SqrtLassoCV(alphas=[0.5, 0.2], cv=folds).fit(X, y)
    for k, (train, test) in enumerate(folds):
        for i, alpha in enumerate(model.alphas_):
            guess = SqrtLasso(alpha).fit(X[train], y[train]).predict(X[test])
            assert_allclose(model.mse_path_[i, k], np.mean((guess - y[test]) ** 2))


def test_threads_do_not_matter():
    X, y = make()
    one, two = (SqrtLassoCV(n_jobs=n).fit(X, y) for n in (1, 2))
    assert_array_equal(one.mse_path_, two.mse_path_)
    assert_array_equal(one.coef_, two.coef_)


def test_weights_of_zero_leave_rows_out():
    X, y = make()
    weights = np.ones(50)
    weights[::10] = 0
    folds = list(KFold(4).split(X))
    model = SqrtLassoCV(alphas=10, cv=folds).fit(X, y, sample_weight=weights)
    kept = np.flatnonzero(weights)
    place = {row: k for k, row in enumerate(kept)}
    left = [[[place[i] for i in part if i in place] for part in fold] for fold in folds]
    again = SqrtLassoCV(alphas=10, cv=left).fit(X[kept], y[kept])
    assert_allclose(model.mse_path_, again.mse_path_, rtol=1e-6)


def test_folds_without_weight_are_refused():
    X, y = make()
    weights = np.ones(50)
    weights[:10] = 0
    with pytest.raises(ValueError, match="sample_weight must leave each fold"):
        SqrtLassoCV(cv=KFold(5)).fit(X, y, sample_weight=weights)


def test_the_diabetes_table_is_predicted_as_well_as_by_the_lasso():
    X, y = load_diabetes(return_X_y=True)
    ours, lasso = SqrtLassoCV(alphas=40).fit(X, y), LassoCV().fit(X, y)
    errors = [model.mse_path_.mean(axis=1).min() for model in (ours, lasso)]
    assert_allclose(*errors, rtol=5e-3)


def test_sparse_coefficients_predict_the_same():
    X, y = make()
    model = SqrtLassoCV(alphas=10).fit(X, y)
    guess = model.predict(X)
    assert_allclose(model.sparsify().predict(X), guess)
