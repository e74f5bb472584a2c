"""Limit of the penalty: the smallest one at which a code is zero."""

import numpy as np
from numpy.typing import ArrayLike


def alpha_max(
    U: ArrayLike, outside: ArrayLike | None = None, *, positive: bool = False
) -> np.ndarray:
    r"""Return the smallest penalty at which the code of each row is zero.

    .. math:: \alpha_{\max}(u) = \|u\|_\infty / \sqrt{\|u\|_2^2 + \rho^2}

    With nonnegative codes the largest entry takes the place of the largest magnitude.

    Parameters
    ----------
    U : array-like of shape (n_samples, n_components)
        Projected rows.
    outside : array-like of shape (n_samples,), default=None
        Norm :math:`\rho` of each row outside the span, in units of ``U``; None is zero.
    positive : bool, default=False
        Whether codes are nonnegative.

    Returns
    -------
    alpha : ndarray of shape (n_samples,)
        Penalties, pure numbers in [0, 1]; 0 for rows of zeros.

    Raises
    ------
    ValueError
        If ``U`` is not two-dimensional.

    Examples
    --------
    >>> from sklearn_sqrtlasso.theory.limits import alpha_max
    >>> alpha_max([[3.0, -4.0], [0.0, 0.0]])
    array([0.8, 0. ])
    """
    U = np.asarray(U, dtype=np.float64)
    if U.ndim != 2:
        raise ValueError(f"U must have shape (n_samples, n_components), got {U.shape}.")
    left = np.asarray(0.0 if outside is None else outside, dtype=np.float64)
    size = np.maximum(np.abs(U).max(axis=1, initial=0), left)
    size[size == 0] = 1
    inside, left = U / size[:, None], left / size
    top = (inside if positive else np.abs(inside)).max(axis=1, initial=0)
    norm = np.sqrt(np.sum(inside**2, axis=1) + left**2)
    return top / np.where(norm > 0, norm, 1)
