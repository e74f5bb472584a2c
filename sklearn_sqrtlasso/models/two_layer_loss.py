"""Loss of a two-layer autoencoder and its gradient, by dense or sparse products."""

from functools import partial, reduce
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.blockwise.linalg import dense_rows
from sklearn_sqrtlasso.blockwise.products import products_of
from sklearn_sqrtlasso.blockwise.sparse_units import (
    SparseTargets,
    add_units,
    is_mostly_zero,
    multiply_units,
    project_units,
)
from sklearn_sqrtlasso.models.activations import ProjectedRows
from sklearn_sqrtlasso.models.span_noise import roots_of
from sklearn_sqrtlasso.models.two_layer import (
    Batch,
    Layers,
    TwoLayer,
    unflatten,
    views,
)

SHARE_ROWS = 512  # rows of a share, for any number of threads: sums are the same
MIN_SHARE_ROWS = 64  # a batch of at least twice as many rows is split
DENSE_ENTRIES = 2**20  # of rows of a share that are decoded at a time
MANY_UNITS = 2  # times as many units as rows of a batch, for which products are dense


class Gradient(NamedTuple):
    """Loss and gradient of some rows.

    Attributes
    ----------
    loss : float
        Their share of the mean loss.
    by_W, by_V : ndarray of shape (n_components, n_features)
        Gradients with respect to the layers.
    by_p : dict of str to ndarray
        Gradients with respect to the parameters of the activation.
    by_root : ndarray of shape (n_components, n_components) or None
        Gradient with respect to the root that coordinates of noise are multiplied by.
    """

    loss: float
    by_W: np.ndarray
    by_V: np.ndarray
    by_p: dict[str, np.ndarray]
    by_root: np.ndarray | None


def loss_and_gradient(model: TwoLayer, flat, held: Layers, batch: Batch, pmap=map):
    r"""Return the mean loss of a batch and its gradient with respect to ``flat``.

    .. math::
        \frac{1}{m} \sum_b \omega_b \, \tfrac1n \|z(x_b) V - y_b\|_2^2
        \quad\text{or}\quad
        \frac{1}{m} \sum_b \omega_b \, \tfrac1d \|z(x_b) - y_b\|_2^2

    Parameters
    ----------
    model : TwoLayer
        The model.
    flat : ndarray
        Learnt parameters, as ``flatten`` returns them.
    held : Layers
        Values of the parameters that are not learnt.
    batch : Batch
        Rows.
    pmap : callable, (function, items) -> iterable of results in order
        ``map``, or ``thread_map``, applied to shares of the batch. Loss and gradient
        do not depend on it.

    Returns
    -------
    loss : float
        Mean loss.
    gradient : ndarray
        Gradient, of the shape of ``flat``.
    """
    layers, gradient = unflatten(model, flat, held), np.empty_like(flat)
    parts = views(model, gradient)
    if _by_nonzeros(model, batch):
        found = _sparse_gradient(model, layers, batch, parts, pmap)
    else:
        found = _gradient_of_shares(model, layers, batch, parts, pmap)
    if not model.decoder.free:
        parts["W"] += model.decoder.pull_back(layers.W, layers.V, found.by_V)
    for name, size in model.sizes.items():
        if size:
            slope = model.activation.parameter(name).slope(layers.p[name])
            raw = found.by_p[name] * slope
            parts[name][:] = raw if size == len(raw) else raw.sum()
    return found.loss, gradient


def _gradient_of_shares(model, layers, batch, parts, pmap):
    """Return the gradient of a batch, and write those by weights, by dense rows."""
    roots = None if batch.noise is None else roots_of(layers.W)
    root = None if roots is None else roots.root
    share = partial(_share_gradient, model, layers, root, batch.X.shape[0])
    found = reduce(_plus, pmap(share, _shares(batch)))
    parts["W"][:] = found.by_W
    if roots is not None:
        parts["W"] += (found.by_root @ roots.inverse) @ layers.W
    if model.decoder.free:
        parts["V"][:] = found.by_V
    return found


def _plus(one, other):
    """Add a gradient to another one, or parts of them, and return the sum."""
    if one is None:
        return None
    if isinstance(one, Gradient):
        return Gradient(*map(_plus, one, other))
    if isinstance(one, dict):
        return {name: _plus(one[name], other[name]) for name in one}
    one += other
    return one


def _shares(batch):
    """Split a batch into shares of about equal numbers of rows."""
    n_rows = batch.X.shape[0]
    split = n_rows >= 2 * MIN_SHARE_ROWS
    return _split(batch, max(2, n_rows // SHARE_ROWS) if split else 1)


def _split(batch, n_parts):
    """Split a batch between groups into at most so many parts."""
    if n_parts == 1:
        return [batch]
    starts, n_rows = batch.groups, batch.X.shape[0]
    wanted = [n_rows * k // n_parts for k in range(n_parts + 1)]
    parts = []
    for first, last in pairwise(np.searchsorted(starts, wanted)):
        if first == last:
            continue
        rows = slice(starts[first], starts[last])
        part = batch._replace(
            X=batch.X[rows],
            target=batch.target[rows],
            groups=starts[first : last + 1] - starts[first],
            weight=batch.weight[rows],
            noise=None if batch.noise is None else batch.noise[rows],
        )
        parts.append(part)
    return parts


def _share_gradient(model, layers, root, n_rows, share):
    """Return the gradient of a share of ``n_rows`` rows, a bounded block at a time."""
    n_blocks = -(-share.X.shape[0] * model.shape[1] // DENSE_ENTRIES)
    block = partial(_dense_gradient, model, layers, root, n_rows)
    return reduce(_plus, map(block, _split(share, n_blocks)))


def _dense_gradient(model, layers, root, n_rows, block):
    W, V, p = layers
    X, target = dense_rows(block.X), dense_rows(block.target)
    U = X @ W.T
    if root is not None:
        U += block.noise @ root
    rows = ProjectedRows(U, block.groups, model.positive)
    Z, memory = model.activation.value(rows, p)
    codes = products_of(Z, model.activation.flat_at_zero and not block.coded)
    residual = (Z if block.coded else codes.times(V)) - target
    weight = block.weight * residual.dtype.type(2 / (n_rows * residual.shape[1]))
    G = residual * weight[:, None]
    loss = 0.5 * float(np.vdot(residual, G))
    if block.coded:
        by_V = np.zeros_like(V)
    else:
        by_V, G = codes.moment(G), codes.slopes(G, V)
    H, by_p = model.activation.pull_back(rows, p, Z, memory, G)
    slopes = products_of(H)
    by_root = None if root is None else slopes.moment(block.noise)
    return Gradient(loss, slopes.moment(X), by_V, by_p, by_root)


def _by_nonzeros(model, batch):
    """Return whether products with the nonzeros of a batch cost less than dense ones.

    The Gram matrix of the atoms costs as much as to decode as many rows as units.
    """
    sparse = is_mostly_zero(batch.X) and (batch.coded or is_mostly_zero(batch.target))
    few_units = model.shape[0] <= MANY_UNITS * batch.X.shape[0]
    return sparse and (batch.coded or few_units)


def _sparse_gradient(model, layers, batch, parts, pmap):
    """Return the gradient of a batch, and write those by weights, by its nonzeros."""
    W, V, p = layers
    U = project_units(batch.X, W, pmap)
    roots = None if batch.noise is None else roots_of(W)
    if roots is not None:
        U += batch.noise @ roots.root
    shares = _shares(batch._replace(X=U))
    rows = [ProjectedRows(share.X, share.groups, model.positive) for share in shares]
    coded = list(pmap(lambda of: model.activation.value(of, p), rows))
    Z = np.concatenate([z for z, _ in coded])
    by_V = parts["V"] if model.decoder.free else np.empty_like(V)
    loss, G = _error(V, Z, batch, by_V, pmap)
    slopes = np.split(G, np.cumsum([len(z) for z, _ in coded])[:-1])

    def pull_back(k):
        return model.activation.pull_back(rows[k], p, *coded[k], slopes[k])

    pulled = list(pmap(pull_back, range(len(rows))))
    H, by_W = np.concatenate([h for h, _ in pulled]), parts["W"]
    if roots is None:
        by_W[:] = 0
    else:
        multiply_units(H.T @ batch.noise @ roots.inverse, W, by_W, pmap)
    add_units(batch.X, H, by_W, pmap)
    by_p = reduce(_plus, [by_p for _, by_p in pulled])
    return Gradient(loss, by_W, by_V, by_p, None)


def _error(V, Z, batch, by_V, pmap):
    """Return the loss of codes and its gradient by them; write that by the atoms."""
    weight = batch.weight * Z.dtype.type(2 / (len(Z) * batch.target.shape[1]))
    if batch.coded:
        by_V[:] = 0
        G = (Z - batch.target) * weight[:, None]
        return 0.5 * float(np.vdot(Z - batch.target, G)), G
    errors, slopes = SparseTargets(batch.target, V, V @ V.T, pmap).errors(Z)
    H = Z * weight[:, None]
    multiply_units(Z.T @ H, V, by_V, pmap)
    add_units(batch.target, -H, by_V, pmap)
    return 0.5 * float(errors @ weight), slopes * weight[:, None]
