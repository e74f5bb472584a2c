"""Limits of two-layer autoencoders of Gaussian rows."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import quad


def _moments(activation):
    """Return ``E[g s(g)]`` and ``E[s(g)^2]`` of an odd function of a Gaussian g."""

    def mean_of(function):
        def weighted(g):
            return function(g) * np.exp(-0.5 * g * g) / np.sqrt(2 * np.pi)

        return 2 * quad(weighted, 0, 12, epsabs=1e-12, limit=200)[0]

    value = ODD_FUNCTIONS[activation] if isinstance(activation, str) else activation
    return mean_of(lambda g: g * value(g)), mean_of(lambda g: value(g) ** 2)


ODD_FUNCTIONS = {"sign": np.sign, "tanh": np.tanh, "identity": lambda g: g}


def gaussian_compression_limit(
    rate: float, spectrum: ArrayLike | None = None, activation: str = "sign"
) -> float:
    r"""Return the least risk of a two-layer autoencoder of Gaussian rows.

    For :math:`\hat x = A\,s(Bx)`, with ``rate`` times as many units as features and
    projections of unit variance, and :math:`x \sim N(0, \Sigma)`, the risk is
    :math:`R = E\|x - \hat x\|_2^2 / d`. With r the rate,
    :math:`\kappa = E[s(g)^2] / E[g\,s(g)]^2 - 1` for a standard Gaussian g
    (:math:`\pi/2 - 1` for the sign), and isotropic rows of unit variance it is

    .. math::
        R^* = 1 - \frac{r}{1 + \kappa} \;\; (r \le 1), \qquad
        R^* = 1 - \frac{r}{r + \kappa} \;\; (r > 1) .

    For eigenvalues :math:`\lambda_1 \ge \dots \ge \lambda_d` of :math:`\Sigma` and
    :math:`n = r d` units,

    .. math::
        R^* = \frac1d \left[ \sum_{i > s} \lambda_i
        + \frac{\kappa \left(\sum_{i \le s} \sqrt{\lambda_i}\right)^2}{n + \kappa s}
        \right],

    with s the largest number of at most :math:`\min(n, d)` directions for which
    :math:`(n + \kappa s) \sqrt{\lambda_s}` exceeds
    :math:`\kappa \sum_{i \le s} \sqrt{\lambda_i}`: weaker directions are left out. It
    is a lower bound, which gradient methods attain unless the spectrum is steep. With
    the sign, each unit is one bit.

    Parameters
    ----------
    rate : float
        Number of units divided by the number of features, above 0.
    spectrum : array-like of shape (n_features,), default=None
        Eigenvalues of the covariance, at least 0, in squared units of the data and in
        any order; None is the limit of many isotropic features of unit variance.
    activation : {"sign", "tanh", "identity"} or callable, default="sign"
        An odd function of the projections.

    Returns
    -------
    risk : float
        Mean squared error per feature, in squared units of the data.

    Raises
    ------
    ValueError
        If ``rate`` is not positive and finite, ``spectrum`` is empty, negative or not
        finite, leaves less than one unit, or the activation is unknown.

    References
    ----------
    .. [1] A. Shevchenko, K. Kögler, H. Hassani, M. Mondelli, "Fundamental limits of
       two-layer autoencoders, and achieving them with gradient methods", ICML 2023.

    Examples
    --------
    >>> from sklearn_sqrtlasso.theory.compression import gaussian_compression_limit
    >>> [round(gaussian_compression_limit(r), 4) for r in (0.5, 1.0, 2.0)]
    [0.6817, 0.3634, 0.222]
    >>> round(gaussian_compression_limit(1.0, [4.0, 1.0, 0.01]), 4)
    0.4168
    """
    if not isinstance(rate, Real) or not 0 < rate < np.inf:
        raise ValueError(f"rate must be a positive, finite number, got {rate!r}.")
    if isinstance(activation, str) and activation not in ODD_FUNCTIONS:
        raise ValueError(
            f"activation must be a function or one of {sorted(ODD_FUNCTIONS)}, got "
            f"{activation!r}."
        )
    slope, power = _moments(activation)
    kappa = power / slope**2 - 1
    if spectrum is None:
        return float(1 - rate / (max(rate, 1.0) + kappa))
    root = np.sqrt(_checked(spectrum))
    n_units = _whole(rate * len(root))
    totals = np.cumsum(root)
    counts = np.arange(1, len(root) + 1)
    kept = ((n_units + kappa * counts) * root > kappa * totals) & (counts <= n_units)
    s = int(counts[kept].max(initial=0))
    if s == 0:
        return 0.0  # no variance at all
    shared = kappa * totals[s - 1] ** 2 / (n_units + kappa * s)
    return float((np.sum(root[s:] ** 2) + shared) / len(root))


def _checked(spectrum):
    spectrum = np.asarray(spectrum, dtype=np.float64)
    fine = spectrum.ndim == 1 and spectrum.size and np.all(np.isfinite(spectrum))
    if not fine or np.any(spectrum < 0):
        raise ValueError(
            "spectrum must be a list of finite eigenvalues of at least 0, got "
            f"{spectrum!r}."
        )
    return np.sort(spectrum)[::-1]


def _whole(n_units):
    nearest = round(n_units)
    if isinstance(n_units, Integral) or abs(n_units - nearest) < 1e-9 * n_units:
        n_units = nearest
    if n_units < 1:
        raise ValueError(
            "rate times the length of spectrum must be at least one unit, got "
            f"{n_units}."
        )
    return n_units


def best_sign_decoder(
    components: ArrayLike, covariance: ArrayLike | None = None
) -> tuple[np.ndarray, float]:
    r"""Return the best decoder of signs of Gaussian rows, and its risk.

    For :math:`x \sim N(0, \Sigma)` and signs of :math:`Bx`, with P the correlations of
    :math:`Bx`, :math:`v_i = b_i^\top \Sigma b_i` and the sine law for moments of signs,

    .. math::
        A = \operatorname{argmin}_A E\|x - A \operatorname{sign}(Bx)\|_2^2
          = \sqrt{2 / \pi} \, \Sigma B^\top \operatorname{diag}(v)^{-1/2} F^{-1},
        \qquad F = \frac2\pi \arcsin P .

    Parameters
    ----------
    components : array-like of shape (n_components, n_features)
        B, without rows of zeros; the norms of its rows do not matter.
    covariance : array-like of shape (n_features, n_features), default=None
        :math:`\Sigma`, in squared units of the data; None is the identity.

    Returns
    -------
    decoder : ndarray of shape (n_components, n_features)
        Transpose of A, in units of the data: rows are restored by ``signs @ decoder``.
    risk : float
        :math:`E\|x - \hat x\|_2^2` per feature, in squared units of the data.

    Raises
    ------
    ValueError
        If a projection has no variance, or a shape or an entry is invalid.

    References
    ----------
    .. [1] A. Shevchenko, K. Kögler, H. Hassani, M. Mondelli, "Fundamental limits of
       two-layer autoencoders, and achieving them with gradient methods", ICML 2023.

    Examples
    --------
    Orthonormal projections, half as many as features, attain the limit:

    >>> import numpy as np
    >>> from sklearn_sqrtlasso.theory.compression import best_sign_decoder
    >>> decoder, risk = best_sign_decoder(np.eye(4)[:2])
    >>> round(risk, 4)
    0.6817
    """
    B = np.asarray(components, dtype=np.float64)
    if B.ndim != 2 or not B.size or not np.isfinite(B).all():
        raise ValueError(
            "components must be a finite matrix with at least one row, got shape "
            f"{B.shape}."
        )
    n_features = B.shape[1]
    given = np.eye(n_features) if covariance is None else covariance
    sigma = np.asarray(given, dtype=np.float64)
    if sigma.shape != (n_features, n_features) or not np.isfinite(sigma).all():
        raise ValueError(
            f"covariance must be a finite matrix of shape {(n_features, n_features)}, "
            f"got shape {sigma.shape}."
        )
    B = B / np.maximum(np.abs(B).max(axis=1, keepdims=True), np.finfo(float).tiny)
    shared = B @ sigma
    variance = np.einsum("ij,ij->i", shared, B)
    if not np.all(variance > 0):
        raise ValueError(
            "Each row of components must see some variance, got "
            f"{np.count_nonzero(variance <= 0)} rows that see none."
        )
    size = np.sqrt(variance)
    correlation = np.clip(shared @ B.T / np.outer(size, size), -1, 1)
    np.fill_diagonal(correlation, 1.0)
    moment = np.sqrt(2 / np.pi) * shared / size[:, None]
    between = 2 / np.pi * np.arcsin(correlation)
    decoder = np.linalg.pinv(between, hermitian=True) @ moment
    explained = np.vdot(decoder, moment)
    return decoder, float((np.trace(sigma) - explained) / n_features)
