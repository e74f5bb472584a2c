"""The certificate by which every solution is judged: a relative duality gap."""

import numpy as np

from sklearn_sqrtlasso.solvers.rows import Runs, single_rows


def shrinkage_gap(U, Z, alpha, rest=None, *, positive=False, runs: Runs | None = None):
    r"""Return the relative duality gap of codes of the shrinkage problem.

    .. math::
        \min_z \sqrt{\tfrac1m \textstyle\sum_b (\|u_b - z_b\|^2 + \rho_b^2)}
        + \tfrac1m \textstyle\sum_{bi} \alpha_i |z_{bi}|
        \;=\; \max_\theta \langle u, \theta\rangle + \langle \rho, \theta_0\rangle

    over :math:`\|(\theta, \theta_0)\|_2 \le 1/\sqrt m` and
    :math:`|\theta_{bi}| \le \alpha_i / m` (only from above for nonnegative codes). The
    dual point is the residual scaled into that set, or the point that optimality
    demands, with :math:`\alpha_i \operatorname{sign}(z_{bi})` at the active entries,
    which is exact where the residual is lost in rounding: whichever certifies more.

    Parameters
    ----------
    U, Z : ndarray of shape (n_samples, n_components)
        What was shrunk, and its codes.
    alpha : float or ndarray of shape (n_components,)
        Penalty, pure numbers.
    rest : ndarray of shape (n_samples,), default=None
        Norm out of reach of each row, in units of ``U``; None is zero.
    positive : bool, default=False
        Whether codes are nonnegative.
    runs : Runs, default=None
        Rows that share a residual scale, as ``solvers.rows.runs_of_groups`` returns
        them; None lets every row stand alone.

    Returns
    -------
    gap : ndarray of shape (n_runs,)
        The objective exceeds its minimum by at most ``gap`` times the root mean square
        norm of the rows of the run; a pure number.
    """
    runs = single_rows(len(U)) if runs is None else runs
    order = slice(None) if runs.order is None else runs.order
    U = np.asarray(U, dtype=np.float64)[order]
    Z = np.asarray(Z, dtype=np.float64)[order]
    rest = np.zeros(len(U)) if rest is None else np.asarray(rest, np.float64)[order]
    alpha = np.broadcast_to(np.asarray(alpha, np.float64), U.shape[1:])
    bounds = zip(runs.starts[:-1], runs.starts[1:], strict=True)
    return np.array(
        [
            _gap_of_run(U[lo:hi], Z[lo:hi], alpha, rest[lo:hi], positive)
            for lo, hi in bounds
        ]
    )


def _gap_of_run(U, Z, alpha, rest, positive):
    m = len(U)
    size = max(np.abs(U).max(initial=0), rest.max(initial=0))
    if size == 0:
        return 0.0
    U, Z, rest = U / size, Z / size, rest / size
    R = U - Z
    norm = np.sqrt((np.sum(R**2) + np.sum(rest**2)) / m)
    signs, off = alpha * np.sign(Z), np.where(Z != 0, 0, R)
    room = m - np.sum(signs**2)
    t = np.sqrt((np.sum(off**2) + np.sum(rest**2)) / room) if room > 0 else norm
    points = [(R, rest), (signs, np.zeros(m)), (off + t * signs, rest)]
    dual = max(_dual_value(U, rest, alpha, positive, *point) for point in points)
    primal = norm + np.sum(alpha * np.abs(Z)) / m
    return (primal - dual) / np.sqrt((np.sum(U**2) + np.sum(rest**2)) / m)


def _dual_value(U, rest, alpha, positive, theta, theta_rest):
    """Scale a dual point into the feasible set, and return its value."""
    m = len(U)
    pull = np.maximum(theta, 0) if positive else np.abs(theta)
    with np.errstate(divide="ignore", invalid="ignore"):
        over = np.where(pull > 0, pull / alpha, 0.0).max()
    norm = np.sqrt((np.sum(theta**2) + np.sum(theta_rest**2)) / m)
    value = np.sum(U * theta) + np.sum(rest * theta_rest)
    return value / (m * (max(norm, over) or 1.0))
