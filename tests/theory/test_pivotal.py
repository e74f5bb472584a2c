"""The pivotal penalty against simulation, and the promise of the recovery bound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.models.tight_frame import nearest_tight_frame
from sklearn_sqrtlasso.theory.limits import alpha_max
from sklearn_sqrtlasso.theory.pivotal import pivotal_alpha, recovery_bound
from tests import oracles

# Three standard errors of the 95 % quantile of 10 000 draws, relative to its value.
MONTE_CARLO = 0.015
SHAPES = [(64, 64), (256, 64), (100, 64), (16, 64), (63, 64), (1, 64)]
each_shape = pytest.mark.parametrize("shape", SHAPES)


def random_frame(shape):
    return nearest_tight_frame(np.random.default_rng(sum(shape)).standard_normal(shape))


def share_of_noise_coded_by_zero(W, alpha, n_rows=4000):
    X = np.random.default_rng(1).standard_normal((n_rows, W.shape[1]))
    U = X @ W.T
    outside = np.linalg.norm(X - U @ W, axis=1)
    return np.mean(alpha_max(U, outside) <= alpha)


@pytest.mark.parametrize(("d", "value"), [(100, 0.340), (121, 0.315), (1000, 0.128)])
def test_the_closed_form_gives_the_published_values(d, value):
    assert_allclose(pivotal_alpha(d, d), value, atol=5e-4)  # three printed digits


@pytest.mark.parametrize("d", [100, 121, 1000])
def test_the_closed_form_of_orthonormal_frames_is_what_simulation_finds(d):
    simulated = pivotal_alpha(d, d, components=np.eye(d))
    assert_allclose(pivotal_alpha(d, d), simulated, rtol=MONTE_CARLO)


def test_rows_of_unit_norm_have_the_published_value():
    W = np.random.default_rng(0).standard_normal((256, 64))
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    simulated = pivotal_alpha(256, 64, components=W)
    assert_allclose(simulated, 0.221, rtol=MONTE_CARLO)


@each_shape
def test_simulation_codes_noise_by_zero_19_times_of_20(shape):
    W = random_frame(shape)
    share = share_of_noise_coded_by_zero(W, pivotal_alpha(*shape, components=W))
    # three standard errors, of these rows and of the quantile's draws
    assert abs(share - 0.95) <= 3 * np.sqrt(0.05 * 0.95 * (1 / 4000 + 1 / 10_000))


@each_shape
def test_the_closed_form_codes_noise_by_zero_at_least_19_times_of_20(shape):
    share = share_of_noise_coded_by_zero(random_frame(shape), pivotal_alpha(*shape))
    assert share >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 4000)


@each_shape
def test_more_confidence_needs_more_penalty(shape):
    for components in (None, random_frame(shape)):
        ask = (0.5, 0.9, 0.99)
        alphas = [
            pivotal_alpha(*shape, confidence=q, components=components) for q in ask
        ]
        assert alphas[0] < alphas[1] < alphas[2] <= 1


def test_one_feature_is_never_told_from_noise():
    assert pivotal_alpha(1, 1) == 1
    assert pivotal_alpha(5, 1) == 1


def test_a_seed_gives_one_answer():
    W = random_frame((20, 8))
    first, again, other = (
        pivotal_alpha(20, 8, components=W, random_state=seed) for seed in (3, 3, 4)
    )
    assert first == again != other


def test_the_scale_of_rows_of_noise_and_of_the_frame_does_not_matter():
    W = random_frame((20, 8))
    ours = pivotal_alpha(20, 8, components=W)
    assert_allclose(pivotal_alpha(20, 8, components=8 * W), ours, rtol=1e-12)


@pytest.mark.parametrize("confidence", [0, 1, -0.1, 1.5, np.nan, "high"])
def test_confidence_outside_of_its_range_is_refused(confidence):
    with pytest.raises(ValueError, match=r"confidence must be in \(0, 1\), got"):
        pivotal_alpha(4, 4, confidence=confidence)


def test_components_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"components must have shape \(3, 4\), got"):
        pivotal_alpha(3, 4, components=np.eye(4))


@st.composite
def recoveries(draw):
    """Draw a sparse code, noise, and a penalty for which the bound holds."""
    d, seed = draw(st.integers(2, 60)), draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    e = draw(st.sampled_from([1e-6, 1.0, 1e3])) * rng.standard_normal(d)
    least = (1 + 1e-9) * alpha_max(e[None])[0]
    alpha = least + draw(st.floats(0, 1)) * (1 - least) * least
    most = min(d, int(0.999 / alpha**2))  # k alpha^2 < 1
    k = draw(st.integers(min(1, most), most))
    z = np.zeros(d)
    z[rng.permutation(d)[:k]] = rng.choice([-1, 1], k) * rng.uniform(1e-3, 1, k)
    return draw(st.floats(0.01, 1e4)) * z, e, alpha


@given(recoveries())
def test_no_entry_is_farther_off_than_the_bound_says(recovery):
    z, e, alpha = recovery
    ours = oracles.shrink((z + e)[None], alpha)[0]
    bound = recovery_bound(alpha, np.count_nonzero(z), np.linalg.norm(e)).max_error
    assert np.abs(ours - z).max() <= bound + 1e-12 * np.abs(z).max()  # rounding


@given(recoveries())
def test_codes_that_stand_out_are_as_near_as_the_bound_says(recovery):
    z, e, alpha = recovery
    z = z + 2 * np.sign(z) * np.abs(e).max()
    ours = oracles.shrink((z + e)[None], alpha)[0]
    bound = recovery_bound(alpha, np.count_nonzero(z), np.linalg.norm(e)).l2_error
    assert np.linalg.norm(ours - z) <= bound + 1e-12 * np.abs(z).max()  # rounding


@given(recoveries())
def test_entries_above_the_bound_keep_their_place_and_sign(recovery):
    z, e, alpha = recovery
    bound = recovery_bound(alpha, np.count_nonzero(z), np.linalg.norm(e)).max_error
    z = np.sign(z) * (np.abs(z) + (1 + 1e-9) * bound)
    ours = oracles.shrink((z + e)[None], alpha)[0]
    assert np.array_equal(np.sign(ours), np.sign(z))


@pytest.mark.parametrize("position", [0, 1, 2])
def test_negative_arguments_of_the_bound_are_refused(position):
    arguments = [0.4, 4, 1.0]
    arguments[position] *= -1
    name = ("alpha", "n_nonzero", "noise_norm")[position]
    with pytest.raises(ValueError, match=f"{name} must be at least 0, got -"):
        recovery_bound(*arguments)


@pytest.mark.parametrize(("alpha", "k"), [(0.5, 4), (0.5, 5), (1.0, 1)])
def test_too_many_entries_are_promised_nothing(alpha, k):
    assert recovery_bound(alpha, k, 1.0) == (np.inf, np.inf)
