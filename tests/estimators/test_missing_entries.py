"""NaN is an entry that was not observed: laws of encoders that code such rows."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import SqrtLassoTransform
from tests.estimators.common import SCATTERED, make_rows

X = make_rows()[:60]
GIVEN = {"tol": 1e-3, "max_iter": 20}


def with_holes(X, share=0.2, seed=0):
    holes = np.random.default_rng(seed).random(X.shape) < share
    return np.where(holes, np.nan, X)


@pytest.fixture(scope="module")
def coder():
    return SqrtLassoTransform(**GIVEN).fit(X)


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


@pytest.mark.parametrize("given", [{}, {"groups": SCATTERED[:60]}, {"groups": "all"}])
def test_codes_are_certified(coder, given):
    few = with_holes(X)
    assert coder.duality_gap(few, **given).max() <= 1e-6


def test_scaling_about_the_mean_scales_codes(coder):
    few = with_holes(X)
    far = coder.mean_ + 1000 * (few - coder.mean_)
    assert_allclose(coder.transform(far), 1000 * coder.transform(few), atol=1e-2)
    assert_allclose(coder.noise_scale(far), 1000 * coder.noise_scale(few), atol=1e-2)


def test_threads_change_no_bit(coder):
    few = with_holes(X)
    two = SqrtLassoTransform(**GIVEN, n_jobs=2).fit(X)
    assert_array_equal(two.transform(few), coder.transform(few))


def test_single_precision_follows_double(coder):
    few = with_holes(X)
    low = coder.transform(few.astype("f4"))
    assert low.dtype == np.float32
    assert_allclose(low, coder.transform(few), atol=0.1)


def test_rows_without_entries_are_the_mean(coder):
    nothing = np.full((2, X.shape[1]), np.nan)
    assert_array_equal(coder.transform(nothing), 0)
    assert_allclose(coder.reconstruct(nothing), np.tile(coder.mean_, (2, 1)))


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
