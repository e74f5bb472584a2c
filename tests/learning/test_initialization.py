"""First weights along rows, and the tables whose networks start there."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso import ANAMOAutoencoder, NeLUAutoencoder
from sklearn_sqrtlasso.blockwise.groups import groups_of_labels
from sklearn_sqrtlasso.learning.batches import TrainingData
from sklearn_sqrtlasso.learning.initialization import units_of_rows
from sklearn_sqrtlasso.learning.usual_steps import steps_from


def rows_of_subspaces(n, seed=0):
    """Return rows of 32 columns near ten planes of three dimensions."""
    rng = np.random.default_rng(0)
    bases = [np.linalg.qr(rng.standard_normal((32, 3)))[0].T for _ in range(10)]
    rng = np.random.default_rng(seed)
    X = np.array([rng.standard_normal(3) @ bases[rng.integers(10)] for _ in range(n)])
    return X + 0.02 * rng.standard_normal(X.shape)


def data_of(X):
    groups = groups_of_labels(np.arange(X.shape[0]))
    return TrainingData(X, None, coded=False, groups=groups)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_units_of_rows_are_distinct_and_lie_in_their_span(dtype):
    X = np.zeros((12, 8), dtype)
    X[:10] = np.repeat(rows_of_subspaces(5)[:, :8], 2, axis=0)  # and two of zeros
    W = units_of_rows(12, data_of(X), np.random.default_rng(0))
    assert W.dtype == dtype
    assert_allclose(np.linalg.norm(W, axis=1), 1, rtol=1e-5)
    basis = np.linalg.svd(X)[2][:5]
    assert np.abs(W - W @ basis.T @ basis).max() < 1e-5
    assert np.abs(np.triu(W @ W.T, 1)).max() < 1 - 1e-4
    sparse = units_of_rows(12, data_of(sp.csr_array(X)), np.random.default_rng(0))
    assert_array_equal(W, sparse)


def test_networks_from_rows_need_fewer_steps(monkeypatch):
    X, others = rows_of_subspaces(1000), rows_of_subspaces(500, seed=1)
    noisy = others + 0.1 * np.random.default_rng(2).standard_normal(others.shape)
    few = steps_from(span=(100, 200), rows=(100, 200), directions=(100, 200))
    monkeypatch.setattr(NeLUAutoencoder, "_usual", few)
    errors = []
    for affordable in (0, np.inf):
        monkeypatch.setattr(NeLUAutoencoder, "_affordable", affordable)
        network = NeLUAutoencoder(random_state=0).fit(X)
        errors.append(np.mean((network.reconstruct(noisy) - others) ** 2))
    assert errors[0] < 0.1**2 < errors[1]  # the noise


@pytest.mark.parametrize("given", [{"decoder": "tied"}, {"n_components": 1001}])
def test_some_networks_cannot_start_at_rows(given, monkeypatch):
    monkeypatch.setattr(NeLUAutoencoder, "_affordable", 0)
    data = data_of(rows_of_subspaces(1000))
    assert NeLUAutoencoder()._start(data) == "rows"
    assert NeLUAutoencoder(**given)._start(data) == "span"


def test_fits_to_zeros_end(monkeypatch):
    monkeypatch.setattr(NeLUAutoencoder, "_affordable", 0)
    network = NeLUAutoencoder(2, random_state=0).fit(np.zeros((9, 4)))
    assert np.isfinite(network.decoder_).all()
    assert not network.reconstruct(np.zeros((1, 4))).any()


def test_alternations_that_are_dear_start_in_directions(monkeypatch):
    X, others = rows_of_subspaces(400), rows_of_subspaces(100, seed=1)
    long = ANAMOAutoencoder(random_state=0).fit(X)
    monkeypatch.setattr(ANAMOAutoencoder, "_affordable", 0)
    short = ANAMOAutoencoder(random_state=0).fit(X)
    assert short.n_iter_ <= 20 < long.n_iter_
    assert short.score(others) > long.score(others) - 0.01
