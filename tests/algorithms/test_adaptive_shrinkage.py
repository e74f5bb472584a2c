"""The adaptive shrinkage and its pull-back, against numpy and finite differences."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.algorithms.adaptive_shrinkage import (
    FLOOR,
    pull_back_adaptively,
    shrink_adaptively,
)
from tests import oracles

N_ROWS, N_UNITS = 6, 7
RNG = np.random.default_rng(0)
U, G = RNG.standard_normal((2, N_ROWS, N_UNITS))
ALPHA, KAPPA = RNG.uniform(0.3, 0.6, N_UNITS), RNG.uniform(0.2, 0.8, N_UNITS)
GROUPS = {"rows": np.arange(N_ROWS + 1), "groups": np.array([0, 2, N_ROWS])}

each_grouping = pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
each_sign = pytest.mark.parametrize("positive", [False, True])


def scales(U, alpha, positive, groups):
    """Return the residual scale of each row's group, by the twin."""
    parts = [
        np.full(hi - lo, oracles.shrinkage_scale(U[lo:hi], alpha, 0.0, positive))
        for lo, hi in pairwise(groups)
    ]
    return np.concatenate(parts).astype(U.dtype)


def shrink(U, kappa, positive, scale):
    out = np.empty_like(U)
    shrink_adaptively(U, kappa, positive, scale, out)
    return out


def twin(U, alpha, kappa, positive, groups):
    parts = [
        oracles.shrink_adaptively(U[lo:hi], alpha, kappa, FLOOR, positive)
        for lo, hi in pairwise(groups)
    ]
    return np.vstack(parts)


def pull_back(U, alpha, kappa, positive, groups, G, min_slack=1e-9):
    """Return the gradients with respect to U, alpha and kappa."""
    scale = scales(U, alpha, positive, groups)
    out, by_alpha, by_kappa = np.empty_like(U), 0 * alpha, 0 * kappa
    given = (U, alpha, kappa, positive, groups, scale, min_slack, G)
    pull_back_adaptively(*given, out, by_alpha, by_kappa)
    return out, by_alpha, by_kappa


@each_grouping
@each_sign
def test_codes_are_those_of_the_twin(positive, groups):
    Z = shrink(U, KAPPA, positive, scales(U, ALPHA, positive, groups))
    assert 0 < np.count_nonzero(Z) < Z.size
    assert_allclose(Z, twin(U, ALPHA, KAPPA, positive, groups), atol=1e-14)


@each_grouping
@each_sign
def test_gradients_are_finite_differences_of_the_twin(positive, groups):
    ours = pull_back(U, ALPHA, KAPPA, positive, groups, G)
    given = [U, ALPHA, KAPPA]
    for place in range(3):

        def loss(x, place=place):
            changed = [*given[:place], x, *given[place + 1 :]]
            return np.sum(G * twin(*changed, positive, groups))

        # central differences with a step of 1e-6: 1e-10 of rounding
        theirs = oracles.gradient(loss, given[place])
        assert_allclose(ours[place], theirs, rtol=1e-6, atol=1e-7)


def test_rows_far_above_the_noise_are_shrunk_less():
    rows = np.array([[3.0, 0.0], [30.0, 0.0]])
    lost = rows - shrink(rows, np.full(2, 0.5), False, np.ones(2))
    assert 0 < lost[1, 0] < 0.2 * lost[0, 0]


@pytest.mark.parametrize("scale", [2.0**-400, 2.0**-9, 2.0**400])
def test_scaling_rows_and_noise_scales_codes(scale):
    t = scales(U, ALPHA, False, GROUPS["groups"])
    ours = shrink(scale * U, KAPPA, False, scale * t)
    # the row is divided by its scale: by a multiplication with the rounded inverse
    assert_allclose(ours, scale * shrink(U, KAPPA, False, t), rtol=1e-13)


def test_rows_coded_exactly_pass_their_gradient_through():
    t = np.zeros(N_ROWS)
    assert_array_equal(shrink(U, KAPPA, False, t), U)
    out, by_alpha, by_kappa = np.empty_like(U), np.zeros(N_UNITS), np.zeros(N_UNITS)
    given = (U, ALPHA, KAPPA, False, GROUPS["rows"], t, 1e-9, G)
    pull_back_adaptively(*given, out, by_alpha, by_kappa)
    assert_array_equal(out, G)
    assert not by_alpha.any()
    assert not by_kappa.any()


def test_more_slack_makes_the_map_less_steep():
    sizes = [
        np.abs(pull_back(U, ALPHA, KAPPA, False, GROUPS["rows"], G, slack)[1]).sum()
        for slack in (1e-9, 0.7, 1.0)
    ]
    assert sizes[0] > sizes[1] > sizes[2] > 0


@each_sign
def test_single_precision_follows_double(positive):
    groups = GROUPS["groups"]
    high = pull_back(U, ALPHA, KAPPA, positive, groups, G)
    U4, alpha, kappa, G4 = (x.astype("f4") for x in (U, ALPHA, KAPPA, G))
    low = pull_back(U4, alpha, kappa, positive, groups, G4)
    for ours, best in zip(low, high, strict=True):
        assert ours.dtype == np.float32
        # sums of 42 terms, over a slack of .05 at least: 42 / .05 roundings of 6e-8
        assert_allclose(ours, best, rtol=0, atol=5e-5 * np.abs(best).max())
