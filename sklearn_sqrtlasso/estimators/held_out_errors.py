"""Errors on the held-out rows of folds, of which a penalty is chosen.

Where columns outnumber the rows of a training side, small penalties interpolate even
noise, by as many columns as there are rows, and the solutions next to that take most
of the time. The path of a training side is left where it comes close, and the grid ends
there for all folds, if the errors of held-out rows have grown since their minimum.
"""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.regression.fit import Fit

TIE = 1e-9  # relative difference of errors that may be rounding
GROWN = 1.02  # error, over the smallest one at larger penalties, from which a grid ends


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
        """The smallest root mean square."""
        return float(np.min(self.units * np.sqrt(self.mse)))


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
    """Return whether the last error of each share is far above its smallest one.

    Parameters
    ----------
    folds : list of HeldOut
        Errors for as many penalties of each.

    Returns
    -------
    grown : bool
        Whether smaller penalties are worse.
    """
    errors = pooled_errors(folds)
    return bool(np.all(errors[:, -1] > GROWN * errors.min(axis=1)))
