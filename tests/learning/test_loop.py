"""The loop of all learners: when it stops, what it tells, and what it keeps."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from sklearn_sqrtlasso.learning.loop import DivergedError, Stopping, learn

numbers = st.lists(st.integers(1, 9).map(float), min_size=1, max_size=12)
BAD = [math.nan, math.inf, -math.inf]


class Learner:
    """A learner whose state is a list of the epochs it has seen."""

    def __init__(self, losses, held_out=None):
        self.losses, self.held_out = losses, held_out
        self.seen, self.told, self.asked = [], [], []

    def epoch(self, n_iter):
        self.seen.append(n_iter)
        return self.losses[n_iter - 1]

    def restore(self, state):
        self.seen[:] = state

    def report(self, n_iter, loss):
        self.told.append((n_iter, loss, len(self.seen)))
        return loss == 0

    def validate(self):
        return self.held_out[len(self.seen) - 1]

    def converged(self):
        self.asked.append(len(self.seen))
        return len(self.seen) == 3

    def run(self, tol=0.0, patience=1, converged=False):
        return learn(
            self.epoch, lambda: list(self.seen), self.restore,
            Stopping(len(self.losses), tol, patience), self.report,
            validate=self.held_out and self.validate,
            converged=self.converged if converged else None,
        )  # fmt: skip


@given(numbers)
def test_without_a_tolerance_every_epoch_is_run_and_kept(losses):
    learner = Learner(losses)
    history = learner.run()
    epochs = list(range(1, len(losses) + 1))
    assert history == (losses, [], "max_iter")
    assert learner.seen == epochs
    assert learner.told == list(zip(epochs, losses, epochs, strict=True))


@given(numbers, st.sampled_from([1e-9, 0.1, 0.5]), st.integers(1, 3))
def test_learning_ends_at_the_first_lapse_of_patience(losses, tol, patience):
    history = Learner(losses).run(tol, patience)
    best = np.minimum.accumulate([np.inf, *history.losses])
    falls = [
        now < (1 - tol) * low for now, low in zip(history.losses, best, strict=False)
    ]
    lapses = [
        not any(falls[i : i + patience]) for i in range(len(falls) - patience + 1)
    ]
    assert history.losses == losses[: len(history.losses)]
    assert not any(lapses[:-1])
    assert history.converged == any(lapses)
    assert history.converged or len(history.losses) == len(losses)


def test_small_falls_lower_the_bar_but_do_not_count():
    history = Learner([10.0, 9.5, 9.0, 8.5, 1.0]).run(tol=0.1, patience=3)
    assert history.losses == [10.0, 9.5, 9.0, 8.5]
    assert history.converged


@given(numbers, st.booleans())
def test_the_learner_may_say_when_it_has_converged(losses, tolerant):
    learner = Learner(losses)
    history = learner.run(tol=0.5 if tolerant else 0.0, converged=True)
    assert len(history.losses) == min(3, len(losses))  # tol and patience have no say
    assert learner.asked == learner.seen == list(range(1, len(history.losses) + 1))
    assert history.converged == (len(losses) >= 3)


def test_a_report_ends_learning_without_convergence():
    learner = Learner([2.0, 0.0, 3.0])
    assert learner.run(tol=1e-9) == ([2.0, 0.0], [], "callback")
    assert learner.seen == [1, 2]


@given(numbers)
def test_the_first_epoch_of_least_held_out_loss_is_kept(held_out):
    learner = Learner([5.0] * len(held_out), held_out)
    history = learner.run()
    assert history.validation == held_out
    assert len(learner.seen) == 1 + np.argmin(held_out)


@given(numbers, st.integers(1, 3))
def test_with_held_out_rows_their_loss_ends_learning(held_out, patience):
    falling = [9.0 / 2**n for n in range(len(held_out))]
    by_held_out = Learner(falling, held_out).run(0.1, patience)
    alone = Learner(held_out).run(0.1, patience)
    assert by_held_out.validation == alone.losses
    assert by_held_out.converged == alone.converged


def test_the_best_epoch_is_kept_however_learning_ends():
    by_report = Learner([3.0, 2.0, 0.0, 1.0], [4.0, 1.0, 2.0, 0.5])
    assert not by_report.run().converged
    converging = Learner([3.0, 2.0, 2.0, 1.0], [4.0, 1.0, 2.0, 0.5])
    assert converging.run(converged=True).converged
    assert by_report.seen == converging.seen == [1, 2]


@pytest.mark.parametrize("bad", BAD)
@given(numbers)
def test_a_loss_that_is_not_finite_brings_back_the_epoch_before(bad, losses):
    learner = Learner([*losses, bad, 1.0])
    assert learner.run() == (losses, [], "diverged")
    assert learner.seen == list(range(1, len(losses) + 1))
    assert len(learner.told) == len(losses)


@pytest.mark.parametrize("bad", BAD)
@given(numbers)
def test_after_divergence_the_best_epoch_on_held_out_rows_is_kept(bad, held_out):
    n = len(held_out)
    for losses, tested in (
        ([5.0] * n + [bad], [*held_out, 1.0]),
        ([5.0] * (n + 1), [*held_out, bad]),
    ):
        learner = Learner(losses, tested)
        assert learner.run() == ([5.0] * n, held_out, "diverged")
        assert len(learner.seen) == 1 + np.argmin(held_out)


@pytest.mark.parametrize("bad", BAD)
def test_divergence_in_the_first_epoch_brings_back_the_beginning(bad):
    for learner in (Learner([bad]), Learner([bad], [1.0]), Learner([1.0], [bad])):
        assert learner.run() == ([], [], "diverged")
        assert learner.seen == learner.told == []


def test_overflow_in_an_epoch_is_not_warned_of():
    def epoch(n_iter):
        return float(np.float64(1e300) * np.float64(1e300))

    with np.errstate(all="raise"):
        history = learn(epoch, list, list, Stopping(2, 0.0), lambda *_: False)
    assert history.diverged


def test_states_before_an_epoch_are_not_those_after():
    learner, states = Learner([1.0, 2.0, 3.0]), []

    def state():
        states.append(list(learner.seen))
        return states[-1]

    learn(learner.epoch, state, learner.restore, Stopping(3, 0.0), learner.report)
    assert all(len(one) < len(other) for one, other in pairwise(states))


def test_divergence_is_a_floating_point_error():
    assert issubclass(DivergedError, FloatingPointError)


@pytest.mark.parametrize("n_finished", [1, 3])
def test_an_interrupt_of_the_report_keeps_its_epoch(n_finished):
    state = []

    def report(n_iter, loss):
        if n_iter == n_finished:
            raise KeyboardInterrupt

    with pytest.warns(ConvergenceWarning, match=f"{n_finished} finished"):
        history = learn(
            lambda n: state.append(n) or 1.0 / n, list, None, Stopping(9, 0.0), report
        )
    assert len(history.losses) == len(state) == n_finished


@pytest.mark.parametrize("n_finished", [0, 1, 3])
def test_an_interrupt_keeps_the_epochs_that_ended_before(n_finished):
    state = []

    def epoch(n_iter):
        state.append(n_iter)
        if len(state) > n_finished:
            raise KeyboardInterrupt
        return 1.0 / n_iter

    def restore(before):
        state[:] = before

    def run():
        return learn(
            epoch, lambda: list(state), restore, Stopping(9, 0.0), lambda n, loss: False
        )

    if n_finished == 0:
        with pytest.raises(KeyboardInterrupt):
            run()
        return
    with pytest.warns(ConvergenceWarning, match=f"interrupted; {n_finished} finished"):
        history = run()
    assert len(history.losses) == len(state) == n_finished
    assert not history.converged
