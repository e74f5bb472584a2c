"""Lower bounds of the minimum of a regression, and duality gaps."""

import numpy as np

MOST = 2000  # columns without a penalty, of which the largest span is computed
INSIDE = 1e-12  # eigenvalue, relative to the largest, from which its direction counts
ROUNDING = 64 * np.finfo(np.float64).eps  # norm of a combination that vanishes
MET = 1024 * np.finfo(np.float64).eps  # correlation that counts as zero
ROUNDS = 3  # of correction: each leaves a rounding of the one before
LOST = 64 * np.finfo(np.float64).eps  # rounding of a product of columns of norm one


def dual_value(y, theta, c, alpha, positive):
    """Return the dual objective of a direction, scaled until it is feasible.

    Parameters
    ----------
    y, theta : ndarray of shape (n_samples,)
        Target and direction.
    c : ndarray of shape (n_features,)
        Correlations of the direction.
    alpha : ndarray of shape (n_features,)
        Penalties; where one is zero, a correlation that is not is infinitely larger.
    positive : bool
        Whether coefficients are nonnegative.

    Returns
    -------
    value : float
        Lower bound of the minimum, at least 0.
    """
    size = np.maximum(c, 0) if positive else np.abs(c)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        ratio = float(np.fmax.reduce(size / alpha, initial=0.0))  # 0 / 0 is no number
        if not np.isfinite(c @ c):  # a path among rounding errors
            return 0.0
    over = max(np.linalg.norm(theta), ratio)
    return max(float(y @ theta / over), 0.0) if over > 0 else 0.0


def _lost_directions(design, features, vectors, reduced):
    """Return orthonormal directions of a span that are lost in its Gram matrix.

    They are computed from the columns; where these vanish, columns are dependent.
    """
    block, vanishes = design.columns(features), ROUNDING * np.sqrt(len(features))
    mixed = vectors @ np.random.default_rng(0).standard_normal(vectors.shape[1])
    directions: list = []
    if np.linalg.norm(reduced(design.apply(block, mixed))) <= vanishes:
        return directions  # all of them vanish where a random combination does
    for z in vectors.T:
        e = reduced(design.apply(block, z))
        for other in directions:
            e = e - other * (other @ e)
        size = np.linalg.norm(e)
        if size > vanishes:
            directions.append(e / size)
    return directions


def correct(design, features, theta, goal):
    """Move a vector within the span of some columns to given correlations with them.

    Parameters
    ----------
    design : Design
        The columns.
    features : ndarray of shape (n_columns,)
        The columns of the span.
    theta : ndarray of shape (n_samples,)
        The vector.
    goal : ndarray of shape (n_columns,)
        The correlations, zero for columns that depend on others.

    Returns
    -------
    theta : ndarray of shape (n_samples,)
        The vector of these correlations, up to rounding.
    """
    block = design.columns(features)
    values, vectors = np.linalg.eigh(design.gram(block, block))
    inside = values > INSIDE * values[-1]
    if np.count_nonzero(inside) >= design.rank and not goal.any():
        return np.zeros_like(theta)
    shares = vectors[:, inside] / values[inside] @ vectors[:, inside].T

    def moved(v, goal=0.0):
        for _ in range(ROUNDS):
            excess = design.correlate(v)[features] - goal
            v = v - design.apply(block, shares @ excess)
        return v

    lost: list = []
    if not inside.all():
        lost = _lost_directions(design, features, vectors[:, ~inside], moved)
    theta = moved(theta, goal)
    for _ in range(ROUNDS if lost else 0):
        for e in lost:
            theta = theta - e * (e @ theta)
        theta = moved(theta, goal)
    return theta


def value_without_penalties(design, y, r, alpha, free, signs, positive):
    """Return a lower bound of the minimum from columns that have no penalty.

    Without some of the penalties the minimum is not larger. A dual point is then
    orthogonal to their columns, which is exact up to rounding however small the
    penalties are. Scaled by the ratio of a correlation that is a rounding error and a
    small penalty, it would be zero.

    Parameters
    ----------
    design : Design
        The columns.
    y, r : ndarray of shape (n_samples,)
        Target and residual.
    alpha : ndarray of shape (n_features,)
        Penalties.
    free : ndarray of shape (n_features,)
        Booleans: columns whose penalties are set to zero.
    signs : ndarray of shape (n_features,)
        Signs of the coefficients.
    positive : bool
        Whether coefficients are nonnegative.

    Returns
    -------
    value : float
        Lower bound of the minimum, at least 0.
    """
    zero = free & (signs != 0) if positive else free.copy()
    values = [0.0]
    for start in (r, np.zeros_like(r)):  # where the residual vanishes, it has a limit
        theta, size = start, np.linalg.norm(start) or 1.0
        for _ in range(ROUNDS):
            features = np.flatnonzero(zero | (~free & (signs != 0)))
            if len(features) > MOST:
                return 0.0
            if len(features):
                goal = np.where(free, 0.0, alpha * signs)[features] * size
                theta = correct(design, features, start, goal)
            c, norm = design.correlate(theta), np.linalg.norm(theta)
            missing = free & ~zero & (c > ROUNDING * norm)
            zero |= missing
            if not missing.any() and (norm <= size or not start.any()):
                break
            size = norm if start.any() else 1.0
        # Otherwise the columns span the target, or the goals contradict each other.
        if norm > ROUNDING * size and np.abs(c[zero]).max(initial=0) <= MET * norm:
            c[zero | (free & (c <= ROUNDING * norm))] = 0
            values.append(dual_value(y, theta, c, alpha, positive))
    return max(values)


def gap_of_moments(w, b, c, alpha, positive):
    """Return an upper bound of the gap from products of columns and target of norm one.

    Parameters
    ----------
    w : ndarray of shape (n_features,)
        Coefficients.
    b, c : ndarray of shape (n_features,)
        Products of the columns with target and residual.
    alpha : ndarray of shape (n_features,)
        Penalties, positive.
    positive : bool
        Whether coefficients are nonnegative.

    Returns
    -------
    gap : float
        Relative duality gap, and what rounding of moments may hide of it.
    """
    terms = 1.0 + np.abs(w).sum()
    square, lost = max(1.0 - w @ (b + c), 0.0), LOST * terms
    sigma = np.sqrt(square + lost * terms)
    size = (np.maximum(c, 0.0) if positive else np.abs(c)) + lost
    scale = max(sigma, (size / alpha).max())
    penalty = alpha @ np.abs(w)
    return float(sigma + penalty - max((1.0 - w @ b - lost) / scale, 0.0))
