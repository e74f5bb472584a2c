"""Numbers of columns, most of which are equal, in little memory."""

import numpy as np


class MostlyEqual:
    """Numbers, one for each column, of which only those that differ take memory.

    They are read like an array, by a slice or by indices.

    Parameters
    ----------
    size : int
        How many numbers there are.
    usual : float or int
        That of most columns.
    places : ndarray of shape (n_others,)
        Columns that may have another number, in increasing order.
    others : ndarray of shape (n_others,)
        Their numbers.
    """

    def __init__(self, size, usual, places, others):
        self.size, self.usual, self.places, self.others = size, usual, places, others

    def __getitem__(self, columns):
        """Return the numbers of some columns in an array of their own."""
        if isinstance(columns, slice):
            first, last, _ = columns.indices(self.size)
            values = np.full(last - first, self.usual)
        else:
            columns = np.asarray(columns)
            values = np.full(len(columns), self.usual)
        if len(self.places):
            at, others = self.find(columns)
            values[at] = others
        return values

    def find(self, columns):
        """Return the others among some columns.

        Parameters
        ----------
        columns : slice or ndarray of shape (n_columns,)
            The columns.

        Returns
        -------
        at : ndarray of shape (n_others,)
            Their places among these columns.
        others : ndarray of shape (n_others,)
            Their numbers.
        """
        if isinstance(columns, slice):
            first, last, _ = columns.indices(self.size)
            known = slice(*np.searchsorted(self.places, [first, last]))
            return self.places[known] - first, self.others[known]
        places = np.searchsorted(self.places, columns)
        at = np.flatnonzero(places < len(self.places))
        at = at[self.places[places[at]] == columns[at]]
        return at, self.others[places[at]]

    def map(self, function):
        """Return what a function makes of the numbers.

        Parameters
        ----------
        function : callable, (ndarray) -> ndarray
            A function of each number.

        Returns
        -------
        values : MostlyEqual
            The new numbers.
        """
        usual = function(np.array([self.usual]))[0]
        return MostlyEqual(self.size, usual, self.places, function(self.others))

    def replaced(self, columns, values):
        """Return the numbers after some are replaced.

        Parameters
        ----------
        columns : ndarray of shape (n_columns,)
            The columns whose numbers are replaced, in increasing order.
        values : float or ndarray of shape (n_columns,)
            The new numbers.

        Returns
        -------
        replaced : MostlyEqual
            The numbers.
        """
        places = np.union1d(self.places, columns).astype(np.intp)
        others = self[places]
        others[np.searchsorted(places, columns)] = values
        return MostlyEqual(self.size, self.usual, places, others)

    def scale(self, c, columns):
        """Multiply numbers of some columns by these, in place.

        Parameters
        ----------
        c : ndarray of shape (n_columns,)
            The numbers; what is multiplied by zero is zero, even if it is infinite.
        columns : slice or ndarray of shape (n_columns,)
            The columns.
        """
        at, others = self.find(columns)
        apart = c[at]
        apart[others == 0] = 0.0
        apart *= others
        c *= self.usual
        c[at] = apart

    def min(self):
        """Return the smallest number."""
        return self._ends().min()

    def max(self):
        """Return the largest number."""
        return self._ends().max()

    def _ends(self):
        """Return all numbers, each of them once."""
        usual = [self.usual] if len(self.others) < self.size else []
        return np.append(self.others, usual)


def mostly_equal(values):
    """Return numbers as those that differ from the most frequent one.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Integers.

    Returns
    -------
    values : MostlyEqual
        The numbers.
    """
    known, counts = np.unique(values, return_counts=True)
    usual = known[counts.argmax()]
    places = np.flatnonzero(values != usual)
    others = values[places].astype(np.int32)
    return MostlyEqual(len(values), np.int32(usual), places, others)
