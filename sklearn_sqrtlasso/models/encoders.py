"""Encoders of learnt layers, which code rows in blocks."""

from dataclasses import dataclass

import numpy as np

from sklearn_sqrtlasso.blockwise.encode import Encoder, PoolingEncoder
from sklearn_sqrtlasso.blockwise.linalg import affine_rows, project_rows
from sklearn_sqrtlasso.models.activations import Activation, ProjectedRows
from sklearn_sqrtlasso.models.pointwise import Pointwise


@dataclass(frozen=True)
class LayerEncoder(PoolingEncoder):
    """A layer without bias: ``activation(x W')``.

    Attributes
    ----------
    components : ndarray of shape (n_components, n_features)
        W.
    positive : bool
        Whether codes are nonnegative.
    activation : Activation
        Map from ``x W'`` to codes.
    p : dict of str to ndarray
        Parameters of the activation.
    """

    components: np.ndarray
    positive: bool
    activation: Activation
    p: dict[str, np.ndarray]

    @property
    def alpha(self):
        """Penalty of each unit."""
        return self.p["alpha"]

    @property
    def pools_groups(self):
        """Whether rows of a group share a residual scale."""
        return self.activation.pools_groups

    @property
    def whole_groups(self):
        """Whether a group is encoded at once."""
        return self.activation.whole_groups

    def project(self, x, out=None):
        """Return ``x W'``, and zeros: the part outside the span of W is ignored."""
        U = project_rows(x, self.components, out)
        return U, np.zeros(len(U), U.dtype)

    def encode(self, x, groups, workspace, out):
        """Write the codes of whole groups; return their residual scales, or zeros."""
        U = project_rows(x, self.components, workspace)
        rows = ProjectedRows(U, groups, self.positive)
        out[:], memory = self.activation.value(rows, self.p)
        if self.activation.at_scale is None:
            return np.zeros(len(U), U.dtype), None
        return memory, None

    def shrink_at_scale(self, U, outside, t, out):
        """Write the codes of part of a group with residual scale t."""
        rows = ProjectedRows(U, np.array([0, len(U)]), self.positive)
        out[:] = self.activation.at_scale(rows, self.p, t)


@dataclass(frozen=True)
class BiasedEncoder(Encoder):
    """A layer with a bias: ``activation(x W' + b)``, entry by entry.

    Attributes
    ----------
    components : ndarray of shape (n_components, n_features)
        W.
    bias : ndarray of shape (n_components,)
        Bias b.
    activation : Pointwise
        Pointwise activation.
    """

    components: np.ndarray
    bias: np.ndarray
    activation: Pointwise

    def encode(self, x, groups, workspace, out):
        """Write the codes of rows; return zeros, as there is no residual scale."""
        U, b = affine_rows(x, self.components.T, self.bias, workspace)
        with np.errstate(over="ignore"):  # what is out of range is infinite
            out[:] = self.activation.value(U, b)[0]
        return np.zeros(len(U), U.dtype), None
