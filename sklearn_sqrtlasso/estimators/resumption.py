"""Resuming training: the state that is carried over, and checks that it fits.

``fit`` with ``warm_start`` and ``partial_fit`` on a fitted estimator resume; all other
calls start from scratch. The fitted attributes are carried over: components and other
parameters, the unit of scaling, the state of the optimizer and the curves, which are
extended. Random numbers depend on the number of iterations so far.
"""

import numpy as np
from sklearn.utils import check_random_state


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


def check_resumed_shape(estimator, shape):
    """Raise an error if the weights to train differ in shape from the fitted ones.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator.
    shape : tuple of int
        (n_components, n_features) according to the parameters and the data.
    """
    fitted = estimator.components_.shape
    if fitted != shape:
        raise ValueError(
            f"n_components={shape[0]} needs {shape[0]} x {shape[1]} weights, but the "
            f"fitted ones have shape {fitted}; call fit, with warm_start=False, to "
            "start from scratch."
        )


def check_resumed_moments(moments, shapes):
    """Raise an error if moments of Adam do not fit the parameters to train.

    Parameters
    ----------
    moments : Moments
        Moments of earlier fits.
    shapes : dict of str to tuple of int
        Shapes of the parameters to train.
    """
    n_parameters = sum(int(np.prod(shape)) for shape in shapes.values())
    if len(moments.mean) != n_parameters:
        raise ValueError(
            f"the parameters to train, {sorted(shapes)}, are {n_parameters} numbers, "
            f"but were {len(moments.mean)} in the previous fit: decoder, learn_alpha, "
            "activation, n_unrolled or the use of Z has changed. Change it back, or "
            "set warm_start=False and call fit to start from scratch."
        )


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
