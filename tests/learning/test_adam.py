"""The schedule of the steps of Adam, and the outer loop."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.blockwise.blocks import thread_map
from sklearn_sqrtlasso.learning.adam import PART, WARM_UP, Adam, Schedule
from sklearn_sqrtlasso.learning.loop import Stopping, learn


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


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nothing_moves_by_a_gradient_that_is_not_finite(bad):
    theta = np.ones(3)
    adam = Adam(theta, None, decay_square=0.99)
    assert not adam.step(theta, np.array([1.0, bad, 0.0]), 0.1) < math.inf
    assert_array_equal(theta, 1)


def test_many_parameters_move_in_parts_as_they_do_at_once():
    n = 2 * PART + 3
    start, gradient = np.random.default_rng(0).standard_normal((2, n))
    given = {"decay_square": 0.99, "n_slow": n - PART, "fast": 3.0, "largest": 1.0}
    moved = []
    for n_jobs in (1, 2):
        with thread_map(n_jobs) as pmap:
            theta = start.copy()
            adam = Adam(theta, None, pmap=pmap, **given)
            norm = adam.step(theta, gradient, 0.1)
            assert math.isclose(norm, np.linalg.norm(gradient), rel_tol=1e-12)
            moved.append(theta)
    assert_array_equal(*moved)
    few = np.r_[:5, n - 5 : n]
    clipped = gradient[few] / np.linalg.norm(gradient)
    pace = np.where(few < n - PART, 0.1, 0.3)
    step = clipped / (np.abs(clipped) + 1e-8)
    assert_allclose(moved[0][few], start[few] - pace * step, rtol=1e-6)


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
