"""The outer loop of all learners: epochs, history, best parameters, stopping."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class DivergedError(FloatingPointError):
    """Learning left the finite numbers; the last good parameters are kept."""


class History(NamedTuple):
    """What happened.

    Attributes
    ----------
    losses : list of float
        Mean loss of each epoch.
    validation : list of float
        Loss on the held-out rows after each epoch; empty if none are held out.
    converged : bool
        Whether learning ended because the loss fell no more.
    diverged : bool
        Whether learning ended because a loss was not finite.
    """

    losses: list[float]
    validation: list[float]
    converged: bool
    diverged: bool


class Stopping(NamedTuple):
    """When to stop.

    Attributes
    ----------
    max_iter : int
        Largest number of epochs.
    tol : float
        Share of the loss by which an epoch must fall below the best to count; 0 runs
        all epochs.
    patience : int, default=1
        Number of epochs without such a fall after which learning ends.
    """

    max_iter: int
    tol: float
    patience: int = 1


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
    """Run epochs until ``max_iter``, convergence, or a callback says so.

    With ``validate``, the parameters of the epoch of least held-out loss are restored
    in the end. If a loss is not finite, those before its epoch are.

    Parameters
    ----------
    epoch : callable, (n_iter) -> float
        Learns for one epoch and returns its mean loss.
    state : callable, () -> object
        Returns a copy of all that an epoch changes.
    restore : callable, (state) -> None
        Returns to it.
    stopping : Stopping
        When to stop.
    report : callable, (n_iter, loss) -> bool
        Called after each epoch; True stops.
    validate : callable, () -> float, default=None
        Returns the loss on held-out rows.
    converged : callable, () -> bool, default=None
        Says after each epoch whether to stop; None: ``tol`` and ``patience`` do.

    Returns
    -------
    history : History
        What happened.
    """
    losses: list[float] = []
    validation: list[float] = []
    least, best, stale, done = np.inf, None, 0, False
    for n_iter in range(1, stopping.max_iter + 1):
        before = state()
        with np.errstate(all="ignore"):
            loss = epoch(n_iter)
            held_out = loss if validate is None else validate()
        if not (np.isfinite(loss) and np.isfinite(held_out)):
            restore(before if best is None else best)
            return History(losses, validation, False, True)
        losses.append(loss)
        if validate is not None:
            validation.append(held_out)
        stale = 0 if held_out < least * (1 - stopping.tol) else stale + 1
        if held_out < least:
            least = held_out
            best = None if validate is None else state()
        done = stopping.tol > 0 and stale >= stopping.patience
        done = done if converged is None else converged()
        if report(n_iter, loss) or done:
            break
    if best is not None:
        restore(best)
    return History(losses, validation, done, False)
