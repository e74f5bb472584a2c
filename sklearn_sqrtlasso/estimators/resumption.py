"""How learning resumes: what is carried over from earlier fits, what is refused.

``fit`` with ``warm_start`` and ``partial_fit`` on a fitted estimator resume; everything
else begins anew. What is carried over are the fitted attributes: components and other
parameters, the unit of scaling, the state of the optimizer and the curves, which grow.
The random numbers go on too: they depend on the number of iterations so far.
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
        Whether there is something to resume, and it is to be resumed.
    """
    return bool(warm) and hasattr(estimator, attribute)


def check_resumed_shape(estimator, shape):
    """Refuse to resume learning with weights of another shape than the fitted ones.

    Parameters
    ----------
    estimator : estimator
        A fitted one.
    shape : tuple of int
        (n_components, n_features) that the parameters ask for.
    """
    fitted = estimator.components_.shape
    if fitted != shape:
        raise ValueError(
            f"n_components={shape[0]} and the {shape[0]} x {shape[1]} weights asked "
            f"for do not fit the learnt ones of shape {fitted}; set warm_start=False "
            "to begin anew."
        )


def check_resumed_moments(moments, shapes):
    """Refuse to resume Adam on another set of parameters than it has moments of.

    Parameters
    ----------
    moments : Moments
        Those of the fits before.
    shapes : dict of str to tuple of int
        The learnt parameters now.
    """
    n_parameters = sum(int(np.prod(shape)) for shape in shapes.values())
    if len(moments.mean) != n_parameters:
        raise ValueError(
            f"the parameters to learn are now {sorted(shapes)}, {n_parameters} numbers,"
            f" and learning before had {len(moments.mean)}: decoder, learn_alpha, "
            "activation, n_unrolled or the use of Z have changed. Change them back, or "
            "set warm_start=False and call fit to begin anew."
        )


def resumed_rng(random_state, n_iter):
    """Return the source of random numbers after some iterations.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        As the estimator has it.
    n_iter : int
        Number of iterations before.

    Returns
    -------
    rng : numpy.random.Generator
        New numbers for each ``n_iter``, the same for the same seed.
    """
    seeds = check_random_state(random_state).randint(2**31, size=2)
    return np.random.default_rng([*seeds, n_iter])


def extend_curves(estimator, resumed, curves):
    """Set the curves of an estimator, behind those of the fits before if it resumes.

    Parameters
    ----------
    estimator : estimator
        Its attributes are set.
    resumed : bool
        Whether learning has resumed.
    curves : dict of str to array-like
        New values by attribute.
    """
    for name, values in curves.items():
        before = getattr(estimator, name) if resumed else []
        values = np.asarray(values, dtype=np.float64)
        setattr(estimator, name, np.concatenate([before, values]))
