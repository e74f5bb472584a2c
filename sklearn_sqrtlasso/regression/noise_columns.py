r"""Columns that noise is correlated with, in few dimensions.

The correlations of Gaussian noise with columns are Gaussian, and depend on the products
of columns alone. Hence columns may be replaced by others with the same products: by a
factor of these, or by a *count sketch*, in which each row is added, with a random sign,
to one of a few buckets. The products of a sketch scatter about the true ones by the
inverse root of the number of buckets; norms, which matter most, are made the true ones.
A sketch is a sum over rows, and takes one look at each number.

Columns of few rows are correlated where they are. Noise that is orthogonal to the
weights of the rows sees nothing of the means of columns, so that no copy is centred.
"""

from abc import abstractmethod

import numpy as np
import scipy.sparse as sp
from scipy.linalg.blas import sger

from sklearn_sqrtlasso.algorithms.peak_counts import count_above
from sklearn_sqrtlasso.regression.column_sizes import BLOCK_ENTRIES

BUCKETS = 512  # of a sketch
SHORTER = 2  # rows for each bucket from which a sketch is cheaper than the rows
JITTER = 1e-11  # added to the diagonal of products, relative to its largest entry
RANGE = 1e-12  # eigenvalue, relative to the largest, that counts as zero
AT_ONCE = 2**16  # sparse columns or entries that are gathered at a time
PRODUCTS = 2**18 + 2**17  # of columns with vectors, that are computed at a time
NOISE_AT_ONCE = 2**20  # numbers of noise that are drawn at a time


class NoiseColumns:
    """Columns in coordinates of Gaussian noise.

    Parameters
    ----------
    apart : ndarray of shape (length, n_apart)
        Orthonormal directions in which there is no noise, in single precision.
    norms : ndarray of shape (n_columns,)
        True norms of the columns, overwritten where these are scaled.

    Attributes
    ----------
    factors : ndarray of shape (n_columns,) or None
        What the columns are multiplied by, in single precision; None for ones.
    """

    def __init__(self, apart, norms):
        self.apart, self.norms, self.factors = apart, norms, None

    @property
    def dimension(self):
        """Number of dimensions of the noise."""
        return self.apart.shape[0] - self.apart.shape[1]

    @property
    @abstractmethod
    def size(self):
        """Number of entries that are multiplied by each vector of noise."""

    @property
    def vectors_at_once(self):
        """Number of vectors of noise that are drawn at a time."""
        return max(NOISE_AT_ONCE // self.apart.shape[0], 1)

    def draw(self, n, rng):
        """Return Gaussian noise, n vectors, of shape (length, n)."""
        noise = rng.standard_normal((self.apart.shape[0], n), dtype=np.float32)
        if self.apart.shape[1]:
            noise -= self.apart @ (self.apart.T @ noise)
        return noise

    def take(self, places):
        """Return some columns, divided by their norms, of shape (length, n_places).

        They are sparse, and with all their parts apart, if columns are.
        """
        sizes = (1 / self.norms[places]).astype(np.float32)
        if self.factors is not None:
            sizes *= self.factors[places]
        return self._taken(places, sizes)

    def scale(self, factors_of, features):
        """Multiply the columns by factors.

        Parameters
        ----------
        factors_of : callable, (slice or ndarray) -> ndarray
            Returns the factors of some features.
        features : slice or ndarray of shape (n_columns,)
            Those of the columns.
        """
        p, factors = len(self.norms), self.factors
        for start in range(0, p, AT_ONCE):
            part = slice(start, min(start + AT_ONCE, p))
            more = factors_of(part if isinstance(features, slice) else features[part])
            if factors is None and not (more == 1).all():
                factors = np.ones(p, dtype=np.float32)
            if factors is not None:
                factors[part] *= more
                self.norms[part] *= more
        self.factors = factors

    def count(self, noise, lead, places, factors, threshold, positive):
        """Return how many columns have products above a threshold.

        The products are those with combinations of two vectors of noise and of columns
        that lead, in this order, given by their places and factors, of shape (..., 2).
        """
        total, threshold = np.zeros(places.shape[:-1], np.intp), np.float32(threshold)
        given = places.reshape(-1, 2), factors.reshape(-1, 2), threshold, positive
        n, p = noise.shape[1], len(self.norms)
        multiply, width = self._products_with(noise, lead), PRODUCTS // (2 * n)
        width = min(max(min(width, self._width()), 1), p)
        memory = np.empty(2 * n * width, dtype=np.float32)
        for start in range(0, p, width):
            part = slice(start, min(start + width, p))
            products = memory[: 2 * n * (part.stop - start)].reshape(2 * n, -1)
            multiply(part, products)
            if self.factors is not None:
                products *= self.factors[part]
            count_above(products, *given, total.reshape(-1))
        return total

    def _width(self):
        """Return how many columns may be correlated with noise at a time."""
        return len(self.norms)

    @abstractmethod
    def _taken(self, places, sizes):
        """Return some columns times sizes."""

    @abstractmethod
    def _products_with(self, noise, lead):
        """Return what writes products of noise and of columns that lead.

        It takes a slice of columns, and an array of shape (2 n, n_columns).
        """


class DenseColumns(NoiseColumns):
    """Columns that are an array.

    Parameters
    ----------
    matrix : ndarray of shape (length, n_columns)
        The columns, without parts in the directions apart.
    norms : ndarray of shape (n_columns,)
        Their norms.
    apart : ndarray of shape (length, n_apart), default=None
        Orthonormal directions in which there is no noise.
    """

    def __init__(self, matrix, norms, apart=None):
        apart = np.zeros((len(matrix), 0)) if apart is None else apart
        super().__init__(apart.astype(np.float32), norms)
        self.matrix = matrix.astype(np.float32, copy=False)

    @property
    def size(self):
        """Number of entries that are multiplied by each vector of noise."""
        return self.matrix.size

    def _taken(self, places, sizes):
        return self.matrix[:, places] * sizes

    def _products_with(self, noise, lead):
        n = noise.shape[1]

        def multiply(part, out):
            np.matmul(noise.T, self.matrix[:, part], out=out[:n])
            np.matmul(lead.T, self.matrix[:, part], out=out[n:])

        return multiply


class ColumnsOfRows(NoiseColumns):
    """All columns of a dense design, of which there is no copy.

    Parameters
    ----------
    design : DenseDesign
        The columns.
    """

    def __init__(self, design):
        self.design, self.rows = design, np.flatnonzero(design.sqrt_weights)
        apart = design.sqrt_weights[self.rows, None][:, : int(design.fit_intercept)]
        super().__init__(apart.astype(np.float32), design.norms_of_rows())

    @property
    def size(self):
        """Number of entries that are multiplied by each vector of noise."""
        return len(self.rows) * len(self.norms)

    def _width(self):
        return BLOCK_ENTRIES // len(self.rows)

    def _taken(self, places, sizes):
        return self.design.dense(places)[self.rows].astype(np.float32) * sizes

    def _products_with(self, noise, lead):
        roots, n = self.design.sqrt_weights, noise.shape[1]
        vectors = np.zeros((len(roots), 2 * n), dtype=np.float32)
        vectors[self.rows, :n], vectors[self.rows, n:] = noise, lead
        vectors *= roots.astype(np.float32)[:, None]
        return lambda part, out: self.design.single_products(vectors, part, out)


class SparseColumns(NoiseColumns):
    """Columns that are a CSC array up to their parts in directions apart.

    Parameters
    ----------
    matrix : CSC array of shape (length, n_columns)
        The columns, in single precision, up to these parts.
    norms : ndarray of shape (n_columns,)
        Their norms.
    apart : ndarray of shape (length, n_apart)
        Orthonormal directions in which there is no noise.
    parts : ndarray of shape (n_apart, n_columns)
        Parts of ``matrix`` in these directions, which are to be subtracted.
    """

    def __init__(self, matrix, norms, apart, parts):
        super().__init__(apart.astype(np.float32), norms)
        self.matrix, self.parts = matrix, parts.astype(np.float32)

    @property
    def size(self):
        """Number of entries that are multiplied by each vector of noise."""
        return self.matrix.size

    def draw(self, n, rng):
        """Return Gaussian noise, n vectors, of shape (length, n)."""
        noise = rng.standard_normal((self.apart.shape[0], n), dtype=np.float32)
        for a in self.apart.T:  # of many rows, of which there is no copy
            sger(-1.0, noise.T @ a, a, a=noise.T, overwrite_a=True)
        return noise

    def _taken(self, places, sizes):
        return self.matrix[:, places] @ sp.diags_array(sizes, dtype=np.float32)

    def _products_with(self, noise, lead):
        n, rows_of_lead, lead_parts = noise.shape[1], lead.tocsr(), self.apart.T @ lead

        def multiply(part, out):
            block = self.matrix[:, part].T
            out[:n] = (block @ noise).T
            out[n:] = (block @ rows_of_lead).toarray().T
            out[n:] -= lead_parts.T @ self.parts[:, part]

        return multiply


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
    columns : DenseColumns
        The factor, which depends on the products alone: of Cholesky, or the symmetric
        root if there are more columns than dimensions.
    """
    p, norms = len(products), np.sqrt(products.diagonal())
    if p <= freedom:
        raised = products.copy()
        raised.flat[:: p + 1] += JITTER * products.diagonal().max()
        return DenseColumns(np.linalg.cholesky(raised).T, norms)
    values, vectors = np.linalg.eigh(products)
    seen = values > RANGE * values[-1]
    root = vectors[:, seen] * np.sqrt(values[seen]) @ vectors[:, seen].T
    return DenseColumns(root, norms, vectors[:, ~seen])


def _columns_of_entries(design, features):
    """Return sparse columns themselves, in rows that differ.

    Rows without entries are merged into one, which weighs as much.
    """
    root, (entries, centers) = design.sqrt_weights, _single_entries(design, features)
    stored = np.zeros(len(root), dtype=bool)
    stored[entries[1]] = True
    stored &= root > 0
    places = np.maximum(np.cumsum(stored) - 1, 0).astype(np.int32)
    for start in range(0, len(entries[1]), AT_ONCE):  # those without weight are zero
        part = slice(start, start + AT_ONCE)
        entries[1][part] = places[entries[1][part]]
    apart, left = root[stored], np.linalg.norm(root[~stored])
    if design.fit_intercept and left > 0:
        apart = np.append(apart, left)
    matrix = sp.csc_array(entries, shape=(len(apart), len(features)))
    apart = apart[:, None][:, : int(design.fit_intercept)]
    parts = centers[None][: int(design.fit_intercept)]
    return SparseColumns(matrix, design.norms_of(features), apart, parts)


def _single_entries(design, features):
    """Return entries of sparse columns in single precision, and their means."""
    bounds = np.append(0, np.cumsum(np.diff(design.X.indptr)[features]))
    bounds = bounds.astype(design.X.indptr.dtype)
    data = np.empty(bounds[-1], dtype=np.float32)
    indices = np.empty(bounds[-1], dtype=design.X.indices.dtype)
    centers = np.empty(len(features), dtype=np.float32)
    for start in range(0, len(features), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        block, centers[part] = design.columns(features[part])
        at = slice(*bounds[[start, min(part.stop, len(features))]])
        data[at], indices[at] = block.data, block.indices
    return (data, indices, bounds), centers


def _sketched_columns(design, features, rng):
    """Return a count sketch of the columns, with their norms."""
    n, p = design.shape[0], len(features)
    places, signs = rng.integers(0, BUCKETS, n), rng.choice(np.array([-1.0, 1.0]), n)
    matrix, norms = design.sketch(features, places, signs, BUCKETS)
    sizes = np.sqrt(np.einsum("ij,ij->j", matrix, matrix))
    scale = np.divide(norms, sizes, out=np.zeros(p), where=sizes > 0)
    matrix *= scale.astype(np.float32)
    return DenseColumns(matrix, norms)


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
    if design.height(features) >= SHORTER * BUCKETS:
        return _sketched_columns(design, features, rng)
    if sp.issparse(design.X):
        return _columns_of_entries(design, features)
    return ColumnsOfRows(design)
