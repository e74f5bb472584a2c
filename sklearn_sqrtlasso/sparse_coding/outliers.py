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


def dictionary_with_spikes(A, alpha, beta, positive, G=None):
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
    G : ndarray of shape (n_components, n_components), default=None
        ``A A'``; None computes it.

    Returns
    -------
    dictionary : Dictionary
        ``n_components`` atoms over their penalties, and spikes over theirs.
    """
    if G is None:
        atoms = make_dictionary(A / alpha[:, None])
    else:
        atoms = Dictionary(A / alpha[:, None], G / np.outer(alpha, alpha))
    if beta is None:
        return atoms
    height = 1 / np.maximum(beta, LEAST_PENALTY)
    height = np.concatenate([height, -height]) if positive else height
    entry, p = np.arange(len(height)) % max(len(beta), 1), len(A)
    D = np.zeros((p + len(height), A.shape[1]))
    D[:p], D[p + np.arange(len(height)), entry] = atoms.D, height
    G = np.empty((len(D), len(D)))  # by entries: the spikes have but one each
    G[:p, :p], G[:p, p:] = atoms.G, atoms.D[:, entry] * height
    G[p:, :p], G[p:, p:] = G[:p, p:].T, 0
    for sign in range(1 + positive if len(height) else 0):  # opposite spikes of entries
        other = np.roll(np.arange(len(height)), sign * len(beta))
        G[p + np.arange(len(height)), p + other] = height * height[other]
    return Dictionary(D, G)


class SpikedAtoms:
    """Atoms and spikes of rows that lack some entries, one pattern after the other.

    A pattern takes the place of the last one, so that only what differs is written.

    Parameters
    ----------
    dictionary : Dictionary
        Atoms.
    alpha : float
        Penalty of all atoms.
    beta : float
        Penalty of outliers.
    positive : bool
        Whether codes are nonnegative.
    """

    def __init__(self, dictionary, alpha, beta, positive):
        self.alpha = raised_penalties(alpha, dictionary.D)
        self.beta, self.positive = np.full(dictionary.D.shape[1], beta), positive
        penalties = self.alpha, self.beta, positive
        self.spiked = dictionary_with_spikes(dictionary.D, *penalties, dictionary.G)
        self.shares = np.outer(1 / self.alpha, 1 / self.alpha)
        self.missing = np.empty(0, np.int64)

    def of(self, atoms, missing):
        """Return the atoms and spikes of rows that lack some entries.

        Parameters
        ----------
        atoms : Dictionary
            Atoms without these entries.
        missing : ndarray of shape (n_missing,)
            Indices of these entries, whose spikes have no products with atoms.

        Returns
        -------
        spiked : Dictionary
            As of ``dictionary_with_spikes``, until the next call.
        """
        p = len(atoms.D)
        G = self.spiked.G
        np.multiply(atoms.G, self.shares, out=G[:p, :p])
        changed = np.union1d(missing, self.missing)
        D = atoms.D[:, changed] / self.alpha[:, None]
        self.spiked.D[:p, changed] = D
        for sign in range(1 + self.positive):
            spikes = p + changed + sign * len(self.beta)
            products = D * self.spiked.D[spikes, changed]
            G[:p, spikes], G[spikes, :p] = products, products.T
        self.missing = missing
        return self.spiked


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
