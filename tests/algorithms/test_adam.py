"""Steps of Adam, against those of its paper."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.algorithms.adam import DECAY, TINY, adam_step, gradient_norm
from tests import oracles

DECAY_SQUARE = 0.99
N_SLOW, FAST = 4, 3.0


def moved(w, gradients, rates, largest=1.0):
    """Return parameters after steps of Adam, and the norms of the gradients."""
    w, mean, square = w.copy(), np.zeros_like(w), np.zeros_like(w)
    norms = [gradient_norm(g) for g in gradients]
    for n, (g, rate, norm) in enumerate(zip(gradients, rates, norms, strict=True)):
        clip = min(1.0, largest / norm) if norm else 1.0
        adam_step(w, g, mean, square, n + 1, rate, DECAY_SQUARE, N_SLOW, FAST, clip)
    return w, norms


def problem():
    rng = np.random.default_rng(0)
    return rng.standard_normal(6), rng.standard_normal((8, 6)), 0.1 / np.arange(1, 9)


@pytest.mark.parametrize("largest", [0.5, 100.0])
def test_steps_are_those_of_the_paper(largest):
    w, gradients, rates = problem()
    ours, norms = moved(w, gradients, rates, largest)
    assert_allclose(norms, np.linalg.norm(gradients, axis=1), rtol=1e-12)
    of_entries = np.outer(rates, np.where(np.arange(6) < N_SLOW, 1, FAST))
    decays = (DECAY, DECAY_SQUARE)
    expected = oracles.adam(w, gradients, of_entries, decays, TINY, largest)
    assert_allclose(ours, expected, rtol=1e-12)


def test_the_first_step_is_as_long_as_the_rate_says():
    w, gradients, _ = problem()
    ours, _ = moved(w, gradients[:1], [0.1])
    pace = np.where(np.arange(6) < N_SLOW, 0.1, 0.1 * FAST)
    # the root of the mean square is the entry itself, but for TINY of 1e-8
    assert_allclose(ours, w - pace * np.sign(gradients[0]), atol=1e-6)


def test_single_precision_follows_double():
    w, gradients, rates = problem()
    ours, _ = moved(w.astype("f4"), gradients.astype("f4"), rates)
    assert ours.dtype == np.float32
    assert_allclose(ours, moved(w, gradients, rates)[0], atol=1e-5)


def test_a_zero_gradient_moves_nothing():
    w, _ = moved(np.ones(3), np.zeros((1, 3)), [0.1])
    assert_array_equal(w, 1)


@pytest.mark.parametrize("short", ["gradient", "mean", "square"])
def test_nothing_is_written_where_an_array_is_too_short(short):
    arrays = {name: np.ones(1000) for name in ("w", "gradient", "mean", "square")}
    arrays[short] = np.ones(999)
    with pytest.raises(AssertionError):
        adam_step(*arrays.values(), 1, 0.1, DECAY_SQUARE, N_SLOW, FAST, 1.0)
    assert_array_equal(arrays["w"], 1)
