"""All of scikit-learn's own checks, none of them expected to fail, and their number."""

from collections import Counter

import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

from tests.estimators.encoders import ENCODERS, OF_THE_CLASS, is_given_atoms, new

# Some checks fit frames and code arrays on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:X .* feature names:UserWarning")

MAY_BE_SKIPPED = {"check_array_api_input"}  # asks for SCIPY_ARRAY_API=1 and torch
# Checks choose the number of features, which given atoms cannot follow, and ask for at
# least one iteration.
CHECKED = [
    name
    for name, coder in ENCODERS.items()
    if not is_given_atoms(coder) and coder.max_iter > 0
]

# What scikit-learn checks of its own estimators only: names, frames and parameters,
# which hang on the class. They want dense codes.
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


@pytest.mark.parametrize("name", CHECKED)
def test_all_checks_are_run_and_passed(name):
    asked = [check.func.__name__ for _, check in estimator_checks_generator(new(name))]
    results = check_estimator(new(name), on_skip=None)
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    counts = Counter(result["status"] for result in results)
    assert skipped <= MAY_BE_SKIPPED
    assert Counter(result["check_name"] for result in results) == Counter(asked)
    assert counts["passed"] + len(skipped) == len(asked)


@pytest.mark.parametrize("check", OWN_CHECKS)
@pytest.mark.parametrize("name", OF_THE_CLASS)
def test_checks_of_scikit_learn_for_its_own_are_passed(name, check):
    getattr(estimator_checks, check)(type(ENCODERS[name]).__name__, new(name))
