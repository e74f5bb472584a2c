"""What networks learn from the first batches of a stream."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.preprocessing import scale

from sklearn_sqrtlasso import NeLUAutoencoder

TABLES = {
    "wine": lambda: scale(load_wine().data),
    "cancer": lambda: scale(load_breast_cancer().data),
    "diabetes": lambda: scale(load_diabetes().data),
    "digits": lambda: load_digits().data,
}
SHORT = {"learning_rate": 1e-12, "random_state": 0}  # steps that show where they begin


def rank_two(n_rows):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n_rows, 2)) @ rng.standard_normal((2, 12))


def explained(coder, X, noise):
    """Return the share of variance of rows that is restored from noisy ones."""
    error = coder.reconstruct(X + noise * X.std()) - X
    return 1 - np.sum(error**2) / np.sum((X - X.mean(axis=0)) ** 2)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_ten_batches_teach_most_of_what_a_fit_learns(table):
    X, rng = table(), np.random.default_rng(0)
    X = X[rng.permutation(len(X))]
    rows, others = np.split(X, [3 * len(X) // 4])
    fit, stream = NeLUAutoencoder(random_state=0).fit(rows), NeLUAutoencoder()
    stream.set_params(random_state=0)
    for batch in np.array_split(rows, 10):
        stream.partial_fit(batch)
    assert stream.score(others) > 0.95 * fit.score(others)
    noise = 0.5 * rng.standard_normal(others.shape)
    assert explained(stream, others, noise) > 0.8 * explained(fit, others, noise)


@pytest.mark.parametrize("n_rows", [1, 3, 40])
def test_weights_begin_near_the_directions_of_a_batch_and_see_all_others(n_rows):
    X = rank_two(n_rows)
    W = NeLUAutoencoder(**SHORT).partial_fit(X).components_
    np.testing.assert_allclose(W @ W.T, np.eye(12), atol=1e-9)
    energy = np.sum((X @ W.T) ** 2, axis=0)
    assert energy[:2].sum() > 0.8 * energy.sum()  # of random weights, a sixth
    assert np.all(energy > 0)


def test_more_units_than_columns_begin_at_random():
    ours, theirs = (
        NeLUAutoencoder(20, **SHORT).partial_fit(X).components_
        for X in (rank_two(40), np.random.default_rng(1).standard_normal((40, 12)))
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-9)
