"""What a user of an autoencoder looks at first."""

from typing import NamedTuple


class CodeReport(NamedTuple):
    """How the units of an encoder are used.

    Attributes
    ----------
    dead_share : float
        Share of the units that are zero in all rows.
    mean_active : float
        Mean number of nonzero entries of a code.
    explained_variance : float
        ``score`` of the rows.
    n_components : int
        Number of units.
    """

    dead_share: float
    mean_active: float
    explained_variance: float
    n_components: int

    def __str__(self):
        """Return the report in three lines."""
        return (
            f"dead units           {self.dead_share:.1%} of {self.n_components}\n"
            f"active units a row   {self.mean_active:.1f}\n"
            f"explained variance   {self.explained_variance:.3f}"
        )
