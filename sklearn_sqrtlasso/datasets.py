"""Synthetic data with sparse codes and noise."""

from numbers import Integral
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from sklearn_sqrtlasso._types import Seed
from sklearn_sqrtlasso.models.noise import DISTRIBUTIONS as NOISES
from sklearn_sqrtlasso.models.tight_frame import nearest_tight_frame


class SparseRows(NamedTuple):
    """Rows with sparse codes, and the parts they were generated from.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
        Noisy rows.
    X_clean : ndarray of shape (n_samples, n_features)
        Rows without noise.
    Z : ndarray of shape (n_samples, n_components)
        Codes.
    components : ndarray of shape (n_components, n_features)
        Transform model: W, with ``W'W = I`` or ``WW' = I``. Synthesis model: atoms of
        unit norm.
    """

    X: np.ndarray
    X_clean: np.ndarray
    Z: np.ndarray
    components: np.ndarray


def _tight_frame(rng, n_components, n_features):
    return nearest_tight_frame(rng.standard_normal((n_components, n_features)))


def _unit_atoms(rng, n_components, n_features):
    atoms = rng.standard_normal((n_components, n_features))
    return atoms / np.linalg.norm(atoms, axis=1, keepdims=True)


MODELS = MappingProxyType({"transform": _tight_frame, "synthesis": _unit_atoms})


def make_sparse_codes(
    n_samples: int = 1000,
    n_features: int = 64,
    n_components: int | None = None,
    *,
    n_nonzero: int = 5,
    model: str = "transform",
    noise: str = "gaussian",
    noise_std: float = 0.1,
    random_state: Seed = None,
) -> SparseRows:
    r"""Generate rows :math:`x = W^\top z + e` with sparse codes :math:`z`.

    Each code has ``n_nonzero`` nonzero entries at random positions, with absolute
    values uniform in [1, 2] and random signs. In the "transform" model, W is a random
    tight frame: orthonormal if it is square, so that :math:`Wx = z + We`. In the
    "synthesis" model, its rows are random atoms of unit norm.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    n_features : int, default=64
        Number of features.
    n_components : int, default=None
        Number of units or atoms; None uses ``n_features``.
    n_nonzero : int, default=5
        Number of nonzero entries of each code, from 0 to ``n_components``.
    model : {"transform", "synthesis"}, default="transform"
        Whether W is a tight frame ("transform") or has unit-norm rows ("synthesis").
    noise : {"gaussian", "laplace", "student_t", "uniform"}, default="gaussian"
        Distribution of the noise; Student's t has 3 degrees of freedom.
    noise_std : float or array-like of shape (n_samples,), default=0.1
        Standard deviation of the noise, for any distribution, at least 0, in units of
        the codes; an array has one value per row.
    random_state : int, RandomState instance or None, default=None
        Seed of components, codes and noise.

    Returns
    -------
    data : SparseRows
        The tuple ``(X, X_clean, Z, components)``.

    Raises
    ------
    ValueError
        If ``model`` or ``noise`` is unknown, a size is not positive, ``n_nonzero`` is
        out of range or ``noise_std`` is negative.

    Examples
    --------
    >>> from sklearn_sqrtlasso.datasets import make_sparse_codes
    >>> data = make_sparse_codes(10, 16, n_nonzero=3, random_state=0)
    >>> data.X.shape, int((data.Z[0] != 0).sum())
    ((10, 16), 3)
    """
    n_components = n_features if n_components is None else n_components
    for name, value, table in (("model", model, MODELS), ("noise", noise, NOISES)):
        if value not in table:
            raise ValueError(f"{name} must be one of {sorted(table)}, got {value!r}.")
    counts = {"n_samples": n_samples, "n_features": n_features}
    for size, count in (counts | {"n_components": n_components}).items():
        if not isinstance(count, Integral) or count < 1:
            raise ValueError(f"{size} must be an integer, at least 1, got {count!r}.")
    if not isinstance(n_nonzero, Integral) or not 0 <= n_nonzero <= n_components:
        raise ValueError(
            f"n_nonzero must be an integer in [0, {n_components}], got {n_nonzero!r}."
        )
    level = np.asarray(noise_std, dtype=np.float64)
    if level.shape not in ((), (n_samples,)):
        raise ValueError(
            f"noise_std must be a number or have shape ({n_samples},), "
            f"got shape {level.shape}."
        )
    if not np.all((level >= 0) & (level < np.inf)):
        raise ValueError(f"noise_std must be at least 0 and finite, got {noise_std!r}.")
    rng = check_random_state(random_state)
    components = MODELS[model](rng, n_components, n_features)
    Z = np.zeros((n_samples, n_components))
    places = np.argsort(rng.random_sample(Z.shape), axis=1)[:, :n_nonzero]
    sizes = rng.uniform(1, 2, places.shape)
    signs = rng.choice([-1, 1], places.shape)
    np.put_along_axis(Z, places, sizes * signs, axis=1)
    X_clean = Z @ components
    level = level.reshape(-1, 1) if level.ndim else level
    X = X_clean + level * NOISES[noise](rng, X_clean.shape)
    return SparseRows(X, X_clean, Z, components)
