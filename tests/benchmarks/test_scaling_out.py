"""Rows made chunk by chunk: time and memory of fits over them, on processes.

``SCALED_ROWS=20000000`` takes more than an hour; the default is a twentieth.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

N_ROWS = int(os.environ.get("SCALED_ROWS", 10**6))
MOST_BYTES = 2 * 2**30  # of a process
PROGRAM = Path(__file__).parent / "scaling_out.py"


@pytest.mark.parametrize("n_processes", [0, 1, 2])
def test_scaling_out(benchmark, note, n_processes):
    pytest.importorskip("distributed")
    command = [sys.executable, str(PROGRAM), str(N_ROWS), str(n_processes)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    found = []

    def run():
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=environment
        )
        found.append(json.loads(done.stdout))

    benchmark.pedantic(run, rounds=1)
    figures = found[0]
    peaks = figures.pop("peak_bytes")
    assert max(peaks) < MOST_BYTES
    seconds = {name: of for name, of in figures.items() if name.endswith("_s")}
    note(
        f"{N_ROWS} rows, "
        + ", ".join(f"{name[:-2]} {of:.1f} s" for name, of in seconds.items())
        + f"; peaks {', '.join(f'{of / 2**20:.0f} MiB' for of in peaks)}"
    )
