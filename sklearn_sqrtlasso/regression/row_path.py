"""Follow the path of penalties of a regression on the columns of a small table."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve

from sklearn_sqrtlasso.algorithms.gram_path import (
    all_products,
    allocate,
    solve_gram_path,
)
from sklearn_sqrtlasso.algorithms.moment_gaps import LOST, exact_gaps
from sklearn_sqrtlasso.algorithms.products import normalize
from sklearn_sqrtlasso.regression.fit import fit_of
from sklearn_sqrtlasso.regression.moment_path import DIGITS, LEAST

FEW = 64  # active columns up to which a path is faster than working sets in any case
ONE_BY_ONE = 4  # times as long as at once take the rows of a Gram matrix
EPS = np.finfo(np.float64).eps


def products_of(columns, n_entering):
    """Return products of columns, which are computed when they are needed.

    At once they take less time, if more than a quarter of the columns enter.

    Parameters
    ----------
    columns : ndarray of shape (p, n)
        The columns, of norms one or zero.
    n_entering : int
        Number of columns that are likely to enter.

    Returns
    -------
    products : (ndarray, ndarray, ndarray)
        As ``solve_gram_path`` takes them.
    """
    p = len(columns)
    if ONE_BY_ONE * n_entering > p:
        return all_products(columns @ columns.T)
    return np.empty((p, p)), columns, np.zeros(p, dtype=np.bool_)


class _Problem(NamedTuple):
    """Columns and a target, of norms one, their products, and falling penalties."""

    columns: np.ndarray
    y: np.ndarray
    b: np.ndarray
    penalties: np.ndarray
    alphas: np.ndarray
    options: object
    rank: int


def _follow(problem):
    """Return the first solutions: coefficients, norms of residuals, and gaps.

    The last coefficients are those of all gaps that follow.
    """
    columns, y, b, penalties, alphas, options, rank = problem
    p, n_alphas = len(columns), len(alphas)
    many = n_alphas > 1
    products = products_of(columns, min(columns.shape) if many else 1)
    most = rank if many else min(rank, FEW)
    found, arrays = np.zeros((3, n_alphas, p)), allocate(p)
    given, positive = (products, b, penalties), bool(options.positive)
    n_found, k, _, spans = solve_gram_path(
        *given, alphas, positive, most, found, arrays
    )
    w = found[0, :n_found]
    r = y - w @ columns
    sigmas, gaps = np.sqrt(np.einsum("ij,ij->i", r, r)), np.empty(n_found)
    bounds = penalties, positive
    exact_gaps(w, r @ columns.T, r @ y, sigmas, alphas[:n_found], *bounds, gaps)
    exact = (gaps <= options.tol) & (DIGITS * sigmas**2 >= LOST)
    n_exact = n_found if exact.all() else int(exact.argmin())
    found = w[:n_exact], sigmas[:n_exact], gaps[:n_exact]
    spans = spans and n_exact == n_found
    return _with_interpolation(found, problem, arrays, k) if spans else found


def _with_interpolation(found, problem, arrays, k):
    """Add the solutions of smaller penalties, which have no residual."""
    columns, y, _, penalties, alphas, options, _ = problem
    on, factor, alphas = arrays[1][:k], arrays[0][:k, :k], alphas[len(found[0]) :]
    active, w, lines = columns[on], np.zeros((1, len(columns))), arrays[3][:2, :k]
    left = active @ (y - lines[0] @ active)  # by rounding
    w[0, on] = lines[0] + cho_solve((factor, True), left, check_finite=False)
    w = np.maximum(w, 0.0) if options.positive else w  # what is negative is a rounding
    sigma, direction = np.linalg.norm(y - w[0] @ columns), lines[1] @ active
    c = columns @ direction
    sizes = np.maximum(c, 0.0) if options.positive else np.abs(c)
    worst = (sizes / penalties).max()
    scale = np.maximum(np.linalg.norm(direction), worst / alphas)
    dual = max(direction @ y, 0.0) / scale
    gaps = np.maximum(sigma + alphas * (np.abs(w[0]) @ penalties) - dual, 0.0)
    solved = np.append(gaps <= options.tol, False)
    n_same = int(solved.argmin())
    if not n_same:
        return found
    return (
        np.concatenate([found[0], w]),
        np.append(found[1], sigma),
        np.concatenate([found[2], gaps[:n_same]]),
    )


def follow_row_path(design, target, alphas, options):
    """Return the solutions for the first penalties, by Newton steps on the columns.

    They end where steps fail, for example as columns depend on each other. Where the
    residual has vanished, they share coefficients. There are none where numbers are
    unusual.

    Parameters
    ----------
    design : Design
        The columns.
    target : Target
        The target.
    alphas : ndarray of shape (n_alphas,)
        Penalties in units of X, in decreasing order.
    options : SolverOptions
        Options of the solver.

    Returns
    -------
    fits : list of Fit
        The solutions, in units of X and y.
    intercepts : ndarray of shape (n_fits,)
        Their intercepts.
    """
    size, largest = np.linalg.norm(target.vector), design.penalties(alphas[0])[:]
    if not (size > 0 and largest.min() > 0):
        return [], np.empty(0)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        columns, y = design.dense(slice(None)).T, target.vector / size
        inverse, b = np.empty((2, len(columns)))
        normalize(columns, y, inverse, b)
        penalties, shares = (
            np.where(inverse > 0, largest * inverse, 1),
            alphas / alphas[0],
        )
        shares = shares[shares > LEAST * (np.abs(b) / penalties).max()]
        problem = _Problem(columns, y, b, penalties, shares, options, design.rank)
        w, sigmas, gaps = _follow(problem)
        w, sigmas = w * (size * inverse), size * sigmas
        coef = np.ldexp(w, target.exponent - design.exponents_of(slice(None)))
    range_, sizes = np.finfo(design.dtype), np.abs(coef[w != 0])
    if not np.all((sizes >= range_.tiny) & (sizes <= range_.max)):
        return [], np.empty(0)
    means = design.means_of(slice(None))
    rounding = EPS * (abs(target.mean) + np.abs(w) @ np.abs(means))
    rounding = (np.hypot(sigmas, rounding) - sigmas) / size
    places = np.minimum(np.arange(len(gaps)), len(w) - 1)
    sigmas = np.ldexp(sigmas, target.exponent).tolist()
    apart = [fit_of(*fit, 0.0, 1) for fit in zip(coef, sigmas, strict=True)]
    each = zip(places, (gaps + rounding[places]).tolist(), strict=True)
    fits = [apart[i]._replace(gap=gap) for i, gap in each]
    return fits, np.ldexp(target.mean - w @ means, target.exponent)[places]
