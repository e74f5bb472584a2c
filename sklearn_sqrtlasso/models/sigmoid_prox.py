"""Proximal map of the penalty of sigmoid codes, as a function of the encoder."""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, eigsh

from sklearn_sqrtlasso.models.biased_autoencoder import Objective

CONTRACTION = 0.8  # largest rate of the fixed point
MOST_COLUMNS, TOL = 1024, 1e-3  # beyond them, by products, to this relative error
MOST_PASSES = 160  # of that rate, down to a rounding


def largest_exact_step(objective: Objective):
    r"""Return the largest step for which the fixed-point iteration is a contraction.

    The slope of :math:`\sigma'` is at most :math:`1/(6\sqrt3)`, so that of
    :math:`\nabla g` is at most :math:`\|[X, 1]\|_2^2 / (6 \sqrt 3 N)`.

    Parameters
    ----------
    objective : Objective
        Objective with the rows and the model.

    Returns
    -------
    step : float
        Step length; infinite if the penalty is zero.
    """
    penalty = objective.model.penalty
    if penalty == 0:
        return np.inf
    top = _largest_moment(objective) / objective.n_rows
    return CONTRACTION / (objective.model.encoder.curvature * penalty * top)


def _largest_moment(objective):
    """Return the largest eigenvalue of ``[X, 1]' [X, 1]``, or slightly more."""
    size = objective.model.shape[1] + 1

    def with_one(rows):
        x = objective.rows(rows)
        return np.hstack([x, np.ones((len(x), 1), x.dtype)])

    def product(v):
        if sp.issparse(objective.X):
            return _moment_of_nonzeros(objective.X, v.ravel(), objective.unit)

        def share(rows):
            x = with_one(rows)
            return x.T @ (x @ v.ravel().astype(x.dtype))

        return sum(objective.pmap(share, objective.slices))

    if size > MOST_COLUMNS:  # whose moments are not computed
        moments = LinearOperator((size, size), product, dtype=np.float64)
        start = np.ones(size)
        top = eigsh(moments, k=1, tol=TOL, v0=start, return_eigenvectors=False)
        return (1 + 2 * TOL) * float(top[0])

    def moment(rows):
        x = with_one(rows)
        return x.T @ x

    total = sum(objective.pmap(moment, objective.slices)).astype(np.float64)
    return float(np.linalg.eigvalsh(total)[-1])


def _moment_of_nonzeros(X, v, unit):
    """Return ``[X, 1]' [X, 1] v`` for sparse rows that are divided by a unit."""
    projected = X @ v[:-1] / unit + v[-1]
    return np.append(X.T @ projected / unit, projected.sum())


def exact_prox(objective: Objective, largest):
    r"""Return the proximal map of the penalty of sigmoid codes.

    The minimiser of :math:`e\lambda g(\theta) + \tfrac12\|\theta - v\|^2` is the fixed
    point of :math:`\theta = v - e \lambda \nabla g(\theta)`, a contraction for
    :math:`e \le` ``largest``.

    Parameters
    ----------
    objective : Objective
        Objective with the rows and the model.
    largest : float
        As ``largest_exact_step`` returns it.

    Returns
    -------
    prox : callable, (theta, step) -> theta
        Proximal map, exact up to rounding; infinite for a longer step, which the inner
        method then rejects.
    """

    def prox(v, step):
        if step > largest:
            return np.full_like(v, np.inf)
        theta, size = v, float(np.linalg.norm(v)) + 1.0
        for _ in range(MOST_PASSES):
            before = theta
            theta = v - v.dtype.type(step) * objective.penalty_slope(before)
            if np.linalg.norm(theta - before) <= np.finfo(v.dtype).eps * size:
                break
        return theta

    return prox
