"""The pull-back of the shrinkage, against finite differences and a numpy oracle."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.algorithms.shrinkage import pull_back_groups, shrink_groups
from tests import oracles

# Central differences with a step of 1e-6: 1e-10 of rounding, 1e-12 of curvature, both
# enlarged by the room 1 - k alpha^2 to its third power, .05 at least below.
CLOSE = {"rtol": 1e-6, "atol": 1e-6}
N_ROWS, N_UNITS = 5, 7
RNG = np.random.default_rng(0)
U, G = RNG.standard_normal((2, N_ROWS, N_UNITS))
REST = RNG.uniform(0.2, 1, N_ROWS)
PENALTIES = {
    "scalar": np.full(N_UNITS, 0.35),
    "per_unit": RNG.uniform(0.2, 0.5, N_UNITS),
}
GROUPS = {"rows": np.arange(N_ROWS + 1), "groups": np.array([0, 2, N_ROWS])}

each_case = pytest.mark.parametrize(
    ("alpha", "groups", "positive"),
    [
        pytest.param(a, r, positive, id=f"{name}-{kind}-{sign}")
        for name, a in PENALTIES.items()
        for kind, r in GROUPS.items()
        for sign, positive in (("signed", False), ("positive", True))
    ],
)


def shrink(U, outside, alpha, positive, groups):
    out, level = np.empty_like(U), np.empty(len(U), U.dtype)
    steps = np.empty((2, 4))
    shrink_groups(U, outside, alpha, positive, groups, steps, out, level)
    return out, level


def pull_back(U, outside, alpha, positive, groups, G, min_slack=1e-9):
    """Return the gradients with respect to U, outside and alpha."""
    level = shrink(U, outside, alpha, positive, groups)[1]
    by_u, by_rest = np.empty_like(U), np.empty_like(outside)
    by_alpha, room = np.zeros_like(alpha), U.dtype.type(min_slack)
    given = (U, outside, alpha, positive, groups, level, room, G)
    pull_back_groups(*given, by_u, by_rest, by_alpha)
    return by_u, by_rest, by_alpha


@each_case
def test_gradient_by_rows(alpha, groups, positive):
    def loss(u):
        return np.sum(G * shrink(u, REST, alpha, positive, groups)[0])

    ours = pull_back(U, REST, alpha, positive, groups, G)[0]
    assert_allclose(ours, oracles.gradient(loss, U), **CLOSE)


@each_case
def test_gradient_by_energy_out_of_reach(alpha, groups, positive):
    def loss(outside):
        return np.sum(G * shrink(U, outside, alpha, positive, groups)[0])

    ours = pull_back(U, REST, alpha, positive, groups, G)[1]
    assert_allclose(ours, oracles.gradient(loss, REST), **CLOSE)


@each_case
def test_gradient_by_penalty(alpha, groups, positive):
    def loss(a):
        return np.sum(G * shrink(U, REST, a, positive, groups)[0])

    ours = pull_back(U, REST, alpha, positive, groups, G)[2]
    assert_allclose(ours, oracles.gradient(loss, alpha), **CLOSE)


@each_case
def test_every_gradient_is_not_zero(alpha, groups, positive):
    for part in pull_back(U, REST, alpha, positive, groups, G):
        assert np.count_nonzero(part) > part.size // 2


@each_case
@pytest.mark.parametrize("min_slack", [0.05, 0.9, 1.0])
def test_the_room_is_bounded_from_below(alpha, groups, positive, min_slack):
    level = shrink(U, REST, alpha, positive, groups)[1]
    ours = pull_back(U, REST, alpha, positive, groups, G, min_slack)
    for lo, hi in pairwise(groups):
        run = slice(lo, hi)
        naive = oracles.pull_back(
            U[run], alpha, REST[run], level[lo], G[run], positive, min_slack
        )
        assert_allclose(ours[0][run], naive[0], rtol=1e-12, atol=1e-14)
        assert_allclose(ours[1][run], naive[1], rtol=1e-12, atol=1e-14)


def test_the_map_is_less_steep_with_more_room():
    alpha, groups = PENALTIES["scalar"], GROUPS["rows"]
    by_rest = [
        np.abs(pull_back(U, REST, alpha, False, groups, G, room)[1])
        for room in (1e-9, 0.6, 1.0)
    ]
    assert np.all(by_rest[0] >= by_rest[1])
    assert np.all(by_rest[1] >= by_rest[2])
    assert np.any(by_rest[0] > by_rest[2])


def test_penalty_gradients_add_over_runs():
    alpha, outside = PENALTIES["per_unit"], REST
    whole = pull_back(U, outside, alpha, False, GROUPS["rows"], G)[2]
    single = np.array([0, 1])
    parts = [
        pull_back(U[b : b + 1], outside[b : b + 1], alpha, False, single, G[b : b + 1])[
            2
        ]
        for b in range(N_ROWS)
    ]
    assert_allclose(whole, np.sum(parts, axis=0), rtol=1e-12)


def test_a_row_kept_whole_passes_its_gradient_through():
    nothing = np.zeros(N_ROWS)
    alpha = np.full(N_UNITS, 0.9 * N_UNITS**-0.5)
    by_u, by_rest, by_alpha = pull_back(U, nothing, alpha, False, GROUPS["rows"], G)
    assert_array_equal(by_u, G)
    assert_array_equal(by_rest, 0)
    assert_array_equal(by_alpha, 0)


def test_a_row_coded_by_zero_has_no_gradient():
    alpha = np.ones(N_UNITS)
    for part in pull_back(U, REST, alpha, False, GROUPS["rows"], G):
        assert_array_equal(part, 0)


def test_rows_of_zeros_have_finite_gradients():
    nothing, alpha = np.zeros_like(U), PENALTIES["scalar"]
    for part in pull_back(nothing, 0 * REST, alpha, False, GROUPS["groups"], G):
        assert np.isfinite(part).all()


def test_penalty_gradients_are_left_out_on_request():
    level = shrink(U, REST, PENALTIES["scalar"], False, GROUPS["rows"])[1]
    by_u, by_rest, nothing = np.empty_like(U), np.empty_like(REST), np.empty(0)
    given = (U, REST, PENALTIES["scalar"], False, GROUPS["rows"], level, 1e-9, G)
    pull_back_groups(*given, by_u, by_rest, nothing)
    ours = pull_back(U, REST, PENALTIES["scalar"], False, GROUPS["rows"], G)
    assert_array_equal(by_u, ours[0])
    assert_array_equal(by_rest, ours[1])


@pytest.mark.parametrize("scale", [2.0**-400, 2.0**400])
def test_gradients_by_rows_are_pure_numbers(scale):
    alpha, groups = PENALTIES["scalar"], GROUPS["groups"]
    ours = pull_back(U, REST, alpha, False, groups, G)
    by_scale = pull_back(scale * U, scale * REST, alpha, False, groups, G)
    assert_array_equal(by_scale[0], ours[0])
    assert_array_equal(by_scale[1], ours[1])
    assert_array_equal(by_scale[2], scale * ours[2])


def test_single_precision_follows_double():
    high = pull_back(U, REST, PENALTIES["scalar"], False, GROUPS["groups"], G)
    low = [np.asarray(x, "f4") for x in (U, REST, PENALTIES["scalar"], G)]
    low = pull_back(*low[:3], False, GROUPS["groups"], low[3])
    for ours, best in zip(low, high, strict=True):
        assert ours.dtype == np.float32
        # sums of 35 terms, over a room of .05 at least: 35 / .05 roundings of 6e-8
        assert_allclose(ours, best, rtol=0, atol=5e-5 * np.abs(best).max())
