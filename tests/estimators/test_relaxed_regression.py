"""Regressions that keep a share of their shrinkage, and the choice of that share."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from sklearn_sqrtlasso import SqrtLasso, SqrtLassoCV, sqrt_lasso_path
from sklearn_sqrtlasso.estimators import sqrt_lasso_cv

PHIS = [1.0, 0.0, 0.5]


def make(n=60, p=12, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + rng.standard_normal((n, 1))
    return X, X[:, :2] @ [2.0, -1.0] + rng.standard_normal(n) + 3


@pytest.mark.parametrize("form", [np.array, sp.csr_array])
def test_a_share_of_zero_is_linear_regression_on_the_support(form):
    X, y = make()
    weights = np.arange(60) % 3
    model = SqrtLasso(phi=0).fit(form(X), y, sample_weight=weights)
    on = model.coef_ != 0
    least = LinearRegression().fit(X[:, on], y, sample_weight=weights)
    assert_allclose(model.coef_[on], least.coef_, rtol=1e-9)
    assert_allclose(model.intercept_, least.intercept_, rtol=1e-9)
    square = weights @ (y - model.predict(X)) ** 2
    left = weights.sum() - on.sum() - 1
    assert_allclose(model.sigma_, np.sqrt(square / left), rtol=1e-9)


def test_a_share_changes_neither_support_nor_penalty_nor_gap():
    X, y = make()
    whole, half = SqrtLasso().fit(X, y), SqrtLasso(phi=0.5).fit(X, y)
    assert half.alpha_ == whole.alpha_
    assert half.dual_gap_ == whole.dual_gap_
    assert_array_equal(half.coef_ != 0, whole.coef_ != 0)
    assert np.abs(half.coef_).sum() > np.abs(whole.coef_).sum()


def test_targets_are_relaxed_one_by_one_and_warm_starts_do_not_matter():
    X, y = make()
    Y = np.column_stack([y, y[::-1]])
    model = SqrtLasso(0.1, phi=0.3, warm_start=True).fit(X, Y)
    before = model.coef_
    for k in range(2):
        alone = SqrtLasso(0.1, phi=0.3).fit(X, Y[:, k])
        assert_allclose(model.coef_[k], alone.coef_, rtol=1e-10)
        assert_allclose(model.sigma_[k], alone.sigma_, rtol=1e-12)
    assert_allclose(model.fit(X, Y).coef_, before, atol=1e-9)


def test_the_noise_level_is_right_on_average():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 5))
    Y = 3 * X[:, :3].sum(axis=1)[:, None] + rng.standard_normal((40, 400))
    model = SqrtLasso(0.3, phi=0).fit(X, Y)
    assert_allclose(np.mean(model.sigma_**2), 1, atol=0.05)
    assert np.mean((Y - model.predict(X)) ** 2) < 0.93


def test_weights_that_are_not_counts_may_be_multiplied():
    X, y = make()
    shares = np.random.default_rng(1).dirichlet(np.ones(60))
    for model in (SqrtLasso(phi=0), SqrtLassoCV(phi=0, alphas=5)):
        sigmas = [model.fit(X, y, sample_weight=w).sigma_ for w in (shares, 7 * shares)]
        assert_allclose(*sigmas, rtol=1e-9)


@pytest.mark.parametrize("positive", [False, True])
def test_a_path_of_shares_holds_the_fits_of_each(positive):
    X, y = make()
    Y = np.column_stack([y, -y])
    given = {"alphas": 6, "eps": 0.05, "fit_intercept": True, "positive": positive}
    path = sqrt_lasso_path(X, Y, phi=PHIS, **given)
    assert path.coefs.shape == (3, 2, 12, 6)
    assert path.sigmas.shape == (3, 2, 6)
    assert path.gaps.shape == (2, 6)
    for i, k, m in np.ndindex(3, 2, 6):
        model = SqrtLasso(path.alphas[m], phi=PHIS[i], positive=positive)
        model.fit(X, Y[:, k])
        assert_allclose(path.coefs[i, k, :, m], model.coef_, atol=1e-7)
        assert_allclose(path.sigmas[i, k, m], model.sigma_, rtol=1e-6)
    alone = sqrt_lasso_path(X, y, phi=0.5, **given | {"alphas": path.alphas})
    assert_allclose(alone.coefs, path.coefs[2, 0], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("by", ["rows", "moments"])
@pytest.mark.parametrize("positive", [False, True])
def test_errors_are_those_of_held_out_rows(by, positive, monkeypatch):
    if by == "rows":
        for name in ("tables_of_folds", "table_of_fold"):
            monkeypatch.setattr(sqrt_lasso_cv, name, lambda *given: None)
    X, y = make()
    weights = 1.0 + np.arange(60) % 2
    folds = list(KFold(3).split(X))
    given = {"alphas": [0.5, 0.1, 0.02], "positive": positive}
    model = SqrtLassoCV(phi=PHIS, cv=folds, **given)
    model.fit(X, y, sample_weight=weights)
    assert model.mse_path_.shape == (3, 3, 3)
    for i, m, k in np.ndindex(3, 3, 3):
        train, test = folds[k]
        one = SqrtLasso(model.alphas_[m], phi=PHIS[i], positive=positive)
        one.fit(X[train], y[train], sample_weight=weights[train])
        wrong = (one.predict(X[test]) - y[test]) ** 2
        expected = np.average(wrong, weights=weights[test])
        assert_allclose(model.mse_path_[i, m, k], expected, rtol=1e-6)
    shares = [weights[test].sum() for _, test in folds]
    pooled = np.average(model.mse_path_, axis=2, weights=shares)
    i, m = np.unravel_index(np.argmin(pooled), (3, 3))
    assert (model.phi_, model.alpha_) == (PHIS[i], model.alphas_[m])
    again = SqrtLasso(model.alpha_, phi=model.phi_, positive=positive)
    again.fit(X, y, sample_weight=weights)
    assert_allclose(model.coef_, again.coef_, atol=1e-8)
    assert_allclose(model.sigma_, again.sigma_, rtol=1e-8)


def test_a_single_share_has_no_axis():
    X, y = make()
    model = SqrtLassoCV(phi=0.5, alphas=7, cv=4).fit(X, y)
    assert model.mse_path_.shape == (7, 4)
    assert model.phi_ == 0.5


def test_relaxed_choices_predict_better_where_few_features_matter():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 200))
    truth = np.where(np.arange(200) < 5, 1.0, 0.0)
    y = X @ truth + rng.standard_normal(80)
    plain, relaxed = (SqrtLassoCV(phi=p).fit(X, y) for p in (1.0, [0, 0.5, 1]))
    assert relaxed.phi_ < 1
    wrong = [np.linalg.norm(model.coef_ - truth) for model in (relaxed, plain)]
    assert wrong[0] < 0.8 * wrong[1]
    assert np.count_nonzero(relaxed.coef_) < np.count_nonzero(plain.coef_)


BAD = [-0.1, 1.1, [0.5, 2.0], [], [[0.5]], [np.nan], "half", ["a"]]


@pytest.mark.parametrize("phi", BAD, ids=str)
def test_bad_shares_are_named(phi):
    X, y = make()
    with pytest.raises(ValueError, match="phi"):
        sqrt_lasso_path(X, y, phi=phi)
    for model in (SqrtLasso(phi=phi), SqrtLassoCV(phi=phi)):
        with pytest.raises(ValueError, match="phi"):
            model.fit(X, y)
        assert not hasattr(model, "coef_")
