"""Two layers with biases for another unit of the rows: same map, same loss."""

from sklearn_sqrtlasso.models.biased import Biased, Parameters
from sklearn_sqrtlasso.models.block import join, part

LARGEST_PENALTY = 1e30  # where rows are tiny beside it, all codes are zero anyway


def powers(model: Biased):
    """Return by which powers of the unit of rows W, b, V and c grow.

    Parameters
    ----------
    model : Biased
        The model.

    Returns
    -------
    powers : tuple of int
        Of W, b, V and c.
    """
    inner, outer = int(model.encoder.scales), int(model.decoder.scales)
    return inner - 1, inner, outer - inner, outer


def in_unit(model: Biased, parameters: Parameters, unit):
    """Return parameters for rows of another unit: ``unit`` old units make a new one.

    Parameters
    ----------
    model : Biased
        The model.
    parameters : Parameters
        They suit rows ``X``.
    unit : float
        Positive number.

    Returns
    -------
    parameters : Parameters
        They do the same to rows ``X * unit``, in units of them.
    """
    W, b = part(parameters.encoder, model.shape)
    V, c = part(parameters.decoder, model.shape)
    values = zip((W, b, V, c), powers(model), strict=True)
    W, b, V, c = (value * value.dtype.type(unit**power) for value, power in values)
    return Parameters(join(W, b), join(V, c))


def model_for_unit(model: Biased, unit):
    """Return the model of rows divided by ``unit``, of the same objective.

    Parameters
    ----------
    model : Biased
        Model of the rows as they are.
    unit : float
        Positive number, at least 1 where the decoder gives pure numbers.

    Returns
    -------
    model : Biased
        Its objective is that of ``model``, divided by ``unit`` squared.
    """
    penalty = model.penalty / unit / (1.0 if model.encoder.scales else unit)
    gain = model.gain if model.decoder.scales else model.gain / unit
    return model._replace(penalty=min(penalty, LARGEST_PENALTY), gain=gain)
