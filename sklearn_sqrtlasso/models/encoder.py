"""The encoder of a two-layer model: a map of rows to codes that can be visited."""

from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.models.activations import Activation, Rows
from sklearn_sqrtlasso.solvers.visit import product


class Encoder(NamedTuple):
    """Layers, as ``solvers.visit.visit_codes`` wants them: a map of rows to codes.

    Attributes
    ----------
    components : ndarray of shape (n_components, n_features)
        W.
    alpha : ndarray of shape (n_components,)
        Penalties.
    positive : bool
        Whether codes are nonnegative.
    activation : Activation
        The map of ``X W'``.
    p : dict of str to ndarray
        Its parameters.
    """

    components: np.ndarray
    alpha: np.ndarray
    positive: bool
    activation: Activation
    p: dict[str, np.ndarray]

    def project(self, x, out=None):
        """Return ``x W'``, and zeros: what W does not see is of no concern."""
        U = product(x, self.components, out)
        return U, np.zeros(len(U), U.dtype)

    def shrink(self, U, rest, runs, out, level):
        """Write the codes of whole runs, and their residual scales where they have."""
        out[:], memory = self.activation.value(Rows(U, runs, self.positive), self.p)
        level[:] = 0 if self.activation.at_level is None else memory

    def shrink_at(self, U, rest, t, out):
        """Write the codes of a part of a run whose residual scale is t."""
        rows = Rows(U, np.array([0, len(U)]), self.positive)
        out[:] = self.activation.at_level(rows, self.p, t)
