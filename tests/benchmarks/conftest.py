"""Benchmarks as races: ours, peers and physical limits in turns, in one run.

Machines are noisy, so only ratios within the rounds of a race mean anything. Run with
``pytest tests/benchmarks --benchmark-only``; the ratios are printed at the end, as a
table with goals. ``-m goals`` runs only races with goals. ``--ratios FILE`` compares
ratios with those of a file and fails if one grew by more than 15 %, or by more than
three times its scatter if that is more; ``--ratios-write FILE`` keeps them.
"""

import os
import statistics
import subprocess
import sys
import time

import pytest

from tests.benchmarks import ratios

LINES: list[str] = []
RATIOS: dict[str, ratios.Ratio] = {}
PAUSE = 0.1  # seconds until the threads of whoever ran before have gone to sleep
MIN_ROUNDS, BUDGET = 3, 6.0  # rounds, and seconds of a race with goals from then on
BUSY = os.getloadavg()[0] > (os.cpu_count() or 1) / 2  # races of threads cannot be run


def seconds_of(runner, clock):
    """Return what a clock counts during a run."""
    time.sleep(PAUSE)
    start = clock()
    runner()
    return clock() - start


def seconds_in_turns(runners, rounds, clock, budget):
    """Return the seconds of each runner in each round, of which there are at least 3.

    More are run while they have taken fewer seconds of processor time than a budget.
    """
    seconds = {name: [] for name in runners}
    start = time.process_time()
    for done in range(rounds):
        if done >= MIN_ROUNDS and time.process_time() - start > budget:
            break
        for name, runner in runners.items():
            seconds[name].append(seconds_of(runner, clock))
    return seconds


@pytest.fixture
def race(benchmark, request):
    """Run callables in turns and report the ratios of ours to the others.

    ``goals`` gives a rival's name the ratio to be reached. With ``n_threads=1`` seconds
    are those of the processor, which other work on the machine hardly changes. Other
    races with goals are left out where the machine is busy.
    """

    def run(ours, rounds=9, target=None, goals=None, n_threads=None, **others):
        runners, goals = {"ours": ours, **others}, goals or {}
        if goals and n_threads != 1 and BUSY:
            pytest.skip("threads need idle cores")
        clock = time.process_time if n_threads == 1 else time.perf_counter
        for runner in runners.values():  # compile, and touch the memory
            runner()
        budget = BUDGET if goals else float("inf")
        seconds = seconds_in_turns(runners, rounds, clock, budget)
        found = {
            name: ratios.ratio_of(seconds["ours"], seconds[name], goals.get(name))
            for name in others
        }
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        benchmark.pedantic(ours, rounds=1 if goals else 3)
        for name, median in medians.items():
            benchmark.extra_info[f"{name}_ms"] = round(1e3 * median, 3)
        aim = f"   [aim: {target}]" if target else ""
        race_name = request.node.name.removeprefix("test_")
        RATIOS.update({f"{race_name} / {name}": r for name, r in found.items()})
        shown = [
            f"{r.median:.2f} x {name} ({1e3 * medians[name]:.4g} ms)"
            for name, r in found.items()
        ]
        ours = f"{1e3 * medians['ours']:.4g} ms"
        LINES.append(f"{race_name}: {ours} = {', '.join(shown)}{aim}")
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


def pytest_sessionfinish(session):
    path = session.config.getoption("--ratios")
    if not (path and RATIOS):
        return
    if ratios.compare(ratios.read(path)[1], ratios.kept(RATIOS))[1]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def write_comparison(terminalreporter, path):
    of, before = ratios.read(path)
    lines, slower = ratios.compare(before, ratios.kept(RATIOS))
    terminalreporter.section("ratios: before, after, their quotient and its limit")
    terminalreporter.write_line(f"before: {of}")
    terminalreporter.write_line(f"after:  {ratios.machine()}")
    for line in lines:
        terminalreporter.write_line(line)
    terminalreporter.write_line(
        f"slower by more than the limit: {', '.join(slower) or 'none'}"
    )


def pytest_terminal_summary(terminalreporter, config):
    if config.getoption("--ratios") and RATIOS:
        write_comparison(terminalreporter, config.getoption("--ratios"))
    if config.getoption("--ratios-write") and RATIOS:  # once the others are read
        kept = ratios.kept(RATIOS)
        ratios.write(config.getoption("--ratios-write"), ratios.machine(), kept)
    if RATIOS:
        terminalreporter.section("ratios: median of rounds, quartiles and goal")
        terminalreporter.write_line(ratios.machine())
        for line in ratios.table(RATIOS):
            terminalreporter.write_line(line)
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
    group = parser.getgroup("ratios")
    group.addoption("--ratios", default="", help="file to compare ratios with")
    group.addoption("--ratios-write", default="", help="file to keep ratios in")
    group = parser.getgroup("tables")
    group.addoption(
        "--tables", default="", help="names of tables, by commas; all by default"
    )
    group.addoption("--tables-seeds", type=int, default=3, help="splits of each table")
