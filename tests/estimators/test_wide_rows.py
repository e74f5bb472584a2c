"""Fits to few rows of many columns, whose cost is that of a square table."""

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    RelaxedSparseCoder,
    SqrtLassoTransform,
)
from sklearn_sqrtlasso.learning import row_span
from sklearn_sqrtlasso.learning.usual_steps import UsualSteps
from tests.estimators.encoders import learns_from_batches

SHORT = {"max_iter": 3, "random_state": 0}
WIDE = [
    SqrtLassoTransform(**SHORT),
    NeLUAutoencoder(**SHORT),
    RelaxedSparseCoder(**SHORT),
    ANAMOAutoencoder(**SHORT),
]
each_coder = pytest.mark.parametrize("coder", WIDE, ids=lambda of: type(of).__name__)


def make_rows(n=12, p=60):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 4)) @ rng.standard_normal((4, p)) + (
        0.3 * rng.standard_normal((n, p))
    )


def outside(W, X):
    """Return the largest entry of weights outside the span of the rows."""
    basis = np.linalg.qr(X.T)[0]
    return np.abs(W - W @ basis @ basis.T).max()


@each_coder
def test_there_are_no_more_units_than_rows_or_columns(coder):
    assert len(clone(coder).fit(make_rows()).components_) in (11, 12)
    assert len(clone(coder).fit(make_rows(60, 12)).components_) == 12
    assert len(clone(coder).set_params(n_components=20).fit(make_rows()).components_)


@each_coder
def test_weights_lie_in_the_span_of_the_rows(coder):
    X = make_rows()
    coder = clone(coder).set_params(n_components=5).fit(X)
    about = X - getattr(coder, "mean_", 0)
    assert outside(coder.components_, about) < 1e-12
    assert coder.components_.shape == (5, 60)
    assert coder.transform(X).shape == (12, 5)
    assert coder.reconstruct(X).shape == X.shape


@pytest.mark.parametrize(
    "coder",
    [
        SqrtLassoTransform(5, alpha=0.2, tol=0.0, **SHORT),
        SqrtLassoTransform(5, alpha="auto", center=False, **SHORT),
        RelaxedSparseCoder(5, alpha=0.3, **SHORT),
        RelaxedSparseCoder(5, learner="mod", n_nonzero_coefs=2, **SHORT),
    ],
    ids=str,
)
def test_fits_in_the_span_are_those_of_whole_rows(coder, monkeypatch):
    X = make_rows()
    ours = clone(coder).fit(X)
    monkeypatch.setattr(row_span, "FEWER", np.inf)
    theirs = clone(coder).fit(X)
    assert_allclose(ours.objective_curve_, theirs.objective_curve_, rtol=1e-8)
    assert_allclose(ours.reconstruct(X), theirs.reconstruct(X), atol=1e-6)


@pytest.mark.parametrize("coder", WIDE[:2] + WIDE[3:], ids=str)
def test_few_rows_of_words_are_learnt_from_in_their_span(coder):
    X = sp.random_array((12, 600), density=0.03, format="csr", rng=0)
    ours, theirs = (clone(coder).fit(of) for of in (X, X.toarray()))
    assert outside(ours.components_, np.vstack([X.toarray(), np.ones(600)])) < 1e-12
    assert_allclose(ours.reconstruct(X), theirs.reconstruct(X), rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", [(80, 50), (60, 200), (40, 30)], ids=str)
@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
def test_networks_restore_others_as_principal_directions_do(make, shape):
    X = make_rows(300 + shape[0], shape[1])
    X, others = make(X[300:]), X[:300]
    others = others[:, : X.shape[1]]
    pca = PCA(4).fit(np.asarray(X.todense() if sp.issparse(X) else X))
    for network in (NeLUAutoencoder, ANAMOAutoencoder):
        network = network(random_state=0).fit(X)
        assert network.score(others) > pca_score(pca, others) - 0.02
        assert network.n_iter_ <= 40


def pca_score(pca, X):
    """Return the explained variance of rows that principal directions restore."""
    lost = X - pca.inverse_transform(pca.transform(X))
    return 1 - np.sum(lost**2) / np.sum((X - X.mean(axis=0)) ** 2)


@pytest.mark.parametrize("network", [NeLUAutoencoder, ANAMOAutoencoder])
def test_default_fits_of_many_weights_take_few_epochs(network, monkeypatch):
    X, few = make_rows(30, 40), UsualSteps(400, 40, 7 * 30 * 20 * 40)
    monkeypatch.setattr(network, "_of_directions", few)
    assert network(20, random_state=0).fit(X).n_iter_ == 7
    monkeypatch.setattr(network, "_of_directions", few._replace(most_work=1.0))
    assert network(20, random_state=0).fit(X).n_iter_ == 1


def test_sparse_rows_with_noise_count_as_dense_ones(monkeypatch):
    X = sp.random(30, 40, density=0.1, format="csr", random_state=0)
    few = UsualSteps(400, 40, 7 * 30 * 20 * 40)
    monkeypatch.setattr(NeLUAutoencoder, "_of_directions", few)
    coder = NeLUAutoencoder(20, random_state=0)
    assert coder.fit(X).n_iter_ == coder.fit(X.toarray()).n_iter_ == 7
    assert coder.set_params(noise_std=0.0).fit(X).n_iter_ > 7


@each_coder
def test_learning_goes_on_with_other_rows(coder):
    X, more = make_rows(), np.random.default_rng(1).standard_normal((30, 60))
    coder = clone(coder).fit(X)
    if learns_from_batches(coder):
        assert np.isfinite(coder.partial_fit(more).score(more))
    if "warm_start" in coder.get_params():
        assert np.isfinite(coder.set_params(warm_start=True).fit(more).score(more))


@each_coder
def test_nothing_has_the_square_of_the_columns(coder):
    X = np.random.default_rng(0).standard_normal((10, 4000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clone(coder).fit(X[:, :50])  # kernels are compiled
        tracemalloc.start()
        try:
            clone(coder).fit(X)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 20 * X.nbytes  # the square has 400 times as many entries


def test_codes_of_few_rows_are_not_too_small_for_a_regularised_classifier():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5)) @ rng.standard_normal((5, 300))
    X += 0.3 * rng.standard_normal(X.shape)
    labels = X[:, 0] > 0
    steps = StandardScaler(), LogisticRegression(max_iter=500)
    with_codes = make_pipeline(steps[0], ANAMOAutoencoder(random_state=0), steps[1])
    scores = [
        cross_val_score(model, X, labels, cv=3).mean()
        for model in (make_pipeline(*steps), with_codes)
    ]
    assert scores[1] >= scores[0] - 0.05
