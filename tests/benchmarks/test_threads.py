"""Two threads against one, and twice as many rows, for each estimator with threads."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    PivotalPCA,
    RelaxedSparseCoder,
    SqrtLassoCV,
    SqrtLassoTransform,
)

N_ROWS, N_FEATURES, N_UNITS = 100_000, 64, 256
CODERS = {
    "SqrtLassoTransform": SqrtLassoTransform(N_UNITS, max_iter=4, tol=0),
    "NeLUAutoencoder": NeLUAutoencoder(N_UNITS, max_iter=2, batch_size=1024),
    "ANAMOAutoencoder": ANAMOAutoencoder(
        N_UNITS, n_encoder_steps=3, n_decoder_steps=3, max_iter=1
    ),
    "PivotalPCA": PivotalPCA(16),
    "RelaxedSparseCoder": RelaxedSparseCoder(
        N_UNITS, selector="omp", n_nonzero_coefs=4, max_iter=1, tol=0
    ),
}
ESTIMATORS = {**CODERS, "SqrtLassoCV": SqrtLassoCV()}


def rows(n_rows=N_ROWS):
    """Return rows of four atoms in noise, and a target."""
    rng = np.random.default_rng(0)
    atoms = rng.standard_normal((N_UNITS, N_FEATURES)) / 8
    X = 0.1 * rng.standard_normal((n_rows, N_FEATURES))
    for _ in range(4):
        sizes = rng.standard_normal((n_rows, 1))
        X += sizes * atoms[rng.integers(0, N_UNITS, n_rows)]
    return 1 / (1 + np.exp(-X)), X @ atoms[0] + rng.standard_normal(n_rows)


def with_threads(name, n_jobs):
    estimator = ESTIMATORS[name]
    seed = {"random_state": 0} if "random_state" in estimator.get_params() else {}
    return estimator.set_params(n_jobs=n_jobs, **seed).__sklearn_clone__()


def calls(name, method, n_jobs, X, y):
    """Return a call of a method of a fitted estimator."""
    estimator = with_threads(name, n_jobs)
    if method == "fit":
        return lambda: estimator.fit(X, y)
    estimator.fit(X[:2000], y[:2000])
    return lambda: estimator.transform(X)


METHODS = [(name, "fit") for name in ESTIMATORS]
METHODS += [(name, "transform") for name in CODERS]
each_method = pytest.mark.parametrize(("name", "method"), METHODS)


@pytest.mark.goals
@each_method
def test_two_threads(race, name, method):
    X, y = rows()
    one, two = (calls(name, method, n_jobs, X, y) for n_jobs in (1, 2))
    race(two, rounds=5, one_thread=one, goals={"one_thread": 0.59})


@pytest.mark.goals
@each_method
def test_twice_as_many_rows(race, name, method):
    X, y = rows()
    half = N_ROWS // 2
    few = calls(name, method, 1, X[:half], y[:half])

    def half_twice():
        few()
        few()

    with threadpool_limits(1):
        race(
            calls(name, method, 1, X, y),
            rounds=3,
            goals={"half_twice": 1.1},
            n_threads=1,
            half_twice=half_twice,
        )
