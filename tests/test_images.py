"""Images are cut, restored and put together again without loss."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_sqrtlasso import PivotalPCA, SqrtLassoTransform
from sklearn_sqrtlasso.estimators.patches import Patches
from sklearn_sqrtlasso.images import denoise_image
from sklearn_sqrtlasso.metrics import psnr


def picture(shape=(40, 44), dtype=np.float64):
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = 60 * (x > 20) + 90 * (y > 15) + x
    image = np.stack([image, 255 - image, image], axis=2)
    return image.astype(dtype) if len(shape) == 3 else image[..., 0].astype(dtype)


def coder(n_features=64, alpha=0.3, **options):
    rows = np.random.default_rng(0).standard_normal((80, n_features))
    options = {"init": "dct", "max_iter": 0, "center": False, **options}
    return SqrtLassoTransform(alpha=alpha, **options).fit(rows)


@pytest.mark.parametrize("step", [1, 3, 5])
@pytest.mark.parametrize("patch_size", [(5, 5), (7, 5)])
def test_codes_without_penalty_give_the_image_back(step, patch_size):
    keeps = coder(patch_size[0] * patch_size[1], alpha=0.0)
    restored = denoise_image(keeps, picture(), patch_size, step=step)
    assert_allclose(restored, picture(), atol=1e-10)


@pytest.mark.parametrize("n_features", [64, 192])
def test_colours_are_cut_alone_or_together(n_features):
    image = picture((20, 24, 3))
    restored = denoise_image(coder(n_features, alpha=0.0), image)
    assert_allclose(restored, image, atol=1e-10)


def test_patches_are_those_of_scikit_learn():
    image = picture((12, 14))
    ours, theirs = Patches(image, (8, 8), 1, 64), extract_patches_2d(image, (8, 8))
    assert_array_equal(ours.cut(slice(0, len(ours))), theirs.reshape(-1, 64))
    assert_allclose(ours[3:9].mean(axis=1), 0, atol=1e-12)


def test_patches_of_all_channels_are_those_of_scikit_learn():
    image = picture((12, 14, 3))
    ours, theirs = Patches(image, (8, 8), 1, 192), extract_patches_2d(image, (8, 8))
    assert_array_equal(ours.cut(slice(0, len(ours))), theirs.reshape(-1, 192))


@pytest.mark.parametrize("groups", ["all", None])
def test_restores_what_the_estimator_restores(groups):
    model, image = coder(), picture((12, 14))
    rows = extract_patches_2d(image, (8, 8)).reshape(-1, 64)
    mean = rows.mean(axis=1, keepdims=True)
    rows = model.reconstruct(rows - mean, groups=groups) + mean
    total, count = np.zeros((2, *image.shape))
    for row, (top, left) in zip(rows, np.ndindex(5, 7), strict=True):
        total[top : top + 8, left : left + 8] += row.reshape(8, 8)
        count[top : top + 8, left : left + 8] += 1
    restored = denoise_image(model, image, groups=groups, n_passes=0)
    assert_allclose(restored, total / count)


@pytest.mark.parametrize("level", [2.0, 10.0, 40.0])
def test_noise_of_every_level_is_reduced(level):
    noise = level * np.random.default_rng(0).standard_normal((40, 44))
    restored = denoise_image(coder(alpha=0.2), picture() + noise)
    gain = psnr(picture(), restored) - psnr(picture(), picture() + noise)
    assert gain > 3  # decibels


def test_scaling_an_image_scales_its_restoration():
    noisy = picture() + np.random.default_rng(0).standard_normal((40, 44))
    restored = denoise_image(coder(), noisy)
    assert_array_equal(denoise_image(coder(), 0.25 * noisy), 0.25 * restored)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32, float])
def test_dtype_stays(dtype):
    image = picture(dtype=np.int64).astype(dtype)
    restored = denoise_image(coder(alpha=0.2), image)
    assert restored.dtype == dtype
    assert_allclose(restored, denoise_image(coder(alpha=0.2), picture()), atol=0.6)


def test_integers_are_clipped_not_wrapped():
    image = np.zeros((24, 24), np.uint8)
    image[6:18, 6:18] = image[:, ::5] = 255
    exact = denoise_image(coder(alpha=0.2), image.astype(float))
    assert exact.max() > 255  # or else there is nothing to clip
    assert exact.min() < 0
    restored = denoise_image(coder(alpha=0.2), image)
    assert_allclose(restored, np.clip(exact, 0, 255), atol=0.5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_images_near_the_top_of_their_dtype_are_restored(dtype):
    image = picture()
    usual = denoise_image(coder(), image.astype(dtype)).astype(float)
    unit = dtype(np.finfo(dtype).max / 2 / np.abs(image).max())
    restored = denoise_image(coder(), image.astype(dtype) * unit)
    assert restored.dtype == dtype
    rounding = 8 * np.finfo(dtype).eps * np.abs(image).max()
    assert_allclose(restored.astype(float) / float(unit), usual, atol=rounding)


@pytest.mark.parametrize("power", [-1062, -1040, -600, 600, 1010])
def test_an_image_is_restored_alike_on_every_scale(power):
    noisy = picture() + np.random.default_rng(0).standard_normal((40, 44))
    noisy = np.rint(8 * noisy)  # exact, also among subnormal numbers
    restored = np.ldexp(denoise_image(np.ldexp(noisy, power)), -power)
    rounding = np.spacing(np.ldexp(noisy.max(), power))
    atol = max(1e-9, float(np.ldexp(rounding, -power)))
    assert_allclose(restored, denoise_image(noisy), atol=atol)


@pytest.mark.parametrize("power", [-900, -505, 500, 505, 900])
def test_an_estimator_sees_an_image_in_the_unit_of_its_rows(power):
    noisy = picture() + np.random.default_rng(0).standard_normal((40, 44))
    rows = extract_patches_2d(picture(), (8, 8)).reshape(-1, 64)
    rows = rows - rows.mean(axis=1, keepdims=True)
    usual = denoise_image(PivotalPCA(8).fit(rows), noisy)
    coder = PivotalPCA(8).fit(np.ldexp(rows, power))
    restored = denoise_image(coder, np.ldexp(noisy, power))
    assert_allclose(np.ldexp(restored, -power), usual, atol=1e-9)


@pytest.mark.parametrize("shape", [(40, 44), (40, 44, 3), (40, 44, 9)])
@pytest.mark.parametrize("share", [0.0, 0.1])
def test_an_offset_of_all_pixels_stays_one(shape, share):
    rng = np.random.default_rng(0)
    clean = np.resize(np.moveaxis(picture((40, 44, 3)), 2, 0), (9, 40, 44))
    noisy = np.moveaxis(clean, 0, 2)[..., : shape[2] if len(shape) == 3 else 1]
    noisy = noisy + 10 * rng.standard_normal(noisy.shape)
    noisy[rng.random(shape[:2]) < share] = np.nan
    noisy = noisy.reshape(shape)
    axis = -1 if len(shape) == 3 else None
    usual = denoise_image(noisy, channel_axis=axis)
    for offset in (2.0**20, -(2.0**30)):
        moved = denoise_image(noisy + offset, channel_axis=axis)
        single = np.finfo(np.float32).eps * np.nanmax(np.abs(noisy))
        assert_allclose(moved - offset, usual, atol=64 * single)


@pytest.mark.parametrize("value", [0.1, -7.3, 1e300, 5e-324])
@pytest.mark.parametrize("shape", [(12, 12), (12, 12, 3)])
def test_an_image_of_one_value_is_its_own_restoration(shape, value):
    image = np.full(shape, value)
    assert_array_equal(denoise_image(image), image)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_the_largest_integers_do_not_wrap_around(dtype):
    top = np.iinfo(dtype).max
    restored = denoise_image(coder(), np.full((9, 9), top, dtype))
    assert_allclose(restored.astype(float), float(top))


def test_threads_do_not_change_the_image():
    noisy = picture() + np.random.default_rng(0).standard_normal((40, 44))
    one, two = (denoise_image(coder(n_jobs=n), noisy) for n in (1, 2))
    assert_array_equal(one, two)


def test_other_estimators_restore_patch_by_patch():
    rows = extract_patches_2d(picture(), (8, 8)).reshape(-1, 64)
    rows = rows - rows.mean(axis=1, keepdims=True)
    pipeline = make_pipeline(FunctionTransformer(), PCA(63)).fit(rows)
    restored = denoise_image(pipeline, picture(), groups=None)
    assert_allclose(restored, picture(), atol=1e-6)
    assert_array_equal(denoise_image(pipeline, picture()), restored)
    with pytest.raises(TypeError, match=r"groups='all' needs.*Pipeline"):
        denoise_image(pipeline, picture(), groups="all")


def test_a_read_only_image_is_not_touched():
    image = picture()
    image.flags.writeable = False
    denoise_image(coder(), image)
    assert_array_equal(image, picture())


def test_progress_is_told(capsys):
    denoise_image(coder(), picture(), verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "[denoise_image] 1221 of 1221 patches"


def test_memory_stays_within_a_few_images():
    image = np.random.default_rng(0).standard_normal((300, 300))
    model = coder(n_jobs=2)
    tracemalloc.start()
    denoise_image(model, image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    n_patches = 293**2  # the patches themselves would take 42 MiB
    assert peak < 20 * image.nbytes + 16 * 2**20 < n_patches * 64 * 8


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros(9), {}, r"image must have shape.*\(9,\)"),
        (np.zeros((9, 9), bool), {}, "dtype bool"),
        (np.full((9, 9), np.inf), {}, "image must not be infinite"),
        (np.zeros((7, 9)), {}, r"patch_size must be at most.*\(7, 9\), got \(8, 8\)"),
        (np.zeros((9, 9)), {"patch_size": 8}, "patch_size must be two integers.*got 8"),
        (np.zeros((9, 9)), {"patch_size": (8.5, 8)}, "patch_size must be two integers"),
        (np.zeros((9, 9)), {"step": 9}, r"step must be an integer in \[1, 8\].*got 9"),
        (np.zeros((9, 9)), {"step": 2.5}, r"step must be an integer.*got 2.5"),
        (np.zeros((9, 9)), {"patch_size": (4, 4)}, "16 features.*fitted on 64"),
        (
            np.zeros((9, 9)),
            {"groups": "some"},
            "groups must be None or 'auto' or 'all'.*'some'",
        ),
        (
            np.zeros((9, 9)),
            {"groups": np.zeros(4)},
            "groups must be None or 'auto' or 'all'",
        ),
    ],
)
def test_refuses(image, options, message):
    with pytest.raises(ValueError, match=message):
        denoise_image(coder(), image, **options)
    if "fitted" not in message:  # the same without an estimator
        with pytest.raises(ValueError, match=message):
            denoise_image(image, **options)
