"""Thresholds of rows by the square-root lasso, and the codes that they give.

Entry i of a row is soft-thresholded at ``alpha_i t``, where the residual scale t of the
row, or of its group, is found by ``algorithms.shrinkage``. The threshold that also
follows the energy of the row is in ``algorithms.adaptive_shrinkage``.
"""

import numpy as np

from sklearn_sqrtlasso.algorithms.shrinkage import shrink_group, shrink_groups

N_TURNS = 8  # groups that are shrunk in turns; more gain nothing


def threshold_rows(U, alpha, positive, groups, *, outside=None, out=None):
    """Soft-threshold rows at the levels that follow their own residuals.

    Parameters
    ----------
    U : ndarray of shape (n_rows, n_components)
        Rows, C-contiguous.
    alpha : ndarray of shape (n_components,)
        Penalty of each unit, pure numbers.
    positive : bool
        Whether codes are nonnegative.
    groups : ndarray of shape (n_groups + 1,)
        Bounds of the groups of rows that share a residual scale.
    outside : ndarray of shape (n_rows,), default=None
        Norm of each row outside the span; None is zero.
    out : ndarray of shape (n_rows, n_components), default=None
        Where the codes may be written.

    Returns
    -------
    Z : ndarray of shape (n_rows, n_components)
        Codes.
    scale : ndarray of shape (n_rows,)
        Residual scale t of each row's group: entry i was thresholded at ``alpha_i t``.
    """
    Z, scale = np.empty_like(U) if out is None else out, np.empty(len(U), U.dtype)
    outside = np.zeros(len(U), U.dtype) if outside is None else outside
    steps = np.empty((N_TURNS, 4))
    shrink_groups(U, outside, alpha, positive, groups, steps, Z, scale)
    return Z, scale


def threshold_rows_at(U, alpha, positive, t, *, out=None):
    """Soft-threshold rows of a group whose residual scale is known.

    Parameters
    ----------
    U, alpha, positive
        As for ``threshold_rows``.
    t : float
        Residual scale of the group.
    out : ndarray of shape (n_rows, n_components), default=None
        Where the codes may be written.

    Returns
    -------
    Z : ndarray of shape (n_rows, n_components)
        Codes.
    """
    Z, outside = np.empty_like(U) if out is None else out, np.zeros(len(U), U.dtype)
    shrink_group(U, outside, alpha, positive, t, 1.0, 0, len(U), Z)
    return Z
