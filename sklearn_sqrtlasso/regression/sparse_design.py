"""Designs of a sparse regression, which take little memory beside the entries."""

from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.algorithms.sparse_columns import (
    correlate_columns,
    measure_columns,
)
from sklearn_sqrtlasso.regression.column_sizes import FAR
from sklearn_sqrtlasso.regression.design import Design
from sklearn_sqrtlasso.regression.mostly_equal import MostlyEqual, mostly_equal

AT_ONCE = 2**16  # entries and columns that are measured at a time: they are few


class ProductsOnDemand:
    """Products of sparse columns with a vector, computed whenever they are read.

    Parameters
    ----------
    design : SparseDesign
        The columns.
    r : ndarray of shape (n_samples,)
        The vector, centred and weighted like the columns.
    """

    def __init__(self, design, r):
        self.design, self.r = design, r

    def __getitem__(self, features):
        """Return the products of some features, or those of all of them for ``[:]``."""
        if isinstance(features, slice):
            return self.design.correlate(self.r)[features]
        return self.design.correlate_some(self.r, features)


class PenaltiesOnDemand:
    """Penalties of sparse columns with loadings, computed whenever they are read.

    Parameters
    ----------
    design : SparseDesign
        The columns.
    alpha : float
        The penalty, in units of X over loadings.
    """

    def __init__(self, design, alpha):
        self.design, self.alpha = design, alpha

    def __getitem__(self, features):
        """Return the penalties of some columns, in units of these."""
        return self.design.penalties_of(features, self.alpha)

    def min(self):
        """Return the smallest penalty."""
        return min(self[part].min() for part in self.design.slices())


class SparseDesign(Design):
    """A design whose features are a CSC matrix, centred only implicitly.

    Columns with large offsets have few zeros: they are stored in full, and centred.
    """

    _far = FAR["sparse"]

    def __init__(self, X, weights, fit_intercept):
        if not X.has_canonical_format:  # entries given twice would be squared apart
            X = X.copy()
            X.sum_duplicates()
        super().__init__(sp.csc_array(X), weights, fit_intercept)

    @staticmethod
    def _entries(X):
        return X.data[None]

    @staticmethod
    def _shifted(X, exponent):
        parts = (np.ldexp(X.data, exponent), X.indices, X.indptr)
        return sp.csc_array(parts, shape=X.shape)

    def slices(self):
        """Return slices of columns of few stored entries, on average."""
        p, n_entries = self.shape[1], self.X.nnz
        n_parts = min(-(-(n_entries + p) // AT_ONCE), p)
        edges = [p * part // n_parts for part in range(n_parts + 1)]
        return [slice(*pair) for pair in pairwise(edges)]

    def _entries_of(self, features):
        """Return all entries, and where those of some columns are, for kernels."""
        data, indices, bounds = self.X.data, self.X.indices, self.X.indptr
        if not isinstance(features, slice):
            features = np.asarray(features)
            return data, indices, bounds[features], bounds[features + 1]
        return data, indices, bounds[:-1][features], bounds[1:][features]

    def _estimates(self, part, exactly):
        return self._means_and_norms(part)

    def _means_and_norms(self, features):
        """Return means and norms of columns of X, in units of ``unit``."""
        entries = self._entries_of(features)
        means, norms = np.zeros((2, len(entries[2])))
        written = means if self.fit_intercept else means[:0]
        measure_columns(*entries, self._weights, 1 / self.unit, written, norms)
        return means, norms

    def _is_stored(self, part):
        return np.diff(self.X.indptr[part.start : part.stop + 1]) > 0

    @staticmethod
    def _raw(X, features):
        return X[:, features].astype(np.float64).toarray()

    def measure_exactly(self):
        """Return the design, as norms are those of all rows."""
        return self

    @property
    def exponents(self):
        """Logarithms to base 2 of the units of all columns, a new array."""
        return self._exponents[:]

    def exponents_of(self, features):
        """Return logarithms to base 2 of the units of some columns."""
        return self._exponents[features]

    def penalties_of(self, features, alpha):
        """Return penalties of some columns in their units, whatever the loadings."""
        return self._penalties(alpha, self.exponents_of(features), features)

    def penalties(self, alpha):
        """Return a penalty in units of each column, from 0 to a large number."""
        if np.ndim(self.loadings):
            many = self.shape[1] > AT_ONCE
            return PenaltiesOnDemand(self, alpha) if many else super().penalties(alpha)
        alpha, columns = float(alpha), slice(None)
        return self._exponents.map(lambda of: self._penalties(alpha, of, columns))

    @property
    def norms(self):
        """Norms of all columns, a new array."""
        return np.concatenate([self.norms_of(part) for part in self.slices()])

    def norms_of(self, features):
        """Return the norms of the columns of some features."""
        if not isinstance(features, slice) and len(features) > AT_ONCE:
            parts = np.array_split(features, -(-len(features) // AT_ONCE))
            return np.concatenate([self.norms_of(part) for part in parts])
        return self._scaled(self._means_and_norms(features)[1], features)

    @property
    def means(self):
        """Weighted means of all columns in their units, a new array."""
        return np.concatenate([self.means_of(part) for part in self.slices()])

    def means_of(self, features):
        """Return weighted means of some columns; 0 without an intercept."""
        means = self._scaled(self._means_and_norms(features)[0], features)
        at, of_kept = self._kept_means.find(features)
        means[at] = of_kept
        return means

    def _scaled(self, values, features):
        """Return numbers of columns of X, in units of ``unit``, in their units."""
        scale = self._scale[features]
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            return np.where(scale == 0, 0.0, values * (scale * self.unit))

    def _set_units(self, exponents, base, shift):
        self._exponents = mostly_equal(exponents)
        constant = np.flatnonzero(~self.live & self._is_stored(slice(0, self.shape[1])))
        self._has_constants = len(constant) > 0
        scale = self._exponents.map(lambda units: 2.0**-units)
        self._scale = scale.replaced(constant, 0.0)
        self._exponents = self._exponents.map(lambda units: units + shift)
        self._kept_means = MostlyEqual(self.shape[1], 0.0, constant[:0], np.empty(0))

    def _keep(self, features, own, kept):
        places, block = kept
        kept, means = features[places], own.means[places]
        self._kept_means = MostlyEqual(self.shape[1], 0.0, kept, means)
        if not len(kept):
            return
        others = np.setdiff1d(np.arange(self.shape[1]), kept)
        block *= 2.0 ** own.exponents[places] * self.unit
        parts = [self.X[:, others].astype(np.float64), sp.csc_array(block)]
        order = np.argsort(np.concatenate([others, kept]))
        self.X = sp.csc_array(sp.hstack(parts, format="csc")[:, order])
        self._scale = self._scale.replaced(kept, 1 / self.unit)

    def products_with(self, r, c):
        """Return products that are computed when they are read, if they are many."""
        return c if len(c) <= AT_ONCE else ProductsOnDemand(self, r)

    def correlate(self, r):
        """Return the products of all columns with ``r``, of shape (n_features,)."""
        return self._correlate(self._weighted(r), slice(0, self.shape[1]))

    def correlate_parts(self, r):
        """Yield slices of columns and their products with ``r``."""
        r = self._weighted(r)
        return ((part, self._correlate(r, part)) for part in self.slices())

    def correlate_some(self, r, features):
        """Return the products of the columns of some features with ``r``."""
        return self._correlate(self._weighted(r), features)

    def _weighted(self, r):
        r = super()._weighted(r)
        r /= self.unit
        return r

    def _correlate(self, r, features):
        """Return the products of some columns with what ``_weighted`` returns."""
        entries = self._entries_of(features)
        c = np.empty(len(entries[2]))
        correlate_columns(*entries, r, c)
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            self._scale.scale(c, features)
            c *= self.unit
        return c

    def are_equal(self, one, other):
        """Return which pairs of columns are equal."""
        X = self._given

        def entries(j):
            part = slice(X.indptr[j], X.indptr[j + 1])
            return X.indices[part], X.data[part]

        pairs = [(entries(i), entries(j)) for i, j in zip(one, other, strict=True)]
        return np.array([all(map(np.array_equal, a, b)) for a, b in pairs], dtype=bool)

    def columns(self, features):
        """Return the columns of some features, a block for the methods below."""
        block = self.X[:, features].astype(np.float64)
        scale = np.repeat(self._scale[features], np.diff(block.indptr))
        with np.errstate(invalid="ignore", under="ignore"):
            block.data *= self.sqrt_weights[block.indices]
            block.data *= scale
        if self._has_constants:
            block.data[scale == 0] = 0.0  # whatever their size
        means, bounds = np.zeros(block.shape[1]), block.indptr
        if self.fit_intercept:
            entries = block.data, block.indices, bounds[:-1], bounds[1:]
            correlate_columns(*entries, self.sqrt_weights, means)
        return sp.csc_array(block), means

    def dense(self, features):
        """Return the columns of some features as an array."""
        block, centers = self.columns(features)
        return block.toarray() - np.outer(self.sqrt_weights, centers)

    def sketch(self, features, places, signs, n_buckets):
        """Return signed sums of rows in single precision, and norms of columns."""
        shape = n_buckets, self.shape[0]
        adder = sp.csr_array((signs, (places, np.arange(shape[1]))), shape=shape)
        sums = np.empty((n_buckets, len(features)), dtype=np.float32)
        for start in range(0, len(features), n_buckets):
            part = slice(start, start + n_buckets)
            block, centers = self.columns(features[part])
            shift = np.outer(adder @ self.sqrt_weights, centers)
            sums[:, part] = (adder @ block).toarray() - shift
        return sums, self.norms_of(features)

    def height(self, features):
        """Return the mean number of stored entries of some features."""
        return np.diff(self.X.indptr)[features].sum() / max(len(features), 1)

    def stored_entries(self, block):
        """Return the entries of a block whose zeros are not stored."""
        matrix, means = block
        return matrix.data, matrix.indices, matrix.indptr, means

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
        return matrix @ w - np.multiply.outer(self.sqrt_weights, means @ w)
