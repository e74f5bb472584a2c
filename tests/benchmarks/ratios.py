"""Ratios of races, compared with those of an earlier run that are kept in a file.

A file holds the description of the machine, and by name of a race the ratio of our
median to that of each rival in the same run.
"""

import json
import platform
from pathlib import Path

REGRESSION = 1.15  # times the earlier ratio


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
        f"Python {platform.python_version()}, load {load}"
    )


def compare(before, after):
    """Return the lines of a table of two runs, and the names of those that got slower.

    Rows are races that both runs had; a ratio is slower if it grew by more than 15 %.
    """
    lines, slower = [], []
    for name in sorted(before.keys() & after.keys()):
        change = after[name] / before[name]
        mark = "   SLOWER" if change > REGRESSION else ""
        lines.append(
            f"{before[name]:8.2f} {after[name]:8.2f} {change:7.2f}  {name}{mark}"
        )
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
