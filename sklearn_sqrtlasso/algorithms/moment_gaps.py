"""Duality gaps of regressions by products of columns, in one pass over fits."""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel

LOST = 64 * np.finfo(np.float64).eps  # rounding of a product of columns of norm one


@kernel(_nrt=False)
def bound_gaps(coef, c, b, alphas, penalties, positive, apart, gaps, squares, lost):
    r"""Write upper bounds of the relative duality gaps of fits, from products alone.

    Columns and target have norm one. With the products c of columns and residual, and
    the square of the residual ``sigma^2 = 1 - w'(b + c)``, the gap is ::

        sigma + sum_j alpha_j |w_j| - (1 - w'b) / max(sigma, max_j |c_j| / alpha_j) .

    Sizes of correlations are compared by their bits: positive floats are ordered like
    these, and a maximum of integers is vectorised.

    Parameters
    ----------
    coef, c : ndarray of shape (n_fits, n_features)
        Coefficients, and products of the columns with the residuals.
    b : ndarray of shape (n_features,)
        Products of the columns with the target.
    alphas : ndarray of shape (n_fits,)
        Penalty of each fit, in (0, inf).
    penalties : ndarray of shape (n_features,)
        That of each coefficient, as a multiple, in (0, inf).
    positive : bool
        Whether coefficients are nonnegative.
    apart : ndarray of shape (n_fits,)
        Bounds of errors of c.
    gaps : ndarray of shape (n_fits,)
        Overwritten with the gaps, and what rounding of the products may hide of them.
    squares, lost : ndarray of shape (n_fits,)
        Overwritten with squares of the residuals, and bounds of their rounding errors.
    """
    n, p = coef.shape
    assert c.shape == (n, p)
    assert b.shape[0] == penalties.shape[0] == p
    assert n == alphas.shape[0] == apart.shape[0]
    assert n == gaps.shape[0] == squares.shape[0] == lost.shape[0]
    for i in range(n):
        terms, of_target, of_residual, penalty, bits = 1.0, 0.0, 0.0, 0.0, np.int64(0)
        for j in range(p):
            terms += abs(coef[i, j])
        error = LOST * terms + apart[i]
        for j in range(p):
            w, product = coef[i, j], c[i, j]
            of_target += w * b[j]
            of_residual += w * product
            penalty += abs(w) * penalties[j]
            size = max(product, 0.0) if positive else abs(product)
            worst = np.float64((size + error) / penalties[j]).view(np.int64)
            bits = worst if worst > bits else bits
        squares[i], lost[i] = 1.0 - of_target - of_residual, error * terms
        sigma = math.sqrt(max(squares[i], 0.0) + lost[i])
        scale = max(sigma, np.int64(bits).view(np.float64) / alphas[i])
        dual = max((1.0 - of_target - error) / scale, 0.0)
        gaps[i] = sigma + alphas[i] * penalty - dual
