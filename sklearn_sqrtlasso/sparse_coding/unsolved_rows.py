"""Report which rows were not solved, and why."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_sqrtlasso.blockwise.callers import warn_caller


def warn_unsolved_rows(gap, tol, max_iter):
    """Emit one warning about all rows that were not solved, if any.

    Parameters
    ----------
    gap : ndarray of shape (n_samples,)
        Relative duality gap of each row; infinite if a selector without a certificate
        did not converge.
    tol : float
        Gap up to which a row counts as solved.
    max_iter : int
        Largest number of active sets tried for a row.
    """
    unsolved = ~(gap <= tol)
    if unsolved.any():
        worst = int(np.argmax(np.where(np.isnan(gap), np.inf, gap)))
        message = (
            f"{np.sum(unsolved)} of {len(gap)} rows were not solved to "
            f"transform_tol={tol:g} within transform_max_iter={max_iter}"
        )
        if not np.isposinf(gap[worst]):
            message += (
                f"; the worst is row {worst} with a relative duality gap of "
                f"{gap[worst]:.1e}. Likely causes are nearly identical atoms or an "
                "alpha close to 0: remove such atoms, or raise alpha, "
                "transform_max_iter or transform_tol. duality_gap(X) returns the gap of"
                " each row."
            )
        else:
            message += (
                f", among them row {worst}, whose support was still changing. Raise "
                "transform_max_iter, or use another selector."
            )
        warn_caller(message, ConvergenceWarning)
