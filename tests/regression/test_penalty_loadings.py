"""Penalty loadings: the published example of hdm, and what loadings are."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import ndtri

from sklearn_sqrtlasso import SqrtLasso
from sklearn_sqrtlasso.regression.designs import design_of
from sklearn_sqrtlasso.regression.penalty_loadings import column_sizes, loadings_of
from tests.oracles import normal_numbers_of_r

# "High-Dimensional Metrics in R" by Chernozhukov, Hansen and Spindler, the vignette of
# the R package hdm: summary(rlasso(Y ~ X, post = FALSE)), columns counted from 1.
PUBLISHED = {
    1: 4.771, 2: 4.693, 3: 4.766, 13: -0.045, 15: -0.047, 16: -0.005, 19: -0.092,
    22: -0.027, 40: -0.011, 61: 0.114, 100: -0.025,
}  # fmt: skip


def test_the_published_example_of_hdm():
    n = p = 100
    numbers = normal_numbers_of_r(12345, n * p + n)
    X = numbers[: n * p].reshape(p, n).T
    y = X[:, :3].sum(axis=1) * 5 + numbers[n * p :]
    alpha = 0.5 * ndtri(1 - 0.1 / np.log(n) / (2 * p)) / np.sqrt(n)  # c, gamma of hdm
    model = SqrtLasso(alpha, penalty_loadings="auto").fit(X, y)
    expected = np.zeros(p)
    expected[np.array(list(PUBLISHED)) - 1] = list(PUBLISHED.values())
    assert_array_equal(model.coef_ != 0, expected != 0)
    assert_allclose(model.coef_, expected, atol=5.1e-4)
    assert_allclose(model.intercept_, 0.057, atol=5.1e-4)
    residuals = y - model.predict(X)
    quartiles = [-2.09008, -0.45801, -0.01237, 0.50291, 2.25098]
    found = np.quantile(residuals, [0, 0.25, 0.5, 0.75, 1])
    assert_allclose(found, quartiles, atol=2e-4)
    assert_allclose(residuals.std(ddof=1), 0.8039, atol=1e-4)


def make(n=80, p=20, uneven=False, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < 0.6) + 3.0
    noise = rng.standard_normal(n) * (np.abs(X[:, 5] - 3) + 0.1 if uneven else 1.0)
    return X, X[:, 0] - X[:, 1] + noise


@pytest.mark.parametrize("form", [np.array, np.float32, sp.csc_array])
@pytest.mark.parametrize("intercept", [False, True])
def test_loadings_are_those_of_the_formula(form, intercept):
    X, y = make()
    weights = np.random.default_rng(1).dirichlet(np.ones(80))
    coef = np.where(np.arange(20) < 3, 0.5, 0.0)
    found = loadings_of(design_of(form(X), weights, intercept), y, coef)
    X = np.float32(X).astype(float) if form is np.float32 else X
    r, C = y - X @ coef, X - intercept * (weights @ X)
    r = r - intercept * (weights @ r)
    expected = np.sqrt(weights @ (C**2 * r[:, None] ** 2) / (weights @ r**2))
    assert_allclose(found, expected, rtol=1e-6)
    assert loadings_of(design_of(form(X), weights, True), 0 * y, 0 * coef) is None


def test_a_fit_agrees_with_the_loadings_of_its_residuals():
    X, y = make(uneven=True)
    model = SqrtLasso(penalty_loadings="auto").fit(X, y)
    r, C = y - model.predict(X), X - X.mean(axis=0)
    expected = np.sqrt(np.mean(C**2 * r[:, None] ** 2, axis=0) / np.mean(r**2))
    assert_allclose(model.penalty_loadings_, expected, rtol=1e-4)
    assert np.argmax(expected / C.std(axis=0)) == 5


@pytest.mark.parametrize("alpha", ["pivotal", "asymptotic", 0.2])
def test_given_loadings_divide_the_columns(alpha):
    X, y = make()
    loadings = np.geomspace(0.3, 5, 20)
    model = SqrtLasso(alpha, penalty_loadings=loadings).fit(X, y)
    plain = SqrtLasso(alpha).fit(X / loadings, y)
    assert_allclose(model.alpha_, plain.alpha_, rtol=1e-9)
    assert_allclose(model.coef_, plain.coef_ / loadings, atol=1e-9)
    assert_array_equal(model.penalty_loadings_, loadings)


@pytest.mark.parametrize("alpha", ["pivotal", "asymptotic", 0.2])
def test_estimated_loadings_make_scales_of_features_irrelevant(alpha):
    X, y = make()
    scales = 10.0 ** np.arange(-10, 10)
    one, two = (
        SqrtLasso(alpha, penalty_loadings="auto").fit(A, y) for A in (X, X * scales)
    )
    assert_allclose(two.coef_ * scales, one.coef_, atol=1e-8)
    assert_allclose(two.alpha_, one.alpha_, rtol=1e-9)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_a_few_rows_of_standardised_columns_have_a_penalty(n):
    X = np.random.default_rng(0).standard_normal((n, 8))
    model = SqrtLasso(penalty_loadings="auto").fit(X, X[:, 0])
    assert 0.9 < model.alpha_ <= 1


def test_they_protect_from_noise_that_is_larger_in_some_rows():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 40))
    X[:, 0] = np.arange(200) < 20
    level = np.where(X[:, 0] > 0, 10.0, 1.0)  # many such rows would look like a signal
    noise = level[:, None] * rng.standard_normal((200, 60))
    sizes = column_sizes(design_of(X, np.full(200, 1 / 200), True))
    wrong = {
        name: np.mean(SqrtLasso(penalty_loadings=given).fit(X, noise).coef_.any(axis=1))
        for name, given in (("auto", "auto"), ("sizes", sizes))
    }
    assert wrong["auto"] <= 0.1 < 0.2 < wrong["sizes"]


@pytest.mark.parametrize(
    "bad", [np.zeros(20), np.ones(3), -np.ones(20), [[1.0] * 20], np.full(20, np.nan)]
)
def test_bad_loadings_are_named(bad):
    with pytest.raises(ValueError, match="penalty_loadings"):
        SqrtLasso(penalty_loadings=bad).fit(*make())
