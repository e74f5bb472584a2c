"""Follow the path of penalties of a regression on the columns of a small table."""

import numpy as np

from sklearn_sqrtlasso.algorithms.gram_path import (
    allocate,
    products_of,
    solve_gram_path,
)
from sklearn_sqrtlasso.algorithms.moment_gaps import LOST, exact_gaps
from sklearn_sqrtlasso.regression.fit import Fit
from sklearn_sqrtlasso.regression.moment_path import DIGITS, LEAST

EPS = np.finfo(np.float64).eps


def _unit_columns(design):
    """Return all columns, of norms one or zero, in rows, and one over their norms."""
    columns = design.dense(slice(None)).T
    norms = np.sqrt(np.einsum("ij,ij->i", columns, columns))
    inverse = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    columns *= inverse[:, None]
    return columns, inverse


def _follow(columns, y, penalties, alphas, options, rank):
    """Return coefficients of unit columns for the first penalties, gaps and norms."""
    p, n_alphas, positive = len(columns), len(alphas), options.positive
    products = products_of(columns, 1 if n_alphas == 1 else min(columns.shape))
    given = columns @ y, penalties, alphas, positive, rank
    found = np.zeros((3, n_alphas, p))
    n_found, *_ = solve_gram_path(products, *given, found, allocate(p))
    w, alphas = found[0, :n_found], alphas[:n_found]
    r = y - w @ columns
    sigmas, gaps = np.sqrt(np.einsum("ij,ij->i", r, r)), np.empty(n_found)
    given = alphas, penalties, positive, gaps
    exact_gaps(w, r @ columns.T, r @ y, sigmas, *given)
    exact = (gaps <= options.tol) & (DIGITS * sigmas**2 >= LOST)
    n_exact = n_found if exact.all() else int(exact.argmin())
    return w[:n_exact], sigmas[:n_exact], gaps[:n_exact]


def follow_row_path(design, target, alphas, options):
    """Return the solutions for the first penalties, by Newton steps on the columns.

    They end where steps fail, which is near the penalty at which the residual vanishes,
    or where columns depend on each other. There are none where numbers are unusual.

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
    size, largest = np.linalg.norm(target.vector), design.penalties(alphas[0])
    if not (size > 0 and largest.min() > 0):
        return [], np.empty(0)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        columns, inverse = _unit_columns(design)
        y, penalties = target.vector / size, np.where(inverse > 0, largest * inverse, 1)
        top, shares = (np.abs(columns @ y) / penalties).max(), alphas / alphas[0]
        shares = shares[shares > LEAST * top]
        given = columns, y, penalties, shares, options, design.rank
        w, sigmas, gaps = _follow(*given)
        w, sigmas = w * (size * inverse), size * sigmas
        coef = np.ldexp(w, target.exponent - design.exponents)
    range_, sizes = np.finfo(design.dtype), np.abs(coef)
    if not np.all((sizes >= range_.tiny) & (sizes <= range_.max) | (w == 0)):
        return [], np.empty(0)
    rounding = EPS * (abs(target.mean) + np.abs(w) @ np.abs(design.means))
    gaps = gaps + (np.hypot(sigmas, rounding) - sigmas) / size
    sigmas = np.ldexp(sigmas, target.exponent).tolist()
    found = zip(coef, sigmas, gaps.tolist(), strict=True)
    intercepts = np.ldexp(target.mean - w @ design.means, target.exponent)
    return [Fit(*fit, 1) for fit in found], intercepts
