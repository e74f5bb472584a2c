"""The sigmoid in three passes, against the formula."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit

from sklearn_sqrtlasso.kernels.sigmoid import half_above, lift, pull_back_sigmoid


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_sigmoid_is_that_of_scipy(dtype):
    rng = np.random.default_rng(0)
    U, G = rng.standard_normal((2, 7, 5)).astype(dtype) * np.array(10, dtype)
    alpha = rng.standard_normal(5).astype(dtype)
    Z, H, by_alpha = np.empty_like(U), np.empty_like(U), np.empty_like(alpha)
    half_above(U, alpha, Z)
    np.tanh(Z, out=Z)
    lift(Z)
    eps = np.finfo(dtype).eps
    assert_allclose(Z, expit(U - alpha), atol=4 * eps)
    pull_back_sigmoid(Z, G, H, by_alpha)
    assert_allclose(H, G * Z * (1 - Z), rtol=8 * eps)
    assert_allclose(by_alpha, -H.sum(axis=0), rtol=1e3 * eps, atol=100 * eps)
