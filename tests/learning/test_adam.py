"""Steps of Adam, their schedule, and the outer loop."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.kernels.adam import DECAY, TINY, adam_step
from sklearn_sqrtlasso.learning.adam import DECAY_SQUARE, WARM_UP, Schedule
from sklearn_sqrtlasso.learning.loop import Stopping, learn


def twin(w, gradients, rates, n_slow, fast, largest):
    """Take steps of Adam as its paper writes them."""
    mean = square = np.zeros_like(w)
    for n, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        g = g * min(1.0, largest / np.linalg.norm(g))
        mean = DECAY * mean + (1 - DECAY) * g
        square = DECAY_SQUARE * square + (1 - DECAY_SQUARE) * g**2
        rates_of = np.where(np.arange(len(w)) < n_slow, rate, rate * fast)
        root = np.sqrt(square / (1 - DECAY_SQUARE**n))
        w = w - rates_of * mean / (1 - DECAY**n) / (root + TINY)
    return w


@pytest.mark.parametrize("largest", [0.5, 100.0])
def test_steps_are_those_of_the_paper(largest):
    rng = np.random.default_rng(0)
    w, gradients = rng.standard_normal(6), rng.standard_normal((8, 6))
    ours, mean, square = w.copy(), np.zeros(6), np.zeros(6)
    for n, g in enumerate(gradients, start=1):
        norm = adam_step(
            ours, g, mean, square, n, 0.1 / n, DECAY_SQUARE, 4, 3.0, largest
        )
        assert_allclose(norm, np.linalg.norm(g), rtol=1e-12)
    rates = 0.1 / np.arange(1, 9)
    expected = twin(w, gradients, rates, 4, 3.0, largest)
    assert_allclose(ours, expected, rtol=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nothing_moves_by_a_gradient_that_is_not_finite(bad):
    w = np.ones(3)
    norm = adam_step(
        w,
        np.array([1.0, bad, 0.0]),
        np.zeros(3),
        np.zeros(3),
        1,
        0.1,
        DECAY_SQUARE,
        3,
        1.0,
        1.0,
    )
    assert not norm < math.inf
    assert_array_equal(w, 1)


def test_a_zero_gradient_moves_nothing():
    w = np.ones(3)
    adam_step(
        w, np.zeros(3), np.zeros(3), np.zeros(3), 1, 0.1, DECAY_SQUARE, 3, 1.0, 1.0
    )
    assert_array_equal(w, 1)


def test_the_schedule_rises_and_falls_to_zero():
    schedule = Schedule(1.0, 4000)
    rates = np.array([schedule.at(n) for n in range(1, 4001)])
    assert rates.argmax() + 1 == WARM_UP
    assert_allclose(rates[1999], 0.5)
    assert rates[-1] == 0
    assert np.all(np.diff(rates[WARM_UP:]) < 0)


def test_without_an_end_the_schedule_stays():
    assert Schedule(1.0).at(WARM_UP) == Schedule(1.0).at(10**6) == 1
    assert Schedule(1.0).at(WARM_UP // 2) == 0.5


class Descent:
    """A learner whose losses are known beforehand; its state is the epoch."""

    def __init__(self, losses):
        self.losses, self.now, self.told = losses, 0, []

    def epoch(self, n_iter):
        self.now = n_iter
        return self.losses[n_iter - 1]

    def state(self):
        return self.now

    def restore(self, state):
        self.now = state

    def report(self, n_iter, loss):
        self.told.append((n_iter, loss))
        return loss == 13

    def learn(self, tol=0.0, patience=2, validate=None):
        stopping = Stopping(len(self.losses), tol, patience)
        return learn(
            self.epoch, self.state, self.restore, stopping, self.report,
            validate=validate and (lambda: validate[self.now - 1]),
        )  # fmt: skip


def test_all_epochs_are_run_and_told():
    learner = Descent([5, 6, 7, 8.0])
    history = learner.learn()
    assert history.losses == [5, 6, 7, 8]
    assert learner.told == list(enumerate([5, 6, 7, 8], start=1))
    assert not history.converged
    assert learner.now == 4


def test_a_loss_that_falls_no_more_ends_learning():
    history = Descent([5, 4, 3.999, 3.998, 1.0]).learn(tol=0.01)
    assert history.losses == [5, 4, 3.999, 3.998]
    assert history.converged


def test_a_report_may_end_learning():
    assert Descent([14, 13, 12]).learn().losses == [14, 13]


def test_the_epoch_that_does_best_on_held_out_rows_is_kept():
    learner = Descent([5, 4, 3, 2.0])
    history = learner.learn(validate=[5, 3, 4, 6.0])
    assert history.validation == [5, 3, 4, 6]
    assert learner.now == 2


def test_a_loss_that_is_not_finite_brings_back_the_epoch_before():
    learner = Descent([5, 4, math.nan, 2])
    history = learner.learn()
    assert history.diverged
    assert history.losses == [5, 4]
    assert learner.now == 2
