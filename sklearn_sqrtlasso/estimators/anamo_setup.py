"""What the parameters of an ANAMOAutoencoder say, checked and spelled out."""

from types import MappingProxyType

import numpy as np

from sklearn_sqrtlasso.estimators.autoencoder import check_goes_on
from sklearn_sqrtlasso.learning.binary import BINARY
from sklearn_sqrtlasso.learning.nam import WITH_PROX, Inner
from sklearn_sqrtlasso.learning.start import mean_row
from sklearn_sqrtlasso.models.activations import (
    ACTIVATIONS,
    HELU_WINDOW,
    POINTWISE,
    helu,
)
from sklearn_sqrtlasso.models.biased import Biased, Parameters
from sklearn_sqrtlasso.models.biased_units import in_unit
from sklearn_sqrtlasso.models.block import join, part

DECODERS = tuple(name for name in POINTWISE if name != "sign")  # it has no slope
INVERSES = {"identity": lambda x: x, "sigmoid": lambda x: np.log(x) - np.log1p(-x)}
WIDE = MappingProxyType({"helu": helu})  # how far down they learn is to choose
WIDTHS = MappingProxyType({"helu": HELU_WINDOW, "binary": 1.0})  # unless it is given
NEAREST = 0.01  # to the bounds of a sigmoid that the mean row is taken
FIRST_SIZE = 1.0  # of what first weights make of rows with entries near 1
# Where automatic steps of Adam begin: a decoder is convex but for its sigmoid.
ADAM_STEPS = MappingProxyType({"encoder": 0.01, "decoder": 0.1})
NAMES = ("components_", "encoder_bias_", "decoder_", "decoder_bias_")


def model_of(estimator, shape):
    """Return the model that the parameters describe, for rows as they are.

    Parameters
    ----------
    estimator : ANAMOAutoencoder
        Its parameters are read.
    shape : tuple of int
        (n_components, n_features).

    Returns
    -------
    model : Biased
        The model that is learnt.
    """
    encoder, decoder = (
        _activation(estimator, getattr(estimator, f"{side}_activation"))
        for side in ("encoder", "decoder")
    )
    if estimator.binary is not None:
        encoder = BINARY[estimator.binary].activation(_width(estimator, "binary"))
    return Biased(shape, encoder, decoder, float(estimator.alpha))


def _activation(estimator, name):
    if name in WIDE:
        return WIDE[name](_width(estimator, name))
    return ACTIVATIONS[name]


def _width(estimator, name):
    return float(WIDTHS[name] if estimator.width is None else estimator.width)


def middle_of(estimator):
    """Return where the step of an encoder of bits is one half while learning.

    Parameters
    ----------
    estimator : ANAMOAutoencoder
        Its ``binary`` and ``width`` are read.

    Returns
    -------
    middle : float
        Zero if codes are numbers.
    """
    if estimator.binary is None:
        return 0.0
    return BINARY[estimator.binary].middle * _width(estimator, "binary")


def inner_of(estimator):
    """Return how either block is minimised.

    Parameters
    ----------
    estimator : ANAMOAutoencoder
        Its parameters are read.

    Returns
    -------
    encoder, decoder : Inner
        The inner methods.
    """
    found = []
    for side in ("encoder", "decoder"):
        step = getattr(estimator, f"{side}_step")
        method = getattr(estimator, f"{side}_method")
        if method == "lbfgs" and step != "auto":
            raise ValueError(
                f"{side}_step={step!r} is not for {side}_method='lbfgs', which finds "
                "the lengths of its steps itself: set it to 'auto'."
            )
        n_steps = getattr(estimator, f"n_{side}_steps")
        length = None if step == "auto" else float(step)
        found.append(Inner(method, n_steps, length, ADAM_STEPS[side]))
    return tuple(found)


def check_ways(estimator):
    """Refuse parameters that do not go together.

    Parameters
    ----------
    estimator : ANAMOAutoencoder
        Its parameters are read.
    """
    method = estimator.encoder_method
    if estimator.prox == "exact":
        if estimator.encoder_activation != "sigmoid" or estimator.binary is not None:
            raise ValueError(
                "prox='exact' is for encoder_activation='sigmoid' and binary=None, got "
                f"encoder_activation={estimator.encoder_activation!r} and "
                f"binary={estimator.binary!r}: set prox='smooth'."
            )
        if method not in WITH_PROX:
            raise ValueError(
                f"prox='exact' needs an encoder_method among {list(WITH_PROX)}, got "
                f"{method!r}."
            )
    if estimator.binary == "relaxed":
        if method not in WITH_PROX:
            raise ValueError(
                "binary='relaxed' keeps codes in [0, 1] by a proximal map and needs an "
                f"encoder_method among {list(WITH_PROX)}, got {method!r}."
            )
        if estimator.early_stopping or estimator.batch_size is not None:
            raise ValueError(
                "binary='relaxed' learns a code for each row, all at once: set "
                "early_stopping=False and batch_size=None, got "
                f"early_stopping={estimator.early_stopping!r} and "
                f"batch_size={estimator.batch_size!r}."
            )


def first_parameters(estimator, model, X, unit, rng):
    """Return where learning begins, for rows divided by ``unit``.

    Parameters
    ----------
    estimator : ANAMOAutoencoder
        Its ``init`` and ``decoder_activation`` are read.
    model : Biased
        The model.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.
    unit : float
        Their unit.
    rng : numpy.random.Generator
        Draws the weights.

    Returns
    -------
    parameters : Parameters
        In the dtype of X.
    """
    n_components, n_features = model.shape
    W, V = rng.standard_normal((2, *model.shape))
    W *= FIRST_SIZE / np.sqrt(n_features)
    V *= FIRST_SIZE / np.sqrt(n_components)
    b, c = np.zeros(n_components), np.zeros(n_features)
    inverse = INVERSES.get(estimator.decoder_activation)
    if estimator.init == "mean" and inverse is not None:
        mean = mean_row(X, unit)
        if not model.decoder.scales:
            mean = np.clip(mean * unit, NEAREST, 1 - NEAREST)
        z = 0.5 if not model.encoder.scales else 0.0
        c = inverse(mean) - z * V.sum(axis=0)
    b += middle_of(estimator)
    return Parameters(join(W, b).astype(X.dtype), join(V, c).astype(X.dtype))


def present_parameters(estimator, model, unit, dtype):
    """Return the fitted parameters, for rows divided by ``unit``.

    Parameters
    ----------
    estimator : ANAMOAutoencoder
        A fitted one.
    model : Biased
        The model that its parameters describe now.
    unit : float
        Unit that learning works in.
    dtype : dtype
        Wanted dtype.

    Returns
    -------
    parameters : Parameters
        In arrays of their own.
    """
    check_goes_on(estimator, model.shape)
    W, b, V, c = (getattr(estimator, name).astype(dtype) for name in NAMES)
    b = b + dtype.type(middle_of(estimator))
    return in_unit(model, Parameters(join(W, b), join(V, c)), 1 / unit)


def fitted_values(estimator, model, parameters, unit):
    """Return the fitted attributes that hold some parameters.

    Parameters
    ----------
    estimator : ANAMOAutoencoder
        Its ``binary`` and ``width`` are read.
    model : Biased
        The model.
    parameters : Parameters
        Values for rows divided by ``unit``.
    unit : float
        That unit.

    Returns
    -------
    values : dict of str to ndarray
        By attribute; bits of an encoder are one where ``W x + b >= 0``.
    """
    encoder, decoder = in_unit(model, parameters, unit)
    W, b = part(encoder, model.shape)
    b = b - b.dtype.type(middle_of(estimator))
    V, c = part(decoder, model.shape)
    return dict(zip(NAMES, (W.copy(), b.copy(), V.copy(), c.copy()), strict=True))
