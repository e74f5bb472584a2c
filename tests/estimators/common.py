"""Rows, groups and coders that the tests of the estimators share."""

import numpy as np
import pytest

from sklearn_sqrtlasso import SqrtLassoTransform
from sklearn_sqrtlasso.models.tight_frame import nearest_tight_frame
from tests import sized

N_ROWS = sized(200, 40)
SCATTERED = np.arange(N_ROWS) % 7
SELECTORS = {
    "default": SqrtLassoTransform(),
    "positive": SqrtLassoTransform(alpha=0.4, positive=True),
    "sparse": SqrtLassoTransform(alpha=0.4, sparse_output=True),
    "over": SqrtLassoTransform(25, init="random", random_state=0, alpha=0.35, tol=1e-3),
    "under": SqrtLassoTransform(5, alpha=0.4),
    "kept": SqrtLassoTransform(init="dct", max_iter=0, alpha=0.4),
}
# Products of other shapes are summed in another order: some roundings of entries to 15.
ROUNDING = {"rtol": 1e-12, "atol": 1e-12}

each_groups = pytest.mark.parametrize(
    "groups", [None, "all", SCATTERED], ids=["alone", "all", "scattered"]
)


def make_rows(seed=0, n_features=12):
    rng = np.random.default_rng(seed)
    signal, chance, noise = rng.standard_normal((3, N_ROWS, n_features))
    return 5 * signal * (chance > 1) + noise


def dense(Z):
    return Z.toarray() if hasattr(Z, "toarray") else Z


def random_frame(shape, seed=0):
    return nearest_tight_frame(np.random.default_rng(seed).standard_normal(shape))


def held(W, alpha="pivotal"):
    """Return a coder that keeps the frame W."""
    coder = SqrtLassoTransform(len(W), init=W, max_iter=0, alpha=alpha)
    return coder.fit(np.eye(W.shape[1]))
