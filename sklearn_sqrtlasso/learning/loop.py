"""Outer loop of all learning algorithms: history, best parameters, stopping."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_sqrtlasso.blockwise.callers import warn_caller


class DivergedError(FloatingPointError):
    """The loss is not finite; the last finite parameters are kept."""


class History(NamedTuple):
    """Losses of the epochs, and why learning stopped.

    Attributes
    ----------
    losses : list of float
        Mean loss of each epoch.
    validation : list of float
        Loss on the held-out rows after each epoch; empty if none are held out.
    reason : {"tol", "max_iter", "callback", "interrupt", "diverged"}
        Why learning stopped: the loss no longer decreased, all epochs were run, the
        report or a keyboard interrupt asked for it, or a loss was not finite.
    """

    losses: list[float]
    validation: list[float]
    reason: str

    @property
    def converged(self):
        """Whether learning stopped because the loss no longer decreased."""
        return self.reason == "tol"

    @property
    def diverged(self):
        """Whether learning stopped because a loss was not finite."""
        return self.reason == "diverged"


class Stopping(NamedTuple):
    """Stopping criterion.

    Attributes
    ----------
    max_iter : int
        Largest number of epochs.
    tol : float
        Share by which the loss must fall below the best one so far; 0 runs all epochs.
    patience : int, default=1
        Number of epochs without such a decrease after which learning stops.
    most_work : float, default=inf
        Number of products after which no further epoch starts, of learners that count
        them.
    """

    max_iter: int
    tol: float
    patience: int = 1
    most_work: float = np.inf


def learn(
    epoch: Callable,
    state: Callable,
    restore: Callable,
    stopping: Stopping,
    report: Callable,
    *,
    validate: Callable | None = None,
    converged: Callable | None = None,
):
    """Run epochs until ``max_iter``, convergence, or a request of ``report`` to stop.

    With ``validate``, the parameters of the epoch with the smallest held-out loss are
    restored at the end. If a loss is not finite and there are no such parameters, those
    before its epoch are restored. A keyboard interrupt ends learning with a warning,
    and the parameters before its epoch; in the first epoch it is raised.

    Parameters
    ----------
    epoch : callable, (n_iter) -> float
        Runs one epoch and returns its mean loss.
    state : callable, () -> object
        Returns a copy of everything that an epoch changes.
    restore : callable, (state) -> None
        Restores that copy.
    stopping : Stopping
        Stopping criterion.
    report : callable, (n_iter, loss) -> bool
        Called after each epoch; learning stops if it returns True.
    validate : callable, () -> float, default=None
        Returns the loss on held-out rows.
    converged : callable, () -> bool, default=None
        Returns after each epoch whether to stop; None uses ``tol`` and ``patience``.

    Returns
    -------
    history : History
        Losses of the epochs.
    """
    losses: list[float] = []
    validation: list[float] = []
    least, best, stale, reason = np.inf, None, 0, "max_iter"
    for n_iter in range(1, stopping.max_iter + 1):
        before = state()
        try:
            with np.errstate(all="ignore"):
                loss = epoch(n_iter)
                held_out = loss if validate is None else validate()
        except KeyboardInterrupt:
            if n_iter == 1:
                raise
            restore(before if best is None else best)
            _tell_of_interrupt(n_iter - 1)
            return History(losses, validation, "interrupt")
        if not (np.isfinite(loss) and np.isfinite(held_out)):
            restore(before if best is None else best)
            return History(losses, validation, "diverged")
        losses.append(loss)
        if validate is not None:
            validation.append(held_out)
        stale = 0 if held_out < least * (1 - stopping.tol) else stale + 1
        if held_out < least:
            least = held_out
            best = None if validate is None else state()
        done = stopping.tol > 0 and stale >= stopping.patience
        done = done if converged is None else converged()
        try:
            stopped = report(n_iter, loss)
        except KeyboardInterrupt:
            _tell_of_interrupt(n_iter)
            reason = "interrupt"
            break
        if done or stopped:
            reason = "tol" if done else "callback"
            break
    if best is not None:
        restore(best)
    return History(losses, validation, reason)


def _tell_of_interrupt(n_finished):
    warn_caller(
        f"Learning was interrupted; {n_finished} finished iterations are kept.",
        ConvergenceWarning,
    )
