r"""Codes and outliers of wide rows, by Newton's method.

For rows x with some entries observed, minimise over codes z and outliers e ::

    F(z, e) = ||r|| + sum_i alpha_i |z_i| + sum_j beta_j |e_j| ,    r = x - z A - e ,

the norm being that of observed entries. For given z the best outliers are thresholds,
see ``row_thresholds``, which leave ``F(z)``. Where the entries S with outliers, their
signs, the units B in use, and theirs are known, the minimum has a closed form: with I
the other observed entries and t the norm of r ::

    A_BI r_I' = t (alpha_B sign(z_B) - A_BS beta_S sign(e_S)) ,
    r_S = t beta_S sign(e_S) ,

so that z is affine in t, and t the root of a quadratic equation. Newton's step goes
there, with units that turn their sign set to zero, and is shortened until F decreases.
It takes ``A_BI A_BI' = G_BB - A_BS A_BS'``, however wide the rows are; all else is
products of all rows at once.

Where residuals vanish, F has corners, at which steps come to rest. A row whose gap few
steps do not halve therefore has a floor s, and ``hypot(||r||, s)`` instead of the norm.
That is smooth, and its minimum exceeds that of F by s at most. The floor is lowered
whenever the duality gap of F is below it, so that it follows the gap to zero. The dual
problem is ::

    max_y  <x, y>   over  ||y|| <= 1,  |A y| <= alpha,  |y| <= beta ,

in observed entries, and the residual gives its point, or the limit of residuals where
it is rounding error.
"""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.blockwise.linalg import row_norms
from sklearn_sqrtlasso.sparse_coding.outliers import RowCodes
from sklearn_sqrtlasso.sparse_coding.row_thresholds import threshold_rows

STEPS = 40  # at most, of a row
TRIALS = 8  # of lengths of a step
SHORTER = 0.35  # ratio of their lengths
SLOW = 2  # steps that do not halve the gap, after which a row has a floor
HIGHEST, LOWER = 0.1, 10.0  # largest floor, relative to a row, and ratio of the next
FARTHEST = 20.0  # ratio of residual norms, within which a step is trusted
SOLVED = 1e-9  # relative duality gap at which a row is left as it is
NEAR, PATIENCE = 1e-6, 4  # gap at which it is left after steps that do not halve it
LEAST_CERTIFIED = 1e-7  # gaps are those of smaller penalties raised to it, if less
EXACT = 1e-8  # relative to the rows, of a residual that is rounding error
DEPENDENT = 1e-11  # share of the energy of a unit that is added to it in systems
ROUNDING = 1e-14  # relative increase of an objective that is none
LEAST_SHARE = 1e-4  # of the decrease that the slope promises, of a step that is taken
DOWNHILL = 0.01  # of the slope of the safe step, that of another one
TINY = 1e-300  # stands for the norm of residuals of zero
CORRELATION_ROUNDING = 1e-15  # of a correlation, relative to the norms of its factors


class Units(NamedTuple):
    """Units that code rows, and penalties.

    Attributes
    ----------
    A : ndarray of shape (n_components, n_features)
        Units, in double precision.
    G : ndarray of shape (n_components, n_components)
        ``A A'``.
    alpha : ndarray of shape (n_components,)
        Penalties of the units, positive.
    beta : ndarray of shape (n_features,) or None
        Penalties of outliers, positive; None has no outliers.
    positive : bool
        Whether codes are nonnegative.
    orthonormal : bool, default=False
        Whether G is the identity: systems are then as large as the number of outliers
        and missing entries, where these are fewer than the units in use.
    """

    A: np.ndarray
    G: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray | None
    positive: bool
    orthonormal: bool = False


class _Place(NamedTuple):
    """Rows that are not solved yet, where they are, and what they are there."""

    x: np.ndarray
    observed: np.ndarray
    Z: np.ndarray
    outliers: np.ndarray
    r: np.ndarray  # residuals
    floor: np.ndarray  # added to their norms, as a leg of a right triangle
    t: np.ndarray  # these norms
    value: np.ndarray  # of the objective

    def at(self, which):
        return _Place(*(of[which] for of in self))

    def put(self, which, other):
        for mine, theirs in zip(self, other, strict=True):
            mine[which] = theirs


def code_by_newton(units, x, observed, Z, n_steps=None):
    """Code rows with missing entries and outliers.

    Parameters
    ----------
    units : Units
        Units and penalties.
    x : ndarray of shape (n_rows, n_features)
        Rows of ordinary size, 0 where an entry is missing.
    observed : ndarray of shape (n_rows, n_features)
        Whether an entry is observed.
    Z : ndarray of shape (n_rows, n_components)
        Codes to start from, such as those of rows without outliers.
    n_steps : int, default=None
        Largest number of steps of a row; None is ``STEPS``.

    Returns
    -------
    codes : RowCodes
        The best that were found, with the gaps that are left.
    """
    n_rows = len(x)
    found = RowCodes(
        np.zeros_like(Z), np.zeros_like(x), np.zeros(n_rows), np.full(n_rows, np.inf)
    )
    rows, place = np.arange(n_rows), _place(units, x, observed, Z, np.zeros(n_rows))
    waited, floored = np.zeros(n_rows, int), np.zeros(n_rows, bool)
    for _ in range(STEPS if n_steps is None else n_steps):
        C = place.r @ units.A.T
        gap = _gaps(units, place, C)
        better = ~(gap >= found.gap[rows])
        waited[rows] = np.where(gap < found.gap[rows] / 2, 0, waited[rows] + 1)
        values = place.Z, place.outliers, place.t, gap
        for mine, theirs in zip(found, values, strict=True):
            mine[rows[better]] = theirs[better]
        stalled = (found.gap[rows] < NEAR) & (waited[rows] >= PATIENCE)
        left = (gap > SOLVED) & ~stalled
        rows, place, C = rows[left], place.at(left), C[left]
        if not len(rows):
            break
        _set_floors(units, place, C, gap[left], waited[rows] >= SLOW)
        floored[rows] = place.floor > 0
        place = _moved(units, place, C)
    some = np.flatnonzero(floored)
    place = _place(units, x[some], observed[some], found.Z[some], np.zeros(len(some)))
    found.outliers[some], found.scale[some] = place.outliers, place.t
    return found


def _set_floors(units, place, C, gap, waiting):
    """Raise floors of rows that wait for a smaller gap, and lower those that it met."""
    whole = row_norms(place.x)
    gap, floor = gap * whole, place.floor
    first, met = waiting & (floor == 0), (floor > 0) & (gap <= floor)
    which = np.flatnonzero(first | met)
    if len(which):
        floor = np.where(first, np.minimum(gap, HIGHEST * whole), gap / LOWER)[which]
        row = place.at(which)
        place.put(which, _place(units, row.x, row.observed, row.Z, floor))
        C[which] = place.r[which] @ units.A.T


def refit_by_newton(units, x, observed, codes):
    """Return least squares on the supports of codes and outliers.

    Parameters
    ----------
    units, x, observed
        As for ``code_by_newton``.
    codes : RowCodes
        Codes and outliers.

    Returns
    -------
    Z : ndarray of shape (n_rows, n_components)
        Codes that fit observed entries without outliers best, on the same units.
    """
    free, Z = observed & (codes.outliers == 0), codes.Z.copy()
    for _ in range(2):  # the second corrects the rounding errors of the first
        r = np.where(free, x - Z @ units.A, 0)
        for z, inner, others in zip(Z, r @ units.A.T, ~free, strict=True):
            used = z.nonzero()[0]
            z[used] += _solved(units, used, others, inner[used])
    return Z


def _place(units, x, observed, Z, floor):
    """Return where rows are with codes Z, and the best outliers."""
    v = np.where(observed, x - Z @ units.A, 0)
    outliers, value = np.zeros_like(v), np.abs(Z) @ units.alpha
    if units.beta is not None:
        alone = np.arange(len(v) + 1)
        outliers = threshold_rows(v, units.beta, False, alone, outside=floor)[0]
        value += np.abs(outliers) @ units.beta
    r = v - outliers
    t = np.hypot(row_norms(r), floor)
    return _Place(x, observed, Z, outliers, r, floor, t, value + t)


def _solved(units, used, others, right):
    """Return the solution of a system of the Gram matrix of units without some entries.

    A share of its diagonal is added to the matrix. That of orthonormal units is the
    identity less ``part part'``, whose inverse follows from that of ``part' part``.
    """
    part = units.A[np.ix_(used, others.nonzero()[0])]
    if not units.orthonormal:
        gram = units.G[np.ix_(used, used)] - part @ part.T
        gram.flat[:: len(used) + 1] += DEPENDENT * units.G[used, used]
        return np.linalg.solve(gram, right)
    whole = 1 + DEPENDENT
    if len(used) <= part.shape[1]:
        return np.linalg.solve(whole * np.eye(len(used)) - part @ part.T, right)
    inner = whole * np.eye(part.shape[1]) - part.T @ part
    return (right + part @ np.linalg.solve(inner, part.T @ right)) / whole


def _signs_of_spikes(units, place):
    """Return ``beta sign(e)`` in entries with outliers, and 0 elsewhere."""
    if units.beta is None:
        return np.zeros_like(place.r)
    return np.sign(place.outliers) * units.beta


def _products_of_spikes(units, spikes):
    """Return the products of the units with rows of few nonzeros."""
    return spikes @ units.A.T if units.beta is not None else 0.0


def _gaps(units, place, C):
    """Return the duality gap of each row, relative to the objective of zeros."""
    whole, gap = row_norms(place.x), _gaps_by(units, place, place.r, C)
    exact = (place.t <= EXACT * whole).nonzero()[0]
    if len(exact):  # small residuals are rounding errors, or rows near the span
        some = place.at(exact)
        y = _limits_of_residuals(units, some)
        gap[exact] = np.minimum(gap[exact], _gaps_by(units, some, y, y @ units.A.T))
    return np.divide(gap, whole, out=np.zeros_like(gap), where=whole > 0)


def _gaps_by(units, place, y, C):
    """Return the duality gap of each row by a dual direction and its products."""
    gaps = [
        _gap_at(units, place, y, C, np.maximum(units.alpha, least))
        for least in (0, LEAST_CERTIFIED)
    ]
    return np.minimum(*gaps)


def _gap_at(units, place, y, C, alpha):
    """Return the duality gap of each row at some penalties, by a dual direction."""
    length = row_norms(y)
    reach = C if units.positive else np.abs(C)
    doubt = CORRELATION_ROUNDING * np.sqrt(units.G.diagonal())
    reach = ((reach - length[:, None] * doubt) / alpha).max(axis=1, initial=0)
    if units.beta is not None:
        reach = np.maximum(reach, (np.abs(y) / units.beta).max(axis=1, initial=0))
    limit, value = np.maximum(length, reach), np.einsum("ij,ij->i", place.x, y)
    dual = np.divide(value, limit, out=np.zeros_like(value), where=limit > 0)
    primal = place.value - place.t + row_norms(place.r)  # without the floor
    primal += np.abs(place.Z) @ (alpha - units.alpha)
    return primal - np.maximum(dual, 0)


def _limits_of_residuals(units, place):
    """Return the directions of residuals that are rounding errors."""
    certain = np.abs(place.outliers) > EXACT * row_norms(place.x)[:, None]
    spikes = np.where(certain, _signs_of_spikes(units, place), 0)
    others, weights = (spikes != 0) | ~place.observed, np.zeros_like(place.Z)
    pull = units.alpha * np.sign(place.Z) - _products_of_spikes(units, spikes)
    for i, z in enumerate(place.Z):
        used = z.nonzero()[0]
        weights[i, used] = _solved(units, used, others[i], pull[i, used])
    return np.where(others, spikes, weights @ units.A)


def _moved(units, place, C):
    """Return the places after a step of Newton's method, as long as F allows.

    Where no step with all units that push lowers F, one with the foremost of them does,
    up to the first unit that turns its sign.
    """
    moved = _Place(*(of.copy() for of in place))
    todo = np.arange(len(C))
    for foremost in (False, True):
        part = place.at(todo)
        step = _steps(units, part, C[todo], foremost)
        length = _reach(part.Z, step) if foremost else np.ones(len(todo))
        left = _tried(units, part, C[todo], step, length)
        moved.put(todo, part)
        todo = todo[left]
        if not len(todo):
            break
    return moved


def _tried(units, place, C, step, length):
    """Move rows along steps that lower F; return those that no length moved."""
    start, value, todo = place.Z.copy(), place.value.copy(), np.arange(len(step))
    signs = np.where(start != 0, np.sign(start), np.sign(C))
    slope = C / np.maximum(place.t, TINY)[:, None] - units.alpha * signs
    for _ in range(TRIALS):
        Z = start[todo] + length[todo, None] * step[todo]
        Z = np.where(Z * signs[todo] > 0, Z, 0)
        rows = place.x[todo], place.observed[todo]
        tried = _place(units, *rows, Z, place.floor[todo])
        expected = np.einsum("ij,ij->i", slope[todo], Z - start[todo])
        won, slack = value[todo] - tried.value, ROUNDING * value[todo]
        good = (won >= LEAST_SHARE * expected - slack) & (expected >= -slack)
        place.put(todo[good], tried.at(good))
        todo = todo[~good]
        if not len(todo):
            break
        length[todo] *= SHORTER
    return todo


def _reach(Z, step):
    """Return the length at which the first entry of each row turns its sign, or 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(Z * step < 0, -Z / step, 1.0)
    return reach.min(axis=1, initial=1.0)


def _steps(units, place, C, foremost):
    """Return Newton's steps of codes, before signs are looked at."""
    steps, spikes = np.zeros_like(C), _signs_of_spikes(units, place)
    of_spikes = np.zeros_like(C) + _products_of_spikes(units, spikes)
    pushing = (C if units.positive else np.abs(C)) / units.alpha
    pushing = np.where(place.Z == 0, pushing, 0)
    least = place.t[:, None]
    if foremost:
        least = np.maximum(least, pushing.max(axis=1, keepdims=True) * (1 - 1e-12))
    pushing = pushing > least
    for i, z in enumerate(place.Z):
        row = place.at(i)
        entering = pushing[i].nonzero()[0]
        for _ in range(2):  # units that would enter with the wrong sign stay away
            used = np.concatenate([z.nonzero()[0], entering])
            steps[i] = 0
            steps[i, used] = _step(units, row, C[i], used, spikes[i], of_spikes[i])
            entering = entering[steps[i, entering] * C[i, entering] > 0]
            if len(used) == np.count_nonzero(z) + len(entering):
                break
    return steps


def _step(units, row, C, used, spikes, of_spikes):
    """Return the step of the units in use of a row, to the minimum for their signs.

    Where that is not known to be downhill, the step has the residual norm of today.
    """
    signs = np.sign(np.where(row.Z[used] != 0, row.Z[used], C[used]))
    others = (spikes != 0) | ~row.observed
    of_spikes = of_spikes[used]
    inner = C[used] - row.t * of_spikes  # of the residual in other entries
    pull = of_spikes - units.alpha[used] * signs
    fit, slope = _solved(units, used, others, np.array([inner, pull]).T).T
    free = 1 - spikes @ spikes
    energy = max(row.t**2 * free - fit @ inner, 0)
    free -= slope @ pull
    goal = np.sqrt(energy / free) if free > 0 else 0.0
    goal = min(max(goal, row.t / FARTHEST), row.t * FARTHEST)
    downhill = inner + row.t * pull
    safe = fit + row.t * slope
    step = fit + goal * slope
    return step if downhill @ step >= DOWNHILL * (downhill @ safe) else safe
