r"""What missing entries are expected to be, by the codes of training rows.

Least squares on nearly as many atoms as there are observed entries explain these, and
nothing else. What codes are like tells more: they have a second moment, and leave of an
entry that they were not fitted to a variance :math:`\sigma^2`. If both were Gaussian,
with codes of covariance :math:`\sigma^2 \Lambda`, missing entries M would have, given
the observed entries O, the means m and standard deviations s

.. math::
    m = x_O A_O^\top Q^{-1} A_M, \quad
    s_j^2 = \sigma^2 (1 + a_j^\top Q^{-1} a_j), \quad
    Q = I + A_O A_O^\top, \quad A^\top A = D^\top \Lambda D .

A row is filled in by m, and its missing entries have the weight
:math:`w_j^2 = \sigma / s_j` in the squared residual: 1 where the others tell them as
well as atoms do, and little where atoms have nothing in common, so that codes decide.
Since m is linear in the row, codes still scale with it.

Both follow from the precision of rows, ``P = (I + A'A)^-1``, in far less time where few
entries are missing: ``m = -x_O P_OM P_MM^-1``, and ``s_j^2`` is in the diagonal of
``sigma^2 P_MM^-1``. Where atoms explain nearly all, P is rounding error.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cholesky
from scipy.linalg.lapack import dpotrf, dtrtri, dtrtrs

from sklearn_sqrtlasso.blockwise.blocks import one_thread_of_blas
from sklearn_sqrtlasso.blockwise.linalg import unit_near
from sklearn_sqrtlasso.sparse_coding.dictionary import products_without

LEAST_ERROR = 1e-12  # of an entry, in units of the energy of codes
ACCURATE = 1e6  # times the rounding error of precisions, up to which they are trusted
LEAST_SPREAD = 1e-12  # of a direction of codes, in units of the sum of all


@dataclass(frozen=True)
class CodePrior:
    """The second moment of codes of training rows, and what they leave of entries.

    Attributes
    ----------
    gram : ndarray of shape (n_components, n_components)
        Sum of ``z z'`` over rows.
    error : float
        Sum over rows of the variance of an entry given the others, in the same unit.
    components : ndarray of shape (n_components, n_features)
        Atoms.
    """

    gram: np.ndarray
    error: float
    components: np.ndarray

    @cached_property
    def loadings(self):
        """Return the factor A.

        Returns
        -------
        loadings : ndarray of shape (n_components, n_features)
            ``A' A`` is the covariance of rows, in units of the variance left.
        """
        size = np.trace(self.gram)
        spread = self.gram / size
        spread[np.diag_indices(len(spread))] += LEAST_SPREAD
        root = cholesky(spread / max(self.error / size, LEAST_ERROR), lower=True)
        return root.T @ self.components

    @cached_property
    def products(self):
        """Return the inner products of the rows of A.

        Returns
        -------
        products : ndarray of shape (n_components, n_components)
            ``A A'``.
        """
        return self.loadings @ self.loadings.T

    @cached_property
    def explained(self):
        """Return a factor B of what the other entries of a row explain of each entry.

        Returns
        -------
        explained : ndarray of shape (n_features, n_components)
            ``I - B B'`` is the inverse of ``I + A' A``, the precision of rows.
        """
        with one_thread_of_blas:  # others would spin beside the threads that code rows
            root = dpotrf(_plus_identity(self.products.copy()), lower=1)[0]
            return np.ascontiguousarray(dtrtrs(root, self.loadings, lower=1)[0].T)

    @cached_property
    def rounding(self):
        """Return the rounding error of the precision.

        Returns
        -------
        rounding : float
            A share of the trace of ``I + A' A``.
        """
        size = self.loadings.shape[1] + np.sum(self.loadings**2)
        return float(np.finfo(np.float64).eps * size)

    def expect(self, x, missing):
        """Return the expected missing entries of rows, and their weights.

        Parameters
        ----------
        x : ndarray of shape (n_rows, n_features)
            Rows, 0 where an entry is missing.
        missing : ndarray of shape (n_features,)
            Whether an entry is missing.

        Returns
        -------
        expected : ndarray of shape (n_rows, n_missing)
            The means m.
        weights : ndarray of shape (n_missing,)
            The weights w.
        """
        unit = unit_near(np.abs(x).max(axis=1))[:, None]
        with one_thread_of_blas:  # others would spin beside the threads that code rows
            found = None
            if np.count_nonzero(missing) < len(self.loadings):
                found = self._by_precision(x / unit, missing)
            mean, variance = found or self._by_codes(x / unit, missing)
        return unit * mean, variance**-0.25

    def _by_precision(self, x, missing):
        """Return means and variances, in units of that left, or None if inaccurate.

        The precision of missing entries given the others is their part of that of rows.
        """
        own = self.explained[missing]
        precision = own @ own.T
        np.negative(precision, out=precision)
        root, failed = dpotrf(_plus_identity(precision).T, lower=1, overwrite_a=1)
        if failed or root.diagonal().min() ** 2 < ACCURATE * self.rounding:
            return None
        inverse = dtrtri(root, lower=1, overwrite_c=1)[0]
        mean = inverse.T @ (inverse @ (own @ (self.explained.T @ x.T)))
        return mean.T, np.einsum("ij,ij->j", inverse, inverse)

    def _by_codes(self, x, missing):
        """Return the same by the matrix Q, as large as codes."""
        system = _plus_identity(self._products_without(missing))
        root = dpotrf(system, lower=1)[0]  # at least I
        others, inner = self.loadings[:, missing], self.loadings @ x.T
        half = dtrtrs(root, np.hstack([others, inner]), lower=1)[0]
        others, own = np.split(half, [others.shape[1]], axis=1)
        return own.T @ others, 1 + np.einsum("ij,ij->j", others, others)

    def _products_without(self, missing):
        """Return ``A_O A_O'`` for the other entries O."""
        if 2 * np.count_nonzero(missing) > len(missing):
            own = self.loadings[:, ~missing]
            return own @ own.T
        lost = self.loadings[:, missing]
        return products_without(
            self.products, lost, lambda: np.where(missing, 0, self.loadings)
        )


def _plus_identity(matrix):
    matrix[np.diag_indices(len(matrix))] += 1
    return matrix


def code_prior(gram, error, components):
    """Return what is known of codes, None if all were zero.

    Parameters
    ----------
    gram, error, components
        As of ``CodePrior``.

    Returns
    -------
    prior : CodePrior or None
        The prior.
    """
    return CodePrior(gram, float(error), components) if gram.any() else None
