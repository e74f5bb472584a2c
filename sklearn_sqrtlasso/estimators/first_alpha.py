"""First penalty, or offset, of the units of a network."""

import numpy as np

from sklearn_sqrtlasso.learning.initialization import Start, pivotal_alpha_of_weights

HEAD_START = 0.5  # times "pivotal", if alpha is learnt: at 1, units start dead


def first_alpha(alpha, name, model, unit):
    """Return the initial penalty, or offset for rows divided by the unit.

    Parameters
    ----------
    alpha : float, "auto" or "pivotal"
        As given to ``NeLUAutoencoder``.
    name : str
        Name of the activation.
    model : TwoLayer
        The model.
    unit : float
        Unit of scaling of the rows.

    Returns
    -------
    start : Start
        A function of the initial weights.

    Raises
    ------
    ValueError
        If it does not suit the activation.
    """
    activation, learnt = model.activation, model.sizes["alpha"] > 0
    default = alpha == "auto" and learnt
    alpha = activation.default_alpha if alpha == "auto" else alpha
    penalty = activation.role_of_alpha == "penalty"
    if isinstance(alpha, str) and alpha != activation.default_alpha:
        raise ValueError(
            f"alpha={alpha!r} is not available for activation={name!r}, "
            "where alpha is an offset that is subtracted: pass a number, or 'auto'."
        )
    if isinstance(alpha, str):
        share = HEAD_START if learnt else 1.0
        return Start(lambda W: share * pivotal_alpha_of_weights(W), default)
    if penalty and (alpha < 0 or (learnt and not 0 < alpha < 1)):
        raise ValueError(
            "alpha must be 'auto', 'pivotal' or a number of at least 0, and above "
            f"0 and below 1 if learn_alpha is not False, got {alpha!r}."
        )
    if not np.isfinite(alpha) or alpha < activation.least_alpha:
        raise ValueError(
            f"alpha must be finite and at least {activation.least_alpha:g} for "
            f"activation={name!r}, got {alpha!r}."
        )
    return Start(lambda W: alpha / unit if activation.alpha_has_unit else alpha)
