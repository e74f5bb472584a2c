"""What scores of restorations and reports of shrinkage measure."""

import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose
from scipy.optimize import nnls
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_wine
from sklearn.decomposition import PCA, SparseCoder
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, get_scorer, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from sklearn_sqrtlasso import NoisyCopies, SqrtLassoTransform
from sklearn_sqrtlasso.datasets import make_sparse_codes
from sklearn_sqrtlasso.metrics import (
    denoising_scorer,
    noise_scorer,
    psnr,
    shrinkage_report,
)
from sklearn_sqrtlasso.models.noise import NOISE_KINDS
from sklearn_sqrtlasso.sparse_coding.component_usage import (
    CodeReport,
    Refit,
    report_refit,
)


class Identity(BaseEstimator):
    """Restores nothing, and remembers what it saw."""

    def reconstruct(self, X):
        self.seen_ = X
        return X


@pytest.fixture
def rows():
    return make_sparse_codes(60, 16, n_nonzero=2, noise_std=0.0, random_state=0)


def test_psnr_of_known_error():
    clean = np.array([[0.0, 255.0], [10.0, 20.0]])
    assert_allclose(psnr(clean, clean + 25.5, data_range=255), 20)
    assert_allclose(psnr(clean, clean + 25.5), 20)  # the range of the clean signal


def test_psnr_of_integers_does_not_wrap_around():
    assert_allclose(psnr(np.uint8([0, 255]), np.uint8([25, 230]), data_range=250), 20)


def test_psnr_of_a_perfect_restoration_is_infinite():
    assert psnr([0.0, 1.0], [0.0, 1.0]) == np.inf


def test_psnr_does_not_depend_on_the_unit():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 5, 5))
    assert_allclose(psnr(1e180 * a, 1e180 * b), psnr(a, b))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [1.0]), "one shape"),
        (([1.0, 1.0], [1.0, 2.0]), "data_range must be given"),
        (([1.0, np.nan], [1.0, 2.0]), "clean must be finite"),
        (([], []), "clean must be finite and not empty"),
    ],
)
def test_psnr_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        psnr(*arguments)


def test_noise_has_the_level_asked_for(rows):
    X = np.zeros((2000, 50))
    X[0, 0] = 1.0
    score = denoising_scorer([0.1], data_range=1.0)(Identity(), X)
    assert_allclose(score, 20, atol=0.1)  # 10 log10(1 / 0.1^2), 100 000 draws


def test_relative_noise_follows_the_columns(rows):
    X = rows.X * np.geomspace(1e-3, 1e3, 16)
    score = denoising_scorer([0.5], metric="r2", relative=True)(Identity(), X)
    assert_allclose(score, 1 - 0.25, atol=0.05)


def test_score_is_the_mean_over_levels(rows):
    alone = [denoising_scorer([level])(Identity(), rows.X) for level in (0.1,)]
    both = denoising_scorer([0.1, 0.4])(Identity(), rows.X)
    assert both < alone[0]
    assert_allclose(both, alone[0] - 20 * np.log10(4) / 2, atol=0.5)


def test_every_candidate_meets_the_same_noise(rows):
    scorer, one, other = (
        denoising_scorer([0.3], random_state=None),
        Identity(),
        Identity(),
    )
    assert scorer(one, rows.X) == scorer(other, rows.X)
    np.testing.assert_array_equal(one.seen_, other.seen_)


def test_a_better_restoration_scores_higher(rows):
    frame = {"init": rows.components, "max_iter": 0, "center": False}
    coder = SqrtLassoTransform(alpha=0.5, **frame).fit(rows.X)
    for metric in ("psnr", "r2"):
        scorer = denoising_scorer([0.1, 0.3], metric=metric)
        assert scorer(coder, rows.X) > scorer(Identity(), rows.X)


def test_estimators_without_reconstruct_are_inverted(rows):
    pipeline = make_pipeline(StandardScaler(), PCA(4)).fit(rows.X)
    rng = np.random.RandomState(0)
    seed = rng.randint(np.iinfo(np.int32).max)
    noise = np.random.RandomState(seed).standard_normal(rows.X.shape)
    restored = pipeline.inverse_transform(pipeline.transform(rows.X + 0.2 * noise))
    score = denoising_scorer([0.2], metric="r2")(pipeline, rows.X)
    assert_allclose(score, r2_score(rows.X, restored))


def test_frames_stay_frames(rows):
    names = [f"f{j}" for j in range(16)]
    pandas, polars = pd.DataFrame(rows.X, columns=names), pl.DataFrame(rows.X, names)
    scores = []
    for frame in (pandas, polars):
        coder = SqrtLassoTransform(alpha=0.4).fit(frame)
        scores.append(denoising_scorer([0.2])(coder, frame))  # warns if names are lost
    assert_allclose(*scores)


def test_groups_reach_the_estimator_and_the_pipeline(rows):
    with sklearn.config_context(enable_metadata_routing=True):
        coder = SqrtLassoTransform(alpha=0.5, init=rows.components, max_iter=0)
        coder.set_transform_request(groups=True).set_fit_request(groups=False)
        alone, pipeline = coder.fit(rows.X), make_pipeline(coder).fit(rows.X)
        pooled = denoising_scorer([0.2], groups="all")
        assert pooled(alone, rows.X) > denoising_scorer([0.2])(alone, rows.X)
        assert_allclose(pooled(pipeline, rows.X), pooled(alone, rows.X))


def test_grid_search_across_noise_on_two_processes(rows):
    search = GridSearchCV(
        SqrtLassoTransform(init=rows.components, max_iter=0),
        {"alpha": [0.01, 0.3, 0.99]},
        scoring=denoising_scorer([0.05, 0.2]),
        n_jobs=2,
        cv=3,
    ).fit(rows.X)
    assert search.best_params_ == {"alpha": 0.3}


def test_scorer_is_pickled_with_its_noise(rows):
    scorer = denoising_scorer([0.1], random_state=3)
    again = pickle.loads(pickle.dumps(scorer))
    assert again(Identity(), rows.X) == scorer(Identity(), rows.X)


def test_single_precision_stays(rows):
    identity = Identity()
    denoising_scorer([0.1])(identity, rows.X.astype(np.float32))
    assert identity.seen_.dtype == np.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise_levels": []}, "noise_levels must be positive"),
        ({"noise_levels": [0.1, -1]}, r"noise_levels must be positive.*\[0.1, -1\]"),
        ({"noise_levels": [np.nan]}, "noise_levels must be positive"),
        ({"noise_levels": [1], "metric": "ssim"}, "metric must be one of .*'ssim'"),
        ({"noise_levels": [1], "data_range": -1}, "data_range must be .*got -1"),
        ({"noise_levels": [1], "groups": "some"}, "groups must be None or 'all'"),
        ({"noise_levels": [1], "relative": "no"}, "relative must be True or False"),
    ],
)
def test_scorer_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        denoising_scorer(**options)


class Watcher(BaseEstimator):
    """Scores nothing, and remembers what it saw."""

    def score(self, X, y=None):
        self.seen_ = [*getattr(self, "seen_", []), X]
        return 0.0


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
    return pipeline.fit(X, y), X, y


def seen_by(scorer, X):
    watcher = Watcher()
    scorer(watcher, X)
    return watcher.seen_


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_without_noise_the_score_is_the_plain_one(wine, kind):
    pipeline, X, y = wine
    for scoring in ("accuracy", "neg_log_loss"):
        score = noise_scorer(scoring, 0, kinds=[kind])(pipeline, X, y)
        assert score == get_scorer(scoring)(pipeline, X, y)
    assert noise_scorer(None, 0, kinds=[kind])(pipeline, X, y) == pipeline.score(X, y)


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_predictions_from_noisy_rows_score_lower(wine, kind):
    pipeline, X, y = wine
    scores = [
        noise_scorer("accuracy", level, kinds=[kind])(pipeline, X, y)
        for level in (0, 0.9)
    ]
    assert scores[1] < scores[0] - 0.03


def test_noise_is_that_of_the_kind_and_of_the_seed(wine):
    _, X, _ = wine
    seed = np.random.RandomState(3).randint(np.iinfo(np.int32).max)
    rng = np.random.RandomState(seed)
    expected = [
        NOISE_KINDS[kind].add(X, level, X.std(axis=0), rng)
        for kind in ("laplace", "spikes")
        for level in (0.2, 0.4)
    ]
    kinds, levels = ["laplace", "spikes"], [0.2, 0.4]
    seen = seen_by(noise_scorer(None, levels, kinds=kinds, random_state=3), X)
    assert_allclose(seen, expected)


def test_levels_have_the_unit_of_the_rows_if_they_are_not_relative():
    X = np.geomspace(1e-3, 1e3, 8) * np.random.default_rng(0).standard_normal((999, 8))
    (noisy,) = seen_by(noise_scorer(None, 0.5, relative=False), X)
    assert_allclose(np.std(noisy - X, axis=0), 0.5, rtol=0.1)
    spikes = [
        seen_by(noise_scorer(None, 0.1, kinds=["spikes"], relative=relative), X)
        for relative in (False, True)
    ]
    np.testing.assert_array_equal(*spikes)  # a share has no unit


def test_predictors_meet_the_same_noise_at_each_call(wine):
    scorer = noise_scorer(None, [0.3, 1], random_state=None)
    again = pickle.loads(pickle.dumps(scorer))
    for other in (scorer, again):
        np.testing.assert_array_equal(seen_by(scorer, wine[1]), seen_by(other, wine[1]))
    assert not np.array_equal(
        seen_by(scorer, wine[1]), seen_by(noise_scorer(None, [0.3, 1]), wine[1])
    )


def test_regressors_are_scored():
    X, y = load_diabetes(return_X_y=True)
    ridge = Ridge(0.1).fit(X, y)
    scores = [noise_scorer("r2", level)(ridge, X, y) for level in (0, 0.5, 1)]
    assert scores[0] > 0.5 > scores[1] > scores[2]


def test_a_scorer_chooses_parameters_across_noise(wine):
    X, y = wine[1:]
    best = {}
    for level in (0, 1):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), SVC()),
            {"svc__gamma": [0.005, 0.1]},
            scoring=noise_scorer("accuracy", [level]),
            n_jobs=2,
        )
        best[level] = search.fit(X, y).best_params_["svc__gamma"]
    assert best == {0: 0.1, 1: 0.005}


def test_noise_of_a_scorer_is_met_by_copies(wine):
    X, y = wine[1:]
    scorer = noise_scorer("accuracy", [1.0])
    alone = make_pipeline(StandardScaler(), SVC())
    copies = NoisyCopies(alone, random_state=0)
    means = [cross_val_score(m, X, y, scoring=scorer).mean() for m in (alone, copies)]
    assert means[1] > means[0] + 0.1


@pytest.mark.parametrize("library", [pd, pl])
def test_tables_with_words_are_scored(library):
    X, y = load_wine(return_X_y=True)
    table = pd.DataFrame(X[:, :4], columns=list("abcd"))
    table["place"], table["count"] = np.where(y > 1, "hill", "dale"), np.arange(len(y))
    table = table if library is pd else library.from_pandas(table)
    columns = make_column_transformer(
        (StandardScaler(), [0, 1, 2, 3]), (OneHotEncoder(), [4])
    )
    pipeline = make_pipeline(columns, LogisticRegression()).fit(table, y)
    (noisy,) = seen_by(noise_scorer(None, 0.5), table)
    assert type(noisy) is type(table)
    assert list(noisy["place"]) == list(table["place"])
    assert np.all(noisy["count"].to_numpy() != table["count"].to_numpy())
    clean, noisy = (noise_scorer("accuracy", n)(pipeline, table, y) for n in (0, 2))
    assert noisy < clean


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scoring": "accurate"}, "'accurate'"),
        ({"scoring": ["accuracy", "r2"]}, "scoring must be one score.*'r2'"),
        ({"scoring": accuracy_score}, "accuracy_score"),
        ({"noise_levels": []}, r"noise_levels must be finite numbers.*\[\]"),
        ({"noise_levels": [1, -0.5]}, "noise_levels must be finite .* least 0.*-0.5"),
        ({"noise_levels": [np.inf]}, "noise_levels must be finite.*inf"),
        ({"noise_levels": "high"}, "noise_levels must consist of numbers.*'high'"),
        ({"kinds": "gaussian"}, "kinds must be a list or tuple of .*got 'gaussian'"),
        ({"kinds": ["pink"]}, "kinds must be a list .*'row_levels'.*'pink'"),
        ({"kinds": []}, "kinds must be a list"),
        (
            {"kinds": ["laplace", "dead"], "noise_levels": [0.5, 2]},
            r"noise_levels must be in \[0, 1\] with \['dead'\].*\[0.5, 2\]",
        ),
    ],
)
def test_a_noise_scorer_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        noise_scorer(**{"scoring": "accuracy", "noise_levels": 1, **arguments})


def test_sparse_rows_are_refused_by_a_noise_scorer():
    X, y = sp.eye_array(6, format="csr"), [0, 1] * 3
    with pytest.raises(ValueError, match="X must be dense"):
        noise_scorer("accuracy", 1)(DummyClassifier().fit(X, y), X, y)


class Atoms(BaseEstimator):
    """A fitted coder that codes by products, and has nothing to decode with."""

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def transform(self, X):
        return np.maximum(X @ ATOMS.T - 0.5, 0)


class Decoder(Atoms):
    """The same, with an offset."""

    def inverse_transform(self, Z):
        return Z @ ATOMS + 2.0


ATOMS = np.random.default_rng(0).standard_normal((5, 16))


def with_atoms(**attributes):
    coder = Atoms()
    vars(coder).update(attributes)
    return coder


def test_atoms_are_found_by_name_or_by_decoding(rows):
    by_name = [
        shrinkage_report(with_atoms(**{name: ATOMS}), rows.X)
        for name in ("components_", "dictionary")
    ]
    assert str(by_name[0]) == str(by_name[1])
    by_decoding = shrinkage_report(Decoder(), rows.X)
    moved = report_refit(
        rows.X - 2.0, Decoder().transform(rows.X), ATOMS, positive=True
    )
    for ours, theirs in ((by_name[0], by_name[1]), (by_decoding, moved)):
        assert_allclose(ours[1:4], theirs[1:4], rtol=1e-12)  # unit codes are decoded
        for one, other in zip(ours.refit, theirs.refit, strict=True):
            assert_allclose(one, other, rtol=1e-12)


def test_a_coder_of_scikit_learn_is_reported(rows):
    options = {"transform_algorithm": "lasso_lars", "transform_alpha": 0.1}
    coder = SparseCoder(rows.components, **options)
    report, Z = shrinkage_report(coder, rows.X), coder.transform(rows.X)
    assert report.n_components == len(rows.components)
    assert report.mean_active == np.mean(np.count_nonzero(Z, axis=1))
    assert report.refit.growth > 1
    assert report.refit.explained_variance > report.explained_variance


def test_codes_are_refitted_by_least_squares_on_their_supports(rows):
    Z = Atoms().transform(rows.X)
    for positive in (None, True, False):
        given = with_atoms(dictionary=ATOMS)
        report = shrinkage_report(given, rows.X, positive=positive)
        left = sum(
            least(x, ATOMS[z != 0], positive) for x, z in zip(rows.X, Z, strict=True)
        )
        spread = np.sum((rows.X - rows.X.mean(axis=0)) ** 2)
        expected = 1 - left / spread
        assert_allclose(report.refit.explained_variance, expected, rtol=1e-9)


def least(x, atoms, positive):
    """Return the squared error of the best combination of a few atoms."""
    if positive is False:
        return np.sum((x - np.linalg.lstsq(atoms.T, x)[0] @ atoms) ** 2)
    return nnls(atoms.T, x)[1] ** 2 if len(atoms) else np.sum(x**2)


def test_a_coder_without_atoms_is_refused(rows):
    told = "must have inverse_transform, components_ or dictionary, got Atoms"
    with pytest.raises(TypeError, match=told):
        shrinkage_report(Atoms(), rows.X)


@pytest.mark.parametrize("shape", [(4, 16), (5, 15), (16, 5), (16,)])
@pytest.mark.parametrize("name", ["components_", "dictionary"])
def test_atoms_of_another_shape_are_refused(rows, name, shape):
    told = rf"n_features\) = \(5, 16\), got shape {re.escape(str(shape))}"
    with pytest.raises(ValueError, match=told):
        shrinkage_report(with_atoms(**{name: np.ones(shape)}), rows.X)


def test_a_coder_that_is_not_fitted_is_refused(rows):
    with pytest.raises(NotFittedError):
        shrinkage_report(SqrtLassoTransform(), rows.X)


class Axes:
    """Axes that remember what was drawn."""

    def __init__(self):
        self.drawn = {}

    def hist(self, values, bins):
        self.drawn["hist"] = values

    def axvline(self, x, **style):
        self.drawn["line"] = x

    def set(self, **labels):
        self.drawn |= labels


REFIT = Refit(1.25, np.array([1.0, np.nan, 1.5, np.inf]), 0.875, 0.75)
REPORT = CodeReport(4, 0.25, 1.5, 0.8125, REFIT)


def test_the_growth_of_each_component_that_is_used_is_drawn():
    axes = Axes()
    assert REPORT.plot(axes) is axes
    np.testing.assert_array_equal(axes.drawn["hist"], [1.0, 1.5])
    assert axes.drawn["line"] == 1  # no shrinkage
    assert "component" in axes.drawn["xlabel"]
    assert axes.drawn["ylabel"] == "components"


def test_without_a_refit_there_is_nothing_to_draw():
    axes = Axes()
    with pytest.raises(ValueError, match=r"refit is None; use .*shrinkage_report"):
        REPORT._replace(refit=None).plot(axes)
    assert not axes.drawn


def test_a_report_reads_as_lines():
    lines = [
        "dead components      25.0% of 4",
        "active in a row      1.5",
        "explained variance   0.812",
        "  after refitting    0.875",
        "refitted codes are   1.250 times as large",
        "alignment            0.750",
    ]
    assert str(REPORT).splitlines() == lines
    assert str(REPORT._replace(refit=None)).splitlines() == lines[:3]


@pytest.mark.parametrize("value", [0.0, 0.1, 1e8 / 3])
def test_columns_that_are_constant_have_no_share_in_r2(value):
    X = np.random.default_rng(0).standard_normal((50, 3))
    wide = np.column_stack([X, np.full(50, value)])
    scorer = denoising_scorer([0.5], metric="r2")
    assert 0.5 < scorer(Identity(), wide) < 1
    assert scorer(Identity(), np.full((50, 2), value)) == 0


@pytest.mark.parametrize("data_range", [np.inf, np.nan, 0.0])
def test_a_range_must_be_positive_and_finite(data_range):
    with pytest.raises(ValueError, match="positive and finite"):
        psnr([0.0, 1.0], [0.0, 1.0], data_range=data_range)
