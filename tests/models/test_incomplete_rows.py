"""Codes of rows with missing entries and outliers, against a conic solver and laws."""

from dataclasses import replace
from itertools import pairwise

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.models import incomplete_rows
from sklearn_sqrtlasso.models.incomplete_rows import code_incomplete
from sklearn_sqrtlasso.models.tight_frame import TightFrame, nearest_tight_frame
from sklearn_sqrtlasso.sparse_coding import newton

N_FEATURES = 6
GROUPS = np.array([0, 1, 2, 3, 6])

each_width = pytest.mark.parametrize("n_components", [4, 6, 9])
each_outliers = pytest.mark.parametrize("outliers", [False, True])
each_sign = pytest.mark.parametrize("positive", [False, True])


def make_frame(n_components, outliers, positive=False):
    rng = np.random.default_rng(n_components)
    W = nearest_tight_frame(rng.standard_normal((n_components, N_FEATURES)))
    alpha = rng.uniform(0.2, 0.6, n_components)
    bounds = np.full(N_FEATURES, 0.7) if outliers else None
    return TightFrame(W, alpha, positive, None, bounds)


def make_rows(seed=0, share=0.25):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((GROUPS[-1], N_FEATURES)) * np.linspace(3, 0.3, N_FEATURES)
    X[rng.random(X.shape) < share] = np.nan
    return X


def objective_of(frame, x, z, e, where):
    """Return the objective of a group in a conic solver's language."""
    W, m = frame.components, len(x)
    clean = x - e
    residual = clean @ W.T - z
    if len(W) < N_FEATURES:
        residual = cp.hstack([residual, clean @ (np.eye(N_FEATURES) - W.T @ W)])
    total = cp.norm(cp.vec(residual, order="C")) / np.sqrt(m)
    total = total + cp.sum(cp.abs(z) @ frame.alpha) / m
    if frame.outlier_alpha is not None:
        total = total + cp.sum(cp.multiply(where, cp.abs(e)) @ frame.outlier_alpha) / m
    return total


def conic_codes(frame, x):
    where = ~np.isnan(x)
    z, e = cp.Variable((len(x), len(frame.components))), cp.Variable(x.shape)
    limits = [z >= 0] if frame.positive else []
    if frame.outlier_alpha is None:
        limits.append(cp.multiply(where, e) == 0)
    objective = objective_of(frame, np.nan_to_num(x), z, e, where)
    problem = cp.Problem(cp.Minimize(objective), limits)
    problem.solve(solver=cp.CLARABEL)
    return z.value


@each_width
@each_outliers
@each_sign
def test_codes_are_those_of_a_conic_solver(n_components, outliers, positive):
    frame, X = make_frame(n_components, outliers, positive), make_rows()
    found = code_incomplete(frame, X, GROUPS)
    assert found.gap.max() <= 1e-6
    for lo, hi in pairwise(GROUPS):
        # gaps of 1e-6, and of 1e-8 of the solver, leave codes open by their roots
        assert_allclose(found.Z[lo:hi], conic_codes(frame, X[lo:hi]), atol=2e-3)


@each_width
@each_outliers
def test_a_power_of_two_scales_all_exactly(n_components, outliers):
    frame, X = make_frame(n_components, outliers), make_rows()
    ours = code_incomplete(frame, X, GROUPS)
    for c in 2.0 ** np.array([-500, 3, 500]):
        scaled = code_incomplete(frame, c * X, GROUPS)
        assert_array_equal(scaled.Z, c * ours.Z)
        assert_array_equal(scaled.clean, c * ours.clean)
        assert_array_equal(scaled.gap, ours.gap)


@each_width
def test_observed_entries_are_kept_without_outliers(n_components):
    X = make_rows()
    clean = code_incomplete(make_frame(n_components, False), X, GROUPS).clean
    assert_allclose(clean[~np.isnan(X)], X[~np.isnan(X)], rtol=1e-15)
    assert np.isfinite(clean).all()


@each_width
def test_spikes_are_told_from_rows(n_components):
    frame = make_frame(n_components, True)
    frame.outlier_alpha[:] = 0.5
    X = make_rows(share=0.0)
    spiked = X.copy()
    spiked[:, 2] += 1e4
    ours, theirs = (code_incomplete(frame, x, GROUPS) for x in (X, spiked))
    # a spike beyond its penalty has no more influence, however large it is
    spiked[:, 2] += 1e4
    assert_allclose(code_incomplete(frame, spiked, GROUPS).Z, theirs.Z, atol=1e-2)
    assert np.abs(theirs.clean[:, 2]).max() < 1e2
    assert np.isfinite(ours.Z).all()


def test_a_row_without_entries_has_a_code_of_zeros():
    X = np.full((1, N_FEATURES), np.nan)
    found = code_incomplete(make_frame(6, False), X, np.array([0, 1]))
    assert_array_equal(found.Z, 0)
    assert_array_equal(found.clean, 0)
    assert_array_equal(found.gap, 0)


def penalised_by_few(dtype=np.float64):
    """Return a frame whose codes without outliers leave no residual."""
    W = nearest_tight_frame(np.random.default_rng(1).standard_normal((6, 6)))
    bounds = np.full(N_FEATURES, 0.5)
    return TightFrame(W.astype(dtype), np.full(6, 0.1), False, None, bounds)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rounding_errors_of_a_residual_certify_nothing(dtype):
    frame, X = penalised_by_few(dtype), make_rows(share=0.0)
    X[:, 1] += 30
    found = code_incomplete(frame, X, np.arange(len(X) + 1))
    assert np.all((found.gap >= -1e-12) & (found.gap <= 1e-6))
    for x, z in zip(X, found.Z, strict=True):
        best = conic_codes(frame, x[None])[0]
        assert_allclose(z, best, atol=2e-3 * np.abs(x).max())


@each_width
@each_outliers
def test_codes_do_not_depend_on_other_rows(n_components, outliers):
    frame, X = make_frame(n_components, outliers), make_rows()
    X[3:] = np.where(np.isnan(X[0]), np.nan, X[3:])  # these lack the same entries
    together = code_incomplete(frame, X, np.arange(len(X) + 1))
    for i in range(len(X)):
        alone = code_incomplete(frame, X[i : i + 1], np.array([0, 1]))
        assert_allclose(together.Z[i], alone.Z[0], rtol=1e-12, atol=1e-12)


def test_outliers_of_a_row_without_entries_are_zero():
    frame, X = penalised_by_few(), np.full((1, N_FEATURES), np.nan)
    found = code_incomplete(frame, X, np.array([0, 1]))
    assert_array_equal(found.Z, 0)
    assert_array_equal(found.clean, 0)


@each_width
@each_outliers
@each_sign
def test_atoms_of_a_group_may_be_too_many_to_keep(
    n_components, outliers, positive, monkeypatch
):
    frame, X = make_frame(n_components, outliers, positive), make_rows()
    kept = code_incomplete(frame, X, GROUPS)
    monkeypatch.setattr(incomplete_rows, "KEPT_BYTES", 0)
    for ours, theirs in zip(code_incomplete(frame, X, GROUPS), kept, strict=True):
        assert_array_equal(ours, theirs)


@each_width
@each_outliers
@each_sign
def test_bisection_finds_what_newton_finds(
    n_components, outliers, positive, monkeypatch
):
    frame, X = make_frame(n_components, outliers, positive), make_rows()
    found = code_incomplete(frame, X, GROUPS)
    monkeypatch.setattr(incomplete_rows, "NEWTON_STEPS", 0)
    bisected = code_incomplete(frame, X, GROUPS)
    assert_allclose(bisected.scale, found.scale, rtol=1e-8)
    assert bisected.gap.max() <= 1e-6


def test_newton_needs_few_steps(monkeypatch):
    rng = np.random.default_rng(0)
    W = nearest_tight_frame(rng.standard_normal((30, 30)))
    X = rng.standard_normal((100, 5)) @ rng.standard_normal((5, 30))
    X = X + 0.1 * rng.standard_normal(X.shape)
    X[rng.random(X.shape) < 0.3] = np.nan
    monkeypatch.setattr(incomplete_rows, "MAX_STEPS", 6)
    frame = TightFrame(W, np.full(30, 0.3), False)
    assert code_incomplete(frame, X, np.array([0, 100])).gap[0] <= 1e-9


def test_a_group_of_rows_that_are_coded_exactly_has_the_least_scale():
    frame = replace(make_frame(6, False), alpha=np.full(6, 1e-3))
    X = make_rows(share=0.4)[3:]
    found, known = code_incomplete(frame, X, np.array([0, 3])), ~np.isnan(X)
    assert np.all(found.scale <= 1e-6 * np.sqrt(np.sum(X[known] ** 2) / 3))
    assert_allclose((found.Z @ frame.components)[known], X[known], atol=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 1e-6, 0.05, 0.3])
@each_outliers
@each_sign
def test_wide_rows_have_the_codes_of_paths(alpha, outliers, positive, monkeypatch):
    rng = np.random.default_rng(0)
    W = nearest_tight_frame(rng.standard_normal((8, 40)))
    X = rng.standard_normal((6, 8)) @ W + 0.1 * rng.standard_normal((6, 40))
    X[:, 3] += 20
    X[0] = X[0] @ W.T @ W  # is coded without a residual
    X[rng.random(X.shape) < 0.05] = np.nan
    bounds = np.full(40, 2.2 / np.sqrt(40)) if outliers else None
    frame = TightFrame(W, np.full(8, alpha), positive, None, bounds)
    groups = np.array([0, 1, 2, 3, 6])
    by_paths = code_incomplete(frame, X, groups)
    monkeypatch.setattr(incomplete_rows, "MANY", 0)
    monkeypatch.setattr(incomplete_rows, "TOO_MANY", 0)  # no path comes after turns
    in_turns = code_incomplete(frame, X, groups)
    assert in_turns.gap.max() <= 1e-6
    for ours, theirs in zip(in_turns[:3], by_paths[:3], strict=True):
        assert_allclose(ours, theirs, atol=1e-5)


def test_turns_of_few_outliers_take_few_rounds(monkeypatch):
    rng = np.random.default_rng(0)
    W = nearest_tight_frame(rng.standard_normal((5, 400)))
    X = rng.standard_normal((4, 5)) @ W + 0.1 * rng.standard_normal((4, 400))
    X[:, :8] += 30
    X[:, 8:16] = np.nan
    monkeypatch.setattr(incomplete_rows, "ROUNDS", 25)
    monkeypatch.setattr(incomplete_rows, "TOO_MANY", 0)
    for alpha in (0.0, 1e-6, 0.2):
        bounds = np.full(400, 2.2 / 20)
        frame = TightFrame(W, np.full(5, alpha), False, None, bounds)
        assert code_incomplete(frame, X, np.array([0, 2, 4])).gap.max() <= 1e-6


@each_outliers
@each_sign
def test_newton_finds_what_turns_find(outliers, positive, monkeypatch):
    rng = np.random.default_rng(0)
    W = nearest_tight_frame(rng.standard_normal((5, 300)))
    X = rng.standard_normal((3, 5)) @ W + 0.1 * rng.standard_normal((3, 300))
    X[:, :8], X[:, 8:16] = 30, np.nan
    bounds = np.full(300, 2.2 / np.sqrt(300)) if outliers else None
    frame = TightFrame(W, np.full(5, 0.1), positive, None, bounds)
    monkeypatch.setattr(incomplete_rows, "TOO_MANY", 0)
    found = []
    for n_rounds, n_steps in ((1, 40), (100, 1)):
        monkeypatch.setattr(incomplete_rows, "FEW_ROUNDS", n_rounds)
        monkeypatch.setattr(newton, "STEPS", n_steps)
        found.append(code_incomplete(frame, X, np.arange(4)))
        assert found[-1].gap.max() <= 1e-6
    assert_allclose(found[0].Z, found[1].Z, atol=1e-5)
    assert_allclose(found[0].clean, found[1].clean, atol=1e-5)
