"""Default fits of the shapes that people have: long, wide and sparse, beside peers.

Each line gives the seconds that a fit and a transform take of a processor, in one
thread, and the largest anonymous memory beyond the data. Kernels are compiled on few
rows before.
"""

import time
import warnings
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.decomposition import NMF, PCA, FactorAnalysis, TruncatedSVD
from threadpoolctl import threadpool_limits

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    PivotalPCA,
    RelaxedSparseCoder,
    SqrtLassoTransform,
)
from tests.benchmarks.shapes_data import topic_rows

STATUS = Path("/proc/self/status")  # of Linux; elsewhere no memory is told
EVERY = 0.002  # seconds between looks at the memory


def wide_rows(n_features):
    """Return 200 rows of rank ten and noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 10)) @ rng.standard_normal((10, n_features))
    return X + 0.5 * rng.standard_normal(X.shape)


def wide_rows_with_holes(n_features):
    """Return the same, of which 5 % are missing."""
    X = wide_rows(n_features)
    X[np.random.default_rng(1).random(X.shape) < 0.05] = np.nan
    return X


def long_rows(n_rows, n_features, dtype=np.float64):
    """Return rows of a rank of a third of the columns, and noise of 0.2."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((n_features // 3, n_features))
    mixing /= np.linalg.norm(mixing, axis=0)
    X = np.empty((n_rows, n_features), dtype)
    for start in range(0, n_rows, 10**5):
        rows = X[start : start + 10**5]
        rows[:] = rng.standard_normal((len(rows), n_features // 3)) @ mixing
        rows += 0.2 * rng.standard_normal(rows.shape)
    return X


def one_hot_rows(n_rows, n_columns):
    """Return CSR rows of ten entries, in columns as common as Zipf says."""
    rng = np.random.default_rng(0)
    common = np.cumsum(1 / (np.arange(n_columns) + 1))
    columns = np.searchsorted(common / common[-1], rng.random(10 * n_rows))
    bounds = np.arange(0, len(columns) + 1, 10)
    entries = np.ones(len(columns), np.float32)
    X = sp.csr_array(
        (entries, columns.astype(np.int32), bounds.astype(np.int32)),
        shape=(n_rows, n_columns),
    )
    X.sum_duplicates()
    return X


def anonymous():
    """Return the anonymous memory of this process, in MiB."""
    if not STATUS.exists():
        return np.nan
    fields = dict(line.split(":") for line in STATUS.read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) / 1024


def measured(work):
    """Return a call's seconds of a processor, and its largest memory, in MiB."""
    before, done, most = anonymous(), Event(), [0.0]

    def look():
        while not done.wait(EVERY):
            most[0] = max(most[0], anonymous() - before)

    watch = Thread(target=look)
    watch.start()
    start = time.thread_time()
    try:
        work()
        seconds = time.thread_time() - start
    finally:
        done.set()
        watch.join()
    return seconds, most[0]


def ours(n_components=None):
    """Return our encoders with defaults, but for the number of components."""
    coders = [
        SqrtLassoTransform(),
        NeLUAutoencoder(),
        RelaxedSparseCoder(),
        RelaxedSparseCoder(learner="online"),
        ANAMOAutoencoder(),
    ]
    return [coder.set_params(n_components=n_components) for coder in coders]


TABLES = {
    "text 10000 x 20000": (
        lambda: topic_rows(10_000, 20_000, 40, 0),
        [TruncatedSVD(100), NMF(20, max_iter=50), *ours(100)],
    ),
    "one-hot 1000000 x 100000": (
        lambda: one_hot_rows(10**6, 10**5),
        [
            TruncatedSVD(64),
            SqrtLassoTransform(64),
            RelaxedSparseCoder(64, learner="online"),
        ],
    ),
    "wide 200 x 3000": (lambda: wide_rows(3000), [PCA(), PivotalPCA(), *ours()]),
    "wide 200 x 20000": (lambda: wide_rows(20_000), [PCA(), PivotalPCA(), *ours()]),
    "wide 200 x 4000, 5 % missing": (
        lambda: wide_rows_with_holes(4000),
        [SqrtLassoTransform(), RelaxedSparseCoder()],
    ),
    "long 50000 x 100": (
        lambda: long_rows(50_000, 100),
        [PCA(), FactorAnalysis(), PivotalPCA(), *ours()],
    ),
    "long 1000000 x 64": (
        lambda: long_rows(10**6, 64, np.float32),
        [PCA(), PivotalPCA(), *ours()],
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_default_fits(name, benchmark, note):
    make, estimators = TABLES[name]
    X = make()
    reference = None
    for estimator in estimators:
        coder = clone(estimator).set_params(**seeded(estimator))
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")
            clone(coder).fit(X[:1000]).transform(X[:10])
            fit, held = measured(lambda coder=coder: coder.fit(X))
            code, _ = measured(lambda coder=coder: coder.transform(X))
        reference = reference or (fit, code)
        note(
            f"{estimator!r}: fit {fit:.3g} s ({fit / reference[0]:.2g} x the first), "
            f"transform {code:.3g} s ({code / reference[1]:.2g} x), {held:.0f} MiB"
        )
    benchmark.pedantic(lambda: None, rounds=1)


def seeded(estimator):
    return {name: 0 for name in ("random_state",) if name in estimator.get_params()}


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
@pytest.mark.parametrize("coder", ours(), ids=str)
def test_memory_of_a_long_memory_map(coder, dtype, tmp_path, benchmark, note):
    np.save(tmp_path / "rows.npy", (8 * long_rows(10**6, 64, "f4")).astype(dtype))
    X, parts = np.load(tmp_path / "rows.npy", mmap_mode="r"), []
    coder = clone(coder).set_params(n_components=64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clone(coder).fit(X[:3000])
        for method in ("fit", "partial_fit", "noise_scale", "score"):
            if hasattr(coder, method):
                _, held = measured(lambda of=method: getattr(coder, of)(X))
                parts.append(f"{method} {held:.0f} MiB")
    note(f"{', '.join(parts)}   [aim: 64 MiB]")
    benchmark.pedantic(lambda: None, rounds=1)
