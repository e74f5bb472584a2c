"""Code rows in a dictionary in two stages: select atoms, refit their entries."""

from dataclasses import dataclass

import numpy as np

from sklearn_sqrtlasso.blockwise.encode import Encoder
from sklearn_sqrtlasso.sparse_coding.dictionary import (
    CodingOptions,
    Dictionary,
    Solution,
    correlate_rows,
)
from sklearn_sqrtlasso.sparse_coding.relaxed_lasso import relax
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS

CORRELATION_BYTES = 2**18  # of a row block, which fit the cache with the atoms
FEWEST_ROWS, MOST_ROWS = 64, 512  # of a row block


def code_rows(X, dictionary: Dictionary, options: CodingOptions):
    """Code rows by selection and refit.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_rows, n_features)
        Rows.
    dictionary : Dictionary
        Atoms.
    options : CodingOptions
        Options of coding.

    Returns
    -------
    solution : Solution
        Refitted codes in double precision, with the certificate and the penalty of the
        first stage.
    """
    rows = correlate_rows(X, dictionary)
    first = SELECTORS[options.selector].select(rows, dictionary, options)
    Z = relax(rows, dictionary, first, options)
    with np.errstate(over="ignore"):  # what is out of range is infinite
        if np.any(rows.unit != 1):
            Z = Z * rows.unit[:, None]
        mu = None if first.mu is None else first.mu * rows.unit
    return Solution(Z, first.gap, mu)


@dataclass(frozen=True)
class DictionaryEncoder(Encoder):
    """The map of rows to codes in a dictionary, as ``blockwise.encode`` wants it.

    Attributes
    ----------
    dictionary : Dictionary
        Atoms.
    options : CodingOptions
        Options of coding.
    """

    dictionary: Dictionary
    options: CodingOptions

    @property
    def n_components(self):
        """Number of atoms."""
        return len(self.dictionary.D)

    def rows_per_block(self):
        """Return the preferred number of rows of a block."""
        size = CORRELATION_BYTES // (8 * self.n_components)
        return max(FEWEST_ROWS, min(size, MOST_ROWS))

    def encode(self, x, groups, workspace, out):
        """Write the codes of rows; return zeros, and the duality gap of each row."""
        solution = code_rows(x, self.dictionary, self.options)
        with np.errstate(over="ignore"):  # what is out of range is infinite
            out[:] = solution.Z
        return np.zeros(len(out)), solution.gap
