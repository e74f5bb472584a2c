"""Patches are restored as the formulas say, alone and in groups."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.fft import dctn, idctn

from sklearn_sqrtlasso.algorithms.similar_patches import (
    ALIKE,
    restore_groups,
    threshold_cosines,
)

SIZE, REACH = np.array([3, 2]), np.array([2, 3])


def image(seed, shape=(9, 11)):
    return np.random.default_rng(seed).standard_normal(shape)


def cut(x, places):
    return np.array([x[t : t + 3, s : s + 2].ravel() for t, s in places])


def similar_to(guide, center, n_similar):
    """Return the places of the patches most alike, in a window inside the image."""
    windows = []
    for place, reach, last in zip(center, REACH, (6, 9), strict=True):
        first = max(0, min(place - reach, last - 2 * reach))
        windows.append(range(first, min(last, first + 2 * reach) + 1))
    places = [(t, s) for t in windows[0] for s in windows[1]]
    distances = np.sum((cut(guide, places) - cut(guide, [center])) ** 2, axis=1)
    return [places[i] for i in np.argsort(distances)[:n_similar]]


def restored_by_formula(noisy, guide, variance, centers, n_similar):
    sums = np.zeros((2, *noisy.shape))
    for center in centers:
        places = similar_to(guide, center, n_similar)
        known, given = cut(guide, places), cut(noisy, places)
        mean, C = known.mean(axis=0), np.cov(known.T, bias=True)
        gain = C @ np.linalg.inv(C + variance * np.eye(6))
        restored = mean + (given - mean) @ gain
        weight = 1 / (1 / n_similar + np.diag(gain))
        for (t, s), patch in zip(places, restored, strict=True):
            sums[0, t : t + 3, s : s + 2] += (weight * patch).reshape(3, 2)
            sums[1, t : t + 3, s : s + 2] += weight.reshape(3, 2)
    return sums


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_groups_are_restored_by_the_formula(dtype):
    noisy, guide, centers = image(0), image(1), np.array([[0, 0], [4, 5], [6, 9]])
    variances = np.array([0.7, 0.2], dtype)
    sums = np.zeros((2, 2, *noisy.shape), dtype)
    pair = np.stack([noisy, noisy[::-1]]), np.stack([guide, guide])
    given = [np.ascontiguousarray(x, dtype) for x in pair]
    counts = np.array([7, 7])
    restore_groups(*given, variances, centers, SIZE, REACH, counts, 0, sums)
    for channel, variance, x in zip(sums, variances, given[0], strict=True):
        expected = restored_by_formula(x, guide, variance, centers, 7)
        assert_allclose(channel, expected, rtol=1e5 * np.finfo(dtype).eps)


@pytest.mark.parametrize(("variance", "n_alike"), [(1e-3, 3), (2.0, 7), (1e3, 20)])
def test_patches_that_are_alike_share_a_group(variance, n_alike):
    noisy, guide, centers = image(0), image(1), np.array([[4, 5]])
    places = similar_to(guide, centers[0], 20)
    apart = np.mean((cut(guide, places) - cut(guide, centers)) ** 2, axis=1)
    assert np.clip(np.sum(apart < ALIKE * variance), 3, 20) == n_alike
    sums, options = np.zeros((1, 2, *noisy.shape)), (np.full(1, variance), centers)
    counts = np.array([3, 20])
    restore_groups(noisy[None], guide[None], *options, SIZE, REACH, counts, 0, sums)
    expected = restored_by_formula(noisy, guide, variance, centers, n_alike)
    assert_allclose(sums[0], expected)


def test_a_band_has_the_rows_that_its_groups_reach():
    noisy, guide, centers = image(0), image(1), np.array([[6, 5]])
    sums, band = np.zeros((1, 2, 9, 11)), np.zeros((1, 2, 7, 11))
    options = np.ones(1), centers, SIZE, REACH, np.array([40, 40])
    restore_groups(noisy[None], guide[None], *options, 0, sums)
    restore_groups(noisy[None], guide[None], *options, 2, band)
    assert_array_equal(band, sums[:, :, 2:])
    assert sums[0, 1, :2].max() == 0


@pytest.mark.parametrize("bound", [0.0, 0.8, 100.0])
def test_large_cosines_are_kept(bound):
    noisy, tops, lefts = image(2), np.array([1, 4]), np.array([0, 3, 9])
    least = bound * np.linspace(0.5, 1.5, 6).reshape(3, 2)
    expected, sums = np.zeros((2, 8, 11)), np.zeros((2, 8, 11))
    for t in tops:
        for s in lefts:
            u = dctn(noisy[t : t + 3, s : s + 2], norm="ortho")
            kept = np.abs(u) > least
            kept[0, 0] = True
            part = slice(t - 1, t + 2), slice(s, s + 2)
            expected[0][part] += idctn(u * kept, norm="ortho") / kept.sum()
            expected[1][part] += 1 / kept.sum()
    cosines = [dctn(np.eye(n), axes=[0], norm="ortho") for n in (3, 2)]
    threshold_cosines(noisy, *cosines, least, tops, lefts, sums)
    assert_allclose(sums, expected, atol=1e-12)
