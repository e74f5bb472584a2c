"""Decoders: the atoms of a reconstruction, learnt or computed from the encoder."""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.linalg import pinvh
from scipy.linalg.lapack import dpocon, dpotrf, dpotrs

from sklearn_sqrtlasso.blockwise.linalg import dense_rows, largest_entry, unit_near

MOST_MOMENTS = 2048  # columns or rows of sparse rows whose products are computed
MOST_STEPS = 500  # of conjugate gradients for more of both
RANK_TOL = 1e-10  # squared singular values below this share of the largest count as 0
FULL_RANK = 10 * RANK_TOL  # least share of the smallest, estimated to a small factor


class Decoder(NamedTuple):
    """A matrix of atoms V, computed from the encoder's W, or free.

    Attributes
    ----------
    atoms : callable, (W) -> V
        Both have shape (n_components, n_features). For a free decoder, initial atoms.
    pull_back : callable, (W, V, G) -> H
        Gradient with respect to W, given the gradient G with respect to V.
    summary : str
        Where the atoms come from, for the documentation.
    free : bool
        Whether V is learnt as a parameter.
    """

    atoms: Callable
    pull_back: Callable
    summary: str
    free: bool = False


def _pinv(W):
    """Return the transposed pseudo-inverse of W, by its smaller Gram matrix.

    W of any finite size is scaled before it is squared; others have none (NaN).
    """
    if not np.isfinite(W).all():
        return np.full_like(W, np.nan)
    unit = unit_near(largest_entry(W))
    wide = W / np.float64(unit)
    if len(W) < W.shape[1]:
        V = _times_inverse(wide @ wide.T, wide)
    else:
        V = _times_inverse(wide.T @ wide, wide.T).T
    with np.errstate(over="ignore"):  # what is out of range is infinite
        return (V / unit).astype(W.dtype, order="C")


def _times_inverse(gram, W):
    """Return the product of the pseudo-inverse of a Gram matrix with W.

    If no direction is near ``RANK_TOL``, that is the inverse, by a Cholesky factor.
    """
    factor, failed = dpotrf(gram, lower=True)
    if not failed:
        size = np.abs(gram).sum(axis=0).max()
        if dpocon(factor, size, uplo="L")[0] > FULL_RANK:
            return dpotrs(factor, W, lower=True)[0]
    return pinvh(gram, rtol=RANK_TOL) @ W


def _pinv_pull_back(W, V, G):
    """Pull a gradient back through the pseudo-inverse ``P = V'``, at constant rank.

    ``dP = -P dW P + P P' dW' (I - W P) + (I - P W) dW' P' P``, after Golub and Pereyra,
    "The differentiation of pseudo-inverses", SIAM Journal on Numerical Analysis, 1973.
    """
    if len(W) < W.shape[1]:  # by products of units with units
        of_G, of_W, gram = G @ V.T, W @ V.T, V @ V.T
        return (of_G - of_W @ of_G - of_G.T) @ V + gram @ G - (gram @ of_G) @ W
    inner, by_inverse = V.T @ W, -V @ (G.T @ V)
    if len(W) > W.shape[1] or not _is_identity(inner):  # where W P is no identity
        leaving = G @ (V.T @ V)
        by_inverse += leaving - W @ (V.T @ leaving)
    if not _is_identity(inner):
        inside = V @ (V.T @ G)
        by_inverse += inside - inside @ inner
    return by_inverse


def _is_identity(A):
    """Return whether a square matrix is the identity up to half its digits."""
    off = A - np.eye(len(A), dtype=A.dtype)
    return bool(np.abs(off).max() <= np.sqrt(np.finfo(A.dtype).eps))


def _nothing(W, V, G):
    return np.zeros_like(W)


DECODERS: MappingProxyType[str, Decoder] = MappingProxyType(
    {
        "free": Decoder(
            _pinv,
            _nothing,
            "V is learnt, and starts as the pseudo-inverse of W",
            free=True,
        ),
        "tied": Decoder(lambda W: W, lambda W, V, G: G, "V is W"),
        "pinv": Decoder(_pinv, _pinv_pull_back, "V is the pseudo-inverse of W"),
    }
)


def least_squares_atoms(Z, X, unit=1.0, target_unit=None, block_rows=4096):
    """Return the map V of least norm that minimises ``||Z V - X||_F^2``.

    Parameters
    ----------
    Z : ndarray or sparse matrix of shape (n_samples, n_components)
        Codes, or other rows to map from.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows to map to.
    unit : float, default=1.0
        Unit of scaling of Z, which keeps squares finite.
    target_unit : float, default=None
        Unit of scaling of X; None is that of Z.
    block_rows : int, default=4096
        Number of rows held dense at a time.

    Returns
    -------
    V : ndarray of shape (n_components, n_features)
        Map in double precision of Z to X, both in their units of scaling.
    """
    target_unit = unit if target_unit is None else target_unit
    n_samples, n_components = Z.shape
    if sp.issparse(Z) and n_components > min(n_samples, MOST_MOMENTS):
        return _atoms_of_sparse_rows(Z / unit, X / target_unit)
    gram = np.zeros((n_components, n_components))
    moment = np.zeros((n_components, X.shape[1]))
    for start in range(0, n_samples, block_rows):
        rows = slice(start, start + block_rows)
        z, x = Z[rows].astype(np.float64), X[rows].astype(np.float64)
        z, x = z / unit, x / target_unit
        gram += dense_rows(z.T @ z)
        moment += dense_rows(z.T @ x)
    return pinvh(gram, rtol=RANK_TOL) @ moment


def _atoms_of_sparse_rows(Z, X):
    """Return the map of least norm of sparse rows of many columns to other rows.

    It is found by products of few rows, or by conjugate gradients on the normal
    equations, from zero: all steps lie in the span of the rows.
    """
    Z, X = Z.astype(np.float64), X.astype(np.float64)
    if Z.shape[0] <= MOST_MOMENTS:
        return Z.T @ (pinvh(dense_rows(Z @ Z.T), rtol=RANK_TOL) @ X)
    V, left = np.zeros((Z.shape[1], X.shape[1])), X
    slope = way = Z.T @ left
    size = least = np.sum(slope**2, axis=0)
    for _ in range(MOST_STEPS):
        going = size > RANK_TOL**2 * least
        if not going.any():
            break
        ahead = Z @ way
        energy = np.sum(ahead**2, axis=0)
        step = np.divide(size, energy, out=np.zeros_like(size), where=going)
        V, left = V + step * way, left - step * ahead
        slope = Z.T @ left
        before, size = size, np.sum(slope**2, axis=0)
        turn = np.divide(size, before, out=np.zeros_like(size), where=going)
        way = slope + turn * way
    return V
