"""Missing pixels are filled in, and hide nothing of those that are known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import distance_transform_edt

from sklearn_sqrtlasso.blockwise.missing_pixels import noise_std_where_known
from sklearn_sqrtlasso.images import denoise_image

SHAPE = (40, 44)
RNG = np.random.default_rng(0)
MASKS = {
    "few": RNG.random(SHAPE) < 0.3,
    "most": RNG.random(SHAPE) < 0.8,
    "hole": np.pad(np.ones((10, 12), bool), ((9, 21), (20, 12))),
    "squares": np.add.outer(*map(np.arange, SHAPE)) % 2 == 0,
    "half": np.arange(SHAPE[1]) >= 22 + np.zeros(SHAPE),
}


def picture():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return 50.0 * (x > y) + 80 * (y > 12) + x + 5 * np.sin(0.9 * (x + y))


def noisy(level=10.0):
    return picture() + level * np.random.default_rng(1).standard_normal(SHAPE)


def without(image, mask):
    image = image.copy()
    image[mask] = np.nan
    return image


def error(image, mask):
    return np.sqrt(np.mean((image - picture())[mask] ** 2))


def nearest(image, mask):
    """Return the image filled in with the nearest known pixels."""
    places = distance_transform_edt(mask, return_distances=False, return_indices=True)
    return image[tuple(places)]


each_mask = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)


@pytest.mark.parametrize("name", ["few", "most", "hole"])
def test_known_pixels_stay_and_others_are_better_than_the_nearest(name):
    mask = MASKS[name]
    filled = denoise_image(without(picture(), mask), noise_std=0)
    assert_array_equal(filled[~mask], picture()[~mask])
    assert error(filled, mask) < 0.8 * error(nearest(picture(), mask), mask)


@pytest.mark.parametrize("name", ["few", "most", "hole"])
def test_noise_is_removed_from_known_pixels(name):
    mask = MASKS[name]
    restored = denoise_image(without(noisy(), mask))
    assert error(restored, ~mask) < error(noisy(), ~mask)
    assert error(restored, mask) < error(nearest(noisy(), mask), mask)


def test_what_is_behind_a_mask_has_no_influence():
    mask = MASKS["few"]
    given = np.where(mask, 1e6, noisy())
    expected = denoise_image(without(noisy(), mask))
    assert_array_equal(denoise_image(given, mask=mask), expected)
    given[mask] = np.inf
    masked = np.ma.masked_array(given, mask=mask)
    assert_array_equal(denoise_image(masked), expected)
    whole = np.rint(noisy() + 40).astype(np.uint8)
    hidden = np.where(mask, 255, whole).astype(np.uint8)
    restored = denoise_image(hidden, mask=mask)
    assert restored.dtype == np.uint8
    assert_allclose(restored, expected + 40, atol=3)


@pytest.mark.parametrize("factor", [2.0**-30, 2.0**60])
def test_scaling_by_powers_of_two_is_exact(factor):
    image = without(noisy(), MASKS["hole"])
    expected = factor * denoise_image(image)
    assert_array_equal(denoise_image(factor * image), expected)


def test_an_image_without_missing_pixels_is_restored_as_before():
    nothing = np.zeros(SHAPE, bool)
    assert_array_equal(denoise_image(noisy(), mask=nothing), denoise_image(noisy()))
    assert_array_equal(denoise_image(noisy(), noise_std=0), noisy())


def test_constant_images_are_continued():
    image = without(np.full(SHAPE, 7.3), MASKS["half"])
    assert_allclose(denoise_image(image), np.full(SHAPE, 7.3), rtol=1e-12)


@pytest.mark.parametrize(
    ("lost", "level"),
    [("few", 3), ("hole", 3), ("few", 30), ("hole", 30), ("most", 30), ("squares", 30)],
)
def test_the_level_is_that_of_known_pixels(lost, level):
    found = noise_std_where_known(noisy(level), MASKS[lost])
    assert found == pytest.approx(level, rel=0.5)


@each_mask
def test_no_pixel_is_left_open(mask):
    restored = denoise_image(without(noisy(), mask))
    low, high = noisy().min(), noisy().max()
    assert np.all((restored > low - 50) & (restored < high + 50))


def test_channels_may_miss_different_pixels():
    three = np.stack([noisy(), noisy() + 20, 2 * noisy()], axis=2)
    for channel, name in enumerate(["few", "hole", "half"]):
        three[MASKS[name], channel] = np.nan
    clean = np.stack([picture(), picture() + 20, 2 * picture()], axis=2)
    restored = denoise_image(three)
    known = ~np.isnan(three)
    assert np.std((restored - clean)[known]) < 0.8 * np.std((three - clean)[known])
    assert np.all(np.isfinite(restored))


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (np.zeros((9, 9)), np.zeros((9, 8), bool), r"mask must.*\(9, 9\).*\(9, 8\)"),
        (np.zeros((9, 9)), np.full((9, 9), 2), "mask must be boolean"),
        (np.zeros((9, 9)), np.ones((9, 9), bool), "pixels that are not missing"),
        (np.full((9, 9), np.nan), None, "pixels that are not missing"),
        (np.full((9, 9), np.inf), None, "must not be infinite"),
    ],
)
def test_wrong_masks_are_named(image, mask, message):
    with pytest.raises(ValueError, match=message):
        denoise_image(image, mask=mask)
