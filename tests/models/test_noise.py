"""Noise of every kind has the level asked for, and leaves what it should."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.models.noise import (
    AR_COEFFICIENT,
    DISTRIBUTIONS,
    NOISE_KINDS,
    ROW_FACTOR,
    SPIKE,
    column_spread,
)

SHARES = [name for name, kind in NOISE_KINDS.items() if kind.is_share]
SPREAD = np.geomspace(0.1, 10, 50)
X = 100 + SPREAD * np.random.default_rng(0).standard_normal((2000, 50))

each_kind = pytest.mark.parametrize("name", NOISE_KINDS)


def noise(name, level, seed=0, spread=SPREAD):
    """Return what a kind adds to the rows, in standard deviations of the columns."""
    rng = np.random.RandomState(seed)
    return (NOISE_KINDS[name].add(X, level, spread, rng) - X) / SPREAD


@each_kind
def test_a_level_of_zero_leaves_the_rows(name):
    assert_array_equal(noise(name, 0.0), 0)
    assert_array_equal(noise(name, np.zeros((len(X), 1))), 0)


@each_kind
def test_same_seed_same_noise(name):
    assert_array_equal(noise(name, 0.3), noise(name, 0.3))
    assert not np.array_equal(noise(name, 0.3), noise(name, 0.3, seed=1))


@each_kind
def test_each_row_has_its_own_level_where_levels_are_an_array(name):
    levels = np.where(np.arange(len(X)) < 1000, 0.0, 0.4)[:, None]
    added = noise(name, levels)
    assert_array_equal(added[:1000], 0)
    assert_array_equal(added[1000:], noise(name, 0.4)[1000:])


@pytest.mark.parametrize("name", ["gaussian", "laplace", "uniform", "correlated"])
def test_a_level_is_a_standard_deviation_in_each_column(name):
    assert_allclose(np.std(noise(name, 0.5), axis=0), 0.5, rtol=0.1)
    absolute = noise(name, 0.5, spread=np.ones(50)) * SPREAD
    assert_allclose(np.std(absolute, axis=0), 0.5, rtol=0.1)


def test_levels_of_rows_are_within_a_factor_and_reach_it():
    sizes = np.std(noise("row_levels", 0.5), axis=1) / 0.5
    assert np.quantile(sizes, 0.01) < 1.3 / ROW_FACTOR
    assert np.quantile(sizes, 0.99) > ROW_FACTOR / 1.3
    assert_allclose(np.median(sizes), 1, rtol=0.1)


def test_correlated_noise_is_autoregressive():
    added = noise("correlated", 1.0)
    for lag in (1, 2, 3):
        product = np.mean(added[:, lag:] * added[:, :-lag])
        assert_allclose(product, AR_COEFFICIENT**lag, atol=0.02)


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_a_share_is_that_of_the_entries_that_change(name, share):
    assert_allclose(np.mean(noise(name, share) != 0), share, atol=0.01)


def test_missing_entries_are_nan_and_spikes_have_their_height():
    missing, spikes = noise("missing", 0.2), noise("spikes", 0.2)
    assert_array_equal(missing[~np.isnan(missing)], 0)
    assert_allclose(np.abs(spikes[spikes != 0]), SPIKE)
    assert_allclose(spikes.mean(), 0, atol=0.1)


def test_dead_columns_are_constant_in_all_rows():
    rng = np.random.RandomState(0)
    dead = np.ptp(NOISE_KINDS["dead"].add(X, 0.11, SPREAD, rng), axis=0) == 0
    assert dead.sum() == 6  # of 5.5, rounded up
    with_gaps = np.where(rng.random_sample(X.shape) < 0.1, np.nan, X)
    rows = NOISE_KINDS["dead"].add(with_gaps, 1.0, SPREAD, rng)
    assert_allclose(rows, np.tile(np.nanmean(with_gaps, axis=0), (len(X), 1)))


@each_kind
def test_what_is_missing_stays_missing(name):
    if name != "dead":
        rows = np.where(np.arange(50) < 3, np.nan, X)
        rng = np.random.RandomState(0)
        noisy = NOISE_KINDS[name].add(rows, 0.5, column_spread(rows), rng)
        assert np.isnan(noisy[:, :3]).all()
        assert np.isfinite(noisy[:, 3:]).mean() > 0.4


def test_spread_is_the_standard_deviation_of_what_is_known():
    rows = np.array([[1.0, np.nan, 2.0], [3.0, np.nan, np.nan], [8.0, np.nan, 2.0]])
    assert_allclose(column_spread(rows), [np.std([1, 3, 8]), 0, 0])
    assert_allclose(column_spread(X), X.std(axis=0))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_kinds_draw_from_the_distribution_of_their_name(name):
    draw = DISTRIBUTIONS[name](np.random.RandomState(0), X.shape)
    assert_allclose(noise(name, 0.5), 0.5 * draw, atol=1e-11)
