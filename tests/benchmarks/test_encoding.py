"""Coding of many rows, against the bare matrix product; memory; start-up."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from sklearn_sqrtlasso import SqrtLassoTransform
from sklearn_sqrtlasso.blockwise.blocks import rows_per_block

SHAPES = {"64_to_256": (64, 256, 100_000), "784_to_1024": (784, 1024, 8_000)}


def coder_and_rows(shape, dtype, **options):
    n_features, n_components, n_rows = SHAPES[shape]
    rng = np.random.default_rng(0)
    frame = np.linalg.qr(rng.standard_normal((n_components, n_features)))[0]
    X = rng.standard_normal((n_rows, n_features)) / 10
    X += frame[rng.integers(0, n_components, n_rows)] * 20
    coder = SqrtLassoTransform(
        n_components, alpha=0.2, center=False, init=frame, max_iter=0, **options
    )
    return coder.fit(X[:100].astype(dtype)), X.astype(dtype)


def product_and_passes(X, W):
    """Multiply, then read each block twice and write codes: what any shrinkage does.

    A residual scale that solves the problem of a row takes a pass for a first guess and
    one for sums; here they are numpy's fastest pass, and nothing is computed.
    """
    n_rows = rows_per_block(*W.shape, X.itemsize)
    codes, U = np.empty((len(X), len(W)), X.dtype), np.empty((n_rows, len(W)), X.dtype)
    for start in range(0, len(X), n_rows):
        x = X[start : start + n_rows]
        block = np.matmul(x, W.T, out=U[: len(x)])
        block.max()
        block.max()
        codes[start : start + n_rows] = block


@pytest.mark.goals
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", SHAPES)
def test_encoding(race, shape, dtype, n_threads):
    coder, X = coder_and_rows(shape, dtype, n_jobs=n_threads)
    W = coder.components_
    with threadpool_limits(n_threads):
        race(
            lambda: coder.transform(X),
            bare_product=lambda: X @ W.T,
            least_passes=lambda: product_and_passes(X, W),
            goals={"bare_product": {"64_to_256": 1.25, "784_to_1024": 1.15}[shape]},
            n_threads=n_threads,
        )


@pytest.mark.parametrize("shape", SHAPES)
def test_memory_of_transform(benchmark, note, shape):
    coder, X = coder_and_rows(shape, np.float64, n_jobs=2)
    tracemalloc.start()
    Z = benchmark.pedantic(coder.transform, (X,), rounds=1)
    peak = tracemalloc.get_traced_memory()[1] - Z.nbytes
    tracemalloc.stop()
    note(f"{peak / 2**20:.1f} MiB above the output   [aim: 16 MiB]")
    assert peak <= 16 * 2**20


IMPORTS = {
    "ours": "import sklearn_sqrtlasso",
    "scikit_learn_and_numba": "import sklearn.decomposition, numba",
}
FIRST_FIT = """
import time, numpy as np
from sklearn_sqrtlasso import SqrtLassoTransform
from sklearn_sqrtlasso.blockwise.blocks import rows_per_block
X = np.random.default_rng(0).standard_normal((200, 16))
start = time.perf_counter()
SqrtLassoTransform(alpha="pivotal", center=False).fit(X).transform(X)
print(time.perf_counter() - start)
"""


def test_import(race):
    def importing(code):
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    ours, others = (importing(code) for code in IMPORTS.values())
    race(ours, rounds=7, scikit_learn_and_numba=others, target="0.1 s more")


def test_first_fit(time_first_fit):
    time_first_fit(FIRST_FIT)
