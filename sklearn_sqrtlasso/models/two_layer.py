"""Two-layer autoencoder, codes of ``X W'`` decoded by ``Z V``: its parameters."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.blockwise.linalg import scaled
from sklearn_sqrtlasso.models.activations import Activation
from sklearn_sqrtlasso.models.decoders import Decoder


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

    def astype(self, dtype):
        """Return the layers in a dtype.

        Parameters
        ----------
        dtype : dtype
            The dtype.

        Returns
        -------
        layers : Layers
            Weights are copies only if their dtype is another one.
        """
        p = {name: value.astype(dtype) for name, value in self.p.items()}
        W, V = (of.astype(dtype, copy=False) for of in (self.W, self.V))
        return Layers(W, V, p)


class Batch(NamedTuple):
    """A batch of training data.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n_rows, n_features)
        Input.
    target : ndarray or CSR matrix of shape (n_rows, n_features), or ndarray of shape \
            (n_rows, n_components)
        Target reconstructions, or target codes.
    groups : ndarray of shape (n_groups + 1,)
        Group g consists of the rows from ``groups[g]`` to ``groups[g + 1]``.
    weight : ndarray of shape (n_rows,)
        Weight of the squared error of each row.
    coded : bool
        Whether ``target`` holds codes.
    noise : ndarray of shape (n_rows, n_components) or None
        Noise of the input by its coordinates in the span of the weights
        (``models.span_noise``), in which it then is not yet added to X.
    """

    X: np.ndarray
    target: np.ndarray
    groups: np.ndarray
    weight: np.ndarray
    coded: bool = False
    noise: np.ndarray | None = None


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
        Learnt parameters, in the dtype of ``layers.W``; a copy.
    """
    values = {"W": layers.W, "V": layers.V}
    with np.errstate(divide="ignore"):  # of a step that is 0 in this precision
        for name, size in model.sizes.items():
            to_raw = model.activation.parameter(name).to_raw
            values[name] = to_raw(layers.p[name][:size])
    dtype = layers.W.dtype
    return np.concatenate(
        [values[name].ravel().astype(dtype, copy=False) for name in shapes(model)]
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
