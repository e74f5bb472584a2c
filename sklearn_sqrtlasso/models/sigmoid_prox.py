"""Proximal map of the penalty of sigmoid codes, as a function of the encoder."""

import numpy as np

from sklearn_sqrtlasso.models.biased_autoencoder import Objective
from sklearn_sqrtlasso.models.block import split_block

CONTRACTION = 0.8  # largest rate of the fixed point
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

    def moment(rows):
        x = objective.rows(rows)
        x = np.hstack([x, np.ones((len(x), 1), x.dtype)])
        return x.T @ x

    penalty = objective.model.penalty
    if penalty == 0:
        return np.inf
    total = sum(objective.pmap(moment, objective.slices)).astype(np.float64)
    top = float(np.linalg.eigvalsh(total)[-1]) / objective.n_rows
    return CONTRACTION / (objective.model.encoder.curvature * penalty * top)


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
    model = objective.model
    by_code = model.penalty / objective.n_rows

    def share(encoder, rows):
        x = objective.rows(rows)
        z, memory = objective.code(*split_block(encoder, model.shape), x)
        H, by_b = model.encoder.pull_back(z, memory, np.full_like(z, by_code))
        return 0.0, H.T @ x, by_b

    gradient = objective.block(share, None).evaluate

    def prox(v, step):
        if step > largest:
            return np.full_like(v, np.inf)
        theta, size = v, float(np.linalg.norm(v)) + 1.0
        for _ in range(MOST_PASSES):
            before, theta = theta, v - v.dtype.type(step) * gradient(theta)[1]
            if np.linalg.norm(theta - before) <= np.finfo(v.dtype).eps * size:
                break
        return theta

    return prox
