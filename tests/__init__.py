"""The laws of the package, room by room."""

from numba import config

JIT = not config.DISABLE_JIT


def sized(compiled, interpreted):
    """Return the first size where kernels are compiled, the second where they are not.

    Interpreted kernels cost a microsecond an entry: the laws are the same on less data.
    """
    return compiled if JIT else interpreted
