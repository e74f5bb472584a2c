r"""Columns that noise is correlated with, in few dimensions.

The correlations of Gaussian noise with columns are Gaussian, and depend on the products
of columns alone. Hence columns may be replaced by others with the same products: by a
factor of these, or by a *count sketch*, in which each row is added, with a random sign,
to one of a few buckets. The products of a sketch scatter about the true ones by the
inverse root of the number of buckets; norms, which matter most, are made the true ones.
A sketch is a sum over rows, and takes one look at each number.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.linalg.blas import sger

from sklearn_sqrtlasso.algorithms.peak_counts import count_above

BUCKETS = 512  # of a sketch
SHORTER = 2  # rows for each bucket from which a sketch is cheaper than the rows
JITTER = 1e-11  # added to the diagonal of products, relative to its largest entry
RANGE = 1e-12  # eigenvalue, relative to the largest, that counts as zero
WIDTH = 512  # columns that are converted at a time
AT_ONCE = 4096  # columns that are correlated with noise at a time


class NoiseColumns(NamedTuple):
    """Columns in coordinates of Gaussian noise.

    Attributes
    ----------
    matrix : {ndarray, CSC array} of shape (length, n_columns)
        The columns, in single precision, up to their parts in ``apart``.
    apart : ndarray of shape (length, n_apart)
        Orthonormal directions in which there is no noise.
    parts : ndarray of shape (n_apart, n_columns)
        Parts of ``matrix`` in these directions, which are to be subtracted.
    norms : ndarray of shape (n_columns,)
        True norms of the columns.
    """

    matrix: np.ndarray
    apart: np.ndarray
    parts: np.ndarray
    norms: np.ndarray

    @property
    def dimension(self):
        """Number of dimensions of the noise."""
        return self.matrix.shape[0] - self.apart.shape[1]

    def draw(self, n, rng):
        """Return Gaussian noise, n vectors, of shape (length, n)."""
        noise = rng.standard_normal((self.matrix.shape[0], n), dtype=np.float32)
        if sp.issparse(self.matrix):  # of many rows, of which there is no copy
            for a in self.apart.T:
                sger(-1.0, noise.T @ a, a, a=noise.T, overwrite_a=True)
        elif self.apart.shape[1]:
            noise -= self.apart @ (self.apart.T @ noise)
        return noise

    def take(self, places):
        """Return some columns, divided by their norms, of shape (length, n_places).

        They are sparse, and with all their parts, if the matrix is.
        """
        sizes = (1 / self.norms[places]).astype(np.float32)
        if sp.issparse(self.matrix):
            return self.matrix[:, places] @ sp.diags_array(sizes, dtype=np.float32)
        return self.matrix[:, places] * sizes

    def scaled(self, factors):
        """Return the columns times factors, of shape (n_columns,)."""
        if (factors == 1).all():
            return self
        single = factors.astype(np.float32)
        if sp.issparse(self.matrix):
            matrix = self.matrix.copy()
            matrix.data *= np.repeat(single, np.diff(matrix.indptr))
        else:
            matrix = self.matrix * single
        return NoiseColumns(
            matrix, self.apart, self.parts * single, self.norms * factors
        )

    def count(self, noise, lead, places, factors, threshold, positive):
        """Return how many columns have products above a threshold.

        The products are those with combinations of two vectors of noise and of columns
        that lead, in this order, given by their places and factors, of shape (..., 2).
        """
        total, threshold = np.zeros(places.shape[:-1], np.intp), np.float32(threshold)
        given = places.reshape(-1, 2), factors.reshape(-1, 2), threshold, positive
        n, lead_parts = noise.shape[1], None
        if sp.issparse(lead):
            lead_parts = self.apart.T @ lead
        for start in range(0, self.matrix.shape[1], AT_ONCE):
            part = slice(start, start + AT_ONCE)
            block = self.matrix[:, part]
            products = np.empty((2 * n, block.shape[1]), dtype=np.float32)
            if lead_parts is None:
                np.matmul(noise.T, block, out=products[:n])
                np.matmul(lead.T, block, out=products[n:])
            else:
                products[:n] = (block.T @ noise).T
                products[n:] = (lead.T @ block).toarray()
                products[n:] -= lead_parts.T @ self.parts[:, part]
            count_above(products, *given, total.reshape(-1))
        return total


def columns_of_factor(matrix, norms, apart=None):
    """Return dense columns as they are, in coordinates of noise.

    Parameters
    ----------
    matrix : ndarray of shape (length, n_columns)
        The columns.
    norms : ndarray of shape (n_columns,)
        Their norms.
    apart : ndarray of shape (length, n_apart), default=None
        Orthonormal directions in which there is no noise, nor parts of columns.

    Returns
    -------
    columns : NoiseColumns
        The columns.
    """
    apart = np.zeros((len(matrix), 0)) if apart is None else apart
    single = matrix.astype(np.float32, copy=False), apart.astype(np.float32)
    return NoiseColumns(*single, np.zeros((apart.shape[1], len(norms))), norms)


def factored_columns(products, freedom):
    """Return columns of given products: a factor of these.

    Parameters
    ----------
    products : ndarray of shape (n_columns, n_columns)
        The products.
    freedom : int
        Dimension of the noise, at least the rank of the products.

    Returns
    -------
    columns : NoiseColumns
        The factor, which depends on the products alone: of Cholesky, or the symmetric
        root if there are more columns than dimensions.
    """
    p, norms = len(products), np.sqrt(products.diagonal())
    if p <= freedom:
        raised = products.copy()
        raised.flat[:: p + 1] += JITTER * products.diagonal().max()
        return columns_of_factor(np.linalg.cholesky(raised).T, norms)
    values, vectors = np.linalg.eigh(products)
    seen = values > RANGE * values[-1]
    root = vectors[:, seen] * np.sqrt(values[seen]) @ vectors[:, seen].T
    return columns_of_factor(root, norms, vectors[:, ~seen])


def _columns_of_rows(design, features):
    """Return the columns themselves, in rows that differ.

    Rows without entries are merged into one, which weighs as much.
    """
    rows, root = design.sqrt_weights > 0, design.sqrt_weights
    if not sp.issparse(design.X):
        matrix = np.empty((np.count_nonzero(rows), len(features)), dtype=np.float32)
        for start in range(0, len(features), WIDTH):
            part = slice(start, start + WIDTH)
            matrix[:, part] = design.dense(features[part])[rows]
        norms = np.sqrt(np.einsum("ij,ij->j", matrix, matrix, dtype=np.float64))
        apart = root[rows, None] if design.fit_intercept else None
        return columns_of_factor(matrix, norms, apart)
    matrix, centers = design.columns(features)
    stored, matrix = np.zeros(len(rows), dtype=bool), matrix.astype(np.float32)
    stored[matrix.indices] = True
    stored &= rows
    matrix, apart = matrix[stored], root[stored]
    if design.fit_intercept and np.any(rows & ~stored):
        apart = np.append(apart, np.linalg.norm(root[~stored]))
        matrix.resize((len(apart), len(features)))
    apart = apart[:, None][:, : int(design.fit_intercept)].astype(np.float32)
    parts = centers[None][: int(design.fit_intercept)].astype(np.float32)
    return NoiseColumns(matrix, apart, parts, design.norms_of(features))


def _sketched_columns(design, features, rng):
    """Return a count sketch of the columns, with their norms."""
    n, p = design.shape[0], len(features)
    places, signs = rng.integers(0, BUCKETS, n), rng.choice(np.array([-1.0, 1.0]), n)
    matrix, norms = design.sketch(features, places, signs, BUCKETS)
    sizes = np.sqrt(np.einsum("ij,ij->j", matrix, matrix))
    scale = np.divide(norms, sizes, out=np.zeros(p), where=sizes > 0)
    matrix *= scale.astype(np.float32)
    return columns_of_factor(matrix, norms)


def noise_columns(design, features, rng):
    """Return columns of about the same products as some of a design, most cheaply.

    Parameters
    ----------
    design : Design
        The columns.
    features : ndarray of shape (n_columns,)
        Those of interest.
    rng : Generator
        Source of a sketch.

    Returns
    -------
    columns : NoiseColumns
        The columns in the rows, or a sketch where that has fewer numbers.
    """
    if design.height(features) < SHORTER * BUCKETS:
        return _columns_of_rows(design, features)
    return _sketched_columns(design, features, rng)
