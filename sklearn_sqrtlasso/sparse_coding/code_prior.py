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
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cholesky
from scipy.linalg.lapack import dpotrf, dtrtrs

from sklearn_sqrtlasso.blockwise.blocks import one_thread_of_blas
from sklearn_sqrtlasso.blockwise.linalg import unit_near
from sklearn_sqrtlasso.sparse_coding.dictionary import products_without

LEAST_ERROR = 1e-12  # of an entry, in units of the energy of codes
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
            others = self.loadings[:, missing]
            root = dpotrf(self._system_without(missing), lower=1)[0]  # at least I
            inner = self.loadings @ (x / unit).T
            half = dtrtrs(root, np.hstack([others, inner]), lower=1)[0]
            others, own = np.split(half, [others.shape[1]], axis=1)
            return unit * (own.T @ others), (1 + np.sum(others**2, axis=0)) ** -0.25

    def _system_without(self, missing):
        """Return the matrix Q of rows that lack some entries."""
        if 2 * np.count_nonzero(missing) > len(missing):
            own = self.loadings[:, ~missing]
            system = own @ own.T
        else:
            others = self.loadings[:, missing]
            system = products_without(
                self.products, others, lambda: np.where(missing, 0, self.loadings)
            )
        system[np.diag_indices(len(system))] += 1
        return system


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
