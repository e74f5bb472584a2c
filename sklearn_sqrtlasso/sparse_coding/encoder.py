"""Code rows in a dictionary in two stages: select atoms, refit their entries."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.blockwise.blocks import N_PARTS
from sklearn_sqrtlasso.blockwise.encode import Encoder
from sklearn_sqrtlasso.blockwise.linalg import (
    dense_rows,
    has_missing,
    missing_per_row,
    multiply_rows,
    row_norms,
)
from sklearn_sqrtlasso.sparse_coding.atom_span import AtomSpan, span_of_atoms
from sklearn_sqrtlasso.sparse_coding.code_prior import CodePrior
from sklearn_sqrtlasso.sparse_coding.coding_work import work_of_row
from sklearn_sqrtlasso.sparse_coding.dictionary import (
    CodingOptions,
    Dictionary,
    Solution,
    correlate_rows,
)
from sklearn_sqrtlasso.sparse_coding.missing_patterns import parts_in_span, parts_of
from sklearn_sqrtlasso.sparse_coding.outliers import (
    SpikedAtoms,
    split_codes,
)
from sklearn_sqrtlasso.sparse_coding.relaxed_lasso import relax
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS
from sklearn_sqrtlasso.sparse_coding.wide_rows import (
    code_wide_rows,
    has_short_paths,
    has_wide_rows,
)

CORRELATION_BYTES = 2**18  # of a row block, at least, however wide its rows are
BLOCK_BYTES = 2**20  # correlations and entries of a row block, if rows are short
FEWEST_ROWS, MOST_ROWS = 64, 512  # of a row block


def code_rows(X, dictionary: Dictionary, options: CodingOptions, span=None, prior=None):
    """Code rows by selection and refit.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_rows, n_features)
        Rows; NaN where an entry is missing.
    dictionary : Dictionary
        Atoms.
    options : CodingOptions
        Options of coding.
    span : AtomSpan, default=None
        Their span, in which sparse rows without outliers are coded; None codes dense
        rows.
    prior : CodePrior, default=None
        Tells missing entries of rows without outliers; None leaves them out.

    Returns
    -------
    solution : Solution
        Refitted codes in double precision, with the certificate and the penalty of the
        first stage, and refitted outliers, 0 in missing entries.
    """
    if options.outlier_alpha is not None:
        prior = None  # an outlier would count for what others are expected to be
        if has_wide_rows(dictionary, options):
            return _code_wide_rows(X, dictionary, options)
    return _code_by_patterns(X, dictionary, options, span, prior)


def _code_wide_rows(X, dictionary, options):
    """Code rows with outliers by Newton's method, and what it leaves by paths."""
    solution, unsolved = code_wide_rows(X, dictionary, options)
    if len(unsolved) and has_short_paths(dictionary, options):
        found = _code_by_patterns(dense_rows(X)[unsolved], dictionary, options)
        better = found.gap < solution.gap[unsolved]
        rows = unsolved[better]
        for mine, theirs in (
            (solution.Z, found.Z), (solution.gap, found.gap),
            (solution.mu, found.mu), (solution.outliers, found.outliers),
        ):  # fmt: skip
            mine[rows] = theirs[better]
    return solution


def _code_by_patterns(X, dictionary, options, span=None, prior=None):
    """Code rows, those that lack the same entries together."""
    if span is None:
        parts = parts_of(dense_rows(X), dictionary, prior)
    else:
        parts = parts_in_span(X, dictionary, span, prior)
    code = _code_part
    if options.outlier_alpha is not None:
        code = _coder_with_outliers(dictionary, options)
    solution = code(next(parts), options)
    for part in parts:
        found = code(part, options)
        solution.Z[part.rows], solution.gap[part.rows] = found.Z, found.gap
        if found.mu is not None:
            solution.mu[part.rows] = found.mu
        if found.outliers is not None:
            solution.outliers[part.rows] = found.outliers
    return solution


def _code_part(part, options):
    """Code rows that lack the same entries."""
    return _code_whole_rows(part.X, part.dictionary, options)


def _coder_with_outliers(dictionary, options):
    """Return the same in atoms and spikes, one for each entry."""
    penalties = options.alpha, options.outlier_alpha, options.positive
    spiked = SpikedAtoms(dictionary, *penalties)

    def code(part, options):
        pure = options._replace(alpha=1.0, outlier_alpha=None)
        atoms = spiked.of(part.dictionary, part.missing)
        found = _code_whole_rows(part.X, atoms, pure)
        given = spiked.alpha, spiked.beta, options.positive
        Z, outliers = split_codes(found.Z, *given)
        return found._replace(Z=Z, outliers=outliers)

    return code


def _code_whole_rows(X, dictionary, options):
    """Code rows without missing entries and outliers."""
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
    tells_outliers : bool
        Whether the outliers of a row follow its code, in the same array.
    span : AtomSpan or None
        The span of the atoms, in which sparse rows are coded.
    prior : CodePrior or None
        Tells missing entries; None leaves them out.
    n_rows : int or None
        Number of rows to code, None if it is not known.
    """

    dictionary: Dictionary
    options: CodingOptions
    tells_outliers: bool = False
    span: AtomSpan | None = None
    prior: CodePrior | None = None
    n_rows: int | None = None

    @property
    def n_components(self):
        """Number of atoms, and of features if there is an outlier for each."""
        return sum(self.dictionary.D.shape[: 1 + self.tells_outliers])

    def prepared(self, X):
        """Return the encoder for as many rows, in the span of the atoms if in more."""
        encoder = replace(self, n_rows=X.shape[0])
        wide = self.dictionary.D.shape[0] < self.dictionary.D.shape[1]
        if not (wide and sp.issparse(X[:0])) or self.options.outlier_alpha is not None:
            return replace(encoder, dictionary=self.dictionary.by_rows())
        return replace(encoder, span=self.span or span_of_atoms(self.dictionary))

    def rows_per_block(self, width):
        """Return the preferred number of rows of a block."""
        size = CORRELATION_BYTES // (8 * len(self.dictionary.D))
        of_short = BLOCK_BYTES // (8 * sum(self.dictionary.D.shape))
        if self.n_rows is not None:  # so that threads share few rows
            of_short = min(of_short, -(-self.n_rows // N_PARTS))
        return max(FEWEST_ROWS, min(max(size, of_short), MOST_ROWS))

    def encode(self, x, groups, workspace, out):
        """Write the codes of rows; return zeros, and the duality gap of each row."""
        solution = code_rows(x, self.dictionary, self.options, self.span, self.prior)
        n_atoms = len(self.dictionary.D)
        with np.errstate(over="ignore"):  # what is out of range is infinite
            out[:, :n_atoms] = solution.Z
            if self.tells_outliers:
                out[:, n_atoms:] = solution.outliers
        return np.zeros(len(out)), solution.gap

    def cleaned(self, block):
        """Return an encoded block with its rows filled in and without outliers.

        Parameters
        ----------
        block : EncodedBlock
            Rows and codes of this encoder.

        Returns
        -------
        block : EncodedBlock
            The block itself if nothing is missing and there are no outliers; else
            missing entries are those of the decoded rows, and codes are without
            outliers.
        """
        if not (self.tells_outliers or has_missing(block.X)):
            return block
        if sp.issparse(block.X) and not self.tells_outliers:
            return block._replace(X=self._filled(block.X, block.Z))
        n_atoms, x = len(self.dictionary.D), dense_rows(block.X)
        Z, outliers = block.Z[:, :n_atoms], block.Z[:, n_atoms:]
        clean = x - outliers if self.tells_outliers else x
        return block._replace(
            X=np.where(np.isnan(x), Z @ self.dictionary.D, clean), Z=Z
        )

    def _filled(self, x, Z):
        """Return sparse rows with their missing entries filled in."""
        x, places = x.copy(), np.flatnonzero(np.isnan(x.data))
        row = np.searchsorted(x.indptr, places, side="right") - 1
        atoms = self.dictionary.D[:, x.indices[places]]
        x.data[places] = np.einsum("ij,ji->i", Z[row], atoms)
        return x

    def residual_norms(self, x, Z):
        """Return the norms of the residuals of complete rows.

        Parameters
        ----------
        x : ndarray or sparse matrix of shape (n_rows, n_features)
            Rows.
        Z : ndarray of shape (n_rows, n_components)
            Their codes.

        Returns
        -------
        norms : ndarray of shape (n_rows,)
            In double precision.
        """
        D, Z = self.dictionary.D, Z.astype(np.float64, copy=False)
        if self.span is not None:
            x, D = self.span.coordinates(x), self.span.dictionary.D
        return row_norms(dense_rows(x, np.float64) - multiply_rows(Z, D))

    def observed_residuals(self, block):
        """Return norms of the residuals of observed entries that are no outliers.

        Parameters
        ----------
        block : EncodedBlock
            Rows and codes of this encoder.

        Returns
        -------
        norms : ndarray of shape (n_rows,)
            In double precision.
        """
        if self.span is not None:
            return self.residual_norms(self.cleaned(block).X, block.Z)
        n_atoms = len(self.dictionary.D)
        x, Z = dense_rows(block.X, np.float64), block.Z[:, :n_atoms]
        left_out = np.isnan(x)
        if self.tells_outliers:
            left_out |= block.Z[:, n_atoms:] != 0
        decoded = multiply_rows(Z.astype(np.float64), self.dictionary.D)
        return row_norms(np.where(left_out, 0, x - decoded))

    def noise_scales(self, block, norms):
        """Return the standard deviation of an entry of each residual.

        Parameters
        ----------
        block : EncodedBlock
            Rows and codes of this encoder.
        norms : ndarray of shape (n_rows,)
            Norms of the residuals.

        Returns
        -------
        scales : ndarray of shape (n_rows,)
            Norms over the root of the degrees of freedom, the number of observed
            entries that are no outliers minus that of atoms used; 0 if there are none.
        """
        return _per_entry(norms, self._freedom(block)[1])

    def errors_of_prediction(self, block, norms):
        """Return what a row's other entries leave of the variance of an entry.

        Parameters
        ----------
        block, norms
            As for ``noise_scales``.

        Returns
        -------
        variances : ndarray of shape (n_rows,)
            Squared scales over the share of entries that is free: they estimate the
            error in entries left out, by generalized cross-validation.
        """
        n_entries, n_free = self._freedom(block)
        scales = _per_entry(norms, n_free)
        return scales**2 * n_entries / np.maximum(n_free, 1)

    def work_of(self, block):
        """Return how many products the coding of a block takes, about.

        Parameters
        ----------
        block : EncodedBlock
            Rows and codes of this encoder.

        Returns
        -------
        work : float
            That of a usual row of each kind, complete or not, times their number.
        """
        (n_atoms, n_features), work = self.dictionary.D.shape, 0.0
        sides = 1 + self.options.positive
        n_spikes = n_features * sides if self.tells_outliers else 0
        used, missing = np.count_nonzero(block.Z, axis=1), missing_per_row(block.X)
        for kind in (missing == 0, missing > 0):
            if kind.any():
                k, lost = max(used[kind].mean(), 1.0), missing[kind].mean()
                work += kind.sum() * work_of_row(k, n_atoms, lost, n_spikes)
        return float(work)

    def _freedom(self, block):
        """Return the number of observed entries of each row, and how many are free."""
        n_entries = self.dictionary.D.shape[1] - missing_per_row(block.X)
        used = np.count_nonzero(block.Z, axis=1)  # by atoms and outliers
        return n_entries, n_entries - used


def _per_entry(norms, n_free):
    with np.errstate(over="ignore"):  # what is out of range is infinite
        return np.where(n_free > 0, norms / np.sqrt(np.maximum(n_free, 1)), 0)
