"""Every activation: its pull-back, its scale, and what groups and levels mean to it."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.models.activations import (
    ACTIVATIONS,
    ProjectedRows,
    n_kept,
    unrolled,
)
from sklearn_sqrtlasso.models.pointwise import HELU_WIDTH, SIGN_WIDTH
from tests import oracles

STEP = 1e-6  # of central differences, whose own error is of order STEP^2
EPS, EPS_4 = np.finfo(np.float64).eps, np.finfo(np.float32).eps
N_UNITS = 7
GROUPS = np.array([0, 1, 2, 5, 9])
ALL = {**ACTIVATIONS, "unrolled": unrolled(5)}
HOMOGENEOUS = ["nelu", "nelu_adaptive", "nelu_helu", "topk"]
POOLED = [name for name, activation in ALL.items() if activation.at_scale is not None]

each = pytest.mark.parametrize("name", ALL)
each_sign = pytest.mark.parametrize("positive", [False, True])


def make_rows(positive=False, seed=0, dtype="f8"):
    U = np.random.default_rng(seed).standard_normal((GROUPS[-1], N_UNITS))
    return ProjectedRows(U.astype(dtype), GROUPS, positive)


def parameters(name, dtype="f8"):
    rng = np.random.default_rng(1)
    p = {"alpha": rng.uniform(0.4, 0.6, N_UNITS)}
    if name == "topk":
        p["alpha"][:] = 0.55  # three of seven
    p |= {"kappa": rng.uniform(0.2, 0.6, N_UNITS)}
    p |= {"step": np.array([0.8]), "momentum": np.array([0.3])}
    return {key: p[key].astype(dtype) for key in ALL[name].parameters}


@pytest.mark.parametrize("name", [name for name in ALL if ALL[name].flat_at_zero])
@each_sign
def test_a_flat_activation_needs_no_gradient_by_zeros(name, positive):
    rows, p = make_rows(positive), parameters(name)
    G = np.random.default_rng(2).standard_normal(rows.U.shape)
    Z, memory = ALL[name].value(rows, p)
    assert 0 < np.count_nonzero(Z) < Z.size
    by_U, by_p = ALL[name].pull_back(rows, p, Z, memory, G)
    other = ALL[name].pull_back(rows, p, Z, memory, G * (Z != 0))
    assert_array_equal(by_U, other[0])
    for key, value in by_p.items():
        assert_array_equal(value, other[1][key])


@pytest.mark.parametrize("name", [name for name in ALL if not ALL[name].surrogate])
@each_sign
def test_the_pull_back_is_the_gradient(name, positive):
    rows, p = make_rows(positive), parameters(name)
    G = np.random.default_rng(2).standard_normal(rows.U.shape)
    Z, memory = ALL[name].value(rows, p)
    by_U, by_p = ALL[name].pull_back(rows, p, Z, memory, G)
    rounding = {"rtol": 0, "atol": EPS * np.abs(G * Z).sum() / STEP}  # of two losses

    def loss_of_U(U):
        return np.sum(G * ALL[name].value(rows._replace(U=U), p)[0])

    assert_allclose(by_U, oracles.gradient(loss_of_U, rows.U, STEP), **rounding)
    for key in p:

        def loss_of_p(value, key=key):
            return np.sum(G * ALL[name].value(rows, p | {key: value})[0])

        expected = oracles.gradient(loss_of_p, p[key], STEP)
        assert_allclose(by_p[key], expected, **rounding)


@each
@each_sign
def test_parts_of_a_batch_are_coded_alike(name, positive):
    rows, p = make_rows(positive), parameters(name)
    Z = ALL[name].value(rows, p)[0]
    parts = []
    for lo, hi in itertools.pairwise(GROUPS):
        part = ProjectedRows(rows.U[lo:hi], np.array([0, hi - lo]), positive)
        parts.append(ALL[name].value(part, p)[0])
    assert_array_equal(np.vstack(parts), Z)


@pytest.mark.parametrize("name", HOMOGENEOUS)
@given(exponent=st.integers(-400, 400), seed=st.integers(0, 9))
def test_codes_scale_with_the_rows_to_the_last_bit(name, exponent, seed):
    rows, p, c = make_rows(seed=seed), parameters(name), 2.0**exponent
    Z = ALL[name].value(rows, p)[0]
    assert_array_equal(ALL[name].value(rows._replace(U=c * rows.U), p)[0], c * Z)


@each
@each_sign
def test_single_precision_follows_double(name, positive):
    high = ALL[name].value(make_rows(positive), parameters(name))[0]
    rows = make_rows(positive, dtype="f4")
    low = ALL[name].value(rows, parameters(name, "f4"))[0]
    assert low.dtype == np.float32
    # u and alpha are rounded by half an EPS_4 of |u|, at most 2.9, and the residual
    # scale moves by less than they do: the slack of these rows is at least 0.2
    assert_allclose(low, high, rtol=0, atol=2.9 * EPS_4)


@pytest.mark.parametrize("name", POOLED)
@each_sign
def test_parts_of_a_group_are_coded_at_its_level(name, positive):
    rows, p = make_rows(positive), parameters(name)
    Z, level = ALL[name].value(rows, p)
    lo, hi = GROUPS[-2:]
    part = ProjectedRows(rows.U[lo:hi], np.array([0, hi - lo]), positive)
    assert_array_equal(ALL[name].at_scale(part, p, level[lo]), Z[lo:hi])


@each_sign
def test_nelu_is_the_shrinkage_of_the_oracle(positive):
    rows, p = make_rows(positive), parameters("nelu")
    Z = ACTIVATIONS["nelu"].value(rows, p)[0]
    for lo, hi in itertools.pairwise(GROUPS):
        best = oracles.shrink(rows.U[lo:hi], p["alpha"], positive=positive)
        assert_allclose(Z[lo:hi], best, rtol=0, atol=20 * EPS)  # |u| < 3, slack > 0.2


@each_sign
def test_the_adaptive_threshold_is_that_of_its_formula(positive):
    rows, p = make_rows(positive), parameters("nelu_adaptive")
    t = ACTIVATIONS["nelu"].value(rows, p)[1][:, None]
    norm = np.sqrt(np.sum(rows.U**2, axis=1, keepdims=True) + 0.05 * t**2)
    expected = oracles.soft(rows.U, p["kappa"] * t**2 / norm, positive)
    Z = ACTIVATIONS["nelu_adaptive"].value(rows, p)[0]
    assert_allclose(Z, expected, rtol=0, atol=4 * EPS * np.abs(rows.U).max())


def test_many_published_steps_reach_the_exact_shrinkage():
    rows, p = make_rows(), parameters("nelu")
    exact = ACTIVATIONS["nelu"].value(rows, p)[0]
    pace = {"step": np.array([0.3]), "momentum": np.array([0.0])}
    Z = unrolled(2000).value(rows, p | pace)[0]
    # a step goes a fiftieth of the way at least, so 1e-17 of it are left
    assert_allclose(Z, exact, rtol=0, atol=20 * EPS)


def test_published_steps_of_a_fixed_length_do_not_scale():
    rows, p = make_rows(), parameters("unrolled")
    Z = ALL["unrolled"].value(rows, p)[0]
    by_100 = ALL["unrolled"].value(rows._replace(U=100 * rows.U), p)[0]
    assert np.max(np.abs(by_100 / 100 - Z)) > 0.1  # of codes of order 1


def test_helu_learns_below_its_threshold_only_within_the_window():
    below = HELU_WIDTH * np.array([0.5, 1.5])
    rows = ProjectedRows(0.3 - below[None], np.array([0, 1]), False)
    p = {"alpha": np.full(2, 0.3)}
    Z, memory = ACTIVATIONS["helu"].value(rows, p)
    H = ACTIVATIONS["helu"].pull_back(rows, p, Z, memory, np.ones((1, 2)))[0]
    assert_array_equal(Z, [[0, 0]])
    assert_array_equal(H, [[1, 0]])


@each_sign
def test_the_window_of_nelu_follows_its_threshold(positive):
    U = np.random.default_rng(0).standard_normal((90, N_UNITS))
    rows, p = ProjectedRows(U, np.arange(0, 91, 3), positive), parameters("nelu")
    Z, level = ACTIVATIONS["nelu"].value(rows, p)
    G = np.ones_like(Z)
    plain = ACTIVATIONS["nelu"].pull_back(rows, p, Z, level, G)[0]
    ours = ACTIVATIONS["nelu_helu"].pull_back(rows, p, Z, level, G)[0]
    size = rows.U if positive else np.abs(rows.U)
    share = size / (p["alpha"] * level[:, None])
    near = (share <= 1) & (share > 1 - HELU_WIDTH)
    assert near.any()
    assert_array_equal(ours, plain + near)


def test_the_sign_learns_by_the_slope_of_a_tanh():
    rows, p = make_rows(), parameters("sign")
    Z, memory = ACTIVATIONS["sign"].value(rows, p)
    H, by_p = ACTIVATIONS["sign"].pull_back(rows, p, Z, memory, np.ones_like(Z))
    slope = 1 / np.cosh((rows.U - p["alpha"]) / SIGN_WIDTH) ** 2
    assert set(np.unique(Z)) == {-1, 1}
    assert_allclose(H, slope, rtol=0, atol=2 * EPS)  # 1 - tanh^2 of numbers below 1
    total = -slope.sum(axis=0)
    assert_allclose(by_p["alpha"], total, rtol=0, atol=2 * EPS * len(slope))


@pytest.mark.parametrize(("alpha", "k"), [(1.0, 1), (0.5, 4), (0.3, 11), (0.0, 20)])
def test_topk_keeps_as_many_as_nelu_may(alpha, k):
    rng = np.random.default_rng(0)
    U, p = rng.standard_normal((5, 20)), {"alpha": np.full(20, alpha)}
    Z = ACTIVATIONS["topk"].value(ProjectedRows(U, np.arange(6), False), p)[0]
    assert n_kept(p["alpha"], 20) == k
    assert_array_equal(np.count_nonzero(Z, axis=1), k)
    kept = np.sort(np.abs(U), axis=1)[:, -k]
    assert_array_equal(Z, np.where(np.abs(U) >= kept[:, None], U, 0))
