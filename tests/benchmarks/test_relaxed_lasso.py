"""The relaxed lasso beside the lasso, in two settings of Hastie and Tibshirani."""

import numpy as np
import pytest

from sklearn_sqrtlasso.sparse_coding.dictionary import CodingOptions, make_dictionary
from sklearn_sqrtlasso.sparse_coding.encoder import code_rows

SETTINGS = {  # n_samples, n_features, n_true, signal-to-noise ratio
    "low": (500, 100, 5, 0.25),
    "high": (100, 1000, 10, 6.0),
}
# Risk, test error (both relative), nonzeros, F1: the lasso, then the relaxed lasso.
REFERENCE = {
    "low": ((0.106, 1.026, 17.5, 0.46), (0.042, 1.010, 5.6, 0.94)),
    "high": ((0.180, 2.078, 50.5, 0.35), (0.101, 1.605, 13.7, 0.83)),
}
N_REPETITIONS = 25


def draw(rng, n, p, n_true, snr):
    """Return two designs with responses, the coefficients and the covariance."""
    covariance = 0.35 ** np.abs(np.subtract.outer(np.arange(p), np.arange(p)))
    true = (np.arange(p) < n_true) * 1.0
    X = rng.standard_normal((2 * n, p)) @ np.linalg.cholesky(covariance).T
    noise = np.sqrt(true @ covariance @ true / snr) * rng.standard_normal(2 * n)
    y = X @ true + noise
    return X[:n], y[:n], X[n:], y[n:], true, covariance


def figures(rng, setting):
    """Return the figures of both, each tuned by as many validation rows."""
    X, y, X_valid, y_valid, true, covariance = draw(rng, *setting)
    atoms, whole, best = make_dictionary(X.T), true @ covariance @ true, [(np.inf,)] * 2
    for alpha in np.abs(X.T @ y).max() * np.geomspace(1, 1e-2, 50):
        for phi in np.linspace(0, 1, 10):
            z = code_rows(y[None], atoms, CodingOptions("lasso", alpha, 0, phi)).Z[0]
            loss = np.sum((y_valid - X_valid @ z) ** 2)
            risk = (z - true) @ covariance @ (z - true) / whole
            n_active, hits = np.count_nonzero(z), np.count_nonzero(z * true)
            f1 = 2 * hits / (n_active + setting[2])
            found = loss, risk, 1 + setting[3] * risk, n_active, f1
            best = [min(best[0], found) if phi == 1 else best[0], min(best[1], found)]
    return [found[1:] for found in best]


@pytest.mark.parametrize("name", SETTINGS)
def test_tables_of_the_relaxed_lasso(benchmark, note, name):
    rng = np.random.default_rng(0)
    repetitions = np.array([figures(rng, SETTINGS[name]) for _ in range(N_REPETITIONS)])
    mean = repetitions.mean(axis=0)
    spread = repetitions.std(axis=0) / N_REPETITIONS**0.5
    benchmark.pedantic(figures, (rng, SETTINGS[name]), rounds=1)
    for i, who in enumerate(["lasso", "relaxed"]):
        values = ", ".join(
            f"{m:.3f} ± {s:.3f} [{r}]"
            for m, s, r in zip(mean[i], spread[i], REFERENCE[name][i], strict=True)
        )
        note(f"{who}: risk, test error, nonzeros, F1 = {values}")
    both = np.sqrt(2) * spread + 5e-4  # the reference is a mean of draws, and rounded
    assert np.all(np.abs(mean - REFERENCE[name]) <= 3 * both)
