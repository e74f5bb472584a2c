"""A quadratic function of a matrix, against its formula."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.algorithms.quadratic import finish_quadratic


@pytest.mark.parametrize(("dtype", "rtol"), [("f8", 1e-13), ("f4", 1e-5)])
def test_value_and_slope_are_those_of_the_formula(dtype, rtol):
    rng = np.random.default_rng(0)
    V, S = rng.standard_normal((2, 4, 7)).astype(dtype)
    A = rng.standard_normal((4, 4)).astype(dtype)
    A = A @ A.T
    P = A @ V
    value = finish_quadratic(V, S, P, 0.5)
    assert P.dtype == dtype
    assert value == pytest.approx(np.trace(V.T @ A @ V) - 2 * np.sum(V * S), rel=rtol)
    assert_allclose(P, 0.5 * (A @ V - S), rtol=rtol, atol=rtol)
