"""Channels, transparency and stacks of images."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.images import denoise_image

SHAPE = (24, 26)


def noisy(seed=0, level=10.0):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    clean = 60.0 * (x > 10) + 90 * (y > 12) + x
    return clean + level * np.random.default_rng(seed).standard_normal(SHAPE)


def colours():
    return np.stack([noisy(0), noisy(1) + 9, noisy(2) - 5], axis=2)


@pytest.mark.parametrize("dtype", [np.uint8, float])
@pytest.mark.parametrize("n_colours", [1, 3])
def test_transparency_is_left_alone(dtype, n_colours):
    image = np.clip(np.rint(colours()[..., :n_colours]), 0, 255).astype(dtype)
    alpha = np.random.default_rng(3).integers(0, 256, (*SHAPE, 1)).astype(dtype)
    restored = denoise_image(np.concatenate([image, alpha], axis=2))
    assert_array_equal(restored[..., n_colours:], alpha)
    assert_array_equal(restored[..., :n_colours], denoise_image(image))


def test_transparency_may_be_unknown():
    image = np.concatenate([colours(), np.full((*SHAPE, 1), np.nan)], axis=2)
    assert_array_equal(denoise_image(image)[..., :3], denoise_image(colours()))


def test_four_channels_are_all_restored_if_the_axis_is_given():
    four = np.concatenate([colours(), noisy(3)[..., None]], axis=2)
    last = denoise_image(four, channel_axis=-1)
    assert np.std((last - four)[..., 3]) > 1
    first = denoise_image(np.moveaxis(four, 2, 0), channel_axis=0)
    assert_array_equal(np.moveaxis(first, 0, 2), last)


@pytest.mark.parametrize("channels", [None, -1])
def test_a_stack_is_restored_image_by_image(channels):
    image = noisy() if channels is None else colours()
    other = 1e3 * image[::-1] + 5
    stack = np.stack([image, other])
    restored = denoise_image(stack, channel_axis=channels)
    assert_array_equal(restored, [denoise_image(image), denoise_image(other)])
    nested = denoise_image(stack[None], channel_axis=channels)
    assert_array_equal(nested, restored[None])


def test_images_of_a_stack_may_miss_pixels():
    stack = np.stack([noisy(0), noisy(1)])
    stack[1, 5:9, 5:9] = np.nan
    restored = denoise_image(stack, channel_axis=None)
    assert_array_equal(restored[0], denoise_image(noisy(0)))
    assert_array_equal(restored[1], denoise_image(stack[1]))
    mask = np.isnan(stack)
    hidden = np.where(mask, 0, stack)
    assert_array_equal(denoise_image(hidden, mask=mask, channel_axis=None), restored)


def test_many_channels_are_restored_by_what_they_have_in_common():
    rng = np.random.default_rng(4)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    clean = np.stack([60.0 * (x > 10), 90.0 * (y > 12)], axis=2) @ rng.random((2, 10))
    level = np.geomspace(2, 40, 10)
    image = clean + level * rng.standard_normal(clean.shape)
    together = denoise_image(image, channel_axis=-1)
    alone = denoise_image(np.moveaxis(image, 2, 0), channel_axis=None)
    error = np.mean((together - clean) ** 2, axis=(0, 1))
    error_alone = np.mean((np.moveaxis(alone, 0, 2) - clean) ** 2, axis=(0, 1))
    assert error.mean() < 0.5 * error_alone.mean()
    assert np.all(error < level**2)
    told = denoise_image(image, channel_axis=-1, noise_std=20.0)
    assert np.mean((told - clean) ** 2) < np.mean((image - clean) ** 2)


def test_equal_channels_are_restored_equally():
    image = np.repeat(noisy()[..., None], 6, axis=2)
    restored = denoise_image(image, channel_axis=2)
    assert_allclose(restored, restored[..., :1] + np.zeros(6), atol=1e-2)
    assert_allclose(restored[..., 0], denoise_image(noisy()), atol=0.1)
    flat = np.full((*SHAPE, 6), 7.3)
    assert_array_equal(denoise_image(flat, channel_axis=2), flat)


@pytest.mark.parametrize(
    ("shape", "axis", "message"),
    [
        ((10, 24, 26), "auto", r"channel_axis is not clear.*\(10, 24, 26\)"),
        ((24, 26), -1, r"image must have shape.*\(24, 26\) and channel_axis=-1"),
        ((24, 26), 5, "channel_axis must be 'auto', None or an axis.*got 5"),
        ((24, 26, 3), "last", "channel_axis must be.*got 'last'"),
        ((24,), None, r"image must have shape.*\(24,\)"),
        ((0, 24, 26), None, r"image must have shape.*\(0, 24, 26\)"),
    ],
)
def test_wrong_axes_are_named(shape, axis, message):
    with pytest.raises(ValueError, match=message):
        denoise_image(np.zeros(shape), channel_axis=axis)


def test_a_boolean_image_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"dtype bool; use image\.astype"):
        denoise_image(np.zeros(SHAPE, bool))


def test_the_name_of_a_file_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"read a file first.*imread"):
        denoise_image("picture.png")
