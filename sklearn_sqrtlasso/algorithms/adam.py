"""A step of Adam on a flat array of parameters."""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel

DECAY = 0.9  # b1, of the mean gradient
TINY = 1e-8


@kernel
def gradient_norm(gradient):
    """Return the norm of a gradient, summed in double precision.

    Parameters
    ----------
    gradient : ndarray of shape (n_parameters,)
        Gradient.

    Returns
    -------
    norm : float
        Its norm.
    """
    energy = 0.0
    for i in range(gradient.shape[0]):
        energy += np.float64(gradient[i]) * np.float64(gradient[i])
    return math.sqrt(energy)


@kernel
def adam_step(
    w, gradient, mean, square, n_steps, rate, decay_square, n_slow, fast, clip
):
    """Update ``w`` by one step of Adam, of about ``rate`` in each entry.

    With g the gradient, times ``clip``, ::

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
    clip : float
        Factor of the gradient.
    """
    assert w.shape == gradient.shape == mean.shape == square.shape
    f = w.dtype.type
    unbias = f(math.sqrt(1 - decay_square**n_steps))
    pace = f(rate * math.sqrt(1 - decay_square**n_steps) / (1 - DECAY**n_steps))
    b1, b2, tiny = f(DECAY), f(decay_square), f(TINY) * unbias
    for i in range(w.shape[0]):
        g = gradient[i] * f(clip)
        m = b1 * mean[i] + (f(1) - b1) * g
        s = b2 * square[i] + (f(1) - b2) * g * g
        mean[i], square[i] = m, s
        step = pace * m / (np.sqrt(s) + tiny)
        w[i] -= step if i < n_slow else step * f(fast)
