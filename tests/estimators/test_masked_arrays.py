"""Masked entries are refused wherever arrays are taken, or are missing."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import Ridge

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    Denoiser,
    NeLUAutoencoder,
    NoisyCopies,
    PivotalPCA,
    RelaxedSparseCoder,
    SqrtLasso,
    SqrtLassoCV,
    SqrtLassoTransform,
    sqrt_lasso_path,
)
from sklearn_sqrtlasso.inference import confidence_intervals
from sklearn_sqrtlasso.metrics import denoising_scorer, noise_scorer, psnr
from sklearn_sqrtlasso.signals import denoise_chunks, denoise_signal

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((60, 5)), RNG.standard_normal(60)
GRAM, LABELS = X.T @ X, np.arange(60) // 3
ENCODERS = [
    SqrtLassoTransform(max_iter=2, tol=0),
    NeLUAutoencoder(max_iter=2),
    RelaxedSparseCoder(max_iter=2),
    ANAMOAutoencoder(max_iter=2),
    PivotalPCA(),
]
METHODS = ["fit", "transform", "reconstruct", "noise_scale", "score", "report"]


def masked(values):
    """Return an array of which the last entry is masked."""
    values = np.ma.array(values)
    values[(-1,) * values.ndim] = np.ma.masked
    return values


CALLS = {
    "clean rows": lambda: NeLUAutoencoder().fit(X, X_clean=masked(X)),
    "codes": lambda: NeLUAutoencoder().fit(X, Z=masked(X)),
    "groups": lambda: SqrtLassoTransform().fit(X, groups=masked(LABELS)),
    "init": lambda: SqrtLassoTransform(init=masked(np.eye(5))).fit(X),
    "dictionary": lambda: RelaxedSparseCoder(dictionary=masked(np.eye(5))).fit(X),
    "copies": lambda: NoisyCopies(Ridge()).fit(masked(X), Y),
    "targets of copies": lambda: NoisyCopies(Ridge()).fit(X, masked(Y)),
    "restored rows": lambda: Denoiser(PivotalPCA()).fit(masked(X)),
    "loadings": lambda: SqrtLasso(penalty_loadings=masked(np.ones(5))).fit(X, Y),
    "products": lambda: SqrtLasso(precompute=masked(GRAM)).fit(X, Y),
    "penalties": lambda: SqrtLassoCV(alphas=masked([0.2, 0.1])).fit(X, Y),
    "path": lambda: sqrt_lasso_path(X, masked(Y)),
    "intervals": lambda: confidence_intervals(masked(X), Y),
    "ratio": lambda: psnr(X, masked(X)),
    "noise levels": lambda: denoising_scorer(masked([0.1, 0.2])),
    "levels of predictions": lambda: noise_scorer("r2", masked([0.1, 0.2])),
    "scored rows": lambda: denoising_scorer(1)(PivotalPCA().fit(X), masked(X)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_masked_entries_are_refused(call):
    with pytest.raises(ValueError, match="must have no masked entries, got 1"):
        call()


@pytest.mark.parametrize("coder", ENCODERS, ids=lambda coder: type(coder).__name__)
def test_masked_rows_and_codes_are_refused(coder):
    coder = coder.fit(X)
    for method in METHODS:
        with pytest.raises(ValueError, match="X must have no masked entries, got 1"):
            getattr(coder, method)(masked(X))
    with pytest.raises(ValueError, match="X must have no masked entries, got 1"):
        coder.inverse_transform(masked(coder.transform(X)))


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_masked_samples_of_a_recording_are_missing(dtype):
    x = (30 * np.sin(np.arange(200) / 7)).astype(dtype)
    lost = np.arange(200) % 9 == 4
    wide = x if x.dtype.kind == "f" else x.astype(np.float64)
    expected = denoise_signal(np.where(lost, np.nan, wide).astype(wide.dtype))
    assert_array_equal(denoise_signal(np.ma.masked_array(x, lost)), expected)
    with pytest.raises(ValueError, match="chunks must not have missing samples"):
        list(denoise_chunks([np.ma.masked_array(x, lost)], noise_std=1.0))
