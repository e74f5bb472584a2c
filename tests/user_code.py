"""Code of a user who checks types: ``mypy --strict`` finds nothing in it."""

import numpy as np

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
from sklearn_sqrtlasso.datasets import SparseRows, make_sparse_codes
from sklearn_sqrtlasso.images import denoise_image
from sklearn_sqrtlasso.inference import confidence_intervals
from sklearn_sqrtlasso.metrics import (
    denoising_scorer,
    noise_scorer,
    psnr,
    shrinkage_report,
)
from sklearn_sqrtlasso.theory.limits import alpha_max
from sklearn_sqrtlasso.theory.pivotal import pivotal_alpha, recovery_bound


def restore(data: SparseRows) -> dict[str, float]:
    """Restore rows by each encoder; return the PSNR of each, in decibels."""
    coders = (
        SqrtLassoTransform(8, random_state=0),
        NeLUAutoencoder(8, max_iter=2, random_state=0),
        PivotalPCA(4),
        RelaxedSparseCoder(8, n_nonzero_coefs=2, random_state=0),
        ANAMOAutoencoder(8, max_iter=2, random_state=0),
    )
    quality = {}
    for coder in coders:
        restored = coder.fit(data.X).reconstruct(data.X)
        quality[type(coder).__name__] = psnr(data.X_clean, restored)
    return quality


def anomalies(rows: np.ndarray) -> np.ndarray:
    """Return the rows whose noise level is far above the others, and their codes."""
    coder: SqrtLassoTransform = SqrtLassoTransform(4).fit(rows)
    explained: float = coder.score(rows)
    gaps: np.ndarray = coder.duality_gap(rows)
    active: float = coder.report(rows).mean_active
    refit = shrinkage_report(coder, rows).refit
    assert explained <= 1
    assert gaps.max() < 1e-6
    assert active <= 4
    assert refit is None or refit.growth > 0
    return np.flatnonzero(coder.noise_scale(rows) > 3 * coder.noise_scale_)


def regress(rows: np.ndarray, target: np.ndarray) -> tuple[float, float, int]:
    """Return two estimates of the noise level, and how many penalties a path has."""
    model = SqrtLasso(phi=0.0, random_state=0).fit(rows, target)
    chosen = SqrtLassoCV(alphas=5, cv=2, n_jobs=1).fit(rows, target)
    intervals = confidence_intervals(rows, target, level=0.9, features=[0])
    alphas, *_ = sqrt_lasso_path(rows, target, alphas=[0.5, 0.1])
    assert model.predict(rows).shape == chosen.predict(rows).shape
    low, high = intervals.intervals[0]
    assert low < intervals.coef[0] < high
    return float(model.sigma_), float(chosen.sigma_), len(alphas)


def survive(rows: np.ndarray, target: np.ndarray) -> float:
    """Return the score of a regression that is fitted to noisy copies, under noise."""
    score = noise_scorer("r2", [0.5], kinds=["gaussian"])
    model = NoisyCopies(SqrtLasso(), n_copies=2, random_state=0).fit(rows, target)
    restored = Denoiser(PivotalPCA(4)).fit_transform(rows)
    assert restored.shape == rows.shape
    denoised: float = denoising_scorer([0.1])(PivotalPCA(4).fit(rows), rows)
    assert np.isfinite(denoised)
    return score(model, rows, target)


def bounds() -> tuple[float, float]:
    """Return a pivotal penalty, and the bound of the largest error of a code."""
    assert alpha_max([[3.0, -4.0]])[0] <= 1
    alpha = pivotal_alpha(8, 64, n_draws=100)
    return alpha, recovery_bound(0.1, 4, 1.0)[0]


if __name__ == "__main__":
    sample = make_sparse_codes(60, 8, n_nonzero=2, noise_std=0.1, random_state=0)
    print(restore(sample), anomalies(sample.X), bounds())
    print(regress(sample.X[:, 1:], sample.X[:, 0]))
    print(survive(sample.X[:, 1:], sample.X[:, 0]))
    print(denoise_image(sample.X, patch_size=(4, 4)).shape)
