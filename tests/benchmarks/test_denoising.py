"""Restoring photographs: one network against six, wavelets, non-local means and BM3D.

The figures are decibels, not seconds. The networks are trained on two photographs of
scikit-learn; the test halves of these, and whole images of scikit-image, are seen by
none of them.
"""

import numpy as np
import pytest
from sklearn.datasets import load_sample_image
from sklearn.feature_extraction.image import extract_patches_2d

from sklearn_sqrtlasso import NeLUAutoencoder
from sklearn_sqrtlasso.images import denoise_image
from sklearn_sqrtlasso.metrics import psnr

LEVELS = [5, 10, 15, 25, 35, 50]
N_PATCHES = 25_000
TRAINING = {"batch_size": 256, "max_iter": 41, "n_jobs": 2}


def photographs():
    for name in ("china", "flower"):
        yield load_sample_image(f"{name}.jpg") @ np.array([0.299, 0.587, 0.114])


def cut(part, n_patches, seed):
    """Return patches of a half of each photograph, and the photograph of each."""
    patches = []
    for photo in photographs():
        middle = photo.shape[1] // 2
        half = photo[:, :middle] if part == "left" else photo[:, middle:]
        taken = extract_patches_2d(
            half, (8, 8), max_patches=n_patches, random_state=seed
        )
        patches.append(taken.reshape(n_patches, 64).astype(np.float32))
    return np.vstack(patches), np.repeat([0, 1], n_patches)


def centered(patches):
    return patches - patches.mean(axis=1, keepdims=True)


def train(activation, noise_std, *, grouped=True, seed=0):
    X, groups = cut("left", N_PATCHES, 0)
    alpha = 0.0 if activation == "relu" else "pivotal"
    network = NeLUAutoencoder(
        256,
        activation=activation,
        alpha=alpha,
        noise_std=noise_std,
        random_state=seed,
        **TRAINING,
    )
    return network.fit(centered(X), groups=groups if grouped else None)


def of_patches(networks, *, grouped=True):
    """Return the PSNR of held-out patches at each level, by one network a level."""
    clean, groups = cut("right", 4000, 1)
    marks = []
    for network, level in zip(networks, LEVELS, strict=True):
        noise = np.random.default_rng(5).standard_normal(clean.shape, np.float32)
        noisy = clean + level * noise
        means = noisy.mean(axis=1, keepdims=True)
        by = groups if grouped else None
        restored = network.reconstruct(noisy - means, groups=by) + means
        marks.append(psnr(clean, restored, data_range=255))
    return marks


def line(name, marks):
    values = "".join(f"{mark:7.2f}" for mark in marks)
    return f"{name:28s}{values}  mean {np.mean(marks):6.2f}"


@pytest.fixture(scope="module")
def networks():
    ours = {
        f"{activation}, {'groups' if grouped else 'rows'}, seed {seed}": (
            [train(activation, (5.0, 50.0), grouped=grouped, seed=seed)] * 6,
            grouped,
        )
        for activation in ("nelu_adaptive", "nelu")
        for grouped in (True, False)
        for seed in (0, 1)
    }
    experts = [train("relu", float(level), grouped=False) for level in LEVELS]
    return ours | {
        "relu, one a level": (experts, False),
        "relu, trained at 15": ([experts[2]] * 6, False),
    }


def test_patches(benchmark, note, networks):
    benchmark.pedantic(lambda: train("nelu_adaptive", (5.0, 50.0)), rounds=1)
    note(
        f"training of the default recipe {benchmark.stats['mean']:.1f} s   [aim: 30 s]"
    )
    marks = {name: of_patches(n, grouped=g) for name, (n, g) in networks.items()}
    for name, mark in marks.items():
        note(line(name, mark))
    best = np.array(marks["relu, one a level"])
    for name in ("nelu_adaptive, groups, seed 0", "nelu, groups, seed 0"):
        gain = np.array(marks[name]) - best
        note(f"{name} over relu: worst {gain.min():.2f}, mean {gain.mean():.2f}")


def classics():
    """Return denoisers of whole images by name; those that are told the level last."""
    skimage = pytest.importorskip("skimage.restoration")

    def wavelets(noisy, level):
        return skimage.denoise_wavelet(noisy / 255, rescale_sigma=True) * 255

    def non_local_means(noisy, level):
        sigma = skimage.estimate_sigma(noisy)
        return skimage.denoise_nl_means(noisy, sigma=sigma, h=0.8 * sigma)

    methods = {"wavelets": wavelets, "non-local means": non_local_means}
    try:
        from bm3d import bm3d
    except ImportError:
        return methods
    return methods | {"BM3D, told the level": bm3d}


def test_whole_images(benchmark, note, networks):
    data = pytest.importorskip("skimage.data")
    names = ["camera", "astronaut", "chelsea", "coffee", "rocket"]
    chosen = ["nelu_adaptive, groups, seed 0", "nelu, groups, seed 0"]
    marks = {}
    for image_name in names:
        clean = np.asarray(getattr(data, image_name)(), dtype=np.float32)
        if clean.ndim == 3:
            clean = clean @ np.float32([0.299, 0.587, 0.114])
        clean = clean[:400, :400]
        for k, level in enumerate(LEVELS):
            rng = np.random.default_rng(7)
            noisy = clean + level * rng.standard_normal(clean.shape, np.float32)
            found = {"noisy": noisy}
            for name in (*chosen, "relu, one a level"):
                network, grouped = networks[name][0][k], networks[name][1]
                groups = "all" if grouped else None
                found[name] = denoise_image(
                    network, noisy, step=2, groups=groups, n_passes=0
                )
            for name, method in classics().items():
                found[name] = method(noisy, level)
            for name, image in found.items():
                mark = psnr(clean, image, data_range=255)
                marks.setdefault(name, {}).setdefault(image_name, []).append(mark)
    benchmark.pedantic(lambda: None, rounds=1)
    for name, images in marks.items():
        for image_name in ("camera", "astronaut"):
            note(line(f"{image_name}: {name}", images[image_name]))
        note(
            line(f"{len(names)} images: {name}", np.mean(list(images.values()), axis=0))
        )
