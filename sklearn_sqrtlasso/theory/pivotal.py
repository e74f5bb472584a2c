"""Pivotal penalties, chosen without data, and bounds of the recovery error."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv
from sklearn.utils import check_random_state

from sklearn_sqrtlasso._types import Seed

DRAWS_AT_ONCE = 1024


def simulated_quantile(
    draw: Callable[..., np.ndarray],
    *,
    confidence: float,
    n_draws: int,
    at_once: int = DRAWS_AT_ONCE,
) -> float:
    """Return the simulated quantile of the pivot of noise, its peak over its norm.

    All pivotal penalties are this quantile; they differ in the columns that are
    correlated with the noise.

    Parameters
    ----------
    draw : callable, (n) -> (peaks, energy)
        Draws noise n times; returns the largest correlation and the squared norm of
        each draw, arrays of shape (n,).
    confidence : float
        Probability, in (0, 1).
    n_draws : int
        Number of draws, at least 1.
    at_once : int, default=1024
        Number of draws in a batch.

    Returns
    -------
    quantile : float
        In units of the peak over units of the noise; draws without energy count as 0.
    """
    ratios = []
    for start in range(0, n_draws, at_once):
        peaks, energy = draw(min(at_once, n_draws - start))
        ratio = np.zeros(len(peaks))
        ratios.append(np.divide(peaks, np.sqrt(energy), out=ratio, where=energy > 0))
    return float(np.quantile(np.concatenate(ratios), confidence))


def _check_confidence(confidence):
    if not (isinstance(confidence, Real) and 0 < confidence < 1):
        raise ValueError(f"confidence must be in (0, 1), got {confidence!r}.")


def pivotal_alpha(
    n_components: int,
    n_features: int,
    *,
    confidence: float = 0.95,
    components: ArrayLike | None = None,
    n_draws: int = 10_000,
    random_state: Seed = 0,
) -> float:
    r"""Return a penalty at which pure noise of any level has a zero code.

    The code of Gaussian noise :math:`g` by a transform :math:`W` is zero if and only if
    :math:`\|Wg\|_\infty \le \alpha \sqrt{\|Wg\|_2^2 + \rho^2}`, with :math:`\rho` the
    norm of g outside the span of W. The noise level cancels in the ratio of the two: it
    is *pivotal*. The penalty is its quantile,

    .. math::
        P\left(\|W g\|_\infty \le \alpha \sqrt{\|Wg\|_2^2 + \rho^2}\right)
        = \text{confidence} .

    Without ``components``, W is any tight frame. Its rows have norm at most one, so
    :math:`(w_i^\top g)^2 / \|g\|_2^2` is at most a Beta(1/2, (n_features - 1)/2)
    variable, and a union bound over the rows gives a penalty with at least this
    confidence; for orthonormal W it is tight to a few per cent. With ``components`` the
    quantile is simulated for that W, tight frame or not. The confidence is that of
    single rows: where many rows share one residual scale, slightly more of them have a
    nonzero code (7 instead of 5 in 100, at 64 features).

    Parameters
    ----------
    n_components, n_features : int
        Shape of the transform, both at least 1.
    confidence : float, default=0.95
        Probability that a row of pure noise has a zero code, in (0, 1).
    components : array-like of shape (n_components, n_features), default=None
        The transform W; None uses the closed form.
    n_draws : int, default=10000
        Number of draws of the simulation.
    random_state : int, RandomState instance or None, default=0
        Seed of the simulation.

    Returns
    -------
    alpha : float
        Penalty, a pure number in (0, 1].

    Raises
    ------
    ValueError
        If a number is below 1, ``confidence`` is outside (0, 1), or ``components`` has
        another shape or is not finite.

    References
    ----------
    .. [1] A. Belloni, V. Chernozhukov, L. Wang, "Square-root lasso: pivotal recovery of
       sparse signals via conic programming", Biometrika 98(4), 2011.

    Examples
    --------
    >>> from sklearn_sqrtlasso.theory.pivotal import pivotal_alpha
    >>> round(pivotal_alpha(64, 64), 3)
    0.406
    """
    for name, value in (
        ("n_components", n_components),
        ("n_features", n_features),
        ("n_draws", n_draws),
    ):
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name} must be an integer of at least 1, got {value!r}.")
    _check_confidence(confidence)
    if components is None:
        return _closed_form(n_components, n_features, confidence)
    W = np.asarray(components, dtype=np.float64)
    if W.shape != (n_components, n_features):
        raise ValueError(
            f"components must have shape ({n_components}, {n_features}), got {W.shape}."
        )
    if not np.all(np.isfinite(W)) or not W.any():
        raise ValueError("components must be finite and not all zero.")
    rng = check_random_state(random_state)
    seen = np.linalg.pinv(W) @ W if n_components < n_features else None

    def draw(n):
        G = rng.standard_normal((n, n_features))
        U = G @ W.T
        energy = np.sum(U**2, axis=1)
        if seen is not None:
            energy += np.sum((G - G @ seen) ** 2, axis=1)
        return np.abs(U).max(axis=1), energy

    return simulated_quantile(draw, confidence=confidence, n_draws=n_draws)


def _closed_form(n_components, n_features, confidence):
    if n_features == 1:
        return 1.0
    each = 1 - (1 - confidence) / n_components
    return float(np.sqrt(betaincinv(0.5, (n_features - 1) / 2, each)))


def pivotal_alpha_of_dictionary(
    dictionary: ArrayLike,
    *,
    confidence: float = 0.95,
    positive: bool = False,
    n_draws: int = 10_000,
    random_state: Seed = 0,
) -> float:
    r"""Return a penalty at which pure noise has a zero code in given atoms.

    The code :math:`\arg\min_z \|g - zD\|_2 + \alpha\|z\|_1` of Gaussian noise g is zero
    if and only if :math:`\|Dg\|_\infty \le \alpha \|g\|_2`, where the noise level
    cancels. The penalty is the simulated quantile of the ratio,

    .. math:: P\left(\|D g\|_\infty \le \alpha \|g\|_2\right) = \text{confidence} .

    Parameters
    ----------
    dictionary : array-like of shape (n_components, n_features)
        Atoms D, not all zero.
    confidence : float, default=0.95
        Probability that a row of pure noise has a zero code, in (0, 1).
    positive : bool, default=False
        Whether codes are nonnegative.
    n_draws : int, default=10000
        Number of draws of the simulation, at least 1.
    random_state : int, RandomState instance or None, default=0
        Seed of the simulation.

    Returns
    -------
    alpha : float
        Penalty, in units of the norm of an atom.

    Raises
    ------
    ValueError
        If ``dictionary`` is not a finite matrix or ``confidence`` is outside (0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sqrtlasso.theory.pivotal import pivotal_alpha_of_dictionary
    >>> round(pivotal_alpha_of_dictionary(np.eye(64)), 2)
    0.41
    """
    _check_confidence(confidence)
    D = np.asarray(dictionary, dtype=np.float64)
    if D.ndim != 2 or not np.all(np.isfinite(D)):
        raise ValueError("dictionary must be a finite matrix.")
    rng = check_random_state(random_state)

    def draw(n):
        G = rng.standard_normal((n, D.shape[1]))
        C = G @ D.T
        C = C if positive else np.abs(C)
        return C.max(axis=1, initial=0), np.sum(G**2, axis=1)

    return simulated_quantile(draw, confidence=confidence, n_draws=n_draws)


class RecoveryBound(NamedTuple):
    """Bounds of the error of a code of a sparse signal in noise.

    Attributes
    ----------
    max_error : float
        Bound of the largest error of an entry, in units of the data. Larger entries
        stay in the support and keep their sign.
    l2_error : float
        Bound of the Euclidean error, in units of the data, if the nonzero entries are
        at least twice the largest entry of the noise.
    """

    max_error: float
    l2_error: float


def recovery_bound(alpha: float, n_nonzero: int, noise_norm: float) -> RecoveryBound:
    r"""Bound the error of a code of :math:`u = z^* + e`, with k nonzeros in z*.

    If :math:`\alpha \ge \|e\|_\infty / \|e\|_2` and :math:`k\alpha^2 < 1`, then

    .. math::
        \|z - z^*\|_\infty \le \alpha (2 + \eta) \|e\|_2, \qquad
        1 + \eta = (1 - k\alpha^2)^{-1/2} .

    If moreover the nonzeros of z* are at least :math:`2\|e\|_\infty` in magnitude, no
    other entry is active, and

    .. math:: \|z - z^*\|_2 \le \sqrt{k}\, \alpha (2 + \eta) \|e\|_2 .

    If they exceed the first bound, the support and the signs of the code are those of
    z*.

    Parameters
    ----------
    alpha : float
        Penalty, a pure number in (0, 1).
    n_nonzero : int
        Number k of nonzero entries of z*.
    noise_norm : float
        :math:`\|e\|_2`, in units of the data.

    Returns
    -------
    bound : RecoveryBound
        Bounds of the largest and of the Euclidean error, in units of the data; infinite
        if :math:`k\alpha^2 \ge 1`.

    Raises
    ------
    ValueError
        If an argument is negative.

    References
    ----------
    .. [1] N. Goldenstein, J. Sulam, Y. Romano, "Pivotal Auto-Encoder via
       Self-Normalizing ReLU", arXiv:2406.16052, 2024.

    Examples
    --------
    >>> from sklearn_sqrtlasso.theory.pivotal import recovery_bound
    >>> bound = recovery_bound(0.4, n_nonzero=4, noise_norm=1.0)
    >>> round(bound.max_error, 3), round(bound.l2_error, 3)
    (1.067, 2.133)
    """
    for name, value in (
        ("alpha", alpha),
        ("n_nonzero", n_nonzero),
        ("noise_norm", noise_norm),
    ):
        if not value >= 0:
            raise ValueError(f"{name} must be at least 0, got {value!r}.")
    slack = 1 - n_nonzero * alpha**2
    if slack <= 0:
        return RecoveryBound(np.inf, np.inf)
    max_error = float(alpha * (1 + slack**-0.5) * noise_norm)
    return RecoveryBound(max_error, max_error * float(np.sqrt(n_nonzero)))
