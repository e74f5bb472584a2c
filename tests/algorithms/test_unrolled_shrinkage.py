"""Unrolled proximal steps and their pull-back, against numpy and differences."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.algorithms.unrolled_shrinkage import (
    pull_back_steps,
    shrink_by_steps,
)
from tests import oracles, sized

N_ROWS, N_UNITS, N_STEPS = 6, 7, 5
RNG = np.random.default_rng(0)
U, G = RNG.standard_normal((2, N_ROWS, N_UNITS))
ALPHA, PACE = RNG.uniform(0.3, 0.6, N_UNITS), np.array([0.8, 0.3])
GROUPS = {"rows": np.arange(N_ROWS + 1), "groups": np.array([0, 2, N_ROWS])}

each_grouping = pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
each_sign = pytest.mark.parametrize("positive", [False, True])


def take_steps(U, alpha, pace, positive, groups, n_steps=N_STEPS):
    path = np.empty((n_steps + 1, *U.shape), U.dtype)
    scales = np.empty((n_steps, len(U)), U.dtype)
    shrink_by_steps(U, alpha, *pace, positive, groups, path, scales)
    return path, scales


def twin(U, alpha, pace, positive, groups, n_steps=N_STEPS):
    parts = [
        oracles.shrink_by_steps(U[lo:hi], alpha, *pace, n_steps, positive)
        for lo, hi in pairwise(groups)
    ]
    return np.vstack(parts)


def pull_back(U, alpha, pace, positive, groups, G):
    """Return the gradients with respect to U, alpha and the pace."""
    memory = take_steps(U, alpha, pace, positive, groups)
    out, by_alpha, by_pace = np.empty_like(U), 0 * alpha, np.zeros(2)
    pull_back_steps(U, alpha, *pace, groups, *memory, G, out, by_alpha, by_pace)
    return out, by_alpha, by_pace


@each_grouping
@each_sign
def test_every_iterate_is_that_of_the_twin(positive, groups):
    path, _ = take_steps(U, ALPHA, PACE, positive, groups)
    assert 0 < np.count_nonzero(path[-1]) < U.size
    for n_steps, Z in enumerate(path):
        best = twin(U, ALPHA, PACE, positive, groups, n_steps)
        assert_allclose(Z, best, atol=1e-13)


@each_grouping
@each_sign
def test_gradients_are_finite_differences_of_the_twin(positive, groups):
    ours = pull_back(U, ALPHA, PACE, positive, groups, G)
    given = [U, ALPHA, PACE]
    for place in range(3):

        def loss(x, place=place):
            changed = [*given[:place], x, *given[place + 1 :]]
            return np.sum(G * twin(*changed, positive, groups))

        # central differences with a step of 1e-6: 1e-10 of rounding
        theirs = oracles.gradient(loss, given[place])
        assert_allclose(ours[place], theirs, rtol=1e-6, atol=1e-7)


@each_grouping
def test_the_scale_of_a_first_step_is_that_of_the_rows(groups):
    _, scales = take_steps(U, ALPHA, PACE, False, groups)
    for lo, hi in pairwise(groups):
        t = oracles.residual_scale(0 * U[lo:hi], U[lo:hi])
        assert_allclose(scales[0, lo:hi], t, rtol=1e-14)


@each_grouping
@each_sign
def test_many_short_steps_lead_to_the_exact_code(positive, groups):
    # steps come to rest where their length is below 2 t, and t is 0.6 at least here
    path, _ = take_steps(U, ALPHA, (0.4, 0.0), positive, groups, sized(2000, 500))
    parts = [
        oracles.shrink(U[lo:hi], ALPHA, 0.0, positive) for lo, hi in pairwise(groups)
    ]
    assert_allclose(path[-1], np.vstack(parts), atol=1e-9)


def test_rows_of_zeros_stay_zero_and_have_finite_gradients():
    groups = GROUPS["rows"]
    path, scales = take_steps(0 * U, ALPHA, PACE, False, groups)
    assert not path.any()
    assert not scales.any()
    for part in pull_back(0 * U, ALPHA, PACE, False, groups, G):
        assert np.isfinite(part).all()


def test_a_gradient_of_zeros_is_pulled_back_to_zeros():
    for part in pull_back(U, ALPHA, PACE, False, GROUPS["groups"], 0 * G):
        assert_array_equal(part, 0)


def test_single_precision_follows_double():
    high = pull_back(U, ALPHA, PACE, False, GROUPS["groups"], G)
    low = [x.astype("f4") for x in (U, ALPHA, G)]
    low = pull_back(*low[:2], PACE, False, GROUPS["groups"], low[2])
    for ours, best in zip(low, high, strict=True):
        # sums of 42 terms in each of five steps: some hundred roundings of 6e-8
        assert_allclose(ours, best, rtol=0, atol=5e-5 * np.abs(best).max())


@pytest.mark.parametrize("exponent", [-1000, -600, -500, 500, 600, 1000])
@each_grouping
def test_rows_and_steps_in_another_unit_have_codes_and_gradients_in_it(
    exponent, groups
):
    unit = 2.0**exponent
    other = np.ldexp(U, exponent), ALPHA, PACE * [unit, 1]
    path, scales = take_steps(U, ALPHA, PACE, False, groups)
    far_path, far_scales = take_steps(*other, False, groups)
    assert_array_equal(far_path, np.ldexp(path, exponent))
    assert_array_equal(far_scales, np.ldexp(scales, exponent))
    by_u, by_alpha, by_pace = pull_back(U, ALPHA, PACE, False, groups, G)
    far_u, far_alpha, far_pace = pull_back(*other, False, groups, G)
    assert_array_equal(far_u, by_u)
    assert_array_equal(far_alpha, np.ldexp(by_alpha, exponent))
    assert_array_equal(far_pace, by_pace * [1, unit])


@pytest.mark.parametrize("exponent", [-100, 100])
def test_rows_in_single_precision_have_any_unit_too(exponent):
    rows, alpha, groups = np.float32(U), np.float32(ALPHA), GROUPS["groups"]
    path, _ = take_steps(rows, alpha, PACE, False, groups)
    far = PACE * [2.0**exponent, 1]
    far_path, _ = take_steps(np.ldexp(rows, exponent), alpha, far, False, groups)
    assert_array_equal(far_path, np.ldexp(path, exponent))
