"""Rows are restored under the names of their columns."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_transformer
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_sqrtlasso import Denoiser, RelaxedSparseCoder, SqrtLassoTransform
from sklearn_sqrtlasso.metrics import denoising_scorer
from tests.estimators.common import SCATTERED, make_rows
from tests.estimators.test_sklearn_checks import OWN_CHECKS

NAMES = [f"sensor{j}" for j in range(12)]
TABLE = pd.DataFrame(make_rows(), columns=NAMES)


@parametrize_with_checks([Denoiser(PCA()), Denoiser(SqrtLassoTransform())])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", OWN_CHECKS)
def test_checks_of_scikit_learn_for_its_own(check):
    getattr(estimator_checks, check)("Denoiser", Denoiser(PCA()))


def test_rows_are_those_of_reconstruct():
    X, coder = make_rows(), SqrtLassoTransform(alpha=0.4)
    assert_array_equal(Denoiser(coder).fit_transform(X), coder.fit(X).reconstruct(X))


def test_coders_without_reconstruct_are_inverted():
    X, pca = make_rows(), PCA(3)
    expected = pca.fit(X).inverse_transform(pca.transform(X))
    assert_array_equal(Denoiser(pca).fit_transform(X), expected)


def test_targets_reach_a_coder_that_learns_from_them():
    X = make_rows()
    pls = PLSRegression(2).fit(X, X[:, 0])
    restored = Denoiser(PLSRegression(2)).fit_transform(X, X[:, 0])
    assert_allclose(restored, pls.inverse_transform(pls.transform(X)))


@pytest.mark.parametrize("groups", ["all", SCATTERED], ids=["all", "labels"])
def test_groups_reach_the_coder(groups):
    X, coder = make_rows(), SqrtLassoTransform(alpha=0.4)
    together = coder.fit(X, groups=groups).reconstruct(X, groups=groups)
    assert_array_equal(Denoiser(coder).fit_transform(X, groups=groups), together)
    assert not np.allclose(Denoiser(coder).fit_transform(X), together)


def test_groups_are_routed_through_a_pipeline():
    X, coder = make_rows(), SqrtLassoTransform(alpha=0.4)
    together = Denoiser(coder).fit_transform(X, groups=SCATTERED)
    with sklearn.config_context(enable_metadata_routing=True):
        step = Denoiser(coder).set_fit_request(groups=True)
        pipeline = make_pipeline(step.set_transform_request(groups=True))
        assert_array_equal(pipeline.fit_transform(X, groups=SCATTERED), together)
        fitted = pipeline.fit(X, groups=SCATTERED)
        assert_array_equal(fitted.transform(X, groups=SCATTERED), together)


def test_groups_are_refused_by_coders_that_take_none():
    with pytest.raises(TypeError, match="groups"):
        Denoiser(RelaxedSparseCoder(4)).fit(make_rows(), groups="all")


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_keep_their_names(library):
    denoiser = Denoiser(PCA(3)).set_output(transform=library)
    restored = denoiser.fit_transform(TABLE)
    assert type(restored).__module__.startswith(library)
    assert list(restored.columns) == list(denoiser.get_feature_names_out()) == NAMES
    assert_allclose(restored.to_numpy(), Denoiser(PCA(3)).fit_transform(TABLE))


def test_codes_may_be_frames():
    codes = PCA(3).set_output(transform="pandas")
    assert_allclose(
        Denoiser(codes).fit_transform(TABLE), Denoiser(PCA(3)).fit_transform(TABLE)
    )


def test_columns_are_restored_beside_others():
    table = TABLE.assign(maker=["a", "b"] * (len(TABLE) // 2))
    both = make_column_transformer(
        (make_pipeline(StandardScaler(), Denoiser(PCA(3))), NAMES),
        (OneHotEncoder(), ["maker"]),
        verbose_feature_names_out=False,
    )
    pipeline = make_pipeline(both, LinearRegression()).fit(table, TABLE["sensor0"])
    assert list(both.fit(table).get_feature_names_out()[:12]) == NAMES
    assert pipeline.predict(table).shape == (len(TABLE),)


def test_a_pipeline_with_a_denoiser_is_inverted_and_scored():
    X = 5 + make_rows()
    pipeline = make_pipeline(StandardScaler(), Denoiser(PCA(3))).fit(X)
    inner = Denoiser(make_pipeline(StandardScaler(), PCA(3))).fit(X)
    restored = pipeline.inverse_transform(pipeline.transform(X))
    assert_allclose(restored, inner.transform(X))
    scorer = denoising_scorer([0.5], metric="r2", relative=True)
    assert_allclose(scorer(pipeline, X), scorer(inner, X))


def test_parameters_of_the_coder_are_searched():
    pipeline = make_pipeline(Denoiser(PCA()), RandomForestRegressor(5, random_state=0))
    search = GridSearchCV(pipeline, {"denoiser__coder__n_components": [1, 12]}, cv=2)
    search.fit(make_rows(), make_rows()[:, 0])
    assert search.best_params_ == {"denoiser__coder__n_components": 12}


def test_the_coder_is_left_unfitted():
    coder = SqrtLassoTransform()
    fitted = Denoiser(coder).fit(make_rows())
    assert not hasattr(coder, "components_")
    assert clone(fitted).get_params()["coder"].get_params() == coder.get_params()
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.transform(make_rows()), fitted.transform(make_rows()))


def test_single_precision_stays():
    X = make_rows().astype(np.float32)
    for coder in (PCA(3), SqrtLassoTransform()):
        assert Denoiser(coder).fit_transform(X).dtype == np.float32


def test_a_failed_fit_leaves_it_as_it_was():
    denoiser = Denoiser(PCA(3)).fit(make_rows())
    before = dict(vars(denoiser))
    with pytest.raises(ValueError, match="n_components=3 must be between 0 and"):
        denoiser.fit(make_rows()[:, :2])
    assert vars(denoiser) == before


class OneWay(BaseEstimator):
    """A transformer that cannot go back."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X


@pytest.mark.parametrize("coder", [OneWay(), LinearRegression(), "pca"])
def test_coders_that_cannot_restore_are_refused(coder):
    with pytest.raises(ValueError, match="'coder' parameter of Denoiser must be"):
        Denoiser(coder).fit(make_rows())


def test_it_has_to_be_fitted():
    for method in ("transform", "inverse_transform"):
        with pytest.raises(NotFittedError):
            getattr(Denoiser(PCA()), method)(make_rows())
