"""Rows that are tiny, huge, few or alike."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_sqrtlasso import SqrtLassoTransform
from tests.estimators.common import (
    DEGENERATE,
    dense,
    make_rows,
)
from tests.estimators.encoders import FAMILIES


@pytest.mark.parametrize("X", DEGENERATE.values(), ids=DEGENERATE)
@pytest.mark.parametrize("n_components", [1, 2, 4, 7])
@pytest.mark.parametrize("alpha", ["pivotal", 0.0, 0.3, 2.0])
def test_degenerate_rows_are_fitted_and_coded(X, n_components, alpha):
    coder = SqrtLassoTransform(n_components, alpha=alpha, random_state=0).fit(X)
    for groups in (None, "all"):
        assert coder.transform(X, groups=groups).shape == (len(X), n_components)
        assert np.isfinite(coder.transform(X, groups=groups)).all()
        assert np.isfinite(coder.noise_scale(X, groups=groups)).all()
    assert np.isfinite(coder.objective_curve_).all()
    assert np.isfinite(coder.score(X))


@pytest.mark.parametrize(
    ("scale", "dtype"), [(1e-150, "f8"), (1e150, "f8"), (1e-18, "f4"), (1e18, "f4")]
)
def test_huge_and_tiny_rows_are_fitted_like_others(scale, dtype):
    X = make_rows().astype(dtype)
    coder = SqrtLassoTransform(alpha=0.4)
    curve = coder.fit(X).objective_curve_ * scale
    by_scale = coder.fit(X.dtype.type(scale) * X).objective_curve_
    n = min(len(curve), len(by_scale))  # rounding may end one of them a step earlier
    assert_allclose(by_scale[:n], curve[:n], rtol=1e4 * np.finfo(dtype).eps)


@pytest.mark.parametrize(
    ("scale", "dtype"), [(1e-318, "f8"), (1e300, "f8"), (1e-42, "f4"), (1e30, "f4")]
)
def test_rows_at_the_ends_of_their_range_are_fitted(coder, scale, dtype):
    X = (scale * make_rows()).astype(dtype)
    for method in (coder.fit, coder.partial_fit):
        Z = dense(method(X).transform(X, groups="all"))
        assert np.isfinite(Z).all()
        assert np.isfinite(coder.objective_curve_).all()
        assert 0 < coder.noise_scale_ < 10 * scale


@pytest.mark.parametrize(("size", "dtype"), [(3e38, "f4"), (1.7e308, "f8")])
@pytest.mark.parametrize("family", FAMILIES)
def test_rows_near_the_largest_number_are_refused(family, size, dtype):
    X = size * np.array([[1.0, -0.6, 0.9], [1.0, 0.5, 0.7], [-1.0, 0.9, 0.8]])
    with pytest.raises(ValueError, match=r"X must have entries up to \d.*unit of X"):
        family().fit(X.astype(dtype))
