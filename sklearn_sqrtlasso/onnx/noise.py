"""The noise level of rows in a tight frame, as a graph with one loop.

The noise level is a fixed point without a closed form; ``theory.noise`` iterates the
same map. The variance of a truncated Gaussian has no error function here, which not
every engine has in double precision, but a series of positive terms: ::

    v(a) = 1 - 1 / sum_n a^{2n} / (2n + 1)!! .
"""

import numpy as np
from scipy.special import gammaln

from sklearn_sqrtlasso.models.tight_frame import classes_of_penalties
from sklearn_sqrtlasso.theory.noise import STEPS

N_TERMS = 72  # of the series, up to the bound
LARGEST_BOUND = 8.0  # from which the variance is 1 up to 1e-13
SETTLED = 1e-12  # relative change of a noise level that ends the iteration


def truncated_variance(a):
    """Return the variance of a standard Gaussian known to lie in [-a, a].

    Parameters
    ----------
    a : Tensor of shape (n_rows, n_classes)
        Bounds, at least 1, in double precision.

    Returns
    -------
    variance : Tensor of shape (n_rows, n_classes)
        In [0, 1].
    """
    n = np.arange(N_TERMS)
    log_factorials = gammaln(2 * n + 2) - gammaln(n + 1) - n * np.log(2)
    log_a = a.at_most(LARGEST_BOUND).apply("Log").with_last_axis()
    terms = (log_a * (2.0 * n) - log_factorials).apply("Exp")
    return -(a.constant(1) / terms.sum_of_last_axis()) + 1


def noise_scale(t, Z, frame):
    """Return the noise standard deviation of each row.

    Parameters
    ----------
    t : Tensor of shape (n_rows, 1)
        Residual scales.
    Z : Tensor of shape (n_rows, n_components)
        Codes.
    frame : TightFrame
        Frame.

    Returns
    -------
    sigma : Tensor of shape (n_rows, 1)
        Noise standard deviations, in double precision.
    """
    W, alpha = (of.astype(np.float64) for of in (frame.components, frame.alpha))
    energy = np.einsum("ij,ij->i", W, W)
    bounds, members = classes_of_penalties(alpha)
    of_classes = members * energy
    bounds = bounds / np.sqrt(np.sum(energy**2) / energy.sum())
    active = (abs(Z) > 0).astype(np.float64)
    slack = (-(active @ (alpha**2)[:, None]) + 1).apply("Relu")
    inside = -(active @ of_classes.T) + of_classes.sum(axis=1)
    outside = max(0.0, W.shape[1] - energy.sum())
    unit = _fixed_point(slack, inside, outside, bounds)
    return t.astype(np.float64) * (slack > 0).choose(unit, slack * 0)


def _fixed_point(slack, inside, outside, bounds):
    """Return noise levels in units of the residual scale: iterate until they settle."""

    def step(last, slack, inside):
        bound = last.constant(bounds) / last
        freedom = (inside * truncated_variance(bound.at_least(1))).sum_of_rows()
        freedom = freedom + outside
        ratio = (freedom > 0).choose(slack / freedom, last.constant(1))
        now = ratio.apply("Sqrt").at_least(np.finfo(np.float64).tiny)
        moves = abs(now - last) - last * SETTLED
        return [now, slack, inside], moves.largest_of_all() > 0

    start = [slack * 0 + 1, slack, inside]
    return slack.graph.loop(step, start, STEPS)[0]
