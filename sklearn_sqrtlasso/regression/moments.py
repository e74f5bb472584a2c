r"""Moments of rows: what a regression on few columns needs of many rows.

For rows :math:`z = (x, y)` with weights v, the moments are the sum of weights, the
weighted mean, and the sum of products :math:`\sum v (z - m)(z - m)'`. They are gathered
once, a chunk of rows at a time, centred before they are multiplied. Moments of parts
are pooled by ::

    P = P_1 + P_2 + (v_1 v_2 / (v_1 + v_2)) (m_1 - m_2) (m_1 - m_2)' .

Products of numbers have half the digits of the numbers. Hence moments are refused where
offsets are large or scales extreme, and whoever uses them bounds what is lost.
"""

from functools import lru_cache, reduce
from itertools import accumulate, groupby
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.linalg.blas import dtrmm

from sklearn_sqrtlasso.algorithms.moment_gaps import bound_gaps
from sklearn_sqrtlasso.algorithms.products import add_products, scale_products
from sklearn_sqrtlasso.blockwise.blocks import even_parts, parallel_map

TALL = 4  # rows for each column from which given products serve one fit faster
CHUNK_ENTRIES = 2**17  # of rows that are converted at a time
HALVED = 4  # such chunks of half a group: its moments are few numbers beside them
OFFSET = 1e3  # largest mean, over the spread, of a column of products exact enough
SPARSE_OFFSET = 10.0  # the same for columns that are not centred before
SCALES = (1e-60, 1e60)  # of the spread of columns whose products are in range
MANY = 128  # number of columns from which products of few of them are faster
FITS = 25  # of a path that are multiplied at a time
COMBINATIONS = 4  # of columns, of which products are compared instead of all
FEWER = 16  # by which a mean of so many squares may understate an error, in its root
CONSTANT = 256 * np.finfo(np.float64).eps  # relative spread of a constant column


def spreads(squares, mean):
    """Return weighted standard deviations, 0 for columns that are constant.

    Parameters
    ----------
    squares, mean : ndarray of shape (n_columns,)
        Weighted means of squared deviations, and weighted means.

    Returns
    -------
    spread : ndarray of shape (n_columns,)
        The standard deviations.
    """
    with np.errstate(invalid="ignore"):
        spread = np.sqrt(squares)
    return np.where(spread > CONSTANT * np.abs(mean), spread, 0.0)


def are_ordinary(spread, mean):
    """Return which columns are constant, or of ordinary scale and offset.

    Parameters
    ----------
    spread, mean : ndarray of shape (n_columns,)
        Weighted standard deviations, as ``spreads`` returns them, and weighted means.

    Returns
    -------
    ordinary : ndarray of shape (n_columns,)
        Booleans.
    """
    inside = (spread > SCALES[0]) & (spread < SCALES[1])
    near = np.abs(mean) <= OFFSET * spread
    return (inside & near) | ~(spread > 0)


class Moments(NamedTuple):
    """Moments of some rows of features and targets, the targets last.

    Attributes
    ----------
    weight : float
        Sum of the weights of the rows.
    mean : ndarray of shape (n_columns,)
        Weighted means.
    products : ndarray of shape (n_columns, n_columns)
        Weighted sums of products of deviations from the means.
    n_rows : int
        Number of rows of positive weight.
    """

    weight: float
    mean: np.ndarray
    products: np.ndarray
    n_rows: int

    @property
    def squares(self):
        """Weighted means of squared deviations, maybe out of range."""
        with np.errstate(over="ignore"):  # of tiny weights
            return self.products.diagonal() / self.weight

    @property
    def spread(self):
        """Weighted standard deviations, 0 for columns that are constant."""
        return spreads(self.squares, self.mean)

    def cosines(self, centred, n_targets=1):
        """Return products of features, and of them with targets, all of norm one.

        Parameters
        ----------
        centred : bool
            Whether products are about the means; then constant columns are zero.
            Otherwise they are about zero.
        n_targets : int, default=1
            Number of targets, the last columns.

        Returns
        -------
        G : ndarray of shape (n_features, n_features)
            Products of the features.
        b : ndarray of shape (n_features, n_targets)
            Products of features and targets.
        sizes : ndarray of shape (n_columns,)
            Roots of weighted means of squares, by which columns were divided.
        """
        p = len(self.mean) - n_targets
        sizes, means = self.spread, np.zeros_like(self.mean)
        if not centred:
            means = self.mean
            sizes = np.sqrt(self.squares + means**2)
        inverse = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > 0)
        scale, means, G = (
            inverse / np.sqrt(self.weight),
            means * inverse,
            np.empty((p, p)),
        )
        b = self.products[:p, p:] * np.multiply.outer(scale[:p], scale[p:])
        b += np.multiply.outer(means[:p], means[p:])
        scale_products(self.products, scale[:p], means[:p], G)
        return G, b, sizes

    def of_target(self, place, n_targets):
        """Return the moments of the features and one of the targets, the last."""
        p = len(self.mean) - n_targets
        on = np.append(np.arange(p), p + place)
        return self._replace(mean=self.mean[on], products=self.products[np.ix_(on, on)])

    def are_in_range(self):
        """Return whether squares of numbers of all columns are in range."""
        with np.errstate(over="ignore", invalid="ignore"):
            return bool(np.all(self.squares + self.mean**2 < SCALES[1] ** 2))

    def keep_digits(self, n_targets=1):
        """Return whether all columns are of ordinary scale and offset.

        The targets, which are the last columns, must not be constant either. Products
        are finite if squares are.
        """
        if not np.isfinite(self.products.diagonal()).all():
            return False
        spread = self.spread
        live = spread[-n_targets:].all()
        return bool(live and are_ordinary(spread, self.mean).all())


def pooled(parts):
    """Return the moments of the rows of several parts.

    Parameters
    ----------
    parts : iterable of Moments
        Moments of disjoint rows, at least one.

    Returns
    -------
    moments : Moments
        The moments of all of them.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        return reduce(_pool, parts)


def pooled_without_each(parts):
    """Return the moments of all parts but one, for each of them.

    Parameters
    ----------
    parts : list of Moments
        Moments of disjoint rows, at least two.

    Returns
    -------
    moments : list of Moments
        As many as parts, of the rows of the others.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        before = list(accumulate(parts[:-1], _pool))
        after = list(accumulate(parts[:0:-1], _pool))[::-1]
        inner = map(_pool, before[:-1], after[1:])
        return [after[0], *inner, before[-1]]


def _pool(one, two):
    weight = one.weight + two.weight
    apart, share = two.mean - one.mean, two.weight / weight
    mean = one.mean + share * apart
    apart *= np.sqrt(one.weight * share)
    products = np.empty_like(one.products)
    add_products(one.products, two.products, apart, products)
    return Moments(weight, mean, products, one.n_rows + two.n_rows)


def gather(X, y, weights, rows=None):
    """Return the moments of some rows, a few of which are converted at a time.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Features, in memory or mapped, in single or double precision.
    y : ndarray of shape (n_samples,) or (n_samples, n_targets)
        Targets.
    weights : ndarray of shape (n_samples,)
        Weights, nonnegative, not all zero on the rows.
    rows : ndarray of shape (n_rows,), default=None
        Indices of the rows; None is all.

    Returns
    -------
    moments : Moments
        The moments, not finite where squares are out of range.
    """
    y = y.reshape(len(y), -1)
    if rows is None and not sp.issparse(X) and weights.min() > 0:
        parts = _slices(len(y), X.shape[1] + y.shape[1])
        return pooled(moments_of(X[part], y[part], weights[part]) for part in parts)
    rows = np.arange(len(y)) if rows is None else rows
    rows = rows[weights[rows] > 0]
    if sp.issparse(X):
        return _moments_of_sparse(X[rows].astype(np.float64), y[rows], weights[rows])
    slices = _slices(len(rows), X.shape[1] + y.shape[1])
    parts = (_as_slice(rows[part]) for part in slices)
    return pooled(moments_of(X[part], y[part], weights[part]) for part in parts)


def moments_of_each(X, y, weights, groups, n_jobs=None):
    """Return the moments of several groups of rows.

    Long groups are halved, so that two threads share an odd number of them evenly.

    Parameters
    ----------
    X, y, weights
        As for ``gather``.
    groups : list of ndarray
        Indices of the rows of each; not all weights of a group are zero.
    n_jobs : int, default=None
        Number of threads, as in joblib.

    Returns
    -------
    moments : list of Moments
        Those of each group.
    """
    chunk, all_count = _rows_of_chunk(X.shape[1]), weights.all()
    items = []
    for group, rows in enumerate(groups):
        rows = rows if all_count else rows[weights[rows] > 0]
        least = max(len(rows) // 2, HALVED * chunk)
        items += [(group, rows[part]) for part in even_parts(len(rows), least)]
    found = parallel_map(lambda item: gather(X, y, weights, item[1]), items, n_jobs)
    groups_of_items = zip(items, found, strict=True)
    parts = groupby(groups_of_items, key=lambda of: of[0][0])
    return [pooled(moments for _, moments in part) for _, part in parts]


def _slices(n_rows, n_columns):
    """Yield slices of rows that are converted at a time.

    They have twice as many rows as columns, at least: products are few beside them.
    """
    size = _rows_of_chunk(n_columns)
    for start in range(0, n_rows, size):
        yield slice(start, start + size)


def _rows_of_chunk(n_columns):
    return max(2 * n_columns, CHUNK_ENTRIES // n_columns)


def _moments_of_sparse(X, y, weights):
    """Return the moments of sparse rows, whose features are multiplied uncentred.

    They are not finite where that loses digits.
    """
    p, total = X.shape[1], weights.sum()
    mean = np.concatenate([X.T @ weights, weights @ y]) / total
    products = np.empty((len(mean), len(mean)))
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        Y = y - mean[p:]
        weighted = weights[:, None] * Y
        products[:p, :p] = (X.T @ sp.diags(weights) @ X).toarray()
        products[:p, :p] -= total * np.outer(mean[:p], mean[:p])
        products[:p, p:] = X.T @ weighted
        products[p:, :p], products[p:, p:] = products[:p, p:].T, weighted.T @ Y
        lost = products.diagonal() < total * (mean / SPARSE_OFFSET) ** 2
    lost[p:] = False
    products[lost, lost] = np.nan
    return Moments(float(total), mean, products, X.shape[0])


def _as_slice(rows):
    """Return indices as a slice if they are consecutive: nothing is copied then."""
    if rows[-1] - rows[0] + 1 == len(rows) and (np.diff(rows) == 1).all():
        return slice(rows[0], rows[-1] + 1)
    return rows


def moments_of(X, y, weights):
    """Return the moments of a few rows, which are converted at once.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Features.
    y : ndarray of shape (n_rows, n_targets)
        Targets.
    weights : ndarray of shape (n_rows,)
        Weights, positive.

    Returns
    -------
    moments : Moments
        The moments; those of other rows are added by ``pooled``. They are not finite
        where squares are out of range, also where all of a column are too small.
    """
    (n_rows, p), v, total = X.shape, weights, weights.sum()
    Z = np.empty((n_rows, p + y.shape[1]))
    if X.dtype != np.float64:
        Z[:, :p] = X
        X = Z[:, :p]
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        mean = np.concatenate([v @ X, v @ y]) / total
        np.subtract(X, mean[:p], out=Z[:, :p])
        np.subtract(y, mean[p:], out=Z[:, p:])
        alike = v.min() == v.max()
        if not alike:
            Z *= np.sqrt(v)[:, None]
        products = Z.T @ Z
        if alike and v[0] != 1.0:
            products *= v[0]
    flat = products.diagonal() == 0
    if flat.any():
        products[flat, flat] = np.where(Z[:, flat].any(axis=0), np.nan, 0.0)
    return Moments(float(total), mean, products, n_rows)


def products_of_path(coef, G):
    """Return ``coef @ G`` for solutions of falling penalties, most of them sparse.

    Parameters
    ----------
    coef : ndarray of shape (n_fits, n_features)
        Coefficients, of increasing support.
    G : ndarray of shape (n_features, n_columns)
        A row for each feature.

    Returns
    -------
    products : ndarray of shape (n_fits, n_columns)
        The products.
    """
    if len(G) < MANY:
        return coef @ G
    out = np.empty((len(coef), G.shape[1]))
    for start in range(0, len(coef), FITS):
        rows = coef[start : start + FITS]
        on = np.flatnonzero(rows.any(axis=0))
        few = 2 * len(on) < len(G)
        out[start : start + FITS] = rows[:, on] @ G[on] if few else rows @ G
    return out


def quadratic_forms(V, P):
    """Return ``v'Pv`` of rows, many columns of which may be zero.

    Parameters
    ----------
    V : ndarray of shape (n_fits, n_columns)
        Rows.
    P : ndarray of shape (n_columns, n_columns)
        Symmetric matrix.

    Returns
    -------
    forms : ndarray of shape (n_fits,)
        The forms.
    """
    if len(P) < MANY:
        return np.einsum("ij,ij->i", V @ P, V)
    on = np.flatnonzero(V.any(axis=0))
    if 2 * len(on) < len(P):
        V, P = V[:, on], P[np.ix_(on, on)]
    U = dtrmm(2.0, P.T, V.T, lower=True)  # one triangle takes half of the products
    U -= P.diagonal()[:, None] * V.T
    return np.einsum("ji,ij->i", U, V)


@lru_cache(maxsize=4)
def _combinations(n_features):
    return np.random.default_rng(0).standard_normal((n_features, COMBINATIONS))


def errors_of_correlations(coef, G, b, C):
    """Return bounds of the errors of products of columns with residuals.

    Normal combinations of the columns are multiplied instead of all of them. One error
    e turns their products into numbers of standard deviation ``|e|``, whose root mean
    square is less than a sixteenth of that once in thirty thousand times.

    Parameters
    ----------
    coef, C : ndarray of shape (n_fits, n_features)
        Coefficients, and the products, which should be ``b - coef @ G``.
    G : ndarray of shape (n_features, n_features)
        Products of the columns.
    b : ndarray of shape (n_features,)
        Their products with the target.

    Returns
    -------
    errors : ndarray of shape (n_fits,)
        Bounds of Euclidean norms of the rows of errors.
    """
    Z = _combinations(len(b))
    apart = C @ Z - b @ Z + coef @ (G @ Z)
    return FEWER * np.sqrt(np.einsum("ij,ij->i", apart, apart) / COMBINATIONS)


def held_out_square(moments, means, coef):
    """Return the mean squared error of linear predictions, and what rounding hides.

    Parameters
    ----------
    moments : Moments
        Moments of the rows that are predicted.
    means : ndarray of shape (n_features + 1,)
        Means of features and target from which the intercepts follow; zeros without.
    coef : ndarray of shape (n_fits, n_features)
        Coefficients.

    Returns
    -------
    mse, lost : ndarray of shape (n_fits,)
        Weighted mean squares of errors, and a bound of their rounding errors.
    """
    v = np.hstack([-coef, np.ones((len(coef), 1))])
    spread = np.sqrt(moments.products.diagonal() / moments.weight)
    offset = v @ (moments.mean - means)
    mse = quadratic_forms(v, moments.products) / moments.weight + offset**2
    size = np.abs(v) @ (spread + np.abs(moments.mean - means))
    return mse, CONSTANT * size**2


def gaps_of_moments(coef, b, C, alphas, penalties, positive, apart=0.0):
    """Return bounds of gaps of fits, squares of residuals, and their rounding errors.

    Parameters
    ----------
    coef, C : ndarray of shape (n_fits, n_features)
        Coefficients, and products of the columns with the residuals, for columns and a
        target of norm one.
    b : ndarray of shape (n_features,)
        Products of the columns with the target.
    alphas : ndarray of shape (n_fits,)
        Penalty of each fit, in (0, inf).
    penalties : ndarray of shape (n_features,)
        That of each coefficient, as a multiple, in (0, inf).
    positive : bool
        Whether coefficients are nonnegative.
    apart : float or ndarray of shape (n_fits,), default=0.0
        Bounds of errors of C.

    Returns
    -------
    gaps, squares, lost : ndarray of shape (n_fits,)
        As ``bound_gaps`` writes them.
    """
    found, apart = np.empty((3, len(coef))), np.full(len(coef), apart)
    bound_gaps(coef, C, b, alphas, penalties, bool(positive), apart, *found)
    return found
