"""Numba options shared by all kernels of the package, and their cache on disk."""

import logging
import pickle
from contextlib import suppress
from functools import partial, wraps
from hashlib import sha256
from pathlib import Path
from threading import Timer
from weakref import WeakSet

import numba
import numpy as np
from numba.core import types
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
)
from numba.core.event import Listener, register

# Sums may be reordered (SIMD), but NaN and infinity keep their IEEE meaning.
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}
PATIENCE = 1.0  # seconds of compilation before the user is told
NOTICE = (
    "Compiling kernels, once for each of their dtypes. They are kept on disk, in the "
    "user's cache folder or in NUMBA_CACHE_DIR. To compile them beforehand: "
    "python -m sklearn_sqrtlasso compile"
)

_kernels: WeakSet = WeakSet()


class _Files(IndexDataCacheFile):
    """Compiled code on disk: one file for each signature, complete or not used.

    Numba's own index names numbered files. Two processes that compile at once may use
    one number for two signatures, and a failure between the writing of index and file
    leaves a new entry with old code; either runs the wrong machine code later. Here the
    name of a file follows from its key, and the file says what it is for.
    """

    def _head(self, key):
        return self._version, self._source_stamp, repr(key)

    def _path(self, key):
        digest = sha256(repr((self._version, key)).encode()).hexdigest()[:16]
        return self._data_path(self._data_name_pattern.format(number=int(digest, 16)))

    def save(self, key, data):
        """Write compiled code to a temporary file, then give it its name."""
        content = self._dump((self._head(key), data))
        with self._open_for_write(self._path(key)) as file:
            file.write(sha256(content).digest() + content)

    def load(self, key):
        """Return the compiled code of a key, or None where there is none."""
        content = Path(self._path(key)).read_bytes()
        if sha256(content[32:]).digest() != content[:32]:
            return None
        head, data = pickle.loads(content[32:])
        return data if head == self._head(key) else None

    def flush(self):
        """Remove the files of all signatures."""
        pattern = self._data_name_pattern.replace("{number:d}", "*")
        for path in Path(self._cache_path).glob(pattern):
            path.unlink(missing_ok=True)


class _Place(CompileResultCacheImpl):
    """Where numba keeps compiled code, but never next to the source.

    Files that pip did not install stay when it uninstalls the package, and the folder
    that they keep alive is imported instead of a copy installed elsewhere.
    """

    _locator_classes = [
        locator
        for locator in CompileResultCacheImpl._locator_classes
        if "InTree" not in locator.__name__
    ]


class _Cache(FunctionCache):
    """A cache on disk that only saves time: where it fails, a kernel is compiled."""

    _impl_class = _Place

    def __init__(self, function, options):
        super().__init__(function)
        self._cache_file = _Files(
            self._cache_path, self._impl.filename_base, self._cache_file._source_stamp
        )
        self._options = [
            (name, sorted(value) if isinstance(value, set) else value)
            for name, value in sorted(options.items())
        ]

    def load_overload(self, sig, target_context):
        """Return compiled code; None if there is none, or it cannot be read."""
        with suppress(Exception):  # a damaged pickle may raise any of them
            return super().load_overload(sig, target_context)

    def save_overload(self, sig, data):
        """Save compiled code, if there is a place for it."""
        with suppress(Exception):  # a full disk, a folder that is gone or read-only
            super().save_overload(sig, data)

    def flush(self):
        """Remove what is saved, if it can be."""
        with suppress(OSError):
            super().flush()

    def _index_key(self, sig, codegen):
        """Add what else the code depends on to numba's key."""
        key = super()._index_key(sig, codegen)
        return key, self._options, numba.config.BOUNDSCHECK, numba.config.OPT


class _Notice(Listener):
    """Tell the user, once in a process, while a first call compiles for long."""

    def __init__(self):
        self._depth, self._timer = 0, None

    def on_start(self, start):
        """Wait from the start of the outermost compilation."""
        if start.data["dispatcher"] not in _kernels:
            return
        self._depth += 1
        if self._timer is None:
            self._timer = Timer(PATIENCE, self._tell)
            self._timer.daemon = True
            self._timer.start()

    def on_end(self, end):
        """Count compilations that have ended."""
        self._depth -= end.data["dispatcher"] in _kernels

    def _tell(self):
        if self._depth > 0:  # the timer stays: it is told once
            logging.getLogger("sklearn_sqrtlasso").warning(NOTICE)
        else:
            self._timer = None


register("numba:compile", _Notice())


def _widened(compiled):
    """Compile for the type of a number, not again for the literals it is called with.

    A counter that starts at 0 would otherwise have the type of that literal at first.
    """
    template = compiled.get_call_template

    def get_call_template(args, kws):
        args = tuple(types.unliteral(a) for a in args)
        return template(args, {name: types.unliteral(a) for name, a in kws.items()})

    compiled.get_call_template = get_call_template


def _quiet(function):
    """Return an interpreted kernel, as silent about overflow as a compiled one."""

    @wraps(function)
    def call(*args):
        with np.errstate(all="ignore"):
            return function(*args)

    return call


def kernel(function=None, **options):
    """Compile a serial function that releases the GIL, cached on disk if possible.

    Rows are distributed over threads by :mod:`sklearn_sqrtlasso.blockwise.blocks`, not
    by numba: its "workqueue" layer aborts the process when two threads enter it, and
    its OpenMP layer terminates forked children.

    With ``_nrt=False`` references to arrays are not counted, which takes half of the
    time to compile, and arrays are passed to it for nothing. Such a kernel makes no
    array, returns none, and calls no function of numpy that does, nor another kernel
    that may.
    """
    if function is None:
        return partial(kernel, **options)
    options = {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH, **options}
    compiled = numba.njit(function, **options)
    if compiled is function:  # NUMBA_DISABLE_JIT is set
        return _quiet(function)
    _kernels.add(compiled)
    _widened(compiled)
    with suppress(RuntimeError, OSError):  # no place to write at all
        compiled._cache = _Cache(function, options)
    return compiled


# Steps are inlined before compilation: to pass an array to a compiled function costs
# two atomic reference counts, more than shrinking a short row.
step = kernel(inline="always")

# Steps that are seldom called are compiled apart, in less time than inlined. They make
# no array and return none.
part = kernel(_nrt=False)
