"""Networks of sparse matrices: those of dense rows, without a dense copy."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD

from sklearn_sqrtlasso import ANAMOAutoencoder, NeLUAutoencoder, SqrtLassoTransform
from sklearn_sqrtlasso.learning import initialization
from tests import sized
from tests.estimators.test_sparse_matrices import KINDS, make_rows, peak_of, values_of

GROUPS = np.repeat(np.arange(20), 3)
GIVEN = {"max_iter": 2, "random_state": 0, "batch_size": 25}
NELU = [
    NeLUAutoencoder(3, **GIVEN),
    NeLUAutoencoder(3, noise_std=0.0, decoder="tied", **GIVEN),
    NeLUAutoencoder(3, activation="soft", decoder="pinv", unit_rows=True, **GIVEN),
    NeLUAutoencoder(3, activation="tanh", early_stopping=True, **GIVEN),
]
ANAMO = [
    ANAMOAutoencoder(3, **GIVEN),
    ANAMOAutoencoder(3, prox="exact", early_stopping=True, **GIVEN),
    ANAMOAutoencoder(3, decoder_activation="tanh", encoder_method="fista", **GIVEN),
    ANAMOAutoencoder(3, binary="smoothstep", **GIVEN),
    ANAMOAutoencoder(3, **GIVEN | {"batch_size": None}),
]
each_network = pytest.mark.parametrize("network", NELU + ANAMO, ids=str)
METHODS = ("transform", "reconstruct", "noise_scale", "score")
SHAPE = sized((600, 20_000), (60, 4000))


@pytest.fixture(scope="module", autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def fitted(network, X):
    """Return a fitted copy, to groups of rows if it takes them."""
    network = clone(network)
    if isinstance(network, NeLUAutoencoder):
        return network.fit(X, groups=GROUPS)
    return network.fit(X)


def learnt(network):
    return {name: np.asarray(of) for name, of in network._parameters().items()}


@each_network
def test_fits_are_those_of_dense_rows(network):
    X = make_rows()
    expected = fitted(network, X)
    for name, kind in KINDS.items():
        ours = fitted(network, kind(X))
        assert_allclose(ours.loss_curve_, expected.loss_curve_, rtol=1e-9)
        for key, value in learnt(expected).items():
            got = learnt(ours)[key]
            assert_allclose(got, value, rtol=1e-6, atol=1e-6, err_msg=name)


@each_network
def test_all_kinds_give_the_results_of_dense_rows(network):
    X, network = make_rows(seed=1), fitted(network, make_rows())
    for method in METHODS:
        expected = values_of(network, method, X)
        for name, kind in KINDS.items():
            found = values_of(network, method, kind(X))
            assert_allclose(found, expected, rtol=1e-10, atol=1e-12, err_msg=name)


@each_network
def test_streams_are_those_of_dense_rows(network):
    dense, ours = clone(network), clone(network)
    for seed in range(2):
        X = make_rows(seed=seed)
        dense.partial_fit(X)
        ours.partial_fit(sp.csc_array(X))
    for key, value in learnt(dense).items():
        assert_allclose(learnt(ours)[key], value, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("decoder", ["free", "tied"])
def test_targets_may_be_sparse_too(decoder):
    X, clean = make_rows(), make_rows(seed=1)
    network = NeLUAutoencoder(3, noise_std=0.3, decoder=decoder, **GIVEN)
    expected = clone(network).fit(X, X_clean=clean).components_
    ours = clone(network).fit(sp.csr_array(X), X_clean=sp.csc_array(clean)).components_
    assert_allclose(ours, expected, rtol=1e-6, atol=1e-6)


def test_codes_of_sparse_rows_are_predicted():
    X = make_rows()
    Z = np.maximum(X[:, 1:20:3] - X[:, 3:22:3], 0)
    network = NeLUAutoencoder(activation="relu", **GIVEN)
    expected = clone(network).fit(X, Z=Z)
    ours = clone(network).fit(sp.csr_array(X), Z=Z)
    assert_allclose(ours.transform(X), expected.transform(X), atol=1e-6)
    assert_allclose(ours.decoder_, expected.decoder_, atol=1e-6)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_noise_of_many_columns_is_that_of_dense_rows(dtype):
    X = make_rows((640, 1100), share=0.1).astype(dtype)
    network = NeLUAutoencoder(3, max_iter=1, random_state=0)
    expected = clone(network).fit(X)
    ours = clone(network).fit(sp.csr_array(X))
    assert ours.components_.dtype == dtype
    atol = 1e-4 if dtype == "f4" else 1e-9
    assert_allclose(ours.components_, expected.components_, rtol=0, atol=atol)
    assert_allclose(ours.loss_curve_, expected.loss_curve_, rtol=atol)


@pytest.mark.parametrize("scale", [1.0, 1e120])
@pytest.mark.parametrize("seen", [2**22, 100_000])
def test_learning_of_wide_rows_starts_in_their_directions(scale, seen, monkeypatch):
    monkeypatch.setattr(initialization, "SEEN_ENTRIES", seen)
    X = sp.csr_array(make_rows((700, 1100)))
    network = NeLUAutoencoder(3, max_iter=1, batch_size=150, random_state=0)
    directions = TruncatedSVD(3, random_state=0).fit(X).components_
    W = network.fit(X * scale).components_
    inside = np.linalg.norm(W @ directions.T, axis=1) / np.linalg.norm(W, axis=1)
    assert inside.min() > 0.9
    assert np.isfinite(clone(network).fit(0 * X).components_).all()
    first = clone(network).partial_fit(X).components_  # near them: others follow
    inside = np.linalg.norm(first @ directions.T) / np.linalg.norm(first)
    assert 0.7 < inside < 0.99


@pytest.mark.parametrize("given", [{}, {"prox": "exact"}, {"alpha": 0.0}], ids=str)
def test_default_fits_of_wide_rows_restore_others_as_their_directions_do(given):
    X = sp.csr_array(make_rows((900, 1100)))
    others, X = X[1::9], X[np.arange(900) % 9 > 1]
    svd = TruncatedSVD(3, random_state=0).fit(X)
    lost = others.toarray() - svd.inverse_transform(svd.transform(others))
    about_mean = others.toarray() - others.toarray().mean(axis=0)
    aim = 1 - np.sum(lost**2) / np.sum(about_mean**2)
    network = ANAMOAutoencoder(3, random_state=0, **given).fit(X)
    assert network.n_iter_ <= 20
    assert network.score(others) > aim - 0.01
    if given == {}:
        network = NeLUAutoencoder(3, random_state=0).fit(X)
        assert network.n_iter_ <= 20
        assert network.score(others) > aim - 0.01


def test_a_default_penalty_of_wide_rows_is_one_that_restores_them():
    X = sp.csr_array(make_rows((900, 1100)))
    first = NeLUAutoencoder(30, max_iter=1, learning_rate=1e-12, random_state=0)
    losses = {
        alpha: clone(first).set_params(alpha=alpha).fit(X).loss_curve_[0]
        for alpha in ("auto", "pivotal", 0.4)
    }
    assert losses["auto"] < 0.9 * min(losses["pivotal"], losses[0.4])
    alpha = clone(first).fit(X).alpha_
    assert np.all((alpha > 1 / np.sqrt(30)) & (alpha < 0.4))


@pytest.mark.parametrize("scale", [0.0, 3.0])
def test_rows_that_do_not_vary_are_restored_by_their_mean(scale):
    X = sp.csr_array(np.full((700, 1100), scale))
    for coder in (ANAMOAutoencoder, SqrtLassoTransform):
        assert coder(3, random_state=0).fit(X).score(X) == 1


@each_network
def test_no_dense_copy_is_made(network):
    rng = np.random.default_rng(0)
    X = sp.random_array(SHAPE, density=0.002, format="csr", rng=rng)
    network = clone(network).set_params(batch_size=500, max_iter=1)
    if isinstance(network, ANAMOAutoencoder):
        network.set_params(n_encoder_steps=1, n_decoder_steps=1)
    network.fit(X[:40])
    allowed = 8 * SHAPE[0] * SHAPE[1] / 2
    for method in ("fit", "partial_fit", "transform", "noise_scale", "score"):
        assert peak_of(lambda of=method: getattr(network, of)(X)) < allowed, method
