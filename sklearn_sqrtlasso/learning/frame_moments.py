"""Sums of products of rows with their codes, from which tight frames are learnt.

A sum is as large as the frame. Where sparse rows are fewer than columns, their codes
are smaller than that: a sum is then made of kept codes when it is needed, and not
beside the frame before that.
"""

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.blockwise.blocks import N_PARTS
from sklearn_sqrtlasso.blockwise.linalg import entries_per_row, row_batches
from sklearn_sqrtlasso.blockwise.orthogonal import subtract_outer
from sklearn_sqrtlasso.blockwise.sparse_rows import add_moments

ROUNDING = 2.0**-60  # of a mean, in which no digit of a deviation is left


def moments_of(X, frame, unit, *, later=False):
    """Return what adds up products of rows with their codes, block by block.

    Parameters
    ----------
    X : array or sparse matrix of shape (n_samples, n_features)
        Rows.
    frame : TightFrame
        Their encoder.
    unit : float
        Unit of scaling.
    later : bool, default=False
        Whether the sum of sparse rows may be made later, of kept codes, where these are
        smaller.

    Returns
    -------
    moments : DenseMoments, SparseMoments or KeptCodes
        Without rows.
    """
    if not sp.issparse(X):
        return DenseMoments(frame, unit)
    if later and X.shape[0] < X.shape[1] and SparseMoments.n_sums(frame) == 1:
        return KeptCodes(X, frame, unit)
    return SparseMoments(frame, unit)


class DenseMoments:
    """Sum of ``z (x - mean)' / t`` over dense rows, for each part of the work."""

    most_bytes, fewest_parts = 2**25, 2  # of the sums of all parts, and those

    def __init__(self, frame, unit):
        self.frame, self.unit = frame, unit
        self.n_parts = self.n_sums(frame)
        self.sums = [np.zeros(self.shape) for _ in range(self.n_parts)]

    @classmethod
    def n_sums(cls, frame):
        """Return the number of parts of the work, each with a sum."""
        n_parts = cls.most_bytes // (8 * frame.components.size)
        return min(max(n_parts, cls.fewest_parts), N_PARTS)

    @property
    def shape(self):
        """Shape of a sum."""
        return self.frame.components.shape

    def add(self, block, x, Z, scale):
        """Add rows of a block, in units of scaling but for x."""
        x = self.frame.centred(x) / self.unit
        self.sums[block.part] += Z.T @ (x / scale[:, None])

    def total(self):
        """Return the sum over all parts."""
        for one in self.sums[1:]:
            self.sums[0] += one
        return self.sums[0]


class SparseMoments(DenseMoments):
    """The same of sparse rows: the mean is subtracted from the sum.

    A column whose mean is far larger than the unit of scaling has a unit of its own: no
    digit of the difference is left in the other. One sum is as large as the frame, and
    often larger than all rows.
    """

    most_bytes, fewest_parts = 2**24, 1

    def __init__(self, frame, unit):
        super().__init__(frame, unit)
        self.weights = np.zeros((len(self.sums), len(frame.components)))
        self.units = np.full(frame.components.shape[1], float(unit))
        if frame.mean is not None:
            self.units = np.maximum(self.units, ROUNDING * np.abs(frame.mean))

    @property
    def shape(self):
        """Shape of a sum, transposed: rows are those of columns of X."""
        return self.frame.components.shape[::-1]

    def add(self, block, x, Z, scale):
        """Add rows of a block; codes in double precision are overwritten."""
        self.add_to(block.part, x, Z, scale)

    def add_to(self, part, x, Z, scale):
        """Add rows to a part."""
        weighted = Z.astype(np.float64, copy=False)
        weighted /= scale[:, None]
        self.weights[part] += weighted.sum(axis=0)
        add_moments(x, weighted, self.sums[part], self.units)

    def total(self):
        """Return the sum over all parts."""
        total, mean = super().total().T, self.frame.mean
        if mean is not None:
            subtract_outer(total, self.weights.sum(axis=0), mean / self.units)
        return total


class KeptCodes:
    """Codes of sparse rows, of which the sum of ``SparseMoments`` is made later.

    Parameters
    ----------
    X, frame, unit
        As for ``moments_of``.
    """

    n_parts = N_PARTS

    def __init__(self, X, frame, unit):
        self.X, self.frame, self.unit = X, frame, unit
        self.Z = np.empty((X.shape[0], len(frame.components)), X.dtype)
        self.scale = np.empty(X.shape[0], X.dtype)

    def add(self, block, x, Z, scale):
        """Keep the codes of a block of rows."""
        self.Z[block.rows], self.scale[block.rows] = Z, scale

    def total(self):
        """Return what makes the sum."""
        return self.moment

    def moment(self):
        """Return the sum over all rows; codes may be overwritten."""
        moments = SparseMoments(self.frame, self.unit)
        width = entries_per_row(self.X) + len(self.frame.components)
        for rows in row_batches(self.X.shape[0], width):
            moments.add_to(0, self.X[rows], self.Z[rows], self.scale[rows])
        return moments.total()
