r"""Codes of rows with missing entries and outliers, in a tight frame.

For a group of m rows ``x_b`` with unobserved entries, solve ::

    min_{z, e}  sqrt(mean_b ||W (x_b - e_b) - z_b||^2)
                + mean_b ( sum_i alpha_i |z_bi| + sum_j beta_j |e_bj| ) ,

with ``beta_j = 0`` where entry j of the row is missing: e takes any value there, so
that the entry has no influence and ``x - e`` is filled in. The problem is jointly
convex and homogeneous. Given e, the code is exact shrinkage of ``W (x - e)``; given the
code, e is exact shrinkage of ``x - W'z``. The two alternate, with extrapolation of e
that starts anew where it would raise the objective, until a duality gap is small. They
can stop short where the residual vanishes; groups that they do not solve are coded by
the exact path of the lasso in the atoms that the observed entries of each row leave.
The dual problem is ::

    max_psi  sum_b <x_b, W' psi_b>   over  ||psi|| <= 1 / sqrt(m),
    |psi_bi| <= alpha_i / m,  |W' psi_b|_j <= beta_j / m ,

and the residual, scaled into that set, is the dual point.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from sklearn_sqrtlasso.blockwise.linalg import unit_near
from sklearn_sqrtlasso.sparse_coding.dictionary import CodingOptions, make_dictionary
from sklearn_sqrtlasso.sparse_coding.lasso import solve_lassos
from sklearn_sqrtlasso.sparse_coding.outliers import (
    LEAST_PENALTY,
    split_codes,
    with_spikes,
)
from sklearn_sqrtlasso.sparse_coding.row_thresholds import threshold_rows

MAX_ROUNDS = 100
STALLED = 1e-9  # relative decrease of the objective of a group that stops short
LEAST_SCALE = 1e-7  # of a group that is coded exactly, relative to its norm
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
    observed = ~np.isnan(x)
    x = np.where(observed, x, 0).astype(np.float64)
    rows = np.repeat(np.arange(len(groups) - 1), np.diff(groups))
    largest = np.maximum.reduceat(np.abs(x).max(axis=1, initial=0), groups[:-1])
    unit = unit_near(largest)[rows, None]
    problem = _Problem(frame, x / unit, observed, groups, rows)
    state = problem.solve()
    values = state.Z * unit, state.clean * unit, state.scale * unit.ravel()
    return IncompleteCodes(*(of.astype(dtype) for of in values), state.gap[rows])


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


class _Problem:
    """Rows of ordinary size, coded by alternating shrinkage.

    Parameters
    ----------
    frame : TightFrame
        Frame in double precision, with penalties above 0.
    x : ndarray of shape (n_rows, n_features)
        Rows about the mean, 0 where an entry is missing.
    observed : ndarray of shape (n_rows, n_features)
        Whether an entry is observed.
    groups : ndarray of shape (n_groups + 1,)
        Bounds of the groups.
    rows : ndarray of shape (n_rows,)
        Group of each row.
    """

    def __init__(self, frame, x, observed, groups, rows):
        self.frame, self.x, self.observed = frame, x, observed
        self.groups, self.rows, self.m = groups, rows, np.diff(groups)
        self.positive = bool(frame.positive)
        self.overcomplete = len(frame.components) > frame.components.shape[1]

    def _mean(self, values):
        """Return the mean of a value of each row over its group."""
        return np.add.reduceat(values, self.groups[:-1]) / self.m

    def _code(self, clean):
        """Return codes and residual scales for given clean rows."""
        U, outside = self.frame.project_centred(clean)
        alpha, positive = self.frame.alpha, self.frame.positive
        Z, scale = threshold_rows(U, alpha, positive, self.groups, outside=outside)
        return Z, scale

    def _clear(self, Z):
        """Return the clean rows for given codes, the outliers, and decoded rows."""
        decoded = Z @ self.frame.components
        v = np.where(self.observed, self.x - decoded, 0)
        if self.frame.outlier_alpha is None:
            return np.where(self.observed, self.x, decoded), np.zeros_like(v), decoded
        e, _ = threshold_rows(
            np.ascontiguousarray(v),
            self.frame.outlier_alpha,
            False,
            self.groups,
            outside=self._beyond(Z, decoded),
        )
        return np.where(self.observed, self.x - e, decoded), e, decoded

    def _beyond(self, Z, decoded):
        """Return the norm of the part of codes that is decoded to zero."""
        if not self.overcomplete:
            return np.zeros(len(Z), Z.dtype)
        energy = np.sum(Z**2, axis=1) - np.sum(decoded**2, axis=1)
        return np.sqrt(np.maximum(energy, 0))

    def _judge(self, Z, clean, e, decoded):
        """Return the objective of each group, and its relative duality gap."""
        frame = self.frame
        r = clean - decoded
        energy = self._mean(np.sum(r**2, axis=1) + self._beyond(Z, decoded) ** 2)
        norm = np.sqrt(energy)
        penalty = np.abs(Z) @ frame.alpha
        psi = clean @ frame.components.T - Z
        size = np.maximum(psi, 0) if frame.positive else np.abs(psi)
        reach = _ratio(size, frame.alpha)
        if frame.outlier_alpha is not None:
            penalty = penalty + np.abs(e) @ frame.outlier_alpha
            reach = np.maximum(reach, _ratio(np.abs(r), frame.outlier_alpha))
        objective = norm + self._mean(penalty)
        bound = np.maximum(norm, np.maximum.reduceat(reach, self.groups[:-1]))
        value = self._mean(np.sum(self.x * np.where(self.observed, r, 0), axis=1))
        whole = np.sqrt(self._mean(np.sum(self.x**2, axis=1)))
        certain = norm > LEAST_RESIDUAL * whole
        dual = np.divide(value, bound, out=np.zeros_like(value), where=certain)
        gap = np.divide(objective - dual, whole, out=0 * whole, where=whole > 0)
        return objective, gap

    def solve(self):
        """Alternate until the gap of each group is small.

        Returns
        -------
        state : _State
            Codes, clean rows, residual scales, and what they attain.
        """
        clean = self.x
        best = self._step(clean)
        last, pace = best, np.ones(len(self.m))
        moving = np.ones(len(self.m), bool)
        for _ in range(MAX_ROUNDS):
            moving &= best.gap > GAP
            if not moving.any():
                break
            ahead = 0.5 + np.sqrt(0.25 + pace**2)
            speed = ((pace - 1) / ahead)[self.rows, None]
            new = self._step(best.clean + speed * (best.clean - last.clean))
            rises = new.objective > best.objective
            if rises.any():
                plain = self._step(best.clean)
                new = _choose(rises, self.rows, plain, new)
            pace = np.where(rises, 1.0, ahead)
            new = _choose(
                moving & (new.objective <= best.objective), self.rows, new, best
            )
            moving &= best.objective - new.objective > STALLED * best.objective
            last, best = best, new
        for group in np.flatnonzero(best.gap > GAP):
            rows = slice(self.groups[group], self.groups[group + 1])
            exact = self._exact(rows)
            if exact.gap[0] < best.gap[group]:
                for ours, found in zip(best[:3], exact[:3], strict=True):
                    ours[rows] = found
                best.objective[group] = exact.objective[0]
                best.gap[group] = exact.gap[0]
        return best

    def _exact(self, rows):
        """Return the state of one group, with codes by lasso paths."""
        problems = [self._lasso_of_row(i) for i in range(rows.start, rows.stop)]
        gap = np.inf
        if len(problems) == 1:
            code, _, gap = _solve(*problems[0], 1.0, root=True)
            codes = [code]
        else:
            codes = _codes_of_group(problems)
        Z = np.empty((len(codes), len(self.frame.alpha)))
        e, observed = np.zeros_like(self.x[rows]), self.observed[rows]
        for i, code in enumerate(codes):
            bounds = self._bounds(observed[i])
            Z[i], outliers = split_codes(code, self.frame.alpha, bounds, self.positive)
            if outliers is not None:
                e[i, observed[i]] = outliers
        decoded, m = Z @ self.frame.components, len(Z)
        clean = np.where(observed, self.x[rows] - e, decoded)
        one = _Problem(
            self.frame, self.x[rows], observed, np.array([0, m]), np.zeros(m, np.intp)
        )
        r = np.sum((clean - decoded) ** 2, axis=1) + one._beyond(Z, decoded) ** 2
        scale = np.full(m, np.sqrt(np.mean(r)))
        objective, found = one._judge(Z, clean, e, decoded)
        return _State(Z, clean, scale, objective, np.minimum(found, gap))

    def _lasso_of_row(self, i):
        """Return a row and atoms whose code with equal penalties is that of the row."""
        W, seen = self.frame.components, self.observed[i]
        A = W[:, seen]
        if self.overcomplete:
            A = np.hstack([A, W @ W.T - np.eye(len(W))])
        alpha, positive = self.frame.alpha, self.positive
        A = with_spikes(A, alpha, self._bounds(seen), positive)
        x = np.zeros(A.shape[1])
        x[: seen.sum()] = self.x[i, seen]
        return x, make_dictionary(A), positive

    def _bounds(self, seen):
        """Return the penalties of outliers of the observed entries of a row."""
        bounds = self.frame.outlier_alpha
        return None if bounds is None else bounds[seen]

    def _step(self, clean):
        Z, scale = self._code(np.ascontiguousarray(clean))
        clean, e, decoded = self._clear(Z)
        return _State(Z, clean, scale, *self._judge(Z, clean, e, decoded))


def _solve(x, dictionary, positive, alpha, *, root):
    """Return the code of a row, the norm of its residual, and its duality gap."""
    options = CodingOptions("lasso", positive=positive, tol=GAP)
    X, alpha = x[None], np.array([alpha])
    Z, gap, norm = solve_lassos(X, dictionary, X @ dictionary.D.T, alpha, root, options)
    return Z[0], float(norm[0]), float(gap[0])


def _codes_of_group(problems):
    """Return the codes of rows with a common residual scale, found by bisection."""
    largest = np.sqrt(np.mean([x @ x for x, *_ in problems]))
    if largest == 0:
        return [np.zeros(len(dictionary.D)) for _, dictionary, _ in problems]

    def excess(log_scale):
        t = np.exp(log_scale)
        norms = [_solve(*problem, t, root=False)[1] for problem in problems]
        return np.sqrt(np.mean(np.square(norms))) / t - 1

    low, high = np.log(LEAST_SCALE * largest), np.log(largest)
    log_scale = low
    if excess(low) > 0:
        log_scale = high if excess(high) >= 0 else brentq(excess, low, high, rtol=1e-14)
    return [_solve(*problem, np.exp(log_scale), root=False)[0] for problem in problems]


class _State(NamedTuple):
    """Codes and clean rows, with the objective and the gap of each group."""

    Z: np.ndarray
    clean: np.ndarray
    scale: np.ndarray
    objective: np.ndarray
    gap: np.ndarray


def _choose(which, rows, one, other):
    """Return the state of one for some groups, of the other for the rest."""
    of_rows = which[rows]
    return _State(
        np.where(of_rows[:, None], one.Z, other.Z),
        np.where(of_rows[:, None], one.clean, other.clean),
        np.where(of_rows, one.scale, other.scale),
        np.where(which, one.objective, other.objective),
        np.where(which, one.gap, other.gap),
    )


def _ratio(size, bound):
    """Return the largest entry of each row over its bound; zeros have none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(size > 0, size / bound, 0).max(axis=1, initial=0)
