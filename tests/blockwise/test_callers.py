"""A warning points to the line that called the package."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline

from sklearn_sqrtlasso import (
    PivotalPCA,
    RelaxedSparseCoder,
    SqrtLasso,
    SqrtLassoTransform,
    sqrt_lasso_path,
)
from sklearn_sqrtlasso.blockwise.callers import warn_caller
from sklearn_sqrtlasso.images import denoise_image
from sklearn_sqrtlasso.signals import denoise_signal

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 30, 8))
TWINS = RNG.standard_normal((6, 8)).repeat(3, axis=0) + 1e-7 * np.eye(18, 8)
FRAME = SqrtLassoTransform(4, max_iter=2, tol=1e-12)
NOISY = gaussian_filter(RNG.standard_normal((24, 24)), 1.0)  # which is correlated
SMOOTHING = PCA(1).fit(RNG.standard_normal((80, 64)))
CALLS = {
    "rows": lambda: RelaxedSparseCoder(
        dictionary=TWINS, selector="lasso", alpha=1e-6, transform_max_iter=1
    ).fit_transform(X),
    "regression": lambda: SqrtLasso(1e-3, max_iter=1, tol=0.0).fit(X, Y[:, 0]),
    "hidden": lambda: SqrtLasso().fit(X * [1e5, *7 * [1.0]], X[:, 1]),
    "path": lambda: sqrt_lasso_path(X, Y[:, 0], max_iter=1, tol=0.0),
    "frame": lambda: FRAME.fit(X),
    "levels": lambda: PivotalPCA(transform_max_iter=1).fit(X).transform(X),
    "score": lambda: PivotalPCA(transform_max_iter=1).fit(X).score(X),
    "holes": lambda: PivotalPCA(max_iter=1, tol=1e-12).fit(np.where(X > 1, np.nan, X)),
    "image": lambda: denoise_image(SMOOTHING, NOISY),
    "recording": lambda: denoise_signal(NOISY.ravel(), 64, estimator=SMOOTHING),
    "pipeline": lambda: make_pipeline(SqrtLassoTransform(4, max_iter=2, tol=1e-12)).fit(
        X
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_line_is_that_of_the_caller_outside_the_package(call):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        call()
    assert told
    assert {warning.filename for warning in told} == {__file__}
    first = call.__code__.co_firstlineno
    assert {warning.lineno - first for warning in told} <= {0, 1, 2}


def test_lines_of_the_package_are_passed_over():
    name = Path(warn_caller.__code__.co_filename).with_name("other.py")
    code = compile("warn('far', UserWarning)", str(name), "exec")
    with pytest.warns(UserWarning, match="far") as told:
        exec(code, {"warn": warn_caller})
    assert told[0].filename == __file__


def test_the_category_is_given():
    with pytest.warns(ConvergenceWarning, match="not yet"):
        warn_caller("not yet", ConvergenceWarning)
