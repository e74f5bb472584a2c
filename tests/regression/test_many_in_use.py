"""Predictions of how many columns are in use, against fits."""

import numpy as np
import pytest

from sklearn_sqrtlasso.regression import design as module
from sklearn_sqrtlasso.regression.designs import design_of
from sklearn_sqrtlasso.regression.many_in_use import USED, approach, noise_uses_many
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
    fits, _ = regress(design, y, alphas, SolverOptions(False, 1e-6, 100))
    shares = np.array([len(fit.features) / p for fit in fits])
    many = np.array([noise_uses_many(design, alpha) for alpha in alphas])
    assert many.any()
    assert not many.all()
    assert shares[many].min() > USED - 0.08
    assert shares[~many].max() < USED + 0.08


def test_noise_does_not_use_columns_that_outnumber_rows_or_are_constant():
    X = np.random.default_rng(0).standard_normal((20, 30))
    for columns in (X, np.ones((40, 3))):
        weights = np.full(len(columns), 1 / len(columns))
        assert not noise_uses_many(design_of(columns, weights, True), 1e-9)


@pytest.mark.parametrize("alike", [False, True])
def test_columns_that_are_alike_are_not_many_in_use(alike, monkeypatch):
    monkeypatch.setattr(module, "SMALL", 0)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((120, 40)), rng.standard_normal(120)
    X[:, 1:] = X[:, :1] + 0.01 * X[:, 1:] if alike else X[:, 1:]
    design = design_of(X, np.full(120, 1 / 120), True)
    top = regression_alpha_max(design, y, False)
    assert noise_uses_many(design, top / 20)
    many, near = approach(design, y, top / 20, OPTIONS)
    assert many is not alike
    fits, _ = regress(design, y, [top / 20], OPTIONS)
    assert len(near.features) <= len(fits[0].features)
    assert near.sigma >= fits[0].sigma
    assert (len(fits[0].features) > 13) is not alike


@pytest.mark.parametrize("alpha", [0.0, 1e9])
def test_nothing_is_followed_to_penalties_that_are_no_way_below(alpha, monkeypatch):
    monkeypatch.setattr(module, "SMALL", 0)
    rng = np.random.default_rng(0)
    design = design_of(rng.standard_normal((30, 5)), np.full(30, 1 / 30), True)
    given = design, rng.standard_normal(30), alpha, OPTIONS
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
        assert many is (near is not None and len(near.features) > 1)
