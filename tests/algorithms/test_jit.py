"""What kernels promise of numbers and threads, however they are compiled."""

import numba
import numpy as np
import pytest

from sklearn_sqrtlasso.algorithms.jit import FASTMATH, kernel, step
from tests import JIT

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


def test_a_kernel_compiles_where_no_cache_can_be_written(monkeypatch):
    tried, njit = [], numba.njit

    def without_cache(function, cache=False, **options):
        tried.append(cache)
        if cache:
            raise RuntimeError("no locator available")
        return njit(function, **options)

    monkeypatch.setattr(numba, "njit", without_cache)
    assert kernel(lambda v: v + 1)(1) == 2
    assert tried == [True, False]
