"""Parameters of ``ANAMOAutoencoder`` that depend on each other."""

import numpy as np

from sklearn_sqrtlasso.learning.alternating import METHODS
from sklearn_sqrtlasso.learning.binarization import SCHEMES
from sklearn_sqrtlasso.models.pointwise import POINTWISE
from sklearn_sqrtlasso.models.sigmoid_prox import largest_exact_step

WITH_EXACT = [name for name, row in POINTWISE.items() if row.curvature < np.inf]
WITH_PROX = [name for name, row in METHODS.items() if row.takes_prox]


def activation_name(name, prox):
    """Return the name of an activation, "auto" replaced by what it stands for.

    Parameters
    ----------
    name : str
        The parameter ``encoder_activation``.
    prox : str
        The parameter ``prox``.

    Returns
    -------
    name : str
        A key of ``POINTWISE``.
    """
    if name != "auto":
        return name
    return "sigmoid" if prox == "exact" else "tanh"


def width_of(coder, row):
    """Return the width of an activation, or of the scheme of binary codes.

    Parameters
    ----------
    coder : ANAMOAutoencoder
        With its parameters.
    row : Pointwise or Scheme
        The activation or the scheme.

    Returns
    -------
    width : float
        That of the parameter ``width``, or the default.
    """
    return float(row.default_width if coder.width is None else coder.width)


def with_width(coder, activation):
    """Return an activation of the width that is asked for, if it has one.

    Parameters
    ----------
    coder : ANAMOAutoencoder
        With its parameters.
    activation : Pointwise
        The activation.

    Returns
    -------
    activation : Pointwise
        The activation.
    """
    if activation.with_width is None:
        return activation
    return activation.with_width(width_of(coder, activation))


def middle_of(coder):
    """Return where the activation of a binary encoder is one half in training.

    Parameters
    ----------
    coder : ANAMOAutoencoder
        With its parameters.

    Returns
    -------
    middle : float
        Its input; 0 for real codes.
    """
    if coder.binary is None:
        return 0.0
    scheme = SCHEMES[coder.binary]
    return scheme.middle * width_of(coder, scheme)


def suits_directions(coder):
    """Return whether weights of wide rows may start in their principal directions.

    Parameters
    ----------
    coder : ANAMOAutoencoder
        With its parameters.

    Returns
    -------
    suits : bool
        Whether units with weak input are linear, and the decoder is.
    """
    row = POINTWISE[activation_name(coder.encoder_activation, coder.prox)]
    smooth = not (row.surrogate or row.flat_at_zero)
    linear = POINTWISE[coder.decoder_activation].is_linear
    return smooth and linear and coder.binary is None and coder.init == "mean"


def learns_codes(coder):
    """Return whether binary codes of rows are learnt freely, not by the encoder.

    Parameters
    ----------
    coder : ANAMOAutoencoder
        With its parameters.

    Returns
    -------
    free : bool
        Whether they are.
    """
    return coder.binary is not None and SCHEMES[coder.binary].free_codes


def check_combination(coder, method):
    """Raise an error for parameters that cannot be combined.

    Parameters
    ----------
    coder : ANAMOAutoencoder
        With these parameters.
    method : str
        Inner method of the encoder.
    """
    if coder.prox == "exact":
        activation = activation_name(coder.encoder_activation, coder.prox)
        if activation not in WITH_EXACT or coder.binary is not None:
            raise ValueError(
                f"prox='exact' needs encoder_activation to be one of {WITH_EXACT} "
                f"and binary=None, got encoder_activation="
                f"{coder.encoder_activation!r} and binary={coder.binary!r}; set "
                "prox='smooth'."
            )
        if method not in WITH_PROX:
            raise ValueError(
                f"prox='exact' needs encoder_method to be one of {WITH_PROX}, got "
                f"{method!r}."
            )
    if not learns_codes(coder):
        return
    if method not in WITH_PROX:
        raise ValueError(
            f"binary={coder.binary!r} keeps codes in [0, 1] by a proximal map and "
            f"needs encoder_method to be one of {WITH_PROX}, got {method!r}."
        )
    if coder.early_stopping or coder.batch_size not in (None, "auto"):
        raise ValueError(
            f"binary={coder.binary!r} learns the codes of all rows at once and "
            "needs early_stopping=False and batch_size=None, got "
            f"early_stopping={coder.early_stopping!r} and "
            f"batch_size={coder.batch_size!r}."
        )


def check_exact_step(alternation, objective):
    """Raise an error if a given step of the encoder is too long for exact maps.

    Parameters
    ----------
    alternation : Alternation
        With the inner method of the encoder.
    objective : Objective
        Loss of the rows.
    """
    step = alternation.encoder.step
    if not alternation.exact or step is None:
        return
    largest = largest_exact_step(objective)
    if step > largest:
        raise ValueError(
            f"encoder_step={step} is too long for prox='exact', which converges up "
            f"to {largest:.3g} on these rows; lower it or set it to 'auto'."
        )
