"""Cross-validation on tables: by moments where these have enough digits, else rows."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import (
    KFold,
    RepeatedKFold,
    ShuffleSplit,
    TimeSeriesSplit,
)

from sklearn_sqrtlasso import SqrtLassoCV
from sklearn_sqrtlasso.estimators import sqrt_lasso_cv
from sklearn_sqrtlasso.regression import design, moment_path, moments

EXACT = 1e-8  # of the largest coefficient


def table(n=120, p=8, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 0.7 * rng.standard_normal((n, 1)) + 2
    X *= 10.0 ** rng.uniform(-1, 1, p)
    y = X[:, :3] / X.std(axis=0)[:3] @ [2, -1, 1] + 2 * rng.standard_normal(n) + 5
    return X, y, rng.integers(0, 3, n).astype(float)


@pytest.fixture
def rows_used(monkeypatch):
    """Count the folds whose errors come from rows."""
    counts, errors = [], SqrtLassoCV._errors

    def counting(self, *given):
        counts.append(1)
        return errors(self, *given)

    monkeypatch.setattr(SqrtLassoCV, "_errors", counting)
    return counts


def by_rows(model, X, y, weights=None):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("tables_of_folds", "table_of_fold"):
            patch.setattr(sqrt_lasso_cv, name, lambda *given: None)
        return model.fit(X, y, sample_weight=weights)


def test_a_column_of_ones_is_used_without_an_intercept(rows_used):
    X, y, _ = table()
    X[:, 7] = 1.0
    one = SqrtLassoCV(fit_intercept=False).fit(X, y)
    assert not rows_used
    assert one.coef_[7] != 0
    two = by_rows(SqrtLassoCV(fit_intercept=False), X, y)
    assert_allclose(one.mse_path_, two.mse_path_, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
def test_moments_of_sparse_rows_choose_what_rows_choose(dtype, weighted, rows_used):
    X, y, weights = table()
    X = sp.csc_array(np.where(X.mean(axis=0) < X, X, 0).astype(dtype))
    weights = weights if weighted else None
    one = SqrtLassoCV(phi=[1, 0.5]).fit(X, y, sample_weight=weights)
    assert not rows_used
    two = by_rows(SqrtLassoCV(phi=[1, 0.5]), X, y, weights)
    assert rows_used
    assert_allclose(one.alpha_, two.alpha_, rtol=1e-10)
    assert_allclose(one.mse_path_, two.mse_path_, rtol=1e-6)
    assert_allclose(one.coef_, two.coef_, atol=1e-6 * np.abs(two.coef_).max())


OPTIONS = {
    "default": {},
    "positive": {"positive": True},
    "no intercept": {"fit_intercept": False},
    "shuffled": {"cv": KFold(4, shuffle=True, random_state=0)},
    "two folds": {"cv": 2, "n_jobs": 2},
    "penalties": {"alphas": [0.01, 1.0, 0.1]},
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_moments_choose_what_rows_choose(options, dtype, weighted, rows_used):
    X, y, weights = table()
    X, weights = X.astype(dtype), weights if weighted else None
    one = SqrtLassoCV(**options).fit(X, y, sample_weight=weights)
    assert not rows_used
    two = by_rows(SqrtLassoCV(**options), X, y, weights)
    assert rows_used
    assert_allclose(one.alpha_, two.alpha_, rtol=1e-12)
    assert_allclose(one.mse_path_, two.mse_path_, rtol=1e-6)
    size = np.abs(two.coef_).max()
    exact = EXACT if dtype == np.float64 else 1e-6
    assert_allclose(one.coef_, two.coef_, atol=exact * size)
    assert_allclose(one.intercept_, two.intercept_, rtol=1e-5)


@pytest.mark.parametrize("n", [34, 40, 60])
def test_moments_of_few_more_rows_than_columns_choose_what_rows_choose(n, rows_used):
    X, y, _ = table(n, 24)
    one = SqrtLassoCV(eps=0.01).fit(X, y)
    assert not rows_used
    two = by_rows(SqrtLassoCV(eps=0.01), X, y)
    assert_allclose(one.alpha_, two.alpha_, rtol=1e-12)
    assert_allclose(one.mse_path_, two.mse_path_, rtol=1e-5)
    assert_allclose(one.coef_, two.coef_, atol=1e-6 * np.abs(two.coef_).max())


def test_rows_are_used_where_a_training_set_has_no_more_rows_than_columns(rows_used):
    X, y, _ = table(30, 24)
    SqrtLassoCV(alphas=5).fit(X, y)
    assert len(rows_used) == 5


HOSTILE = {
    "an offset": lambda X: X + 1e9,
    "a huge column": lambda X: np.c_[X, 1e200 * X[:, 0]],
    "tiny numbers": lambda X: 1e-150 * X,
    "numbers whose squares vanish": lambda X: 1e-200 * X,
}


@pytest.mark.filterwarnings("ignore:.*features of small scale:UserWarning")
@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_rows_are_used_where_moments_lose_digits(change, rows_used):
    X, y, _ = table()
    SqrtLassoCV(alphas=5).fit(change(X), y)
    assert len(rows_used) == 5


def test_rows_are_used_where_the_fit_is_exact(rows_used):
    X, _, _ = table()
    model = SqrtLassoCV(alphas=20).fit(X, X[:, 0] + X[:, 1])
    assert rows_used
    assert model.score(X, X[:, 0] + X[:, 1]) > 1 - 1e-4


def test_rows_are_used_for_a_penalty_of_zero(rows_used):
    X, y, _ = table()
    SqrtLassoCV(alphas=[1.0, 0.0]).fit(X, y)
    assert rows_used


NO_PARTITIONS = {
    "random": ShuffleSplit(3, random_state=0),
    "repeated": RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
    "later rows": TimeSeriesSplit(3),
    "masks": [(np.arange(120) % 3 > 0, np.arange(120) % 3 == 0)],
    "counted from the last row": [(np.arange(-80, 0), np.arange(40))],
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cv", NO_PARTITIONS.values(), ids=NO_PARTITIONS)
def test_moments_of_each_fold_choose_what_rows_choose(cv, weighted, rows_used):
    X, y, weights = table()
    weights = weights if weighted else None
    one = SqrtLassoCV(alphas=20, cv=cv).fit(X, y, sample_weight=weights)
    assert not rows_used
    two = by_rows(SqrtLassoCV(alphas=20, cv=cv), X, y, weights)
    assert rows_used
    assert_allclose(one.mse_path_, two.mse_path_, rtol=1e-6)
    assert one.alpha_ == two.alpha_
    assert_allclose(one.coef_, two.coef_, atol=1e-9 * np.abs(two.coef_).max())


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
def test_moments_of_a_fold_are_used_where_many_columns_are(dtype, monkeypatch):
    monkeypatch.setattr(moment_path, "WIDE", 4)
    monkeypatch.setattr(design, "SMALL", 0)
    X, y, _ = table(60)
    X, tables, errors = 10 * X / X.std(axis=0), [], SqrtLassoCV._errors_of_table

    def counting(self, *given):
        tables.append(1)
        return errors(self, *given)

    monkeypatch.setattr(SqrtLassoCV, "_errors_of_table", counting)
    X = X.astype(dtype)
    one = SqrtLassoCV(alphas=20, n_jobs=2).fit(X, y)
    assert len(tables) == 5
    two = by_rows(SqrtLassoCV(alphas=20), X, y)
    SqrtLassoCV(alphas=20, eps=0.5).fit(X, y)
    SqrtLassoCV(alphas=20).fit(sp.csc_array(X), y)
    assert len(tables) == 5
    assert_allclose(one.mse_path_, two.mse_path_, rtol=1e-6)
    assert_allclose(one.alpha_, two.alpha_, rtol=1e-9)


def test_rows_are_used_of_many_columns_that_are_alike(rows_used, monkeypatch):
    monkeypatch.setattr(moment_path, "WIDE", 4)
    monkeypatch.setattr(design, "SMALL", 0)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 1)) + 1e-3 * rng.standard_normal((60, 30))
    SqrtLassoCV(alphas=20, eps=0.01).fit(X, X[:, 0] + rng.standard_normal(60))
    assert len(rows_used) == 5


def test_products_of_many_columns_are_gathered_once_for_many_more_rows(
    rows_used, monkeypatch
):
    monkeypatch.setattr(moment_path, "WIDE", 4)
    monkeypatch.setattr(sqrt_lasso_cv, "table_of_fold", lambda *given: None)
    X, y, _ = table()
    SqrtLassoCV(alphas=20, eps=0.5).fit(X, y)
    assert not rows_used
    SqrtLassoCV(alphas=20, eps=0.5).fit(X[:60], y[:60])
    assert len(rows_used) == 5


FOLDS = list(KFold(3).split(np.empty(60)))
OTHER_FOLDS = {
    "lists": [(train.tolist(), test.tolist()) for train, test in FOLDS],
    "counted from the last row": [(train, test - 60) for train, test in FOLDS],
    "masks": [tuple(np.isin(np.arange(60), of) for of in fold) for fold in FOLDS],
}


@pytest.mark.parametrize("folds", OTHER_FOLDS.values(), ids=OTHER_FOLDS)
def test_folds_are_the_same_rows_however_they_are_told(folds):
    X, y = np.split(np.random.default_rng(0).standard_normal((60, 5)), [4], axis=1)
    y = X[:, 0] + y[:, 0]
    ours, usual = (SqrtLassoCV(cv=cv).fit(X, y) for cv in (folds, FOLDS))
    assert_allclose(ours.mse_path_, usual.mse_path_, rtol=1e-6)
    assert_allclose(ours.coef_, usual.coef_, rtol=1e-5)


def test_rows_that_are_left_out_and_repeated_are_no_partition():
    twice = [(np.append(train[1:], train[-1]), test) for train, test in FOLDS]
    assert sqrt_lasso_cv.is_partition(FOLDS, 60)
    assert not sqrt_lasso_cv.is_partition(twice, 60)
    assert not sqrt_lasso_cv.is_partition([FOLDS[0], FOLDS[0], FOLDS[1]], 60)
    assert not sqrt_lasso_cv.is_partition(FOLDS[:1], 60)


def test_a_table_may_be_mapped_from_disk(tmp_path, rows_used):
    X, y, _ = table()
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert_allclose(
        SqrtLassoCV().fit(mapped, y).coef_, SqrtLassoCV().fit(X, y).coef_, atol=1e-12
    )
    assert not rows_used


def test_the_unit_of_the_target_does_not_matter_to_the_bit():
    X, y, _ = table()
    usual = SqrtLassoCV().fit(X, y)
    for unit in (2.0**-900, 0.25, 2.0**900):
        model = SqrtLassoCV().fit(X, unit * y)
        assert model.alpha_ == usual.alpha_
        np.testing.assert_array_equal(model.coef_, unit * usual.coef_)


@pytest.mark.parametrize("weighted", [False, True])
def test_threads_change_no_bit_of_halved_folds(weighted, rows_used, monkeypatch):
    monkeypatch.setattr(moments, "CHUNK_ENTRIES", 500)
    rng = np.random.default_rng(6)
    X = rng.standard_normal((3000, 5))
    y = X[:, 0] + rng.standard_normal(len(X))
    weights = rng.integers(0, 3, len(X)).astype(float) if weighted else None
    fits = [SqrtLassoCV(cv=3, n_jobs=n).fit(X, y, weights) for n in (1, 2, 3)]
    assert not rows_used
    for other in fits[1:]:
        assert_array_equal(other.mse_path_, fits[0].mse_path_)
        assert_array_equal(other.coef_, fits[0].coef_)
