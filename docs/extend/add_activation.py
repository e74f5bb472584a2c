"""Add an activation: hard thresholding, which keeps large entries as they are."""

import numpy as np

from sklearn_sqrtlasso.models.activations import Activation


def _hard(rows, p):
    size = rows.U if rows.positive else np.abs(rows.U)
    return np.where(size > p["alpha"], rows.U, 0).astype(rows.U.dtype), None


def _hard_pull_back(rows, p, Z, memory, G):
    return G * (Z != 0), {"alpha": np.zeros_like(p["alpha"])}


ACTIVATIONS = {
    "hard": Activation(
        _hard,
        _hard_pull_back,
        ":math:`u` where :math:`|u| > \\alpha`, else 0; does not learn :math:`\\alpha`",
        "offset",
    ),
}
