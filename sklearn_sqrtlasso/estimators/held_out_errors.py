"""Errors on the held-out rows of folds, of which a penalty is chosen.

Where columns outnumber the rows of a training side, small penalties interpolate even
noise, by as many columns as there are rows, and solutions on the way there take most of
the time. The path of a training side is left where more than half of these are in use
and the error on held-out rows has grown. The grid ends there for all folds, if errors
have grown for all.
"""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.blockwise.linalg import unit_near
from sklearn_sqrtlasso.estimators.sparse_regressor import rows_that_weigh
from sklearn_sqrtlasso.regression.fit import Fit

AGAIN = 5  # penalties after which errors of all folds are compared again
MANY = 256  # columns in use from which a path takes long
TIE = 1e-9  # relative difference of errors that may be rounding
GROWN = (
    1.02  # error, over the smallest one at larger penalties, from which a grid may end
)


class Grid(NamedTuple):
    """Penalties, and shares of them that are kept on the support.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
        Penalties in decreasing order, in units of X.
    phis : ndarray of shape (n_phis,)
        Shares, in [0, 1].
    """

    alphas: np.ndarray
    phis: np.ndarray

    def first(self, n_alphas):
        """Return the grid of the largest penalties.

        Parameters
        ----------
        n_alphas : int
            Their number.

        Returns
        -------
        grid : Grid
            With all shares.
        """
        return self._replace(alphas=self.alphas[:n_alphas])

    def after(self, n_alphas):
        """Return the grid of all but the largest penalties.

        Parameters
        ----------
        n_alphas : int
            Number of those left out.

        Returns
        -------
        grid : Grid
            With all shares.
        """
        return self._replace(alphas=self.alphas[n_alphas:])


class HeldOut(NamedTuple):
    """Errors on the held-out rows of a fold.

    Attributes
    ----------
    mse : ndarray of shape (n_phis, n_alphas)
        Mean squares, in squares of units.
    units : ndarray of shape (n_phis, n_alphas)
        The units, powers of two.
    gaps : ndarray of shape (n_alphas,)
        Relative duality gaps of the fits.
    weight : float
        Sum of the weights of the rows.
    last : Fit
        That of the smallest penalty that was solved, from which a path may go on.
    """

    mse: np.ndarray
    units: np.ndarray
    gaps: np.ndarray
    weight: float
    last: Fit

    def join(self, other):
        """Return these errors, and those of smaller penalties.

        Parameters
        ----------
        other : HeldOut
            Errors on the same rows.

        Returns
        -------
        errors : HeldOut
            All of them.
        """
        pairs = zip(self[:3], other[:3], strict=True)
        joined = (np.concatenate(pair, axis=-1) for pair in pairs)
        return HeldOut(*joined, *other[3:])

    def first(self, n_alphas):
        """Return the errors for the largest penalties.

        Parameters
        ----------
        n_alphas : int
            Their number.

        Returns
        -------
        errors : HeldOut
            The first ones of each share.
        """
        kept = (values[..., :n_alphas] for values in self[:3])
        return HeldOut(*kept, *self[3:])

    @property
    def smallest(self):
        """Return the smallest root mean square.

        Returns
        -------
        rmse : float
            Over all shares and penalties.
        """
        return float(np.min(self.units * np.sqrt(self.mse)))


class HeldOutRows(NamedTuple):
    """The held-out rows of a fold.

    Attributes
    ----------
    X : {ndarray, sparse matrix} of shape (n_samples, n_features)
        All rows.
    y, weights : ndarray of shape (n_samples,)
        Target and weights of all rows.
    places : ndarray
        Which of them are held out.
    """

    X: Any
    y: np.ndarray
    weights: np.ndarray
    places: np.ndarray

    def mean_squares(self, fits, intercepts):
        """Return the mean squared errors of fits.

        Parameters
        ----------
        fits : list of Fit
            The fits; only columns that one of them uses are read.
        intercepts : ndarray of shape (n_fits,)
            Their intercepts.

        Returns
        -------
        mse : ndarray of shape (n_fits,)
            Mean squares, in squares of units; may be infinite.
        units : ndarray of shape (n_fits,)
            The units, powers of two.
        """
        X, y, weights, places = self
        on = np.unique(np.concatenate([fit.features for fit in fits]))
        coef = np.zeros((len(on), len(fits)))
        for k, fit in enumerate(fits):
            coef[np.searchsorted(on, fit.features), k] = fit.values
        X = X[:, on][places] if sp.issparse(X) else X[np.ix_(places, on)]
        X, y, weights = rows_that_weigh(X, y[places], weights[places])
        with np.errstate(over="ignore", invalid="ignore"):
            wrong = np.abs(X @ coef + intercepts - y[:, None])
        wrong[np.isnan(wrong)] = np.inf  # of predictions that are out of range
        units = unit_near(np.minimum(wrong.max(axis=0), np.finfo(np.float64).max))
        return np.average((wrong / units) ** 2, axis=0, weights=weights), units


class EarlyStopping:
    """Whether a path ends, as it follows the noise of training rows.

    Parameters
    ----------
    rows : HeldOutRows
        The rows that tell.
    rank : int
        Largest number of columns in use: as many interpolate any target.
    """

    def __init__(self, rows, rank):
        self.rows, self.rank, self.errors = rows, rank, []

    def __call__(self, fit, intercept):
        """Return whether many columns are in use, and the error has grown.

        Parameters
        ----------
        fit : Fit
            The fit of the next penalty.
        intercept : float
            Its intercept.

        Returns
        -------
        ends : bool
            Whether smaller penalties may be left out.
        """
        few = max(self.rank / 2, MANY)
        if not few < self.rank <= fit.n_features:
            return False
        mse, units = self.rows.mean_squares([fit], np.array([intercept]))
        self.errors.append(units[0] * np.sqrt(mse[0]))
        return len(fit.features) > few and bool(grow(np.array(self.errors)))


def pooled_errors(folds):
    """Return root mean squares over folds, whose squares may be out of range.

    Parameters
    ----------
    folds : list of HeldOut
        Errors for as many penalties of each; mean squares may be infinite.

    Returns
    -------
    errors : ndarray of shape (n_phis, n_alphas)
        Roots of the means of squares, weighted as the rows.
    """
    units, mse = (
        np.array([getattr(fold, n) for fold in folds]) for n in ("units", "mse")
    )
    top, shares = units.max(axis=0), [fold.weight for fold in folds]
    with np.errstate(over="ignore", under="ignore"):
        pooled = np.average(mse * (units / top) ** 2, axis=0, weights=shares)
        return top * np.sqrt(pooled)


def best_place(errors):
    """Return the place of the smallest error, the first of those that tie with it.

    Where residuals have vanished, smaller penalties have the same solution, but for
    rounding.

    Parameters
    ----------
    errors : ndarray of shape (n_phis, n_alphas)
        Errors; may be infinite.

    Returns
    -------
    place : tuple of int
        Places of the share and the penalty.
    """
    ties = errors <= (1 + TIE) * errors.min()
    return np.unravel_index(np.argmax(ties), errors.shape)


def have_grown(folds):
    """Return whether errors of all folds together grow, for each share.

    Parameters
    ----------
    folds : list of HeldOut
        Errors for as many penalties of each.

    Returns
    -------
    grown : bool
        Whether smaller penalties are worse.
    """
    return bool(np.all(grow(pooled_errors(folds))))


def grow(errors):
    """Return whether the last errors are above the smallest ones, and do not fall.

    Parameters
    ----------
    errors : ndarray of shape (..., n_alphas)
        Errors for decreasing penalties.

    Returns
    -------
    grown : ndarray of shape (...,)
        Booleans.
    """
    last, before = errors[..., -1], errors[..., -2:][..., 0]
    return (last > GROWN * errors.min(axis=-1)) & (last >= before)
