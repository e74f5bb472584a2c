"""Sparse codes of rows in given atoms: select a support, then undo the shrinkage."""

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from scipy.stats import norm as gaussian

from sklearn_sqrtlasso.kernels.certificate import lasso_gaps
from sklearn_sqrtlasso.kernels.homotopy import lasso_paths
from sklearn_sqrtlasso.kernels.pursuit import pursue
from sklearn_sqrtlasso.kernels.refit import threshold_and_invert
from sklearn_sqrtlasso.solvers.faces import code_by_faces
from sklearn_sqrtlasso.solvers.relaxation import Solution, make_rows, relax
from sklearn_sqrtlasso.solvers.rows import blocks_of_runs, for_each_block, single_rows
from sklearn_sqrtlasso.solvers.visit import CodedBlock

CORRELATION_BYTES = 2**18  # correlations of a block stay in cache beside the atoms
LARGEST = 1e150  # penalty from which every code is zero, with room for its square
FEWEST_ROWS, MOST_ROWS = 64, 512  # of a block


def _scaled(alpha, rows):
    """Return a penalty in the unit of the data for each row, as the row is scaled."""
    return np.minimum(np.ldexp(float(alpha), np.minimum(rows.exponent, 500)), LARGEST)


def _lasso(rows, atoms, rule, root):
    X, C = rows.X, rows.C
    alpha = np.full(len(X), rule.alpha) if root else _scaled(rule.alpha, rows)
    Z, dual = np.empty_like(C), np.empty_like(X)
    gap, norm = np.empty(len(X)), np.empty(len(X))

    def follow(at, screen):
        x, c, z, y = X[at], C[at], Z[at], dual[at]
        lasso_paths(x, *atoms, c, alpha[at], root, rule.positive, screen, z, y)
        lasso_gaps(
            x, *atoms, c, z, y, alpha[at], root, rule.positive, gap[at], norm[at]
        )

    follow(slice(None), True)
    for i in np.flatnonzero(~(gap <= rule.tol)):
        follow(slice(i, i + 1), False)
    for i in np.flatnonzero(~(gap <= rule.tol)):
        z = np.where(np.isfinite(Z[i]), Z[i], 0.0)
        y = code_by_faces(
            X[i], atoms.D, alpha[i], root, rule.positive, rule.max_iter, z
        )
        one, found, left = slice(i, i + 1), np.empty(1), np.empty(1)
        lasso_gaps(
            X[one], *atoms, C[one], z[None], y[None], alpha[one], root, rule.positive,
            found, left,
        )  # fmt: skip
        if not gap[i] <= found[0]:
            Z[i], gap[i], norm[i] = z, found[0], left[0]
    return Solution(Z, gap, alpha * norm if root else alpha)


def code_by_lasso(rows, atoms, rule):
    """Minimise ``1/2 ||x - z D||^2 + alpha ||z||_1``."""
    return _lasso(rows, atoms, rule, root=False)


def code_by_sqrt_lasso(rows, atoms, rule):
    """Minimise ``||x - z D|| + alpha ||z||_1``."""
    return _lasso(rows, atoms, rule, root=True)


def _pursuit(rows, atoms, rule, recursive):
    most = rule.n_nonzero or min(atoms.D.shape)
    left = np.zeros(len(rows.X))
    if not rule.n_nonzero:
        left = _scaled(rule.alpha, rows) ** 2
    Z = np.empty_like(rows.C)
    pursue(
        atoms.G, rows.C, rows.energy, min(most, *atoms.D.shape), left, recursive,
        rule.positive, Z,
    )  # fmt: skip
    return _finish(rows, atoms, rule, Z)


def _finish(rows, atoms, rule, Z):
    """Return least squares on a support as they are, or as nonnegative ones."""
    if rule.positive:
        Z = relax(rows, atoms, Solution(Z, None), 0.0, positive=True)
    return Solution(Z, np.zeros(len(Z)), refitted=True)


def code_by_omp(rows, atoms, rule):
    """Take the atom that correlates most with the residual, one after the other."""
    return _pursuit(rows, atoms, rule, recursive=False)


def code_by_ols(rows, atoms, rule):
    """Take the atom that lowers the residual most, one after the other."""
    return _pursuit(rows, atoms, rule, recursive=True)


def code_by_topk(rows, atoms, rule):
    """Keep the largest entries of ``x D'``."""
    sizes = rows.C if rule.positive else np.abs(rows.C)
    k = min(rule.n_nonzero, sizes.shape[1])
    places = np.argpartition(sizes, -k, axis=1)[:, -k:]
    Z = np.zeros_like(rows.C)
    kept = np.take_along_axis(rows.C, places, axis=1)
    kept = np.maximum(kept, 0) if rule.positive else kept
    np.put_along_axis(Z, places, kept, axis=1)
    return Solution(Z, np.zeros(len(Z)))


def code_by_threshold(rows, atoms, rule):
    """Move the entries of ``x D'`` towards zero by ``alpha``."""
    sizes = rows.C if rule.positive else np.abs(rows.C)
    sizes = np.maximum(sizes - _scaled(rule.alpha, rows)[:, None], 0)
    return Solution(np.copysign(sizes, rows.C) + 0.0, np.zeros(len(sizes)))


# False alarm rates tuned for each n_features / n_components (Maleki 2009).
FALSE_ALARMS = MappingProxyType(
    {
        "delta": (0.05, 0.11, 0.21, 0.41, 0.5, 0.6, 0.7, 0.8, 0.93),
        "rate": (0.0015, 0.002, 0.004, 0.011, 0.015, 0.02, 0.027, 0.035, 0.043),
    }
)
NORMAL_MEDIAN = 0.6745  # of the absolute value of a standard Gaussian


def code_by_iti(rows, atoms, rule):
    """Threshold ``z + (x - z D) D'``, code by least squares, until the support stays.

    The threshold is tuned to the shape of the atoms, in units of the residual's
    correlations; with ``n_nonzero`` that many entries are kept instead.
    """
    p, n = atoms.D.shape
    rate = np.interp(n / p, FALSE_ALARMS["delta"], FALSE_ALARMS["rate"])
    factor = float(gaussian.isf(rate / 2) / NORMAL_MEDIAN)
    Z, n_iter = np.empty_like(rows.C), np.empty(len(rows.X), np.int64)
    most = min(rule.n_nonzero or n, n, p)
    k = most if rule.n_nonzero else 0
    threshold_and_invert(
        atoms.G, rows.C, most, k, factor, rule.positive, rule.max_iter, Z, n_iter
    )
    gap = np.where(n_iter < rule.max_iter, 0.0, np.inf)
    return _finish(rows, atoms, rule, Z)._replace(gap=gap)


CODERS: MappingProxyType[str, Callable[..., Solution]] = MappingProxyType(
    {
        "sqrt_lasso": code_by_sqrt_lasso,
        "lasso": code_by_lasso,
        "omp": code_by_omp,
        "ols": code_by_ols,
        "topk": code_by_topk,
        "iti": code_by_iti,
        "threshold": code_by_threshold,
    }
)


def code_rows(X, atoms, rule):
    """Code rows by both stages.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_rows, n_features)
        Rows.
    atoms : Atoms
        Atoms.
    rule : Rule
        How to code.

    Returns
    -------
    solution : Solution
        Refitted codes in double precision, with the certificate and the penalty of the
        first stage.
    """
    rows = make_rows(X, atoms)
    first = CODERS[rule.selector](rows, atoms, rule)
    Z = relax(rows, atoms, first, rule.phi, positive=rule.positive)
    if rows.exponent.any():
        Z = np.ldexp(Z, -rows.exponent[:, None])
    mu = None if first.mu is None else np.ldexp(first.mu, -rows.exponent)
    return Solution(Z, first.gap, mu)


def visit_codes(X, atoms, rule, visit, *, out=None, n_jobs=None):
    """Code all rows of ``X`` block by block, and return what ``visit`` says of each.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.
    atoms : Atoms
        Atoms.
    rule : Rule
        How to code.
    visit : callable, (CodedBlock) -> object
        Told of each block, possibly from several threads.
    out : ndarray of shape (n_samples, n_components), default=None
        Filled with the codes, if given.
    n_jobs : int, default=None
        Threads, in the sense of joblib.

    Returns
    -------
    results : list
        What ``visit`` returned, block by block.
    n_unsolved : int
        Number of rows whose gap exceeds ``rule.tol``.
    """
    size = CORRELATION_BYTES // (8 * len(atoms.D))
    size = max(FEWEST_ROWS, min(size, MOST_ROWS))

    def work(block):
        rows = slice(block.start, block.stop)
        solution = code_rows(X[rows], atoms, rule)
        Z = solution.Z.astype(X.dtype, copy=False)
        if out is not None:
            out[rows] = Z
        unsolved = int(np.sum(~(solution.gap <= rule.tol)))
        level = np.zeros(len(Z)) if solution.mu is None else solution.mu
        return visit(CodedBlock(block.part, rows, X[rows], Z, level)), unsolved

    blocks = blocks_of_runs(single_rows(X.shape[0]).starts, size)
    done = for_each_block(work, blocks, n_jobs)
    return [told for told, _ in done], sum(n for _, n in done)
