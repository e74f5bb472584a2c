"""How many products the coding of a row takes, about, whatever the machine.

All are counted in those of a path, of which a core takes some 2e9 a second; matrix
products are faster, and what a pattern of missing entries takes besides is slower.
"""

from sklearn_sqrtlasso.sparse_coding.wide_rows import MANY

FASTER = 6  # products of a symmetric matrix product of k rows and columns, over k^2
OF_PATTERN = 2e5  # of a pattern of missing entries, whatever its size
OF_SPIKES = 4  # of an inner product of atoms and spikes that a pattern writes
OF_NEWTON, STEPS = 2e6, 4  # of a row by Newton's method, and systems that it solves


def work_of_row(k, n_atoms, n_missing=0.0, n_spikes=0):
    """Return how many products the coding of a row takes, about.

    The path of a code of k atoms has about k breakpoints; at each, the products of the
    active atoms with half of all atoms, those near the penalty, are combined. Missing
    entries change the inner products of all atoms.

    Parameters
    ----------
    k : float
        Number of atoms of its code, and of outliers, positive.
    n_atoms : int
        Number of atoms.
    n_missing : float, default=0
        Number of missing entries.
    n_spikes : int, default=0
        Number of atoms that outliers add; 0 if none are sought.

    Returns
    -------
    work : float
        ``k^2 / 2 n / 2`` for n atoms and spikes, if nothing is missing.
    """
    n_all = n_atoms + n_spikes
    if n_spikes and n_all > MANY:
        return OF_NEWTON + STEPS * k**3
    path = k**2 * n_all / 4
    if not n_missing:
        return path
    of_spikes = OF_SPIKES * n_all**2 if n_spikes else 0.0
    return path + OF_PATTERN + n_missing * n_atoms**2 / FASTER + of_spikes
