"""Square-root-lasso regression: working sets, exact solutions, a duality gap."""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.kernels.active_set import DEPENDENT, factorize, finish
from sklearn_sqrtlasso.kernels.descent import sweep_gram

SWEEPS = 10  # of coordinate descent before the exact end
SWEEP_TOL = 1e-3  # change of a fit, relative to the target, at which sweeps end
FIRST = 64  # columns of the first working set
ALL = 256  # up to this number of features, all columns are in it
ANCHOR = 0.03  # of the squared norm of the target
FLOOR = 1e-12  # of the squared norm of the target: a residual lost in rounding


class Fit(NamedTuple):
    """Coefficients, and the proof of how good they are.

    Attributes
    ----------
    coef : ndarray of shape (n_features,)
        Coefficients.
    sigma : float
        Root of the weighted mean of squared residuals, in units of y.
    gap : float
        Relative duality gap: the objective exceeds its minimum by at most ``gap`` times
        the objective at zero. A pure number.
    n_iter : int
        Number of rounds; each solves on a working set and looks at all features.
    """

    coef: np.ndarray
    sigma: float
    gap: float
    n_iter: int


class WorkingSet:
    """Columns of a design, their Gram matrix and the coefficients on them."""

    def __init__(self, design):
        self.design, self.block = design, None
        self.features = np.empty(0, dtype=np.intp)
        self.is_in = np.zeros(design.shape[1], dtype=bool)
        self.G, self.w = np.zeros((0, 0)), np.empty(0)

    def add(self, features):
        """Take in columns of other features, with coefficients zero."""
        design, size = self.design, len(self.features)
        block = design.take(features)
        both = block if self.block is None else design.join([self.block, block])
        new = size + len(features)
        if new > len(self.G):
            G, room = self.G, min(max(new, 2 * len(self.G)), design.shape[1])
            self.G = np.zeros((room, room))
            self.G[:size, :size] = G[:size, :size]
        cross = design.gram(both, block)
        self.G[:new, size:new] = cross
        self.G[size:new, :size] = cross[:size].T
        self.block, self.w = both, np.concatenate([self.w, np.zeros(len(features))])
        self.features = np.concatenate([self.features, features])
        self.is_in[features] = True

    def solve(self, c, square, alpha, positive, norm, floor):
        """Solve on the working set, given the correlations with the residual."""
        G, w = self.G, self.w
        c = np.where(G.diagonal()[: len(w)] > 0, c[self.features], 0)
        anchor = floor
        if square > ANCHOR * norm**2:
            anchor = ANCHOR
            square = sweep_gram(
                G, w, c, square, anchor * norm**2, alpha, positive, SWEEP_TOL * norm, SWEEPS
            )
        L, act, k = self._factor()
        floors = np.array([anchor, floor]) * norm**2
        self.square, self.corners = finish(
            G, w, c, square, floors, alpha, positive, L, act, k, 10 * len(w) + 100
        )

    def _factor(self):
        room = min(len(self.w), self.design.shape[0] - self.design.fit_intercept)
        L, act = np.empty((room, room)), np.empty(room, dtype=np.intp)
        on = np.flatnonzero(self.w)
        if len(on) <= room:
            block = self.G[np.ix_(on, on)]
            try:
                factor = np.linalg.cholesky(block)
            except np.linalg.LinAlgError:
                factor = np.zeros((1, 1))
            if np.all(factor.diagonal() ** 2 > DEPENDENT * block.diagonal()):
                L[: len(on), : len(on)] = factor
                act[: len(on)] = on
                return L, act, len(on)
        return L, act, factorize(self.G, self.w, L, act)


def dual_value(y, r, c, alpha, positive):
    """Return the value of the dual point that is ``r`` scaled into the feasible set."""
    pull = max(c.max(initial=0), 0) if positive else np.abs(c).max(initial=0)
    norm = np.linalg.norm(r)
    if norm == 0 or (pull > 0 and alpha == 0):
        return 0.0
    return (y @ r) / max(norm, pull / alpha if pull else 0)


def solve(design, y, alpha, *, positive=False, tol=1e-6, max_iter=100, start=None, log=None):
    norm = np.linalg.norm(y)
    n_features = design.shape[1]
    ws = WorkingSet(design)
    r, c = y, design.correlate(y)
    size = np.abs(c).max() / norm
    design.unit = unit = 2.0 ** np.frexp(size)[1]
    c /= unit; alpha = alpha / unit
    if n_features <= ALL:
        ws.add(np.arange(n_features))
    floor = ANCHOR
    for n_iter in range(1, max_iter + 1):
        # choose
        s = np.linalg.norm(r)
        mu = alpha * max(s, floor**.5*norm)
        score = np.where(ws.is_in, 0, c if positive else np.abs(c))
        top = score.max(initial=0)
        if n_features > ALL:
            k = np.count_nonzero(ws.w)
            m = max(FIRST, k)
            cand = np.flatnonzero(score > mu)
            if len(cand) > m:
                cand = cand[np.argpartition(score[cand], -m)[-m:]]
            if len(cand):
                ws.add(cand)
        if top < 1.1 * mu: floor = max(FLOOR, min(floor, (s / norm)**2 / 4))
        ws.solve(c, r @ r, alpha, positive, norm, floor)
        r = y - design.apply(ws.block, ws.w)
        c = design.correlate(r)
        P = np.linalg.norm(r) + alpha * np.abs(ws.w).sum()
        D = dual_value(y, r, c, alpha, positive)
        gap = (P - D) / norm
        if log is not None: log.append((len(ws.w), np.count_nonzero(ws.w), ws.corners, gap, floor, top/mu))
        if gap <= tol: break
    if np.linalg.norm(r) < 2 * FLOOR**.5 * norm:
        ws.solve(c, r @ r, alpha, positive, norm, 0.0)
        r = y - design.apply(ws.block, ws.w)
        c = design.correlate(r)
        P = np.linalg.norm(r) + alpha * np.abs(ws.w).sum()
        D = dual_value(y, r, c, alpha, positive)
        on = np.flatnonzero(ws.w)
        z = np.zeros(len(ws.w)); z[on] = np.linalg.solve(ws.G[np.ix_(on,on)], np.sign(ws.w[on]))
        u = design.apply(ws.block, z)
        D = max(D, dual_value(y, u, design.correlate(u), alpha, positive))
        gap = (P - D) / norm
        if log is not None: log.append((len(ws.w), np.count_nonzero(ws.w), ws.corners, gap))
    coef = np.zeros(n_features)
    coef[ws.features] = ws.w / unit
    return Fit(coef, np.linalg.norm(r), gap, n_iter)
