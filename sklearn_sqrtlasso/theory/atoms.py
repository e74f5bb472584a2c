"""The penalty of the square-root lasso in given atoms that noise alone chooses."""

import numpy as np
from sklearn.utils import check_random_state

CHUNK = 1024  # draws simulated at a time


def pivotal_alpha_of_atoms(
    components, *, confidence=0.95, positive=False, n_draws=10_000, random_state=0
):
    r"""Return a penalty that codes pure noise by zero in given atoms.

    The code :math:`\arg\min_z \|g - zD\|_2 + \alpha\|z\|_1` of Gaussian noise g is zero
    if and only if :math:`\|Dg\|_\infty \le \alpha \|g\|_2`, in which the noise level
    cancels. The penalty is the simulated quantile of the ratio,

    .. math:: P\left(\|D g\|_\infty \le \alpha \|g\|_2\right) = \text{confidence} .

    Parameters
    ----------
    components : array-like of shape (n_components, n_features)
        Atoms D, not all zero.
    confidence : float, default=0.95
        Probability that a row of pure noise is coded by zero, in (0, 1).
    positive : bool, default=False
        Whether codes are nonnegative.
    n_draws : int, default=10000
        Draws of the simulation, at least 1.
    random_state : int, RandomState instance or None, default=0
        Seed of the simulation.

    Returns
    -------
    alpha : float
        Penalty, in units of the norm of an atom.

    Raises
    ------
    ValueError
        If ``components`` is not a finite matrix or ``confidence`` is outside (0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sqrtlasso.theory.atoms import pivotal_alpha_of_atoms
    >>> round(pivotal_alpha_of_atoms(np.eye(64)), 2)
    0.41
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), got {confidence!r}.")
    D = np.asarray(components, dtype=np.float64)
    if D.ndim != 2 or not np.all(np.isfinite(D)):
        raise ValueError("components must be a finite matrix.")
    rng = check_random_state(random_state)
    ratios = []
    for done in range(0, n_draws, CHUNK):
        G = rng.standard_normal((min(CHUNK, n_draws - done), D.shape[1]))
        C = G @ D.T
        top = np.maximum(C.max(axis=1), 0) if positive else np.abs(C).max(axis=1)
        ratios.append(top / np.linalg.norm(G, axis=1))
    return float(np.quantile(np.concatenate(ratios), confidence))
