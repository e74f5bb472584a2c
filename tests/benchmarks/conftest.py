"""Benchmarks as races: ours, peers and physical limits in turns, in one run.

Machines are noisy, so only ratios of medians within a race mean anything. Run with
``pytest tests/benchmarks --benchmark-only``; the ratios are printed at the end.
"""

import statistics
import subprocess
import sys
import time

import pytest

LINES: list[str] = []
PAUSE = 0.1  # seconds until the threads of whoever ran before have gone to sleep


@pytest.fixture
def race(benchmark, request):
    """Run callables in turns and report the medians as ratios to the first."""

    def run(ours, rounds=9, target=None, **others):
        runners = {"ours": ours, **others}
        seconds = {name: [] for name in runners}
        for runner in runners.values():  # compile, and touch the memory
            runner()
        for _ in range(rounds):
            for name, runner in runners.items():
                time.sleep(PAUSE)
                start = time.perf_counter()
                runner()
                seconds[name].append(time.perf_counter() - start)
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        benchmark.pedantic(ours, rounds=3)
        for name, median in medians.items():
            benchmark.extra_info[f"{name}_ms"] = round(1e3 * median, 3)
        ratios = ", ".join(
            f"{medians['ours'] / median:.2f} x {name} ({1e3 * median:.4g} ms)"
            for name, median in medians.items()
            if name != "ours"
        )
        aim = f"   [aim: {target}]" if target else ""
        name = request.node.name.removeprefix("test_")
        LINES.append(f"{name}: {1e3 * medians['ours']:.4g} ms = {ratios}{aim}")
        return medians

    return run


@pytest.fixture
def note(request):
    """Print a line of figures at the end of the run."""
    return lambda text: LINES.append(
        f"{request.node.name.removeprefix('test_')}: {text}"
    )


@pytest.fixture
def time_first_fit(benchmark, note, tmp_path, monkeypatch):
    """Time a program that prints its seconds, without and with compiled kernels."""

    def measure(program):
        def first_fit():
            out = subprocess.check_output([sys.executable, "-c", program], text=True)
            return float(out.splitlines()[-1])

        monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
        cold = first_fit()
        warm = min(first_fit() for _ in range(3))
        note(f"cold {cold:.2f} s, warm cache {warm:.2f} s   [aim: 10 s, 0.5 s]")
        benchmark.pedantic(first_fit, rounds=1)
        assert warm < cold

    return measure


def pytest_terminal_summary(terminalreporter):
    if LINES:
        terminalreporter.section("races: ours as multiples of the others")
        for line in LINES:
            terminalreporter.write_line(line)


def pytest_collection_modifyitems(config, items):
    """Leave benchmarks out of the suite, without a line of the report for each."""
    if config.getoption("benchmark_skip") and not config.getoption("benchmark_only"):
        timed = [item for item in items if "benchmark" in item.fixturenames]
        config.hook.pytest_deselected(items=timed)
        items[:] = [item for item in items if item not in set(timed)]


def pytest_addoption(parser):
    group = parser.getgroup("tables")
    group.addoption(
        "--tables", default="", help="names of tables, by commas; all by default"
    )
    group.addoption("--tables-seeds", type=int, default=3, help="splits of each table")
