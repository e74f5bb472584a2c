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

Paths take time and memory by the square of the number of atoms and spikes. Of many, the
code is first sought in turns with the outliers, see ``models.coding_in_turns``, and if
that takes many rounds for a single row, by Newton's method, see
``sparse_coding.newton``.
"""

import math
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

import numpy as np
from scipy.linalg import null_space

from sklearn_sqrtlasso.blockwise.linalg import unit_near
from sklearn_sqrtlasso.models.coding_in_turns import code_in_turns
from sklearn_sqrtlasso.sparse_coding.dictionary import CodingOptions, Dictionary
from sklearn_sqrtlasso.sparse_coding.lasso import solve_lassos
from sklearn_sqrtlasso.sparse_coding.missing_patterns import rows_alike
from sklearn_sqrtlasso.sparse_coding.newton import Units, code_by_newton
from sklearn_sqrtlasso.sparse_coding.outliers import (
    LEAST_PENALTY,
    dictionary_with_spikes,
    split_codes,
)
from sklearn_sqrtlasso.sparse_coding.row_thresholds import threshold_rows

LEAST_SCALE = 1e-7  # of a group, relative to its norm
SAME_SCALE = 1e-9  # relative error of the scale of a group
NEWTON_STEPS = 15  # after which the scale of a group is bisected
MAX_STEPS = 60
KEPT_BYTES = 2**27  # of the lassos of a group that are kept between steps
DEPENDENT = 1e-10  # share of the energy of an atom that is added to it in slopes
ROUNDS = 100  # at most, of a group that is coded in turns
FEW_ROUNDS = 4  # of a single row, before Newton's method
SOLVED = 1e-8  # relative duality gap of a single row that is not coded further
GAP = 1e-6  # relative duality gap of a solved group
MANY = 256  # units and features, of which codes are first sought without paths
TOO_MANY = 1024  # atoms and spikes, of which paths would crawl
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
    dtype, frame = x.dtype, frame.in_double_precision
    observed, sizes = ~np.isnan(x), np.diff(groups)
    x = np.where(observed, x, 0).astype(np.float64)
    largest = np.maximum.reduceat(np.abs(x).max(axis=1, initial=0), groups[:-1])
    unit = np.repeat(unit_near(largest), sizes)
    rows = _Rows(frame, x / unit[:, None], observed)
    by_paths = rows.solve_wide(groups)
    rows.solve_alone(groups[:-1][by_paths & (sizes == 1)])
    for g in np.flatnonzero(by_paths & (sizes > 1)):
        rows.solve_together(np.arange(groups[g], groups[g + 1]))
    decoded = rows.Z @ frame.components
    clean = np.where(observed, rows.x - rows.outliers, decoded)
    values = rows.Z * unit[:, None], clean * unit[:, None], rows.scale * unit
    return IncompleteCodes(*(of.astype(dtype) for of in values), rows.gap)


def in_double_precision(frame):
    """Return a frame with weights that are tight in double precision, too.

    Parameters
    ----------
    frame : TightFrame
        Frame.

    Returns
    -------
    frame : TightFrame
        With penalties above 0.
    """
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
        self.frame, self.x, self.observed = frame, x, observed
        self.bounds = frame.outlier_alpha
        self.alpha, self.positive = frame.alpha, bool(frame.positive)
        W = frame.components
        silent = null_space(W.T) if len(W) > W.shape[1] else W[:, :0]
        self.atoms = np.hstack([W, silent])
        self.Z, self.outliers = np.zeros((len(x), len(W))), np.zeros_like(x)
        self.scale, self.gap = np.zeros((2, len(x)))

    def solve_wide(self, groups):
        """Find the codes of groups for which paths would take many atoms and spikes.

        Parameters
        ----------
        groups : ndarray of shape (n_groups + 1,)
            Bounds of the groups.

        Returns
        -------
        by_paths : ndarray of shape (n_groups,)
            Whether a group is left to paths.
        """
        n_atoms, n_features = self.frame.components.shape
        n_spikes = 0 if self.bounds is None else n_features * (1 + self.positive)
        if n_atoms + n_features <= MANY or n_atoms > n_features:
            return np.ones(len(groups) - 1, bool)
        sizes, firsts = np.diff(groups), groups[:-1]
        self.gap[:] = np.inf
        alone, together = sizes == 1, np.repeat(sizes > 1, sizes)
        self._put(together, self._in_turns(together, sizes[~alone], ROUNDS))
        rows = firsts[alone]
        self._put(rows, self._in_turns(rows, sizes[alone], FEW_ROUNDS))
        rows = rows[self.gap[rows] > SOLVED]
        self._put(rows, self._by_newton(rows))
        if self.frame.n_steps is not None:
            return np.zeros(len(groups) - 1, bool)
        return (self.gap[firsts] > GAP) & (n_atoms + n_spikes <= TOO_MANY)

    def _in_turns(self, rows, sizes, n_rounds):
        """Return the codes of rows in groups of some sizes."""
        groups = np.concatenate([[0], np.cumsum(sizes)])
        x, observed = self.x[rows], self.observed[rows]
        return code_in_turns(self.frame, x, observed, groups, n_rounds)

    def _by_newton(self, rows):
        """Return the codes of rows that are groups of their own, from those so far."""
        W = self.frame.components
        penalties = self.alpha, self.bounds, self.positive
        units = Units(W, np.eye(len(W)), *penalties, orthonormal=True)
        given = units, self.x[rows], self.observed[rows], self.Z[rows]
        return code_by_newton(*given, self.frame.n_steps)

    def _put(self, rows, found):
        """Keep the codes that were found for rows, where they are better."""
        better = found.gap < self.gap[rows]
        rows = np.arange(len(self.gap))[rows][better]
        mine = self.Z, self.outliers, self.scale, self.gap
        for of, theirs in zip(mine, found, strict=True):
            of[rows] = theirs[better]

    def solve_alone(self, rows):
        """Find the codes of rows that are groups of their own.

        Parameters
        ----------
        rows : ndarray of shape (n_alone,)
            Indices of the rows.
        """
        for alike in self._alike(rows):
            lasso = self._lasso_of(alike)
            codes, self.gap[alike], self.scale[alike] = lasso.solve(1.0, root=True)
            self._keep(lasso, codes)

    def solve_together(self, rows):
        """Find the codes of the rows of one group, at their common residual scale.

        Parameters
        ----------
        rows : ndarray of shape (n_together,)
            Indices of the rows.
        """
        whole = math.sqrt(np.mean(np.sum(self.x[rows] ** 2, axis=1)))
        if whole == 0:
            return
        group = _Group(self._lasso_of, self._alike(rows), len(rows))
        t = group.scale(max(LEAST_SCALE * whole, self._guess(rows)), whole)
        self.scale[rows], self.gap[rows] = t, group.gap(whole)
        for lasso, codes in zip(group.lassos(), group.codes, strict=True):
            self._keep(lasso, codes)

    def _guess(self, rows):
        """Return the residual scale of a group whose missing entries are zero."""
        U, outside = self.frame.project_centred(self.x[rows])
        groups, positive = np.array([0, len(rows)]), self.positive
        return threshold_rows(U, self.alpha, positive, groups, outside=outside)[1][0]

    def _alike(self, rows):
        """Return rows that lack the same entries; codes of rows of zeros are zeros."""
        return rows_alike(~self.observed, rows[self.x[rows].any(axis=1)])

    def _lasso_of(self, alike):
        """Return the lasso of rows that lack the same entries."""
        seen = self.observed[alike[0]].nonzero()[0]
        silent = np.arange(self.x.shape[1], self.atoms.shape[1])
        columns = np.concatenate([seen, silent])
        bounds = None if self.bounds is None else self.bounds[seen]
        A = self.atoms[:, columns]
        dictionary = dictionary_with_spikes(A, self.alpha, bounds, self.positive)
        X = np.zeros((len(alike), len(columns)))
        X[:, : len(seen)] = self.x[np.ix_(alike, seen)]
        return _Lasso(alike, seen, X, dictionary, self.positive)

    def _keep(self, lasso, codes):
        """Keep what codes in atoms and spikes say."""
        bounds = None if self.bounds is None else self.bounds[lasso.seen]
        Z, outliers = split_codes(codes, self.alpha, bounds, self.positive)
        self.Z[lasso.rows] = Z
        if outliers is not None:
            self.outliers[np.ix_(lasso.rows, lasso.seen)] = outliers


class _Lasso(NamedTuple):
    """Rows that lack the same entries, and the atoms and spikes that code them.

    Attributes
    ----------
    rows : ndarray of shape (n_alike,)
        Indices of the rows.
    seen : ndarray of shape (n_seen,)
        Indices of their observed entries.
    X : ndarray of shape (n_alike, n_seen + n_silent)
        These entries, and zeros.
    dictionary : Dictionary
        Atoms and spikes over their penalties.
    positive : bool
        Whether codes are nonnegative.
    """

    rows: np.ndarray
    seen: np.ndarray
    X: np.ndarray
    dictionary: Dictionary
    positive: bool

    def solve(self, alpha, *, root):
        """Return the codes at a penalty.

        Parameters
        ----------
        alpha, root
            As for ``solve_lassos``, with one penalty of all rows.

        Returns
        -------
        Z, gap, norm
            As of ``LassoCodes``.
        """
        options = CodingOptions("lasso", positive=self.positive, tol=GAP)
        C, alphas = self.X @ self.dictionary.D.T, np.full(len(self.X), alpha)
        found = solve_lassos(self.X, self.dictionary, C, alphas, root, options)
        return found.Z, found.gap, found.norm

    def slope(self, codes):
        """Return the slope of the residual energy in the square of the penalty.

        Parameters
        ----------
        codes : ndarray of shape (n_alike, n_atoms)
            Codes of the rows.

        Returns
        -------
        slope : float
            Sum of ``s' G_AA^-1 s`` for the signs s of the active entries A.
        """
        total = 0.0
        for z in codes:
            active = z.nonzero()[0]
            signs, inner = np.sign(z[active]), self.dictionary.G[active][:, active]
            inner.flat[:: len(active) + 1] *= 1 + DEPENDENT  # atoms may be dependent
            total += signs @ np.linalg.solve(inner, signs)
        return total


class _Group:
    """Lassos of rows with a common residual scale.

    Parameters
    ----------
    lasso_of : callable, (rows) -> _Lasso
        Returns the lasso of rows that lack the same entries.
    parts : list of ndarray
        Such rows.
    m : int
        Number of rows of the group, those of zeros among them.
    """

    def __init__(self, lasso_of, parts, m):
        self.lasso_of, self.m, self.codes = lasso_of, m, []
        first = lasso_of(parts[0])
        n_kept = KEPT_BYTES // sum(of.nbytes for of in first.dictionary)
        self.kept = [first, *map(lasso_of, parts[1:n_kept])]
        self.others = parts[len(self.kept) :]

    def lassos(self):
        """Return the lassos; those that were not kept are made anew.

        Returns
        -------
        lassos : iterator of _Lasso
            In the order of the parts.
        """
        return chain(self.kept, map(self.lasso_of, self.others))

    def scale(self, t, whole):
        """Return the residual scale of the group, and find the codes.

        The energy of residuals is piecewise affine in the square of the scale, so that
        Newton's method comes to an end; where it cycles, the scale is bisected.

        Parameters
        ----------
        t : float
            Guess of the scale, at least ``LEAST_SCALE * whole``.
        whole : float
            Root mean square of the norms of the rows.

        Returns
        -------
        scale : float
            Root mean square of the norms of the residuals.
        """
        least = low = LEAST_SCALE * whole
        high, energy = whole, 0.0
        for step in range(MAX_STEPS):
            energy, goal = self._step(t)
            low, high = (t, high) if energy > t**2 else (low, t)
            goal = max(least, goal)
            if abs(goal - t) <= SAME_SCALE * t:
                break
            newton = step < NEWTON_STEPS and low <= goal <= high
            t = goal if newton else math.sqrt(low * high)
        return math.sqrt(energy)

    def _step(self, t):
        """Set the codes at scale t; return the residual energy, and Newton's scale."""
        self.codes, energy, slope = [], 0.0, 0.0
        for lasso in self.lassos():
            codes, _, norm = lasso.solve(t, root=False)
            self.codes.append(codes)
            energy += norm @ norm / self.m
            slope += lasso.slope(codes) / self.m
        unshrunk = max(energy - slope * t**2, 0)
        return energy, math.sqrt(unshrunk / (1 - slope)) if slope < 1 else math.inf

    def gap(self, whole):
        """Return the duality gap of the codes.

        Parameters
        ----------
        whole : float
            As for ``scale``.

        Returns
        -------
        gap : float
            Relative to the objective of codes of zeros, which is ``whole``.
        """
        energy = length = value = reach = 0.0
        for lasso, codes in zip(self.lassos(), self.codes, strict=True):
            y = lasso.X - codes @ lasso.dictionary.D
            C = y @ lasso.dictionary.D.T
            energy += np.sum(y**2) / self.m
            length += np.sum(np.abs(codes)) / self.m
            value += np.sum(lasso.X * y) / self.m
            reach = max(reach, np.max(C if lasso.positive else np.abs(C)))
        norm = math.sqrt(energy)
        certain = norm > LEAST_RESIDUAL * whole
        dual = value / max(norm, reach) if certain else 0.0
        return (norm + length - dual) / whole
