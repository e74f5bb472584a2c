"""NaN is an entry that was not observed: laws of encoders that code such rows."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import (
    NeLUAutoencoder,
    RelaxedSparseCoder,
    SqrtLasso,
    SqrtLassoCV,
    SqrtLassoTransform,
    sqrt_lasso_path,
)
from sklearn_sqrtlasso.learning.dictionary_learning import LEARNERS
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS
from tests import sized
from tests.estimators.common import SCATTERED, make_rows
from tests.estimators.encoders import FAMILIES, new, takes_missing

X = make_rows()[:60]
GIVEN = {"tol": 1e-3, "max_iter": 20}


def with_holes(X, share=0.2, seed=0):
    holes = np.random.default_rng(seed).random(X.shape) < share
    return np.where(holes, np.nan, X)


SHORT = {"max_iter": 3, "random_state": 0}
CODERS = {
    "SqrtLassoTransform": SqrtLassoTransform(**GIVEN),
    # codes are continuous if they are not refitted
    "RelaxedSparseCoder": RelaxedSparseCoder(phi=1.0, **SHORT),
    "with outliers": RelaxedSparseCoder(phi=1.0, outlier_alpha="auto", **SHORT),
}


@pytest.fixture(scope="module", params=CODERS.values(), ids=CODERS)
def coder(request):
    return clone(request.param).fit(X)


@pytest.fixture(scope="module")
def cancer():
    return StandardScaler().fit_transform(load_breast_cancer().data)


def test_rows_without_holes_are_coded_as_before(coder):
    holes = with_holes(X)
    holes[::2] = X[::2]
    assert_array_equal(coder.transform(holes)[::2], coder.transform(X)[::2])


def test_what_stands_in_a_hole_has_no_influence(coder):
    few = with_holes(X)
    other = sp.csr_array(np.nan_to_num(few, nan=7.0))
    other.data[other.data == 7.0] = np.nan
    assert_allclose(coder.transform(other), coder.transform(few), atol=1e-12)


def test_a_row_does_not_depend_on_its_neighbours(coder):
    few = with_holes(X)
    assert_allclose(coder.transform(few[3:4]), coder.transform(few)[3:4], atol=1e-12)


def test_codes_are_certified(coder):
    assert coder.duality_gap(with_holes(X)).max() <= 1e-6


@pytest.mark.parametrize("groups", [SCATTERED[:60], "all"])
def test_codes_of_groups_are_certified(groups):
    coder = SqrtLassoTransform(**GIVEN).fit(X)
    assert coder.duality_gap(with_holes(X), groups=groups).max() <= 1e-6


def test_scaling_about_the_mean_scales_codes(coder):
    few, mean = with_holes(X), getattr(coder, "mean_", 0)
    far = mean + 1000 * (few - mean)
    assert_allclose(coder.transform(far), 1000 * coder.transform(few), atol=1e-2)
    assert_allclose(coder.noise_scale(far), 1000 * coder.noise_scale(few), atol=1e-2)


def test_threads_change_no_bit(coder):
    few = with_holes(X)
    two = clone(coder).set_params(n_jobs=2).fit(X)
    assert_array_equal(two.transform(few), coder.transform(few))


def test_single_precision_follows_double(coder):
    few = with_holes(X)
    low = coder.transform(few.astype("f4"))
    assert low.dtype == np.float32
    assert_allclose(low, coder.transform(few), atol=0.1)


def test_rows_without_entries_are_the_mean(coder):
    nothing = np.full((2, X.shape[1]), np.nan)
    assert_array_equal(coder.transform(nothing), 0)
    mean = getattr(coder, "mean_", np.zeros(X.shape[1]))
    assert_allclose(coder.reconstruct(nothing), np.tile(mean, (2, 1)))


def test_holes_are_filled_in_better_than_by_means(cancer):
    train, test = cancer[:300], cancer[300:400]
    coder, few = SqrtLassoTransform(**GIVEN).fit(train), with_holes(test, 0.3)
    holes = np.isnan(few)
    by_means = SimpleImputer().fit(train).transform(few)

    def error(filled):
        return np.mean((filled - test)[holes] ** 2)

    assert error(coder.reconstruct(few)) < 0.4 * error(by_means)


def test_training_rows_may_have_holes(cancer):
    few, test = with_holes(cancer[:150], 0.2), cancer[300:400]
    coder = SqrtLassoTransform(max_iter=20, tol=1e-2).fit(few)
    assert np.all(np.diff(coder.objective_curve_) <= 0)
    assert_allclose(coder.mean_, np.nanmean(few, axis=0))
    whole = SqrtLassoTransform(max_iter=20, tol=1e-2).fit(cancer[:150])
    noisy = test + np.random.default_rng(0).standard_normal(test.shape)
    ours, theirs = (np.mean((c.reconstruct(noisy) - test) ** 2) for c in (coder, whole))
    assert ours < 1.2 * theirs
    coder.partial_fit(few)
    assert np.isfinite(coder.components_).all()


def test_outliers_leave_rows_alone(cancer):
    train, test = cancer[:200], cancer[300:400]
    rng = np.random.default_rng(0)
    spikes = 10 * rng.standard_normal(test.shape) * (rng.random(test.shape) < 0.05)
    spiked = test + spikes
    errors = {}
    for alpha in (None, "auto"):
        coder = SqrtLassoTransform(outlier_alpha=alpha, **GIVEN).fit(train)
        errors[alpha] = np.mean((coder.reconstruct(spiked) - test) ** 2)
        assert np.all(np.diff(coder.objective_curve_) <= 0)
    assert errors["auto"] < 0.4 * errors[None]


@pytest.mark.parametrize("selector", SELECTORS)
def test_every_selector_takes_missing_entries(selector):
    given = {"n_nonzero_coefs": 3} if SELECTORS[selector].alpha_unit is None else {}
    few = with_holes(X)
    coder = RelaxedSparseCoder(selector=selector, **given, **SHORT).fit(few)
    Z, restored = coder.transform(few), coder.reconstruct(few)
    assert_allclose(restored, coder.inverse_transform(Z))
    assert np.isfinite(restored).all()
    seen = ~np.isnan(few)
    spread = few - np.nanmean(few, axis=0)
    explained = 1 - np.sum((few - restored)[seen] ** 2) / np.sum(spread[seen] ** 2)
    assert_allclose(coder.score(few), explained)
    residual = np.where(seen, few - restored, 0)
    freedom = seen.sum(axis=1) - np.count_nonzero(Z, axis=1)
    expected = np.linalg.norm(residual, axis=1) / np.sqrt(np.maximum(freedom, 1))
    assert_allclose(coder.noise_scale(few), np.where(freedom > 0, expected, 0))
    assert np.isfinite(coder.shrinkage_report(few).refit.growth)


def test_outliers_do_not_count_for_the_noise_of_a_row():
    coder = RelaxedSparseCoder(outlier_alpha="auto", **SHORT).fit(X)
    spiked = X.copy()
    spiked[:, 5] += 1e6
    assert np.median(coder.noise_scale(spiked)) < 3 * np.median(coder.noise_scale(X))


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("outlier_alpha", [None, "auto"])
def test_atoms_are_learnt_from_rows_with_holes(learner, outlier_alpha, cancer):
    few = with_holes(cancer[: sized(150, 60), :10], 0.1)
    given = {"learner": learner, "outlier_alpha": outlier_alpha, "random_state": 0}
    coder = RelaxedSparseCoder(max_iter=6, **given).fit(few)
    curve = coder.objective_curve_
    assert curve[-1] < 0.8 * curve[0]
    assert_allclose(np.linalg.norm(coder.components_, axis=1), 1)
    filled = coder.reconstruct(few)
    holes = np.isnan(few)
    error = np.mean((filled - cancer[: len(few), :10])[holes] ** 2)
    assert error < np.mean(cancer[: len(few), :10][holes] ** 2)
    coder.partial_fit(few)
    assert np.isfinite(coder.components_).all()


def test_codes_of_training_rows_tell_holes_that_atoms_leave_open(cancer):
    train, test = cancer[:100, :12], cancer[300:400, :12]
    few = with_holes(test, 0.4)
    learnt = RelaxedSparseCoder(**SHORT).fit(train)
    atoms = RelaxedSparseCoder(dictionary=learnt.components_).fit(train)
    batches = RelaxedSparseCoder(**SHORT).partial_fit(train[:50]).partial_fit(train)

    def error(coder):
        return np.mean((coder.reconstruct(few) - test)[np.isnan(few)] ** 2)

    assert error(learnt) < 0.75 * error(atoms)
    assert error(batches) < 0.75 * error(atoms)
    assert_array_equal(learnt.transform(test), atoms.transform(test))


def test_a_later_batch_may_lack_a_column():
    coder = RelaxedSparseCoder(random_state=0).partial_fit(with_holes(X))
    batch = X.copy()
    batch[:, 0] = np.nan
    before = coder.components_.copy()
    coder.partial_fit(batch).partial_fit(np.full_like(X, np.nan))
    assert np.isfinite(coder.components_).all()
    assert np.any(coder.components_ != before)


def test_penalties_in_units_of_rows_know_observed_entries_only():
    rows = np.where(np.arange(12) % 4 == 0, np.nan, 2.0)[None] * np.ones((8, 1))
    rows[0, ::4] = 2.0
    coder = RelaxedSparseCoder(dictionary=np.eye(12), selector="lasso").fit(rows)
    assert_allclose(coder.alpha_, 2 / 3)


def test_a_pivotal_penalty_detects_with_holes_as_without():
    rng = np.random.default_rng(0)
    atoms, noise = rng.standard_normal((40, 20)), rng.standard_normal((2000, 20))
    coder = RelaxedSparseCoder(dictionary=atoms, alpha="pivotal")
    coder = coder.fit(3 * atoms)
    for share in (0.0, 0.3, 0.6):
        alarms = coder.transform(with_holes(noise, share)).any(axis=1)
        assert 0.03 < np.mean(alarms) < 0.07  # of 0.05


def test_outliers_are_refused_where_penalties_are_not_pure():
    coder = RelaxedSparseCoder(selector="omp", outlier_alpha=0.5)
    message = r"outlier_alpha=0.5 .* selector='omp': .* among \['sqrt_lasso'\]"
    with pytest.raises(ValueError, match=message):
        coder.fit(X)


REFUSING = {
    "network": lambda bad: NeLUAutoencoder().fit(bad),
    "network that is fitted": lambda bad: (
        new("NeLUAutoencoder-default").fit(X).transform(bad)
    ),
    "layers": lambda bad: new("ANAMOAutoencoder-default").fit(bad),
    "sparse rows": lambda bad: SqrtLasso().fit(sp.csr_array(bad), bad[:, 1]),
    "regression": lambda bad: SqrtLasso().fit(bad, bad[:, 1]),
    "regression with a number": lambda bad: SqrtLasso(alpha=0.1).fit(bad, bad[:, 1]),
    "regression with weights": lambda bad: SqrtLasso(alpha=0.1).fit(
        bad, bad[:, 1], np.arange(len(bad))
    ),
    "prediction": lambda bad: SqrtLasso().fit(X, X[:, 1]).predict(bad),
    "cross-validation": lambda bad: SqrtLassoCV().fit(bad, bad[:, 1]),
    "path": lambda bad: sqrt_lasso_path(bad, bad[:, 1]),
}


@pytest.mark.parametrize("call", REFUSING.values(), ids=REFUSING)
def test_a_refusal_names_what_takes_missing_entries(call):
    bad = X.copy()
    bad[0, 0] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN") as caught:
        call(bad)
    taking = [family.__name__ for family in FAMILIES if takes_missing(family)]
    assert len(taking) == 3
    assert all(name in str(caught.value) for name in taking)


def test_infinity_is_refused(coder):
    bad = X.copy()
    bad[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        coder.transform(bad)


def test_rows_of_too_narrow_a_dtype_are_refused():
    X = np.random.default_rng(0).standard_normal((20, 4))
    coder = SqrtLassoTransform(random_state=0).fit(1e60 * (1 + X))
    with pytest.raises(ValueError, match=r"X must have dtype float64, got float32"):
        coder.transform(X.astype(np.float32))
    assert np.isfinite(coder.transform(X)).all()
