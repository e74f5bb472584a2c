"""Learn and encode with many units, beside torch; as a program, print what it takes.

``python -m tests.benchmarks.wide_rows WHO N_UNITS N_ROWS PATH`` learns from, and
encodes, the rows of a memory map by slices, and prints seconds of processor time a row
and the peak of the process in excess of what it holds before.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from sklearn_sqrtlasso import NeLUAutoencoder

N_FEATURES, BATCH, N_KEPT = 768, 1024, 64
SLICE = 4 * BATCH  # rows of a call: partial_fit copies the parameters and their moments


def ours(activation, n_units, n_jobs=1):
    """Return functions that learn from rows, and that encode them."""
    alpha = {"alpha": N_KEPT**-0.5} if activation == "topk" else {}
    coder = NeLUAutoencoder(
        n_units,
        activation=activation,
        **alpha,
        noise_std=0.0,
        batch_size=BATCH,
        n_jobs=n_jobs,
        random_state=0,
    )
    return coder.partial_fit, coder.transform


def torch_topk(n_units, n_threads=1):
    """Return the same of an autoencoder in torch, learnt by Adam."""
    import torch

    torch.set_num_threads(n_threads)
    torch.manual_seed(0)
    encode = torch.nn.Linear(N_FEATURES, n_units)
    decode = torch.nn.Linear(n_units, N_FEATURES)
    parameters = [*encode.parameters(), *decode.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)

    def code(x):
        u = encode(x)
        top = torch.topk(u, N_KEPT, dim=1)
        return torch.zeros_like(u).scatter(1, top.indices, top.values)

    def learn(X):
        data = torch.from_numpy(np.array(X))
        for x in data.split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            ((decode(code(x)) - x) ** 2).mean().backward()
            optimizer.step()

    def transform(X):
        with torch.no_grad():
            return code(torch.from_numpy(np.array(X))).numpy()

    return learn, transform


def coder_of(who, n_units):
    """Return functions that learn and encode; ``who`` is torch, or an activation."""
    return torch_topk(n_units) if who == "torch" else ours(who, n_units)


def rows(n_rows):
    """Return rows of a few directions in noise, in single precision."""
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((4096, N_FEATURES), dtype=np.float32) / 28
    X = 0.1 * rng.standard_normal((n_rows, N_FEATURES), dtype=np.float32)
    for _ in range(8):
        X += directions[rng.integers(0, len(directions), n_rows)]
    return X


def seconds_a_row(work, X):
    """Return the processor time of a function of slices of rows."""
    start = time.process_time()
    for first in range(0, len(X), SLICE):
        work(X[first : first + SLICE])
    return (time.process_time() - start) / len(X)


def peak_bytes():
    """Return the most memory this process has held; the file's pages count, too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def main(who, n_units, n_rows, path):
    X = np.memmap(path, np.float32, "r", shape=(int(n_rows), N_FEATURES))
    for warm in coder_of(who, 64):
        warm(rows(BATCH))
    before = peak_bytes()
    learn, transform = coder_of(who, int(n_units))
    figures = {
        "fit_us": 1e6 * seconds_a_row(learn, X),
        "transform_us": 1e6 * seconds_a_row(transform, X),
    }
    print(json.dumps({**figures, "peak_mib": (peak_bytes() - before) / 2**20}))


if __name__ == "__main__":
    main(*sys.argv[1:])
