"""Designs of a regression: centred, weighted and scaled without a copy."""

from abc import abstractmethod

import numpy as np
import scipy.sparse as sp
from scipy.linalg.blas import daxpy

from sklearn_sqrtlasso.algorithms.count_sketch import add_signed_rows
from sklearn_sqrtlasso.regression.column_sizes import (
    BLOCK_ENTRIES,
    FAR,
    IN_REACH,
    Sizes,
    measure,
    norms_of_sample,
    typical_exponent,
)
from sklearn_sqrtlasso.regression.columns import Columns, Target, shared_exponents

WIDTH = 4096  # columns that are added to a sketch at a time
SAFE = 500  # largest power of two in the typical entry for which X is not copied
EPS = np.finfo(np.float64).eps
TINY = 64 * EPS  # a centred target of this relative size is zero


class Design(Columns):
    r"""Columns :math:`\sqrt{v} \circ (x_j - m_j) / u_j`, computed on demand.

    With weights v that sum to 1, the inner products of these columns are weighted means
    of products of centred features. The units :math:`u_j` are powers of two. Columns
    whose norm is within a factor of about 64 of the median have one unit; others have
    their own, so that no column is large or small in comparison with the others.

    Columns with large offsets, or of extreme size, are centred and scaled once and kept
    (``_keep``); all others are so implicitly.

    Parameters
    ----------
    X : ndarray or CSC matrix of shape (n_samples, n_features)
        The features.
    weights : ndarray of shape (n_samples,)
        Weights v, nonnegative, of sum 1.
    fit_intercept : bool
        Whether columns are centred at their weighted means.

    Attributes
    ----------
    dtype : dtype
        That of X.
    exponents : ndarray of shape (n_features,)
        Logarithms to base 2 of the units, which may be out of the range of numbers.
    means : ndarray of shape (n_features,)
        Weighted means in these units; 0 without an intercept.
    norms : ndarray of shape (n_features,)
        Norms of the columns; 0 for those that are constant, which are zero. Others are
        estimated from some rows until ``measure_exactly`` is called.
    loadings : ndarray of shape (n_features,)
        Penalties of coefficients, as multiples of the penalty; 1 until ``load``.
    """

    def __init__(self, X, weights, fit_intercept):
        self.load(1.0)
        self.sqrt_weights, self.fit_intercept = np.sqrt(weights), fit_intercept
        self.dtype, self._given, self._weights = X.dtype, X, weights
        self._measure(exactly=False)

    def _measure(self, exactly):
        """Measure all columns: exactly, or where an estimate leaves no doubt, by it."""
        X, shift = self._given, 0
        base = typical_exponent(self._entries(X))
        with np.errstate(all="ignore"):
            if abs(base) > SAFE:
                X, shift, base = self._shifted(X, -base), base, 0
            self.X, self.unit = X, 2.0**base  # of products
            sizes, kept = self._sizes(base, shift, exactly)
            live = sizes.norms > 0
            self.exponents = shared_exponents(sizes.exponents, live)
            more = sizes.exponents - self.exponents
            self.means = np.ldexp(sizes.means, more)
            self.norms = np.ldexp(sizes.norms, more)  # 0 whatever the power
            self._scale = np.where(live, 2.0**-self.exponents, 0.0)
            self._centers = self.means  # zero for columns that are constant
            self._keep(kept, more)
        self._dead = ~live
        self.exponents += shift
        self._is_exact = exactly

    def measure_exactly(self):
        """Measure all columns, unless their norms are exact; return the design."""
        if not self._is_exact:
            self._measure(exactly=True)
        return self

    def _sizes(self, base, shift, exactly):
        """Return sizes of columns, and those that are kept, centred and scaled."""
        means = np.zeros(self.shape[1])
        if self.fit_intercept:
            means = self._products(self._weights)
        norms = means if exactly else self._estimated_norms(means)
        sure = (norms < IN_REACH) & (norms * self._far >= np.abs(means))
        sure &= (norms > 1 / IN_REACH) & (not exactly)
        exponents = np.where(sure, np.frexp(norms)[1], 0)
        factors = np.where(sure, 2.0**-exponents, 0.0)
        sizes = Sizes(exponents + base, means * factors, norms * factors)
        doubtful = np.flatnonzero(~sure & self._is_stored())
        blocks, kept = [], [np.empty(0, dtype=np.intp)]
        most, reach = max(1, BLOCK_ENTRIES // self.shape[0]), np.log2(IN_REACH)
        for start in range(0, len(doubtful), most):
            part = doubtful[start : start + most]
            raw = self._raw(self._given, part)
            block, own = measure(raw, self._weights, self.fit_intercept)
            own = own._replace(exponents=own.exponents - shift)
            for whole, of_part in zip(sizes, own, strict=True):
                whole[part] = of_part
            keep = np.abs(own.exponents - base) > reach
            keep = (keep | (np.abs(own.means) > self._far * own.norms)) & (
                own.norms > 0
            )
            blocks.append(block[:, keep])
            kept.append(part[keep])
        return sizes, (np.concatenate(kept), np.hstack(blocks) if blocks else None)

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
        mean = 0.0
        for _ in range(2 if self.fit_intercept else 0):  # the second is a rounding
            left = float(self.sqrt_weights**2 @ y)
            y, mean = y - left, mean + left
        return self.sqrt_weights * y, mean

    def target(self, y):
        """Return a target like the columns, zero if it is constant."""
        exponent = int(np.frexp(np.abs(y).max(initial=0.0))[1])
        whole = np.ldexp(y, -exponent)
        y, mean = self.centered(whole)
        if np.linalg.norm(y) <= TINY * np.linalg.norm(self.sqrt_weights * whole):
            y = np.zeros_like(y)
        return Target(y, exponent, mean)

    def lost_gap(self, fit, target, alpha, positive):
        """Return by how much an intercept raises the gap, rounded to its digits.

        Offsets of columns are large numbers whose differences it is.
        """
        on = np.flatnonzero(fit.coef)
        offset = np.abs(self.means[on]) @ np.abs(fit.coef[on])
        error = EPS * (abs(target.mean) + offset)
        size = target.norm
        return (np.hypot(fit.sigma, error) - fit.sigma) / size if size > 0 else 0.0

    def correlate(self, r):
        """Return the products of all columns with ``r``, of shape (n_features,)."""
        r = self.sqrt_weights * r
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            c = self._products(r)
            c *= self._scale
            c *= self.unit
            if self.fit_intercept:
                c = daxpy(self._centers, c, a=-r.sum())  # in place
        c[self._dead] = 0
        return self._correlate_kept(c, r)

    def _correlate_kept(self, c, r):
        """Overwrite products of the columns that are kept; return the products."""
        return c

    @property
    @abstractmethod
    def _far(self):
        """Ratio of mean and spread from which a column is kept."""

    @staticmethod
    @abstractmethod
    def _entries(X):
        """Return the stored entries as a matrix."""

    @staticmethod
    @abstractmethod
    def _shifted(X, exponent):
        """Return a copy of X times a power of two."""

    @abstractmethod
    def _is_stored(self):
        """Return whether any entry of a column may differ from zero."""

    @abstractmethod
    def _estimated_norms(self, means):
        """Return norms about right, or 0 in doubt; all are in units of ``unit``."""

    @staticmethod
    @abstractmethod
    def _raw(X, features):
        """Return some columns of X in a new array in double precision."""

    @abstractmethod
    def _keep(self, kept, more):
        """Keep columns that were centred and scaled; ``more`` is what units grew by."""

    @abstractmethod
    def _products(self, r):
        """Return ``X^T r / unit`` in double precision."""

    @abstractmethod
    def dense(self, features):
        """Return the columns of some features as an array."""

    @abstractmethod
    def sketch(self, features, places, signs, n_buckets):
        """Return signed sums of rows in single precision, and norms of columns.

        Parameters
        ----------
        features : ndarray of shape (n_columns,)
            Some of the features.
        places : ndarray of shape (n_samples,)
            The bucket of each row.
        signs : ndarray of shape (n_samples,)
            The sign with which it is added, one or minus one.
        n_buckets : int
            Number of buckets.

        Returns
        -------
        sketch : ndarray of shape (n_buckets, n_columns)
            The sums.
        norms : ndarray of shape (n_columns,)
            Norms of the columns.
        """

    @abstractmethod
    def height(self, features):
        """Return the mean number of stored entries of some features."""


def _as_slice(features):
    """Return indices as a slice if they are consecutive: X is then not copied."""
    if isinstance(features, slice) or len(features) == 0:
        return features
    first, last = features[0], features[-1]
    if last - first + 1 == len(features) and np.all(np.diff(features) == 1):
        return slice(first, last + 1)
    return features


class AllColumns:
    """All columns of a design, of which no more than a few rows are ever in memory."""

    def __init__(self, design):
        self.design = design

    def __iter__(self):
        """Yield blocks of rows, in double precision."""
        for rows in self.design.spans(self.design.shape[1]):
            yield self.design.part(rows, slice(None))


class DenseDesign(Design):
    """A design whose features are an array of any memory order.

    They are in double precision; or in single precision, or integers, of which few rows
    are converted at a time.
    """

    _far = FAR["dense"]

    @staticmethod
    def _entries(X):
        return X

    @staticmethod
    def _shifted(X, exponent):
        return np.ldexp(X, exponent)

    def _is_stored(self):
        return np.ones(self.shape[1], dtype=bool)

    @property
    def is_converted(self):
        """Whether rows are converted to double precision whenever they are read."""
        return not isinstance(self.X, np.ndarray) or self.X.dtype != np.float64

    def _estimated_norms(self, means):
        return norms_of_sample(self.X, self._weights, self.fit_intercept, self.unit)

    @staticmethod
    def _raw(X, features):
        return X[:, features].astype(np.float64)

    def _keep(self, kept, more):
        features, block = kept
        self._kept, self._place = features, np.full(self.shape[1], -1)
        self._block = block
        if len(features):
            self._place[features] = np.arange(len(features))
            self._block *= 2.0 ** more[features]

    def _correlate_kept(self, c, r):
        if len(self._kept):
            c[self._kept] = self._block.T @ r
        return c

    def _products(self, r):
        if not self.is_converted:
            return self.X.T @ (r / self.unit)
        total = np.zeros(self.shape[1])
        for rows in self.spans(self.shape[1]):
            x = self.X[rows].astype(np.float64, copy=False)
            total += x.T @ (r[rows] / self.unit)
        return total

    def are_equal(self, one, other):
        """Return which pairs of columns are equal."""
        X, pairs = self._given, zip(one, other, strict=True)
        equal = [np.array_equal(X[:, i], X[:, j]) for i, j in pairs]
        return np.array(equal, dtype=bool)

    def columns(self, features):
        """Return the columns of some features, a block for the methods below."""
        features = np.asarray(features)
        whole = np.array_equal(features, np.arange(self.shape[1]))
        if whole and self.is_converted:
            return AllColumns(self)
        return self.dense(features)

    def products(self, features):
        """Return the products of the columns of some features, a few rows at a time."""
        total = np.zeros((len(features), len(features)))
        for rows in self.spans(len(features)):
            part = self.part(rows, features)
            total += part.T @ part
        return total

    def dense(self, features):
        """Return the columns of some features as an array."""
        return self.part(slice(None), features)

    def height(self, features):
        """Return the mean number of stored entries of some features."""
        return self.shape[0]

    def sketch(self, features, places, signs, n_buckets):
        """Return signed sums of rows in single precision, and norms of columns."""
        p, roots = len(features), signs * self.sqrt_weights
        sums, squares = np.zeros((n_buckets, p), dtype=np.float32), np.zeros(p)
        scale, centers = self._scale[features], self._centers[features]
        kept = np.flatnonzero(self._place[features] >= 0)
        scale[kept] = centers[kept] = 0.0
        for start in range(0, p, WIDTH):
            part = slice(start, start + WIDTH)
            columns = _as_slice(features[part])
            for rows in self.spans(min(p, WIDTH)):
                block = self.X[rows, columns]
                add_signed_rows(
                    np.ascontiguousarray(block), roots[rows], places[rows],
                    scale[part], centers[part], sums[:, part], squares[part],
                )  # fmt: skip
        for j in kept:
            column = signs * self.dense(features[[j]])[:, 0]
            sums[:, j] = np.bincount(places, column, minlength=n_buckets)
            squares[j] = column @ column
        return sums, np.sqrt(squares)

    def spans(self, width):
        """Yield slices of few rows of some width, which cover all of them."""
        n, length = self.shape[0], max(1, BLOCK_ENTRIES // width)
        return (slice(start, start + length) for start in range(0, n, length))

    def part(self, rows, features):
        """Return some rows of the columns of some features, in double precision."""
        features = _as_slice(features)
        own = not isinstance(features, slice)  # else it may be a view of X
        block = self.X[rows, features]
        block = (np.asarray if own else np.array)(block, dtype=np.float64, order="F")
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            block *= self._scale[features]
            if self.fit_intercept:
                block -= self._centers[features]
        if self._dead.any():
            block[:, self.norms[features] == 0] = 0
        if len(self._kept):
            place = self._place[features]
            block[:, place >= 0] = self._block[rows, place[place >= 0]]
        block *= self.sqrt_weights[rows, None]
        return block

    def join(self, blocks):
        """Return blocks of columns side by side."""
        return np.concatenate([block.T for block in blocks]).T

    def gram(self, left, right):
        """Return the products of two blocks of columns."""
        if isinstance(left, AllColumns):
            return sum(part.T @ part for part in left)
        return left.T @ right

    def apply(self, block, w):
        """Return the sum of the columns of a block, weighted by ``w``."""
        if isinstance(block, AllColumns):
            return np.concatenate([part @ w for part in block])
        return block @ w


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

    def _measure(self, exactly):
        super()._measure(exactly)
        with np.errstate(over="ignore", under="ignore"):
            single = self._scale.astype(np.float32)
        if np.array_equal(single, self._scale):  # powers of two: as exact
            self._scale = single

    @staticmethod
    def _entries(X):
        return X.data[None]

    @staticmethod
    def _shifted(X, exponent):
        parts = (np.ldexp(X.data, exponent), X.indices, X.indptr)
        return sp.csc_array(parts, shape=X.shape)

    def _is_stored(self):
        return np.diff(self.X.indptr) > 0

    def _estimated_norms(self, means):
        squares = (self.X.data / self.unit).astype(np.float64) ** 2
        parts = (squares, self.X.indices, self.X.indptr)
        energies = sp.csc_array(parts, shape=self.shape).T @ self._weights
        return np.sqrt(np.maximum(energies - means**2, 0.0))

    @staticmethod
    def _raw(X, features):
        return X[:, features].astype(np.float64).toarray()

    def _keep(self, kept, more):
        features, block = kept
        if not len(features):
            return
        others = np.setdiff1d(np.arange(self.shape[1]), features)
        block *= 2.0 ** more[features] * self.unit
        parts = [self.X[:, others].astype(np.float64), sp.csc_array(block)]
        order = np.argsort(np.concatenate([others, features]))
        self.X = sp.csc_array(sp.hstack(parts, format="csc")[:, order])
        self._centers = self.means.copy()
        self._scale[features], self._centers[features] = 1 / self.unit, 0.0

    def _products(self, r):
        return np.asarray(self.X.T @ (r / self.unit), dtype=np.float64)

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
        with np.errstate(under="ignore"):
            block.data *= self.sqrt_weights[block.indices] * scale
        return sp.csc_array(block), self._centers[features]

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
        return sums, self.norms[features]

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


def design_of(X, weights, fit_intercept):
    """Return the design of dense or sparse features, with its units of scaling."""
    kind = SparseDesign if sp.issparse(X) else DenseDesign
    return kind(X, weights, fit_intercept)
