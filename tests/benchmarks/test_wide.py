"""Autoencoders of 768 features and many units, beside torch, one thread.

``WIDE_ROWS=1000000`` is the full size of the memory map, several hours. The default is
few rows: time a row then contains the loading of kernels, and peak memory grows with
the rows at first (from 571 MiB at 4096 to 925 at 32768, of 8192 top-k units).
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.benchmarks import wide_rows

N_ROWS = int(os.environ.get("WIDE_ROWS", 4096))
each_size = pytest.mark.parametrize("n_units", [8192, 16384])
each_activation = pytest.mark.parametrize("activation", ["topk", "nelu"])


@pytest.mark.goals
@each_activation
@each_size
def test_wide_training(race, activation, n_units):
    pytest.importorskip("torch")
    X = wide_rows.rows(wide_rows.BATCH)
    ours, theirs = (
        wide_rows.coder_of(who, n_units)[0] for who in (activation, "torch")
    )
    race(
        lambda: ours(X),
        rounds=3,
        goals={"torch_topk": 1.0},
        n_threads=1,
        torch_topk=lambda: theirs(X),
    )


@pytest.mark.goals
@each_activation
@each_size
def test_wide_transform(race, activation, n_units):
    pytest.importorskip("torch")
    X = wide_rows.rows(wide_rows.BATCH)
    learn, ours = wide_rows.coder_of(activation, n_units)
    learn(X)
    theirs = wide_rows.coder_of("torch", n_units)[1]
    race(
        lambda: ours(X),
        rounds=5,
        goals={"torch_topk": 1.0},
        n_threads=1,
        torch_topk=lambda: theirs(X),
    )


@pytest.mark.parametrize("who", ["topk", "nelu", "torch"])
@each_size
def test_wide_memory_map(benchmark, note, tmp_path, who, n_units):
    if who == "torch":
        pytest.importorskip("torch")
    path = tmp_path / "rows"
    X = np.memmap(path, np.float32, "w+", shape=(N_ROWS, wide_rows.N_FEATURES))
    for first in range(0, N_ROWS, 4096):
        X[first : first + 4096] = wide_rows.rows(min(4096, N_ROWS - first))
    X.flush()
    found = []

    def run():
        command = [sys.executable, "-m", "tests.benchmarks.wide_rows"]
        command += [who, str(n_units), str(N_ROWS), str(path)]
        out = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(json.loads(out.stdout.splitlines()[-1]))

    benchmark.pedantic(run, rounds=1)
    of = found[0]
    note(
        f"{N_ROWS} rows: learning {of['fit_us']:.0f} and encoding "
        f"{of['transform_us']:.0f} us a row, peak {of['peak_mib']:.0f} MiB"
    )
