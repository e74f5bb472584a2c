"""Two-layer autoencoder: codes of ``X W'``, decoded by ``Z V``."""

import math
from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.blockwise.linalg import scaled
from sklearn_sqrtlasso.models.activations import Activation, ProjectedRows
from sklearn_sqrtlasso.models.decoders import Decoder

SHARE_ROWS = 512  # rows of a share, for any number of threads: sums are the same
MIN_SHARE_ROWS = 64  # a batch of at least twice as many rows is split


class TwoLayer(NamedTuple):
    """Fixed properties of the model.

    Attributes
    ----------
    shape : tuple of int
        (n_components, n_features).
    activation : Activation
        Map from ``X W'`` to codes.
    decoder : Decoder
        Source of the atoms.
    positive : bool
        Whether codes are nonnegative.
    sizes : mapping
        Name of each parameter of the activation -> 0 if it is fixed, 1 if all units
        share one value, else n_components.
    """

    shape: tuple[int, int]
    activation: Activation
    decoder: Decoder
    positive: bool
    sizes: Mapping[str, int]


class Layers(NamedTuple):
    """Values of all parameters.

    Attributes
    ----------
    W : ndarray of shape (n_components, n_features)
        Encoder.
    V : ndarray of shape (n_components, n_features)
        Atoms of the decoder.
    p : dict of str to ndarray
        Parameters of the activation, of shape (n_components,), or (1,) if shared.
    """

    W: np.ndarray
    V: np.ndarray
    p: dict[str, np.ndarray]


class Batch(NamedTuple):
    """A batch of training data.

    Attributes
    ----------
    X : ndarray of shape (n_rows, n_features)
        Input.
    target : ndarray of shape (n_rows, n_features) or (n_rows, n_components)
        Target reconstructions, or target codes.
    groups : ndarray of shape (n_groups + 1,)
        Group g consists of the rows from ``groups[g]`` to ``groups[g + 1]``.
    weight : ndarray of shape (n_rows,)
        Weight of the squared error of each row.
    coded : bool
        Whether ``target`` holds codes.
    """

    X: np.ndarray
    target: np.ndarray
    groups: np.ndarray
    weight: np.ndarray
    coded: bool = False


def shapes(model: TwoLayer):
    """Return the shapes of all learnt parameters, in their order in the flat array.

    Parameters
    ----------
    model : TwoLayer
        The model.

    Returns
    -------
    shapes : dict of str to tuple of int
        Shapes, keyed by name.
    """
    weights = {"W": model.shape, "V": model.shape}
    if not model.decoder.free:
        del weights["V"]
    return weights | {name: (size,) for name, size in model.sizes.items() if size}


def views(model: TwoLayer, flat):
    """Return the learnt parameters as views of one flat array.

    Parameters
    ----------
    model : TwoLayer
        The model.
    flat : ndarray
        Learnt parameters, concatenated.

    Returns
    -------
    views : dict of str to ndarray
        Views, keyed by name.
    """
    found, start = {}, 0
    for name, shape in shapes(model).items():
        size = math.prod(shape)
        found[name] = flat[start : start + size].reshape(shape)
        start += size
    return found


def flatten(model: TwoLayer, layers: Layers):
    """Return the learnt parameters of ``layers`` as one flat array of real numbers.

    Parameters
    ----------
    model : TwoLayer
        The model.
    layers : Layers
        Values of all parameters.

    Returns
    -------
    flat : ndarray
        Learnt parameters, in the dtype of ``layers.W``.
    """
    values = {"W": layers.W, "V": layers.V}
    with np.errstate(divide="ignore"):  # of a step that is 0 in this precision
        for name, size in model.sizes.items():
            to_raw = model.activation.parameter(name).to_raw
            values[name] = to_raw(layers.p[name][:size])
    dtype = layers.W.dtype
    return np.concatenate(
        [values[name].ravel().astype(dtype) for name in shapes(model)]
    )


def unflatten(model: TwoLayer, flat, held: Layers):
    """Return the layers of a flat array.

    Parameters
    ----------
    model : TwoLayer
        The model.
    flat : ndarray
        As ``flatten`` returns it.
    held : Layers
        Values of the parameters that are not learnt.

    Returns
    -------
    layers : Layers
        Values of all parameters; weights are views of ``flat``.
    """
    found, p = views(model, flat), {}
    for name, value in held.p.items():
        if model.sizes[name]:
            learnt = model.activation.parameter(name).from_raw(found[name])
            value = np.full(value.shape, learnt, flat.dtype)
        p[name] = value
    V = found["V"] if model.decoder.free else model.decoder.atoms(found["W"])
    return Layers(found["W"], V, p)


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
    layers = unflatten(model, flat, held)
    parts = pmap(partial(_share_gradient, model, layers, len(batch.X)), _shares(batch))
    loss, by_W, by_V, by_p = (_total(part) for part in zip(*parts, strict=True))
    gradient = np.empty_like(flat)
    found = views(model, gradient)
    if model.decoder.free:
        found["W"][:], found["V"][:] = by_W, by_V
    else:
        by_V = model.decoder.pull_back(layers.W, layers.V, by_V)
        np.add(by_W, by_V, out=found["W"])
    for name, size in model.sizes.items():
        if size:
            raw = by_p[name] * model.activation.parameter(name).slope(layers.p[name])
            found[name][:] = raw if size == len(raw) else raw.sum()
    return loss, gradient


def _shares(batch):
    """Split a batch between groups into shares of about equal numbers of rows."""
    starts, n_rows = batch.groups, len(batch.X)
    if n_rows < 2 * MIN_SHARE_ROWS:
        return [batch]
    n_shares = max(2, n_rows // SHARE_ROWS)
    wanted = [n_rows * k // n_shares for k in range(n_shares + 1)]
    shares = []
    for first, last in pairwise(np.searchsorted(starts, wanted)):
        if first == last:
            continue
        rows = slice(starts[first], starts[last])
        groups = starts[first : last + 1] - starts[first]
        share = batch._replace(
            X=batch.X[rows],
            target=batch.target[rows],
            groups=groups,
            weight=batch.weight[rows],
        )
        shares.append(share)
    return shares


def _share_gradient(model, layers, n_rows, share):
    W, V, p = layers
    rows = ProjectedRows(share.X @ W.T, share.groups, model.positive)
    Z, memory = model.activation.value(rows, p)
    residual = (Z if share.coded else Z @ V) - share.target
    weight = share.weight * residual.dtype.type(2 / (n_rows * residual.shape[1]))
    G = residual * weight[:, None]
    loss = 0.5 * float(np.vdot(residual, G))
    if share.coded:
        by_V = np.zeros_like(V)
    else:
        by_V, G = Z.T @ G, G @ V.T
    H, by_p = model.activation.pull_back(rows, p, Z, memory, G)
    return loss, H.T @ share.X, by_V, by_p


def _total(parts):
    """Sum numbers, arrays or dicts of arrays, in their order."""
    if isinstance(parts[0], dict):
        return {name: _total([part[name] for part in parts]) for name in parts[0]}
    return parts[0] if len(parts) == 1 else sum(parts[1:], parts[0])


def rescale_layers(layers: Layers, activation: Activation, unit):
    """Return layers for rows multiplied by ``unit``.

    If codes scale with rows, parameters are pure numbers, except thresholds and steps
    in units of the data. If codes are pure numbers, weights have units.

    Parameters
    ----------
    layers : Layers
        Parameters for rows ``X``.
    activation : Activation
        Activation of the layers.
    unit : float
        Positive factor.

    Returns
    -------
    layers : Layers
        Equivalent parameters for rows ``X * unit``, in units of these rows; infinite
        where they are out of the range of their dtype.
    """
    W, V, p = layers
    if not activation.scales:
        return Layers(scaled(W, 1 / unit), scaled(V, unit), p)
    with_unit = [name for name in p if activation.parameter(name).has_unit]
    return Layers(W, V, p | {name: scaled(p[name], unit) for name in with_unit})
