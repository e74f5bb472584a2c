"""Add a learner of atoms: a gradient step on all atoms in each sweep."""

import numpy as np

from sklearn_sqrtlasso.learning.dictionary_learning import Learner, _sweeps


def update_by_gradient(task, coded):
    """Move all atoms down the gradient of the squared error, by an inverse bound.

    Olshausen and Field, "Sparse coding with an overcomplete basis set: a strategy
    employed by V1?", Vision Research 37(23), 1997.
    """
    gram, moment, _ = coded.statistics
    step = 1 / max(np.linalg.norm(gram, 2), 1e-300)
    moved = task.D + step * (moment - gram @ task.D)
    norms = np.linalg.norm(moved, axis=1)
    task.D[norms > 0] = moved[norms > 0] / norms[norms > 0, None]


LEARNERS = {
    "gradient": Learner(_sweeps(update_by_gradient), "a gradient step on all atoms"),
}
