r"""Solve a square-root-lasso regression by working sets, with a duality gap.

In the units of a design (weights inside the columns, norms of columns near one),
minimise ::

    ||y - X w||_2 + sum_j alpha_j |w_j| .

An outer iteration solves the problem on a working set of columns by their Gram matrix:
sweeps of coordinate descent find most of the support and, once few columns are missing,
an active-set path ends at the exact solution. One product with all columns then gives
the duality gap and the columns that are missing.

Where the residual vanishes, the objective is not smooth and correlations are rounding
errors. Hence the residual norm in the threshold has a floor, which decreases over
outer iterations: a solution at the floor is that of a lasso, and its correlations show
the missing columns. The last step removes the floor.

A small penalty is reached from above. The first floor is one at which sweeps solve the
lasso from zero, even if it is above the norm of the target, and each outer iteration
lowers it: no more breakpoints are met than on the path of all larger penalties. Where
many columns are new, sweeps go on at lower floors, until they take longer than a path,
or end at columns that are nearly the same. A start that would take longer than zero is
left.

Penalties have a floor, too, below which correlations are rounding errors. It is one for
columns of norms near one: a column of extreme size hides no other. The gap is that of
the given penalties.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from sklearn_sqrtlasso.regression.certificate import (
    dual_point,
    dual_value,
    largest_places,
    largest_ratio,
    parts_of,
    ratios,
    value_without_penalties,
)
from sklearn_sqrtlasso.regression.column_sweeps import ColumnSweeps
from sklearn_sqrtlasso.regression.fit import Fit, in_given_units, nonzeros_of
from sklearn_sqrtlasso.regression.row_path import FEW
from sklearn_sqrtlasso.regression.working_set import SWEEPS, WorkingSet

SWEEP_TOL = 1e-4  # change of the fit, relative to the residual, at which sweeps end
FIRST = 64  # columns that an outer iteration may always add
COPIES = 8  # of each column, among those that may enter, up to which all are found
MANY = 0.1  # share of new columns above which the active-set path is skipped
SOME = 0.05  # the same where the residual is small, and sweeps are slow
ALL = 100  # up to this number of features, all columns are in the working set
FEW_ENTRIES = 10**6  # of such a design
FLOORS = (0.17, 1e-6)  # of the residual norm, relative to the target: first and last
COLD = 0.05  # first floor, over that at which zero is the solution
PACE = 0.7  # factor of the floor from one outer iteration to the next
CALM = 1 / 16  # breakpoints and new columns, for each in use, for which it is squared
AHEAD = 0.95  # share of the threshold for adding columns while the residual is small
RARE = 0.25  # factor of the floor from one attempt to remove it to the next
VANISHED = 1e-10  # residual norm, relative to the target, that is no start
MILD = 2.0  # largest correlation, over the threshold, for which the floor decreases
STUCK = 8  # outer iterations without progress after which rounding is in the way
FAR_BELOW = 2.0  # ratio of penalties, of a lasso, from which a start is left
SPENT = 2  # breakpoints for each possible coefficient after which a start is left
LEAST_ALPHA = (1e-8, 1e-11)  # of the largest correlation: usual, and a second try
RETRY = 10  # outer iterations of the second try
LARGE = 128.0  # correlation, with columns and a target of norms near one
FARTHEST = 1e10  # coefficient to start from, over the norm of the target
TINY = 64 * np.finfo(np.float64).eps  # gap that is a rounding error
EXACT = 1e-12  # gap of an interpolation by the columns of the solution


class Regression:
    """One target on one design, solved for a sequence of penalties.

    Parameters
    ----------
    design : Design
        The columns.
    y : ndarray of shape (n_samples,)
        Target, as ``design.centered`` returns it.
    positive : bool
        Whether coefficients are nonnegative.
    """

    def __init__(self, design, y, positive):
        self.design, self.positive = design, positive
        self.y_norm = np.linalg.norm(y)
        self.y = y / (self.y_norm or 1.0)
        c = design.correlate(self.y)
        if max(c.max(), -c.min()) > LARGE:  # some norms are not near one
            c = design.measure_exactly().correlate(self.y)
        if not np.isfinite(c).all():
            raise FloatingPointError("Products of X are not finite.")
        self.y_correlations = design.products_with(self.y, c)
        self.parts = parts_of(len(c))
        self.sweeps = ColumnSweeps(design, positive)
        self.spans_below = np.inf  # penalty of which the residual may vanish
        self._restart(c)
        self.top = max(c.max(), 0.0 if positive else -c.min(), 0.0)

    def start_from(self, features, coef):
        """Start from coefficients of some columns in their units, in units of y.

        Ignored are very large ones, of which the residual would be a rounding error,
        more of them than a solution has, and those that fit worse than zero.
        """
        live = self.design.live[features]
        features, coef = features[live], coef[live]
        small = np.abs(coef).max(initial=0.0) <= FARTHEST * self.y_norm
        few = np.count_nonzero(coef) <= self.design.rank
        if self.y_norm > 0 and small and few:
            self._start(features, coef / self.y_norm)
            if not self._norm < 1.0:
                self._restart()

    @property
    def alpha_max(self):
        """Smallest penalty at which all coefficients are zero, in units of X."""
        c = self.y_correlations[:]
        c = np.maximum(c, 0.0) if self.positive else np.abs(c)
        return self.design.largest_in_units_of_x(c)

    def _start(self, features, coef):
        coef = np.maximum(coef, 0.0) if self.positive else coef
        on = np.flatnonzero(coef)
        self.set.start_at(features[on], coef[on])
        self._update_residual()

    @property
    def _norm(self):
        """Norm of the residual."""
        return math.sqrt(self.r @ self.r)

    def _of_residual(self):
        """Return the dual point of the residual."""
        return dual_point(self.y, self.r, self.c)

    def _largest_ratio(self, alpha):
        """Return the largest size of a correlation over the penalty of its column."""
        return largest_ratio(self.c, alpha, self.positive)

    def _update_residual(self):
        """Compute the residual and its correlations with all features."""
        self.r = self.c = None  # before others are made
        self.r = self.set.fitted()
        np.subtract(self.y, self.r, out=self.r)
        self.c = self.design.correlate(self.r)
        self.found = None

    def _primal(self, alpha):
        return self._norm + alpha[self.set.features] @ np.abs(self.set.w)

    def _gap(self, alpha, points):
        """Return the gap by the best of the dual points."""
        if self.positive and np.any(self.set.w < 0):
            return np.inf
        dual = max(dual_value(point, alpha, self.positive) for point in points)
        return max(self._primal(alpha) - dual, 0.0)

    def _given_gap(self, given, alpha):
        """Return the gap for the given penalties, some of which were raised."""
        free = (given < alpha) & self.design.live
        points = [self._of_residual()]
        points += [] if self.direction is None else [self.direction]
        primal = self._primal(given)
        gap = min(self._gap(given, points), primal)
        if gap > TINY and free.any():
            signs = np.zeros(len(given))
            signs[self.set.features] = np.sign(self.set.w)
            dual = value_without_penalties(
                self.design, self.y, self.r, given, free, signs, self.positive
            )
            gap = min(gap, max(primal - dual, 0.0))
        return gap

    def _restart(self, c=None):
        """Start from zero, with as few columns as if nothing had been solved.

        The correlations of the target are computed again, unless they are given.
        """
        self.direction = None  # of the residual, where it has vanished
        self.quick = True  # whether sweeps end in time where the residual is small
        self.is_swept = False  # by them, since the last path
        self.budget = np.inf  # breakpoints until a start other than zero is left
        self.set = WorkingSet(self.design)
        self.is_copy = np.zeros(self.design.shape[1], dtype=bool)  # of one of the set
        self.r, self.c = self.y, None  # before others are made
        self.c = self.y_correlations[:] if c is None else c
        self.found = None  # coefficients in units of y, unless they have changed

    def _takes_all_columns(self):
        """Return whether all columns are in the working set from the beginning.

        Of those that are converted, all of them need less memory than some.
        """
        n_samples, n_features = self.design.shape
        few = n_samples * n_features <= FEW_ENTRIES
        return n_features <= ALL and (few or self.design.is_converted)

    def solve(self, alpha, tol, max_iter):
        """Return the fit of a penalty, warm-started at that of the previous one.

        Parameters
        ----------
        alpha : float
            Penalty, at least 0, in units of X; 0 is the limit of small ones.
        tol : float
            Relative duality gap at which the iterations end.
        max_iter : int
            Largest number of outer iterations.

        Returns
        -------
        fit : Fit
            The solution, with its gap.
        """
        if self.top == 0:  # zero is the solution, wherever it starts
            self._restart()
            return self._fit(0.0, 1)
        with np.errstate(over="ignore", invalid="ignore"):  # of steps that are undone
            return self._fit(*self._solve_given(alpha, tol, max_iter))

    def solve_each(self, alphas, tol, max_iter):
        """Yield the fits of penalties in decreasing order.

        Parameters
        ----------
        alphas : ndarray of shape (n_alphas,)
            Penalties, at least 0, in units of X.
        tol, max_iter
            As for ``solve``, for each of them.

        Yields
        ------
        fit : Fit
            A solution; where the residual has vanished, they share coefficients.
        """
        n_fits = 0
        while n_fits < len(alphas):
            yield self.solve(alphas[n_fits], tol, max_iter)
            same = self._same_fits(alphas[n_fits + 1 :], tol)
            yield from same
            n_fits += 1 + len(same)

    def _same_fits(self, alphas, tol):
        """Return the fits of the first penalties that have the last coefficients.

        A residual that has vanished is zero for smaller penalties, too.
        """
        if self.direction is None or (self.positive and np.any(self.set.w < 0)):
            return []
        point, unit = self.direction, self.design.penalties(1.0)
        sizes = float(np.linalg.norm(self.set.w * unit[self.set.features], 1))
        worst = largest_ratio(point.c, unit, self.positive)
        usual = alphas * unit.min() >= LEAST_ALPHA[0] * self.top
        with np.errstate(divide="ignore"):  # of a penalty of zero
            scale = np.maximum(point.norm, worst / alphas)
        gaps = self._norm + alphas * sizes - max(point.overlap, 0.0) / scale
        solved = usual & (gaps <= tol)
        n_same = int(np.argmin(np.append(solved, False)))
        same = self._fit(0.0, 1)
        return [same._replace(gap=gap) for gap in np.maximum(gaps[:n_same], 0.0)]

    def _solve_given(self, alpha, tol, max_iter):
        """Return the gap of a penalty that may be any, and the number of iterations."""
        self.sweeps.begin()
        given, usual = self.design.penalties(alpha), LEAST_ALPHA[0] * self.top
        is_low = given.min() < usual
        alpha = np.maximum(given[:], usual) if is_low else given
        gap, n_iter = self._solve(alpha, tol, max_iter)
        given = given[:] if is_low else given
        if is_low and np.any((given < usual) & self.design.live):
            if EXACT < gap <= tol and n_iter < max_iter:
                n_iter += self._tell_penalties(gap, alpha, max_iter - n_iter)
            gap = self._given_gap(given, alpha)
            if gap > tol and n_iter < max_iter:
                gap, more = self._try_lower(gap, given, tol, max_iter - n_iter)
                n_iter += more
        return gap, n_iter

    def _tell_penalties(self, gap, alpha, max_iter):
        """Solve again, to a gap that is small beside penalties which are next to none.

        Of solutions without a residual it is the one with the least penalty.
        """
        before = self._solution()
        new, n_iter = self._solve(alpha, EXACT, min(max_iter, 2 * RETRY))
        if new > gap:
            self._return_to(gap, before)
        return n_iter

    def _try_lower(self, gap, given, tol, max_iter):
        """Solve with a lower floor of penalties; keep the better of both solutions."""
        before = self._solution()
        alpha = np.maximum(given, LEAST_ALPHA[1] * self.top)
        _, n_iter = self._solve(alpha, tol, min(max_iter, RETRY))
        new = self._given_gap(given, alpha)
        return (new if new < gap else self._return_to(gap, before)), n_iter

    def _solve(self, alpha, tol, max_iter):
        """Solve for penalties of columns; return the gap and number of iterations."""
        if self.direction is not None:  # the residual is zero for smaller penalties too
            gap = self._gap(alpha, [self.direction])
            if gap <= tol:
                return gap, 1
            if self._norm <= VANISHED:
                self._restart()
            self.direction = None
        if self.set.w.any():
            self.budget = SPENT * (self.design.rank + FIRST)
            if self._is_far_below(alpha):
                self._restart()
        found = self._gap_of_span(alpha) if self._takes_all_columns() else None
        if found is not None:
            return found, 1
        norm, gap, converged = self._norm, np.inf, False
        best = self._gap(alpha, [self._of_residual()]), self._solution()
        top, last = self._first_floor(alpha, norm), FLOORS[1]
        floor, anchor, pace, n_iter, idle, untried = top, top, PACE, 0, 0, np.inf
        while (gap > tol or self.is_swept) and n_iter < max_iter and idle < STUCK:
            n_iter += 1
            share = AHEAD if norm < max(FLOORS[0], floor) else 1.0
            new, worst = self._add_missing(alpha, max(norm, floor), share)
            if worst <= MILD:
                floor = max(last, min(floor, pace * max(norm, floor)))
            smooth = max(norm, floor) >= max(FLOORS[0], top)
            n_breakpoints = self._solve_working_set(alpha, anchor, floor, smooth, new)
            self._update_residual()
            if self.budget <= 0 or not np.isfinite(self.r).all():  # or a breakdown
                quick = not self.is_swept
                self._restart()
                self.quick = quick
                norm, converged, pace, idle = 1.0, False, PACE, idle + 1
                floor = anchor = top = self._first_floor(alpha, norm)
                continue
            norm = self._norm
            gap = self._gap(alpha, [self._of_residual()])
            still = n_breakpoints == 0 and converged and floor <= untried
            if norm < floor and self.set.n_factored >= 0 and (gap <= tol or still):
                gap, untried = self._remove_floor(alpha, floor, gap), RARE * floor
            converged = n_breakpoints == 0 and worst <= MILD
            pace = self._next_pace(pace, n_breakpoints + new, falls=floor < anchor)
            moved = new or floor < anchor or gap < best[0] / 2
            anchor, idle = floor, 0 if moved else idle + 1
            if gap <= best[0]:
                best = gap, self._solution()
        if gap > best[0]:
            gap = self._return_to(*best)
        return gap, n_iter

    def _gap_of_span(self, alpha):
        """Return the gap of the only coefficients without a residual, if they solve it.

        All columns enter the working set. Else return None, and keep what was.
        """
        self.set.add(np.flatnonzero(~self.set.is_in))
        largest = alpha.max()

        def move():
            self.spans_below = 0.0
            if not self.set.span(self.y_correlations):
                return False
            self._update_residual()
            self.set.interpolate(self.c)  # what is left by rounding
            size = np.linalg.norm(self.set.residual_direction(alpha))
            self.spans_below = largest / size
            return size <= 1.0

        known = largest > self.spans_below
        return None if known else self._gap_after(move, alpha, EXACT)

    def _first_floor(self, alpha, norm):
        """Return the floor of the residual norm to start from.

        The lasso at a floor has thresholds ``alpha`` times the floor. Sweeps solve it
        from zero where these are not too small, in comparison with correlations.
        """
        usual = FLOORS[0] if norm > FLOORS[0] else max(FLOORS[1], norm / 2)
        return max(usual, COLD * self._largest_ratio(alpha))

    def _is_far_below(self, alpha):
        """Return whether coefficients solve a problem of a much smaller penalty.

        To drop most of them one by one takes longer than to start from zero.
        """
        return FAR_BELOW * self._largest_ratio(alpha) < self._norm

    def _next_pace(self, pace, n_changes, falls):
        """Return the factor of the floor; it is squared where few columns change."""
        calm = falls and n_changes <= CALM * np.count_nonzero(self.set.w)
        return pace**2 if calm else PACE

    def _return_to(self, gap, solution):
        """Restore the best coefficients, and return their gap."""
        self.direction = None
        self._start(*solution)
        return gap

    def _add_missing(self, alpha, scale, share):
        """Add columns above a share of their thresholds, penalties times the scale.

        Return their number, and the worst correlation, relative to its threshold.
        """
        worst, missing, scores = 0.0, [], []
        for part in self.parts:
            score = ratios(self.c[part], alpha[part], self.positive)
            score[self.set.is_in[part]] = score[self.is_copy[part]] = 0.0
            on = np.flatnonzero(score > share * scale)
            missing.append(part.start + on)
            scores.append(score[on])
            worst = max(worst, float(score.max()) / scale)
        missing, scores = np.concatenate(missing), np.concatenate(scores)
        most = max(FIRST, np.count_nonzero(self.set.w))
        if not len(missing):
            return 0, worst
        if self._find_copies(missing[largest_places(scores, COPIES * most)], alpha):
            single = ~self.is_copy[missing]
            missing, scores = missing[single], scores[single]
        missing = missing[largest_places(scores, most)]
        self.set.add(missing)
        return len(missing), worst

    def _find_copies(self, missing, alpha):
        """Mark columns that are equal to one before, or in the set; return whether any.

        One of them takes the coefficient of all, and has the correlation of all. Their
        products with the target differ by rounding.
        """
        n_known = len(self.set.features)
        known = np.concatenate([self.set.features, missing])
        c = self.y_correlations[known]
        c.sort()
        if len(c) < 2 or (c[1:] - c[:-1]).min() > TINY:
            return False
        known[n_known:].sort()  # the first of equal columns is kept
        order = np.argsort(self.y_correlations[known], kind="stable")
        starts = np.flatnonzero(np.append(True, np.diff(c) > TINY))
        lengths = np.diff(np.append(starts, len(known)))
        first = np.repeat(np.minimum.reduceat(order, starts), lengths)
        maybe = (order > first) & (order >= n_known)
        one, other = known[first[maybe]], known[order[maybe]]
        kept = alpha[one] <= alpha[other]
        copies = other[kept][self.design.are_equal(one[kept], other[kept])]
        self.is_copy[copies] = True
        return len(copies) > 0

    def _solve_working_set(self, alpha, anchor, floor, smooth, new):
        """Solve on the working set; return the number of breakpoints of the path.

        Sweeps come first where many columns are new: where the problem is smooth, and
        below for as long as they end in no more sweeps than breakpoints are likely.
        """
        if self.sweeps.pay(self.set):
            if self.sweeps.solve(self.set, self.r, floor, alpha, new):
                return 1
            self.is_swept = True  # before
        live = self.set.G.diagonal()[: len(self.set.w)] > 0
        c = np.where(live, self.c[self.set.features], 0)
        square = self.r @ self.r
        many = new > (MANY if smooth else SOME) * len(self.set.w)
        given, follow = (c, square, floor**2, alpha, self.positive), True
        if smooth:
            if many or self.set.n_factored < 0:
                tol = SWEEP_TOL * max(floor, np.sqrt(square))
                square, _ = self.set.sweep(*given, tol, SWEEPS)
            follow = not many
        elif many and self.quick:
            found = self.set.try_sweeps(*given, SWEEP_TOL * np.sqrt(square), new)
            self.quick = found is not None and found[1]
            if found is not None:
                square, self.is_swept, anchor = found[0], True, floor
            follow = not self.quick
        if not follow:
            return 1
        if self.is_swept and not self.set.factor_apart():
            self.budget = 0  # of similar columns sweeps take all, and a solution few
            return 1
        self.is_swept = False
        floors = np.array([anchor**2, floor**2])
        walked = self.set.solve(c, square, floors, alpha, self.positive, self.budget)
        self.budget -= walked
        return walked

    def _remove_floor(self, alpha, floor, gap):
        """Solve without a floor, as long as the gap does not grow; return the gap.

        Where the residual vanishes, the active columns span it, and all that a path
        finds is rounding. Else a norm has half the correct digits of the previous one.
        """

        def follow():
            self._solve_working_set(alpha, floor, 0.0, smooth=False, new=0)

        for _ in range(2):
            new = self._gap_after(lambda: self.set.interpolate(self.c), alpha, EXACT)
            new = self._gap_after(follow, alpha, max(gap, TINY)) if new is None else new
            if new is None:
                break
            gap, floor = new, self._norm
            if floor <= TINY:
                break
        return gap

    def _gap_after(self, move, alpha, most):
        """Return the gap after a move to the limit; None if it is undone."""
        before = self.set.w.copy(), self.r, self.c, self.direction
        if move() is not False:
            self._update_residual()
            direction = self.set.residual_direction(alpha)
            c = self.design.correlate(direction)
            self.direction = dual_point(self.y, direction, c)
            new = self._gap(alpha, [self._of_residual(), self.direction])
            if new <= most:
                return new
        w, self.r, self.c, self.direction = before  # a path among rounding errors
        self.set.start(w)
        return None

    def _solution(self):
        """Return the features in use, and their coefficients."""
        on = np.flatnonzero(self.set.w)
        return self.set.features[on], self.set.w[on]

    def _fit(self, gap, n_iter):
        if self.found is None:
            features, w = self._solution()
            order = np.argsort(features)
            self.found = features[order], w[order] * self.y_norm
        sigma, n_features = self._norm * self.y_norm, self.design.shape[1]
        return Fit(*self.found, n_features, sigma, float(gap), n_iter)


class SolverOptions(NamedTuple):
    """Options of the solver, shared by all penalties and targets of one fit.

    Attributes
    ----------
    positive : bool
        Whether coefficients are nonnegative.
    tol : float
        Relative duality gap at which the iterations end.
    max_iter : int
        Largest number of outer iterations of a penalty.
    ends : callable, (Fit, float) -> bool
        Whether a path ends at a solution and its intercept, in units of X and y; None
        for never. It is asked at those that are not found by one path on all columns.
    """

    positive: bool
    tol: float
    max_iter: int
    ends: Any = None


def regress(design, y, alphas, options, coef=None):
    """Return the fits of one target for a sequence of penalties, and intercepts.

    Parameters
    ----------
    design : Design
        The columns.
    y : ndarray of shape (n_samples,) or int
        Target, neither centred nor weighted; its number for a design by moments.
    alphas : array-like of shape (n_alphas,)
        Penalties in units of X, in decreasing order: each fit is warm-started at the
        previous one.
    options : SolverOptions
        Options of the solver.
    coef : ndarray of shape (n_features,) or Fit, default=None
        Coefficients to start from, where a path is not as short; None is zero.

    Returns
    -------
    fits : list of Fit
        One for each penalty until the path ends.
    intercepts : ndarray of shape (n_fits,)
        Their intercepts.

    Raises
    ------
    FloatingPointError
        If X is not finite.
    ValueError
        If a coefficient is too large for the dtype of X, or so small that its rounding
        changes more than 1e-10 of the target, and more than that of usual numbers.
    """
    alphas = np.asarray(alphas, dtype=np.float64)
    is_short = design.has_rows and min(design.rank, design.shape[1]) <= FEW
    follows = coef is None or is_short  # a path to all of them, where there is one
    fits, intercepts = design.solve(y, alphas, options) if follows else ([], [])
    if len(fits) == len(alphas):
        return fits, np.array(intercepts)
    intercepts, coef = list(intercepts), fits[-1] if fits else coef
    target = design.target(y)
    exponent, mean = target.exponent, target.mean
    regression = Regression(design, target.vector, options.positive)
    target = target.without_vector()  # which the regression holds in its own unit
    if coef is not None:
        on, values = nonzeros_of(coef)
        with np.errstate(over="ignore", under="ignore"):
            coef = np.ldexp(values, design.exponents_of(on) - exponent)
        regression.start_from(on, coef)
    values, left = None, alphas[len(fits) :]
    solved = regression.solve_each(left, options.tol, options.max_iter)
    for fit, alpha in zip(solved, left, strict=True):
        is_new = fit.values is not values  # or the residual has vanished before
        if is_new:
            values = fit.values
            given = in_given_units(design, fit, exponent, regression.y_norm)
            rounded = given.gap - fit.gap
            offset = design.means_of(fit.features) @ values
            intercept = np.ldexp(mean - offset, exponent)
        if is_new or not design.has_rows:
            lost = design.lost_gap(fit, target, alpha, options.positive)
        gap = fit.gap + rounded + lost
        fits.append(given._replace(gap=gap, n_iter=fit.n_iter))
        intercepts.append(intercept)
        if options.ends and options.ends(fits[-1], intercept):
            break
    return fits, np.array(intercepts)


def regression_alpha_max(design, y, positive):
    """Return the smallest penalty at which all coefficients are zero, in units of X."""
    if not design.has_rows:
        return design.alpha_max(y, positive)
    return Regression(design, design.target(y).vector, positive).alpha_max
