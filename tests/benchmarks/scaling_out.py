"""Fit rows that are made chunk by chunk, on some processes; print the figures as JSON.

``python scaling_out.py N_ROWS N_PROCESSES``; 0 processes are threads of this one.
"""

import json
import resource
import sys
import time

import dask
import dask.array as da
import numpy as np

from sklearn_sqrtlasso import SqrtLassoTransform
from sklearn_sqrtlasso.dask import fit, partial_fit, transform

N_FEATURES, CHUNK_ROWS, N_STEPS = 64, 250_000, 10


def made_chunk(place, n_rows):
    """Return rows of few large coefficients and noise, the same for the same place."""
    rng, n_codes = np.random.default_rng(place), 16
    V = np.random.default_rng(10**6).standard_normal((n_codes, N_FEATURES))
    Z = rng.standard_normal((n_rows, n_codes), dtype=np.float32)
    noise = rng.standard_normal((n_rows, N_FEATURES), dtype=np.float32)
    noise *= np.float32(0.3)
    noise += (Z * (rng.random((n_rows, n_codes)) < 0.25)) @ V.astype(np.float32)
    return noise


def made_rows(n_rows):
    """Return a Dask array whose chunks are made whenever they are read."""
    sizes = [CHUNK_ROWS] * (n_rows // CHUNK_ROWS)
    parts = [
        da.from_delayed(
            dask.delayed(made_chunk)(place, size), (size, N_FEATURES), np.float32
        )
        for place, size in enumerate(sizes)
    ]
    return da.concatenate(parts)


def peak_memory():
    """Return the peak memory of this process, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(n_rows, processor_time):
    """Return seconds of each step, by the clock and of the processors that work."""
    X = made_rows(n_rows)
    coder = SqrtLassoTransform(alpha=0.2, max_iter=N_STEPS, tol=0)
    steps = {
        "making": lambda: X[:, :1].sum().compute(),
        "fit": lambda: fit(coder, X),
        "transform": lambda: (transform(coder, X) != 0).sum().compute(),
        "partial_fit": lambda: partial_fit(SqrtLassoTransform(alpha=0.2), X),
    }
    fit(coder, made_rows(2 * CHUNK_ROWS))  # compiled where the chunks are
    figures = {}
    for name, step in steps.items():
        start, worked = time.perf_counter(), processor_time()
        step()
        figures[f"{name}_s"] = time.perf_counter() - start
        figures[f"{name}_cpu_s"] = processor_time() - worked
    return figures


def main(n_rows, n_processes):
    if not n_processes:
        with dask.config.set(scheduler="threads", num_workers=1):
            figures = measure(n_rows, time.process_time)
        return figures | {"peak_bytes": [peak_memory()]}
    from distributed import Client, LocalCluster

    options = {"n_workers": n_processes, "threads_per_worker": 1, "processes": True}
    cluster = LocalCluster(**options, dashboard_address=None)
    with cluster, Client(cluster) as client:
        figures = measure(n_rows, lambda: sum(client.run(time.process_time).values()))
        peaks = [peak_memory(), *client.run(peak_memory).values()]
    return figures | {"peak_bytes": peaks}


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:]))))
