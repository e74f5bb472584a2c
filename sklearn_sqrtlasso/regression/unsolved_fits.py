"""Report which regressions were not solved, or found nothing, and why."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_sqrtlasso.blockwise.callers import warn_caller
from sklearn_sqrtlasso.regression.pivotal_penalty import asymptotic_level

CONFIDENCE = 0.95  # that no column of noise is called hidden
APART = 1e3  # ratio of norms of columns from which small ones may be hidden
SURELY = 1 + 1e-6  # above the correlation of copies of a column in use
ROUNDING = 1e-8  # share of the target that is left where nothing is


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
    n_unsolved = np.size(gaps) - np.count_nonzero(np.asarray(gaps) <= tol)
    if n_unsolved:
        warn_caller(
            f"{n_unsolved} of {np.size(gaps)} fits did not reach the relative duality "
            f"gap tol={tol:.1e} in max_iter={max_iter} outer iterations; the "
            f"largest gap is {np.max(gaps):.1e}. Raise max_iter, tol or alpha; if that "
            "does not help, features are too large or too similar for this alpha in "
            "double precision.",
            ConvergenceWarning,
        )


def warn_hidden_columns(design, targets, fits, alpha):
    """Emit one warning if coefficients may be zero because scales of columns differ.

    Columns are small if the norm of the largest is more than 1000 times theirs. They
    may be hidden if none of them has a coefficient. A column is hidden if it would have
    one if it were scaled to the smallest column that has one, or to the largest column
    if all coefficients are zero, and if it correlates with the residual more than noise
    does.

    Parameters
    ----------
    design : Design
        The columns.
    targets : iterable
        Targets, as ``design.target`` takes them.
    fits : iterable of Fit
        Their fits.
    alpha : float
        Penalty, in units of X.
    """
    if alpha == 0 or not design.live.any():
        return
    if not len(_small_columns(design)[0]):  # by estimates
        return
    small, apart, largest = _small_columns(design.measure_exactly())
    # A column of noise is to be found in one of twenty such designs only.
    noise = asymptotic_level(design.shape[1], design.rank, CONFIDENCE)
    for target, fit in zip(targets, fits, strict=True):
        on = fit.features
        if not len(small) or np.isin(on, small).any():
            continue
        with np.errstate(over="ignore"):  # the penalty, for columns of norm one
            used = _log_sizes(design.norms_of(on), design.exponents_of(on))
            share = np.exp2(np.log2(alpha) - used.min(initial=largest))
        if _largest_cosine(design, target, fit) > SURELY * max(share, noise):
            which = "All coefficients"
            if len(on):
                which += " of features of small scale"
            warn_caller(
                f"{which} are zero at alpha={alpha:.3g}, but scales of features differ "
                f"by a factor of 1e{apart * np.log10(2):.0f}: a penalty for the "
                "largest hides the others. Scale the features first, for example by "
                "sklearn.preprocessing.StandardScaler.",
                UserWarning,
            )
            return


def _small_columns(design):
    """Return the columns that are small, how far norms are apart, and the largest.

    The latter are logarithms to base 2.
    """
    logs = _log_sizes_of_all(design)
    largest = np.fmax.reduce(logs)
    small = np.flatnonzero(logs < largest - np.log2(APART))
    return small, largest - np.fmin.reduce(logs), largest


def _log_sizes(norms, exponents):
    """Return logarithms to base 2 of norms of columns in units of X."""
    return np.log2(norms) + exponents


def _log_sizes_of_all(design):
    """Return these of all columns in single precision, NaN for constants."""
    logs = np.empty(design.shape[1], dtype=np.float32)
    for part in design.slices():
        with np.errstate(divide="ignore"):
            sizes = _log_sizes(design.norms_of(part), design.exponents_of(part))
        logs[part] = np.where(design.live[part], sizes, np.nan)
    return logs


def _largest_cosine(design, target, fit):
    """Return how much a column that is not in use correlates with the residual."""
    y, exponent = design.target(target)[:2]
    on = fit.features
    w = np.ldexp(fit.values, design.exponents_of(on) - exponent)
    residual = y - design.apply(design.columns(on), w) if len(on) else y
    size = np.linalg.norm(residual)
    if size <= ROUNDING * np.linalg.norm(y):
        return 0.0
    largest, residual = 0.0, residual / size
    for part, c in design.correlate_parts(residual):
        used = on[(on >= part.start) & (on < part.stop)]
        idle = design.live[part].copy()
        idle[used - part.start] = False
        cosines = np.abs(c[idle]) / design.norms_of(part)[idle]
        largest = max(largest, cosines.max(initial=0.0))
    return largest
