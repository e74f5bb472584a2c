"""Learn a tight frame in which rows are sparse, and where to begin."""

from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.fft import idct
from scipy.linalg import eigh
from sklearn.utils.extmath import randomized_svd

from sklearn_sqrtlasso.solvers.frame import Frame
from sklearn_sqrtlasso.solvers.rows import N_PARTS, Runs
from sklearn_sqrtlasso.solvers.visit import visit_codes

WIDE = 2000  # features from which a few principal directions are found by sampling
INERTIA = 1e-10  # pull towards the present frame where the data say nothing
SHARPEST = 1e-3  # residual, relative to a row's penalty, that still sharpens its weight


class FrameStatistics(NamedTuple):
    """Sums over rows that a step of learning needs; they add over disjoint rows.

    Attributes
    ----------
    moment : ndarray of shape (n_components, n_features)
        ``sum_i z_i x_i' / t_i``, in units of the data.
    objective : float
        ``sum_i t_i + ||alpha * z_i||_1``, in units of the data.
    n_rows : int
        Number of rows.
    """

    moment: np.ndarray
    objective: float
    n_rows: int


def frame_statistics(X, frame: Frame, runs: Runs, *, n_jobs=None):
    """Code the rows of ``X`` and return the statistics of a learning step.

    Parameters
    ----------
    X : array or sparse matrix of shape (n_samples, n_features)
        Rows, in the dtype of ``frame``.
    frame : Frame
        The present frame.
    runs : Runs
        Rows that share a residual scale.
    n_jobs : int, default=None
        Threads, in the sense of joblib.

    Returns
    -------
    statistics : FrameStatistics
        Sums over the rows.
    """
    moments = np.zeros((N_PARTS, *frame.components.shape))

    def add(block):
        penalty = np.abs(block.Z) @ frame.alpha
        scale = np.maximum(block.level, SHARPEST * penalty)
        scale[scale == 0] = 1  # rows of zeros
        moments[block.part] += block.Z.T @ _divide_rows(block.X, scale)
        return float(np.sum(block.level + penalty, dtype=np.float64))

    objectives = visit_codes(X, frame, runs, add, n_jobs=n_jobs)
    return FrameStatistics(moments.sum(axis=0), sum(objectives), runs.n_rows)


def _divide_rows(X, scale):
    """Return dense or sparse rows, each divided by its scale."""
    if hasattr(X, "multiply"):
        return X.multiply(1 / scale[:, None]).tocsr()
    return X / scale[:, None]


def best_frame(moment, components):
    """Return the tight frame W that maximises ``tr(W' moment)``: its polar factor.

    Directions of which ``moment`` says nothing stay as they are in ``components``.

    Parameters
    ----------
    moment : ndarray of shape (n_components, n_features)
        As in ``FrameStatistics``.
    components : ndarray of shape (n_components, n_features)
        The present frame.

    Returns
    -------
    components : ndarray of shape (n_components, n_features)
        The next frame, in double precision.
    """
    size = np.abs(moment).max()
    if size == 0:
        return np.asarray(components, dtype=np.float64)
    return nearest_frame(moment / size + INERTIA * components)


def nearest_frame(A):
    """Return the tight frame that is nearest to ``A``: the polar factor ``U V'``."""
    left, _, right = np.linalg.svd(A, full_matrices=False)
    return left @ right


def learn_frame(X, frame: Frame, runs: Runs, *, max_iter, tol, report, n_jobs=None):
    r"""Minimise the square-root-lasso objective over tight frames, by majorisation.

    .. math::
        \min_{W, Z} \sum_i \sqrt{\|W x_i - z_i\|^2 + \rho_i^2} + \alpha\|z_i\|_1

    Codes are exact. The root is majorised by :math:`\sqrt a \le a/(2t) + t/2`, which
    leaves a polar factor for W. The objective never rises: a step that would raise it
    by rounding, or by the bound on the weight of exactly coded rows, is not taken.

    Parameters
    ----------
    X, runs, n_jobs
        As for ``frame_statistics``.
    frame : Frame
        Where to begin.
    max_iter : int
        Largest number of steps, at least 0.
    tol : float
        Relative decrease of the objective below which learning stops.
    report : callable, (n_iter, frame, objective) -> bool
        Told of each step; True stops.

    Returns
    -------
    frame : Frame
        The learnt frame.
    statistics : FrameStatistics
        Statistics of the rows at ``frame``.
    curve : list of float
        Mean objective per row before the first step and after each.
    """
    dtype = frame.components.dtype
    now = frame_statistics(X, frame, runs, n_jobs=n_jobs)
    curve = [now.objective / now.n_rows]
    for n_iter in range(1, max_iter + 1):
        W = best_frame(now.moment, frame.components).astype(dtype)
        candidate = frame._replace(components=W)
        new = frame_statistics(X, candidate, runs, n_jobs=n_jobs)
        drop = now.objective - new.objective
        settled = drop <= tol * now.objective
        if drop >= 0:
            frame, now = candidate, new
        curve.append(now.objective / now.n_rows)
        if report(n_iter, frame, curve[-1]) or settled:
            break
    return frame, now, curve


def pca_frame(X, n_components, rng):
    """Return principal directions of the rows about the origin, strongest first.

    Beyond ``n_features`` units, random rotations of the same directions are stacked.
    """
    n_features = X.shape[1]
    if n_features > WIDE and 4 * n_components < min(X.shape):
        return randomized_svd(X, n_components, random_state=rng)[2]
    X = X * _scale_of(X)  # squares neither overflow nor vanish
    moment = X.T @ X
    moment = moment.toarray() if hasattr(moment, "toarray") else moment
    directions = eigh(moment)[1].T[::-1]
    directions *= np.where(directions.sum(axis=1) < 0, -1.0, 1.0)[:, None]
    n_more = max(0, n_components - n_features)
    more = random_frame(X, -(-n_more // n_features) * n_features, rng)
    bases = more.reshape(-1, n_features, n_features)
    return np.vstack([directions, *map(nearest_frame, bases)])[:n_components]


def _scale_of(X):
    """Return a power of two that brings the largest entry near 1, in the dtype of X."""
    top, bound = float(abs(X).max()), np.finfo(X.dtype).maxexp - 2
    exponent = np.floor(np.log2(top)) if top > 0 else 0
    return X.dtype.type(2.0 ** -np.clip(exponent, -bound, bound))


def dct_frame(X, n_components, rng):
    """Return cosines, lowest frequencies first; separable if features form a square."""
    n_features = X.shape[1]
    side = int(np.sqrt(n_features))
    if side * side != n_features:
        return _cosines(max(n_components, n_features), n_features)[:n_components]
    n_waves = max(side, int(np.ceil(np.sqrt(n_components))))
    waves = _cosines(n_waves, side)
    order = np.add.outer(np.arange(n_waves), np.arange(n_waves)).ravel()
    return np.kron(waves, waves)[np.argsort(order, kind="stable")[:n_components]]


def _cosines(n_waves, n_points):
    """Return ``n_waves >= n_points`` sampled cosines, of unit norm."""
    waves = idct(np.eye(n_waves), axis=1, norm="ortho")[:, :n_points]
    return waves / np.linalg.norm(waves, axis=1, keepdims=True)


def random_frame(X, n_components, rng):
    """Return Gaussian directions."""
    return rng.standard_normal((n_components, X.shape[1]))


INITS = MappingProxyType({"pca": pca_frame, "dct": dct_frame, "random": random_frame})
