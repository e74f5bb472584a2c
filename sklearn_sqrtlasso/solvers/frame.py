"""Tight frames: the linear map whose codes are exact, and the noise they tell of."""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.kernels.shrinkage import shrink_run, shrink_runs
from sklearn_sqrtlasso.solvers.visit import product, visit_codes
from sklearn_sqrtlasso.theory.noise import noise_std


class Frame(NamedTuple):
    """What maps a row to its code.

    Attributes
    ----------
    components : ndarray of shape (n_components, n_features)
        W, with ``W'W = I`` or, if it has fewer rows than columns, ``WW' = I``.
    alpha : ndarray of shape (n_components,)
        Penalty of each unit, pure numbers, in the dtype of ``components``.
    positive : bool
        Whether codes are nonnegative.
    """

    components: np.ndarray
    alpha: np.ndarray
    positive: bool

    def project(self, x, out=None):
        """Return ``U = x W'`` and the norm of each row that U cannot see.

        Parameters
        ----------
        x : ndarray or sparse matrix of shape (n_rows, n_features)
            Rows.
        out : ndarray of shape (n_rows, n_components), default=None
            Where U may be written.

        Returns
        -------
        U : ndarray of shape (n_rows, n_components)
            What is to be shrunk.
        rest : ndarray of shape (n_rows,)
            ``||x - W'W x||``; zero if W has at least as many rows as columns.
        """
        W = self.components
        U = product(x, W, out)
        if W.shape[0] >= W.shape[1]:
            return U, np.zeros(len(U), U.dtype)
        return U, row_norms(np.asarray(x - U @ W))

    def shrink(self, U, rest, runs, out, level):
        """Write the codes of whole runs, and the residual scale of each row's run."""
        shrink_runs(U, rest, self.alpha, self.positive, runs, out, level)

    def shrink_at(self, U, rest, t, out):
        """Write the codes of a part of a run whose residual scale is t."""
        shrink_run(U, rest, self.alpha, self.positive, t, 1.0, 0, len(U), out)


def noise_scale(X, frame, runs, *, n_jobs=None):
    """Return the noise standard deviation of each row, calibrated for Gaussian noise.

    Parameters
    ----------
    X, frame, runs, n_jobs
        As for ``visit_codes``; one penalty for all units.

    Returns
    -------
    sigma : ndarray of shape (n_samples,)
        Equal in the rows of a run, in units of X.
    """
    energy = np.sum(np.square(frame.components, dtype=np.float64), axis=1)
    alpha = np.asarray(frame.alpha, dtype=np.float64)
    level, seen, spent = np.empty((3, X.shape[0]))

    def count(block):
        active = block.Z != 0
        level[block.rows] = block.level
        seen[block.rows] = active @ energy
        spent[block.rows] = active @ alpha**2

    visit_codes(X, frame, runs, count, n_jobs=n_jobs)
    places = slice(None) if runs.order is None else runs.order
    first, n_rows = runs.starts[:-1], np.diff(runs.starts)
    sigma = noise_std(
        level[places][first],
        np.maximum(n_rows - np.add.reduceat(spent[places], first), 0),
        n_rows * max(0.0, X.shape[1] - energy.sum()),
        n_rows * energy.sum() - np.add.reduceat(seen[places], first),
        alpha[0] / np.sqrt(np.sum(energy**2) / energy.sum()),
    )
    by_row = np.empty(X.shape[0], frame.components.dtype)
    by_row[places] = np.repeat(sigma, n_rows)
    return by_row


def row_norms(R):
    """Return the l2 norm of each row, without overflow or underflow of squares."""
    top = np.abs(R).max(axis=1, initial=0)
    scale = np.where(top > 0, top, 1).astype(R.dtype)
    R = R / scale[:, None]
    return scale * np.sqrt(np.einsum("ij,ij->i", R, R))
