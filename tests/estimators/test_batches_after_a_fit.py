"""Batches after a fit of ANAMOAutoencoder, which keep what it learnt, and streams."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.decomposition import TruncatedSVD

from sklearn_sqrtlasso import ANAMOAutoencoder
from tests.benchmarks.shapes_data import topic_rows
from tests.estimators.common import batches_of, low_rank, score_after, wine

N_UNITS = 10


def text():
    X = topic_rows(2000, 1500, N_UNITS, 0)
    return X[:1500], X[1500:]


def table_of_wine():
    X = wine()[np.random.default_rng(0).permutation(len(wine()))]
    return X[:120], X[120:]


TABLES = {
    "text": (text, {"n_components": N_UNITS}),
    "wide": (lambda: low_rank(50, 200), {}),
    "long": (lambda: low_rank(3000, 8), {}),
    "wine": (table_of_wine, {}),
    "relu": (table_of_wine, {"encoder_activation": "relu", "max_iter": 20}),
    "sigmoid": (table_of_wine, {"prox": "exact", "max_iter": 20}),
    "lbfgs": (table_of_wine, {"decoder_method": "lbfgs", "max_iter": 20}),
}


@pytest.fixture(scope="module")
def fits():
    found = {}
    for name, (make, given) in TABLES.items():
        rows, others = make()
        coder = ANAMOAutoencoder(random_state=0, **given).fit(rows)
        found[name] = coder, rows, others
    return found


@pytest.mark.parametrize("size", [1, 7, 50, 500])
@pytest.mark.parametrize("name", TABLES)
def test_batches_of_the_rows_keep_what_a_fit_has_learnt(name, size, fits):
    coder, rows, others = fits[name]
    after = score_after(coder, batches_of(rows, size), others)
    assert after >= 0.995 * coder.score(others)


@pytest.mark.parametrize("name", TABLES)
def test_constant_rows_hardly_change_what_a_fit_has_learnt(name, fits):
    coder, rows, others = fits[name]
    size = np.sqrt((rows * rows).sum() / np.prod(rows.shape))
    batches = [np.full((20, rows.shape[1]), size)] * 4
    assert score_after(coder, batches, others) >= 0.995 * coder.score(others)


def test_new_rows_of_text_improve_what_few_have_taught():
    X = topic_rows(3000, 1500, N_UNITS, 0)
    coder = ANAMOAutoencoder(N_UNITS, random_state=0).fit(X[:500])
    batches = [X[start : start + 200] for start in range(500, 2500, 200)]
    before, after = coder.score(X[2500:]), score_after(coder, batches, X[2500:])
    assert after > 1.02 * before


def test_of_text_others_are_restored_as_by_principal_directions():
    rows, others = text()
    directions = TruncatedSVD(N_UNITS, random_state=0).fit(rows)
    restored = directions.inverse_transform(directions.transform(others))
    dense = others.toarray()
    left = np.sum((dense - restored) ** 2) / np.sum((dense - dense.mean(axis=0)) ** 2)
    coder = ANAMOAutoencoder(N_UNITS, random_state=0).fit(rows)
    assert coder.score(others) > 1 - left


@pytest.mark.parametrize("size", [50, 500])
def test_a_stream_of_text_comes_near_a_fit(size):
    rows, others = text()
    fit = ANAMOAutoencoder(N_UNITS, random_state=0).fit(rows).score(others)
    coder = ANAMOAutoencoder(N_UNITS, random_state=0)
    for _ in range(3):
        for start in range(0, rows.shape[0], size):
            coder.partial_fit(rows[start : start + size])
    assert coder.score(others) > 0.8 * fit


ALIKE = np.random.default_rng(0).standard_normal((1, 6))


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array, np.float32])
@pytest.mark.parametrize("n_rows", [1, 5])
def test_equal_rows_are_the_mean_row_and_no_reason_to_warn(kind, n_rows):
    X = kind(np.tile(ALIKE, (n_rows, 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coder = ANAMOAutoencoder(random_state=0).fit(X)
    dense = X.toarray() if sp.issparse(X) else X
    np.testing.assert_allclose(coder.reconstruct(X), dense, rtol=1e-5)
    slopes = coder.components_ @ np.ones(6)
    assert np.abs(slopes).max() < 100  # rounding is not what units are driven by
