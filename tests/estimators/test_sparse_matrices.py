"""Sparse matrices of any kind: the results of dense rows, without a dense copy."""

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    RelaxedSparseCoder,
    SqrtLassoTransform,
)
from tests import sized

CODERS = [
    SqrtLassoTransform(3, max_iter=2, random_state=0),
    SqrtLassoTransform(3, center=False, alpha=0.3, max_iter=2, random_state=0),
    SqrtLassoTransform(3, init="random", positive=True, max_iter=2, random_state=0),
    SqrtLassoTransform(3, init="dct", sparse_output=True, max_iter=2),
    NeLUAutoencoder(3, max_iter=2, random_state=0),
    NeLUAutoencoder(3, noise_std=0.0, decoder="free", max_iter=2, random_state=0),
    ANAMOAutoencoder(3, max_iter=2, random_state=0),
    RelaxedSparseCoder(3, max_iter=2, random_state=0),
    RelaxedSparseCoder(3, learner="online", alpha=0.1, max_iter=2, random_state=0),
    RelaxedSparseCoder(3, learner="mod", n_nonzero_coefs=2, max_iter=2, random_state=0),
]
each_coder = pytest.mark.parametrize("coder", CODERS, ids=str)
METHODS = ("transform", "noise_scale", "score", "duality_gap", "report")
# n x p is what a dense copy takes, and a quarter of it what may be held in all.
SHAPE, SHARE = sized((400, 40_000), (40, 4_000)), 4


def make_rows(shape=(60, 25), seed=0, share=0.2):
    """Return rows of a few topics; some rows and some columns have no entries."""
    rng = np.random.default_rng(seed)
    topics = rng.exponential(size=(3, shape[1])) ** 2
    X = rng.exponential(size=(shape[0], 3)) @ topics
    X *= rng.random(shape) < share
    X[::9], X[:, ::8] = 0, 0
    return X


def doubled(X):
    """Return rows with entries stored in two parts, in the reverse order."""
    X = sp.csr_array(X)
    half, parts = X.data / 2, []
    for row in range(X.shape[0]):
        at = np.arange(X.indptr[row], X.indptr[row + 1])
        parts.append(np.concatenate([at[::-1], at]))
    at = np.concatenate(parts)
    return sp.csr_array((half[at], X.indices[at], 2 * X.indptr), shape=X.shape)


def wide_indices(X):
    """Return rows with indices of 64 bits."""
    X = sp.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def read_only(X):
    """Return rows whose arrays cannot be written to."""
    X = sp.csr_array(X)
    for values in (X.data, X.indices, X.indptr):
        values.flags.writeable = False
    return X


KINDS = {
    "csr array": sp.csr_array,
    "csr matrix": sp.csr_matrix,
    "csc": sp.csc_array,
    "coo": sp.coo_array,
    "wide indices": wide_indices,
    "unsorted, repeated": doubled,
    "read-only": read_only,
}


@pytest.fixture(scope="module")
def fitted():
    """Return coders that are fitted to dense rows, each once."""
    found = {}
    for coder in CODERS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found[str(coder)] = clone(coder).fit(make_rows())
    return found


def values_of(coder, method, X):
    if not hasattr(coder, method):
        return np.zeros(0)  # no objective with a duality gap
    value = getattr(coder, method)(X)
    return value.toarray() if sp.issparse(value) else np.asarray(value, float)


@each_coder
@pytest.mark.parametrize("method", METHODS)
def test_all_kinds_give_the_results_of_dense_rows(coder, method, fitted):
    X, coder = make_rows(seed=1), fitted[str(coder)]
    expected = values_of(coder, method, X)
    for name, kind in KINDS.items():
        found = values_of(coder, method, kind(X))
        assert_allclose(found, expected, rtol=1e-10, atol=1e-12, err_msg=name)
    same = values_of(coder, method, sp.csr_array(X))
    assert_array_equal(same, values_of(coder, method, sp.csc_matrix(X)))


@each_coder
@pytest.mark.filterwarnings("ignore")
def test_single_precision_is_kept(coder, fitted):
    X, coder = make_rows(seed=1).astype("f4"), fitted[str(coder)]
    assert coder.transform(sp.csr_array(X)).dtype == np.float32
    Z = values_of(coder, "transform", sp.csr_array(X))
    expected = values_of(coder, "transform", X.astype("f8"))
    assert_allclose(Z, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@each_coder
@pytest.mark.filterwarnings("ignore")
def test_fits_are_those_of_dense_rows(coder, fitted):
    expected = fitted[str(coder)]
    found = clone(coder).fit(sp.csr_array(make_rows()))
    X = make_rows(seed=1)
    assert_allclose(found.reconstruct(X), expected.reconstruct(X), rtol=0, atol=1e-7)


@each_coder
@pytest.mark.filterwarnings("ignore")
def test_a_code_does_not_depend_on_other_rows(coder, fitted):
    X, coder = sp.csr_array(make_rows(seed=1)), fitted[str(coder)]
    Z = values_of(coder, "transform", X)
    for row in (0, 5, 59):
        alone = values_of(coder, "transform", X[[row]])
        assert_allclose(alone[0], Z[row], rtol=1e-12, atol=1e-13)


def peak_of(work):
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@each_coder
@pytest.mark.filterwarnings("ignore")
def test_no_dense_copy_is_made(coder):
    X, coder = sp.csr_array(make_rows(SHAPE, share=0.001)), clone(coder)
    coder.fit(X)  # kernels are compiled before memory is measured
    for method in METHODS:
        values_of(coder, method, X)
    allowed = 8 * SHAPE[0] * SHAPE[1] / SHARE
    assert peak_of(lambda: coder.fit(X)) < allowed
    for method in METHODS:
        assert peak_of(lambda of=method: values_of(coder, of, X)) < allowed, method
    if hasattr(coder, "partial_fit"):
        assert peak_of(lambda: coder.partial_fit(X)) < allowed


@pytest.mark.parametrize("coder", CODERS, ids=str)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_default_that_makes_a_very_large_model_is_refused(coder, method):
    n_rows = 10_000 if method == "fit" else 10  # of a stream, of which more follow
    X = sp.csr_array(sp.eye_array(n_rows, 10_000))
    coder = clone(coder).set_params(n_components=None)
    with pytest.raises(ValueError, match=r"makes 10000 .* 0\.8 GB.* n_components=100"):
        getattr(coder, method)(X)
    assert not hasattr(coder, "n_features_in_")


def test_given_components_may_be_as_large_as_they_are():
    X, Z = sp.csr_array(sp.eye_array(10, 10**5)), np.eye(10)[:, :2]
    network = NeLUAutoencoder(max_iter=1, noise_std=0.0).partial_fit(X, Z=Z)
    assert network.components_.shape == (2, 10**5)
    coder = RelaxedSparseCoder(dictionary=sp.eye_array(2, 10**5).toarray())
    assert coder.fit(X).transform(X).shape == (10, 2)


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_the_score_of_rows_of_another_size_is_that_of_dense_rows(scale):
    X = make_rows()
    coder = SqrtLassoTransform(3, max_iter=2, random_state=0).fit(X * 1e200)
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        score = coder.score(sp.csr_array(X * scale))
    assert_allclose(score, coder.score(X * scale), rtol=1e-12)


def test_one_huge_sparse_row_is_fitted():
    X = sp.csr_array([[0.0, 1e300, -1e299]])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        sparse = SqrtLassoTransform(random_state=0).fit(X)
    dense = SqrtLassoTransform(random_state=0).fit(X.toarray())
    assert_allclose(sparse.components_, dense.components_)
