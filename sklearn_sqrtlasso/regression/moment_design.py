r"""A design and its targets by their moments alone, in as many rows as columns.

Regressions depend on the products of columns and targets alone. Hence rows may be
replaced by those of a triangular factor, ``R'R = X'X``, with targets that have the
same products with its columns, and the same norms, by one more row. What moments have
lost is found afterwards: the gap of a fit is bounded from the moments themselves.
"""

import numpy as np
from scipy.linalg.lapack import dpotrf, dpstrf, dtrtrs

from sklearn_sqrtlasso.algorithms.active_set import DEPENDENT
from sklearn_sqrtlasso.regression.columns import Columns, Target, shared_exponents
from sklearn_sqrtlasso.regression.given_products import moments_with
from sklearn_sqrtlasso.regression.moments import gaps_of_moments


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
    R : ndarray of shape (rank + 1, n_features)
        Columns of these products.
    h : ndarray of shape (rank + 1, n_targets)
        Targets of these products and norms.
    """
    p = len(G)
    upper, _ = dpotrf(G)
    places, rank = np.arange(p), p
    if not np.all(upper.diagonal() ** 2 > DEPENDENT):
        upper, places, rank, _ = dpstrf(G)
        places, upper = places - 1, np.triu(upper)
    R, h = np.zeros((rank + 1, p)), np.zeros((rank + 1, b.shape[1]))
    R[:rank, places] = upper[:rank]
    if rank:  # not all columns are constant
        h[:rank] = dtrtrs(upper[:rank, :rank], b[places[:rank]], trans=1)[0]
    h[rank] = np.sqrt(np.maximum(1.0 - (h**2).sum(axis=0), 0.0))
    return R, h


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
        products = moments.covariances(fit_intercept)
        sizes = np.sqrt(products.diagonal())
        live = sizes > 0
        scale = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=live)
        exponents = np.frexp(sizes)[1]
        exponents[:p] = shared_exponents(exponents[:p], live[:p])
        self.exponents, self._target_exponents = exponents[:p], exponents[p:] + unit
        norms, means = np.ldexp(sizes, -exponents), np.ldexp(moments.mean, -exponents)
        self.norms, self._target_norms = norms[:p], norms[p:]
        means *= fit_intercept * live
        self.means, self._target_means = means[:p], means[p:]
        unit = np.ldexp(1.0, -exponents[:p])
        self._products = products[:p, :p] * unit * unit[:, None]
        products *= scale * scale[:, None]
        self._G, self._b = products[:p, :p], products[:p, p:]
        self.X, self._targets = _factor(self._G, self._b)
        self.X *= self.norms
        self.rank = max(moments.n_rows - fit_intercept, 1)
        self.load(1.0)

    @property
    def shape(self):
        """Number of rows of the factor, and of features."""
        return self.X.shape

    @property
    def factor(self):
        """Columns of the same products, in as many rows as their rank."""
        return self.X[:-1]

    def target(self, y):
        """Return a target by its number."""
        vector = self._targets[:, y] * self._target_norms[y]
        return Target(vector, int(self._target_exponents[y]), self._target_means[y], y)

    def lost_gap(self, fit, target, alpha, positive):
        """Return by how much the gap from moments is larger than that of the factor."""
        w, b = fit.coef * self.norms, self._b[:, target.place]
        w /= self._target_norms[target.place]
        c, live = b - self._G @ w, self.norms > 0
        alpha = np.divide(
            self.penalties(alpha), self.norms, out=np.ones(len(b)), where=live
        )
        gaps = gaps_of_moments(w[None], b, c[None], alpha[None], positive)
        return max(float(gaps[0]) - fit.gap, 0.0)

    def correlate(self, r):
        """Return the products of all columns with ``r``, of shape (n_features,)."""
        return self.X.T @ r

    def products(self, features):
        """Return the products of the columns of some features."""
        return self._products[np.ix_(features, features)]

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
