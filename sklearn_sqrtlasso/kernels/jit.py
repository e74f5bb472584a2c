"""The numba dialect of the package, said once."""

from functools import partial

import numba

# Sums may be reordered (SIMD), nothing else: NaN and infinity keep their meaning.
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}


def kernel(function=None, **options):
    """Compile a serial function that holds no GIL, cached on disk where possible.

    Rows are spread over threads by :mod:`sklearn_sqrtlasso.rows.blocks`, never by
    numba: its "workqueue" layer aborts the process when two threads enter, its OpenMP
    layer kills forked children.
    """
    if function is None:
        return partial(kernel, **options)
    options = {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH, **options}
    try:
        return numba.njit(function, cache=True, **options)
    except RuntimeError:  # nowhere to write a cache: a read-only installation
        return numba.njit(function, **options)


# A step of a kernel. An array handed to a compiled function costs two atomic counts of
# references, more than shrinking a short row; inlined before compilation it costs none.
step = kernel(inline="always")
