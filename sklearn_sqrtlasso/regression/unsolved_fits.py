"""Report which regressions were not solved, or found nothing, and why."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_sqrtlasso.blockwise.callers import warn_caller
from sklearn_sqrtlasso.regression.pivotal_penalty import asymptotic_level

CONFIDENCE = 0.95  # that no column of noise is called hidden
APART = 1e3  # ratio of norms of columns from which small ones may be hidden


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
        warn_caller(
            f"{n_unsolved} of {np.size(gaps)} fits did not reach the relative duality "
            f"gap tol={tol:.1e} in max_iter={max_iter} outer iterations; the "
            f"largest gap is {np.max(gaps):.1e}. Raise max_iter, tol or alpha; if that "
            "does not help, features are too large or too similar for this alpha in "
            "double precision.",
            ConvergenceWarning,
        )


def warn_hidden_columns(design, targets, coef, alpha):
    """Emit one warning if coefficients may be zero because scales of columns differ.

    A column is hidden if its correlation with a target, both of norm one, is above the
    penalty over the norm of the largest column, and above what noise has.

    Parameters
    ----------
    design : Design
        The columns.
    targets : ndarray of shape (n_targets, n_samples)
        Targets.
    coef : ndarray of shape (n_targets, n_features)
        Coefficients.
    alpha : float
        Penalty, in units of X.
    """
    if coef.any() or alpha == 0 or not (targets.any() and design.norms.any()):
        return
    live = design.norms > 0
    logs = np.log2(design.norms[live]) + design.exponents[live]
    if np.ptp(logs) <= np.log2(APART):
        return
    with np.errstate(over="ignore"):  # the penalty, over the norm of the largest column
        share = np.exp2(np.log2(alpha) - logs.max())
    # A column of noise is to be found in one of twenty such designs only.
    noise = asymptotic_level(design.shape[1], design.rank, CONFIDENCE)
    share = max(share, noise)
    for target in targets:
        y, _ = design.centered(
            np.ldexp(target, -int(np.frexp(np.abs(target).max())[1]))
        )
        found = np.abs(design.correlate(y)) > share * design.norms * np.linalg.norm(y)
        if np.any(found & live):
            warn_caller(
                f"All coefficients are zero at alpha={alpha:.3g}, but scales of "
                f"features differ by a factor of 1e{np.ptp(logs) * np.log10(2):.0f}: a "
                "penalty for the largest hides the others. Scale the features first, "
                "for example by sklearn.preprocessing.StandardScaler.",
                UserWarning,
            )
            return
