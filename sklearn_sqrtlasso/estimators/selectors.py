"""Which selectors, penalties and atoms of a sparse coder make sense together."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

COUNTED = ("omp", "ols", "topk", "iti")  # selectors that know n_nonzero_coefs
SMALLEST, LARGEST = 1e-50, 1e50  # entries of atoms whose inner products have digits


def check_selector(selector, n_nonzero_coefs, alpha):
    """Raise an error that says what to use where parameters contradict each other.

    Parameters
    ----------
    selector : str
        Name of a coder.
    n_nonzero_coefs : int or None
        Number of atoms.
    alpha : float or "pivotal"
        Penalty.
    """
    count = n_nonzero_coefs
    if count is not None and selector not in COUNTED:
        raise ValueError(
            f"n_nonzero_coefs={count} is not known to selector={selector!r}; use one "
            f"of {COUNTED}, or None and alpha."
        )
    if count is not None or selector in ("sqrt_lasso", "iti"):
        return
    if selector == "topk":
        raise ValueError("selector='topk' needs n_nonzero_coefs, got None.")
    if isinstance(alpha, str):
        other = " or n_nonzero_coefs" if selector in COUNTED else ""
        raise ValueError(
            f"alpha={alpha!r} has no meaning for selector={selector!r}: give a number"
            f"{other}, or use selector='sqrt_lasso'."
        )


def check_dictionary(dictionary, n_components, n_features):
    """Return given atoms as an array, or raise an error.

    Parameters
    ----------
    dictionary : array-like of shape (n_components, n_features)
        Atoms.
    n_components : int or None
        Number of atoms that is asked for.
    n_features : int
        Number of features of the rows.

    Returns
    -------
    D : ndarray of shape (n_components, n_features)
        The atoms, in double precision.
    """
    D = np.asarray(dictionary, dtype=np.float64)
    shape = (n_components or len(np.atleast_1d(D)), n_features)
    if D.shape != shape or not np.all(np.isfinite(D)):
        raise ValueError(
            f"dictionary must be finite and have shape (n_components, n_features) = "
            f"{shape}, got shape {D.shape}."
        )
    top = np.abs(D).max()
    if not (top == 0 or SMALLEST < top < LARGEST):
        raise ValueError(
            f"the largest entry of dictionary must be in [{SMALLEST}, {LARGEST}], got "
            f"{top:.3g}; use another unit."
        )
    return D


def dense(X):
    """Return rows as an array in double precision.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        The rows.
    """
    X = X.toarray() if hasattr(X, "toarray") else X
    return np.asarray(X, dtype=np.float64)


def power_of_two(X):
    """Return the power of two that brings the largest entry near 1.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows, in double precision.

    Returns
    -------
    unit : float
        The power of two, in [2**-1000, 2**1000].
    """
    exponent = np.frexp(np.abs(X).max())[1]
    return float(2.0 ** -np.clip(exponent, -1000, 1000))


def check_alone(runs):
    """Raise an error if rows share a residual scale.

    Parameters
    ----------
    runs : Runs
        Runs of rows.
    """
    if runs.order is not None or len(runs.starts) - 1 != runs.n_rows:
        raise ValueError(
            "groups must be None: RelaxedSparseCoder codes each row on its own; "
            "SqrtLassoTransform knows rows that share a noise level."
        )


def warn_unsolved(n_unsolved, n_rows, rule):
    """Warn once of the rows that were not solved, if there are any.

    Parameters
    ----------
    n_unsolved : int
        Number of rows that were not solved.
    n_rows : int
        Number of rows.
    rule : Rule
        How they were coded.
    """
    if n_unsolved:
        warnings.warn(
            f"{n_unsolved} of {n_rows} rows were not solved to "
            f"transform_tol={rule.tol:g} within transform_max_iter={rule.max_iter}."
            " Atoms that are nearly alike, or an alpha close to 0, make this likely.",
            ConvergenceWarning,
            stacklevel=4,
        )
