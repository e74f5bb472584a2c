"""Relaxed lasso: refit codes on their supports, with part of their shrinkage."""

import numpy as np

from sklearn_sqrtlasso.algorithms.refit import refit_rows
from sklearn_sqrtlasso.sparse_coding.dictionary import Dictionary
from sklearn_sqrtlasso.sparse_coding.lasso import solve_lassos


def relax(rows, dictionary, solution, options):
    r"""Refit codes on their supports, up to a share ``phi`` of their shrinkage.

    .. math::
        \min_z \tfrac12 \|x - z D\|_2^2 + \phi \mu \|z\|_1
        \quad\text{on the support of the code,}

    exactly, even if a sign changes. Codes without a penalty move by the share
    :math:`1 - \phi` of the difference to least squares.

    Parameters
    ----------
    rows : CorrelatedRows
        Rows.
    dictionary : Dictionary
        Atoms.
    solution : Solution
        Codes of the first stage.
    options : CodingOptions
        Set ``phi`` and ``positive``.

    Returns
    -------
    Z : ndarray of shape (n_rows, n_components)
        Refitted codes; no residual is larger than that of the first stage.
    """
    Z, mu = solution.Z, solution.mu
    phi, positive = options.phi, options.positive
    if phi == 1 or solution.refitted:
        return Z
    out, turned = _on_the_line_to(solution.fit, rows.X, dictionary, Z, phi)
    if positive:
        turned |= (out < 0).any(axis=1)
    if turned.any() and (positive or (mu is not None and phi > 0)):
        for i in np.flatnonzero(turned):
            penalty = 0.0 if mu is None else phi * mu[i]
            fit = lasso_on_support(rows, dictionary, i, Z[i], penalty, options)
            out[i] = fit if mu is not None else phi * Z[i] + (1 - phi) * fit
    return out


def _on_the_line_to(fit, X, dictionary, Z, phi):
    """Return codes a share away from least squares, and whether a sign turns between.

    Least squares that are known of some rows are not computed again.
    """
    if fit is None:
        fit = np.full_like(Z, np.nan)
    out = phi * Z + (1 - phi) * fit
    turned = (((Z > 0) != (fit > 0)) | ((Z < 0) != (fit < 0))).any(axis=1)
    unknown = np.flatnonzero(np.isnan(fit[:, 0]))
    if len(unknown):
        z, turns = Z[unknown], np.empty(len(unknown), np.bool_)
        refit_rows(X[unknown], *dictionary, z, phi, z, turns)
        out[unknown], turned[unknown] = z, turns
    return out, turned


def lasso_on_support(rows, dictionary, i, z, penalty, options):
    """Return the lasso code of a row on a support, or the given code if as good.

    Parameters
    ----------
    rows : CorrelatedRows
        Rows.
    dictionary : Dictionary
        Atoms.
    i : int
        Index of the row.
    z : ndarray of shape (n_components,)
        Code with the support.
    penalty : float
        Penalty of the lasso.
    options : CodingOptions
        Set ``positive``.

    Returns
    -------
    fit : ndarray of shape (n_components,)
        Code.
    """
    support, x = np.flatnonzero(z), rows.X[i]
    part = Dictionary(dictionary.D[support], dictionary.G[np.ix_(support, support)])
    C, penalty = rows.C[i][support][None], np.array([penalty])
    found = solve_lassos(rows.X[i : i + 1], part, C, penalty, False, options)
    allowed = not (options.positive and np.any(z < 0))
    if allowed and not found.norm[0] < np.linalg.norm(x - z[support] @ part.D):
        return z
    fit = np.zeros_like(z)
    fit[support] = found.Z[0]
    return fit
