"""Exact shrinkage and its pull-back, against copies of the same arrays."""

import numpy as np
import pytest

from sklearn_sqrtlasso.algorithms.shrinkage import pull_back_groups, shrink_groups
from sklearn_sqrtlasso.sparse_coding.row_thresholds import N_TURNS
from tests import oracles

N_ROWS, N_UNITS, N_ACTIVE, ALPHA = 100_000, 256, 6, 0.25
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])
STEPS = np.empty((N_TURNS, 4))


def sparse_rows(n_rows, dtype):
    rng = np.random.default_rng(0)
    U = 0.1 * rng.standard_normal((n_rows, N_UNITS))
    places = rng.integers(0, N_UNITS, (n_rows, N_ACTIVE))
    U[np.arange(n_rows)[:, None], places] += rng.choice([-1, 1], places.shape) * 1.5
    return U.astype(dtype)


@each_dtype
def test_shrinkage(race, dtype):
    U = sparse_rows(N_ROWS, dtype)
    alpha, outside = np.full(N_UNITS, ALPHA, dtype), np.zeros(N_ROWS, dtype)
    groups, level, given = (
        np.arange(N_ROWS + 1),
        np.empty(N_ROWS, dtype),
        np.empty_like(U),
    )

    def shrink(out):
        shrink_groups(U, outside, alpha, False, groups, STEPS, out, level)

    race(
        lambda: shrink(given),
        allocating_copy=U.copy,
        copy=lambda: np.copyto(given, U),
        with_allocation=lambda: shrink(np.empty_like(U)),
        target="1.5 x allocating copy",
    )


@each_dtype
def test_pull_back(race, dtype):
    U = sparse_rows(N_ROWS, dtype)
    alpha, outside = np.full(N_UNITS, ALPHA, dtype), np.zeros(N_ROWS, dtype)
    groups, level, out = (
        np.arange(N_ROWS + 1),
        np.empty(N_ROWS, dtype),
        np.empty_like(U),
    )
    shrink_groups(U, outside, alpha, False, groups, STEPS, out, level)
    G, out_rest, none = U[::-1].copy(), np.empty_like(outside), np.empty(0)

    def pull_back():
        pull_back_groups(
            U, outside, alpha, False, groups, level, 1e-3, G, out, out_rest, none
        )

    race(pull_back, allocating_copy=U.copy, target="1.5 x allocating copy")


def test_shrinkage_against_numpy(race):
    U = sparse_rows(300, np.float64)
    alpha, outside = np.full(N_UNITS, ALPHA), np.zeros(len(U))
    groups, level, out = np.arange(len(U) + 1), np.empty(len(U)), np.empty_like(U)

    def by_sorting():
        """Solve all rows at once in numpy, by sorting and cumulative sums."""
        squares = np.sort(U**2, axis=1)[:, ::-1]
        tails = np.cumsum(squares[:, ::-1], axis=1)[:, ::-1]
        k = np.arange(N_UNITS)
        with np.errstate(divide="ignore", invalid="ignore"):
            roots = ALPHA**2 * tails / (1 - k * ALPHA**2)
        fits = (roots >= squares) & (k * ALPHA**2 < 1)
        root = np.take_along_axis(roots, fits.argmax(axis=1)[:, None], axis=1)
        return np.sign(U) * np.maximum(np.abs(U) - np.sqrt(root), 0)

    shrink_groups(U, outside, alpha, False, groups, STEPS, out, level)
    np.testing.assert_allclose(out, by_sorting(), atol=1e-12)
    race(
        lambda: shrink_groups(U, outside, alpha, False, groups, STEPS, out, level),
        numpy_by_sorting=by_sorting,
        numpy_by_bisection=lambda: [oracles.shrink(u[None], ALPHA) for u in U],
    )
