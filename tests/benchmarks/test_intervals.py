"""Coverage of 95 % intervals on the designs of two papers, by simulation.

Belloni, Chernozhukov and Wang (2011) have Toeplitz columns and five coefficients of 1;
Dezeure et al. (2015) Toeplitz, exponentially decaying and equicorrelated columns, and 3
or 15 coefficients drawn at random. 100 rows, 500 features, noise 1.
"""

import numpy as np
import pytest

from sklearn_sqrtlasso import SqrtLasso
from sklearn_sqrtlasso.inference import confidence_intervals

N_FEATURES, N_REPETITIONS, N_ZEROS = 500, 200, 12
APART = np.abs(np.subtract.outer(np.arange(N_FEATURES), np.arange(N_FEATURES)))
COVARIANCES = {
    "Toeplitz .5": 0.5**APART,
    "Toeplitz .9": 0.9**APART,
    "exponential decay": np.linalg.inv(0.4 ** (APART / 5)),
    "equicorrelation .8": 0.8 + 0.2 * np.eye(N_FEATURES),
}
CASES = [  # covariance, number of nonzero coefficients, their range, rows
    ("Toeplitz .5", 5, None, 100),
    ("Toeplitz .5", 5, None, 200),
    *((name, 3, (0, 2), 100) for name in list(COVARIANCES)[1:]),
    *((name, 15, (-2, 2), 100) for name in list(COVARIANCES)[1:]),
]


def draw_truth(rng, n_nonzero, bounds):
    """Return coefficients: the first are 1, or some are drawn from a range."""
    truth = np.zeros(N_FEATURES)
    if bounds is None:
        truth[:n_nonzero] = 1.0
    else:
        on = rng.choice(N_FEATURES, n_nonzero, replace=False)
        truth[on] = rng.uniform(*bounds, n_nonzero)
    return truth


def pivotal(rng, root, n_rows):
    """Return the penalty of standardised columns, which is that of all draws."""
    X = rng.standard_normal((n_rows, N_FEATURES)) @ root.T
    return SqrtLasso(penalty_loadings=X.std(axis=0)).fit(X, X[:, 0]).alpha_


def covered(rng, root, case, **given):
    """Return whether intervals of nonzero coefficients and zeros contain them."""
    _, n_nonzero, bounds, n_rows = case
    truth = draw_truth(rng, n_nonzero, bounds)
    X = rng.standard_normal((n_rows, N_FEATURES)) @ root.T
    y = X @ truth + rng.standard_normal(n_rows)
    zeros = rng.choice(np.flatnonzero(truth == 0), N_ZEROS, replace=False)
    chosen = np.concatenate([np.flatnonzero(truth), zeros])
    low, high = confidence_intervals(X, y, features=chosen, **given).intervals.T
    hits = (low <= truth[chosen]) & (truth[chosen] <= high)
    return hits[:-N_ZEROS].mean(), hits[-N_ZEROS:].mean()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_intervals_cover_what_they_say(benchmark, note, case):
    root, rng = np.linalg.cholesky(COVARIANCES[case[0]]), np.random.default_rng(0)
    alpha = pivotal(rng, root, case[-1])
    for phi, n_draws in ((0.0, N_REPETITIONS), (1.0, N_REPETITIONS // 4)):
        given = {"alpha": alpha, "phi": phi}
        shares = np.array([covered(rng, root, case, **given) for _ in range(n_draws)])
        (nonzero, zero), error = shares.mean(axis=0), shares.std(axis=0)
        error /= np.sqrt(n_draws)
        note(
            f"phi={phi}: {nonzero:.3f} ± {error[0]:.3f} of nonzero coefficients, "
            f"{zero:.3f} ± {error[1]:.3f} of zeros"
        )
        if phi == 0:
            inside = np.abs(np.array([nonzero, zero]) - 0.95) <= 0.02 + 2 * error
            assert inside.all()
    benchmark.pedantic(covered, (rng, root, case), given, rounds=1)
