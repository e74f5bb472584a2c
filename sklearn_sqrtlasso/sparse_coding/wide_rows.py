"""Code wide rows with outliers, by Newton's method instead of a path over spikes.

An atom for each entry makes paths take time and memory by the square of the number of
columns. Codes and outliers are those of the same objective, and so is their refit.
"""

import numpy as np

from sklearn_sqrtlasso.blockwise.linalg import dense_rows, unit_near
from sklearn_sqrtlasso.sparse_coding.dictionary import (
    CodingOptions,
    Solution,
    correlate_rows,
)
from sklearn_sqrtlasso.sparse_coding.newton import (
    Units,
    code_by_newton,
    refit_by_newton,
)
from sklearn_sqrtlasso.sparse_coding.outliers import (
    LEAST_PENALTY,
    RowCodes,
    dictionary_with_spikes,
    raised_penalties,
    split_codes,
)
from sklearn_sqrtlasso.sparse_coding.relaxed_lasso import lasso_on_support
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS

MANY = 1536  # atoms and spikes, of which paths take more time than Newton's method
TOO_MANY = 3072  # atoms and spikes, of which paths would take too much memory


def code_wide_rows(X, dictionary, options):
    """Code rows with outliers and missing entries in two stages.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Rows; NaN where an entry is missing.
    dictionary : Dictionary
        Atoms.
    options : CodingOptions
        Options of coding, with ``outlier_alpha``.

    Returns
    -------
    solution : Solution
        Refitted codes and outliers, with certificate and penalty of the first stage.
    unsolved : ndarray of shape (n_unsolved,)
        Indices of rows whose gap is above ``tol``.
    """
    x = dense_rows(X, np.float64)
    observed = ~np.isnan(x)
    x = np.where(observed, x, 0)
    unit = unit_near(np.abs(x).max(axis=1, initial=0))[:, None]
    x /= unit
    alpha = raised_penalties(options.alpha, dictionary.D)
    beta = np.full(x.shape[1], max(options.outlier_alpha, LEAST_PENALTY))
    units = Units(*dictionary, alpha, beta, options.positive)
    codes = code_by_newton(units, x, observed, _first_codes(x, dictionary, options))
    unsolved = np.flatnonzero(~(codes.gap <= options.tol))
    Z, outliers = _relaxed(units, x, observed, codes, options)
    with np.errstate(over="ignore"):  # what is out of range is infinite
        parts = Z * unit, codes.gap, codes.scale * unit[:, 0], False, outliers * unit
    return Solution(*parts), unsolved


def has_wide_rows(dictionary, options):
    """Return whether rows with outliers are to be coded by Newton's method.

    Parameters
    ----------
    dictionary : Dictionary
        Atoms.
    options : CodingOptions
        Options of coding, with ``outlier_alpha``.

    Returns
    -------
    wide : bool
        Whether there are more than ``MANY`` atoms and spikes.
    """
    return _count_spiked(dictionary, options) > MANY


def has_short_paths(dictionary, options):
    """Return whether paths over atoms and spikes come to an end soon.

    Parameters
    ----------
    dictionary, options
        As for ``has_wide_rows``.

    Returns
    -------
    short : bool
        Whether there are at most ``TOO_MANY``.
    """
    return _count_spiked(dictionary, options) <= TOO_MANY


def _count_spiked(dictionary, options):
    n_atoms, n_features = dictionary.D.shape
    return n_atoms + n_features * (1 + options.positive)


def _first_codes(x, dictionary, options):
    """Return codes of rows without outliers."""
    pure = options._replace(outlier_alpha=None)
    rows = correlate_rows(x, dictionary)
    Z = SELECTORS[options.selector].select(rows, dictionary, pure).Z
    return np.where(np.isfinite(Z), Z, 0)


def _relaxed(units, x, observed, codes, options):
    """Return codes and outliers, refitted up to a share ``phi`` of their shrinkage."""
    Z, outliers, phi = codes.Z, codes.outliers, options.phi
    if phi == 1:
        return Z, outliers
    spikes = outliers != 0
    fit = refit_by_newton(units, x, observed, codes)
    found = phi * Z + (1 - phi) * fit
    left = np.where(spikes, x - fit @ units.A, 0)
    clean = phi * outliers + (1 - phi) * left
    turned = ((Z != 0) & (Z * fit <= 0)).any(axis=1) | (left * outliers < 0).any(axis=1)
    if options.positive:
        turned &= (found < 0).any(axis=1) | (phi > 0)
    elif phi == 0:
        turned[:] = False
    for i in np.flatnonzero(turned):
        row = RowCodes(Z[i], outliers[i], codes.scale[i], codes.gap[i])
        found[i], clean[i] = _on_support(units, x[i], observed[i], row, options)
    return found, clean


def _on_support(units, x, observed, row, options):
    """Return the lasso code of a row, and outliers, on a support."""
    used, spikes = np.flatnonzero(row.Z), np.flatnonzero(row.outliers)
    columns = np.concatenate([spikes, np.flatnonzero(observed & (row.outliers == 0))])
    alpha, beta = units.alpha[used], units.beta[spikes]
    A = units.A[np.ix_(used, columns)]
    spiked = dictionary_with_spikes(A, alpha, beta, units.positive)
    scaled = row.outliers[spikes] * beta
    if units.positive:
        scaled = np.concatenate([np.maximum(scaled, 0), np.maximum(-scaled, 0)])
    code = np.concatenate([row.Z[used] * alpha, scaled])
    rows = correlate_rows(x[columns][None], spiked)
    penalty = options.phi * row.scale / rows.unit[0]
    pure = CodingOptions("lasso", positive=units.positive, tol=options.tol)
    fit = lasso_on_support(rows, spiked, 0, code / rows.unit[0], penalty, pure)
    z, e = split_codes(fit * rows.unit[0], alpha, beta, units.positive)
    Z, outliers = np.zeros_like(row.Z), np.zeros_like(x)
    Z[used], outliers[spikes] = z, e
    return Z, outliers
