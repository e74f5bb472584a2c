r"""A design and its targets by their moments alone, in as many rows as columns.

Regressions depend on the products of columns and targets alone. Hence rows may be
replaced by those of a triangular factor, ``R'R = X'X``, with targets that have the
same products with its columns, and the same norms, by one more row. What moments have
lost is found afterwards: the gap of a fit is bounded from the moments themselves.
"""

from functools import cached_property

import numpy as np
from scipy.linalg.lapack import dpotrf, dpstrf, dtrtrs

from sklearn_sqrtlasso.algorithms.active_set import DEPENDENT
from sklearn_sqrtlasso.algorithms.moment_gaps import LOST
from sklearn_sqrtlasso.regression.columns import Columns, Target, shared_exponents
from sklearn_sqrtlasso.regression.fit import fit_of, in_given_units
from sklearn_sqrtlasso.regression.given_products import moments_with
from sklearn_sqrtlasso.regression.moment_path import count_exact, follow_products
from sklearn_sqrtlasso.regression.moments import gaps_of_moments

SHORT = 256  # columns up to which a path of breakpoints is followed, too


def _factor(G, b):
    """Return a factor of a Gram matrix, and of products of its columns with others.

    Parameters
    ----------
    G : ndarray of shape (n_features, n_features)
        Products of columns, which may be dependent, of norms one or zero.
    b : ndarray of shape (n_features, n_targets)
        Their products with targets of norms one.

    Returns
    -------
    R : ndarray of shape (n_features + 1, n_features)
        Columns of these products; rows from the rank on are zero.
    h : ndarray of shape (n_features + 1, n_targets)
        Targets of these products and norms.
    rank : int
        The rank of G.
    """
    p = len(G)
    upper, _ = dpotrf(G)
    places, rank = np.arange(p), p
    if not np.all(upper.diagonal() ** 2 > DEPENDENT):
        upper, places, rank, _ = dpstrf(G)
        places, upper = places - 1, np.triu(upper)
    R, h = np.zeros((p + 1, p)), np.zeros((p + 1, b.shape[1]))
    R[:rank, places] = upper[:rank]
    if rank:  # not all columns are constant
        h[:rank] = dtrtrs(upper[:rank, :rank], b[places[:rank]], trans=1)[0]
    left = 1.0 - (h**2).sum(axis=0)
    h[p] = np.sqrt(np.where(left > LOST, left, 0.0))
    return R, h, rank


class MomentDesign(Columns):
    """Columns and targets of given moments; a target is given by its number.

    Parameters
    ----------
    moments : Moments
        Moments of features and targets, which keep their digits.
    n_targets : int
        Number of targets, the last columns.
    fit_intercept : bool
        Whether columns are centred.
    dtype : dtype
        That of the features.
    unit : int or ndarray of shape (n_targets,), default=0
        Logarithms to base 2 of the units of the targets.
    """

    has_rows = False

    def __init__(self, moments, n_targets, fit_intercept, dtype, unit=0):
        self.dtype, self.fit_intercept = np.dtype(dtype), fit_intercept
        p = len(moments.mean) - n_targets
        self._G, self._b, sizes = moments.cosines(fit_intercept, n_targets)
        live = sizes > 0
        self.live = live[:p]
        exponents = np.frexp(sizes)[1]
        exponents[:p] = shared_exponents(exponents[:p], live[:p])
        self.exponents, self._target_exponents = exponents[:p], exponents[p:] + unit
        norms, means = np.ldexp(sizes, -exponents), np.ldexp(moments.mean, -exponents)
        self.norms, self._target_norms = norms[:p], norms[p:]
        means *= fit_intercept * live
        self.means, self._target_means = means[:p], means[p:]
        self.rank = max(moments.n_rows - fit_intercept, 1)
        self.shape = p + 1, p  # rows of the factor, and features
        self.load(1.0)

    @cached_property
    def _factored(self):
        R, h, rank = _factor(self._G, self._b)
        R *= self.norms
        return R, h, rank

    @property
    def X(self):
        """Columns of the same products, in rows; a target is more than they span."""
        return self._factored[0]

    @property
    def factor(self):
        """Columns of the same products, in as many rows as their rank."""
        return self.X[: self._factored[2]]

    def target(self, y):
        """Return a target by its number."""
        vector = self._factored[1][:, y] * self._target_norms[y]
        return Target(vector, int(self._target_exponents[y]), self._target_means[y], y)

    def alpha_max(self, y, positive):
        """Return the smallest penalty of zeros for a target, in units of X."""
        c = self._b[:, y] * self.norms
        return self.largest_in_units_of_x(np.maximum(c, 0.0) if positive else abs(c))

    def lost_gap(self, fit, target, alpha, positive):
        """Return by how much the gap from moments is larger than that of the factor."""
        w, b = fit.coef * self.norms, self._b[:, target.place]
        w /= self._target_norms[target.place]
        b, c, penalties = (
            np.ascontiguousarray(b),
            b - self._G @ w,
            self._unit_penalties(),
        )
        alphas = np.array([alpha])
        gaps, *_ = gaps_of_moments(w[None], b, c[None], alphas, penalties, positive)
        return max(float(gaps[0]) - fit.gap, 0.0)

    def _unit_penalties(self):
        """Return a penalty of one for columns of norm one."""
        live = self.norms > 0
        ones = np.ones_like(self.norms)
        return np.divide(self.penalties(1.0), self.norms, out=ones, where=live)

    def solve(self, y, alphas, options):
        """Return fits of a target, and intercepts, by a path on the products.

        There are none where the path has many steps, or too many digits are lost.
        """
        b, p = np.ascontiguousarray(self._b[:, y]), len(self._b)
        most = 10 * p + 100 if p <= SHORT else p
        if np.min(alphas) <= 0:
            return [], []
        given = self._G, b, self._unit_penalties(), alphas, options.positive
        w, gaps, _, squares, lost = follow_products(*given, most)
        if count_exact(gaps, squares, lost[None], options.tol) < len(alphas):
            return [], []
        size, exponent = self._target_norms[y], int(self._target_exponents[y])
        coef = np.divide(w * size, self.norms, out=0.0 * w, where=self.norms > 0)
        sigmas, centre = size * np.sqrt(squares), self._target_means[y]
        fits = [
            in_given_units(self, fit_of(*fit, 1), exponent, size)
            for fit in zip(coef, sigmas, gaps, strict=True)
        ]
        return fits, np.ldexp(centre - coef @ self.means, exponent)

    def means_of(self, features):
        """Return weighted means of some columns; 0 without an intercept."""
        return self.means[features]

    def correlate(self, r):
        """Return the products of all columns with ``r``, of shape (n_features,)."""
        return self.X.T @ r

    @property
    def cosines(self):
        """Products of the columns divided by their norms, or zero."""
        return self._G

    def products(self, features):
        """Return the products of the columns of some features."""
        norms = self.norms[features]
        return self._G[np.ix_(features, features)] * norms * norms[:, None]

    def columns(self, features):
        """Return the columns of some features, a block for the methods below."""
        return self.X[:, features]

    def join(self, blocks):
        """Return blocks of columns side by side."""
        return np.hstack(blocks)

    def gram(self, left, right):
        """Return the products of two blocks of columns."""
        return left.T @ right

    def apply(self, block, w):
        """Return the sum of the columns of a block, weighted by ``w``."""
        return block @ w


def moment_design_of(X, targets, weights, fit_intercept, given=None):
    """Return the design of rows by their moments, which are gathered in one pass.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Features.
    targets : ndarray of shape (n_targets, n_samples)
        Targets, of any finite size.
    weights : ndarray of shape (n_samples,)
        Weights, positive.
    fit_intercept : bool
        Whether columns are centred.
    given : GivenProducts, default=None
        Products of the features, if they are known.

    Returns
    -------
    design : MomentDesign or None
        None where products of the numbers have too few digits.
    """
    unit = np.frexp(np.abs(targets).max(axis=1))[1]
    y = np.ldexp(targets.T, -unit)
    moments = moments_with(X, y, weights, given, fit_intercept)
    if not moments.keep_digits(len(targets)):
        return None
    return MomentDesign(moments, len(targets), fit_intercept, X.dtype, unit)
