"""Learning of tight frames in which rows have sparse codes, and initial frames."""

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.fft import idct
from scipy.linalg import cholesky, eigh, get_lapack_funcs, qr, solve_triangular
from scipy.sparse.linalg import LinearOperator, eigsh
from sklearn.utils import gen_batches

from sklearn_sqrtlasso.algorithms.sparse_products import add_moment_product
from sklearn_sqrtlasso.blockwise.chunks import (
    ChunkedGroups,
    ChunkedRows,
    added,
    each_chunk,
    over_chunks,
)
from sklearn_sqrtlasso.blockwise.encode import map_encoded
from sklearn_sqrtlasso.blockwise.linalg import (
    dense_rows,
    largest_entry,
    largest_spread,
    unit_near,
)
from sklearn_sqrtlasso.blockwise.orthogonal import (
    add_in_place,
    solve_lower,
    subtract_outer,
)
from sklearn_sqrtlasso.blockwise.spread import second_moment, sparse_gram
from sklearn_sqrtlasso.learning.frame_moments import moments_of
from sklearn_sqrtlasso.learning.loop import Stopping, learn
from sklearn_sqrtlasso.models.tight_frame import TightFrame, nearest_tight_frame

WIDE = 2000  # features above which few principal directions are Lanczos vectors
WIDE_SPARSE = 1000  # the same of sparse rows, with which products are cheaper
INERTIA = 1e-10  # weight of the current frame in directions absent from the data
SHARPEST = 1e-3  # smallest residual scale of a weight, relative to a row's penalty
AT_REST = 16  # units of rounding that an objective falls by, if by anything
VECTORS = 16  # that a product of rows is taken with at a time


class FrameStatistics(NamedTuple):
    """Sums over rows for a learning step; they add up over disjoint rows.

    Attributes
    ----------
    moment : ndarray of shape (n_components, n_features) or callable, () -> ndarray
        ``sum_i z_i (x_i - mean)' / t_i``, divided by the unit of scaling; or what makes
        it, once.
    objective : float
        ``sum_i t_i + ||alpha * z_i||_1``, divided by the unit of scaling.
    n_rows : int
        Number of rows.
    """

    moment: np.ndarray | Callable
    objective: float
    n_rows: int


def frame_statistics(
    X, frame: TightFrame, groups, unit=1.0, *, n_jobs=None, later=False
):
    """Code the rows of ``X`` and return the statistics of a learning step.

    Parameters
    ----------
    X : array or sparse matrix of shape (n_samples, n_features)
        Rows, in the dtype of ``frame``.
    frame : TightFrame
        Current frame.
    groups : RowGroups
        Rows that share a residual scale.
    unit : float, default=1.0
        Unit of scaling, a power of two near the largest entry of ``X - mean``.
    n_jobs : int, default=None
        Number of threads, as in joblib.
    later : bool, default=False
        Whether the moment may be made later, as of ``moments_of``.

    Returns
    -------
    statistics : FrameStatistics
        Sums over the rows.
    """
    if isinstance(groups, ChunkedGroups):
        groups = groups.scaled(X, frame)
    if later and not isinstance(X, ChunkedRows):
        return statistics_here(X, frame, groups, unit, n_jobs=n_jobs, later=True)
    return _frame_statistics(X, frame, groups, unit, n_jobs)


@over_chunks(added)
def _frame_statistics(X, frame, groups, unit, n_jobs):
    return statistics_here(X, frame, groups, unit, n_jobs=n_jobs)


def statistics_here(X, frame, groups, unit, *, n_jobs=None, seen=None, later=False):
    """Return the statistics of rows that are in one place.

    Parameters
    ----------
    X, frame, groups, unit, n_jobs
        As for ``frame_statistics``.
    seen : callable, (block) -> (rows, penalty), default=None
        Returns the rows of a block that the moment is to be of, instead of those that
        were coded, and what their objective contains beside codes and residuals.
    later : bool, default=False
        As for ``frame_statistics``; of the rows that were coded.

    Returns
    -------
    statistics : FrameStatistics
        Sums over the rows.
    """
    unit = X.dtype.type(unit)
    moments = moments_of(X, frame, unit, later=later)

    def add(block):
        Z, scale = block.Z / unit, block.scale / unit
        penalty = np.abs(Z) @ frame.alpha
        objective = float(np.sum(scale + penalty, dtype=np.float64))
        scale = np.maximum(scale, SHARPEST * penalty)
        rounding = SHARPEST * np.finfo(Z.dtype).eps * np.abs(Z).sum(axis=1)
        scale[scale <= rounding] = 1  # rows of zeros, or exact without a penalty
        rows, more = (block.X, 0.0) if seen is None else seen(block)
        moments.add(block, rows, Z, scale)
        return objective + more / float(unit)

    parts = {"n_jobs": n_jobs, "n_parts": moments.n_parts}
    objectives = map_encoded(add, X, frame, groups, **parts)
    return FrameStatistics(moments.total(), sum(objectives), groups.n_rows)


def procrustes_frame(moment, components, *, own=False):
    """Return the tight frame W that maximises ``tr(W' moment)``: its polar factor.

    In directions where ``moment`` is zero, ``components`` are kept.

    Parameters
    ----------
    moment : ndarray of shape (n_components, n_features)
        As in ``FrameStatistics``.
    components : ndarray of shape (n_components, n_features)
        Current frame.
    own : bool, default=False
        Whether ``moment``, in double precision, may be overwritten, and the next frame
        take its place.

    Returns
    -------
    components : ndarray of shape (n_components, n_features)
        Next frame, in double precision.
    """
    largest = largest_entry(moment)
    if largest == 0:
        return np.asarray(components, dtype=np.float64)
    inert = moment if own else np.array(moment, np.float64)
    inert /= largest
    add_in_place(inert, INERTIA, components)
    return nearest_tight_frame(inert, own=True)


def tight_frame_ahead(W, last, share):
    """Return a tight frame ahead of one, by a share of its last change.

    Singular values of ``(1 + share) W - share last`` are at least 1, so that a Cholesky
    factor of its Gram matrix makes it tight, at less cost than its polar factor.

    Parameters
    ----------
    W, last : ndarray of shape (n_components, n_features)
        A tight frame, and the one before.
    share : float
        Share of their difference, in [0, 1].

    Returns
    -------
    ahead : ndarray of shape (n_components, n_features)
        Tight frame, in double precision.
    """
    A = W.astype(np.float64)
    if share:
        A *= 1 + share
        add_in_place(A, -share, last)
    if A.shape[0] > A.shape[1]:
        return solve_triangular(cholesky(A.T @ A), A.T, trans="T").T
    solve_lower(cholesky(A @ A.T, lower=True), A)
    return A


def turned(frame, statistics, *, own=False):
    """Return a frame after a learning step.

    Parameters
    ----------
    frame : TightFrame
        Frame.
    statistics : FrameStatistics
        Statistics of rows for that frame.
    own : bool, default=False
        Whether the moment may be overwritten, and the next frame take its place.

    Returns
    -------
    frame : TightFrame
        The next frame, in the same dtype.
    """
    W = procrustes_frame(statistics.moment, frame.components, own=own)
    return replace(frame, components=W.astype(frame.components.dtype, copy=False))


class FrameLearner:
    r"""Minimise the square-root-lasso objective over tight frames, by majorisation.

    .. math::
        \min_{W, Z} \sum_i \sqrt{\|W x_i - z_i\|^2 + \rho_i^2} + \alpha\|z_i\|_1

    Codes are exact. The root is majorised by :math:`\sqrt a \le a/(2t) + t/2`, so that
    the next W is a polar factor. The objective never increases: steps that would
    increase it, by rounding or by the bound on the weight of exactly coded rows, are
    rejected.

    Parameters
    ----------
    X, groups, n_jobs, unit
        As for ``frame_statistics``; complete rows.
    frame : TightFrame
        Initial frame, without outliers.

    Attributes
    ----------
    frame : TightFrame
        Current frame.
    statistics : FrameStatistics
        Statistics of the rows for the current frame.
    """

    def __init__(self, X, frame, groups, n_jobs=None, unit=1.0):
        self.X, self.groups, self.unit, self.n_jobs = X, groups, unit, n_jobs
        self.frame, self.fall = frame, np.inf
        self.tol = self.rounding = AT_REST * float(np.finfo(X.dtype).eps)
        self.statistics = self._statistics_at(frame)

    def _statistics_at(self, frame):
        frame = replace(frame)  # what it holds for products goes with it
        given = self.X, frame, self.groups, self.unit
        return frame_statistics(*given, n_jobs=self.n_jobs, later=True)

    @property
    def statistics(self):
        """Statistics of the rows, whose moment is made when they are asked for."""
        if callable(self.sums.moment):
            self.sums = self.sums._replace(moment=self.sums.moment())
        return self.sums

    @statistics.setter
    def statistics(self, sums):
        self.sums = sums

    @property
    def objective(self):
        """Mean objective per row for the current frame, in units of X."""
        return self.sums.objective * self.unit / self.sums.n_rows

    def step(self, n_iter):
        """Take a step if it lowers the objective; return the mean objective per row."""
        candidate, old = turned(self.frame, self.statistics, own=True), self.statistics
        self.statistics = old._replace(moment=None)  # the candidate took its place
        new = self._statistics_at(candidate)
        fall = old.objective - new.objective
        self.fall = fall / old.objective if old.objective else fall
        if fall >= 0:
            self.frame, self.statistics = candidate, new
        else:
            del candidate, old, new
            self.restore(self.state())
        return self.objective

    def run(self, max_iter, tol, report):
        """Take steps until the relative decrease of the objective is at most ``tol``.

        Parameters
        ----------
        max_iter : int
            Largest number of steps, at least 0.
        tol : float
            Relative decrease of the objective at which learning stops; it stops at
            rounding in any case.
        report : callable, (n_iter, objective) -> bool
            Called after each step; learning stops if it returns True.

        Returns
        -------
        history : History
            With the mean objective per row before the first step and after each.
        """
        first, self.tol = self.objective, max(tol, self.rounding)
        history = learn(
            self.step,
            self.state,
            self.restore,
            Stopping(max_iter, tol),
            report,
            converged=lambda: self.fall <= self.tol,
        )
        return history._replace(losses=[first, *history.losses])

    def state(self):
        """Return what ``restore`` takes: all that a step changes, but for the moment.

        It is as large as the frame, and follows from it.
        """
        return self.frame

    def restore(self, state):
        """Restore an earlier frame, and find its statistics anew."""
        self.frame, self.statistics = state, None
        self.statistics = self._statistics_at(state)


def pca_frame(X, n_components, rng, mean=None):
    """Return principal directions of the rows about a mean, largest moment first.

    Directions that no row has are completed to orthonormal ones. For more than
    ``n_features`` units, random rotations are appended.
    """
    n_rows, n_features = X.shape
    mean = np.zeros(n_features) if mean is None else mean
    wide = WIDE_SPARSE if sp.issparse(X) else WIDE
    if n_features > wide and 4 * n_components < min(X.shape):
        return few_directions(X, mean, n_components, rng)
    unit = unit_near(largest_spread(X, mean), X.dtype)
    if n_rows < n_features:
        n_directions = min(n_components, n_features)
        directions = _directions_of_few_rows(X, mean, unit, n_directions)
    else:
        directions = eigh(second_moment(X, mean, unit), overwrite_a=True)[1].T[::-1]
    directions *= np.where(directions.sum(axis=1) < 0, -1.0, 1.0)[:, None]
    n_more = max(0, n_components - n_features)
    more = random_frame(X, -(-n_more // n_features) * n_features, rng)
    bases = more.reshape(-1, n_features, n_features)
    return np.vstack([directions, *map(nearest_tight_frame, bases)])[:n_components]


def few_directions(X, mean, n_components, rng):
    """Return the first principal directions by products with the rows, as they are.

    Lanczos' method finds eigenvectors of the moment of columns or of rows, whichever is
    smaller.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.
    mean : ndarray of shape (n_features,)
        Subtracted from rows.
    n_components : int
        Number of directions, fewer than rows and columns.
    rng : numpy.random.Generator
        Source of the first vector.

    Returns
    -------
    directions : ndarray of shape (n_components, n_features)
        Orthonormal, those of largest moment first.
    """
    by_columns, size = X.shape[0] >= X.shape[1], min(X.shape)
    unit = unit_near(largest_entry(X))  # squares of entries may be out of range
    if not (by_columns and sp.issparse(X)):
        X = _in_double(X)

    def moment(v):
        v = np.ravel(v)
        return _moment_of_columns(X, mean, v, unit) if by_columns else of_rows(v)

    def of_rows(u):
        v = (X.T @ u - mean * u.sum()) / unit
        return (X @ v - mean @ v) / unit

    operator = LinearOperator((size, size), moment, dtype=np.float64)
    first = rng.standard_normal(size)
    if not moment(first).any():  # rows do not vary, and any directions are principal
        return nearest_tight_frame(random_frame(X, n_components, rng))
    directions = eigsh(operator, n_components, v0=first)[1][:, ::-1]
    if not by_columns:
        directions = _directions_of_columns(X, mean, directions, unit)
    return directions.T


def _directions_of_columns(X, mean, left, unit):
    """Return orthonormal directions, given left singular vectors of ``X - mean``."""
    principal = np.empty((X.shape[1], left.shape[1]), order="F")  # for QR in its place
    for some in gen_batches(left.shape[1], VECTORS):
        principal[:, some] = X.T @ (left[:, some] / unit)
    subtract_outer(principal.T, left.sum(axis=0), mean / unit)
    return qr(principal, mode="economic", overwrite_a=True)[0]


@each_chunk
def _in_double(X):
    return X.astype(np.float64, copy=False)


@over_chunks(np.add)
def _moment_of_columns(X, mean, v, unit):
    """Return ``(X - mean)'(X - mean) v`` over a squared unit."""
    if sp.issparse(X):
        arrays = (np.require(of, None, "W") for of in (X.data, X.indices, X.indptr))
        moment, shift = np.zeros(len(v)), float(mean @ v) / unit
        total = add_moment_product(*arrays, v / unit, shift, moment)
        return (moment - mean * total) / unit
    u = (X @ v - mean @ v) / unit
    return (X.T @ u - mean * u.sum()) / unit


def _directions_of_few_rows(X, mean, unit, n_directions):
    """Return orthonormal directions, the principal ones first, by products of rows.

    With eigenvectors U of ``X X'``, for rows X about their mean, the columns of
    ``X' U`` are the principal directions, times their singular values. Their
    Householder reflections take the coordinate axes to these directions and to others
    that are orthogonal to them. Rows are divided by a unit near their largest distance
    from the mean, after that is subtracted if they are out of range in this unit.
    """
    largest = largest_spread(X, np.zeros(X.shape[1])) / float(unit)
    in_range = largest <= float(np.finfo(X.dtype).max)
    if in_range:
        X, mean, unit = X / unit, mean / unit, 1.0
    gram = sparse_gram(X, mean) if sp.issparse(X) and in_range else None
    if gram is None:
        X, mean = (dense_rows(X) - mean) / unit, np.zeros(X.shape[1])
        gram = X @ X.T
    weights = eigh(gram)[1][:, ::-1][:, :n_directions]
    principal = X.T @ weights - np.outer(mean, weights.sum(axis=0))
    reflections, tau = qr(principal, mode="raw", overwrite_a=True)[0]
    axes = np.zeros((X.shape[1], n_directions), reflections.dtype, order="F")
    axes[:, : len(tau)] = reflections
    (orgqr,) = get_lapack_funcs(("orgqr",), (axes,))
    return orgqr(axes, tau, overwrite_a=True)[0].T


def dct_frame(X, n_components, rng, mean=None):
    """Return cosines, lowest frequencies first; separable for square patches."""
    n_features = X.shape[1]
    side = int(np.sqrt(n_features))
    if side * side != n_features:
        return _cosines(n_components, max(n_components, n_features), n_features)
    n_waves = max(side, int(np.ceil(np.sqrt(n_components))))
    waves = _cosines(n_waves, n_waves, side)
    order = np.add.outer(np.arange(n_waves), np.arange(n_waves)).ravel()
    lowest = np.argsort(order, kind="stable")[:n_components]
    down, across = (waves[of] for of in np.divmod(lowest, n_waves))
    return np.einsum("ki,kj->kij", down, across).reshape(-1, n_features)


def _cosines(n_first, n_waves, n_points):
    """Return the first of ``n_waves >= n_points`` sampled cosines, of unit norm."""
    waves = idct(np.eye(n_first, n_waves), axis=1, norm="ortho")[:, :n_points]
    return waves / np.linalg.norm(waves, axis=1, keepdims=True)


def random_frame(X, n_components, rng, mean=None):
    """Return Gaussian directions."""
    return rng.standard_normal((n_components, X.shape[1]))


class Init(NamedTuple):
    """Initialisation of a tight frame.

    Attributes
    ----------
    directions : callable, (X, n_components, rng, mean) -> ndarray
        Returns the matrix that is projected on tight frames.
    summary : str
        Description for the documentation.
    in_span : bool, default=False
        Whether directions are those of the rows, principal ones first.
    """

    directions: Callable
    summary: str
    in_span: bool = False


INITS = MappingProxyType(
    {
        "pca": Init(
            pca_frame,
            "principal directions of X, centered if ``center``",
            in_span=True,
        ),
        "dct": Init(
            dct_frame,
            "cosines, separable in two dimensions if the number of features is a "
            "square, as for square patches",
        ),
        "random": Init(random_frame, "Gaussian directions"),
    }
)
