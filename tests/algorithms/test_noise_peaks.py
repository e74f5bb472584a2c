"""The law of peaks of noise, against plain sums and searches."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import brentq

from sklearn_sqrtlasso.algorithms.noise_peaks import combine_with_leaders, peak_level
from sklearn_sqrtlasso.regression.noise_peaks import tail_of

TAIL = tail_of(300, 0.05, 1.0)


def union_bound(log_norms, counts, log_t):
    return counts @ TAIL.probabilities(log_t - log_norms)


@pytest.mark.parametrize("spread", [0.0, 1e-3, 0.2, 3.0])
@pytest.mark.parametrize("goal", [0.05, 0.3])
def test_the_union_bound_has_its_value_at_the_level(spread, goal):
    counts = np.array([7, 12, 40, 3])
    log_norms = 2 - spread * np.arange(4.0)
    log_t, slope = peak_level(*TAIL.law, log_norms, counts, np.log(goal))
    assert_allclose(union_bound(log_norms, counts, log_t), goal, rtol=1e-5)
    fall = union_bound(log_norms, counts, log_t) / union_bound(
        log_norms, counts, log_t + 1e-3
    )
    assert_allclose(slope, np.log(fall) / 1e-3, rtol=1e-3)


def test_a_level_above_the_largest_column_is_that_column():
    log_t, _ = peak_level(*TAIL.law, np.zeros(1), np.array([1]), np.log(0.05))
    assert_allclose(np.exp(TAIL.logs[0]), 0.05)
    assert_allclose(log_t, TAIL.log_levels[0])


def test_draws_have_a_leader_above_the_threshold():
    """Of unit energy, and as far above as the exponential law says."""
    rng, n, length = np.random.default_rng(0), 8, 20
    noise, columns = rng.standard_normal((2, n, length)).astype(np.float32)
    columns /= np.linalg.norm(columns, axis=1, keepdims=True)
    vectors, unseen = np.concatenate([noise, columns]), rng.chisquare(280, n)
    log_norms, order = rng.uniform(0, 0.1, n), rng.permutation(n)
    rates, log_t = rng.exponential(size=(n, 3)), TAIL.log_levels[0] + 0.3
    places, factors = np.empty((n, 4, 2), np.intp), np.empty((n, 4, 2), np.float32)
    given = unseen, log_norms, order, rates
    combine_with_leaders(*TAIL.law, log_t, vectors, *given, places, factors)
    draws = np.einsum("iak,iakj->iaj", factors.astype(float), vectors[places])
    energies = (draws**2).sum(axis=2) + unseen[:, None] * factors[..., 0] ** 2
    assert_allclose(energies, 1, rtol=1e-5)
    assert np.all(places[..., 0] == np.arange(n)[:, None])
    leaders = places[:, 1:, 1] - n
    assert all(len(set(row)) == 3 for row in leaders)
    assert np.all(np.bincount(leaders.ravel()) == 3)
    along = np.einsum("iaj,iaj->ia", draws[:, 1:], columns[leaders])
    least = np.log(TAIL.probabilities(log_t - log_norms[leaders])) - rates
    wanted = [
        [
            brentq(lambda x, c=c: np.log(TAIL.probabilities(x)) - c, -3, -0.01)
            for c in row
        ]
        for row in least
    ]
    assert_allclose(np.log(along), wanted, atol=1e-5)
