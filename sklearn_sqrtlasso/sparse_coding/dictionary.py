"""A dictionary, coding options, correlated rows, and certified codes."""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.blockwise.blocks import one_thread_of_blas
from sklearn_sqrtlasso.blockwise.linalg import dense_rows, unit_near

KERNEL_READY = ["C", "W"]  # kernels are compiled for writable arrays
LEAST_LEFT = 0.01  # of the energy of an atom, whose products are a difference
ALIASED = 4096 // 8  # numbers: rows a multiple of 4 KiB long begin in one cache set
STRIP = ALIASED // 2  # rows of inner products at a time
MODEST = 1e100  # rows with energy above this or below its inverse are scaled


class Dictionary(NamedTuple):
    """Atoms, and their inner products.

    Attributes
    ----------
    D : ndarray of shape (n_components, n_features)
        Atoms as rows, in double precision. Columns may be contiguous instead of rows,
        as sparse rows want them; ``by_rows`` is as kernels want it.
    G : ndarray of shape (n_components, n_components)
        ``D D'``.
    """

    D: np.ndarray
    G: np.ndarray

    def by_rows(self):
        """Return the atoms with contiguous rows, and their inner products."""
        return self._replace(D=np.require(self.D, requirements=KERNEL_READY))


class CodingOptions(NamedTuple):
    """Options of coding.

    Attributes
    ----------
    selector : str
        A name in ``SELECTORS``.
    alpha : float
        Penalty, threshold or residual norm, depending on the selector.
    n_nonzero : int
        Number of atoms, or 0 where ``alpha`` decides.
    phi : float
        Share of the shrinkage that is kept, in [0, 1].
    positive : bool
        Whether codes are nonnegative.
    max_iter : int
        Largest number of active sets of a row that its path does not solve, and of
        supports of thresholding with inversion.
    tol : float
        Largest relative duality gap of a solved row.
    outlier_alpha : float or None
        Penalty of outliers, of a selector that takes them; None has no outliers.
    """

    selector: str
    alpha: float = 0.0
    n_nonzero: int = 0
    phi: float = 0.0
    positive: bool = False
    max_iter: int = 1000
    tol: float = 1e-8
    outlier_alpha: float | None = None


class CorrelatedRows(NamedTuple):
    """Rows of a block, with the quantities that selectors use.

    Attributes
    ----------
    X : ndarray of shape (n_rows, n_features)
        Rows in double precision, some scaled by a power of two.
    C : ndarray of shape (n_rows, n_components)
        ``X D'``.
    energy : ndarray of shape (n_rows,)
        ``||x||^2``.
    unit : ndarray of shape (n_rows,)
        Power of two that each row was divided by.
    """

    X: np.ndarray
    C: np.ndarray
    energy: np.ndarray
    unit: np.ndarray


class Solution(NamedTuple):
    """Codes with their certificate.

    Attributes
    ----------
    Z : ndarray of shape (n_rows, n_components)
        Codes.
    gap : ndarray of shape (n_rows,)
        Relative duality gap of a certified selector; of another one, 0 where it
        converged, infinite where it did not.
    mu : ndarray of shape (n_rows,) or None
        Penalty of the lasso that the codes minimise; None without a penalty.
    refitted : bool
        Whether the codes are already least squares on their supports.
    outliers : ndarray of shape (n_rows, n_features) or None
        Outliers of the rows; None where none are sought.
    fit : ndarray of shape (n_rows, n_components) or None
        Least squares on the supports, as of ``LassoCodes``; None where they are not
        known of any row.
    """

    Z: np.ndarray
    gap: np.ndarray
    mu: np.ndarray | None = None
    refitted: bool = False
    outliers: np.ndarray | None = None
    fit: np.ndarray | None = None


def make_dictionary(components):
    """Return atoms with their inner products.

    Parameters
    ----------
    components : ndarray of shape (n_components, n_features)
        Atoms.

    Returns
    -------
    dictionary : Dictionary
        In double precision, in the order of the components.
    """
    D = np.require(components, np.float64, "W")
    with one_thread_of_blas:  # others would spin beside the threads that code rows
        return Dictionary(D, _inner_products(D))


def _inner_products(D):
    """Return ``D D'``, of which one half is computed and copied to the other.

    numpy copies it column by column, which takes half as long as the products where
    the entries of a column displace each other from the cache.
    """
    if len(D) % ALIASED:
        return D @ D.T
    G = np.empty((len(D), len(D)))
    for start in range(0, len(D), STRIP):
        own, later = slice(start, start + STRIP), slice(start + STRIP, None)
        np.matmul(D[own], D[own].T, out=G[own, own])
        np.matmul(D[own], D[later].T, out=G[own, later])
        G[later, own] = G[own, later].T
    return G


def products_without(G, lost, others):
    """Return the inner products of atoms that lose some of their entries.

    Parameters
    ----------
    G : ndarray of shape (n_components, n_components)
        Inner products of the atoms.
    lost : ndarray of shape (n_components, n_lost)
        Entries, or shares of them, whose products are subtracted.
    others : callable, () -> ndarray of shape (n_components, n_features)
        Returns the atoms without these entries.

    Returns
    -------
    G : ndarray of shape (n_components, n_components)
        A difference; of atoms of which little is left, whose
        differences would be rounding errors, products of what is left.
    """
    with one_thread_of_blas:  # others would spin beside the threads that code rows
        left = G - lost @ lost.T
        anew = left.diagonal() <= LEAST_LEFT * G.diagonal()
        if anew.any():
            atoms = others()
            left[anew] = atoms[anew] @ atoms.T
            left[:, anew] = left[anew].T
    return left


def correlate_rows(X, dictionary):
    """Return rows with their correlations, scaled where squares are out of range.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_rows, n_features)
        Rows.
    dictionary : Dictionary
        Atoms.

    Returns
    -------
    rows : CorrelatedRows
        The rows.
    """
    X = np.require(dense_rows(X), np.float64, KERNEL_READY)
    with np.errstate(over="ignore", under="ignore"):
        energy = np.einsum("ij,ij->i", X, X)
    unit = np.ones(len(X))
    odd = ~((energy > 1 / MODEST) & (energy < MODEST))
    if odd.any() and X[odd].any():
        unit[odd] = unit_near(np.abs(X[odd]).max(axis=1))
        X = X / unit[:, None]
        energy = np.einsum("ij,ij->i", X, X)
    return CorrelatedRows(X, X @ dictionary.D.T, energy, unit)
