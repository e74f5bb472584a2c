"""A report of codes: use of the components, and effect of refitting."""

from typing import Any, NamedTuple

import numpy as np

from sklearn_sqrtlasso.blockwise.linalg import (
    column_means,
    dense_rows,
    filled_rows,
    largest_entry,
    row_batches,
    unit_near,
)
from sklearn_sqrtlasso.sparse_coding.dictionary import (
    CodingOptions,
    Solution,
    correlate_rows,
    make_dictionary,
)
from sklearn_sqrtlasso.sparse_coding.missing_patterns import parts_of
from sklearn_sqrtlasso.sparse_coding.relaxed_lasso import relax


class Refit(NamedTuple):
    """Effect of refitting codes by least squares on their supports.

    Attributes
    ----------
    growth : float
        Norm of all refitted codes over that of the codes: 1 without shrinkage.
    growth_by_component : ndarray of shape (n_components,)
        The same for each component; NaN for components that are never active.
    explained_variance : float
        Explained variance of the refitted codes, at most 1.
    alignment : float
        ``sum ||x_hat||^2 / sum <x_hat, x>``: below 1 if reconstructions are shrunk.
    """

    growth: float
    growth_by_component: np.ndarray
    explained_variance: float
    alignment: float


class CodeReport(NamedTuple):
    """Use of the components, and quality of the reconstruction.

    Attributes
    ----------
    n_components : int
        Number of components (units, atoms).
    dead_share : float
        Share of the components that are zero in all rows.
    mean_active : float
        Mean number of nonzero entries of a code.
    explained_variance : float
        Explained variance of the reconstruction, at most 1.
    refit : Refit or None
        Effect of refitting; None if it was not computed.
    """

    n_components: int
    dead_share: float
    mean_active: float
    explained_variance: float
    refit: Refit | None = None

    def __str__(self):
        """Return the report as lines of text."""
        lines = [
            f"dead components      {self.dead_share:.1%} of {self.n_components}",
            f"active in a row      {self.mean_active:.1f}",
            f"explained variance   {self.explained_variance:.3f}",
        ]
        if self.refit is not None:
            lines += [
                f"  after refitting    {self.refit.explained_variance:.3f}",
                f"refitted codes are   {self.refit.growth:.3f} times as large",
                f"alignment            {self.refit.alignment:.3f}",
            ]
        return "\n".join(lines)

    def plot(self, ax: Any) -> Any:
        """Draw a histogram of the growth of each component by refitting.

        Parameters
        ----------
        ax : matplotlib Axes
            Axes to draw on.

        Returns
        -------
        ax : matplotlib Axes
            The given axes.

        Raises
        ------
        ValueError
            If the report was made without refitting.
        """
        if self.refit is None:
            raise ValueError(
                "plot shows the effect of refitting, but refit is None; use "
                "sklearn_sqrtlasso.metrics.shrinkage_report."
            )
        growth = self.refit.growth_by_component
        ax.hist(growth[np.isfinite(growth)], bins=30)
        ax.axvline(1.0, color="black", linestyle="--", linewidth=1)
        ax.set(xlabel="refitted norm / norm of a component", ylabel="components")
        return ax


def report_refit(X, Z, components, *, offset=0.0, positive=False):
    """Report the use of components, and the effect of refitting the codes.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows, made dense in blocks; NaN where an entry is missing, which no sum counts.
    Z : ndarray or sparse matrix of shape (n_samples, n_components)
        Their codes.
    components : ndarray of shape (n_components, n_features)
        Atoms of the decoder.
    offset : float or ndarray of shape (n_features,), default=0.0
        Output of the decoder for a code of zeros.
    positive : bool, default=False
        Whether refitted codes are nonnegative.

    Returns
    -------
    report : CodeReport
        Report with ``refit``.
    """
    blocks, zeros = list(row_batches(*X.shape)), np.zeros(X.shape[1])

    def rows_of(block):
        return dense_rows(X[block], np.float64) - offset

    filled = (filled_rows(rows_of(block), zeros) for block in blocks)
    unit = unit_near(max(map(largest_entry, filled)))
    mean = (column_means(X) - offset) / unit
    dictionary = make_dictionary(components)
    options = CodingOptions("refit", positive=positive)
    size, refitted, users = np.zeros((3, len(dictionary.D)))
    error = refitted_error = spread = energy = overlap = 0.0
    for block in blocks:
        x, z = rows_of(block) / unit, dense_rows(Z[block], np.float64) / unit
        spread += np.nansum((x - mean) ** 2)
        fit = np.empty_like(z)
        for part in parts_of(x, dictionary):
            fit[part.rows] = _refitted(part, z[part.rows], options)
        restored = np.where(np.isnan(x), 0, z @ dictionary.D)
        error += np.nansum((x - restored) ** 2)
        refitted_error += np.nansum((x - fit @ dictionary.D) ** 2)
        energy += np.sum(restored**2)
        overlap += np.nansum(restored * x)
        size += np.sum(z**2, axis=0)
        refitted += np.sum(fit**2, axis=0)
        users += np.count_nonzero(z, axis=0)
    spread = spread or 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.sqrt(np.where(size > 0, refitted / size, np.nan))
    refit = Refit(
        growth=float(np.sqrt(refitted.sum() / size.sum())) if size.any() else 1.0,
        growth_by_component=growth,
        explained_variance=float(1 - refitted_error / spread),
        alignment=float(energy / overlap) if overlap else 1.0,
    )
    return CodeReport(
        n_components=len(users),
        dead_share=float(np.mean(users == 0)),
        mean_active=float(users.sum() / X.shape[0]),
        explained_variance=float(1 - error / spread),
        refit=refit,
    )


def _refitted(part, z, options):
    """Return codes of rows, refitted by least squares on their supports."""
    rows = correlate_rows(part.X, part.dictionary)
    unit = rows.unit[:, None]
    first = Solution(z / unit, np.zeros(len(z)))
    return relax(rows, part.dictionary, first, options) * unit
