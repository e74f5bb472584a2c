"""Numba options shared by all kernels of the package, and their cache on disk."""

import gc
import logging
import pickle
from contextlib import suppress
from functools import cache, partial, wraps
from hashlib import sha256
from pathlib import Path
from threading import Timer
from weakref import WeakSet

import numba
import numpy as np
from llvmlite.binding import Linkage
from numba.core import types
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
)
from numba.core.codegen import CPUCodeLibrary
from numba.core.compiler import Compiler, Flags
from numba.core.compiler_machinery import LoweringPass, register_pass
from numba.core.event import Listener, register
from numba.core.runtime import rtsys
from numba.core.typed_passes import IRLegalization, NativeLowering

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
        """Return compiled code; None if there is none, or it cannot be read.

        Machine code needs the functions of numba's runtime. Numba also registers all
        functions that it can compile first, which takes longer than all the rest of a
        short program, and which it does anyhow before it compiles one.
        """
        with suppress(Exception):  # a damaged pickle may raise any of them
            rtsys.initialize(target_context)
            return self._load_overload(sig, target_context)

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


class _Pause(Listener):
    """Keep the garbage collector from searching the many objects of a compilation.

    They are in use until its end: to search them again and again takes a tenth of it.
    """

    def __init__(self):
        self._depth, self._paused = 0, False

    def on_start(self, start):
        """Pause the collector at the start of the outermost compilation."""
        if start.data["dispatcher"] in _kernels:
            self._depth += 1
            if self._depth == 1 and gc.isenabled():
                gc.disable()
                self._paused = True

    def on_end(self, end):
        """Let it run again at the end, if it ran before."""
        if end.data["dispatcher"] in _kernels:
            self._depth -= 1
            if self._depth == 0 and self._paused:
                self._paused = False
                gc.enable()


register("numba:compile", _Pause())


class _Flags(Flags):
    """Options of a compilation, which numba compares at each call that it types.

    Its own collect all of them anew for each comparison and hash: a tenth of the time.
    """

    def __hash__(self):
        return hash(type(self))

    def __eq__(self, other):
        return type(other) is type(self) and self._values == other._values


def _compare_fast(compiled):
    """Let the options of a kernel be compared fast, where numba has a place for it."""
    if hasattr(Flags(), "_values") and hasattr(compiled, "_compiler"):
        compiled._compiler._customize_flags = _Flags


class _Intermediate(CPUCodeLibrary):
    """Code that is optimised and made machine code of in the kernels that call it."""

    def _optimize_functions(self, ll_module):
        ll_module.data_layout = self._codegen._data_layout

    def _get_module_for_linking(self):
        """Let several modules define its functions; numba's own does it in a copy."""
        if self._shared_module is None:
            self._ensure_finalized()
            for function in self._final_module.functions:
                if not function.is_declaration and function.linkage == Linkage.external:
                    function.linkage = Linkage.linkonce_odr
            self._shared_module = self._final_module
        return self._shared_module

    def finalize(self):
        """Link what is called, and nothing else."""
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            module = library._get_module_for_linking()
            self._final_module.link_in(module, preserve=True)
        self._finalized = True


@register_pass(mutates_CFG=False, analysis_only=False)
class _Before(LoweringPass):
    """Lower a kernel into intermediate code."""

    _name = "sklearn_sqrtlasso_before_lowering"

    def __init__(self):
        super().__init__()

    def run_pass(self, state):
        """Choose the library."""
        codegen = state.targetctx.codegen()
        state.library = _Intermediate(codegen, state.func_id.func_qualname)
        state.flags.no_compile = True
        return True


@register_pass(mutates_CFG=False, analysis_only=False)
class _After(LoweringPass):
    """Let kernels find the intermediate code of one that they call."""

    _name = "sklearn_sqrtlasso_after_lowering"

    def __init__(self):
        super().__init__()

    def run_pass(self, state):
        """Register it by a key of its own."""
        result = state["cr"]
        key = object()  # where numba has the compiled function
        state.targetctx.insert_user_function(key, result.fndesc, [state.library])
        state["cr"] = result._replace(cfunc=key)
        return True


class _Linking(Compiler):
    """Compile up to intermediate code."""

    def define_pipelines(self):
        """Return numba's passes, and those around its lowering."""
        (passes,) = super().define_pipelines()
        passes.add_pass_after(_Before, IRLegalization)
        passes.add_pass_after(_After, NativeLowering)
        passes.finalize()
        return [passes]


def _link(compiled, options):
    """Let kernels that call a kernel compile its intermediate code with theirs.

    By itself numba optimises each function, makes machine code of it, and wraps it for
    calls from Python, to do the former again in each of its callers.

    It is compiled for the type of a number, not again for the literals it is called
    with: a counter that starts at 0 would have the type of that literal at first.
    """

    @cache
    def linked():
        options["no_cpython_wrapper"] = options["no_cfunc_wrapper"] = True
        code = numba.njit(compiled.py_func, pipeline_class=_Linking, **options)
        _compare_fast(code)
        code.add_overload = lambda r: code.overloads.update({r.signature.args: r})
        return code

    def get_call_template(args, kws):
        args = tuple(types.unliteral(a) for a in args)
        kws = {name: types.unliteral(a) for name, a in kws.items()}
        return linked().get_call_template(args, kws)

    compiled.get_call_template = get_call_template
    compiled.get_overload = lambda sig: linked().get_overload(sig)


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
    _compare_fast(compiled)
    _link(compiled, dict(options))
    with suppress(RuntimeError, OSError):  # no place to write at all
        compiled._cache = _Cache(function, options)
    return compiled


# Steps are inlined before compilation: to pass an array to a compiled function costs
# two atomic reference counts, more than shrinking a short row.
step = kernel(inline="always")

# Steps that are seldom called are compiled apart, in less time than inlined. They make
# no array and return none.
part = kernel(_nrt=False)
