"""What kernels promise of numbers and threads, however they are compiled."""

import gc
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.compiler import Flags
from numba.core.event import install_recorder

from sklearn_sqrtlasso.algorithms.jit import FASTMATH, _Flags, kernel, step
from tests import JIT

SIGNATURE = (numba.float64[::1], numba.int64)  # of rows and of a place

compiled_only = pytest.mark.skipif(not JIT, reason="kernels are not compiled")


@step
def _half(v):
    return v / 2


@kernel
def _sum_of_halves(x):
    """Return the sum of the halves of some numbers."""
    total = 0.0
    for i in range(x.shape[0]):
        total += _half(x[i])
    return total


@kernel
def _divided(a, b):
    return a / b


def test_a_kernel_is_the_function_that_is_written():
    assert _sum_of_halves(np.arange(5.0)) == 5
    assert _sum_of_halves.__name__ == "_sum_of_halves"
    assert _sum_of_halves.__doc__.startswith("Return")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_sums_are_reordered_but_nan_and_infinity_keep_their_meaning(bad):
    x = np.ones(100)
    x[33] = bad
    np.testing.assert_equal(_sum_of_halves(x), bad)


def test_a_division_by_zero_is_infinite_and_raises_nothing():
    with np.errstate(divide="ignore", invalid="ignore"):
        assert _divided(np.float64(1), np.float64(0)) == np.inf
        assert np.isnan(_divided(np.float64(0), np.float64(0)))


@compiled_only
def test_a_kernel_holds_no_gil_and_makes_no_threads():
    options = _sum_of_halves.targetoptions
    assert options["nogil"]
    assert not options.get("parallel")
    assert set(options["fastmath"]) == FASTMATH


def test_neither_nan_nor_infinity_is_assumed_away():
    assert not FASTMATH & {"nnan", "ninf", "fast"}


@compiled_only
def test_options_of_one_kernel_are_its_own():
    in_order = kernel(fastmath=FASTMATH - {"reassoc"})(_divided.py_func)
    assert "reassoc" not in in_order.targetoptions["fastmath"]
    assert in_order.targetoptions["nogil"]
    assert "reassoc" in kernel(_divided.py_func).targetoptions["fastmath"]


@kernel
def _counted(x):
    """Return the number of entries of at least one half, by calls with 0 first."""
    number = 0
    for i in range(x.shape[0]):
        number = _one_more(number, x, i)
    return number


@kernel(_nrt=False)
def _one_more(number, x, i):
    return number + 1 if x[i] >= 0.5 else number


@compiled_only
def test_a_kernel_is_not_compiled_again_for_a_literal():
    with install_recorder("numba:compile") as recorder:
        _counted.recompile()  # what is on disk would not be compiled
        assert _counted(np.arange(5.0)) == 4
    compiled = [event.data for _, event in recorder.buffer if event.is_start]
    called = [d for d in compiled if d["dispatcher"].py_func is _one_more.py_func]
    assert [d["args"][0] for d in called] == [numba.int64]


@compiled_only
def test_a_kernel_makes_machine_code_for_calls_from_python_only():
    before = len(_one_more.signatures)
    _counted(np.ones(3, np.float32))
    assert len(_one_more.signatures) == before
    assert _one_more(0, np.ones(3, np.float32), 2) == 1
    assert len(_one_more.signatures) == before + 1


@compiled_only
def test_options_of_a_compilation_are_equal_by_their_values():
    flags = _Flags(Flags())
    flags.nrt = True
    same = flags.copy()
    assert type(same) is _Flags
    assert same == flags
    assert hash(same) == hash(flags)
    same.nrt = False
    assert same != flags


@compiled_only
def test_numba_is_given_options_that_it_compares_fast():
    one_more = kernel(lambda x: x + 1.0)
    assert type(one_more._compiler._customize_flags(Flags())) is _Flags


@compiled_only
def test_garbage_is_collected_after_a_compilation_if_it_was_before():
    _sum_of_halves(np.ones(3))
    for before in (True, False):
        (gc.enable if before else gc.disable)()
        try:
            _sum_of_halves.recompile()
            assert gc.isenabled() == before
        finally:
            gc.enable()


@compiled_only
def test_garbage_waits_for_the_end_of_a_compilation(monkeypatch):
    _sum_of_halves(np.ones(3))
    seen = []
    cache = type(_sum_of_halves._cache)
    monkeypatch.setattr(gc, "disable", lambda: seen.append("paused"))
    monkeypatch.setattr(gc, "enable", lambda: seen.append("runs"))
    monkeypatch.setattr(cache, "save_overload", lambda *_: seen.append("saved"))
    _sum_of_halves.recompile()
    assert seen == ["paused", "runs", "saved"]


@compiled_only
def test_an_array_outlives_kernels_that_do_not_count_references():
    x = np.arange(5.0)
    before = sys.getrefcount(x)
    for _ in range(1000):
        _counted(x)
        _one_more(0, x, 2)
    assert sys.getrefcount(x) == before
    np.testing.assert_array_equal(x, np.arange(5.0))


KERNEL = """
from sklearn_sqrtlasso.algorithms.jit import kernel

@kernel
def last(x, place):
    return x[place] + len(x)
"""
MAKING = """
import math
import numpy as np
from sklearn_sqrtlasso.algorithms.jit import kernel

@kernel
def last(x, place):
    made = np.empty_like(x)
    for i in range(x.shape[0]):
        made[i] = math.erf(x[i]) / math.erf(x[i]) + len(x)
    return made[place]
"""


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Return the file of a kernel, whose cache is in a folder beside it."""
    place = str(tmp_path / "kernels")
    monkeypatch.setattr(numba.config, "CACHE_DIR", place)
    monkeypatch.setenv("NUMBA_CACHE_DIR", place)
    path = tmp_path / "kernel_on_disk.py"
    path.write_text(KERNEL, encoding="utf-8")
    return path


def loaded(source):
    """Return the kernel of a file as a new process has it."""
    spec = importlib.util.spec_from_file_location(source.stem, source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.last


def saved(source):
    """Return the files of the cache."""
    return sorted(source.parent.rglob("*.nb*"))


def runs_from_cache(source, dtype=np.float64):
    """Run the kernel as a new process does; return whether it was in the cache."""
    last = loaded(source)
    assert last(np.ones(3, dtype), 2) == 4
    return sum(last.stats.cache_hits.values()) == 1


@compiled_only
def test_compiled_code_is_kept_on_disk(source):
    assert [runs_from_cache(source) for _ in range(3)] == [False, True, True]
    assert [runs_from_cache(source, np.float32) for _ in range(2)] == [False, True]
    assert len(saved(source)) == 2


def damaged(content):
    """Yield what a crash, a full disk or a bad sector leaves of a file."""
    for length in (0, 1, 31, 32, 33, len(content) // 2, len(content) - 1):
        yield content[:length]
        yield content[:length] + bytes(len(content) - length)
    for place in range(0, len(content), len(content) // 10):
        yield content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@compiled_only
def test_a_damaged_file_is_not_used(source):
    runs_from_cache(source)
    (path,) = saved(source)
    for content in damaged(path.read_bytes()):
        path.write_bytes(content)
        last = loaded(source)
        assert last._cache.load_overload(SIGNATURE, last.targetctx) is None


@compiled_only
def test_a_damaged_file_is_mended(source):
    runs_from_cache(source)
    (path,) = saved(source)
    path.write_bytes(path.read_bytes()[:100])
    assert [runs_from_cache(source) for _ in range(2)] == [False, True]


@compiled_only
def test_code_of_another_source_numba_option_or_check_is_not_used(source, monkeypatch):
    assert not runs_from_cache(source)
    source.write_text(KERNEL.replace("len(x)", "(len(x) - 3) + 3"), encoding="utf-8")
    assert not runs_from_cache(source)
    source.write_text(KERNEL.replace("@kernel", "@kernel(nogil=False)"))
    assert not runs_from_cache(source)
    for name, value in [
        ("BOUNDSCHECK", 1 - bool(numba.config.BOUNDSCHECK)),
        ("OPT", 1),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(numba.config, name, value)
            assert not runs_from_cache(source)
            assert runs_from_cache(source)
    assert runs_from_cache(source)


@compiled_only
def test_bounds_are_checked_where_numba_is_told_to(source, monkeypatch):
    runs_from_cache(source)
    monkeypatch.setattr(numba.config, "BOUNDSCHECK", 1)
    with pytest.raises(IndexError):
        loaded(source)(np.ones(3), 3)


@compiled_only
def test_kernels_compiled_at_once_are_not_mixed_up(source):
    one, other = loaded(source), loaded(source)  # both have seen an empty folder
    assert one(np.ones(3), 2) == other(np.ones(3, np.float32), 2) == 4
    assert runs_from_cache(source)
    assert runs_from_cache(source, np.float32)


@compiled_only
def test_a_kernel_runs_where_the_folder_of_its_cache_is_gone(source):
    last = loaded(source)
    folder = Path(last.stats.cache_path)
    shutil.rmtree(folder)
    folder.write_text("a file where the folder was")
    assert last(np.ones(3), 2) == 4
    last.recompile()
    assert last(np.ones(3), 2) == 4


def at_home(folder, monkeypatch):
    """Let kernels be kept in the cache folder of a user with another home."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(folder))


@compiled_only
def test_a_kernel_runs_where_no_cache_can_be_written(source, monkeypatch):
    place = source.parent / "home"
    place.write_text("a file where the folder would be")
    at_home(place, monkeypatch)
    last = loaded(source)
    assert last.stats.cache_path is None
    assert last(np.ones(3), 2) == 4


@compiled_only
def test_nothing_is_kept_next_to_the_source(source, monkeypatch):
    home = source.parent / "home"
    at_home(home, monkeypatch)
    assert [runs_from_cache(source) for _ in range(2)] == [False, True]
    assert [home in path.parents for path in saved(source)] == [True]


@compiled_only
def test_compiled_code_can_be_removed(source):
    last = loaded(source)
    assert last(np.ones(3), 2) == 4
    last._cache.flush()
    assert not saved(source)


WARM = """
import sys
import numpy as np
from kernel_on_disk import last
from sklearn_sqrtlasso.algorithms.jit import kernel
print(last(np.ones(3), 2), "numba.typed.typedlist" in sys.modules)

@kernel
def twice(x):
    return 2 * last(x, 0)

print(twice(np.ones(3)))
"""


@compiled_only
@pytest.mark.parametrize("text", [KERNEL, MAKING])
def test_numba_prepares_to_compile_only_what_is_not_on_disk(source, text):
    source.write_text(text, encoding="utf-8")
    child = [sys.executable, "-c", WARM]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    turns = [
        subprocess.check_output(child, cwd=source.parent, env=environment, text=True)
        for _ in range(2)
    ]
    prepared = [turn.split() for turn in turns]
    assert prepared == [["4.0", "True", "8.0"], ["4.0", "False", "8.0"]]


CHILD = """
import resource
import sys
import numpy as np
limit = int(sys.argv[1])
if limit >= 0:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from kernel_on_disk import last
print(last(np.ones(3), 2), sum(last.stats.cache_hits.values()))
"""


def started(source, limit=-1, **environment):
    """Start a process that runs the kernel, and writes no file above a size."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), **environment}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(limit)],
        cwd=source.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process):
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    return out.split()


@compiled_only
def test_a_kernel_runs_where_the_disk_is_full(source):
    assert said(started(source, limit=4096)) == ["4.0", "0"]
    assert not saved(source)  # nor what was written of it


@compiled_only
def test_processes_may_compile_at_once(source):
    pair = [started(source) for _ in range(2)]
    assert [said(process)[0] for process in pair] == ["4.0", "4.0"]
    assert len(saved(source)) == 1
    assert said(started(source)) == ["4.0", "1"]


SLOW = """
import logging, time
import numpy as np
from sklearn_sqrtlasso.algorithms import jit

logging.basicConfig(format="%(name)s: %(message)s")
jit.PATIENCE = 0.02
from kernel_on_disk import last
last(np.ones(3), 2), last(np.ones(3, np.float32), 2)
"""


def told(source):
    """Return what a new process that calls the kernel says on standard error."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", SLOW]
    return subprocess.run(
        command,
        cwd=source.parent,
        env=environment,
        check=True,
        stderr=subprocess.PIPE,
        text=True,
    ).stderr


@compiled_only
def test_the_user_is_told_once_while_kernels_are_compiled_and_not_again(source):
    first = told(source)
    assert first.startswith("sklearn_sqrtlasso: Compiling")
    assert first.count("NUMBA_CACHE_DIR") == 1
    assert not told(source)


def test_an_interpreted_kernel_is_as_silent_as_a_compiled_one(monkeypatch):
    def square(x):
        return x * x

    kernels = [kernel(square)]
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    kernels.append(kernel(square))
    for function in kernels:
        assert function.__name__ == "square"
        with np.errstate(all="raise"):
            assert function(np.float64(1e300)) == np.inf
