"""Regressions on large designs: seconds of the processor, and memory beyond X."""

import json
import os
import subprocess
import sys

import pytest

from tests.benchmarks.large_regression import DESIGNS

GAP = 1e-6


@pytest.mark.parametrize("design", DESIGNS)
def test_large_regression(benchmark, note, design):
    command = [sys.executable, "-m", "tests.benchmarks.large_regression", design]
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS")}
    run = benchmark.pedantic(
        lambda: subprocess.run(
            command, check=True, capture_output=True, env=os.environ | threads
        ),
        rounds=1,
    )
    figures = json.loads(run.stdout)
    note(
        "{seconds:.2f} s = {ratio:.2f} x penalty_given ({penalty_given:.2f} s)   "
        "[aim: 3 x]; {mib:.0f} MiB beyond the {mib_of_x:.0f} of X, "
        "{mib_penalty_given:.0f} with the penalty given; {n_nonzero} coefficients, "
        "gap {gap:.0e}".format(**figures)
    )
    assert figures["gap"] <= GAP
