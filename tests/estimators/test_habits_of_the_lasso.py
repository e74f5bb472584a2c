"""What users of scikit-learn's lasso expect of the square-root lasso."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import Lasso, LassoCV
from sklearn.linear_model import lasso_path as path_of_lasso

from sklearn_sqrtlasso import SqrtLasso, SqrtLassoCV, sqrt_lasso_path


def make(n=40, p=6):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    return X, X[:, :2] @ [2.0, -1.0] + 0.5 * rng.standard_normal(n) + 3


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_a_target_in_a_column_gives_the_shapes_of_the_lasso(fit_intercept):
    X, y = make()
    ours = SqrtLasso(0.1, fit_intercept=fit_intercept).fit(X, y[:, None])
    lasso = Lasso(0.1, fit_intercept=fit_intercept).fit(X, y[:, None])
    for name in ("coef_", "intercept_", "dual_gap_", "n_iter_"):
        assert np.shape(getattr(ours, name)) == np.shape(getattr(lasso, name)), name
    assert ours.predict(X).shape == lasso.predict(X).shape == (40,)
    flat = SqrtLasso(0.1, fit_intercept=fit_intercept).fit(X, y)
    assert_array_equal(ours.coef_, flat.coef_)
    assert_array_equal(ours.predict(X), flat.predict(X))
    assert ours.score(X, y[:, None]) == flat.score(X, y)
    assert_allclose(ours.sparsify().predict(X), flat.predict(X), rtol=1e-12)
    assert_array_equal(ours.densify().coef_, flat.coef_)


def test_cross_validation_warns_of_a_target_in_a_column_as_that_of_the_lasso():
    X, y = make()
    for model in (SqrtLassoCV(alphas=5), LassoCV(alphas=[1.0, 0.1])):
        with pytest.warns(match="column-vector"):
            assert model.fit(X, y[:, None]).coef_.shape == (6,)


@pytest.mark.parametrize("targets", [1, 2])
def test_sparse_coefficients_are_those_of_the_lasso(targets):
    X, y = make()
    y = np.column_stack([y, -y])[:, :targets].squeeze()
    model, lasso = SqrtLasso(0.1).fit(X, y), Lasso(0.1).fit(X, y)
    assert type(model.sparse_coef_) is type(lasso.sparse_coef_)
    assert model.sparse_coef_.shape == (targets, 6)
    assert_array_equal(model.sparse_coef_.toarray(), np.atleast_2d(model.coef_))
    assert_array_equal(model.sparsify().sparse_coef_.toarray(), model.coef_.toarray())


@pytest.mark.parametrize("cls", [SqrtLasso, SqrtLassoCV])
def test_path_is_a_static_method(cls):
    X, y = make()
    expected = sqrt_lasso_path(X, y, alphas=3)
    for found in (cls.path(X, y, alphas=3), cls().path(X, y, alphas=3)):
        assert_array_equal(found.coefs, expected.coefs)
    alphas, coefs, gaps, _ = expected
    lasso = path_of_lasso(X, y, alphas=alphas)
    assert [part.shape for part in lasso] == [alphas.shape, coefs.shape, gaps.shape]


def test_the_path_is_that_of_the_lasso_at_alpha_sigma():
    X, y = make()
    path = sqrt_lasso_path(X, y, alphas=[0.5, 0.1])
    mu = path.alphas * path.sigmas
    _, coefs, _ = path_of_lasso(X, y, alphas=mu, tol=1e-12)
    assert_allclose(path.coefs, coefs, atol=1e-7)


@pytest.mark.parametrize("model", [SqrtLasso(), SqrtLasso(phi=0), SqrtLassoCV()])
def test_features_are_selected_by_their_coefficients(model):
    X, y = make()
    chosen = SelectFromModel(model).fit(X, y)
    assert_array_equal(chosen.get_support(), np.abs(chosen.estimator_.coef_) >= 1e-5)
    assert chosen.get_support()[:2].all()
    most = SelectFromModel(model, max_features=1, threshold=-np.inf).fit(X, y)
    assert_array_equal(np.flatnonzero(most.get_support()), [0])
    assert chosen.transform(sp.csr_array(X)).shape[0] == 40


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_line_is_printed_for_each_fold(n_jobs, capsys):
    X, y = make()
    model = SqrtLassoCV(alphas=5, cv=3, verbose=1, n_jobs=n_jobs).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    pattern = r"\[SqrtLassoCV\] fold (\d)/3, smallest error (.*)"
    told = [re.fullmatch(pattern, line).groups() for line in lines]
    assert [int(fold) for fold, _ in told] == [1, 2, 3]
    errors = np.sqrt(model.mse_path_.min(axis=0))
    assert_allclose(sorted(float(error) for _, error in told), sorted(errors), 1e-5)


class Ear:
    """A callback that writes down what it hears."""

    def __init__(self):
        self.heard, self.scores = [], []

    def setup(self, estimator, context):
        self.heard.append("setup")

    def teardown(self, estimator, context):
        self.heard.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.heard.append(f"{context.task_name} begins")

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.heard.append(f"{context.task_name} ends")
        if fitted_estimator is not None:
            self.scores.append(fitted_estimator.score(X, y))


def test_callbacks_hear_of_each_fold():
    pytest.importorskip("sklearn.callback")
    X, y = make()
    ear = Ear()
    model = SqrtLassoCV(alphas=5, cv=2).set_callbacks(ear).fit(X, y)
    folds = ["fold begins", "fold ends"] * 2
    assert ear.heard == ["setup", "fit begins", *folds, "fit ends", "teardown"]
    assert ear.scores == [model.score(X, y)]
