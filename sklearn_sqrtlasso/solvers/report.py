"""How much codes are shrunk: the diagnosis by refitting them on their supports."""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.solvers.relaxation import (
    Rule,
    Solution,
    make_atoms,
    make_rows,
    relax,
)

BLOCK = 1024  # rows refitted at a time


class ShrinkageReport(NamedTuple):
    """What refitting codes on their supports changes.

    Attributes
    ----------
    growth : float
        Norm of all refitted codes over that of the codes: 1 without shrinkage.
    growth_of_atom : ndarray of shape (n_components,)
        The same for each atom; NaN for atoms that are never active.
    explained : float
        Explained variance of the codes, at most 1.
    explained_refitted : float
        Explained variance of the refitted codes.
    alignment : float
        ``sum ||x_hat||^2 / sum <x_hat, x>``: below 1 if reconstructions are shrunk.
    n_active : float
        Mean number of nonzero entries of a code.
    dead : float
        Share of atoms that are never active.
    """

    growth: float
    growth_of_atom: np.ndarray
    explained: float
    explained_refitted: float
    alignment: float
    n_active: float
    dead: float

    def __str__(self):
        """Return the report as lines of text."""
        return "\n".join(
            [
                f"refitted codes are {self.growth:.3f} times as large",
                f"explained variance {self.explained:.4f}, refitted "
                f"{self.explained_refitted:.4f}",
                f"alignment {self.alignment:.3f}",
                f"{self.n_active:.1f} of {len(self.growth_of_atom)} atoms active in a "
                f"row, {100 * self.dead:.1f} % never active",
            ]
        )

    def plot(self, ax):
        """Draw a histogram of the growth of atoms.

        Parameters
        ----------
        ax : matplotlib Axes
            Where to draw.

        Returns
        -------
        ax : matplotlib Axes
            The same.
        """
        alive = self.growth_of_atom[np.isfinite(self.growth_of_atom)]
        ax.hist(alive, bins=30)
        ax.axvline(1.0, color="black", linestyle="--", linewidth=1)
        ax.set(xlabel="refitted norm / norm, atom by atom", ylabel="atoms")
        return ax


def report_shrinkage(X, Z, components, *, positive=False):
    """Refit codes on their supports, and report what changes.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows, in double precision.
    Z : ndarray or sparse matrix of shape (n_samples, n_components)
        Their codes.
    components : ndarray of shape (n_components, n_features)
        Atoms that decode.
    positive : bool, default=False
        Whether refitted codes are nonnegative.

    Returns
    -------
    report : ShrinkageReport
        The report.
    """
    unit = 2.0 ** -np.frexp(np.abs(X).max(initial=0.0) or 1.0)[1]
    atoms, rule = make_atoms(components), Rule("refit", positive=positive)
    size, refitted, users = np.zeros((3, len(atoms.D)))
    left = left_refitted = energy = overlap = 0.0
    mean = unit * X.mean(axis=0)
    spread = float(np.sum((unit * X - mean) ** 2))
    for start in range(0, len(X), BLOCK):
        z = Z[start : start + BLOCK]
        z = unit * np.asarray(z.toarray() if hasattr(z, "toarray") else z, np.float64)
        x = unit * X[start : start + BLOCK]
        rows = make_rows(x, atoms)
        exponent = rows.exponent[:, None]
        first = Solution(np.ldexp(z, exponent), np.zeros(len(z)))
        fit = np.ldexp(relax(rows, atoms, first, rule), -exponent)
        restored = z @ atoms.D
        left += np.sum((x - restored) ** 2)
        left_refitted += np.sum((x - fit @ atoms.D) ** 2)
        energy += np.sum(restored**2)
        overlap += np.sum(restored * x)
        size += np.sum(z**2, axis=0)
        refitted += np.sum(fit**2, axis=0)
        users += np.count_nonzero(z, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.sqrt(np.where(size > 0, refitted / size, np.nan))
    spread = spread or 1.0
    return ShrinkageReport(
        growth=float(np.sqrt(refitted.sum() / size.sum())) if size.any() else 1.0,
        growth_of_atom=growth,
        explained=float(1 - left / spread),
        explained_refitted=float(1 - left_refitted / spread),
        alignment=float(energy / overlap) if overlap else 1.0,
        n_active=float(users.sum() / len(X)),
        dead=float(np.mean(users == 0)),
    )
