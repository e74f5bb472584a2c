"""Adam: its moments and its schedule; the arithmetic is in ``algorithms.adam``."""

import math
from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.algorithms.adam import adam_step, gradient_norm
from sklearn_sqrtlasso.blockwise.blocks import even_parts

PART = 2**18  # parameters, at least, of a part of a step
USUAL_FEATURES = 1024  # beyond, entries of weights are smaller, and so are steps
WARM_UP = 100  # steps until the full learning rate, at most a tenth of all


def pace(n_features):
    """Return the factor of steps on weights of rows of many columns.

    Entries of a direction of norm one are about ``1 / sqrt(n_features)``.

    Parameters
    ----------
    n_features : int
        Number of columns.

    Returns
    -------
    factor : float
        1 up to ``USUAL_FEATURES``.
    """
    return math.sqrt(min(1.0, USUAL_FEATURES / n_features))


class Schedule(NamedTuple):
    """Learning rate: a linear warm-up, then half a cosine down to zero.

    Attributes
    ----------
    rate : float
        Largest learning rate.
    n_steps : int or None
        Total number of steps; None keeps the rate constant after the warm-up.
    """

    rate: float
    n_steps: int | None = None

    def at(self, n):
        """Return the learning rate of step ``n``, starting at 1."""
        if self.n_steps is None:
            return self.rate * min(1.0, n / WARM_UP)
        warm_up = max(1, min(WARM_UP, self.n_steps // 10))
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, n / self.n_steps)))
        return self.rate * min(1.0, n / warm_up) * fall


class Moments(NamedTuple):
    """Running moments of a gradient.

    Attributes
    ----------
    mean, square : ndarray of shape (n_parameters,)
        Running means of the gradient and of its square.
    n_steps : int
        Number of steps so far.
    """

    mean: np.ndarray
    square: np.ndarray
    n_steps: int


class Adam:
    """The step of Adam, and the moments of the gradient that it keeps.

    Parameters
    ----------
    theta : ndarray of shape (n_parameters,)
        Parameters, for the shape and dtype of the moments.
    moments : Moments or None
        Moments to resume from, which are overwritten.
    decay_square : float
        Decay of the running mean of squares.
    n_slow : int or None, default=None
        Parameters from this place on move ``fast`` times as far; None: none do.
    fast : float, default=1.0
        Factor of their learning rate.
    largest : float, default=inf
        Norm at which gradients are clipped.
    pmap : callable, (function, items) -> iterable of results in order
        ``map``, or ``thread_map``.
    """

    def __init__(
        self,
        theta,
        moments,
        *,
        decay_square,
        n_slow=None,
        fast=1.0,
        largest=np.inf,
        pmap=map,
    ):
        if moments is None:
            moments = Moments(np.zeros_like(theta), np.zeros_like(theta), 0)
        self.mean, self.square, self.n_steps = moments
        self.decay_square = decay_square
        self.n_slow = theta.size if n_slow is None else n_slow
        self.fast, self.largest, self.pmap = fast, largest, pmap
        self.parts = even_parts(theta.size, PART)

    def step(self, theta, gradient, rate):
        """Move the parameters in place; return the norm of the gradient.

        If the norm is not finite, nothing moves.
        """
        self.n_steps += 1
        norms = self.pmap(lambda part: gradient_norm(gradient[part]), self.parts)
        norm = math.hypot(*norms)
        if not norm < np.inf:
            return norm
        clip = min(1.0, self.largest / norm) if norm > 0 else 1.0

        def move(part):
            adam_step(
                theta[part], gradient[part], self.mean[part], self.square[part],
                self.n_steps, rate, self.decay_square, self.n_slow - part.start,
                self.fast, clip,
            )  # fmt: skip

        list(self.pmap(move, self.parts))
        return norm

    def moments(self):
        """Return a copy of the moments."""
        return Moments(self.mean.copy(), self.square.copy(), self.n_steps)

    def restore(self, moments):
        """Restore moments."""
        self.mean[:], self.square[:], self.n_steps = moments
