"""The noise level that a residual tells of."""

import numpy as np
from scipy.special import erf

STEPS = 60  # of a fixed point that gains a digit every few steps


def truncated_variance(a):
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
    a = np.maximum(np.asarray(a, dtype=np.float64), 1e-3)
    density = np.exp(-0.5 * a**2) / np.sqrt(2 * np.pi)
    return 1 - 2 * a * density / erf(a / np.sqrt(2))


def noise_std(level, threshold, active_energy, n_active, n_rows, frame_shape):
    r"""Return the standard deviation of Gaussian noise that explains a residual.

    Of the m rows of a run, the energy that no code explains is
    :math:`S = t^2 (m - \sum_A \alpha_i^2)`: noise out of reach of the frame, and noise
    whose projections stay below the threshold :math:`\tau`. With n features, K units
    whose noise has the standard deviation :math:`w\sigma`, :math:`w^2 = \min(1, n/K)`, and
    v the variance of a Gaussian truncated at its threshold,

    .. math::
        S = \sigma^2 \left[ m\,(n - K)_+ + (mK - k)\, w^2\, v(\tau / (w\sigma)) \right] .

    Parameters
    ----------
    level : ndarray of shape (n_runs,)
        Residual scale t of each run, in units of the data.
    threshold : ndarray of shape (n_runs,)
        Threshold :math:`\tau = \alpha t`, in units of the data.
    active_energy : ndarray of shape (n_runs,)
        :math:`\sum_A \alpha_i^2` of each run.
    n_active : ndarray of shape (n_runs,)
        Number k of active entries of each run.
    n_rows : ndarray of shape (n_runs,)
        Number m of rows of each run.
    frame_shape : tuple of int
        (K, n).

    Returns
    -------
    sigma : ndarray of shape (n_runs,)
        Noise standard deviation, in units of the data; 0 where the residual is 0.

    Notes
    -----
    Where the residual is heavier than any truncated Gaussian of a standard deviation
    below the threshold (signal that the frame does not make sparse), the truncation is
    taken at one standard deviation, and the estimate is too large rather than infinite.
    """
    n_units, n_features = frame_shape
    w = min(1.0, n_features / n_units) ** 0.5
    outside = n_rows * max(0, n_features - n_units)
    inside = (n_rows * n_units - n_active) * w**2
    room = np.maximum(n_rows - active_energy, 0)
    ratio = np.divide(threshold, level, out=np.zeros_like(level), where=level > 0) / w
    unit = np.ones_like(level)  # sigma in units of t
    for _ in range(STEPS):
        weight = outside + inside * truncated_variance(np.maximum(ratio / unit, 1))
        unit = np.sqrt(np.divide(room, weight, out=np.ones_like(room), where=weight > 0))
    return level * np.where(room > 0, unit, 0)
