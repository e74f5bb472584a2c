"""The schedule of the steps of Adam, and the outer loop."""

import math

import numpy as np
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.learning.adam import WARM_UP, Schedule
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
