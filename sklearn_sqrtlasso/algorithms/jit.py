"""Numba options shared by all kernels of the package."""

from functools import partial

import numba

# Sums may be reordered (SIMD), but NaN and infinity keep their IEEE meaning.
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}


def kernel(function=None, **options):
    """Compile a serial function that releases the GIL, cached on disk if possible.

    Rows are distributed over threads by :mod:`sklearn_sqrtlasso.blockwise.blocks`, not
    by numba: its "workqueue" layer aborts the process when two threads enter it, and
    its OpenMP layer terminates forked children.
    """
    if function is None:
        return partial(kernel, **options)
    options = {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH, **options}
    try:
        return numba.njit(function, cache=True, **options)
    except RuntimeError:  # no writable cache: a read-only installation
        return numba.njit(function, **options)


# Steps are inlined before compilation: to pass an array to a compiled function costs
# two atomic reference counts, more than shrinking a short row.
step = kernel(inline="always")
