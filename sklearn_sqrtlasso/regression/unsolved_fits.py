"""Report which regressions were not solved, and why."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning


def warn_unsolved_fits(gaps, tol, max_iter):
    """Emit one warning about all regressions that were not solved, if any.

    Parameters
    ----------
    gaps : ndarray
        Relative duality gaps.
    tol : float
        Gap up to which a regression counts as solved.
    max_iter : int
        Largest number of outer iterations.
    """
    n_unsolved = int(np.sum(~(np.asarray(gaps) <= tol)))
    if n_unsolved:
        warnings.warn(
            f"{n_unsolved} of {np.size(gaps)} fits did not reach the relative duality "
            f"gap tol={tol:.1e} in max_iter={max_iter} outer iterations; the "
            f"largest gap is {np.max(gaps):.1e}. Raise max_iter, tol or alpha.",
            ConvergenceWarning,
            stacklevel=3,
        )
