"""Resuming learning: what is carried over, begins anew, or cannot change.

``fit`` with ``warm_start`` and ``partial_fit`` on a fitted estimator resume. All other
calls start from scratch, and forget everything that was fitted before.

Carried over are the fitted attributes: weights and other learnt parameters, the unit of
scaling, statistics, and curves, which are extended. Of the optimizer's state, moments
are carried over for each learnt parameter that had the same name and shape; those of
other parameters begin at zero. Random numbers depend on the number of iterations so
far. Parameters of an estimator that its fitted attributes are meaningless without, such
as the activation, cannot change; all others act from the next iteration on.
"""

import numpy as np
from sklearn.utils import check_random_state

from sklearn_sqrtlasso.learning.adam import Moments
from sklearn_sqrtlasso.models.earlier_rows import EarlierRows


def resumes(estimator, *, warm, attribute="components_"):
    """Return whether learning resumes.

    Parameters
    ----------
    estimator : estimator
        Fitted or not.
    warm : bool
        Whether to resume if it is fitted.
    attribute : str, default="components_"
        An attribute that a fitted estimator has.

    Returns
    -------
    resumes : bool
        Whether ``warm`` is set and the estimator is fitted.
    """
    return bool(warm) and hasattr(estimator, attribute)


def forget(estimator):
    """Remove all fitted attributes.

    Parameters
    ----------
    estimator : estimator
        Fitted or not.
    """
    for name in list(vars(estimator)):
        if name.endswith("_") and not name.startswith("_"):
            delattr(estimator, name)


def refuse_change(estimator, name, before, now):
    """Raise the error for a parameter that cannot change while learning resumes.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator.
    name : str
        Name of the parameter.
    before, now : object
        Its values in the earlier fit and now.
    """
    scratch = "fit"
    if getattr(estimator, "warm_start", False):
        scratch = "fit with warm_start=False"
    raise ValueError(
        f"{name} cannot change from {before!r} to {now!r} while learning resumes: set "
        f"{name}={before!r} to go on, or call {scratch} to start from scratch."
    )


def check_unchanged(estimator, names):
    """Raise an error if a parameter differs from that of the earlier fit.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator, with ``fitted_params_``.
    names : tuple of str
        Names of parameters.
    """
    for name in names:
        before, now = estimator.fitted_params_[name], getattr(estimator, name)
        if before != now:
            refuse_change(estimator, name, before, now)
    before, now = len(estimator.components_), estimator.n_components
    if now not in (None, before):
        refuse_change(estimator, "n_components", before, now)


def carried_moments(state, shapes, dtype):
    """Return the moments of Adam, carried over by name and shape, else zero.

    Parameters
    ----------
    state : dict
        ``mean`` and ``square``, dicts of arrays keyed by parameter, and ``n_steps``.
    shapes : dict of str to tuple of int
        Shapes of the parameters to train, in their order.
    dtype : dtype
        Dtype of the result.

    Returns
    -------
    moments : Moments
        Flat, in the order of ``shapes``; copies.
    """

    def flat(arrays):
        parts = []
        for name, shape in shapes.items():
            known = name in arrays and arrays[name].shape == shape
            parts.append(arrays[name].ravel() if known else np.zeros(np.prod(shape)))
        return np.concatenate(parts).astype(dtype, copy=False)

    return Moments(flat(state["mean"]), flat(state["square"]), state["n_steps"])


def state_of_rows(rows):
    """Return the moments of earlier rows as plain arrays, which any file may hold.

    Parameters
    ----------
    rows : EarlierRows or None
        Moments, if there are any.

    Returns
    -------
    state : dict
        With ``rows``, a dict or None.
    """
    return {"rows": rows and rows._asdict()}


def rows_of_state(state):
    """Return the moments of earlier rows that a state has.

    Parameters
    ----------
    state : dict
        State of an estimator that was fitted, by this version or an earlier one.

    Returns
    -------
    rows : EarlierRows or None
        Moments, if there are any.
    """
    rows = state.get("rows")
    return rows and EarlierRows(**rows)


def resumed_rng(random_state, n_iter):
    """Return the random generator after a number of iterations.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        Parameter of the estimator.
    n_iter : int
        Number of iterations so far.

    Returns
    -------
    rng : numpy.random.Generator
        Generator seeded by ``random_state`` and ``n_iter``.
    """
    seeds = check_random_state(random_state).randint(2**31, size=2)
    return np.random.default_rng([*seeds, n_iter])


def extend_curves(estimator, resumed, curves):
    """Set the curves of an estimator, or extend them if training resumed.

    Parameters
    ----------
    estimator : estimator
        Estimator whose attributes are set.
    resumed : bool
        Whether training resumed.
    curves : dict of str to array-like
        New values, keyed by attribute.
    """
    for name, values in curves.items():
        before = getattr(estimator, name) if resumed else []
        values = np.asarray(values, dtype=np.float64)
        setattr(estimator, name, np.concatenate([before, values]))
