"""Fits of one large design in a process of its own: seconds and peak memory, as JSON.

Run as ``python -m tests.benchmarks.large_regression DESIGN``.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso import SqrtLasso

MIB = 2**20
N_SIGNALS = 20  # columns with coefficients


def dense(n, p, dtype):
    """Return independent columns, made some rows at a time."""
    rng, X = np.random.default_rng(0), np.empty((n, p), dtype)
    for row in X:
        row[:] = rng.standard_normal(p, dtype=np.float32)
    return X


def sparse(n, p, n_entries):
    """Return a CSC matrix of some entries in each row, in any columns."""
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(n, dtype=np.int32), n_entries)
    columns = rng.integers(0, p, len(rows), dtype=np.int32)
    X = sp.csc_array((rng.standard_normal(len(rows)), (rows, columns)), shape=(n, p))
    X.sum_duplicates()
    return X


DESIGNS = {
    "100000 x 1000 float32": lambda: dense(100_000, 1000, np.float32),
    "2000 x 100000": lambda: dense(2000, 100_000, np.float64),
    "csc 100000 x 1000000": lambda: sparse(100_000, 1_000_000, 10),
}


def target(X):
    """Return the sum of the columns with most entries, and noise."""
    counts = np.diff(X.indptr) if sp.issparse(X) else np.ones(X.shape[1])
    signal = X[:, np.argsort(-counts, kind="stable")[:N_SIGNALS]].sum(axis=1)
    rng = np.random.default_rng(1)
    return signal + np.std(signal) / 2 * rng.standard_normal(len(signal))


def size_of(X):
    """Return the number of bytes of X."""
    parts = (X.data, X.indices, X.indptr) if sp.issparse(X) else (X,)
    return sum(part.nbytes for part in parts)


def resident(line):
    """Return what the kernel says of the memory of this process, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(status.split(f"{line}:")[1].split()[0])


def measured(model, X, y):
    """Return the seconds of the processor of a fit, and bytes beyond those before."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # forget the peak
    before, start = resident("VmRSS"), time.process_time()
    model.fit(X, y)
    return time.process_time() - start, resident("VmHWM") - before


def main(name):
    """Print the figures of one design."""
    X = DESIGNS[name]()
    y = target(X)
    few = X[: min(2000, X.shape[0]), :600]  # compile
    model = SqrtLasso()
    model.fit(few, y[: few.shape[0]])
    SqrtLasso(0.1).fit(few, y[: few.shape[0]])
    own = [measured(model, X, y) for _ in range(3)]
    given = SqrtLasso(model.alpha_)
    alone = [measured(given, X, y) for _ in range(3)]
    seconds, with_alpha = (min(t for t, _ in runs) for runs in (own, alone))
    figures = {
        "seconds": seconds,
        "penalty_given": with_alpha,
        "ratio": seconds / with_alpha,
        "mib_of_x": size_of(X) / MIB,
        "mib": max(size for _, size in own) / MIB,
        "mib_penalty_given": max(size for _, size in alone) / MIB,
        "n_nonzero": int(np.count_nonzero(model.coef_)),
        "gap": model.dual_gap_,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1])
