"""Predictions of how many columns are in use, against fits."""

import numpy as np
import pytest

from sklearn_sqrtlasso.regression import design as module
from sklearn_sqrtlasso.regression.designs import design_of
from sklearn_sqrtlasso.regression.many_in_use import USED, approach, share_for_noise
from sklearn_sqrtlasso.regression.solver import (
    SolverOptions,
    regress,
    regression_alpha_max,
)

OPTIONS = SolverOptions(False, 1e-6, 100)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("seed", range(3))
def test_as_many_columns_are_in_use_for_noise_as_it_is_said(seed, dtype):
    rng, n, p = np.random.default_rng(seed), 1200, 400
    X = (rng.standard_normal((n, p)) * 10.0 ** rng.uniform(-0.1, 0.1, p)).astype(dtype)
    X[:, :3] = 1.0
    design, y = design_of(X, np.full(n, 1 / n), True), rng.standard_normal(n)
    alphas = regression_alpha_max(design, y, False) * np.geomspace(1, 0.1, 15)
    fits, _ = regress(design, y, alphas, OPTIONS)
    shares = np.array([len(fit.features) / p for fit in fits])
    expected = np.array([share_for_noise(design, alpha) for alpha in alphas])
    assert shares[-1] > 0.5
    np.testing.assert_allclose(shares, expected, atol=0.08)


def test_noise_uses_no_columns_that_are_constant():
    design = design_of(np.ones((40, 3)), np.full(40, 1 / 40), True)
    assert share_for_noise(design, 1e-9) == 0.0


@pytest.mark.parametrize("alike", [False, True])
def test_columns_that_are_alike_are_not_many_in_use(alike, monkeypatch):
    monkeypatch.setattr(module, "SMALL", 0)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((120, 40)), rng.standard_normal(120)
    X[:, 1:] = X[:, :1] + 0.01 * X[:, 1:] if alike else X[:, 1:]
    design = design_of(X, np.full(120, 1 / 120), True)
    top = regression_alpha_max(design, y, False)
    assert share_for_noise(design, top / 20) > USED
    many, near = approach(design, y, top / 20, OPTIONS)
    assert many is not alike
    fits, _ = regress(design, y, [top / 20], OPTIONS)
    assert len(near.features) <= len(fits[0].features)
    assert near.sigma >= fits[0].sigma
    assert (len(fits[0].features) > 13) is not alike


@pytest.mark.parametrize(
    ("shape", "alpha"), [((30, 5), 0), ((30, 5), 9), ((9, 9), 0.1)]
)
def test_nothing_is_followed_where_it_cannot_help(shape, alpha, monkeypatch):
    monkeypatch.setattr(module, "SMALL", 0)
    rng, n = np.random.default_rng(0), shape[0]
    design = design_of(rng.standard_normal(shape), np.full(n, 1 / n), True)
    given = design, rng.standard_normal(n), alpha, OPTIONS
    assert approach(*given) == (False, None)


@pytest.mark.parametrize("size", np.geomspace(5e-40, 5e-39, 9))
def test_coefficients_on_the_way_may_be_out_of_range(size, monkeypatch):
    monkeypatch.setattr(module, "SMALL", 0)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 12)).astype(np.float32)
    y = size * (X.sum(axis=1) + rng.standard_normal(60))
    design = design_of(X, np.full(60, 1 / 60), True)
    alphas = regression_alpha_max(design, y, False) / 2.0 ** np.arange(2, 9)
    for alpha in alphas:  # whose fits may be in range, or refused
        many, near = approach(design, y, alpha, OPTIONS)
        assert near is not None or not many
