r"""Codes of rows with missing entries and outliers, in a tight frame.

For a group of m rows ``x_b`` with unobserved entries, solve ::

    min_{z, e}  sqrt(mean_b ||W (x_b - e_b) - z_b||^2)
                + mean_b ( sum_i alpha_i |z_bi| + sum_j beta_j |e_bj| ) ,

with ``beta_j = 0`` where entry j of the row is missing: e takes any value there, so
that the entry has no influence and ``x - e`` is filled in. For the best such values,
the residual is that of the observed entries, and of the part of z that is decoded to
zero: with N an orthonormal basis of such codes, the problem is ::

    min_{z, e}  sqrt(mean_b ||x_b - e_b - z_b W||^2 + ||z_b N||^2)
                + mean_b ( sum_i alpha_i |z_bi| + sum_j beta_j |e_bj| )

in observed entries. This is a square-root lasso of the row ``(x_b, 0)`` in the atoms
``(W, N)`` and in spikes, so that paths solve it. Rows of a group have a common residual
scale t, the root of ``mean_b ||r_b(t)||^2 = t^2`` for the residuals r of lassos with
penalty t. With ``A_b`` the atoms of row b over their penalties, the dual problem is ::

    max_y  mean_b <x_b, y_b>   over  mean_b ||y_b||^2 <= 1,  |A_b y_b| <= 1 ,

and the residuals, scaled into that set, are the dual point.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import brentq

from sklearn_sqrtlasso.blockwise.linalg import unit_near
from sklearn_sqrtlasso.sparse_coding.dictionary import CodingOptions, make_dictionary
from sklearn_sqrtlasso.sparse_coding.lasso import solve_lassos
from sklearn_sqrtlasso.sparse_coding.missing_patterns import rows_alike
from sklearn_sqrtlasso.sparse_coding.outliers import (
    LEAST_PENALTY,
    split_codes,
    with_spikes,
)

LEAST_SCALE = 1e-7  # of a group, relative to its norm
SAME_SCALE = 1e-9  # relative error of the scale of a group
GAP = 1e-6  # relative duality gap of a solved group
LEAST_RESIDUAL = 1e-9  # of a residual that is a dual point, and not rounding error


class IncompleteCodes(NamedTuple):
    """Codes of incomplete rows.

    Attributes
    ----------
    Z : ndarray of shape (n_rows, n_components)
        Codes.
    clean : ndarray of shape (n_rows, n_features)
        Rows ``x - e`` about the mean: without outliers, missing entries filled in.
    scale : ndarray of shape (n_rows,)
        Residual scale t of each row's group.
    gap : ndarray of shape (n_rows,)
        Relative duality gap of each row's group.
    """

    Z: np.ndarray
    clean: np.ndarray
    scale: np.ndarray
    gap: np.ndarray


def code_incomplete(frame, x, groups):
    """Code rows with missing entries and outliers.

    Parameters
    ----------
    frame : TightFrame
        Frame, with penalties of units and of outliers.
    x : ndarray of shape (n_rows, n_features)
        Rows about the mean; NaN where an entry is missing.
    groups : ndarray of shape (n_groups + 1,)
        Bounds of the groups of rows that share a residual scale.

    Returns
    -------
    codes : IncompleteCodes
        In the dtype of x.
    """
    dtype, frame = x.dtype, _in_double_precision(frame)
    observed, sizes = ~np.isnan(x), np.diff(groups)
    x = np.where(observed, x, 0).astype(np.float64)
    largest = np.maximum.reduceat(np.abs(x).max(axis=1, initial=0), groups[:-1])
    unit = np.repeat(unit_near(largest), sizes)
    rows = _Rows(frame, x / unit[:, None], observed)
    rows.solve_alone(groups[:-1][sizes == 1])
    for g in np.flatnonzero(sizes > 1):
        rows.solve_together(np.arange(groups[g], groups[g + 1]))
    decoded = rows.Z @ frame.components
    clean = np.where(observed, rows.x - rows.outliers, decoded)
    values = rows.Z * unit[:, None], clean * unit[:, None], rows.scale * unit
    return IncompleteCodes(*(of.astype(dtype) for of in values), rows.gap)


def _in_double_precision(frame):
    """Return the frame with weights that are tight in double precision, too."""
    bounds, W = frame.outlier_alpha, frame.components.astype(np.float64)
    gram = W @ W.T if W.shape[0] <= W.shape[1] else W.T @ W
    step = 1.5 * np.eye(len(gram)) - 0.5 * gram  # Newton's, to the nearest tight frame
    W = step @ W if W.shape[0] <= W.shape[1] else W @ step
    return replace(
        frame,
        components=W,
        alpha=np.maximum(frame.alpha.astype(np.float64), LEAST_PENALTY),
        outlier_alpha=None if bounds is None else bounds.astype(np.float64),
    )


class _Rows:
    """Rows of ordinary size, and the codes that lassos give them.

    Parameters
    ----------
    frame : TightFrame
        Frame in double precision, with penalties above 0.
    x : ndarray of shape (n_rows, n_features)
        Rows about the mean, 0 where an entry is missing.
    observed : ndarray of shape (n_rows, n_features)
        Whether an entry is observed.

    Attributes
    ----------
    Z : ndarray of shape (n_rows, n_components)
        Codes, zero until they are found.
    outliers : ndarray of shape (n_rows, n_features)
        Outliers, likewise.
    scale : ndarray of shape (n_rows,)
        Residual scale of each row's group.
    gap : ndarray of shape (n_rows,)
        Relative duality gap of each row's group.
    """

    def __init__(self, frame, x, observed):
        self.x, self.observed, self.bounds = x, observed, frame.outlier_alpha
        self.alpha, self.positive = frame.alpha, bool(frame.positive)
        W = frame.components
        silent = null_space(W.T) if len(W) > W.shape[1] else W[:, :0]
        self.atoms = np.hstack([W, silent])
        self.options = CodingOptions("lasso", positive=self.positive, tol=GAP)
        self.Z, self.outliers = np.zeros((len(x), len(W))), np.zeros_like(x)
        self.scale, self.gap = np.zeros((2, len(x)))

    def solve_alone(self, rows):
        """Find the codes of rows that are groups of their own."""
        for alike in self._alike(rows):
            self._follow(alike, 1.0, root=True)

    def solve_together(self, rows):
        """Find the codes of the rows of one group."""
        parts, m = self._alike(rows), len(rows)
        whole = np.sqrt(np.sum(self.x[rows] ** 2) / m)
        if whole == 0:
            return

        def excess(log_scale):
            for alike in parts:
                self._follow(alike, np.exp(log_scale), root=False)
            with np.errstate(divide="ignore"):  # the residual may vanish
                return 0.5 * np.log(np.sum(self.scale[rows] ** 2) / m) - log_scale

        low, high = np.log(LEAST_SCALE * whole), np.log(whole)
        log_scale = low
        if excess(low) > 0:
            log_scale = brentq(excess, low, high, xtol=SAME_SCALE)
        t = np.exp(log_scale)
        found = [self._follow(alike, t, root=False) for alike in parts]
        self.scale[rows] = np.sqrt(np.sum(self.scale[rows] ** 2) / m)
        self.gap[rows] = self._gap_of_group(found, m, whole)

    def _gap_of_group(self, found, m, whole):
        """Return the duality gap of a group, relative to the norm of its rows."""
        energy = penalty = value = reach = 0.0
        for X, atoms, codes in found:
            y = X - codes @ atoms
            C = y @ atoms.T
            energy += np.sum(y**2) / m
            penalty += np.sum(np.abs(codes)) / m
            value += np.sum(X * y) / m
            reach = max(reach, np.max(C if self.positive else np.abs(C)))
        norm = np.sqrt(energy)
        certain = norm > LEAST_RESIDUAL * whole
        dual = value / max(norm, reach) if certain else 0.0
        return (norm + penalty - dual) / whole

    def _alike(self, rows):
        """Return rows that lack the same entries; codes of rows of zeros are zeros."""
        return rows_alike(~self.observed, rows[self.x[rows].any(axis=1)])

    def _follow(self, alike, alpha, *, root):
        """Set codes of rows that lack the same entries; return their lassos."""
        seen = np.flatnonzero(self.observed[alike[0]])
        n_features = self.x.shape[1]
        columns = np.append(seen, np.arange(n_features, self.atoms.shape[1]))
        bounds = None if self.bounds is None else self.bounds[seen]
        A = with_spikes(self.atoms[:, columns], self.alpha, bounds, self.positive)
        dictionary, alphas = make_dictionary(A), np.full(len(alike), alpha)
        X = np.zeros((len(alike), len(columns)))
        X[:, : len(seen)] = self.x[np.ix_(alike, seen)]
        codes, self.gap[alike], self.scale[alike] = solve_lassos(
            X, dictionary, X @ dictionary.D.T, alphas, root, self.options
        )
        self.Z[alike], outliers = split_codes(codes, self.alpha, bounds, self.positive)
        if outliers is not None:
            self.outliers[np.ix_(alike, seen)] = outliers
        return X, dictionary.D, codes
