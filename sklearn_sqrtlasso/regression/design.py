"""Designs of a regression: centred, weighted and scaled without a copy."""

from abc import abstractmethod

import numpy as np

from sklearn_sqrtlasso.algorithms.count_sketch import add_signed_rows
from sklearn_sqrtlasso.algorithms.products import center
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
from sklearn_sqrtlasso.regression.mostly_equal import MostlyEqual
from sklearn_sqrtlasso.regression.row_path import follow_row_path

WIDTH = 1024  # columns that are added to a sketch at a time, in any memory order
SMALL = 2**16  # entries of columns on which a path is faster than working sets
WIDE = 700  # columns; the square of more would be kept in large pages of memory
SINGLE = 2.0**64  # of units that numbers in single precision are multiplied by
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
    live : ndarray of shape (n_features,)
        Booleans: columns that are not constant.
    norms : ndarray of shape (n_features,)
        Norms of the columns; 0 for those that are constant, which are zero. Others of
        dense X are estimated from some rows until ``measure_exactly`` is called.
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
            exponents, doubtful = self._estimate(base, exactly)
            if len(doubtful):
                own, kept = self._measure_apart(doubtful, base, shift)
                exponents[doubtful] = own.exponents
                self.live[doubtful] = own.norms > 0
            exponents = shared_exponents(exponents, self.live)
            self._set_units(exponents, base, shift)
            if len(doubtful):
                self._keep(doubtful, own.in_units(exponents[doubtful]), kept)
        self._is_exact = exactly

    def measure_exactly(self):
        """Measure all columns, unless their norms are exact; return the design."""
        if not self._is_exact:
            self._measure(exactly=True)
        return self

    def _estimate(self, base, exactly):
        """Return exponents of columns, and the features that are in doubt.

        These are all features if norms are to be exact.
        """
        exponents, doubtful = np.zeros(self.shape[1], dtype=np.int16), []
        self.live = np.zeros(self.shape[1], dtype=bool)
        for part in self.slices():
            means, norms = self._estimates(part, exactly)
            sure = (norms < IN_REACH) & (norms * self._far >= np.abs(means))
            sure &= (norms > 1 / IN_REACH) & (not exactly)
            exponents[part] = np.where(sure, np.frexp(norms)[1] + base, 0)
            self.live[part] = sure
            unsure = np.flatnonzero(~sure & self._is_stored(part))
            doubtful.append(part.start + unsure)
        return exponents, np.concatenate(doubtful)

    def _measure_apart(self, features, base, shift):
        """Return sizes of columns, and those of them that are kept.

        The latter are centred and scaled, and given as ``(places, block)``.
        """
        parts, blocks, kept = [], [], []
        most, reach = max(1, BLOCK_ENTRIES // self.shape[0]), np.log2(IN_REACH)
        for start in range(0, len(features), most):
            raw = self._raw(self._given, features[start : start + most])
            block, own = measure(raw, self._weights, self.fit_intercept)
            own = own._replace(exponents=own.exponents - shift)
            keep = np.abs(own.exponents - base) > reach
            keep = (keep | (np.abs(own.means) > self._far * own.norms)) & (
                own.norms > 0
            )
            parts.append(own)
            blocks.append(block[:, keep])
            kept.append(start + np.flatnonzero(keep))
        own = Sizes(*map(np.concatenate, zip(*parts, strict=True)))
        return own, (np.concatenate(kept), np.hstack(blocks))

    @property
    def shape(self):
        """Number of samples and of features."""
        return self.X.shape

    @property
    def rank(self):
        """Upper bound of the rank of the columns."""
        return max(np.count_nonzero(self.sqrt_weights) - self.fit_intercept, 1)

    @property
    def is_small(self):
        """Whether a path on all columns is faster than working sets."""
        n, p = self.shape
        return n * p <= SMALL and p <= WIDE

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

    def solve(self, y, alphas, options):
        """Return fits of a target for the first penalties, by a path on all columns."""
        if not self.is_small:
            return [], []
        return follow_row_path(self, self.target(y), alphas, options)

    def lost_gap(self, fit, target, alpha, positive):
        """Return by how much an intercept raises the gap, rounded to its digits.

        Offsets of columns are large numbers whose differences it is.
        """
        offset = np.abs(self.means_of(fit.features)) @ np.abs(fit.values)
        error = EPS * (abs(target.mean) + offset)
        size = target.norm
        return (np.hypot(fit.sigma, error) - fit.sigma) / size if size > 0 else 0.0

    def _weighted(self, r):
        """Return what uncentred columns of X are multiplied by, to correlate with r.

        To centre r is to centre the columns.
        """
        r = self.sqrt_weights * r
        if self.fit_intercept:
            r -= self._weights * r.sum()
        return r

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
    def _estimates(self, part, exactly):
        """Return means and norms of columns in units of ``unit``, where these are easy.

        A norm may be 0 in doubt, or if all of them are to be exact.
        """

    @abstractmethod
    def _is_stored(self, part):
        """Return whether any entry of a column may differ from zero."""

    @staticmethod
    @abstractmethod
    def _raw(X, features):
        """Return some columns of X in a new array in double precision."""

    @abstractmethod
    def _set_units(self, exponents, base, shift):
        """Set exponents of columns of X, those of given ones, and what follows.

        The columns were measured in units of ``base``; those of X are shifted.
        """

    @abstractmethod
    def _keep(self, features, own, kept):
        """Keep columns that were measured apart; their exponents are in given units."""

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

    def _estimates(self, part, exactly):
        self.means = self.norms = np.zeros(self.shape[1])
        if self.fit_intercept:
            self.means = self._products(self._weights)
        if not exactly:
            given = self._weights, self.fit_intercept, self.unit
            self.norms = norms_of_sample(self.X, *given)
        return self.means, self.norms

    def _is_stored(self, part):
        return True

    @property
    def is_converted(self):
        """Whether rows are converted to double precision whenever they are read."""
        return not isinstance(self.X, np.ndarray) or self.X.dtype != np.float64

    @staticmethod
    def _raw(X, features):
        return X[:, features].astype(np.float64)

    def means_of(self, features):
        """Return weighted means of some columns; 0 without an intercept."""
        return self.means[features]

    def _set_units(self, exponents, base, shift):
        exponents = exponents.astype(np.int32)
        self.exponents = exponents + shift
        self._scale = np.where(self.live, 2.0**-exponents, 0.0)
        self._dead = np.flatnonzero(~self.live)
        self._kept, self._place = (
            np.empty(0, dtype=np.intp),
            MostlyEqual(len(exponents), -1, self._dead[:0], self._dead[:0]),
        )
        self.means, self.norms = (
            np.ldexp(sizes, base - exponents) for sizes in (self.means, self.norms)
        )

    def _keep(self, features, own, kept):
        self.means[features], self.norms[features] = own.means, own.norms
        places, self._block = kept
        self._kept = features[places]
        kept = self._kept, np.arange(len(places))
        self._place = MostlyEqual(self.shape[1], -1, *kept)
        self._block *= 2.0 ** own.exponents[places]

    def correlate(self, r):
        """Return the products of all columns with ``r``, of shape (n_features,)."""
        r = self._weighted(r)
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            c = self._products(r)
            c *= self._scale
            c *= self.unit
        c[self._dead] = 0
        if len(self._kept):
            c[self._kept] = self._block.T @ r
        return c

    def _products(self, r):
        """Return ``X^T r / unit`` in double precision."""
        if not self.is_converted:
            return self.X.T @ (r / self.unit)
        total = np.zeros(self.shape[1])
        for rows, columns in self._parts():
            x = self.X[rows, columns].astype(np.float64)
            total[columns] += x.T @ (r[rows] / self.unit)
            del x  # before the next rows are read
        return total

    def norms_of_rows(self):
        """Return the norms of all columns by all rows, where others are estimates."""
        squares, unit = np.zeros(self.shape[1]), self._scale * self.unit
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            for rows, columns in self._parts():
                x = self.X[rows, columns] * np.float64(1 / self.unit)
                squares[columns] += self._weights[rows] @ np.multiply(x, x, out=x)
                del x  # before the next rows are read
            squares = squares * unit**2 - self.means**2
        squares[self._dead] = 0.0
        norms = np.sqrt(np.maximum(squares, 0.0))
        norms[self._kept] = self.norms[self._kept]
        return norms

    def single_products(self, vectors, part, out):
        """Write products of some columns with vectors that see nothing of means.

        Parameters
        ----------
        vectors : ndarray of shape (n_samples, n_vectors)
            Vectors in single precision, times roots of weights, without a part in the
            weights if there is an intercept.
        part : slice
            The columns, which are not centred unless they are kept.
        out : ndarray of shape (n_vectors, n_columns)
            Overwritten with the products, in single precision.
        """
        block, scale = self.X[:, part], self._scale[part]
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            if (
                scale.max() > SINGLE
                or scale.min(where=scale > 0, initial=1) < 1 / SINGLE
            ):
                block, scale = block * scale, np.float64(1.0)
            np.matmul(vectors.T, np.asarray(block, dtype=np.float32), out=out)
            out *= scale.astype(np.float32)
        if len(self._kept):
            place = self._place[part]
            at = np.flatnonzero(place >= 0)
            out[:, at] = vectors.T @ self._block[:, place[at]]

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
        scale, centers = self._scale[features], self.means[features]
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

    def _parts(self):
        """Yield slices of rows and of columns that are near in memory, of all of X."""
        n, p = self.shape
        if isinstance(self.X, np.ndarray) and self.X.strides[0] < self.X.strides[1]:
            width = max(1, BLOCK_ENTRIES // n)
            for start in range(0, p, width):
                yield slice(None), slice(start, start + width)
        else:
            for rows in self.spans(p):
                yield rows, slice(None)

    def part(self, rows, features):
        """Return some rows of the columns of some features, in double precision."""
        features = _as_slice(features)
        own = not isinstance(features, slice)  # else it may be a view of X
        block = self.X[rows, features]
        block = (np.asarray if own else np.array)(block, dtype=np.float64, order="F")
        roots = self.sqrt_weights[rows]
        center(block.T, self._scale[features], self.means[features], roots)
        if len(self._dead):
            block[:, self.norms[features] == 0] = 0
        if len(self._kept):
            place = self._place[features]
            on = place >= 0
            block[:, on] = self._block[rows, place[on]] * roots[:, None]
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
