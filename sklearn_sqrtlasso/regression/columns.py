"""Columns of a regression in units of their own, and penalties in these units."""

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

ALIKE = 6  # powers of two from the typical norm within which columns share its unit
NONE = -(10**4)  # exponent below all
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


def _parts_of(loadings):
    """Return positive numbers as those from 1 to 2, times two to powers."""
    halves, exponents = np.frexp(loadings)
    return 2 * halves, exponents - 1


class Columns(ABC):
    """Columns with units that are powers of two, and their products.

    Attributes
    ----------
    dtype : dtype
        That of the features.
    exponents : ndarray of shape (n_features,)
        Logarithms to base 2 of the units, which may be out of the range of numbers.
    live : ndarray of shape (n_features,)
        Booleans: columns that are not constant.
    norms : ndarray of shape (n_features,)
        Norms of the columns; 0 for those that are constant, which are zero.
    loadings : float or ndarray of shape (n_features,)
        Penalties of coefficients, as multiples of the penalty; 1 until ``load``.
    has_rows : bool
        Whether there is more than products of columns.
    """

    has_rows = True

    def norms_of(self, features):
        """Return the norms of the columns of some features."""
        return self.norms[features]

    @abstractmethod
    def means_of(self, features):
        """Return weighted means of some columns; 0 without an intercept."""

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
        self.loadings, self._load = loadings, None
        if np.ndim(loadings) == 0:
            half, exponent = math.frexp(loadings)
            self._load = 2 * half, exponent - 1

    def _loads(self, columns):
        """Return the loadings of some columns as numbers from 1 to 2, and exponents."""
        return self._load or _parts_of(self.loadings[columns])

    def exponents_of(self, features):
        """Return logarithms to base 2 of the units of some columns."""
        return self.exponents[features]

    def penalties(self, alpha):
        """Return a penalty in units of each column, from 0 to a large number.

        They are read by slices or by indices.
        """
        penalties = np.empty(self.shape[1])
        for part in self.slices():
            penalties[part] = self._penalties(alpha, self.exponents_of(part), part)
        return penalties

    def _penalties(self, alpha, exponents, columns):
        """Return a penalty in units of given exponents, for the loads of columns."""
        loads, more = self._loads(columns)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return np.fmin(np.ldexp(float(alpha) * loads, more - exponents), LARGEST)

    def largest_unit(self):
        """Return the exponent of the largest unit of X of a column, over its loading.

        Columns that are constant do not count; 0 if all are.
        """
        parts = ((self._units_of_x(part), self.live[part]) for part in self.slices())
        largest = max(units[live].max(initial=NONE) for units, live in parts)
        return 0 if largest == NONE else int(largest)

    def _units_of_x(self, columns):
        """Return exponents of units of X, over loadings, of some columns."""
        return self.exponents_of(columns) - self._loads(columns)[1]

    def slices(self):
        """Return slices of columns, of which vectors are small beside the features."""
        return [slice(0, self.shape[1])]

    def in_units_of_x(self, values, exponent, columns):
        """Return numbers in units of some columns in those of X, over loadings.

        Parameters
        ----------
        values : float or ndarray of shape (n_columns,)
            The numbers.
        exponent : int
            They are returned over two to the power of this, ``largest_unit()``.
        columns : slice or ndarray of shape (n_columns,)
            The columns.

        Returns
        -------
        values : ndarray of shape (n_columns,)
            The numbers.
        """
        loads, less = self._loads(columns)
        more = self.exponents_of(columns) - less - exponent
        with np.errstate(under="ignore"):
            return np.ldexp(values / loads, np.minimum(more, 0))

    def norms_in_units_of_x(self, exponent):
        """Return the norms of all columns in units of X, over loadings.

        Parameters
        ----------
        exponent : int
            They are returned over two to the power of this, ``largest_unit()``.

        Returns
        -------
        norms : ndarray of shape (n_features,)
            The norms.
        """
        norms = np.empty(self.shape[1])
        for part in self.slices():
            norms[part] = self.in_units_of_x(self.norms_of(part), exponent, part)
        return norms

    def measure_exactly(self):
        """Measure all columns, unless their norms are exact; return the design."""
        return self

    def largest_norm(self):
        """Return the largest norm of a column, in units of X."""
        self.measure_exactly()
        exponent = self.largest_unit()
        norms = self.norms_in_units_of_x(exponent)
        return float(np.ldexp(norms.max(initial=0.0), exponent))

    def largest_in_units_of_x(self, sizes):
        """Return the largest of sizes in units of the columns, in units of X.

        Parameters
        ----------
        sizes : ndarray of shape (n_features,)
            The sizes, at least 0.

        Returns
        -------
        largest : float
            The largest of them, over loadings.
        """
        exponent, largest = self.largest_unit(), 0.0
        for part in self.slices():
            values = self.in_units_of_x(sizes[part], exponent, part)
            largest = max(largest, values.max())
        return float(np.ldexp(largest, exponent))

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
    def solve(self, y, alphas, options):
        """Return fits of a target for the first penalties, by a path on all columns.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or int
            Target, as ``target`` takes it.
        alphas : ndarray of shape (n_alphas,)
            Penalties in units of X, in decreasing order.
        options : SolverOptions
            Options of the solver.

        Returns
        -------
        fits : list of Fit
            The solutions, in units of X and y; none where working sets are faster.
        intercepts : sequence of float
            Their intercepts.
        """

    @abstractmethod
    def correlate(self, r):
        """Return the products of all columns with ``r``, of shape (n_features,)."""

    def correlate_parts(self, r):
        """Yield slices of columns and their products with ``r``."""
        yield slice(0, self.shape[1]), self.correlate(r)

    def products_with(self, r, c):
        """Return what holds products of columns, of which few are read again.

        Parameters
        ----------
        r : ndarray of shape (n_samples,)
            A vector, centred and weighted like the columns.
        c : ndarray of shape (n_features,)
            The products of all columns with it.

        Returns
        -------
        products : array-like of shape (n_features,)
            The products of some features, or of all for ``[:]``.
        """
        return c

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
