"""Estimators that have seen noisy copies predict from noisy rows."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_sqrtlasso import Denoiser, NoisyCopies, PivotalPCA
from sklearn_sqrtlasso.metrics import noise_scorer
from sklearn_sqrtlasso.models.noise import NOISE_KINDS


def scaled(load):
    X, y = load(return_X_y=True)
    return 3 + StandardScaler().fit_transform(X), y


WINE, CANCER, DIABETES = map(scaled, (load_wine, load_breast_cancer, load_diabetes))
NOT_0 = np.where(WINE[1] == 0, 0.0, 1.0)  # weights of the rows


class Keeper(BaseEstimator):
    """Keeps what it is fitted to."""

    def fit(self, X, y=None, **metadata):
        self.X_, self.y_, self.metadata_ = X, y, metadata
        return self

    def predict(self, X):
        return np.zeros(len(X))


def copies_of(X, y=None, **params):
    """Return the copies, one after the other, the rows themselves first."""
    fitted = NoisyCopies(Keeper(), **{"random_state": 0, **params}).fit(X, y)
    return np.split(np.asarray(fitted.estimator_.X_), 1 + fitted.n_copies)


@parametrize_with_checks(
    [
        NoisyCopies(LogisticRegression()),
        NoisyCopies(DecisionTreeClassifier(random_state=0)),
        NoisyCopies(Ridge()),
        NoisyCopies(Ridge(), transformer=Denoiser(PCA())),
    ]
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("data", "model", "gain"),
    [
        (WINE, SVC(), 0.1),
        (WINE, DecisionTreeClassifier(random_state=0), 0.03),
        (CANCER, SVC(), 0.02),
        (DIABETES, Ridge(), 0.05),
    ],
    ids=["wine, SVC", "wine, tree", "cancer, SVC", "diabetes, ridge"],
)
def test_predictions_from_noisy_rows_gain(data, model, gain):
    alone = make_pipeline(StandardScaler(), model)
    scorer = noise_scorer(None, 1.0)
    plain, copied = (
        cross_val_score(m, *data, scoring=scorer).mean()
        for m in (alone, NoisyCopies(alone, n_copies=4, random_state=0))
    )
    assert copied > plain + gain


def test_the_first_copy_is_the_clean_rows_and_the_others_are_noisy():
    X, y = WINE
    fitted = NoisyCopies(Keeper(), n_copies=3, random_state=0).fit(X, y).estimator_
    copies = np.split(fitted.X_, 4)
    assert_array_equal(copies[0], X)
    assert all(np.all(copy != X) for copy in copies[1:])
    assert_array_equal(np.split(fitted.y_, 4), [y] * 4)


def test_levels_are_in_standard_deviations_of_the_columns():
    X = np.geomspace(1e-3, 1e3, 40) * np.random.default_rng(0).standard_normal(
        (500, 40)
    )
    added = (copies_of(X, noise_std=0.5, n_copies=2)[1:] - X) / X.std(axis=0)
    assert_allclose(added.std(axis=1), 0.5, rtol=0.1)


def test_levels_of_rows_are_uniform_up_to_two():
    X = np.random.default_rng(0).standard_normal((500, 400))
    levels = ((copies_of(X, n_copies=2)[1:] - X) / X.std(axis=0)).std(axis=2)
    for quantile in (0, 0.25, 0.5, 0.75, 1):
        assert_allclose(np.quantile(levels, quantile), 2 * quantile, atol=0.15)


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_shares_are_drawn_up_to_what_the_kind_says(kind):
    row, X = NOISE_KINDS[kind], np.random.default_rng(0).standard_normal((500, 400))
    if row.is_share:
        changed = copies_of(X, n_copies=1, kinds=[kind])[1] != X
        for quantile in (0.1, 0.5, 0.9):
            share = np.quantile(changed.mean(axis=1), quantile)
            assert_allclose(share, quantile * row.drawn_up_to, atol=0.05)


def test_kinds_take_turns():
    X = WINE[0]
    kinds = ("dead", "missing", "spikes")
    copies = copies_of(X, noise_std=1, n_copies=5, kinds=kinds)[1:]
    for copy in (copies[0], copies[3]):
        assert_allclose(copy, np.tile(X.mean(axis=0), (len(X), 1)))
    for copy in (copies[1], copies[4]):
        assert np.isnan(copy).all()
    assert_allclose(np.abs(copies[2] - X), np.tile(10 * X.std(axis=0), (len(X), 1)))


def test_same_seed_same_copies():
    one, same, other = (copies_of(WINE[0], random_state=seed) for seed in (3, 3, 4))
    assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_without_noise_copies_change_nothing():
    X, y = DIABETES
    fitted = NoisyCopies(Ridge(9.0), noise_std=0, n_copies=8).fit(X, y)
    assert_allclose(fitted.predict(X), Ridge(1.0).fit(X, y).predict(X))


def test_missing_values_stay_for_an_imputer():
    X = np.where(np.random.default_rng(0).uniform(size=WINE[0].shape) < 0.1, np.nan, 1)
    X *= WINE[0]
    for copy in copies_of(X):
        assert_array_equal(np.isnan(copy), np.isnan(X))
    model = make_pipeline(SimpleImputer(), StandardScaler(), SVC())
    assert NoisyCopies(model, kinds=["missing"]).fit(X, WINE[1]).score(X, WINE[1]) > 0.9


def frame(library):
    table = pd.DataFrame(WINE[0][:, :3].astype(np.float32), columns=list("abc"))
    table["place"] = np.where(np.arange(len(table)) % 3, "hill", "dale")
    table["count"] = np.arange(len(table))
    return table if library is pd else library.from_pandas(table)


@pytest.mark.parametrize("library", [pd, pl])
def test_tables_keep_their_names_and_other_columns(library):
    table, y = frame(library), WINE[1]
    fitted = NoisyCopies(Keeper(), n_copies=2, random_state=0).fit(table, y)
    stacked = fitted.estimator_.X_
    assert type(stacked) is type(table)
    assert list(stacked.columns) == list(table.columns)
    seen = getattr(fitted, "feature_names_in_", table.columns)  # by scikit-learn
    assert list(seen) == list(table.columns)
    assert list(stacked["place"]) == 3 * list(table["place"])
    counts = np.split(stacked["count"].to_numpy(), 3)
    assert_array_equal(counts[0], table["count"])
    assert np.mean(counts[1] == counts[0]) < 0.1


def of_columns(numeric, words):
    columns = make_column_transformer(
        (StandardScaler(), numeric), (OneHotEncoder(), words)
    )
    return NoisyCopies(make_pipeline(columns, SVC()), random_state=0)


@pytest.mark.parametrize("library", [pd, pl])
def test_pipelines_of_tables_with_words_are_fitted(library):
    table, y = frame(library), WINE[1]
    model = of_columns([0, 1, 2], [3])
    assert model.fit(table, y).score(table, y) > 0.6
    assert cross_val_score(model, table, y, scoring=noise_scorer(None, 0.5)).min() > 0.5


def test_columns_are_found_by_name():
    table, y = frame(pd), WINE[1]
    model = of_columns(["a", "b", "c"], ["place"]).fit(table, y)
    shuffled = table[["b", "a", "c", "place", "count"]]
    assert_array_equal(model.predict(shuffled), model.predict(table))


def test_targets_of_frames_and_of_several_columns_are_repeated():
    X, y = DIABETES
    for targets in (pd.Series(y), list(y), np.column_stack([y, -y]), pd.DataFrame(y)):
        kept = NoisyCopies(Keeper(), n_copies=2).fit(X, targets).estimator_.y_
        assert_array_equal(np.asarray(kept), np.concatenate([targets] * 3))
    both = NoisyCopies(MultiOutputRegressor(Ridge()), noise_std=0.1, random_state=0)
    assert both.fit(X, np.column_stack([y, -y])).predict(X).shape == (len(X), 2)


def test_weights_of_rows_are_repeated():
    model = NoisyCopies(LogisticRegression(), random_state=0)
    model.fit(*WINE, sample_weight=NOT_0)
    assert 0 not in model.predict(WINE[0])
    kept = NoisyCopies(Keeper(), n_copies=1).fit(*WINE, weight=NOT_0, depth=3)
    assert_array_equal(kept.estimator_.metadata_["weight"], np.tile(NOT_0, 2))
    assert kept.estimator_.metadata_["depth"] == 3


def test_weights_reach_a_step_of_a_pipeline():
    model = NoisyCopies(make_pipeline(StandardScaler(), LogisticRegression()))
    model.fit(*WINE, logisticregression__sample_weight=NOT_0)
    assert 0 not in model.predict(WINE[0])


def test_weights_are_routed_where_the_estimator_asks_for_them():
    X, y = WINE
    with sklearn.config_context(enable_metadata_routing=True):
        asking = LogisticRegression().set_fit_request(sample_weight=True)
        asking.set_score_request(sample_weight=True)
        scale = StandardScaler().set_fit_request(sample_weight=False)
        for inner in (asking, make_pipeline(scale, asking)):
            model = NoisyCopies(inner, random_state=0).fit(X, y, sample_weight=NOT_0)
            assert 0 not in model.predict(X)
            weighted = model.score(X, y, sample_weight=NOT_0)
            assert_allclose(weighted, model.score(X[y > 0], y[y > 0]))
        search = GridSearchCV(NoisyCopies(asking), {"estimator__C": [1]}, cv=2)
        assert 0 not in search.fit(X, y, sample_weight=NOT_0).predict(X)
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            NoisyCopies(LogisticRegression()).fit(X, y, sample_weight=NOT_0)


def test_it_is_what_its_estimator_is():
    assert is_classifier(NoisyCopies(SVC()))
    assert is_regressor(NoisyCopies(make_pipeline(StandardScaler(), Ridge())))
    assert get_tags(NoisyCopies(MultiOutputRegressor(Ridge()))).target_tags.multi_output
    assert not get_tags(NoisyCopies(SVC())).input_tags.sparse
    for inner in (SVC(), LinearSVC(), LogisticRegression(), Ridge()):
        for method in ("decision_function", "predict_proba", "predict_log_proba"):
            for model in (NoisyCopies(inner), NoisyCopies(inner).fit(*WINE)):
                assert hasattr(model, method) == hasattr(inner, method)
    assert not hasattr(NoisyCopies(Ridge()).fit(*WINE), "classes_")


def test_its_methods_are_those_of_the_fitted_estimator():
    X, y = WINE
    model = NoisyCopies(LogisticRegression(), random_state=0).fit(X, y)
    inner = model.estimator_
    assert_array_equal(model.classes_, [0, 1, 2])
    for method in (
        "predict",
        "predict_proba",
        "predict_log_proba",
        "decision_function",
    ):
        assert_array_equal(getattr(model, method)(X), getattr(inner, method)(X))
    regressor = NoisyCopies(RandomForestRegressor(5), random_state=0).fit(*DIABETES)
    predicted = regressor.predict(DIABETES[0])
    assert regressor.score(*DIABETES) == r2_score(DIABETES[1], predicted)


def test_parameters_of_the_estimator_are_searched():
    model = NoisyCopies(LogisticRegression(), n_copies=2, random_state=0)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), model),
        {"noisycopies__estimator__C": [1e-6, 1.0], "noisycopies__noise_std": [0, 1]},
        scoring=noise_scorer("accuracy", [1.0]),
        cv=2,
    )
    assert search.fit(*WINE).best_params_["noisycopies__estimator__C"] == 1
    alone = GridSearchCV(model, {"estimator__C": [1e-9, 1.0]}, cv=3).fit(*WINE)
    assert alone.best_params_ == {"estimator__C": 1.0}


def test_it_is_cloned_and_pickled():
    inner = SVC()
    fitted = NoisyCopies(inner, kinds=("laplace",), random_state=0).fit(*WINE)
    assert not hasattr(inner, "support_")
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.predict(WINE[0]), fitted.predict(WINE[0]))
    assert_array_equal(
        clone(fitted).fit(*WINE).predict(WINE[0]), fitted.predict(WINE[0])
    )


# A transformer that sees no noise


def test_a_transformer_is_fitted_to_the_rows_and_the_estimator_to_its_copies():
    X, y = WINE
    model = NoisyCopies(Keeper(), transformer=PCA(3), random_state=0).fit(X, y)
    pca = PCA(3).fit(X)
    copies = np.concatenate(copies_of(X, y))
    assert_array_equal(model.transformer_.components_, pca.components_)
    assert_array_equal(model.estimator_.X_, pca.transform(copies))
    assert not hasattr(model.transformer, "components_")


def test_all_methods_transform_rows_first():
    X, y = WINE
    model = NoisyCopies(LogisticRegression(), transformer=PCA(3), random_state=0)
    inner, codes = model.fit(X, y).estimator_, model.transformer_.transform(X)
    for method in (
        "predict",
        "predict_proba",
        "predict_log_proba",
        "decision_function",
    ):
        assert_array_equal(getattr(model, method)(X), getattr(inner, method)(codes))
    assert model.score(X, y) == inner.score(codes, y)


def test_a_transformer_learns_from_targets_too():
    X, y = WINE
    model = NoisyCopies(SVC(), transformer=LinearDiscriminantAnalysis()).fit(X, y)
    assert model.transformer_.transform(X).shape == (len(X), 2)


def test_a_transformer_is_taken_away_again():
    model = NoisyCopies(SVC(), transformer=PCA(3), random_state=0).fit(*WINE)
    alone = NoisyCopies(SVC(), random_state=0).fit(*WINE)
    model.set_params(transformer=None).fit(*WINE)
    assert model.transformer_ is None
    assert_array_equal(model.predict(WINE[0]), alone.predict(WINE[0]))


def test_missing_entries_are_for_the_transformer():
    X, y = WINE
    holes = np.where(np.random.default_rng(0).random(X.shape) < 0.3, np.nan, X)
    restore = Denoiser(PivotalPCA())
    model = NoisyCopies(SVC(), transformer=restore, kinds=["missing"], random_state=0)
    assert get_tags(model).input_tags.allow_nan
    assert not get_tags(NoisyCopies(SVC())).input_tags.allow_nan
    assert model.fit(X, y).score(holes, y) > 0.9


def test_single_precision_stays():
    assert copies_of(WINE[0].astype(np.float32))[1].dtype == np.float32
    assert copies_of(WINE[0].astype(int))[1].dtype == np.float64


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"noise_std": -1.0}, "'noise_std' parameter of NoisyCopies must be .*-1.0"),
        ({"noise_std": "low"}, "'noise_std' parameter of NoisyCopies .*'low'"),
        ({"noise_std": 2.0, "kinds": ["dead"]}, r"noise_std must be in \[0, 1\] with"),
        ({"n_copies": 0}, "'n_copies' parameter of NoisyCopies"),
        ({"n_copies": 1, "kinds": ["laplace", "dead"]}, "n_copies must be .*2, got 1"),
        ({"kinds": ["pink"]}, "kinds must be a list or tuple of names .*'pink'"),
        ({"kinds": "gaussian"}, "'kinds' parameter of NoisyCopies"),
        ({"estimator": PCA()}, "'estimator' parameter of NoisyCopies"),
        ({"transformer": SVC()}, "'transformer' parameter of NoisyCopies"),
    ],
)
def test_it_refuses(params, message):
    model = NoisyCopies(SVC()).fit(*WINE)
    before = model.estimator_
    with pytest.raises(ValueError, match=message):
        model.set_params(**params).fit(*WINE)
    assert model.estimator_ is before


def test_sparse_rows_are_refused():
    with pytest.raises(ValueError, match=r"X must be dense.*use X.toarray\(\)"):
        NoisyCopies(Ridge()).fit(sp.eye_array(4, format="csr"), np.ones(4))


def test_rows_and_targets_are_as_many():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        NoisyCopies(Ridge()).fit(np.ones((4, 2)), np.ones(3))


def test_it_has_to_be_fitted():
    with pytest.raises(NotFittedError):
        NoisyCopies(SVC()).predict(WINE[0])
