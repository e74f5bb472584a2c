"""What the parameters of a NeLUAutoencoder say, checked and spelled out."""

import numpy as np
from sklearn.utils.validation import check_array

from sklearn_sqrtlasso.estimators.autoencoder import check_goes_on
from sklearn_sqrtlasso.learning.batches import Corruption, Material
from sklearn_sqrtlasso.learning.start import first_weights, span_of
from sklearn_sqrtlasso.models.activations import ACTIVATIONS, unrolled
from sklearn_sqrtlasso.models.decoders import DECODERS, best_atoms
from sklearn_sqrtlasso.models.two_layer import (
    PARAMETERS,
    SCALARS,
    Layers,
    TwoLayer,
    in_units,
)
from sklearn_sqrtlasso.theory.pivotal import pivotal_alpha

HEAD_START = 0.5  # of "pivotal", if learnt: at all of it, units begin as dead ones


def check_lesson(estimator, X, X_clean, Z, runs):
    """Return the rows and what they should become.

    Parameters
    ----------
    estimator : NeLUAutoencoder
        Its ``n_components`` is read.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Validated rows.
    X_clean, Z : array-like or None
        As in ``fit``.
    runs : Runs
        Rows that share a noise level.

    Returns
    -------
    lesson : Material
        Without a unit or noise.
    """
    if X_clean is not None and Z is not None:
        raise ValueError("Give X_clean or Z, not both: the loss is about one of them.")
    if X_clean is not None:
        X_clean = check_array(
            X_clean, accept_sparse="csr", dtype=X.dtype, input_name="X_clean"
        )
        if X_clean.shape != X.shape:
            raise ValueError(
                f"X_clean must have the shape of X, {X.shape}, got {X_clean.shape}."
            )
    if Z is not None:
        Z = check_array(Z, dtype=X.dtype, input_name="Z")
        wanted = (X.shape[0], estimator.n_components or Z.shape[1])
        if Z.shape != wanted:
            raise ValueError(
                f"Z must have the shape (n_samples, n_components) = {wanted}, "
                f"got {Z.shape}."
            )
    return Material(X, X_clean if Z is None else Z, Z is not None, runs, 1.0, None)


def activation_of(estimator):
    """Return the activation that the parameters name.

    Parameters
    ----------
    estimator : NeLUAutoencoder
        Its ``activation`` and ``n_unrolled`` are read.

    Returns
    -------
    activation : Activation
        From the table, or NeLU by steps.
    """
    if estimator.n_unrolled is None:
        return ACTIVATIONS[estimator.activation]
    if estimator.activation != "nelu":
        raise ValueError(
            "n_unrolled replaces the exact shrinkage of activation='nelu', got "
            f"activation={estimator.activation!r}; set n_unrolled=None."
        )
    return unrolled(estimator.n_unrolled)


def model_of(estimator, shape, coded):
    """Return the model that the parameters describe.

    Parameters
    ----------
    estimator : NeLUAutoencoder
        Its parameters are read.
    shape : tuple of int
        (n_components, n_features).
    coded : bool
        Whether it learns codes; the decoder then has no part in learning.

    Returns
    -------
    model : TwoLayer
        The model.
    """
    activation = activation_of(estimator)
    size = {"per_unit": shape[0], "shared": 1, True: shape[0], False: 0}
    sizes = dict.fromkeys(activation.parameters, size[estimator.learn_alpha])
    sizes |= dict.fromkeys(SCALARS & set(sizes), 1)
    decoder = DECODERS["tied" if coded else estimator.decoder]
    return TwoLayer(shape, activation, decoder, bool(estimator.positive), sizes)


def corruption_of(estimator, X, unit):
    """Return the noise that ``noise_std`` asks for, None if it is zero.

    Parameters
    ----------
    estimator : NeLUAutoencoder
        Its ``noise_std`` is read.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows: noise has no part outside of their span.
    unit : float
        Unit of the rows.

    Returns
    -------
    corruption : Corruption or None
        In units of ``unit``.
    """
    bounds = np.atleast_1d(np.asarray(estimator.noise_std, dtype=np.float64))
    if bounds.shape == (1,) and bounds[0] == 0:
        return None
    pair = bounds.shape in [(1,), (2,)] and np.all((bounds > 0) & (bounds < np.inf))
    if not pair or bounds[0] > bounds[-1]:
        raise ValueError(
            "noise_std must be a number of at least 0 or a pair 0 < low <= high, got "
            f"{estimator.noise_std!r}."
        )
    low, high = float(bounds[0]) / unit, float(bounds[-1]) / unit
    return Corruption(low, high, span_of(X))


def first_layers(estimator, model, lesson, unit, rng):
    """Return where learning begins: random weights, or the best linear map to codes.

    Parameters
    ----------
    estimator : NeLUAutoencoder
        Its ``alpha`` and ``learn_alpha`` are read.
    model : TwoLayer
        The model.
    lesson : Material
        Rows, and what they should become.
    unit : float
        Their unit.
    rng : numpy.random.Generator
        Draws the weights.

    Returns
    -------
    layers : Layers
        For rows divided by ``unit``.
    """
    X = lesson.X
    if lesson.coded:  # from random ones, some units end up with another's code
        W = best_atoms(X, lesson.target, unit).T.astype(X.dtype)
    else:
        W = first_weights(model.shape, span_of(X), rng, X.dtype)
    alpha = _first_alpha(estimator, model, W, unit)
    p = {"alpha": np.full(model.shape[0], alpha, X.dtype)}
    for name in model.activation.parameters[1:]:
        size = 1 if name in SCALARS else model.shape[0]
        start = PARAMETERS[name].start
        p[name] = np.full(size, alpha if start is None else start, X.dtype)
    return Layers(W, model.decoder.atoms(W), p)


def _first_alpha(estimator, model, W, unit):
    alpha, activation = estimator.alpha, model.activation
    learnt = model.sizes["alpha"] > 0
    if alpha == "pivotal":
        if activation.unit != "pure":
            raise ValueError(
                "alpha='pivotal' is a penalty of activations that scale with the row. "
                f"With activation={estimator.activation!r}, alpha is a threshold that "
                "is subtracted: give a number, for instance 0.0."
            )
        n_components, n_features = W.shape
        if n_components < n_features:
            alpha = pivotal_alpha(n_components, n_components)
        else:
            alpha = pivotal_alpha(n_components, n_features, components=W)
        return HEAD_START * alpha if learnt else alpha
    if activation.unit == "pure":
        if alpha < 0 or (learnt and not 0 < alpha < 1):
            raise ValueError(
                "alpha must be 'pivotal' or a number of at least 0, below 1 and above "
                f"0 if learn_alpha is not False, got {alpha!r}."
            )
        return alpha
    if not np.isfinite(alpha) or (estimator.activation == "soft" and alpha < 0):
        raise ValueError(
            "alpha must be a finite threshold, and at least 0 for 'soft', got "
            f"{alpha!r}."
        )
    return alpha / unit if activation.scales else alpha


def present_layers(estimator, model, unit, dtype):
    """Return the fitted layers, for rows divided by ``unit``.

    Parameters
    ----------
    estimator : NeLUAutoencoder
        A fitted one.
    model : TwoLayer
        The model that its parameters describe now.
    unit : float
        Unit that learning works in.
    dtype : dtype
        Wanted dtype.

    Returns
    -------
    layers : Layers
        In arrays of their own.
    """
    check_goes_on(estimator, model.shape)
    layers = fitted_layers(estimator, model.activation, dtype)
    return in_units(layers, model.activation, 1 / unit)


def fitted_layers(estimator, activation, dtype):
    """Return the fitted layers, for rows as they are.

    Parameters
    ----------
    estimator : NeLUAutoencoder
        A fitted one.
    activation : Activation
        Its activation.
    dtype : dtype
        Wanted dtype.

    Returns
    -------
    layers : Layers
        The fitted values.
    """
    p, n_components = {}, len(estimator.components_)
    for name in activation.parameters:
        size = 1 if name in SCALARS else n_components
        p[name] = np.full(size, getattr(estimator, f"{name}_"), dtype)
    W = estimator.components_.astype(dtype)
    return Layers(W, estimator.decoder_.astype(dtype), p)
