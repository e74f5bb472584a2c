"""Rows of a group share one noise level, whatever the labels look like."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from sklearn_sqrtlasso import SqrtLassoTransform
from tests import oracles
from tests.estimators.common import N_ROWS, SCATTERED, held, make_rows

WORDS = np.array(["seven", "one", "two", "three", "four", "five", "six"])[SCATTERED]
LABELS = {
    "ints": SCATTERED,
    "list": SCATTERED.tolist(),
    "floats": SCATTERED / 3,
    "negative": -SCATTERED,
    "words": WORDS,
    "objects": WORDS.astype(object),
    "list of words": WORDS.tolist(),
    "read-only": np.broadcast_to(SCATTERED, N_ROWS),
    "pandas": pd.Series(WORDS, index=range(N_ROWS)[::-1]),
    "category": pd.Series(WORDS, dtype="category"),
    "polars": pl.Series(WORDS.tolist()),
    "pyarrow": pa.array(WORDS.tolist()),
}
EVERY_METHOD = ["fit", "partial_fit", "fit_transform", "transform"]
EVERY_METHOD += ["reconstruct", "noise_scale", "score"]


@pytest.mark.filterwarnings(
    "ignore:A column-vector"
)  # scikit-learn says so, and goes on
@pytest.mark.parametrize("groups", LABELS.values(), ids=LABELS)
def test_labels_only_tell_rows_apart(groups):
    coder = SqrtLassoTransform(alpha=0.4)
    expected = coder.fit_transform(make_rows(), groups=SCATTERED)
    Z = coder.fit_transform(make_rows(), groups=groups)
    assert_allclose(Z, expected, rtol=1e-9, atol=1e-9)  # after learning


def test_codes_of_a_group_are_those_of_the_oracle():
    X, coder = make_rows(), held(np.eye(12), alpha=0.3)
    Z = coder.transform(X, groups=SCATTERED)
    for label in range(7):
        best = oracles.shrink(X[label == SCATTERED], 0.3)
        assert_allclose(Z[label == SCATTERED], best, rtol=1e-12, atol=1e-12)


def test_groups_share_their_noise_level():
    sigma = 10.0 ** (SCATTERED - 3)
    X = sigma[:, None] * np.random.default_rng(0).standard_normal((N_ROWS, 12))
    ours = held(np.eye(12), alpha=0.6).noise_scale(X, groups=SCATTERED)
    # 5 rows of 12 Gaussians at least tell their level to 9 %: three standard errors
    assert np.all(np.abs(ours / sigma - 1) < 0.3)


@pytest.mark.parametrize("method", EVERY_METHOD)
@pytest.mark.parametrize("shape", [N_ROWS - 1, N_ROWS + 1, 0, (N_ROWS, 2)])
def test_labels_are_as_many_as_rows(method, shape):
    coder, groups = SqrtLassoTransform(max_iter=0).fit(make_rows()), np.zeros(shape)
    message = f"groups must be None, 'all' or an array of {N_ROWS} labels.* got "
    with pytest.raises(ValueError, match=message):
        getattr(coder, method)(make_rows(), groups=groups)


@pytest.mark.parametrize("method", EVERY_METHOD)
def test_the_only_word_for_groups_is_all(method):
    coder = SqrtLassoTransform(max_iter=0).fit(make_rows())
    with pytest.raises(ValueError, match=r"groups must be None, 'all' or .* got 'ALL'"):
        getattr(coder, method)(make_rows(), groups="ALL")


@pytest.mark.parametrize("groups", [5, 2.0, "some"])
def test_what_is_no_array_of_labels_is_refused_by_its_value(groups):
    coder = SqrtLassoTransform(max_iter=0).fit(make_rows())
    with pytest.raises(ValueError, match=f"groups must be .*got.*{groups!r}"):
        coder.transform(make_rows(), groups=groups)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_rows_without_a_label_are_refused(missing):
    coder = SqrtLassoTransform(max_iter=0).fit(make_rows())
    groups = pd.Series([missing, *["a"] * (N_ROWS - 1)], dtype=object)
    with pytest.raises(ValueError, match="got 1 missing labels"):
        coder.transform(make_rows(), groups=groups)
    groups = np.where(np.arange(N_ROWS) < 3, np.nan, 1.0)
    with pytest.raises(ValueError, match="got 3 missing labels"):
        coder.transform(make_rows(), groups=groups)
