"""Every encoder with every row of every table, unfitted, small and fast."""

import numpy as np
from sklearn.base import clone

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    PivotalPCA,
    RelaxedSparseCoder,
    SqrtLassoTransform,
)
from sklearn_sqrtlasso.estimators.grouped import GroupedEncoder
from sklearn_sqrtlasso.learning.alternating import METHODS
from sklearn_sqrtlasso.learning.binarization import SCHEMES
from sklearn_sqrtlasso.learning.dictionary_learning import LEARNERS
from sklearn_sqrtlasso.learning.tight_frame import INITS
from sklearn_sqrtlasso.models.activations import ACTIVATIONS
from sklearn_sqrtlasso.models.decoders import DECODERS
from sklearn_sqrtlasso.models.pointwise import POINTWISE
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS

N_FEATURES = 12  # of the rows that laws are tried on
SHORT = {"max_iter": 3, "random_state": 0, "tol": 0.0}  # no warning: not to settle
ATOMS = np.random.default_rng(5).standard_normal((20, N_FEATURES))


def _each(parameter, names):
    return {f"{parameter}={name}": {parameter: name} for name in names}


FRAMES = {
    "default": {"tol": 1e-3, "max_iter": 100},
    "positive": {"alpha": 0.4, "positive": True},
    "sparse_output": {"alpha": 0.4, "sparse_output": True},
    "overcomplete": {"n_components": 25, "alpha": 0.35},
    "undercomplete": {"n_components": 5, "alpha": 0.4},
    "uncentered": {"center": False, "alpha": 0.4},
    "pivotal": {"alpha": "pivotal"},
    "kept": {"max_iter": 0},
    **{f"init={name}": {"init": name, "alpha": 0.4} for name in INITS},
}

NELUS = {
    "default": {},
    **{
        f"activation={name}": {"activation": name, "alpha": row.default_alpha}
        for name, row in ACTIVATIONS.items()
    },
    **_each("decoder", DECODERS),
    "positive": {"positive": True, "n_components": 20, "unit_rows": True},
    "undercomplete": {"n_components": 5, "decoder": "pinv"},
    "n_unrolled": {"n_unrolled": 3},
    "shared alpha": {"learn_alpha": "shared", "alpha": 0.3},
    "held alpha": {"learn_alpha": False, "alpha": 0.3},
    "noise_std": {"noise_std": (0.1, 1.0)},
    "no noise": {"noise_std": 0.0},
    "early_stopping": {"early_stopping": True},
}

PUBLISHED = {
    "alpha": 0.1,
    "encoder_activation": "sigmoid",
    "decoder_activation": "sigmoid",
    "encoder_method": "fista",
    "decoder_method": "accelerated",
}
SLOPING = [name for name, row in POINTWISE.items() if not row.is_step]
ANAMOS = {
    "default": {},
    "published": PUBLISHED,
    **_each("encoder_activation", POINTWISE),
    **_each("decoder_activation", SLOPING),
    **_each("binary", SCHEMES),
    **{
        f"method={name}": {"encoder_method": name, "decoder_method": name}
        for name in METHODS
    },
    "exact": {"prox": "exact", "init": "random", "n_components": 5},
    "batch_size": {"batch_size": 50},
    "early_stopping": {"early_stopping": True},
}


def ways_to_select(row):
    """Return the parameters that a selector can be used with, by what decides."""
    ways = {} if row is SELECTORS["sqrt_lasso"] else {"default": {}}
    if row.alpha_unit is not None:
        ways["alpha"] = {"alpha": 0.5}
    if row.takes_count != "never":
        ways["count"] = {"n_nonzero_coefs": 2}
    return ways


SELECTING = {
    f"selector={name} by {way}": {"selector": name, **given}
    for name, row in SELECTORS.items()
    for way, given in ways_to_select(row).items()
}
CODERS = {
    "default": {},
    "pivotal": {"alpha": "pivotal"},
    **SELECTING,
    **_each("learner", LEARNERS),
    "positive": {"positive": True, "alpha": 0.1, "n_components": 20},
    "phi": {"phi": 0.5, "alpha": 0.3},
    "sparse_output": {"sparse_output": True, "alpha": 0.3},
    "outlier_alpha": {"outlier_alpha": "auto"},
    "dictionary": {"dictionary": ATOMS},
}

PRIORS = {
    "default": {},
    "gaussian": {"nu": np.inf},
    "heavy tails": {"nu": 1.0, "n_components": 0.5},
    "share": {"n_components": 0.7},
    "all": {"n_components": None},
}

FAMILIES = {
    SqrtLassoTransform: FRAMES,
    NeLUAutoencoder: NELUS,
    ANAMOAutoencoder: ANAMOS,
    RelaxedSparseCoder: CODERS,
    PivotalPCA: PRIORS,
}


def short(family):
    """Return the parameters of a short fit that a class has."""
    return {key: value for key, value in SHORT.items() if key in family().get_params()}


ENCODERS = {
    f"{family.__name__}-{name}": family(**{**short(family), **given})
    for family, configurations in FAMILIES.items()
    for name, given in configurations.items()
}
OF_THE_CLASS = [f"{family.__name__}-default" for family in FAMILIES]


def family_of(cls):
    """Return the configurations of one class."""
    return {name: of for name, of in ENCODERS.items() if isinstance(of, cls)}


def is_given_atoms(coder):
    """Return whether nothing is learnt, and rows have the width of given atoms."""
    return getattr(coder, "dictionary", None) is not None


def learns_from_batches(coder):
    """Return whether there is a ``partial_fit`` that learns."""
    return hasattr(coder, "partial_fit") and not is_given_atoms(coder)


def takes_missing(coder):
    """Return whether entries of rows may be missing."""
    return coder._takes_missing


def restores_by_codes(coder):
    """Return whether rows are restored from their codes alone."""
    return not isinstance(coder, PivotalPCA)  # it keeps part of the residual


def is_grouped(coder):
    """Return whether methods take ``groups``."""
    return isinstance(coder, GroupedEncoder)


def selector_of(coder):
    """Return the record of the selector that a coder of atoms uses."""
    if coder.selector != "auto":
        return SELECTORS[coder.selector]
    return SELECTORS["sqrt_lasso" if coder.n_nonzero_coefs is None else "omp"]


def is_homogeneous(coder):
    """Return whether scaling a row scales its code, as the records have it."""
    if isinstance(coder, SqrtLassoTransform):
        return not coder.center  # else it does so about the mean
    if isinstance(coder, RelaxedSparseCoder):
        row, count = selector_of(coder), coder.n_nonzero_coefs
        counted = count is not None or (row.auto_count and coder.alpha == "auto")
        return counted or row.alpha_unit in ("pure", None)
    if isinstance(coder, NeLUAutoencoder):
        pure = ACTIVATIONS[coder.activation].role_of_alpha == "penalty"
        return pure and coder.n_unrolled is None  # steps of a length do not scale
    return False  # biases do not scale


def is_centred(coder):
    """Return whether scaling a row about the mean scales its code."""
    return isinstance(coder, SqrtLassoTransform) and coder.center


def has_noise_in_units(coder):
    """Return whether noise of training has the unit of the rows."""
    noise_std = getattr(coder, "noise_std", "auto")
    return not isinstance(noise_std, str) and np.any(noise_std)


def learns_the_same_in_any_unit(coder):
    """Return whether no parameter of learning has the unit of the rows."""
    pure = is_homogeneous(coder) or is_centred(coder)
    return pure and not has_noise_in_units(coder)


def is_frame_of_noise(coder):
    """Return whether a frame is learnt that codes most of the rows by zero."""
    return isinstance(coder, SqrtLassoTransform) and coder.alpha == "pivotal"


def is_detector(coder):
    """Return whether atoms are used where a row is not noise, of any level."""
    return isinstance(coder, RelaxedSparseCoder) and coder.alpha == "pivotal"


def is_certified(coder):
    """Return whether codes minimise something that has a gap, as the records say."""
    if isinstance(coder, RelaxedSparseCoder):
        return selector_of(coder).certified
    if isinstance(coder, NeLUAutoencoder):
        return ACTIVATIONS[coder.activation].certified
    return isinstance(coder, SqrtLassoTransform)


def new(name, **given):
    """Return an unfitted configuration, with some parameters changed."""
    return clone(ENCODERS[name]).set_params(**given)
