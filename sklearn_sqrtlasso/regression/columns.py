"""Columns of a regression in units of their own, and penalties in these units."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

ALIKE = 6  # powers of two from the typical norm within which columns share its unit
LARGEST = 1e100  # of a penalty in units of a column, whose norm is about one


class Target(NamedTuple):
    """A target like the columns of a design: centred, weighted, in a unit of its own.

    Attributes
    ----------
    vector : ndarray of shape (n_samples,) or None
        The target, zero if it is constant; None where only its norm is needed.
    exponent : int
        Logarithm to base 2 of its unit.
    mean : float
        Its weighted mean in that unit; 0 without an intercept.
    place : int
        Its number, of several that share moments.
    norm : float
        Its norm.
    """

    vector: np.ndarray | None
    exponent: int
    mean: float
    place: int = 0
    norm: float = 0.0

    def without_vector(self):
        """Return the rest of it, with its norm."""
        return self._replace(vector=None, norm=float(np.linalg.norm(self.vector)))


def shared_exponents(exponents, live):
    """Return units of columns, one for all of about the typical size.

    Parameters
    ----------
    exponents : ndarray of shape (n_features,)
        Logarithms to base 2 of the sizes of columns.
    live : ndarray of shape (n_features,)
        Booleans: columns that are not constant.

    Returns
    -------
    exponents : ndarray of shape (n_features,)
        Logarithms to base 2 of their units.
    """
    order = exponents[live]
    order.sort()
    typical = int(order[len(order) // 2]) if len(order) else 0
    alike = ~live | (np.abs(exponents - typical) <= ALIKE)
    return np.where(alike, typical, exponents)


class Columns(ABC):
    """Columns with units that are powers of two, and their products.

    Attributes
    ----------
    dtype : dtype
        That of the features.
    exponents : ndarray of shape (n_features,)
        Logarithms to base 2 of the units, which may be out of the range of numbers.
    means : ndarray of shape (n_features,)
        Weighted means in these units; 0 without an intercept.
    norms : ndarray of shape (n_features,)
        Norms of the columns; 0 for those that are constant, which are zero.
    loadings : float or ndarray of shape (n_features,)
        Penalties of coefficients, as multiples of the penalty; 1 until ``load``.
    has_rows : bool
        Whether there is more than products of columns.
    """

    has_rows = True

    @property
    def is_converted(self):
        """Whether columns are converted to double precision whenever they are read."""
        return self.dtype == np.float32

    def load(self, loadings):
        """Make the penalty of each coefficient a multiple of the penalty.

        Parameters
        ----------
        loadings : float or ndarray of shape (n_features,)
            The multiples, in (0, inf]; a coefficient of an infinite one is zero. If
            they are not pure numbers, penalties are in units of X over theirs.
        """
        self.loadings = loadings
        halves, exponents = np.frexp(loadings)
        self._shares, self._share_exponents = 2 * halves, exponents - 1

    def penalties(self, alpha):
        """Return a penalty in units of each column, from 0 to a large number."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            alpha = float(alpha) * self._shares
            units = self.exponents - self._share_exponents
            return np.fmin(np.ldexp(alpha, -units), LARGEST)

    def in_units_of_x(self, values):
        """Return numbers in units of the columns as ``(numbers, exponent)``.

        They are in units of X, over loadings, times two to the power of the exponent,
        which is that of the largest such unit of a column that is not constant.
        """
        exponents = self.exponents - self._share_exponents
        top = int(exponents[self.norms > 0].max(initial=-(10**4)))
        top = 0 if top == -(10**4) else top
        with np.errstate(under="ignore"):
            values = values / self._shares
            return np.ldexp(values, np.minimum(exponents - top, 0)), top

    def measure_exactly(self):
        """Measure all columns, unless their norms are exact; return the design."""
        return self

    def largest_norm(self):
        """Return the largest norm of a column, in units of X."""
        self.measure_exactly()
        norms, exponent = self.in_units_of_x(self.norms)
        return float(np.ldexp(norms.max(initial=0.0), exponent))

    @abstractmethod
    def target(self, y):
        """Return a ``Target``, given as the kind of design takes it."""

    @abstractmethod
    def lost_gap(self, fit, target, alpha, positive):
        """Return by how much rounding may raise the gap of a fit.

        Parameters
        ----------
        fit : Fit
            A fit in units of the columns and of the target.
        target : Target
            The target, without its vector.
        alpha : float
            Its penalty, in units of X.
        positive : bool
            Whether coefficients are nonnegative.
        """

    @abstractmethod
    def correlate(self, r):
        """Return the products of all columns with ``r``, of shape (n_features,)."""

    @abstractmethod
    def columns(self, features):
        """Return the columns of some features, a block for the methods below."""

    @abstractmethod
    def join(self, blocks):
        """Return blocks of columns side by side."""

    @abstractmethod
    def gram(self, left, right):
        """Return the products of two blocks of columns, a dense matrix."""

    @abstractmethod
    def apply(self, block, w):
        """Return the sum of the columns of a block, weighted by ``w``."""

    def are_equal(self, one, other):
        """Return which pairs of columns are known to be equal.

        Parameters
        ----------
        one, other : ndarray of shape (n_pairs,)
            The features.

        Returns
        -------
        equal : ndarray of shape (n_pairs,)
            Booleans.
        """
        return np.zeros(len(one), dtype=bool)

    def stored_entries(self, block):
        """Return the entries of a block whose zeros are not stored.

        Parameters
        ----------
        block : block of columns
            As ``columns`` returns it.

        Returns
        -------
        columns : tuple of ndarray or None
            Entries, their rows, where those of each column start, and means of the
            columns, if they are not zero; None where zeros are stored.
        """
        return None

    def products(self, features):
        """Return the products of the columns of some features."""
        block = self.columns(features)
        return self.gram(block, block)
