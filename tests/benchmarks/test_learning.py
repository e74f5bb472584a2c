"""Learning a frame of 256 units from 100 000 patches, beside dictionary learning."""

import time

import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.feature_extraction.image import extract_patches_2d

from sklearn_sqrtlasso import SqrtLassoTransform

N_ROWS, N_UNITS = 100_000, 256


def patches():
    images = [image.mean(axis=2) for image in load_sample_images().images]
    X = [
        extract_patches_2d(i, (8, 8), max_patches=N_ROWS // 2, random_state=0)
        for i in images
    ]
    X = np.concatenate(X).reshape(N_ROWS, 64)
    X -= X.mean(axis=1, keepdims=True)
    return np.random.default_rng(0).permutation(X)


def explained(X, restored):
    return 1 - np.sum((X - restored) ** 2) / np.sum(X**2)


def test_learning(benchmark, note):
    X = patches()
    train, test = X[: N_ROWS - 5000], X[N_ROWS - 5000 :]
    frame = SqrtLassoTransform(
        N_UNITS, alpha=0.2, center=False, max_iter=50, tol=0, n_jobs=2, random_state=0
    )
    start = time.perf_counter()
    benchmark.pedantic(frame.fit, (train,), rounds=1)
    ours = time.perf_counter() - start
    Z = frame.transform(test)
    n_active = round(np.count_nonzero(Z) / len(Z))
    kept = np.where(Z != 0, test @ frame.components_.T, 0)  # without shrinkage
    dictionary = MiniBatchDictionaryLearning(
        N_UNITS, alpha=20, batch_size=512, max_iter=2, random_state=0, n_jobs=2,
        transform_algorithm="omp", transform_n_nonzero_coefs=n_active,
    )  # fmt: skip
    start = time.perf_counter()
    dictionary.fit(train)
    theirs = time.perf_counter() - start
    codes = dictionary.transform(test)
    note(
        f"{ours:.1f} s for {frame.n_iter_} steps, explained "
        f"{explained(test, Z @ frame.components_):.3f} shrunk and "
        f"{explained(test, kept @ frame.components_):.3f} unshrunk with {n_active} "
        f"active; MiniBatchDictionaryLearning {theirs:.1f} s for 2 passes, explained "
        f"{explained(test, codes @ dictionary.components_):.3f} by OMP with as many"
    )
