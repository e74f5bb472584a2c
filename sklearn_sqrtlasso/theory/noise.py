"""Estimate of the noise level from a residual."""

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import erf

LEAST_NU = 0.01  # below, the integrand is narrower than the grid it is summed on
STEPS = 60  # of the fixed-point iteration, which takes 3 to 40


def truncated_variance(a: ArrayLike) -> np.ndarray:
    r"""Return the variance of a standard Gaussian known to lie in :math:`[-a, a]`.

    .. math:: 1 - 2 a \varphi(a) / (2\Phi(a) - 1)

    Parameters
    ----------
    a : array-like
        Bounds, at least 0.

    Returns
    -------
    variance : ndarray
        In [0, 1].

    Examples
    --------
    >>> from sklearn_sqrtlasso.theory.noise import truncated_variance
    >>> truncated_variance([1.0, 3.0]).round(3)
    array([0.291, 0.973])
    """
    a = np.clip(np.asarray(a, dtype=np.float64), 1e-3, 40)  # 1 in all digits from 9 on
    density = np.exp(-0.5 * a**2) / np.sqrt(2 * np.pi)
    return 1 - 2 * a * density / erf(a / np.sqrt(2))


def noise_std(
    scale: np.ndarray,
    slack: np.ndarray,
    outside: np.ndarray,
    inside: np.ndarray,
    bound: float | np.ndarray,
) -> np.ndarray:
    r"""Return the standard deviation of Gaussian noise that explains a residual.

    The energy of the residual of a group of m rows is
    :math:`S = t^2 (m - \sum_A \alpha_i^2)`. Noise of standard deviation :math:`\sigma`
    contributes to it in the directions outside the span of the frame and, truncated at
    the threshold, in the inactive units,

    .. math::
        S = \sigma^2 \Bigl[ d_\text{out} + \sum_c d_c \, v(\tau_c/\sigma) \Bigr],

    with v the variance of a Gaussian truncated at :math:`\tau_c`, the threshold of a
    class of units.

    Parameters
    ----------
    scale : ndarray of shape (n_groups,)
        Residual scale t of each group, in units of the data.
    slack : ndarray of shape (n_groups,)
        Slack :math:`S / t^2`, at least 0.
    outside : ndarray of shape (n_groups,)
        Degrees of freedom outside the span of the frame.
    inside : ndarray of shape (n_groups,) or (n_groups, n_classes)
        Degrees of freedom of the inactive units of each class.
    bound : float or ndarray of shape (n_classes,)
        Threshold :math:`\tau_c`, in units of t, of units with noise of standard
        deviation :math:`\sigma`.

    Returns
    -------
    sigma : ndarray of shape (n_groups,)
        Noise standard deviation, in units of the data; 0 where the residual is 0.

    Notes
    -----
    Where the residual is larger than for any Gaussian truncated at one standard
    deviation or more (signal that is not sparse in the frame), the truncation is set
    there, and the estimate is too large rather than infinite.

    Examples
    --------
    Without active units, this is slightly more than the root mean square residual:

    >>> import numpy as np
    >>> from sklearn_sqrtlasso.theory.noise import noise_std
    >>> scale, slack, outside, inside = np.array([[8.0], [1.0], [0.0], [64.0]])
    >>> noise_std(scale, slack, outside, inside, bound=0.4).round(2)
    array([1.01])
    """
    inside, bound = np.reshape(inside, (len(scale), -1)), np.atleast_1d(bound)
    unit = np.ones_like(scale)  # sigma in units of t
    moving = np.arange(len(scale))
    for _ in range(STEPS):
        last, room = unit[moving], slack[moving]
        variance = truncated_variance(np.maximum(bound / last[:, None], 1))
        freedom = outside[moving] + np.sum(inside[moving] * variance, axis=1)
        ratio = np.divide(room, freedom, out=np.ones_like(room), where=freedom > 0)
        now = np.maximum(np.sqrt(ratio), np.finfo(np.float64).tiny)
        unit[moving] = now
        moving = moving[~np.isclose(now, last, rtol=1e-12, atol=0)]
        if not moving.size:
            break
    return scale * np.where(slack > 0, unit, 0)


def student_scale(nu: float) -> float:
    r"""Return the scale of Student's t that fits Gaussian noise of variance one best.

    Maximum likelihood finds the s with

    .. math:: E\left[\frac{(\nu + 1) g^2}{\nu s^2 + g^2}\right] = 1,
        \qquad g \sim N(0, 1).

    Parameters
    ----------
    nu : float
        Degrees of freedom, at least 0.01; infinite for a Gaussian.

    Returns
    -------
    scale : float
        In (0, 1].

    Raises
    ------
    ValueError
        If ``nu`` is not in this range.

    Examples
    --------
    >>> from sklearn_sqrtlasso.theory.noise import student_scale
    >>> round(student_scale(4.0), 3), student_scale(float("inf"))
    (0.831, 1.0)
    """
    if not (isinstance(nu, Real) and nu >= LEAST_NU):
        raise ValueError(f"nu must be a number of at least {LEAST_NU}, got {nu!r}.")
    if np.isinf(nu):
        return 1.0
    g = np.linspace(-12, 12, 24001)
    density = np.exp(-0.5 * g**2) / np.exp(-0.5 * g**2).sum()

    def excess(log_scale):
        weights = (nu + 1) / (nu * np.exp(2 * log_scale) + g**2)
        return np.sum(density * weights * g**2) - 1

    return float(np.exp(brentq(excess, -8, 0.5)))
