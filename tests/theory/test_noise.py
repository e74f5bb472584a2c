"""The noise level that a residual tells of, against noise of known level."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import norm, t, truncnorm

from sklearn_sqrtlasso.theory.noise import (
    noise_std,
    student_scale,
    truncated_variance,
)
from tests import oracles


def test_truncated_variance_is_that_of_a_truncated_gaussian():
    a = np.array([0.01, 0.5, 1.0, 2.0, 5.0])
    # 1 - 2 a phi / (2 Phi - 1) cancels: for small a an absolute error of a few eps
    assert_allclose(truncated_variance(a), truncnorm.var(-a, a), rtol=1e-9, atol=1e-12)


def test_truncated_variance_rises_from_zero_to_one():
    variance = truncated_variance(np.array([0.0, 0.1, 0.5, 1, 2, 4, 100]))
    assert np.all(np.diff(variance) >= 0)
    assert 0 <= variance[0] < 1e-6
    assert variance[-1] == 1


@pytest.mark.parametrize("nu", [0.01, 0.1, 1.0, 4.0, 30.0, 1e6])
def test_a_scale_of_student_is_that_of_largest_likelihood(nu):
    def loss(log_scale):
        def of(g):
            return -t.logpdf(g, nu, scale=np.exp(log_scale)) * norm.pdf(g)

        return 2 * quad(of, 0, 12, points=[1e-3, 0.1, 1], epsabs=1e-13)[0]

    found = minimize_scalar(loss, (-4, 0), options={"xtol": 1e-9})
    assert_allclose(student_scale(nu), np.exp(found.x), rtol=1e-5)


@pytest.mark.parametrize("nu", [0, -1.0, np.nan, 1e-3, "four"])
def test_degrees_of_freedom_out_of_range_are_refused(nu):
    with pytest.raises(ValueError, match=r"nu must be .* at least 0.01, got"):
        student_scale(nu)


def residual_of_noise(alpha, sigma, n_rows=400, n_units=64, n_outside=0):
    """Code pure noise as one run; return what ``noise_std`` needs to know of it."""
    rng = np.random.default_rng(0)
    U = sigma * rng.standard_normal((n_rows, n_units))
    outside = sigma * np.linalg.norm(rng.standard_normal((n_rows, n_outside)), axis=1)
    Z = oracles.shrink(U, alpha, outside)
    level = oracles.residual_scale(Z, U, outside)
    n_active = np.count_nonzero(Z)
    room, inside = n_rows - n_active * alpha**2, n_rows * n_units - n_active
    return [np.array([x]) for x in (level, room, n_rows * n_outside, inside)]


@pytest.mark.parametrize("sigma", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("n_outside", [0, 8, 192])
@pytest.mark.parametrize("tau", [1.7, 2.2, 3.0, 5.0])
def test_noise_of_known_level_is_recovered(tau, n_outside, sigma):
    alpha = tau / np.sqrt(64 + n_outside)  # thresholds of about tau sigma
    residual = residual_of_noise(alpha, sigma, n_outside=n_outside)
    # 25 600 Gaussians give sigma to .5 %, truncated ones to 1 %: three standard errors
    assert_allclose(noise_std(*residual, alpha), sigma, rtol=0.03)


def test_the_noise_has_the_unit_of_the_data():
    level, room, outside, inside = residual_of_noise(0.3, 1.0)
    ours = noise_std(level, room, outside, inside, 0.3)
    by_c = noise_std(2.0**50 * level, room, outside, inside, 0.3)
    assert_array_equal(by_c, 2.0**50 * ours)


def test_no_residual_is_no_noise():
    nothing = np.zeros(3)
    room, inside = np.array([1.0, 0.0, 1.0]), np.array([5.0, 0.0, 0.0])
    assert_array_equal(noise_std(nothing, room, nothing, inside, 0.4), 0)


@pytest.mark.parametrize("bound", [0.0, 1e-9, 0.1, 1.0, 1e9])
def test_every_residual_has_a_finite_noise_level(bound):
    room, inside = np.array([0.0, 1e-12, 1.0, 1.0]), np.array([0.0, 3.0, 1e6, 0.0])
    assert np.isfinite(noise_std(np.ones(4), room, np.zeros(4), inside, bound)).all()


@pytest.mark.parametrize("sigma", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("largest", [2.0, 4.0, 1e3])
def test_noise_is_recovered_from_units_of_unequal_penalties(largest, sigma):
    taus = np.geomspace(1.2, largest, 64)
    alpha, rng = taus / 8, np.random.default_rng(0)
    U = sigma * rng.standard_normal((400, 64))
    Z = oracles.shrink(U, alpha)
    scale = np.array([oracles.residual_scale(Z, U)])
    slack = np.array([400 - np.sum((Z != 0) * alpha**2)])
    inside = np.sum(Z == 0, axis=0)[None]
    found = noise_std(scale, slack, np.zeros(1), inside, alpha)
    assert_allclose(found, sigma, rtol=0.05)


def test_the_noise_of_a_group_does_not_depend_on_others():
    rng = np.random.default_rng(0)
    scale, slack = rng.random(9), rng.random(9)
    inside, bound = rng.integers(0, 99, (9, 3)), np.array([0.2, 0.5, 2.0])
    together = noise_std(scale, slack, np.ones(9), inside, bound)
    for i in range(9):
        one = slice(i, i + 1)
        alone = noise_std(scale[one], slack[one], np.ones(1), inside[one], bound)
        assert_array_equal(alone, together[one])
