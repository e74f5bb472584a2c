r"""Codes and outliers of rows, found in turns: for wide rows.

The objective of ``models.incomplete_rows`` is minimised over codes for given outliers
and missing entries, and over these for given codes. Both have a closed form, the
thresholds of ``threshold_rows``, so that a round takes four products of the rows and
the frame, however many entries may be outliers. The error falls by the largest squared
singular value of the part of W in outliers and missing entries, so few rounds suffice
where these are few. A duality gap tells when a group is solved.
"""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.blockwise.linalg import row_norms
from sklearn_sqrtlasso.sparse_coding.outliers import RowCodes
from sklearn_sqrtlasso.sparse_coding.row_thresholds import threshold_rows

SOLVED = 1e-9  # relative duality gap at which a group is left as it is
LEAST_CERTIFIED = 1e-7  # smaller penalties of units are raised to it in gaps
LEAST_RESIDUAL = 1e-8  # relative to the rows, of a residual that is a dual point


def code_in_turns(frame, x, observed, groups, n_rounds):
    """Code rows with missing entries and outliers, a number of rounds at most.

    Parameters
    ----------
    frame : TightFrame
        Frame in double precision with orthonormal units, and penalties above 0.
    x : ndarray of shape (n_rows, n_features)
        Rows about the mean, 0 where an entry is missing.
    observed : ndarray of shape (n_rows, n_features)
        Whether an entry is observed.
    groups : ndarray of shape (n_groups + 1,)
        Bounds of the groups of rows that share a residual scale.
    n_rounds : int
        Largest number of rounds of a group.

    Returns
    -------
    codes : RowCodes
        Of a group with outliers too many for these, with the gap that is left.
    """
    n_rows, n_features = x.shape
    found = RowCodes(
        np.zeros((n_rows, frame.n_components)),
        np.zeros((n_rows, n_features)),
        *np.zeros((2, n_rows)),
    )
    rows, sizes = np.arange(n_rows), np.diff(groups)
    Z, r, pull = found.Z, x, found.Z
    for _ in range(n_rounds if n_rows else 0):
        bounds = np.concatenate([[0], np.cumsum(sizes)])
        Z = _codes(frame, Z, r, bounds)
        r, outliers, scale = _residuals(frame, Z, x[rows], observed[rows], bounds)
        part = _Part(x[rows], observed[rows], bounds)
        gap, pull = _gaps(frame, part, Z, r, outliers, pull)
        of_rows = np.repeat(gap, sizes)
        for mine, theirs in zip(found, (Z, outliers, scale, of_rows), strict=True):
            mine[rows] = theirs
        left = of_rows > SOLVED
        rows, sizes, Z, r = rows[left], sizes[gap > SOLVED], Z[left], r[left]
        pull = pull[left]
        if not len(rows):
            break
    return found


class _Part(NamedTuple):
    """Rows of groups that are not solved yet."""

    x: np.ndarray
    observed: np.ndarray
    groups: np.ndarray


def _mean(part, values):
    """Return the mean of a value of each row, for each group."""
    return np.add.reduceat(values, part.groups[:-1]) / np.diff(part.groups)


def _norm(part, y):
    """Return the root of the mean energy of rows, for each group."""
    return np.sqrt(_mean(part, np.einsum("ij,ij->i", y, y)))


def _codes(frame, Z, r, groups):
    """Return the next codes of rows without outliers, which are ``r + Z W``."""
    W = frame.components
    C = r @ W.T
    outside = row_norms(r - C @ W)
    return threshold_rows(
        C + Z, frame.alpha, bool(frame.positive), groups, outside=outside
    )[0]


def _residuals(frame, Z, x, observed, groups):
    """Return the residuals of observed entries, their outliers, and the scale."""
    v = np.where(observed, x - Z @ frame.components, 0)
    if frame.outlier_alpha is None:
        outliers = np.zeros_like(v)
    else:
        outliers = threshold_rows(v, frame.outlier_alpha, False, groups)[0]
    r, sizes = v - outliers, np.diff(groups)
    energy = np.add.reduceat(np.sum(r**2, axis=1), groups[:-1]) / sizes
    return r, outliers, np.repeat(np.sqrt(energy), sizes)


def _gaps(frame, part, Z, r, outliers, pull):
    """Return the duality gap of each group, relative to the objective of zeros.

    A residual that is rounding error gives no dual point. The correlations of another
    one, with the decoded ``pull`` in entries without outliers, are to be the signed
    penalties; what they lack is added to the pull, which is returned, too.
    """
    W, beta, sizes = frame.components, frame.outlier_alpha, np.diff(part.groups)
    alpha = np.maximum(frame.alpha, LEAST_CERTIFIED)
    norm, whole = _norm(part, r), _norm(part, part.x)
    exact = np.repeat(norm <= LEAST_RESIDUAL * whole, sizes)
    y, length, wanted = r.copy(), np.abs(Z) @ alpha, np.sign(Z) * alpha
    pull = np.where(exact[:, None] & (pull == 0), wanted, pull)
    y[exact] = np.where(part.observed[exact], pull[exact] @ W, 0)
    if beta is not None:
        length = length + np.abs(outliers) @ beta
        rounding = np.where(exact, LEAST_RESIDUAL * np.repeat(whole, sizes), np.inf)
        spikes = np.abs(outliers) > rounding[:, None]
        y = np.where(spikes, np.sign(outliers) * beta, y)
    C = y @ W.T
    reach = ((C if frame.positive else np.abs(C)) / alpha).max(axis=1, initial=0)
    if beta is not None:
        reach = np.maximum(reach, (np.abs(y) / beta).max(axis=1, initial=0))
    limit = np.maximum(np.maximum.reduceat(reach, part.groups[:-1]), _norm(part, y))
    value = np.maximum(_mean(part, np.einsum("ij,ij->i", part.x, y)), 0)
    dual = np.divide(value, limit, out=np.zeros_like(value), where=limit > 0)
    gap = norm + _mean(part, length) - dual
    gap = np.divide(gap, whole, out=np.zeros_like(gap), where=whole > 0)
    return gap, np.where(exact[:, None], pull + wanted - C, pull)
