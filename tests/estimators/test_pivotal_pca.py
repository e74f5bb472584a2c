"""Laws of ``PivotalPCA``: noise levels, missing entries, restorations, components."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import PivotalPCA
from tests import sized
from tests.estimators.common import N_ROWS, SCATTERED, make_rows

RNG = np.random.default_rng(0)
BASIS = np.linalg.qr(RNG.standard_normal((30, 30)))[0].T[:5]
SPREAD = np.array([6.0, 5.0, 4.0, 3.0, 2.0])


def signal(n_rows, seed):
    rng = np.random.default_rng(seed)
    clean = 2 + rng.standard_normal((n_rows, 5)) * SPREAD @ BASIS
    return clean + 0.1 * rng.standard_normal(clean.shape)


TRAIN, CLEAN = signal(400, 1), signal(sized(300, 60), 2)


def posterior_mean(x, coder, sigma):
    """Return a row restored at a given level of Gaussian noise, from the definition."""
    V, v = coder.components_, coder.residual_scale_**2
    prior = (V.T * coder.code_scale_**2) @ V + v * np.eye(len(x))
    seen = ~np.isnan(x)
    noisy = prior[np.ix_(seen, seen)] + sigma**2 * np.eye(seen.sum())
    deviation = (x - coder.mean_)[seen]
    return coder.mean_ + prior[:, seen] @ np.linalg.solve(noisy, deviation)


def test_components_are_those_of_pca():
    ours, theirs = PivotalPCA(5).fit(TRAIN), PCA(5).fit(TRAIN)
    overlap = ours.components_ @ theirs.components_.T
    assert_allclose(np.abs(overlap), np.eye(5), atol=1e-9)
    assert_allclose(ours.mean_, theirs.mean_)
    ratio = theirs.explained_variance_ratio_
    assert_allclose(ours.explained_variance_ratio_, ratio, rtol=1e-9)
    n = len(TRAIN)
    variances = theirs.explained_variance_ * (n - 1) / n
    ours_in_all = ours.code_scale_**2 + ours.residual_scale_**2
    assert_allclose(ours_in_all, variances, rtol=1e-9)
    noise = theirs.noise_variance_ * (n - 1) / n
    assert_allclose(ours.residual_scale_**2, noise, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("missing", [0, 0.01])
@pytest.mark.parametrize("as_rows", [np.asarray, sp.csr_array])
def test_threads_change_no_bit_of_many_rows(as_rows, missing, dtype):
    rng = np.random.default_rng(3)
    X = 1e3 + signal(30_000, 3)[:, :12].astype(dtype)
    X[rng.random(X.shape) < missing] = np.nan
    fits = [PivotalPCA(3, max_iter=2, n_jobs=n, tol=0) for n in (1, 2, 3)]
    one, *others = (coder.fit(as_rows(X)) for coder in fits)
    names = "components_", "mean_", "code_scale_", "residual_scale_", "noise_scale_"
    for other in others:
        for name in names:
            assert_array_equal(getattr(other, name), getattr(one, name))
    if not missing:
        variances = np.linalg.eigvalsh(np.cov(X.astype(np.float64).T, bias=True))[::-1]
        found = one.code_scale_**2 + one.residual_scale_**2
        assert_allclose(found, variances[:3], rtol=1e-5)


@pytest.mark.parametrize("n_components", [5, "auto"])
def test_the_objective_is_the_likelihood_of_a_gaussian(n_components):
    coder = PivotalPCA(n_components).fit(TRAIN)
    k = coder.n_leading_
    V, total = coder.components_[:k], np.var(TRAIN, axis=0).sum()
    kept = coder.code_scale_[:k] ** 2 + coder.residual_scale_**2
    v = (total - kept.sum()) / (TRAIN.shape[1] - k)
    covariance = (V.T * (kept - v)) @ V + v * np.eye(TRAIN.shape[1])
    logs = multivariate_normal(coder.mean_, covariance).logpdf(TRAIN)
    unit = TRAIN.shape[1] * np.log(coder.unit_)
    assert_allclose(coder.objective_curve_, [-logs.mean() - unit], rtol=1e-9)


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_rows_are_restored_by_the_posterior_mean_at_the_level_found(missing):
    rng = np.random.default_rng(3)
    X = CLEAN + rng.standard_normal(CLEAN.shape)
    X[rng.random(X.shape) < missing] = np.nan
    coder = PivotalPCA(5, nu=np.inf).fit(TRAIN)
    sigma, restored = coder.noise_scale(X), coder.reconstruct(X)
    assert np.isfinite(restored).all()
    for x, s, ours in zip(X, sigma, restored, strict=True):
        assert_allclose(ours, posterior_mean(x, coder, s), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("nu", [2.0, 4.0, np.inf])
@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0])
def test_the_level_of_gaussian_noise_is_known(nu, sigma):
    X = CLEAN + sigma * np.random.default_rng(4).standard_normal(CLEAN.shape)
    coder = PivotalPCA(5, nu=nu).fit(TRAIN)
    assert_allclose(coder.noise_scale(X).mean(), sigma, rtol=0.1)
    assert_allclose(coder.noise_scale(X, groups="all"), sigma, rtol=0.1)


def test_levels_found_are_almost_as_good_as_levels_told():
    coder = PivotalPCA().fit(TRAIN)
    for sigma in (0.3, 1.0, 3.0):
        X = CLEAN + sigma * np.random.default_rng(5).standard_normal(CLEAN.shape)
        told = np.array([posterior_mean(x, coder, sigma) for x in X])
        spread = np.mean((CLEAN - CLEAN.mean(axis=0)) ** 2)
        loss = np.mean((coder.reconstruct(X) - CLEAN) ** 2) / spread
        assert loss < np.mean((told - CLEAN) ** 2) / spread + 0.03


def test_defaults_keep_directions_that_levels_are_found_without():
    X = CLEAN + np.random.default_rng(10).standard_t(3, CLEAN.shape)
    X[::3, ::5] = np.nan
    auto = PivotalPCA().fit(TRAIN)
    k, n_kept = auto.n_leading_, len(auto.components_)
    assert k < n_kept == len(PivotalPCA(0.999).fit(TRAIN).components_)
    few = PivotalPCA(k).fit(TRAIN)
    assert few.n_leading_ == k == len(PivotalPCA(0.97).fit(TRAIN).components_)
    assert_allclose(auto.noise_scale(X), few.noise_scale(X), rtol=1e-9)
    assert_allclose(auto.objective_curve_, few.objective_curve_)
    assert_allclose(auto.code_scale_[:k] ** 2, few.code_scale_**2, rtol=0.01)


def test_posterior_means_of_directions_that_levels_are_found_without():
    X = CLEAN + np.random.default_rng(3).standard_normal(CLEAN.shape)
    coder = PivotalPCA(nu=np.inf).fit(TRAIN)
    sigma, restored = coder.noise_scale(X), coder.reconstruct(X)
    for x, s, ours in zip(X, sigma, restored, strict=True):
        assert_allclose(ours, posterior_mean(x, coder, s), rtol=1e-8, atol=1e-8)


def test_outliers_hardly_move_a_restoration():
    X, coder = CLEAN.copy(), PivotalPCA(5).fit(TRAIN)
    X[:, [3, 17]] = 1e6
    error = coder.reconstruct(X) - CLEAN
    assert np.sqrt(np.mean(error**2)) < 0.5
    gaussian = PivotalPCA(5, nu=np.inf).fit(TRAIN).reconstruct(X) - CLEAN
    assert np.sqrt(np.mean(error**2)) < 0.5 * np.sqrt(np.mean(gaussian**2))


def test_missing_entries_are_filled_in():
    X, hidden = CLEAN.copy(), np.random.default_rng(6).random(CLEAN.shape) < 0.3
    X[hidden] = np.nan
    restored = PivotalPCA(5).fit(TRAIN).reconstruct(X)
    assert np.sqrt(np.mean((restored - CLEAN)[hidden] ** 2)) < 0.2


def test_components_are_learnt_where_entries_are_missing():
    X = TRAIN.copy()
    X[np.random.default_rng(7).random(X.shape) < 0.3] = np.nan
    coder, whole = PivotalPCA(5).fit(X), PivotalPCA(5).fit(TRAIN)
    overlap = np.linalg.svd(coder.components_ @ whole.components_.T)[1]
    assert overlap.min() > 0.999
    assert_allclose(coder.code_scale_, whole.code_scale_, rtol=0.02)
    more = 0.1 * np.isnan(X).sum(axis=1).mean() / len(X)  # rows of unrelated columns
    residual = whole.residual_scale_**2 + more * TRAIN.var(axis=0).mean()
    assert_allclose(coder.residual_scale_**2, residual, rtol=0.2)
    assert len(coder.objective_curve_) == coder.n_iter_ > 1
    assert np.all(np.diff(coder.objective_curve_) <= 1e-10)
    assert coder.score(X) > 0.98


def test_few_rows_with_missing_entries_are_not_fitted_too_closely():
    X = StandardScaler().fit_transform(load_digits().data[:400])
    hidden = np.random.default_rng(0).random(X.shape) < 0.3
    seen = np.where(hidden, np.nan, X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nor does the default end too early
        restored = PivotalPCA().fit(seen[:200]).reconstruct(seen[200:])
    error = (restored - X[200:])[hidden[200:]]
    assert np.mean(error**2) < 0.8 * np.mean(X[200:][hidden[200:]] ** 2)


@pytest.mark.parametrize("share", [0.7, 0.85])
def test_components_are_learnt_from_few_entries(share):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 3))
    X[rng.random(X.shape) < share] = np.nan
    X[:3] = np.diag([1.0, 2.0, 3.0])
    coder = PivotalPCA(max_iter=500).fit(X)
    assert np.all(np.diff(coder.objective_curve_) <= 1e-9)
    assert np.isfinite(coder.reconstruct(X)).all()


def test_columns_that_vanish_beside_others_do_not_vary():
    X = np.full((12, 3), np.nan)
    X[0, 2], X[1, 1], X[[2, 3], 0] = 7e240, 5e-129, [5.4e82, 5.5e82]
    coder = PivotalPCA(n_components=None).fit(X)
    assert np.isfinite(coder.reconstruct(X)).all()


def test_few_steps_with_missing_entries_are_warned_of():
    X = TRAIN.copy()
    X[::2, ::3] = np.nan
    with pytest.warns(ConvergenceWarning, match="max_iter=2 steps of EM"):
        PivotalPCA(5, max_iter=2).fit(X)


def test_few_rounds_are_warned_of():
    X = CLEAN + np.random.default_rng(8).standard_t(2, CLEAN.shape)
    coder = PivotalPCA(5).fit(TRAIN).set_params(transform_max_iter=1)
    for method in ("transform", "reconstruct", "noise_scale"):
        with pytest.warns(ConvergenceWarning, match=r"\d+ of \d+ rows still changed"):
            getattr(coder, method)(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coder.set_params(transform_tol=0.0).transform(X)


def test_rows_without_entries_are_restored_as_the_mean():
    X, coder = CLEAN[:4].copy(), PivotalPCA().fit(TRAIN)
    X[1] = np.nan
    assert np.all(coder.transform(X)[1] == 0)
    assert_allclose(coder.reconstruct(X)[1], coder.mean_, rtol=1e-12)
    sigma = coder.noise_scale(X)
    assert list(np.isnan(sigma)) == [False, True, False, False]
    assert np.isfinite(coder.noise_scale(X, groups="all")).all()
    assert np.isfinite(coder.score(X))


def test_columns_without_entries_are_named():
    X = TRAIN.copy()
    X[:, [4, 9]] = np.nan
    with pytest.raises(ValueError, match="in 2 columns, the first of them 4"):
        PivotalPCA().fit(X)


def test_more_components_than_features_are_refused():
    with pytest.raises(ValueError, match=r"n_components must be at most .* 30, got 31"):
        PivotalPCA(31).fit(TRAIN)


def test_directions_that_do_not_vary_are_not_kept():
    few = TRAIN[:4]
    for asked in (None, 20, "auto"):
        assert len(PivotalPCA(asked).fit(few).components_) <= 3
    assert len(PivotalPCA(None).fit(TRAIN).components_) == 30
    assert len(PivotalPCA(0.5).fit(TRAIN).components_) == 2


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_training_rows_have_any_unit(scale):
    coder, other = PivotalPCA().fit(TRAIN), PivotalPCA().fit(scale * TRAIN)
    for method in ("transform", "reconstruct", "noise_scale"):
        expected = getattr(coder, method)(CLEAN)
        ours = getattr(other, method)(scale * CLEAN) / scale
        assert_allclose(ours, expected, rtol=1e-7, atol=1e-7)


def test_rows_far_away_have_finite_codes():
    coder = PivotalPCA().fit(TRAIN)
    for scale in (1e50, 1e200, 1e300):
        assert np.isfinite(coder.transform(scale * CLEAN)).all()
        assert np.isfinite(coder.reconstruct(scale * CLEAN)).all()
    far = (1e30 * CLEAN).astype(np.float32)
    assert np.isfinite(PivotalPCA().fit(TRAIN.astype("f4")).reconstruct(far)).all()


def test_groups_tell_their_level_better_than_rows():
    sigma = np.repeat([0.5, 1.0, 2.0], len(CLEAN) // 3)
    X = CLEAN[: len(sigma)]
    X = X + sigma[:, None] * np.random.default_rng(9).standard_normal(X.shape)
    coder = PivotalPCA(5).fit(TRAIN)
    alone = coder.noise_scale(X) / sigma - 1
    pooled = coder.noise_scale(X, groups=sigma) / sigma - 1
    assert np.abs(pooled).max() < 0.1
    assert np.std(pooled) < 0.3 * np.std(alone)


def test_the_noise_level_of_training_rows_is_their_median():
    X = make_rows()
    for groups in (None, SCATTERED):
        coder = PivotalPCA(2).fit(X, groups=groups)
        assert coder.noise_scale_ == np.median(coder.noise_scale(X, groups=groups))
    assert len(coder.noise_scale(X)) == N_ROWS


SETS = {
    "iris": load_iris,
    "wine": load_wine,
    "cancer": load_breast_cancer,
    "digits": load_digits,
}


@pytest.mark.parametrize("load", SETS.values(), ids=SETS)
def test_codes_serve_a_classifier_as_well_as_the_columns(load):
    X, y = load(return_X_y=True)

    def accuracy(*steps):
        pipe = make_pipeline(StandardScaler(), *steps, LogisticRegression(max_iter=999))
        return cross_val_score(pipe, X, y, cv=5).mean()

    assert accuracy(PivotalPCA()) >= accuracy() - 0.01


def test_sparse_rows_that_cannot_be_made_dense_are_refused():
    X = sp.csr_array((20_000, 10**6))
    with pytest.raises(ValueError, match="entries, got sparse rows of shape"):
        PivotalPCA(3).fit(X)
