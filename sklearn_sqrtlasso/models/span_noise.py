"""Noise of rows by its coordinates in the span of the weights of an encoder.

An encoder sees noise g of many columns as W g alone. With standard normal coordinates
e, one for each unit, ``(W W')^(1/2) e`` has the distribution of W g, and
``W' (W W')^(-1/2) e`` is the part of g in the span of the weights. The rest of it is
independent of codes and loss; in the gradient by W it has mean zero, and is left out.
"""

from typing import NamedTuple

import numpy as np

SMALLEST = 1e-12  # share of the largest eigenvalue of ``W W'`` below which one is zero


class Roots(NamedTuple):
    """Roots of the Gram matrix of weights.

    Attributes
    ----------
    root, inverse : ndarray of shape (n_components, n_components)
        ``(W W')^(1/2)`` and its pseudo-inverse, in the dtype of W.
    """

    root: np.ndarray
    inverse: np.ndarray


def roots_of(W) -> Roots:
    """Return the roots of the Gram matrix of weights.

    Parameters
    ----------
    W : ndarray of shape (n_components, n_features)
        Weights; NaN makes both roots NaN.

    Returns
    -------
    roots : Roots
        Root and inverse root.
    """
    gram = (W @ W.T).astype(np.float64)
    if not np.isfinite(gram).all():
        return Roots(*np.full((2, *gram.shape), np.nan, W.dtype))
    sizes, directions = np.linalg.eigh(gram)
    least = max(SMALLEST, 8 * float(np.finfo(W.dtype).eps)) * sizes[-1]
    sizes = np.sqrt(np.where(sizes > least, sizes, 0))
    inverse = np.divide(1, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    roots = [(directions * of) @ directions.T for of in (sizes, inverse)]
    return Roots(*(of.astype(W.dtype) for of in roots))
