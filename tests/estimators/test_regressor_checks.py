"""All of scikit-learn's own checks of regressors, and their number."""

from collections import Counter

import pytest
import sklearn
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.fixes import parse_version

from sklearn_sqrtlasso import SqrtLasso, SqrtLassoCV

NEW = parse_version(sklearn.__version__) >= parse_version("1.9")
CONFIGURATIONS = {
    SqrtLasso(): 62 if NEW else 61,
    SqrtLasso("asymptotic", positive=True): 62 if NEW else 61,
    SqrtLasso(0.0): 62 if NEW else 61,
    SqrtLasso(0.01, fit_intercept=False, warm_start=True): 62 if NEW else 61,
    SqrtLasso(0.1, tol=1e-10, random_state=3): 62 if NEW else 61,
    SqrtLassoCV(): 61 if NEW else 60,
    SqrtLassoCV(alphas=[0.5, 0.01], positive=True, n_jobs=2): 61 if NEW else 60,
}
MAY_BE_SKIPPED = {"check_array_api_input"}  # asks for SCIPY_ARRAY_API=1 and torch
# What scikit-learn checks of its own estimators only.
OWN_CHECKS = ["check_param_validation", "check_dataframe_column_names_consistency"]

pytestmark = pytest.mark.filterwarnings("error:.*duality gap")


@pytest.mark.parametrize(
    ("model", "n_checks"), CONFIGURATIONS.items(), ids=[str(m) for m in CONFIGURATIONS]
)
def test_all_checks_were_run_and_passed(model, n_checks):
    results = check_estimator(clone(model), on_skip=None)
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    counts = Counter(result["status"] for result in results)
    assert skipped <= MAY_BE_SKIPPED
    assert counts["passed"] + len(skipped) == len(results) == n_checks


@pytest.mark.parametrize("check", OWN_CHECKS)
@pytest.mark.parametrize("model", CONFIGURATIONS, ids=str)
def test_checks_of_scikit_learn_for_its_own(model, check):
    getattr(estimator_checks, check)(type(model).__name__, clone(model))
