"""The estimator among others: pipelines, searches, names, frames and routing."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.compose import make_column_transformer
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import SqrtLassoTransform
from tests.estimators.common import N_ROWS, SCATTERED, make_rows

NAMES = [f"sensor{j}" for j in range(12)]


def asking(coder):
    """Let the coder ask for groups wherever it can use them."""
    coder.set_fit_request(groups=True).set_transform_request(groups=True)
    return coder.set_score_request(groups=True)


def test_codes_stand_beside_other_columns():
    X = pd.DataFrame(make_rows(), columns=NAMES)
    both = make_column_transformer(
        (SqrtLassoTransform(alpha=0.4), NAMES[:8]), remainder="passthrough"
    )
    assert both.fit_transform(X).shape == (N_ROWS, 12)
    assert list(both.get_feature_names_out())[-1] == "remainder__sensor11"


def test_a_stack_of_coders_scales_its_codes_too():
    X = make_rows()
    first, second = (
        SqrtLassoTransform(alpha=alpha, center=False) for alpha in (0.4, 0.5)
    )
    pipe = make_pipeline(first, second)
    Z = pipe.fit_transform(X)
    assert_array_equal(pipe.transform(2.0**100 * X), 2.0**100 * Z)


def test_the_score_serves_cross_validation():
    scores = cross_val_score(SqrtLassoTransform(alpha=0.3, tol=0.01), make_rows(), cv=4)
    assert np.all((scores > 0.3) & (scores < 1))


def test_the_penalty_is_searched_in_two_processes():
    pipe = Pipeline([("scale", StandardScaler()), ("code", SqrtLassoTransform())])
    grid = {"code__alpha": [0.9, 0.2, 0.5], "code__positive": [False, True]}
    search = GridSearchCV(pipe, grid, cv=3, n_jobs=2).fit(make_rows())
    # without added noise the least penalty restores best
    assert search.best_params_ == {"code__alpha": 0.2, "code__positive": False}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_pipeline_hands_groups_on():
    X = make_rows()
    Z = SqrtLassoTransform(alpha=0.4).fit_transform(X, groups=SCATTERED)
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = Pipeline([("code", asking(SqrtLassoTransform(alpha=0.4)))])
        pipe.fit(X, groups=SCATTERED)
        assert_array_equal(pipe.transform(X, groups=SCATTERED), Z)
        assert_array_equal(pipe.fit_transform(X, groups=SCATTERED), Z)
        assert pipe.inverse_transform(Z).shape == X.shape


def test_a_step_of_a_pipeline_gets_its_groups():
    X = make_rows()
    with sklearn.config_context(enable_metadata_routing=True):
        coder = asking(SqrtLassoTransform(alpha=0.4))
        pipe = make_pipeline(StandardScaler(), coder, StandardScaler())
        with_groups = pipe.fit(X, groups=SCATTERED).transform(X, groups=SCATTERED)
    scaled = StandardScaler().fit_transform(X)
    Z = SqrtLassoTransform(alpha=0.4).fit_transform(scaled, groups=SCATTERED)
    assert_array_equal(with_groups, StandardScaler().fit_transform(Z))


def test_groups_that_nobody_asked_for_are_refused():
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(SqrtLassoTransform())
        with pytest.raises(UnsetMetadataPassedError, match="groups"):
            pipe.fit(make_rows(), groups=SCATTERED)


def test_a_search_hands_groups_on():
    with sklearn.config_context(enable_metadata_routing=True):
        coder = asking(SqrtLassoTransform())
        search = GridSearchCV(coder, {"alpha": [0.2, 0.9]}, cv=2)
        search.fit(make_rows(), groups=SCATTERED)
    assert search.best_params_ == {"alpha": 0.2}
