"""Duality gaps of regressions, in one pass over fits."""

import math

import numpy as np

from sklearn_sqrtlasso.algorithms.jit import kernel, part

LOST = 64 * np.finfo(np.float64).eps  # rounding of a product of columns of norm one


@part
def penalty_and_worst(coef, c, penalties, positive, error):
    """Return the penalty of coefficients, and the largest correlation over its own.

    Sizes of correlations, to which an error is added, are compared by their bits:
    positive floats are ordered like these, and a maximum of integers is vectorised.
    """
    p = penalties.shape[0]
    assert p == coef.shape[0] == c.shape[0]
    penalty, bits = 0.0, np.int64(0)
    for j in range(p):
        penalty += abs(coef[j]) * penalties[j]
        size = max(c[j], 0.0) if positive else abs(c[j])
        worst = np.float64((size + error) / penalties[j]).view(np.int64)
        bits = worst if worst > bits else bits
    return penalty, np.int64(bits).view(np.float64)


@kernel(_nrt=False)
def bound_gaps(coef, c, b, alphas, penalties, positive, apart, gaps, squares, lost):
    r"""Write upper bounds of the relative duality gaps of fits, from products alone.

    Columns and target have norm one. With the products c of columns and residual, and
    the square of the residual ``sigma^2 = 1 - w'(b + c)``, the gap is ::

        sigma + sum_j alpha_j |w_j| - (1 - w'b) / max(sigma, max_j |c_j| / alpha_j) .

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
        terms, of_target, of_residual = 1.0, 0.0, 0.0
        for j in range(p):
            terms += abs(coef[i, j])
            of_target += coef[i, j] * b[j]
            of_residual += coef[i, j] * c[i, j]
        error = LOST * terms + apart[i]
        penalty, worst = penalty_and_worst(coef[i], c[i], penalties, positive, error)
        squares[i], lost[i] = 1.0 - of_target - of_residual, error * terms
        sigma = math.sqrt(max(squares[i], 0.0) + lost[i])
        dual = (1.0 - of_target - error) / max(sigma, worst / alphas[i])
        gaps[i] = sigma + alphas[i] * penalty - max(dual, 0.0)


@kernel(_nrt=False)
def exact_gaps(coef, c, overlaps, sigmas, alphas, penalties, positive, gaps):
    """Write the duality gaps of fits whose residuals are known.

    They are those of ``bound_gaps``, relative to the norm of the target.

    Parameters
    ----------
    coef, c : ndarray of shape (n_fits, n_features)
        Coefficients, and products of the columns with the residuals.
    overlaps, sigmas : ndarray of shape (n_fits,)
        Products of the target, of norm one, with the residuals, and their norms.
    alphas : ndarray of shape (n_fits,)
        Penalty of each fit, in (0, inf).
    penalties : ndarray of shape (n_features,)
        That of each coefficient, as a multiple, in (0, inf).
    positive : bool
        Whether coefficients are nonnegative.
    gaps : ndarray of shape (n_fits,)
        Overwritten with the gaps, at least 0.
    """
    n, p = coef.shape
    assert c.shape == (n, p)
    assert penalties.shape[0] == p
    assert n == alphas.shape[0] == gaps.shape[0]
    assert n == overlaps.shape[0] == sigmas.shape[0]
    for i in range(n):
        penalty, worst = penalty_and_worst(coef[i], c[i], penalties, positive, 0.0)
        dual = overlaps[i] / max(sigmas[i], worst / alphas[i])
        gaps[i] = max(sigmas[i] + alphas[i] * penalty - max(dual, 0.0), 0.0)
