"""Any sequence of calls: a clear error and no change, or what a direct way leads to."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from numpy.testing import assert_array_equal, assert_equal
from sklearn.base import clone

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    PivotalPCA,
    RelaxedSparseCoder,
    SqrtLassoTransform,
)
from sklearn_sqrtlasso.estimators.validation import LIVE
from sklearn_sqrtlasso.learning.alternating import METHODS
from sklearn_sqrtlasso.learning.binarization import SCHEMES
from sklearn_sqrtlasso.learning.dictionary_learning import LEARNERS
from sklearn_sqrtlasso.learning.tight_frame import INITS
from sklearn_sqrtlasso.models.activations import ACTIVATIONS
from sklearn_sqrtlasso.models.decoders import DECODERS
from sklearn_sqrtlasso.models.pointwise import POINTWISE
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS
from tests import sized
from tests.estimators.common import dense, learnt, same
from tests.estimators.encoders import short

N_FEATURES = 5
RNG = np.random.default_rng(3)
BATCHES = [
    RNG.standard_normal((12, N_FEATURES)),
    RNG.standard_normal((8, N_FEATURES)).astype(np.float32),
    1e4 * RNG.standard_normal((1, N_FEATURES)),
    np.zeros((3, N_FEATURES)),
    1e-3 * RNG.integers(-2, 3, (9, N_FEATURES)) + 1.0,
]
PROBE = RNG.standard_normal((4, N_FEATURES))
LESSONS = ["rows", "clean", "Z"]
BAD = [np.full((3, N_FEATURES), np.nan), np.full((4, N_FEATURES), np.inf), np.ones(3)]

ALL = {
    "n_components": [None, 3, 5, 8, 0],
    "max_iter": [1, 2, "many"],
    "random_state": [0, 1, "seed"],
    "verbose": [0, -1],
    "n_jobs": [None, 1, 2, "all"],
}
TRAINING = {
    "early_stopping": [False, True],
    "validation_fraction": [0.3, 2.0],
    "warm_start": [False, True],
    "batch_size": [4, 100, -1],
}
VALUES = {
    SqrtLassoTransform: ALL
    | {
        "alpha": ["auto", "pivotal", 0.0, 0.4, 3.0, -1.0],
        "center": [True, False, "maybe"],
        "outlier_alpha": [None, "auto", 0.8, 0.0],
        "positive": [False, True],
        "early_stopping": ["auto", False, True, "maybe"],
        "init": [*INITS, np.eye(N_FEATURES), np.ones((2, 2)), "svd"],
        "tol": [0.0, 0.5, -1.0],
        "sparse_output": [False, True, "maybe"],
    },
    NeLUAutoencoder: ALL
    | TRAINING
    | {
        "alpha": ["auto", "pivotal", 0.2, 0.5, np.nan],
        "learn_alpha": ["per_unit", "shared", False, "never"],
        "activation": [*ACTIVATIONS, "elu"],
        "positive": [False, True],
        "decoder": [*DECODERS, "none"],
        "unit_rows": [False, True],
        "n_unrolled": [None, 2, 0],
        "noise_std": ["auto", 0.0, 0.5, (0.1, 1.0), (1.0, 0.1)],
        "learning_rate": [3e-3, 0.1, 0.0],
        "tol": [0.0, 0.5, 1.0],
        "n_iter_no_change": [1, 0],
    },
    RelaxedSparseCoder: ALL
    | {
        "dictionary": [None, np.eye(N_FEATURES), np.ones((2, 2))],
        "selector": ["auto", *SELECTORS, "all"],
        "alpha": ["auto", "pivotal", 0.3, -1.0],
        "n_nonzero_coefs": [None, 2, 0],
        "outlier_alpha": [None, "auto", 0.8, 0.0],
        "subsample": ["auto", None, 4, 0],
        "phi": [0.0, 0.5, 1.0, 2.0],
        "positive": [False, True],
        "learner": [*LEARNERS, "none"],
        "tol": [0.0, 0.5, -1.0],
        "transform_max_iter": [1000, 0],
        "transform_tol": [1e-8, -1.0],
        "sparse_output": [False, True, "maybe"],
    },
    ANAMOAutoencoder: ALL
    | TRAINING
    | {
        "alpha": ["auto", 0.0, 0.1, -1.0],
        "encoder_activation": ["auto", *POINTWISE, "elu"],
        "decoder_activation": [*POINTWISE],
        "binary": [None, *SCHEMES, "bits"],
        "width": [None, 0.5, 0.0],
        "n_encoder_steps": [1, 3, 0],
        "n_decoder_steps": [1, 3, 0],
        "encoder_step": ["auto", 0.1, 0.0],
        "decoder_step": ["auto", 0.1, 0.0],
        "encoder_method": ["auto", *METHODS, "newton"],
        "decoder_method": [*METHODS, "newton"],
        "prox": ["smooth", "exact", "none"],
        "init": ["mean", "random", "zero"],
        "tol": [0.0, 0.5, 1.0],
        "batch_size": [None, 4, -1],
    },
    PivotalPCA: {
        "n_components": ["auto", None, 0.5, 1.0, 3, 5, 8, 0],
        "nu": [0.5, 4.0, np.inf, 0.0],
        "max_iter": [1, 2, "many"],
        "tol": [0.0, 0.5, -1.0],
        "transform_max_iter": [1, 100, 0],
        "transform_tol": [0.0, 1e-2, -1.0],
        "n_jobs": [None, 1, 2, "all"],
        "verbose": [0, -1],
    },
}


def pickled(coder):
    return pickle.loads(pickle.dumps(coder))


def acts_at_once(name):
    return name in LIVE or name.startswith("transform_")


def codes_of(coder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dense(coder.transform(PROBE)), coder.reconstruct(PROBE)


def outcome(call):
    """Return what a call raises, None if nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call()
    except (ValueError, FloatingPointError) as error:
        return error


class Sequence(RuleBasedStateMachine):
    """An estimator, its codes as of the last fit, and calls in any order."""

    family: type

    def __init__(self):
        super().__init__()
        self.coder = self.family(**{**short(self.family), "max_iter": 1})
        self.codes = None

    def attempt(self, direct, call, coder):
        """Call on the estimator what was called on another; compare both."""
        before, kept = dict(vars(coder)), copy.deepcopy(learnt(coder))
        raised, expected = outcome(lambda: call(coder)), outcome(lambda: call(direct))
        assert type(raised) is type(expected), (raised, expected)
        if raised is None or type(raised).__name__ == "DivergedError":
            assert_equal(learnt(coder), learnt(direct))
            self.codes = codes_of(coder)
            assert np.isfinite(self.codes[0]).all()
        else:
            assert str(raised) == str(expected)
            assert same(before, vars(coder))
            assert_equal(learnt(coder), kept)

    @rule(data=st.data())
    def change_a_parameter(self, data):
        name = data.draw(st.sampled_from(sorted(VALUES[self.family])))
        value = data.draw(st.sampled_from(VALUES[self.family][name]))
        before = getattr(self.coder, name)
        self.coder.set_params(**{name: value})
        if self.codes is None:
            return
        if acts_at_once(name) and (raised := outcome(lambda: codes_of(self.coder))):
            assert name in str(raised)
            self.coder.set_params(**{name: before})
        assert_array_equal(codes_of(self.coder)[0], self.codes[0])
        assert_array_equal(codes_of(self.coder)[1], self.codes[1])

    @rule(batch=st.sampled_from(BATCHES))
    def fit(self, batch):
        warm = getattr(self.coder, "warm_start", False)
        direct = copy.deepcopy(self.coder) if warm is True else clone(self.coder)
        self.attempt(direct, lambda coder: coder.fit(batch), self.coder)

    @precondition(lambda self: hasattr(self.coder, "partial_fit"))
    @rule(
        batch=st.sampled_from(BATCHES), lesson=st.sampled_from(["rows", "clean", "Z"])
    )
    def go_on(self, batch, lesson):
        given = {}
        if self.family is NeLUAutoencoder and lesson == "clean":
            given = {"X_clean": batch / 2}
        elif self.family is NeLUAutoencoder and lesson == "Z":
            n_components = self.coder.n_components or N_FEATURES
            given = {"Z": np.tile(batch, 2)[:, :n_components]}

        def call(coder):
            coder.partial_fit(batch, **given)

        self.attempt(pickled(self.coder), call, self.coder)

    @rule(bad=st.sampled_from(BAD), method=st.sampled_from(["fit", "partial_fit"]))
    def fail(self, bad, method):
        before = dict(vars(self.coder))
        method = method if hasattr(self.coder, method) else "fit"
        if self.coder._takes_missing:  # a later batch may lack a column
            method = "fit"
        raised = outcome(lambda: getattr(self.coder, method)(bad))
        assert isinstance(raised, ValueError)
        assert same(before, vars(self.coder))

    @precondition(lambda self: self.codes is not None)
    @rule()
    def use(self):
        before = dict(vars(self.coder))
        self.coder.score(PROBE), self.coder.noise_scale(PROBE), self.coder.report(PROBE)
        self.coder.inverse_transform(self.coder.transform(PROBE))
        assert same(before, vars(self.coder))

    @rule(
        how=st.sampled_from([copy.deepcopy, lambda of: pickle.loads(pickle.dumps(of))])
    )
    def copy(self, how):
        self.coder = how(self.coder)
        if self.codes is not None:
            assert_array_equal(codes_of(self.coder)[0], self.codes[0])


def machine_of(cls):
    machine = type(f"Sequence{cls.__name__}", (Sequence,), {"family": cls})
    case = machine.TestCase
    case.settings = settings(
        max_examples=sized(25, 5),
        stateful_step_count=20,
        deadline=None,
        phases=[Phase.generate],  # to shrink a sequence takes minutes
    )
    return case


TestFrames = machine_of(SqrtLassoTransform)
TestNetworks = machine_of(NeLUAutoencoder)
TestDictionaries = machine_of(RelaxedSparseCoder)
TestAlternation = machine_of(ANAMOAutoencoder)
TestPriors = machine_of(PivotalPCA)


@pytest.mark.parametrize("cls", VALUES, ids=lambda cls: cls.__name__)
def test_sequences_change_every_parameter(cls):
    assert set(VALUES[cls]) == set(cls().get_params())
