"""Columns in coordinates of noise: their products, wherever they are kept."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.regression import noise_columns as module
from sklearn_sqrtlasso.regression.designs import design_of
from sklearn_sqrtlasso.regression.noise_columns import noise_columns
from sklearn_sqrtlasso.regression.pivotal_penalty import simulated_alpha
from tests import sized

N_ROWS, N_COLUMNS, N_VECTORS = 60, 300, 24
FORMS = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "single": lambda X: X.astype(np.float32),
    "sparse": sp.csc_array,
}
each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def features_of(kind):
    """Return columns of one kind."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N_ROWS, N_COLUMNS))
    X *= rng.random(X.shape) < 0.3
    if kind == "offsets":
        X[:, :100] += 10
        X[:, 5] += 1e4  # these are centred and kept
    elif kind == "scales":
        X *= 10.0 ** rng.integers(-12, 12, N_COLUMNS)
    elif kind == "tiny":
        X *= 1e-30
    elif kind == "constants":
        X[:, ::7] = 3.0
    return X


def columns_of(X, weights, intercept):
    """Return the columns of a design, and these in coordinates of noise."""
    design = design_of(X, weights / weights.sum(), intercept)
    features = np.flatnonzero(design.live) if sp.issparse(X) else np.arange(N_COLUMNS)
    columns = noise_columns(design, features, np.random.default_rng(0))
    return design.dense(features), columns


def counts_of(columns, noise, lead, threshold):
    """Return how many products of each vector, and of each leader, exceed a level."""
    n = noise.shape[1]
    places = np.arange(2 * n)[:, None].repeat(2, axis=1)
    factors = np.tile(np.float32([1.0, 0.0]), (2 * n, 1))
    return columns.count(noise, lead, places, factors, threshold, False)


@each_form
@pytest.mark.parametrize("kind", ["usual", "offsets", "scales", "tiny", "constants"])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_products_are_those_of_centred_and_weighted_columns(
    form, kind, intercept, weighted
):
    X, rng = form(features_of(kind)), np.random.default_rng(1)
    weights = np.arange(N_ROWS) % 3 + 0.0 if weighted else np.ones(N_ROWS)
    exact, columns = columns_of(X, weights, intercept)
    on = np.linalg.norm(exact, axis=0) > 0
    assert_allclose(columns.norms, np.linalg.norm(exact, axis=0), rtol=1e-6, atol=1e-9)
    places = rng.choice(np.flatnonzero(on), N_VECTORS)
    noise, lead = columns.draw(N_VECTORS, rng), columns.take(places)
    found = np.concatenate([products_of(columns, noise, lead)])
    leads = exact[:, places] / columns.norms[places]
    assert_allclose(found[N_VECTORS:], leads.T @ exact, atol=2e-4)
    with_leads = noise.T @ lead
    assert_allclose(
        found[:N_VECTORS, places], with_leads * columns.norms[places], atol=3e-3
    )
    expected = (np.abs(found) > 0.5).sum(axis=1)
    assert_array_equal(counts_of(columns, noise, lead, 0.5), expected)


def products_of(columns, noise, lead):
    """Return products of all columns with noise, and with columns that lead."""
    out = np.empty((2 * noise.shape[1], len(columns.norms)), dtype=np.float32)
    columns._products_with(noise, lead)(slice(0, out.shape[1]), out)
    return out


@each_form
def test_columns_that_are_scaled_are_those_of_scaled_features(form, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 50)  # in parts
    monkeypatch.setattr(module, "PRODUCTS", 50)
    factors = np.exp2(np.arange(N_COLUMNS) % 5 - 2.0)
    _, columns = columns_of(form(features_of("usual")), np.ones(N_ROWS), True)
    norms, rng = columns.norms.copy(), np.random.default_rng(1)
    noise, lead = columns.draw(N_VECTORS, rng), columns.take(np.arange(N_VECTORS))
    found = products_of(columns, noise, lead) * factors
    columns.scale(lambda part: factors[part], slice(0, N_COLUMNS))
    assert_array_equal(columns.norms, norms * factors)
    again = columns.take(np.arange(N_VECTORS))
    assert abs(again - lead).max() == 0
    expected = (np.abs(found) > 0.5).sum(axis=1)
    assert_array_equal(counts_of(columns, noise, lead, 0.5), expected)


def test_noise_in_few_vectors_at_a_time_has_the_same_law(monkeypatch):
    shape = sized((5000, 20_000), (300, 600))
    X = sp.random_array(shape, density=20 / shape[0], format="csc", rng=0)
    design = design_of(X, np.full(shape[0], 1 / shape[0]), True)

    def penalties():
        seeds = map(np.random.default_rng, range(sized(20, 5)))
        rows = shape[0]
        return [simulated_alpha(design, rows, 0.95, False, rng) for rng in seeds]

    whole = penalties()
    monkeypatch.setattr(module, "NOISE_AT_ONCE", 1)
    parts = penalties()
    assert_allclose(np.mean(parts), np.mean(whole), rtol=sized(1e-3, 5e-3))
    assert np.std(parts) <= 0.003 * np.mean(parts)
