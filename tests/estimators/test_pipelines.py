"""The estimator among others: pipelines, searches, names, frames and routing."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import make_column_transformer
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import SqrtLassoTransform
from tests.estimators.common import N_ROWS, SCATTERED, dense, make_rows

NAMES = [f"sensor{j}" for j in range(12)]
CODE_NAMES = [f"sqrtlassotransform{j}" for j in range(12)]
FRAMES = {
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES, index=range(7, 7 + len(X))),
    "polars": lambda X: pl.DataFrame(X, schema=NAMES),
}


def pa_table(X):
    return pa.table(dict(zip(NAMES, X.T, strict=True)))


def asking(coder):
    """Let the coder ask for groups wherever it can use them."""
    coder.set_fit_request(groups=True).set_transform_request(groups=True)
    return coder.set_score_request(groups=True)


def test_codes_are_named_after_the_class(coder):
    names = coder.fit(make_rows()).get_feature_names_out()
    expected = [f"sqrtlassotransform{j}" for j in range(len(coder.components_))]
    assert_array_equal(names, expected)


def test_names_of_features_are_remembered_and_checked():
    X = pd.DataFrame(make_rows(), columns=NAMES)
    coder = SqrtLassoTransform().fit(X)
    assert_array_equal(coder.feature_names_in_, NAMES)
    with pytest.raises(ValueError, match="feature names should match"):
        coder.transform(X[NAMES[::-1]])


@pytest.mark.parametrize("frame", [*FRAMES.values(), pa_table])
def test_frames_have_the_names_that_scikit_learn_sees(frame):
    X = frame(make_rows())
    ours, theirs = SqrtLassoTransform().fit(X), StandardScaler().fit(X)
    names = getattr(theirs, "feature_names_in_", None)
    assert_array_equal(getattr(ours, "feature_names_in_", None), names)
    assert_array_equal(ours.transform(X).shape, X.shape)


@pytest.mark.parametrize("kind", FRAMES)
def test_codes_come_as_the_frame_that_is_asked_for(kind):
    X = FRAMES[kind](make_rows())
    coder = SqrtLassoTransform(alpha=0.4).fit(X)
    Z, ours = coder.transform(X), coder.set_output(transform=kind).transform(X)
    assert type(ours) is type(X)
    assert list(ours.columns) == CODE_NAMES
    assert_array_equal(ours.to_numpy(), Z)
    if kind == "pandas":
        assert_array_equal(ours.index, X.index)


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_of_codes_are_decoded(kind):
    X = FRAMES[kind](make_rows())
    coder = SqrtLassoTransform(alpha=0.4).fit(X).set_output(transform=kind)
    decoded = coder.inverse_transform(coder.transform(X))
    assert_allclose(decoded, coder.reconstruct(X), rtol=1e-12, atol=1e-12)


def test_sparse_codes_do_not_fit_into_frames():
    coder = SqrtLassoTransform(sparse_output=True).set_output(transform="pandas")
    with pytest.raises(ValueError, match="sparse"):
        coder.fit(make_rows()).transform(make_rows())


def test_a_pipeline_codes_and_restores(coder):
    X = 5 + 3 * make_rows()
    pipe = make_pipeline(StandardScaler(), coder).fit(X)
    scaled = StandardScaler().fit(X)
    Z = pipe.transform(X)
    assert_array_equal(dense(Z), dense(coder.transform(scaled.transform(X))))
    expected = scaled.inverse_transform(coder.reconstruct(scaled.transform(X)))
    assert_allclose(pipe.inverse_transform(Z), expected, rtol=1e-12, atol=1e-12)


def test_codes_stand_beside_other_columns():
    X = pd.DataFrame(make_rows(), columns=NAMES)
    both = make_column_transformer(
        (SqrtLassoTransform(alpha=0.4), NAMES[:8]), remainder="passthrough"
    )
    assert both.fit_transform(X).shape == (N_ROWS, 12)
    assert list(both.get_feature_names_out())[-1] == "remainder__sensor11"


def test_a_stack_of_coders_scales_its_codes_too():
    X = make_rows()
    pipe = make_pipeline(SqrtLassoTransform(alpha=0.4), SqrtLassoTransform(alpha=0.5))
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


def test_the_estimator_shows_itself_in_html(coder):
    html = coder.fit(make_rows())._repr_html_()
    assert "SqrtLassoTransform" in html
