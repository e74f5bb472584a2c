r"""Learning of a Gaussian prior by PCA, or by EM where entries are missing.

Rows without noise are Gaussian with the covariance :math:`V'\Lambda V + v I`. Where no
entry is missing, the maximum of the likelihood is that of Tipping and Bishop: V are the
k principal directions, v is the mean of the other variances, :math:`\Lambda` what the
variances of V exceed it by. Otherwise this solution is applied to the expected moments
of the rows, given what is seen: steps of EM. With few rows they would fit noise, so
that the second moment is averaged with its diagonal, which is known from what is seen,
as if of some more rows: the covariance has an inverse Wishart prior, and no step lowers
the likelihood times its density.
"""

from functools import reduce
from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from sklearn.utils import gen_batches

from sklearn_sqrtlasso.blockwise.blocks import N_PARTS, in_parts, parallel_map
from sklearn_sqrtlasso.blockwise.chunks import added, over_chunks
from sklearn_sqrtlasso.blockwise.linalg import dense_rows, row_batches, unit_near
from sklearn_sqrtlasso.learning.loop import Stopping, learn
from sklearn_sqrtlasso.models.gaussian_prior import GaussianPrior

# Of "auto": the leading components, which are enough to find the noise level of a row,
# have a share of the variance. Others are kept up to a larger one, as long as codes
# take little time, which grows with n_features times the square of their number.
LEADING, MOST_LEADING = 0.97, 40
KEPT, MOST_KEPT = 0.999, 256  # the latter by the root of the number of features
UNRELATED = 0.1  # rows of unrelated columns, in mean numbers of missing entries a row
BATCH = 128  # rows whose posterior covariances are stored at a time
SHARE = 8  # part of the memory of dense rows that sums of their products may take


class Numbers(NamedTuple):
    """Numbers of components: of all that are kept, and of leading ones."""

    kept: int
    leading: int


def numbers_of_components(variances, asked, rounding, n_features):
    """Return how many components to keep, and how many of them to find levels with.

    Parameters
    ----------
    variances : ndarray of shape (n,)
        Variances of the principal directions, in descending order.
    asked : int, float, None or "auto"
        A number, a share of the variance, None for all that vary, or "auto".
    rounding : float
        Variance up to which a direction does not vary.
    n_features : int
        Number of features.

    Returns
    -------
    numbers : Numbers
        At least 1, and at most the number of directions that vary, if there is one.
    """
    varying = max(1, int(np.sum(variances > rounding)))

    def reach(share):
        reached = np.cumsum(variances) >= share * variances.sum()
        return min(varying, 1 + int(np.argmax(reached)))

    if isinstance(asked, str):
        leading = min(reach(LEADING), MOST_LEADING)
        kept = min(reach(KEPT), int(MOST_KEPT / np.sqrt(n_features)))
        return Numbers(max(kept, leading), leading)
    if asked is None:
        kept = varying
    else:
        kept = min(varying, asked) if isinstance(asked, Integral) else reach(asked)
    return Numbers(kept, kept)


class PriorLearner:
    """Learn the Gaussian prior of rows.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows, NaN where entries are missing; every column has an entry.
    n_components : int, float, None or "auto"
        As for ``numbers_of_components``.
    n_jobs : int, default=None
        Number of threads over rows that are complete, as in joblib.

    Attributes
    ----------
    prior : GaussianPrior
        The prior so far; the first has the mean in place of missing entries.
    variances : ndarray of shape (n,)
        Variances of all principal directions, in squared units of scaling.
    unrelated : float
        Where entries are missing, weight of the prior of the covariance, in rows for
        each row.
    """

    def __init__(self, X, n_components, n_jobs=None):
        self.X, self.n_jobs = X, n_jobs
        self.origin, self.unit, rounding = center_and_unit(X, n_jobs)
        self.mean, self.fall = np.zeros(X.shape[1]), np.inf
        self.objective, self.missing = np.inf, False
        self.variances, directions = self._principal()
        relative = max(X.shape) * np.finfo(X.dtype).eps * self.variances[0]
        rounding = max(rounding, relative)
        self.numbers = numbers_of_components(
            self.variances, n_components, rounding, X.shape[1]
        )
        self.prior = self._prior(directions)
        if self.missing:
            self.unrelated, self.diagonal = self._seen_alone()

    def step(self, n_iter):
        """Take a step of EM; return the objective, per row."""
        if self.missing:
            first, second = self._moments()
            self.mean = first
            covariance = second - np.outer(first, first)
            covariance += np.diag(self.unrelated * self.diagonal)
            self.variances, directions = _eigen(covariance / (1 + self.unrelated))
            self.prior = self._prior(directions)
        before, self.objective = self.objective, self._loss()
        self.fall = before - self.objective
        return self.objective

    def _loss(self):
        """Return the mean negative log-likelihood of rows, and of the prior."""
        if not self.missing:
            return self._loss_of_complete_rows()
        n_rows = self.X.shape[0]
        losses = [self._posterior(rows)[0] for rows in gen_batches(n_rows, BATCH)]
        return sum(losses) / n_rows + self.unrelated * self._loss_of_unrelated_columns()

    def _loss_of_complete_rows(self):
        """Return the mean negative log-likelihood by the variances of directions."""
        prior, n_features = self.prior.leading, self.X.shape[1]
        k, v = prior.n_leading, max(prior.residual_variance, prior.floor)
        modelled = v + (prior.code_scale / prior.unit) ** 2
        square = np.sum(self.variances[:k] / modelled) + self.variances[k:].sum() / v
        logs = np.log(modelled).sum() + (n_features - k) * np.log(v)
        return 0.5 * float(square + logs + n_features * np.log(2 * np.pi))

    def run(self, max_iter, tol, report):
        """Take steps until the likelihood settles; return the objective after each.

        Parameters
        ----------
        max_iter : int
            Largest number of steps, at least 1; one is enough if nothing is missing.
        tol : float
            Fall of the objective, per feature, at which learning stops.
        report : callable, (n_iter, objective) -> bool
            Called after each step; learning stops if it returns True.

        Returns
        -------
        history : History
            Objectives, and whether they settled.
        """

        def converged():
            return not self.missing or self.fall <= tol * self.X.shape[1]

        return learn(
            self.step,
            lambda: (self.prior, self.mean, self.variances, self.objective),
            self.restore,
            Stopping(max_iter, tol),
            report,
            converged=converged,
        )

    def restore(self, state):
        """Restore an earlier prior."""
        self.prior, self.mean, self.variances, self.objective = state

    def _deviations(self, rows):
        """Return rows minus their first mean, in the unit, NaN where missing."""
        return (dense_rows(self.X[rows], np.float64) - self.origin) / self.unit

    def _principal(self):
        """Return variances and directions, with means in place of missing entries."""
        n_rows, n_features = self.X.shape
        if n_rows < n_features:
            x = self._deviations(slice(None))
            self.missing = bool(np.isnan(x).any())
            _, sizes, directions = np.linalg.svd(np.nan_to_num(x), full_matrices=False)
            return sizes**2 / n_rows, directions

        def moment(batches):
            total, missing = np.zeros((n_features, n_features)), False
            for rows in batches:
                x = self._deviations(rows)
                if np.isnan(x).any():
                    missing, x = True, np.nan_to_num(x)
                total += x.T @ x
            return total, missing

        most = n_rows // (SHARE * n_features)
        parts = in_parts(row_batches(n_rows, n_features), min(N_PARTS, most))
        moments, missing = zip(*parallel_map(moment, parts, self.n_jobs), strict=True)
        self.missing = any(missing)
        return _eigen(reduce(np.add, moments) / n_rows)

    def _seen_alone(self):
        """Return the weight of unrelated columns, and the variances of what is seen."""
        n_rows, n_features = self.X.shape
        squares, count = np.zeros(n_features), np.zeros(n_features)
        for rows in row_batches(n_rows, n_features):
            x = self._deviations(rows)
            squares += np.nansum(x**2, axis=0)
            count += np.sum(x == x, axis=0)
        missing = n_rows * n_features - count.sum()
        return UNRELATED * missing / n_rows**2, squares / count

    def _loss_of_unrelated_columns(self):
        """Return the mean negative log-likelihood of rows of unrelated columns."""
        prior = self.prior.leading
        covariance = prior.loadings.T @ prior.loadings
        covariance += max(prior.residual_variance, prior.floor) * np.eye(
            len(covariance)
        )
        root = cho_factor(covariance, lower=True)
        inverse = cho_solve(root, np.eye(len(covariance)))
        log_determinant = 2 * np.log(np.diagonal(root[0])).sum()
        return 0.5 * (log_determinant + np.diagonal(inverse) @ self.diagonal)

    def _prior(self, directions):
        """Return the prior of largest likelihood for the current moments."""
        k, n_features = self.numbers.kept, directions.shape[1]
        directions = directions[:k]
        residual = max(0.0, self.variances[k:].sum() / max(1, n_features - k))
        signs = np.where(directions.sum(axis=1) < 0, -1.0, 1.0)
        code_scale = np.sqrt(np.maximum(self.variances[:k] - residual, 0))
        return GaussianPrior(
            self.origin + self.unit * self.mean,
            signs[:, None] * directions,
            self.unit * code_scale,
            float(self.unit * np.sqrt(residual)),
            self.unit,
            self.numbers.leading,
        )

    def _posterior(self, rows):
        """Return what is known of a batch of rows.

        It is the sum of their negative log-likelihoods, the rows with the mean and
        loadings they were compared with, for each row the posterior mean of a standard
        Gaussian code, and the Cholesky factors of its precision: one for each pattern
        of missing entries, and which of them is that of a row.
        """
        prior, x = self.prior.leading, self._deviations(rows) - self.mean
        loadings, v = prior.loadings, max(prior.residual_variance, prior.floor)
        seen = ~np.isnan(x)
        products = np.einsum("aj,bj->jab", loadings, loadings)
        patterns, which = _patterns(seen)
        precision = np.eye(len(loadings)) + np.tensordot(patterns, products, 1) / v
        roots = np.linalg.cholesky(precision)  # whose eigenvalues are at least 1
        filled = np.where(seen, x, 0)
        half = _solve_each(roots, which, filled @ loadings.T / v)
        code = _solve_each(roots.swapaxes(1, 2), which, half)
        square = np.sum(filled**2) / v - np.sum(half**2)
        logs = 2 * np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)[which].sum()
        logs += seen.sum() * np.log(2 * np.pi * v)
        return 0.5 * (logs + square), x, loadings, v, code, (roots, which)

    def _moments(self):
        """Return the expected means of the rows and of their products."""
        n_rows, n_features = self.X.shape
        first, second = np.zeros(n_features), np.zeros((n_features, n_features))
        for rows in gen_batches(n_rows, BATCH):
            _, x, loadings, v, code, (roots, which) = self._posterior(rows)
            missing = np.isnan(x)
            x = np.where(missing, code @ loadings, x) + self.mean
            first += x.sum(axis=0)
            second += x.T @ x
            second[np.diag_indices(n_features)] += v * missing.sum(axis=0)
            half = np.linalg.solve(roots, loadings)[which] * missing[:, None]
            half = half.reshape(-1, n_features)
            second += half.T @ half
        return first / n_rows, second / n_rows


def _patterns(seen):
    """Return the different rows of a mask, and for each row which of them it is."""
    if seen.all():
        return seen[:1], np.zeros(len(seen), np.intp)
    patterns, which = np.unique(seen, axis=0, return_inverse=True)
    return patterns, which.ravel()


def _solve_each(factors, which, b):
    """Return the solution for each row, whose factor is one of several."""
    if len(factors) == 1:
        return np.linalg.solve(factors[0], b.T).T
    return np.linalg.solve(factors[which], b[:, :, None])[:, :, 0]


def center_and_unit(X, n_jobs=None):
    """Return the mean of the rows, a unit for their deviations, and their rounding.

    Parameters
    ----------
    X : ndarray, sparse matrix or ChunkedRows of shape (n_samples, n_features)
        Rows, NaN where entries are missing.
    n_jobs : int, default=None
        Number of threads, as in joblib.

    Returns
    -------
    mean : ndarray of shape (n_features,)
        Means of what is seen.
    unit : float
        A power of two near the largest deviation, or near the largest entry if
        deviations are rounding.
    rounding : float
        Variance, in squares of that unit, that is rounding.
    """
    largest = _largest_deviation(X, 0.0, n_jobs)
    unit = unit_near(largest)
    total, count = _seen_sums(X, unit, n_jobs)
    with np.errstate(invalid="ignore"):  # columns of which nothing is seen
        mean = unit * (total / count)
    error = 64 * np.finfo(X.dtype).eps * largest
    deviation = _largest_deviation(X, mean, n_jobs)
    unit = unit_near(deviation if deviation > error else largest)
    return mean, unit, float((error / unit) ** 2)


class _Sums(NamedTuple):
    total: np.ndarray  # of what is seen of each column
    n_seen: np.ndarray


@over_chunks(added)
def _seen_sums(X, unit, n_jobs):
    """Return sums, in a unit, and counts of what is seen of each column."""

    def sums(batches):
        total, count = 0.0, 0
        for rows in batches:
            x = dense_rows(X[rows], np.float64) / unit
            total, count = total + np.nansum(x, axis=0), count + np.sum(x == x, axis=0)
        return total, count

    of_parts = parallel_map(sums, in_parts(row_batches(*X.shape)), n_jobs)
    return _Sums(*map(sum, zip(*of_parts, strict=True)))


@over_chunks(max)
def _largest_deviation(X, mean, n_jobs):
    """Return the largest absolute deviation from the mean that is seen."""

    def largest(batches):
        return max(of_batch(rows) for rows in batches)

    def of_batch(rows):
        x = dense_rows(X[rows], np.float64) - mean
        ends = np.fmax.reduce(x, None, initial=0), np.fmin.reduce(x, None, initial=0)
        return float(max(ends[0], -ends[1]))

    parts = in_parts(row_batches(*X.shape))
    return max(parallel_map(largest, parts, n_jobs))


def _eigen(covariance):
    """Return variances and principal directions, largest first."""
    variances, directions = eigh(covariance)
    return np.maximum(variances[::-1], 0), directions.T[::-1]
