"""Designs of a regression: centred, weighted and scaled without a copy."""

from abc import ABC, abstractmethod

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.blockwise.linalg import unit_near

BLOCK_BYTES = 2**22  # of single-precision rows converted to double at a time
SAMPLE = 64  # rows and columns from which the size of entries is estimated
FEATURES = 1024  # converted to single precision at a time
CONSTANT = 64 * np.finfo(np.float64).eps  # relative spread of a constant column


class Design(ABC):
    r"""Columns :math:`\sqrt{v} \circ (x_j - m_j) / u`, computed on demand.

    With weights v that sum to 1, the inner products of these columns are weighted means
    of products of centred features, in units of u.

    Parameters
    ----------
    X : ndarray or CSC matrix of shape (n_samples, n_features)
        The features.
    weights : ndarray of shape (n_samples,)
        Weights v, nonnegative, of sum 1.
    fit_intercept : bool
        Whether columns are centred at their weighted means.
    """

    def __init__(self, X, weights, fit_intercept):
        self.X, self.unit, self.sqrt_weights = X, 1.0, np.sqrt(weights)
        self.fit_intercept = fit_intercept
        self.is_excluded = np.zeros(X.shape[1], dtype=bool)
        self.means = np.zeros(X.shape[1])
        if fit_intercept:
            with np.errstate(invalid="ignore", over="ignore"):
                self.means = self._products(weights)

    @property
    def shape(self):
        """Number of samples and of features."""
        return self.X.shape

    @property
    def rank(self):
        """Upper bound of the rank of the columns."""
        return max(np.count_nonzero(self.sqrt_weights) - self.fit_intercept, 1)

    def centered(self, y):
        """Return the target, centred and weighted like the columns, and its mean."""
        mean = float(self.sqrt_weights**2 @ y) if self.fit_intercept else 0.0
        return self.sqrt_weights * (y - mean), mean

    def set_unit(self, sample):
        """Set the unit of scaling of columns near the largest of some of their entries.

        Nothing is rounded, and no product of columns overflows.
        """
        unit = unit_near(np.abs(sample).max(initial=0.0))
        self.means /= unit / self.unit
        self.unit = unit

    def correlate(self, r):
        """Return the products of all columns with ``r``, of shape (n_features,)."""
        r = self.sqrt_weights * r
        with np.errstate(invalid="ignore", over="ignore"):
            c = self._products(r)
            if self.fit_intercept:
                c -= self.means * r.sum()
        c[self.is_excluded] = 0
        return c

    def peaks(self, Z, positive):
        """Return the largest product with each column of ``Z``, in single precision.

        Parameters
        ----------
        Z : ndarray of shape (n_samples, n_draws)
            Arguments of ``correlate``, one in each column.
        positive : bool
            Whether negative products are ignored.

        Returns
        -------
        peaks : ndarray of shape (n_draws,)
            The largest products, in magnitude unless ``positive``.
        """
        Z = (self.sqrt_weights[:, None] * Z).astype(np.float32)
        sums, largest = Z.sum(axis=0), np.zeros(Z.shape[1])
        for start in range(0, self.shape[1], FEATURES):
            part = slice(start, start + FEATURES)
            C = (self.X[:, part] / self.unit).astype(np.float32).T @ Z
            C -= np.outer(self.means[part], sums)
            top = (C if positive else np.abs(C)).max(axis=0)
            largest = np.maximum(largest, top)
        return largest

    def largest_norm(self):
        """Return the largest norm of a column, in units of X."""
        squares = np.maximum(self._squares() - self.means**2, 0)
        return float(np.sqrt(squares.max(initial=0.0)) * self.unit)

    @abstractmethod
    def _squares(self):
        """Return the weighted mean square of each feature, not centred."""

    @abstractmethod
    def _products(self, r):
        """Return ``X^T r / unit`` in double precision."""

    @abstractmethod
    def columns(self, features):
        """Return the columns of some features, and which of them are constant.

        The columns are a block for the methods below, in which constant ones are zero.
        """

    def exclude(self, features):
        """Make ``correlate`` return 0 for features that were found to be constant."""
        self.is_excluded[features] = True

    @abstractmethod
    def join(self, blocks):
        """Return blocks of columns side by side."""

    @abstractmethod
    def gram(self, left, right):
        """Return the products of two blocks of columns, a dense matrix."""

    @abstractmethod
    def apply(self, block, w):
        """Return the sum of the columns of a block, weighted by ``w``."""


class DenseDesign(Design):
    """A design whose features are a float64 or float32 array, of any memory order."""

    def _products(self, r):
        if self.X.dtype == np.float64:
            return self.X.T @ (r / self.unit)
        total, block = np.zeros(self.shape[1]), max(1, BLOCK_BYTES // self.shape[1])
        for start in range(0, len(r), block):
            rows = slice(start, start + block)
            total += self.X[rows].astype(np.float64).T @ (r[rows] / self.unit)
        return total

    def _squares(self):
        total, block = np.zeros(self.shape[1]), max(1, BLOCK_BYTES // self.shape[1])
        for start in range(0, self.shape[0], block):
            rows = slice(start, start + block)
            part = self.X[rows].astype(np.float64) / self.unit
            total += self.sqrt_weights[rows] ** 2 @ part**2
        return total

    def columns(self, features):
        """Return the columns of some features, and which of them are constant."""
        block = np.asarray(self.X[:, features], dtype=np.float64, order="F") / self.unit
        constant = np.zeros(block.shape[1], dtype=bool)
        if self.fit_intercept:
            means = self.means[features]
            block -= means
            constant = np.abs(block).max(axis=0) <= CONSTANT * np.abs(means)
            block[:, constant] = 0
        block *= self.sqrt_weights[:, None]
        return block, constant

    def join(self, blocks):
        """Return blocks of columns side by side."""
        return np.concatenate([block.T for block in blocks]).T

    def gram(self, left, right):
        """Return the products of two blocks of columns."""
        return left.T @ right

    def apply(self, block, w):
        """Return the sum of the columns of a block, weighted by ``w``."""
        return block @ w


class SparseDesign(Design):
    """A design whose features are a CSC matrix, centred only implicitly."""

    def _products(self, r):
        return np.asarray(self.X.T @ (r / self.unit), dtype=np.float64)

    def _squares(self):
        squares = self.X.astype(np.float64)
        squares.data = (squares.data / self.unit) ** 2
        return np.asarray(squares.T @ self.sqrt_weights**2)

    def columns(self, features):
        """Return the columns of some features, and which of them are constant."""
        block = self.X[:, features].astype(np.float64)
        block.data *= self.sqrt_weights[block.indices] / self.unit
        means = self.means[features].copy()
        energy = np.asarray(block.multiply(block).sum(axis=0)).ravel()
        constant = energy - means**2 <= CONSTANT * energy
        if constant.any():
            means[constant] = 0
            block = block @ sp.diags_array(np.where(constant, 0.0, 1.0), format="csc")
        return (sp.csc_array(block), means), constant

    def join(self, blocks):
        """Return blocks of columns side by side."""
        matrices, means = zip(*blocks, strict=True)
        return sp.hstack(matrices, format="csc"), np.concatenate(means)

    def gram(self, left, right):
        """Return the products of two blocks of columns."""
        (a, a_means), (b, b_means) = left, right
        return (a.T @ b).toarray() - np.outer(a_means, b_means)

    def apply(self, block, w):
        """Return the sum of the columns of a block, weighted by ``w``."""
        matrix, means = block
        return matrix @ w - self.sqrt_weights * (means @ w)


def design_of(X, weights, fit_intercept):
    """Return the design of dense or sparse features, with its unit of scaling."""
    kind = SparseDesign if sp.issparse(X) else DenseDesign
    design = kind(X, weights, fit_intercept)
    entries = X.data[:, None] if sp.issparse(X) else X
    steps = [max(1, length // SAMPLE) for length in entries.shape]
    sample = entries[:: steps[0], :: steps[1]]
    design.set_unit(sample if sample.any() else entries)
    return design
