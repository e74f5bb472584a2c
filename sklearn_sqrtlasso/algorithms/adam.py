"""A step of Adam on a flat array of parameters."""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel

DECAY = 0.9  # b1, of the mean gradient
TINY = 1e-8


@kernel
def adam_step(
    w, gradient, mean, square, n_steps, rate, decay_square, n_slow, fast, largest
):
    """Update ``w`` by one step of Adam, of about ``rate`` in each entry.

    With g the gradient, clipped to the norm ``largest``, ::

        mean   <- b1 mean + (1 - b1) g
        square <- b2 square + (1 - b2) g^2
        w      <- w - rate * (mean / (1 - b1^n)) / (sqrt(square / (1 - b2^n)) + TINY) .

    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Parameters
    ----------
    w, gradient, mean, square : ndarray of shape (n_parameters,)
        Parameters, their gradient, and its running moments; all but ``gradient`` are
        overwritten.
    n_steps : int
        Number of this step, n, from 1.
    rate : float
        Learning rate.
    decay_square : float
        Decay b2 of the mean square, in (0, 1).
    n_slow : int
        Entries from this index on have ``fast`` times the rate.
    fast : float
        Factor of the rate of those entries.
    largest : float
        Norm to which the gradient is clipped.

    Returns
    -------
    norm : float
        Norm of the gradient before clipping. If it is not finite, nothing is updated.
    """
    assert w.shape == gradient.shape == mean.shape == square.shape
    f = w.dtype.type
    energy = 0.0
    for i in range(w.shape[0]):
        energy += np.float64(gradient[i]) * np.float64(gradient[i])
    norm = math.sqrt(energy)
    if not norm < np.inf:
        return norm
    clip = f(min(1.0, largest / norm)) if norm > 0 else f(1)
    unbias = f(math.sqrt(1 - decay_square**n_steps))
    pace = f(rate * math.sqrt(1 - decay_square**n_steps) / (1 - DECAY**n_steps))
    b1, b2, tiny = f(DECAY), f(decay_square), f(TINY) * unbias
    for i in range(w.shape[0]):
        g = gradient[i] * clip
        m = b1 * mean[i] + (f(1) - b1) * g
        s = b2 * square[i] + (f(1) - b2) * g * g
        mean[i], square[i] = m, s
        step = pace * m / (np.sqrt(s) + tiny)
        w[i] -= step if i < n_slow else step * f(fast)
    return norm
