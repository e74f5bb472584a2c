"""Images are restored without training, by patches that are similar."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import extract_patches_2d

from sklearn_sqrtlasso import SqrtLassoTransform
from sklearn_sqrtlasso.blockwise import similar_patches
from sklearn_sqrtlasso.blockwise.similar_patches import estimated_noise_std
from sklearn_sqrtlasso.images import denoise_image
from sklearn_sqrtlasso.metrics import psnr


def picture(shape=(48, 52)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return 60.0 * (x > 20) + 90 * (y > 15) + x + 10 * np.sin(0.7 * (x + y))


def noisy(level=15.0, shape=(48, 52)):
    return picture(shape) + level * np.random.default_rng(0).standard_normal(shape)


@pytest.fixture(scope="module")
def restored():
    return denoise_image(noisy())


def quality(image):
    return psnr(picture(), image, data_range=255)


def test_noise_is_removed_without_training(restored):
    assert quality(restored) > quality(noisy()) + 8  # decibels
    assert quality(denoise_image(noisy(), noise_std=15.0)) > quality(noisy()) + 8


@pytest.mark.parametrize("level", [2.0, 15.0, 60.0])
def test_the_level_is_that_of_the_noise(level):
    assert_allclose(
        estimated_noise_std(noisy(level, (96, 96)), (8, 8)), level, rtol=0.1
    )


def test_passes_improve_an_estimate():
    cosines = SqrtLassoTransform(alpha=0.2, center=False, init="dct", max_iter=0)
    cosines.fit(np.random.default_rng(0).standard_normal((64, 64)))
    alone = quality(denoise_image(cosines, noisy(), n_passes=0))
    assert quality(denoise_image(cosines, noisy(), n_passes=1)) > alone + 1


def test_passes_do_not_undo_what_an_estimator_removes():
    """Noise of two by two pixels is hardly seen in the fastest changes."""
    rng = np.random.default_rng(0)
    noise = np.kron(rng.standard_normal((24, 26)), np.full((2, 2), 15.0))
    rows = extract_patches_2d(picture(), (8, 8)).reshape(-1, 64)
    smooth = PCA(8).fit(rows - rows.mean(axis=1, keepdims=True))
    alone = denoise_image(smooth, picture() + noise, n_passes=0)
    with pytest.warns(UserWarning, match="noise is correlated.*n_passes=0"):
        assert_array_equal(denoise_image(smooth, picture() + noise), alone)
    told = denoise_image(smooth, picture() + noise, noise_std=15.0)
    assert quality(told) > quality(picture() + noise)


@pytest.mark.parametrize("factor", [2.0**-40, 0.5, 2.0**60])
def test_scaling_by_powers_of_two_is_exact(restored, factor):
    assert_array_equal(denoise_image(factor * noisy()), factor * restored)


def test_scaling_by_any_factor_is_near(restored):
    scale = np.abs(restored).max()
    assert_allclose(denoise_image(3 * noisy()) / 3, restored, atol=1e-3 * scale)


def test_threads_do_not_change_the_result(restored):
    assert_array_equal(denoise_image(noisy(), n_jobs=3), restored)


@pytest.mark.parametrize("n_rows", [1, 1000])
def test_bands_leave_no_seams(restored, monkeypatch, n_rows):
    monkeypatch.setattr(similar_patches, "BAND", n_rows)
    assert_allclose(denoise_image(noisy()), restored, atol=1e-3)


@pytest.mark.parametrize("shape", [(48, 52), (48, 52, 3)])
def test_a_constant_image_stays(shape):
    assert_array_equal(denoise_image(np.full(shape, 7.3)), np.full(shape, 7.3))


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.rot90])
def test_turns_turn_the_result(turn):
    image = noisy(shape=(50, 50))  # patches every 6 pixels, from edge to edge
    expected = turn(denoise_image(image))
    assert_allclose(denoise_image(turn(image).copy()), expected, atol=1e-2)


def test_channels_and_integers_are_restored_alike(restored):
    three = np.stack([noisy()] * 3, axis=2)
    assert_allclose(denoise_image(three)[..., 1], restored, atol=1e-3)
    whole = np.clip(np.rint(noisy()), 0, 255).astype(np.uint8)
    result = denoise_image(whole)
    assert result.dtype == np.uint8
    assert_allclose(result, denoise_image(whole.astype(float)), atol=0.51)


def test_little_noise_in_large_contrasts_is_reduced():
    image = picture() + 1e-3 * (noisy() - picture())
    assert quality(denoise_image(image)) > quality(image) + 1


def test_a_channel_without_noise_does_not_hide_that_of_another(restored):
    clean = picture()
    channels = np.stack([noisy() + clean, noisy() - clean], axis=2)
    both = denoise_image(channels, channel_axis=2)
    assert_allclose(both.mean(axis=2), restored, atol=1e-2)


def test_no_more_patches_than_there_are():
    small = noisy(shape=(9, 10))
    assert np.all(np.isfinite(denoise_image(small)))


def test_progress_is_printed(capsys):
    denoise_image(noisy(), verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[denoise_image] first estimate: 100%"
    assert lines[-1] == "[denoise_image] pass 2 of 2: 100%"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"similar": 1}, "similar must be an integer of at least 2, got 1"),
        ({"n_passes": -1}, "n_passes must be an integer of at least 0, got -1"),
        ({"noise_std": -1.0}, "noise_std must be a finite number of at least 0.*-1.0"),
        ({"patch_size": (60, 8)}, "patch_size must be at most"),
    ],
)
def test_wrong_parameters_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        denoise_image(noisy(), **wrong)
