"""Photographs without training: beside wavelets, non-local means and BM3D.

Constants were chosen on crops of china and flower (scikit-learn), coins and ihc
(scikit-image) at levels 5, 25 and 50. Five pictures are those of the documentation,
three were never used for a choice. All of them ship with the packages.
"""

import time

import numpy as np
import pytest

from sklearn_sqrtlasso.images import denoise_image
from sklearn_sqrtlasso.metrics import psnr
from tests.benchmarks.test_denoising import LEVELS, classics, line

PICTURES = {
    "documentation": ["camera", "astronaut", "chelsea", "coffee", "rocket"],
    "held out": ["moon", "brick", "stereo_motorcycle"],
}
SEEDS = (7, 8)


def picture(name, n_pixels=400):
    data = pytest.importorskip("skimage.data")
    clean = getattr(data, name)()
    clean = np.asarray(clean[0] if isinstance(clean, tuple) else clean, np.float64)
    if clean.ndim == 3:
        clean = clean @ np.array([0.299, 0.587, 0.114])
    return clean[:n_pixels, :n_pixels]


def noise(clean, seed):
    return np.random.default_rng(seed).standard_normal(clean.shape, np.float32)


def untrained(noisy, level):
    return denoise_image(noisy, n_jobs=2)


@pytest.mark.parametrize("names", PICTURES.values(), ids=PICTURES)
def test_level_by_level(benchmark, note, names):
    methods = {"untrained, blind": untrained, **classics()}
    marks = {name: [] for name in methods}
    for seed in SEEDS:
        for clean in map(picture, names):
            noisy = [clean + level * noise(clean, seed) for level in LEVELS]
            for name, method in methods.items():
                found = [method(x, s) for x, s in zip(noisy, LEVELS, strict=True)]
                marks[name].append([psnr(clean, x, data_range=255) for x in found])
    benchmark.pedantic(lambda: None, rounds=1)
    for name, rows in marks.items():
        note(line(name, np.mean(rows, axis=0)))


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
