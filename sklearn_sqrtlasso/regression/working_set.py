"""The working set of a regression: columns, their Gram matrix and its factor."""

import numpy as np
from scipy.linalg import cho_solve

from sklearn_sqrtlasso.algorithms.active_set import (
    DEPENDENT,
    factorize,
    solve_exactly,
)
from sklearn_sqrtlasso.algorithms.coordinate_descent import sweep_gram

SPARE = 4  # columns, over their rank, from which those that are not in use are dropped
FEW = 4096  # the same at least: their products need 128 MiB
GROWTH = 1.1  # of a matrix that is full: its copies are six times as many numbers as it
SWEEPS = 100  # of coordinate descent before the active-set path
APART = 1e-4  # energy share outside the span of others of columns that are apart
SPANNED = 1e-10  # share of a target's energy outside the span that may be rounding
DUST = 1e-8  # coefficient of least squares, relative to the largest, that is rounding


class WorkingSet:
    """Columns of a design, their Gram matrix and the coefficients on them."""

    def __init__(self, design):
        self.design, self.block = design, None
        self.features = np.empty(0, dtype=np.intp)
        self.is_in = np.zeros(design.shape[1], dtype=bool)
        self._G, self.w = np.zeros((0, 0)), np.empty(0)
        self._new, self._n_known = None, 0  # columns whose products are not known
        self.L, self.act = np.empty((0, 0)), np.empty(0, dtype=np.intp)
        self.is_apart = False  # whether no column in use is known to be near another
        self.n_factored = -1  # number of columns in the factor; below 0 without one

    def start(self, w):
        """Set the coefficients."""
        self.w, self.n_factored = w, -1

    def start_at(self, features, values):
        """Set coefficients of some features, which are added; others are zero."""
        self.add(features[~self.is_in[features]])
        w = np.zeros(len(self.features))
        w[self.places(features)] = values
        self.start(w)

    def places(self, features):
        """Return the places of some features, of those whose columns were added."""
        order = np.argsort(self.features)
        return order[np.searchsorted(self.features, features, sorter=order)]

    def add(self, features):
        """Add the columns of other features, with coefficients zero.

        Of very many, those that are not in use are dropped before.
        """
        if not len(features):
            return
        if len(self.w) > max(SPARE * self.design.rank, FEW):
            self._drop_idle()
        block = self.design.columns(features)
        self.block = self._joined(self.block, block)
        self._new = self._joined(self._new, block)
        self.w = np.concatenate([self.w, np.zeros(len(features))])
        self.features = np.concatenate([self.features, features])
        self.is_in[features] = True

    def _drop_idle(self):
        """Drop the columns that are not in use; they may be added again."""
        on, w = self.features, self.w
        self.is_in[on[w == 0]] = False
        self.features, self.w = on[w != 0], w[w != 0]
        self.block = self._new = self.design.columns(self.features)
        self._G, self._n_known, self.n_factored = np.zeros((0, 0)), 0, -1

    def _joined(self, block, new):
        return new if block is None else self.design.join([block, new])

    @property
    def G(self):
        """The Gram matrix, of which the first rows and columns are in use.

        Products with new columns are computed when they are asked for.
        """
        known, size = self._n_known, len(self.features)
        if known < size:
            if size > len(self._G):
                G, most = self._G, self.design.shape[1]
                capacity = min(max(size, int(GROWTH * len(G))), most)
                self._G = np.zeros((capacity, capacity))
                self._G[:known, :known] = G[:known, :known]
                del G  # before products are made
            cross = self.design.gram(self.block, self._new)
            self._G[:size, known:size] = cross
            self._G[known:size, :known] = cross[:known].T
            self._new, self._n_known = None, size
        return self._G

    def sweep(self, c, square, floor, alpha, positive, tol, most):
        """Sweep over the columns, ``most`` times at most; update ``c``.

        Return the new squared residual, and whether steps became small.
        """
        self.n_factored, alpha = -1, alpha[self.features]
        return sweep_gram(self.G, self.w, c, square, floor, alpha, positive, tol, most)

    def try_sweeps(self, c, square, *options):
        """Sweep; undo it at two columns that are nearly the same, or too many.

        Sweeps take both, and a path that drops one of each pair is long. Return what
        ``sweep`` does, or None.
        """
        w, given = self.w.copy(), c.copy()
        found, on = self.sweep(c, square, *options), np.flatnonzero(self.w)
        few = len(on) <= self.design.rank
        if few and not self._has_twins(on, np.flatnonzero(w)):
            return found
        self.start(w)
        c[:] = given
        return None

    def _has_twins(self, on, known):
        """Return whether a column in use is near another; ``known`` ones were not."""
        fresh = np.setdiff1d(on, known) if self.is_apart else on
        sizes = self.G.diagonal()
        both = self.G[np.ix_(fresh, on)] ** 2
        both /= sizes[fresh][:, None] * sizes[on]
        n_near = np.count_nonzero(both > 1 - APART)
        self.is_apart = n_near == len(fresh)  # each is near itself
        return not self.is_apart

    def solve(self, c, square, floors, alpha, positive, budget):
        """Follow a path to the exact solution; return the number of breakpoints.

        It is left after the ``budget`` of breakpoints, which may be infinite.
        """
        self._factor()
        alpha = alpha[self.features]
        most = int(max(min(10 * len(self.w) + 100, budget), 1))
        _, self.n_factored, n_breakpoints = solve_exactly(
            self.G, self.w, c, square, floors, alpha, positive,
            self.L, self.act, self.n_factored, most,
        )  # fmt: skip
        return n_breakpoints

    def _factor(self):
        """Factor the Gram matrix of the active columns, unless it is factored."""
        self._make_room()
        if self.n_factored >= 0 or self._factor_at_once(np.flatnonzero(self.w)):
            return
        self.n_factored = factorize(self.G, self.w, self.L, self.act)

    def factor_apart(self):
        """Factor columns in use unless some nearly depend on others; return success."""
        self._make_room()
        return self._factor_at_once(np.flatnonzero(self.w), APART)

    def _make_room(self):
        """Let the factor hold as many columns as may be active."""
        k, size = max(self.n_factored, 0), min(len(self.w), self.design.rank)
        if size > len(self.L):
            most, size = self.design.rank, max(size, int(GROWTH * len(self.L)))
            old, size = self.L, min(size, most)
            self.L = np.empty((size, size))
            self.L[:k, :k] = old[:k, :k]
            self.act = np.concatenate([self.act[:k], np.empty(size - k, dtype=np.intp)])

    def _factor_at_once(self, on, least=DEPENDENT):
        """Factor the Gram matrix of some columns by LAPACK; return True on success.

        Of each column more than a share ``least`` of its energy must be outside the
        span of those before it.
        """
        if len(on) > len(self.L):
            return False
        block = self.G[np.ix_(on, on)]
        try:
            factor = np.linalg.cholesky(block)
        except np.linalg.LinAlgError:
            return False
        if not np.all(factor.diagonal() ** 2 > least * block.diagonal()):
            return False
        self.n_factored = len(on)
        self.L[: len(on), : len(on)] = factor
        self.act[: len(on)] = on
        return True

    def _solve_factored(self, x):
        """Return the solution of the factored Gram matrix."""
        k = max(self.n_factored, 0)
        return cho_solve((self.L[:k, :k], True), x, check_finite=False) if k else x

    def span(self, c):
        """Set the coefficients to least squares, if columns span the target.

        Coefficients that are rounding errors are zero. The correlations of the target,
        of norm one, are ``c``. Return False if they do not span it, or are dependent.
        """
        self._make_room()
        on, c = np.flatnonzero(self.G.diagonal()[: len(self.w)] > 0), c[self.features]
        if not self._factor_at_once(on):
            return False
        w = self._solve_factored(c[on])
        if 1.0 - w @ c[on] > SPANNED:
            return False
        on = on[np.abs(w) > DUST * np.abs(w).max(initial=0.0)]
        self._factor_at_once(on)
        self.w = np.zeros_like(self.w)
        self.w[on] = self._solve_factored(c[on])
        return True

    def fitted(self):
        """Return the sum of the columns, weighted by the coefficients."""
        if not len(self.w):
            return np.zeros(self.design.shape[0])
        return self.design.apply(self.block, self.w)

    def interpolate(self, c):
        """Let active columns take what they span of the residual, if no sign changes.

        The correlations of all columns are ``c``. Return False if a sign does.
        """
        on = self.act[: max(self.n_factored, 0)]
        moved = self.w[on] + self._solve_factored(c[self.features[on]])
        if not np.all(moved * self.w[on] > 0):
            return False
        self.w[on] = moved
        return True

    def residual_direction(self, alpha):
        """Return the direction of the residual where that vanishes along a path.

        It is the combination of active columns whose products with them are their
        penalties, with the signs of the coefficients.
        """
        k, z = self.n_factored, np.zeros(len(self.w))
        on = self.act[:k]
        z[on] = self._solve_factored(alpha[self.features][on] * np.sign(self.w[on]))
        return self.design.apply(self.block, z)
