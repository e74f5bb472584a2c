"""The gap of shrunk codes bounds what they lack, and closes where they lack nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.blockwise.encode import encode
from sklearn_sqrtlasso.blockwise.groups import groups_of_labels, one_group
from sklearn_sqrtlasso.models.activations import ACTIVATIONS
from sklearn_sqrtlasso.models.encoders import LayerEncoder
from sklearn_sqrtlasso.sparse_coding.shrinkage_gap import gaps_of_rows, shrinkage_gap
from tests import oracles

EPS = np.finfo(np.float64).eps
ROUNDING = 100 * EPS  # sums of at most 40 products, with few roundings each

each_sign = pytest.mark.parametrize("positive", [False, True])


def make_group(n_rows, n_components, seed, positive):
    """Return a group: what is shrunk, a penalty for each unit, and norms outside."""
    rng = np.random.default_rng(seed)
    U = rng.standard_normal((n_rows, n_components))
    U[:, rng.random(n_components) < 0.3] *= 10.0
    alpha = rng.uniform(0.05, 0.9, n_components) * (rng.random(n_components) < 0.8)
    outside = np.abs(rng.standard_normal(n_rows)) * rng.integers(0, 2)
    return U, alpha, outside, positive


groups = st.builds(
    make_group, st.integers(1, 5), st.integers(1, 8), st.integers(0, 999), st.booleans()
)


def any_codes(U, seed, positive):
    """Return codes that minimise nothing, some of them zero."""
    rng = np.random.default_rng(seed)
    Z = rng.uniform(-0.5, 1.5, U.shape) * U * (rng.random(U.shape) < 0.6)
    return np.maximum(Z, 0) if positive else Z


def gap(U, Z, alpha, outside, positive):
    groups = one_group(len(U))
    return shrinkage_gap(U, Z, alpha, outside, positive=positive, groups=groups)[0]


def twin(U, Z, alpha, outside, positive):
    """Return the gap of a group by its definition, from whole arrays."""
    R, signs = U - Z, alpha * np.sign(Z)
    inactive, slack = np.where(Z != 0, 0, R), len(U) - np.sum(signs**2)
    rest = np.sqrt(np.sum(inactive**2) + np.sum(outside**2))
    t = rest / np.sqrt(slack) if slack > 0 else oracles.residual_scale(Z, U, outside)
    points = (R, outside), (signs, 0 * outside), (inactive + t * signs, outside)
    dual = [dual_value(U, outside, *point, alpha, positive) for point in points]
    size = oracles.residual_scale(0 * U, U, outside)
    return (oracles.objective(Z, U, alpha, outside) - max(dual)) / size


def dual_value(U, outside, theta, theta_0, alpha, positive):
    """Scale a point onto the border of the dual's feasible set; return its value."""
    size = np.maximum(theta, 0) if positive else np.abs(theta)
    binding = size > 0
    if np.any(alpha[np.nonzero(binding)[1]] == 0):
        return 0.0
    pull = (size / np.where(alpha > 0, alpha, 1)).max()
    norm = np.sqrt((np.sum(theta**2) + np.sum(theta_0**2)) / len(U))
    scale = len(U) * max(norm, pull)
    return (np.sum(U * theta) + outside @ theta_0) / scale if scale > 0 else 0.0


def rounding(U, Z, alpha, outside):
    """Return the rounding of a gap: that of the objective, in its unit."""
    size = oracles.residual_scale(0 * U, U, outside)
    return ROUNDING * max(1, oracles.objective(Z, U, alpha, outside) / size)


@given(groups, st.integers(0, 999))
def test_the_gap_is_that_of_whole_arrays(group, seed):
    U, alpha, outside, positive = group
    for Z in (any_codes(U, seed, positive), oracles.shrink(*group)):
        expected = twin(U, Z, alpha, outside, positive)
        atol = rounding(U, Z, alpha, outside)
        assert_allclose(gap(U, Z, *group[1:]), expected, rtol=0, atol=atol)


@given(groups, st.integers(0, 999))
def test_the_gap_bounds_what_codes_lack(group, seed):
    U, alpha, outside, positive = group
    Z, size = any_codes(U, seed, positive), oracles.residual_scale(0 * U, U, outside)
    best = oracles.objective(oracles.shrink(*group), U, alpha, outside)
    lacks = (oracles.objective(Z, U, alpha, outside) - best) / size
    atol = rounding(U, Z, alpha, outside)
    assert -atol <= lacks <= gap(U, Z, *group[1:]) + atol


@given(groups)
def test_the_gap_closes_for_exact_codes(group):
    # a dual point is feasible up to the rounding of u over alpha, which is 1/20 or 0
    assert abs(gap(group[0], oracles.shrink(*group), *group[1:])) <= 20 * ROUNDING


@each_sign
@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-9, 1e9, 1e160, 1e300])
def test_the_gap_closes_at_any_scale(scale, positive):
    U, alpha, outside, _ = group = make_group(4, 6, 2, positive)
    Z = oracles.shrink(*group)
    assert 0 < np.count_nonzero(Z) < Z.size
    assert abs(gap(scale * U, scale * Z, alpha, scale * outside, positive)) <= ROUNDING


@given(groups, st.integers(0, 99), st.integers(-960, 960))
def test_powers_of_two_change_no_bit_of_the_gap(group, seed, exponent):
    U, alpha, outside, positive = group
    Z, c = any_codes(U, seed, positive), 2.0**exponent
    scaled = gap(c * U, c * Z, alpha, c * outside, positive)
    assert scaled == gap(U, Z, alpha, outside, positive)


@each_sign
def test_the_gap_closes_for_rows_of_very_different_size(positive):
    U, alpha, outside, _ = make_group(4, 6, 2, positive)
    U, outside = ([1e-100, 1e100, 1.0, 1e-200] * of.T for of in (U, outside))
    Z = oracles.shrink(U.T, alpha, outside, positive)
    assert Z[1].any()
    assert not Z[[0, 2, 3]][:, alpha > 0].any()
    assert abs(gap(U.T, Z, alpha, outside, positive)) <= ROUNDING
    assert gap(U.T, 0 * Z, alpha, outside, positive) > 0.01


@given(groups, st.integers(0, 999))
def test_the_order_of_rows_does_not_matter(group, seed):
    U, alpha, outside, positive = group
    Z = any_codes(U, seed, positive)
    order = np.random.default_rng(seed).permutation(len(U))
    shuffled = gap(U[order], Z[order], alpha, outside[order], positive)
    atol = rounding(U, Z, alpha, outside)
    assert_allclose(shuffled, gap(U, Z, *group[1:]), rtol=0, atol=atol)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=9), st.integers(0, 999))
def test_labels_may_be_spread_over_the_rows(labels, seed):
    U, alpha, outside, positive = make_group(len(labels), 4, seed, seed % 2 == 0)
    Z, labels = any_codes(U, seed, positive), np.array(labels)
    options = {"positive": positive, "groups": groups_of_labels(labels)}
    found = sorted(shrinkage_gap(U, Z, alpha, outside, **options))
    on = [labels == label for label in np.unique(labels)]
    alone = sorted(gap(U[i], Z[i], alpha, outside[i], positive) for i in on)
    assert_allclose(found, alone, rtol=0, atol=ROUNDING * max(1, *alone))


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_rows_of_zeros_have_no_gap(alpha):
    Z = np.zeros((2, 3))
    assert_array_equal(shrinkage_gap(Z, Z, alpha, groups=one_group(2)), [0.0])
    assert_array_equal(shrinkage_gap(Z, Z, alpha), [0.0, 0.0])


class EncoderOfShortBlocks(LayerEncoder):
    """A layer that codes three rows at a time, whatever fits the cache."""

    def rows_per_block(self, width):
        return 3


LABELS = {
    "alone": np.arange(12),
    "runs": np.repeat([0, 1, 2], [2, 3, 7]),
    "spread": np.array([0, 1, 2, 1, 1, 0, 1, 2, 1, 1, 3, 0]),
}


@each_sign
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("activation", ["nelu", "nelu_adaptive"])
def test_gaps_of_rows_are_those_of_projected_rows(activation, labels, positive):
    rng = np.random.default_rng(0)
    X, W = rng.standard_normal((12, 5)), rng.standard_normal((4, 5))
    p = {"alpha": np.array([0.8, 0.0, 0.6, 0.9]), "kappa": np.full(4, 0.5)}
    encoder = EncoderOfShortBlocks(W, positive, ACTIVATIONS[activation], p)
    groups = groups_of_labels(labels)
    U, Z, gaps = X @ W.T, encode(X, encoder, groups)[0], []
    for n_jobs in (1, 2):
        found = gaps_of_rows(X, encoder, groups, n_jobs=n_jobs)
        for label in np.unique(labels):
            on = labels == label
            gaps.append(gap(U[on], Z[on], p["alpha"], np.zeros(on.sum()), positive))
            assert_allclose(found[on], gaps[-1], rtol=0, atol=ROUNDING)
    assert (max(gaps) > 0.01) == (activation == "nelu_adaptive")
