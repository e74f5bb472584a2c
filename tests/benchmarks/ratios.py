"""Ratios of races: their goals, and their comparison with those of an earlier run.

A file holds the description of the machine, and by name of a race the ratio of our
time to that of each rival in the same run, with its scatter over the rounds of the run.
"""

import json
import os
import platform
from pathlib import Path
from typing import NamedTuple

import numpy as np

REGRESSION = 0.15  # of the earlier ratio
SCATTERS = 3  # times the scatter of a ratio is within what other work may cause


class Ratio(NamedTuple):
    """Our time as a multiple of a rival's, over the rounds of a race.

    Attributes
    ----------
    median : float
        Median of the ratios of all rounds.
    low, high : float
        Their quartiles.
    goal : float or None
        What the median is to be at most.
    """

    median: float
    low: float
    high: float
    goal: float | None = None

    @property
    def scatter(self):
        """Half of the distance of the quartiles, as a share of the median."""
        return float(f"{(self.high - self.low) / 2 / self.median:.2g}")

    @property
    def steady(self):
        """Whether the scatter is so small that each regression can be seen."""
        return SCATTERS * self.scatter <= REGRESSION


def ratio_of(ours, theirs, goal=None):
    """Return the ratio of the seconds of two runners, which took turns."""
    of_rounds = np.asarray(ours) / np.asarray(theirs)
    low, median, high = np.quantile(of_rounds, [0.25, 0.5, 0.75])
    return Ratio(*(float(f"{r:.4g}") for r in (median, low, high)), goal)


def machine():
    """Return the processor, its number of cores and caches, and its load."""
    lines = {}
    with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(":")
            lines.setdefault(name.strip(), []).append(value.strip())
    flags = set(lines.get("flags", [""])[0].split())
    vectors = [name for name in ("avx2", "avx512f") if name in flags]
    load = Path("/proc/loadavg").read_text(encoding="utf-8").split()[0]
    return (
        f"{lines['model name'][0]}, {len(lines['processor'])} cores, "
        f"{lines['cache size'][0]} cache, {' '.join(vectors)}, "
        f"Python {platform.python_version()}, numpy {np.__version__}, "
        f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', '')}, load {load}"
    )


def table(found):
    """Return the lines of a table of ratios, with quartiles and goals.

    Parameters
    ----------
    found : dict of str to Ratio
        Ratios by the name of their race and rival.

    Returns
    -------
    lines : list of str
        With a header; "missed" follows where a median is above its goal.
    """
    lines = [f"{'ratio':>7} {'quartiles':>13} {'goal':>5}  race / rival"]
    for name, r in found.items():
        goal = "" if r.goal is None else f"{r.goal:.3g}"
        marks = " missed" if r.goal is not None and r.median > r.goal else ""
        marks += "" if r.steady else " unsteady"
        quartiles = f"{r.low:.3g}-{r.high:.3g}"
        lines.append(f"{r.median:7.3g} {quartiles:>13} {goal:>5}  {name}{marks}")
    return lines


def kept(found):
    """Return what a file holds: the median and the scatter of each ratio."""
    return {name: [r.median, r.scatter] for name, r in found.items()}


def compare(before, after):
    """Return the lines of a table of two runs, and the names of those that got slower.

    Rows are races that both runs had. A ratio is slower if it grew by more than 15 %
    and by more than three times its larger scatter.
    """
    lines, slower = [], []
    for name in sorted(before.keys() & after.keys()):
        (was, scatter), (now, scatter_now) = before[name], after[name]
        change = now / was
        limit = 1 + max(REGRESSION, SCATTERS * max(scatter, scatter_now))
        mark = "   SLOWER" if change > limit else ""
        lines.append(f"{was:9.3g} {now:9.3g} {change:7.2f} {limit:5.2f}  {name}{mark}")
        if mark:
            slower.append(name)
    return lines, slower


def read(path):
    """Return the machine and the ratios of a file."""
    kept = json.loads(Path(path).read_text(encoding="utf-8"))
    return kept["machine"], kept["ratios"]


def write(path, of, ratios):
    """Keep the ratios of one run, and its machine, instead of an earlier one."""
    text = json.dumps({"machine": of, "ratios": ratios}, indent=1, sort_keys=True)
    Path(path).write_text(text + "\n", encoding="utf-8")
