"""Tight frames: an encoder with exact codes, and its estimate of the noise level."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.linalg import qr

from sklearn_sqrtlasso.blockwise.encode import PoolingEncoder, map_encoded
from sklearn_sqrtlasso.blockwise.groups import split_groups_of
from sklearn_sqrtlasso.blockwise.linalg import (
    dense_rows,
    entries_per_row,
    has_missing,
    multiply_rows,
    project_rows,
    row_norms,
)
from sklearn_sqrtlasso.blockwise.orthogonal import orthonormal_rows, rotated
from sklearn_sqrtlasso.blockwise.sparse_rows import SparseProjection, dense_batches
from sklearn_sqrtlasso.models.incomplete_rows import (
    code_incomplete,
    in_double_precision,
)
from sklearn_sqrtlasso.sparse_coding.row_thresholds import (
    threshold_rows,
    threshold_rows_at,
)
from sklearn_sqrtlasso.theory.noise import noise_std

WIDER = 4  # times as many columns as rows, from which a QR factorisation comes first
PART_ENTRIES = 2**22  # of rows, codes and temporaries, of a part of noise levels
OF_A_ROW = 128  # temporary numbers of a noise level, about
N_CLASSES = 8  # of units with similar penalties, in estimates of the noise


@dataclass(frozen=True)
class TightFrame(PoolingEncoder):
    """A linear transform whose coefficients are shrunk by the square-root lasso.

    Attributes
    ----------
    components : ndarray of shape (n_components, n_features)
        W, with ``W'W = I`` or, if it has fewer rows than columns, ``WW' = I``.
    alpha : ndarray of shape (n_components,)
        Penalty of each unit, a pure number, in the dtype of ``components``.
    positive : bool
        Whether codes are nonnegative.
    mean : ndarray of shape (n_features,) or None
        Subtracted from rows, in their unit and in the dtype of ``components``; None
        is zero.
    outlier_alpha : ndarray of shape (n_features,) or None
        Penalty of outliers in each entry of a row, pure numbers; None has no outliers.
    whole_groups : bool
        Whether rows have missing entries or outliers: codes are then not in closed
        form, and groups are encoded at once.
    n_steps : int or None
        Largest number of Newton's steps of such a row, if codes need not be exact.
    """

    components: np.ndarray
    alpha: np.ndarray
    positive: bool
    mean: np.ndarray | None = None
    outlier_alpha: np.ndarray | None = None
    whole_groups: bool = False
    n_steps: int | None = None

    def centred(self, x):
        """Return dense rows less the mean."""
        return x if self.mean is None else x - self.mean

    def project(self, x, out=None):
        """Return the coefficients of rows, and their norm outside the span of W.

        Parameters
        ----------
        x : ndarray or sparse matrix of shape (n_rows, n_features)
            Rows.
        out : ndarray of shape (n_rows, n_components), default=None
            Buffer that may be used for U.

        Returns
        -------
        U : ndarray of shape (n_rows, n_components)
            Coefficients ``(x - mean) W'``, not yet shrunk.
        outside : ndarray of shape (n_rows,)
            Norm of ``x - mean`` outside the span; zero if W has at least as many rows
            as columns.
        """
        if sp.issparse(x):
            return self._project_sparse(x)
        return self.project_centred(self.centred(x), out)

    @cached_property
    def of_sparse_rows(self):
        """The map of sparse rows to their coefficients."""
        W = self.components
        return SparseProjection(W, self.mean, orthonormal=W.shape[0] <= W.shape[1])

    @cached_property
    def in_double_precision(self):
        """The frame that codes incomplete rows."""
        return in_double_precision(self)

    def _project_sparse(self, x):
        """Return what ``project`` does, of sparse rows."""
        U, outside, lost = self.of_sparse_rows.project(x)
        with np.errstate(over="ignore"):  # what is out of range is infinite
            U, outside = (of.astype(x.dtype, copy=False) for of in (U, outside))
        size = x.shape[1], self.components.size
        for rows in dense_batches(np.flatnonzero(lost), *size):
            dense = self.centred(dense_rows(x[rows]))
            U[rows], outside[rows] = self.project_centred(dense)
        return U, outside

    def project_centred(self, x, out=None):
        """Return what ``project`` does, of rows about the mean."""
        W = self.components
        U = project_rows(x, W, out)
        if W.shape[0] >= W.shape[1]:
            return U, np.zeros(len(U), U.dtype)
        left = np.asarray(U @ W)  # of rows that are many entries: one array for both
        return U, row_norms(np.subtract(x, left, out=left))

    def prepared(self, X):
        """Return the frame for given rows, with or without missing entries."""
        iterates = self.outlier_alpha is not None or has_missing(X)
        return replace(self, whole_groups=iterates)

    def rows_per_block(self, width):
        """Return the preferred number of rows of a block."""
        dense = self.components.shape[1]
        return super().rows_per_block(dense if self.whole_groups else width)

    def encode(self, x, groups, workspace, out):
        """Write the codes of whole groups; return the residual scale of each row."""
        if not self.whole_groups:
            U, outside = self.project(x, workspace)
            _, scale = threshold_rows(
                U, self.alpha, self.positive, groups, outside=outside, out=out
            )
            return scale, None
        x = self.centred(dense_rows(x))
        if self.outlier_alpha is not None:
            found = code_incomplete(self, x, groups)
            out[:] = found.Z
            return found.scale, found.gap
        missing = np.isnan(x)
        U, outside = self.project_centred(np.where(missing, 0, x))
        _, scale = threshold_rows(
            U, self.alpha, self.positive, groups, outside=outside, out=out
        )
        gap, sizes = np.zeros(len(x)), np.diff(groups)
        affected = np.logical_or.reduceat(missing.any(axis=1), groups[:-1])
        if affected.any():
            rows = np.repeat(affected, sizes)
            of_affected = np.concatenate([[0], np.cumsum(sizes[affected])])
            found = code_incomplete(self, x[rows], of_affected)
            out[rows], scale[rows], gap[rows] = found.Z, found.scale, found.gap
        return scale, gap

    def cleaned(self, x, Z, scale):
        """Return rows without outliers and filled in, and the outliers.

        Parameters
        ----------
        x : ndarray or sparse matrix of shape (n_rows, n_features)
            Rows.
        Z : ndarray of shape (n_rows, n_components)
            Their codes.
        scale : ndarray of shape (n_rows,)
            Residual scale of each row's group.

        Returns
        -------
        clean : ndarray or sparse matrix of shape (n_rows, n_features)
            The rows themselves if nothing is missing and there are no outliers.
        outliers : ndarray of shape (n_rows, n_features) or None
            Outliers, None if there are none.
        """
        if not self.whole_groups:
            return x, None
        whole, decoded, outliers = dense_rows(x), self.decode(Z), None
        if self.outlier_alpha is not None:
            v = np.nan_to_num(whole - decoded)
            bound = self.outlier_alpha * scale[:, None]
            outliers = v - np.clip(v, -bound, bound)
            whole = whole - outliers
        clean = np.where(np.isnan(whole), decoded, whole)
        return type(x)(clean) if sp.issparse(x) else clean, outliers

    def shrink_at_scale(self, U, outside, t, out):
        """Write the codes of part of a group with residual scale t."""
        threshold_rows_at(U, self.alpha, self.positive, t, out=out)

    def decode(self, Z):
        """Return the rows of codes, in their dtype."""
        X = multiply_rows(Z, self.components)
        if self.mean is None:
            return X
        with np.errstate(over="ignore"):  # what is out of range is infinite
            return X + self.mean.astype(X.dtype)


def nearest_tight_frame(A, *, own=False):
    """Return the tight frame nearest to a matrix: its polar factor.

    Parameters
    ----------
    A : ndarray of shape (n_components, n_features)
        Matrix with singular value decomposition ``L S R'``.
    own : bool, default=False
        Whether A, in double precision, may be overwritten, and W take its place.

    Returns
    -------
    W : ndarray of shape (n_components, n_features)
        ``L R'``.
    """
    if A.shape[1] > WIDER * A.shape[0]:
        A = A if own else np.array(A, np.float64, order="A")
        factor = orthonormal_rows(A)
        if factor is None:
            directions, factor = qr(A.T, mode="economic", overwrite_a=True)
            return nearest_tight_frame(factor.T) @ directions.T
        return rotated(nearest_tight_frame(factor), A)
    left, _, right = np.linalg.svd(A, full_matrices=False)
    return left @ right


def noise_scale(X, frame: TightFrame, groups, *, n_jobs=None):
    """Return the noise standard deviation of each row, calibrated for Gaussian noise.

    Parameters
    ----------
    X, groups, n_jobs
        As for ``map_encoded``.
    frame : TightFrame
        Frame.

    Returns
    -------
    sigma : ndarray of shape (n_samples,)
        Standard deviations in units of X, equal within a group.
    """
    sigma = np.empty(X.shape[0], frame.components.dtype)
    width = entries_per_row(X) + len(frame.components) + OF_A_ROW
    n_rows = max(1, PART_ENTRIES // width)
    for rows, part in split_groups_of(groups, n_rows):
        sigma[rows] = _noise_of_part(X[rows], frame, part, n_jobs)
    return sigma


def _noise_of_part(X, frame, groups, n_jobs):
    """Return the noise standard deviation of each row, whose groups are contiguous."""
    W, alpha = frame.components, np.asarray(frame.alpha, dtype=np.float64)
    energy = np.einsum("ij,ij->i", W, W, dtype=np.float64)
    bounds, members = classes_of_penalties(alpha)
    of_classes = members * energy
    scale, spent = np.empty((2, X.shape[0]))
    seen, observed = np.empty((X.shape[0], len(bounds))), np.ones(X.shape[0])
    incomplete = has_missing(X)

    def count(block):
        active = block.Z != 0
        scale[block.rows] = block.scale
        seen[block.rows] = active @ of_classes.T
        spent[block.rows] = active @ alpha**2
        if incomplete:
            observed[block.rows] = 1 - np.isnan(dense_rows(block.X)).mean(axis=1)

    map_encoded(count, X, frame, groups, n_jobs=n_jobs)
    first, n_rows = groups.starts[:-1], np.diff(groups.starts)
    share = np.add.reduceat(observed, first) / n_rows
    inside = n_rows[:, None] * of_classes.sum(axis=1)
    inside = inside - np.add.reduceat(seen, first, axis=0)
    sigma = noise_std(
        scale[first],
        np.maximum(n_rows - np.add.reduceat(spent, first), 0),
        share * n_rows * max(0.0, X.shape[1] - energy.sum()),
        share[:, None] * inside,
        bounds / np.sqrt(np.sum(energy**2) / energy.sum()),
    )
    return np.repeat(sigma, n_rows)


def classes_of_penalties(alpha):
    """Return classes of units with similar penalties.

    Parameters
    ----------
    alpha : ndarray of shape (n_components,)
        Penalty of each unit.

    Returns
    -------
    bounds : ndarray of shape (n_classes,)
        Median penalty of each class.
    members : ndarray of shape (n_classes, n_components)
        1 where a unit belongs to a class, 0 elsewhere.
    """
    order = np.argsort(alpha, kind="stable")
    distinct = min(len(np.unique(alpha)), N_CLASSES)
    parts = np.array_split(order, distinct)
    members = np.zeros((distinct, len(alpha)))
    for one, units in zip(members, parts, strict=True):
        one[units] = 1
    return np.array([np.median(alpha[units]) for units in parts]), members
