r"""Outliers as atoms: one lasso for the code of a row and its outliers.

The code and the outliers e of a row x, in atoms A, minimise ::

    ||x - z A - e|| + sum_i alpha_i |z_i| + sum_j beta_j |e_j| .

With ``z = c / alpha`` and ``e = s / beta`` this is a square-root lasso with penalty 1
of all entries of ``(c, s)``, in the atoms ``A / alpha`` and the spikes ``I / beta``. It
is convex and homogeneous, and has the duality gap of that lasso.
"""

import math
from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.blockwise.linalg import row_norms
from sklearn_sqrtlasso.sparse_coding.dictionary import Dictionary, make_dictionary

LEAST_PENALTY = 1e-8  # to which smaller ones are raised, for atoms of unit norm


class RowCodes(NamedTuple):
    """Codes and outliers of rows, and how far they are from a minimum.

    Attributes
    ----------
    Z : ndarray of shape (n_rows, n_components)
        Codes.
    outliers : ndarray of shape (n_rows, n_features)
        Outliers of observed entries.
    scale : ndarray of shape (n_rows,)
        Residual scale of each row, or of its group: the norm of a single residual.
    gap : ndarray of shape (n_rows,)
        Duality gap of each row, or of its group, relative to the objective of zeros.
    """

    Z: np.ndarray
    outliers: np.ndarray
    scale: np.ndarray
    gap: np.ndarray


def usual_outlier_alpha(n_features):
    """Return a penalty at which few entries of Gaussian residuals are outliers.

    Parameters
    ----------
    n_features : int
        Number of entries of a row.

    Returns
    -------
    outlier_alpha : float
        A pure number.
    """
    return 2.2 / math.sqrt(n_features)


def raised_penalties(alpha, A):
    """Return penalties that are large enough to divide atoms by.

    Parameters
    ----------
    alpha : float
        Penalty of all atoms.
    A : ndarray of shape (n_components, n_entries)
        Atoms.

    Returns
    -------
    alpha : ndarray of shape (n_components,)
        Positive penalties.
    """
    norms = row_norms(A)
    return np.where(norms > 0, np.maximum(alpha, LEAST_PENALTY * norms), 1.0)


def dictionary_with_spikes(A, alpha, beta, positive):
    """Return atoms whose code with penalties of 1 holds a code and outliers.

    Parameters
    ----------
    A : ndarray of shape (n_components, n_entries)
        Atoms.
    alpha : ndarray of shape (n_components,)
        Penalty of each atom, positive.
    beta : ndarray of shape (n_outliers,) or None
        Penalty of outliers in each of the first entries; None has no outliers.
    positive : bool
        Whether codes are nonnegative; outliers have any sign.

    Returns
    -------
    dictionary : Dictionary
        ``n_components`` atoms over their penalties, and spikes over theirs.
    """
    atoms = make_dictionary(A / alpha[:, None])
    if beta is None:
        return atoms
    height = 1 / np.maximum(beta, LEAST_PENALTY)
    height = np.concatenate([height, -height]) if positive else height
    entry, p = np.arange(len(height)) % max(len(beta), 1), len(A)
    D = np.zeros((p + len(height), A.shape[1]))
    D[:p], D[p + np.arange(len(height)), entry] = atoms.D, height
    G = np.empty((len(D), len(D)))  # by entries: the spikes have but one each
    G[:p, :p], G[:p, p:] = atoms.G, atoms.D[:, entry] * height
    G[p:, :p] = G[:p, p:].T
    G[p:, p:] = (entry[:, None] == entry) * np.outer(height, height)
    return Dictionary(D, G)


def split_codes(codes, alpha, beta, positive):
    """Return codes and outliers from codes in the atoms of ``dictionary_with_spikes``.

    Parameters
    ----------
    codes : ndarray of shape (..., n_components + n_spikes)
        Codes in these atoms.
    alpha, beta, positive
        As for ``dictionary_with_spikes``.

    Returns
    -------
    Z : ndarray of shape (..., n_components)
        Codes.
    outliers : ndarray of shape (..., n_outliers) or None
        Outliers of the first entries.
    """
    p = len(alpha)
    Z = codes[..., :p] / alpha
    if beta is None:
        return Z, None
    spikes = codes[..., p:]
    if positive:
        spikes = spikes[..., : len(beta)] - spikes[..., len(beta) :]
    return Z, spikes / np.maximum(beta, LEAST_PENALTY)
