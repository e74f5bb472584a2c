"""SqrtLasso as its users meet it: input, targets, weights, penalties, warnings."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from joblib import dump, load
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import SqrtLasso

CONTAINERS = {
    "list": lambda X: X.tolist(),
    "fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "pandas": pd.DataFrame,
    "polars": lambda X: pl.DataFrame(X.copy(), schema=[f"x{j}" for j in range(12)]),
    "csr": sp.csr_matrix,
    "csc": sp.csc_array,
    "coo": sp.coo_array,
}


def make(n=60, p=12, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    return X, X[:, :2] @ [2.0, -1.0] + noise * rng.standard_normal(n) + 3


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_containers_do_not_matter(container):
    X, y = make()
    model = SqrtLasso(0.2).fit(container(X), y)
    assert_allclose(model.coef_, SqrtLasso(0.2).fit(X, y).coef_, atol=1e-12)
    assert_allclose(model.predict(container(X)), X @ model.coef_ + model.intercept_)


def test_names_of_frames_are_kept_and_checked():
    X, y = make()
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(12)])
    model = SqrtLasso().fit(frame, y)
    assert list(model.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"x0": "z"}))


def test_read_only_memory_maps_are_read(tmp_path):
    X, y = make()
    dump(X, tmp_path / "X")
    mapped = load(tmp_path / "X", mmap_mode="r")
    assert_array_equal(SqrtLasso().fit(mapped, y).coef_, SqrtLasso().fit(X, y).coef_)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_dtypes(dtype):
    X, y = make()
    X = (10 * X).astype(dtype)
    model = SqrtLasso().fit(X, y.astype(dtype))
    wide = SqrtLasso().fit(X.astype(np.float64), y.astype(dtype))
    assert model.coef_.dtype == (np.float32 if dtype == np.float32 else np.float64)
    assert_allclose(model.coef_, wide.coef_, rtol=1e-5)


def test_fit_does_not_touch_its_input():
    X, y = make()
    before = X.copy(), y.copy()
    SqrtLasso().fit(X, y)
    assert_array_equal(X, before[0])
    assert_array_equal(y, before[1])


@pytest.mark.parametrize("alpha", ["pivotal", "asymptotic", 0.2, 0.0])
def test_targets_are_fitted_one_by_one(alpha):
    X, y = make()
    Y = np.column_stack([y, 10 * y[::-1], np.ones(60)])
    model = SqrtLasso(alpha).fit(X, Y)
    assert model.coef_.shape == (3, 12)
    assert model.predict(X).shape == (60, 3)
    for k in range(3):
        alone = SqrtLasso(alpha).fit(X, Y[:, k])
        assert_allclose(model.coef_[k], alone.coef_, rtol=1e-10, atol=1e-12)
        assert_allclose(model.sigma_[k], alone.sigma_, rtol=1e-12)
        assert model.n_iter_[k] == alone.n_iter_


@pytest.mark.parametrize("p", [12, 600])
@pytest.mark.parametrize("alpha", [0.2, "asymptotic", "pivotal"])
def test_a_row_of_weight_k_is_k_rows(alpha, p):
    X, y = make(p=p)
    weights = np.arange(60) % 3
    rows = np.repeat(np.arange(60), weights)
    weighted = SqrtLasso(alpha).fit(X, y, sample_weight=weights)
    repeated = SqrtLasso(alpha).fit(X[rows], y[rows])
    simulated_by_rows = alpha == "pivotal" and p == 600  # draws differ, their law not
    assert_allclose(
        weighted.alpha_, repeated.alpha_, rtol=0.03 if simulated_by_rows else 1e-9
    )
    if not simulated_by_rows:
        assert_allclose(weighted.coef_, repeated.coef_, atol=1e-8)


def test_one_pivotal_penalty_serves_every_noise_level():
    X, _ = make(n=100, p=200)
    noise = np.random.default_rng(1).standard_normal(100)
    truth = X[:, :3] @ [3.0, 3.0, -3.0]
    models = [SqrtLasso().fit(X, truth + s * noise) for s in (0.01, 0.1, 1.0)]
    assert len({model.alpha_ for model in models}) == 1
    for level, model in zip((0.01, 0.1, 1.0), models, strict=True):
        assert_array_equal(np.flatnonzero(model.coef_), [0, 1, 2])
        assert 0.8 * level < model.sigma_ < 2 * level


def test_scaling_the_target_scales_everything_in_its_unit():
    X, y = make()
    one, two = SqrtLasso().fit(X, y), SqrtLasso().fit(X, 1024 * y)
    assert two.alpha_ == one.alpha_
    assert_array_equal(two.coef_, 1024 * one.coef_)
    assert two.sigma_ == 1024 * one.sigma_


def test_seeds():
    X, y = make(p=600)
    alphas = [SqrtLasso(random_state=s).fit(X, y).alpha_ for s in (None, None, 1, 2, 3)]
    assert alphas[0] == alphas[1]
    assert len(set(alphas)) > 2  # draws are counted: two seeds may agree


def test_it_is_the_lasso_at_alpha_sigma():
    X, y = make()
    model = SqrtLasso(0.1).fit(X, y)
    lasso = Lasso(0.1 * model.sigma_, tol=1e-14).fit(X, y)
    assert_allclose(model.coef_, lasso.coef_, atol=1e-8)


def test_warm_starts_end_in_the_same_place():
    X, y = make(p=300)
    model = SqrtLasso(0.3, warm_start=True).fit(X, y)
    model.set_params(alpha=0.1).fit(X, y)
    cold = SqrtLasso(0.1).fit(X, y)
    assert_allclose(model.coef_, cold.coef_, atol=1e-8)
    assert model.fit(X, y).n_iter_ == 1
    assert model.fit(X[:, :5], y).coef_.shape == (5,)


def test_a_warm_start_forgets_signs_that_are_not_allowed():
    X, y = make(p=100)
    model = SqrtLasso(0.1, warm_start=True).fit(X, y)
    assert np.any(model.coef_ < 0)
    model.set_params(positive=True).fit(X, y)
    cold = SqrtLasso(0.1, positive=True).fit(X, y)
    assert np.all(model.coef_ >= 0)
    assert_allclose(model.coef_, cold.coef_, atol=1e-8)


@pytest.mark.parametrize("several", [False, True])
def test_sparse_coefficients_predict_the_same(several):
    X, y = make()
    y = np.column_stack([y, y]) if several else y
    model = SqrtLasso().fit(X, y)
    coef, guess = model.coef_, model.predict(X)
    assert sp.issparse(model.sparsify().coef_)
    assert_allclose(model.predict(X), guess)
    assert_allclose(model.predict(sp.csr_array(X)), guess)
    assert_array_equal(model.densify().coef_, coef)
    warm = model.sparsify().set_params(warm_start=True).fit(X, y)
    assert_allclose(warm.coef_, coef, atol=1e-8)


@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (1, 1), (2, 2)])
@pytest.mark.parametrize("alpha", ["pivotal", "asymptotic", 0.1, 0.0])
def test_the_smallest_shapes(shape, alpha):
    X, y = make(*shape) if shape[1] > 1 else (np.ones(shape), np.arange(shape[0]) * 1.0)
    model = SqrtLasso(alpha).fit(X, y)
    assert np.all(np.isfinite(model.coef_))
    assert model.dual_gap_ <= 1e-6


@pytest.mark.parametrize("alpha", ["pivotal", "asymptotic", 0.1, 0.0])
@pytest.mark.parametrize("y", ["constant", "zero", "in the span"])
def test_targets_without_noise(alpha, y):
    X, _ = make()
    y = {"constant": np.full(60, 0.3), "zero": np.zeros(60), "in the span": X[:, 0]}[y]
    model = SqrtLasso(alpha).fit(X, y)
    assert model.sigma_ <= 1e-6
    assert model.dual_gap_ <= 1e-6
    assert_allclose(model.predict(X), y, atol=1e-5)


def test_constant_features_get_no_coefficient():
    X, y = make()
    X[:, 3], X[:, 4] = 7.1, 0.0
    for container in (np.asarray, sp.csc_array):
        model = SqrtLasso(1e-6).fit(container(X), y)
        assert model.dual_gap_ <= 1e-6
        assert_array_equal(model.coef_[3:5], 0)


def test_one_warning_says_by_how_much_the_gap_is_missed():
    X, y = make(n=40, p=800)
    Y = np.column_stack([y, y[::-1]])
    with pytest.warns(ConvergenceWarning, match="2 of 2 .* largest gap is") as caught:
        model = SqrtLasso(0.05, max_iter=1).fit(X, Y)
    assert len(caught) == 1
    assert np.all(model.dual_gap_ > 1e-6)


BAD = {
    "alpha": ({"alpha": -1.0}, {}, "alpha"),
    "word": ({"alpha": "pivot"}, {}, "alpha"),
    "tol": ({"tol": -1}, {}, "tol"),
    "max_iter": ({"max_iter": 0}, {}, "max_iter"),
    "weights": ({}, {"sample_weight": -np.ones(60)}, "sample_weight must be nonneg"),
    "no weight": ({}, {"sample_weight": np.zeros(60)}, "non-?zero|not all zero"),
    "few weights": ({}, {"sample_weight": np.ones(3)}, "sample_weight"),
    "nan weight": ({}, {"sample_weight": np.full(60, np.nan)}, "NaN"),
}


@pytest.mark.parametrize(("params", "call", "message"), BAD.values(), ids=BAD)
def test_bad_parameters_leave_the_estimator_as_it_was(params, call, message):
    X, y = make()
    model = SqrtLasso(0.1).fit(X, y)
    before = dict(vars(model.set_params(**params)))
    with pytest.raises(ValueError, match=message):
        model.fit(2 * X, y, **call)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["X", "y"])
def test_values_that_are_not_finite_are_refused(where, bad):
    X, y = make()
    (X if where == "X" else y)[3] = bad
    with pytest.raises(ValueError, match=f"Input {where} contains"):
        SqrtLasso().fit(X, y)


def test_it_works_in_a_search_and_a_pipeline():
    X, y = make()
    model = make_pipeline(StandardScaler(), SqrtLasso())
    grid = {"sqrtlasso__alpha": ["pivotal", 0.1, 0.01]}
    assert GridSearchCV(model, grid).fit(X, y).score(X, y) > 0.8


def test_fitted_attributes_are_plain_and_pickle():
    X, y = make()
    model = SqrtLasso().fit(X, y)
    plain = (np.ndarray, float, int, str, bool, type(None))
    assert all(isinstance(value, plain) for value in vars(model).values())
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(X), model.predict(X))
    assert not hasattr(clone(model), "coef_")


@pytest.mark.parametrize("phi", [1.0, 0.5, 0.0])
def test_a_constant_feature_alone_is_no_reason_to_warn(phi):
    y = np.random.default_rng(0).standard_normal(50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SqrtLasso(phi=phi).fit(np.ones((50, 1)), y)
    assert model.coef_ == 0
    assert_allclose(model.intercept_, y.mean())
