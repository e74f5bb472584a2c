"""Photographs without training: beside wavelets, non-local means and BM3D.

Constants were chosen on crops of china and flower (scikit-learn), coins, ihc, retina,
page, hubble and gravel (scikit-image) at levels from 5 to 100. Five pictures are those
of the documentation, three were never used for a choice. All of them ship with the
packages.
"""

import subprocess
import sys
import time

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sklearn_sqrtlasso.images import denoise_image
from sklearn_sqrtlasso.metrics import psnr
from tests.benchmarks.test_denoising import LEVELS, classics, line

PICTURES = {
    "documentation": ["camera", "astronaut", "chelsea", "coffee", "rocket"],
    "held out": ["moon", "brick", "stereo_motorcycle"],
}
COLOURED = ["astronaut", "chelsea", "coffee", "rocket", "stereo_motorcycle"]
SEEDS = (7, 8)


def picture(name, n_pixels=400, *, coloured=False):
    data = pytest.importorskip("skimage.data")
    clean = getattr(data, name)()
    clean = np.asarray(clean[0] if isinstance(clean, tuple) else clean, np.float64)
    if clean.ndim == 3 and not coloured:
        clean = clean @ np.array([0.299, 0.587, 0.114])
    return clean[:n_pixels, :n_pixels]


def noise(clean, seed):
    return np.random.default_rng(seed).standard_normal(clean.shape, np.float32)


def untrained(noisy, level):
    return denoise_image(noisy, n_jobs=2)


def quality(clean, restored):
    return psnr(clean, restored, data_range=255)


def compare(names, methods, columns, note, **of_picture):
    """Note decibels by method, and by picture what ours is better than BM3D.

    ``columns(clean, seed)`` returns pairs of noisy images and their levels.
    """
    marks = {name: {} for name in methods}
    for name in names:
        clean = picture(name, **of_picture)
        for seed in SEEDS:
            for noisy, level in columns(clean, seed):
                for method, found in marks.items():
                    restored = methods[method](noisy, level)
                    found.setdefault(name, []).append(quality(clean, restored))
    means = {
        method: {
            name: np.mean(np.split(np.array(x), 2), 0) for name, x in found.items()
        }
        for method, found in marks.items()
    }
    for method, found in means.items():
        note(line(method, np.mean(list(found.values()), axis=0)))
    ours, *_, told = means
    for name in names:
        note(line(f"{name}: over {told}", means[ours][name] - means[told][name]))


@pytest.mark.parametrize("names", PICTURES.values(), ids=PICTURES)
def test_level_by_level(benchmark, note, names):
    def columns(clean, seed):
        return [(clean + s * noise(clean, seed), s) for s in LEVELS]

    methods = {"untrained, blind": untrained, **classics()}
    benchmark.pedantic(compare, (names, methods, columns, note), rounds=1)


@pytest.mark.parametrize("level", [1, 100])
def test_levels_outside_the_usual(benchmark, note, level):
    def columns(clean, seed):
        return [(clean + level * noise(clean, seed), level)]

    methods = {"untrained, blind": untrained, **classics()}
    names = PICTURES["documentation"]
    benchmark.pedantic(compare, (names, methods, columns, note), rounds=1)


def test_colour(benchmark, note):
    """Independent noise of the same level in each channel."""

    def columns(clean, seed):
        return [(clean + s * noise(clean, seed), s) for s in (5, 15, 25, 50)]

    methods = {"untrained, blind": untrained}
    try:
        from bm3d import bm3d_rgb

        methods["CBM3D, told the level"] = bm3d_rgb
    except ImportError:
        pass
    given = (COLOURED, methods, columns, note)
    options = {"n_pixels": 256, "coloured": True}
    benchmark.pedantic(compare, given, options, rounds=1)


def stabilised(method):
    """Restore Poisson counts of variance 1 after the transform of Anscombe."""

    def restore(noisy, peak):
        u = 2 * np.sqrt(noisy * (peak / 255) + 3 / 8)
        return ((method(u, 1.0) / 2) ** 2 - 1 / 8) * (255 / peak)

    return restore


@pytest.mark.parametrize("peak", [10, 30, 100])
def test_poisson_noise(benchmark, note, peak):
    """Counts of photons, of ``peak`` in white: as they are, and stabilised."""

    def columns(clean, seed):
        counts = np.random.default_rng(seed).poisson(clean * (peak / 255))
        return [(counts * (255 / peak), peak)]

    methods = {"untrained, blind, as it is": untrained}
    methods["untrained, blind, stabilised"] = stabilised(untrained)
    told = {f"{k}, stabilised": stabilised(f) for k, f in classics().items()}
    names = PICTURES["documentation"]
    given = (names, methods | told, columns, note)
    benchmark.pedantic(compare, given, {"n_pixels": 256}, rounds=1)


@pytest.mark.parametrize("width", [0.4, 0.7, 1.0])
def test_correlated_noise(benchmark, note, width):
    """Level 25, blurred by a Gaussian of some pixels: told the level, or blind."""

    def columns(clean, seed):
        blurred = gaussian_filter(noise(clean, seed), width, mode="wrap")
        return [(clean + 25 / blurred.std() * blurred, 25)]

    def ours_told(noisy, level):
        return denoise_image(noisy, noise_std=level, n_jobs=2)

    methods = {"untrained, blind": untrained, "untrained, told": ours_told}
    given = (PICTURES["documentation"], methods | classics(), columns, note)
    benchmark.pedantic(compare, given, {"n_pixels": 256}, rounds=1)


def test_seconds(benchmark, note):
    clean = picture("camera", 512)
    noisy = clean + 25 * noise(clean, 7)
    untrained(noisy, 25)
    benchmark.pedantic(lambda: untrained(noisy, 25), rounds=3)
    ours = benchmark.stats["min"]
    for name, method in classics().items():
        start = time.perf_counter()
        method(noisy, 25)
        note(f"{ours / (time.perf_counter() - start):.2f} x {name}   [aim: .5 x BM3D]")
    note(f"512 x 512, two threads: {ours:.2f} s   [aim: 1.5 s]")


LARGE = """
import resource, time
import numpy as np
from sklearn.datasets import load_sample_image
from sklearn_sqrtlasso.images import denoise_image
tile = load_sample_image("china.jpg").mean(axis=2).astype(np.float32)
tile = np.pad(tile, ((0, 400 - len(tile) % 400), (0, 0)), mode="reflect")
image = np.tile(tile, (10, 10))[:4000, :6000].copy()
image += 25 * np.random.default_rng(0).standard_normal(image.shape, np.float32)
denoise_image(image[:64, :64])
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter(), time.process_time()
denoise_image(image, n_jobs=2, verbose=1)
seconds = time.perf_counter() - start[0], time.process_time() - start[1]
more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used
print(f"{image.shape}: {seconds[0]:.0f} s, {seconds[1]:.0f} s of all threads, "
      f"memory {more / 1024:.0f} MiB more, the image {image.nbytes / 2**20:.0f} MiB")
"""


def test_24_megapixels(benchmark, note):
    def run():
        return subprocess.check_output([sys.executable, "-c", LARGE], text=True)

    note(benchmark.pedantic(run, rounds=1).splitlines()[-1])
