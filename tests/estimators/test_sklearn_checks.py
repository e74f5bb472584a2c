"""All of scikit-learn's own checks, none of them expected to fail, and their number."""

from collections import Counter

import pytest
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    RelaxedSparseCoder,
    SqrtLassoTransform,
)
from sklearn_sqrtlasso.learning.alternating import METHODS
from sklearn_sqrtlasso.learning.binarization import SCHEMES
from sklearn_sqrtlasso.learning.dictionary import LEARNERS
from sklearn_sqrtlasso.models.activations import ACTIVATIONS, POINTWISE

# Some checks fit frames and code arrays on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:X .* feature names:UserWarning")

PURE = ("nelu", "nelu_adaptive", "nelu_helu", "topk")
NELUS = [
    *({"activation": name, "alpha": 0.3} for name in PURE),
    *(
        {"activation": name, "alpha": 0.0}
        for name in sorted(set(ACTIVATIONS) - set(PURE))
    ),
    {"decoder": "tied", "unit_rows": True, "learn_alpha": "shared", "n_jobs": 2},
    {"decoder": "pinv", "n_components": 2, "learn_alpha": False, "positive": True},
    {"n_unrolled": 3, "noise_std": (0.1, 1.0), "verbose": 1},
    {"early_stopping": True, "tol": 0.1, "random_state": 0},
]
SLOPING = [name for name in POINTWISE if name != "sign"]
ANAMOS = [
    {},
    *({"binary": name} for name in SCHEMES),
    *({"encoder_activation": name} for name in POINTWISE if name != "sigmoid"),
    *({"decoder_activation": name} for name in SLOPING if name != "sigmoid"),
    *({"encoder_method": name, "decoder_method": name} for name in METHODS),
    {"prox": "exact", "init": "random", "n_components": 2},
    {"batch_size": 7, "n_jobs": 2, "verbose": 1},
    {"early_stopping": True, "tol": 0.1, "random_state": 0},
]
CONFIGURATIONS = [
    SqrtLassoTransform(),
    SqrtLassoTransform(positive=True),
    SqrtLassoTransform(sparse_output=True),
    SqrtLassoTransform(30, n_jobs=2, random_state=0),
    SqrtLassoTransform(init="random", random_state=0, verbose=1),
    SqrtLassoTransform(init="dct", max_iter=3, tol=0.0),
    SqrtLassoTransform(alpha=0.3, tol=0.0),
    SqrtLassoTransform(2, alpha=0.0, positive=True, sparse_output=True),
    NeLUAutoencoder(max_iter=20),
    *(NeLUAutoencoder(max_iter=3, **given) for given in NELUS),
    *(ANAMOAutoencoder(max_iter=3, **given) for given in ANAMOS),
]
CONFIGURATIONS += [
    RelaxedSparseCoder(),
    RelaxedSparseCoder(12, alpha=0.3, phi=0.5, sparse_output=True, random_state=0),
    RelaxedSparseCoder(12, alpha=0.1, positive=True, n_jobs=2, random_state=0),
    RelaxedSparseCoder(alpha=0.0, phi=1.0, learner="online", verbose=1, random_state=0),
]
SELECTORS = [
    {},
    {"selector": "lasso", "alpha": 0.5},
    {"selector": "omp", "n_nonzero_coefs": 2},
    {"selector": "omp", "alpha": 0.5},
    {"selector": "ols", "n_nonzero_coefs": 2},
    {"selector": "topk", "n_nonzero_coefs": 2},
    {"selector": "iti", "n_nonzero_coefs": 2},
    {"selector": "iti"},
    {"selector": "threshold", "alpha": 0.5},
]
EACH_SELECTOR_WITH_EACH_LEARNER = [
    RelaxedSparseCoder(learner=learner, max_iter=3, random_state=0, **selector)
    for selector in SELECTORS
    for learner in LEARNERS
]
N_CHECKS = 47  # in scikit-learn 1.6 and 1.9 alike
MAY_BE_SKIPPED = {"check_array_api_input"}  # asks for SCIPY_ARRAY_API=1 and torch

# What scikit-learn checks of its own estimators only; these return dense codes.
OWN_CHECKS = [
    "check_param_validation",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_get_feature_names_out_error",
    "check_dataframe_column_names_consistency",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_inplace_ensure_writeable",
]
DENSE = [coder for coder in CONFIGURATIONS if not coder.sparse_output]


@parametrize_with_checks(CONFIGURATIONS)
def test_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "coder", CONFIGURATIONS + EACH_SELECTOR_WITH_EACH_LEARNER, ids=str
)
def test_all_checks_were_run_and_passed(coder):
    results = check_estimator(clone(coder), on_skip=None)
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    counts = Counter(result["status"] for result in results)
    assert skipped <= MAY_BE_SKIPPED
    assert counts["passed"] + len(skipped) == len(results) == N_CHECKS


@pytest.mark.parametrize("check", OWN_CHECKS)
@pytest.mark.parametrize("coder", DENSE, ids=str)
def test_checks_of_scikit_learn_for_its_own(coder, check):
    getattr(estimator_checks, check)(type(coder).__name__, clone(coder))


def test_there_are_eleven_checks_of_scikit_learn_for_its_own():
    assert len(set(OWN_CHECKS)) == 11
