"""Moments against the rows they are of, in extended precision."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.regression import moments
from sklearn_sqrtlasso.regression.moments import (
    COMBINATIONS,
    errors_of_correlations,
    gaps_of_moments,
    gather,
    held_out_square,
    moments_of_each,
    pooled,
    pooled_without_each,
    products_of_path,
    quadratic_forms,
)

LONG = np.longdouble


def table(seed, n=40, p=3, offset=1.0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((n, p)) + offset).astype(dtype)
    weights = rng.integers(0, 3, n) + rng.choice([0.0, 0.5])
    weights[:2] = 1.0
    return X, rng.standard_normal(n) - offset, weights


def of_rows(X, y, weights, rows):
    Z, v = np.column_stack([X, y])[rows].astype(LONG), weights[rows].astype(LONG)
    mean = v @ Z / v.sum()
    return v.sum(), mean, (v[:, None] * (Z - mean)).T @ (Z - mean)


@pytest.mark.parametrize("offset", [0.0, 1.0, 500.0])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(st.integers(0, 10**6))
def test_chunks_have_the_moments_of_their_rows(dtype, offset, seed):
    X, y, weights = table(seed, offset=offset, dtype=dtype)
    rows = np.random.default_rng(seed).permutation(40)[:30]
    weights[rows[0]] = 1.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "CHUNK_ENTRIES", 20)  # five rows
        found = gather(X, y, weights, rows)
    weight, mean, products = of_rows(X, y, weights, rows)
    assert_allclose(found.weight, float(weight))
    assert_allclose(found.mean, mean.astype(float), rtol=1e-14, atol=1e-14)
    size = np.sqrt(np.outer(products.diagonal(), products.diagonal())).astype(float)
    assert np.all(np.abs(found.products - products) <= 1e-11 * size)


@given(st.integers(0, 10**6))
def test_sparse_rows_have_the_moments_of_dense_ones(seed):
    X, y, weights = table(seed, offset=0.0)
    X *= np.random.default_rng(seed).random(X.shape) < 0.4
    X[:2] = np.eye(2, 3)
    X[:, 2] = 0.0
    Y = np.column_stack([y, 2 * y + 3])
    for found, wanted in zip(
        gather(sp.csr_array(X), Y, weights), gather(X, Y, weights), strict=True
    ):
        assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_sparse_columns_that_are_nearly_constant_lose_digits():
    X, y, weights = table(0)
    X[:, 0] = 1.0
    assert not gather(sp.csr_array(X), y, weights).keep_digits()


@given(st.integers(0, 10**6), st.integers(1, 39))
def test_parts_are_pooled(seed, cut):
    X, y, weights = table(seed)
    weights = weights + 0.5
    rows = np.random.default_rng(seed).permutation(40)
    parts = [gather(X, y, weights, part) for part in (rows[:cut], rows[cut:])]
    both, whole = pooled(parts), gather(X, y, weights, rows)
    for one, two in zip(both, whole, strict=True):
        assert_allclose(one, two, rtol=1e-10, atol=1e-12)


@given(st.integers(0, 10**6), st.integers(2, 6))
def test_each_part_is_left_out_of_the_others(seed, n_parts):
    X, y, weights = table(seed)
    folds = np.array_split(np.arange(40), n_parts)
    parts = [gather(X, y, weights + 0.5, fold) for fold in folds]
    found = pooled_without_each(parts)
    assert len(found) == n_parts
    for one, fold in zip(found, folds, strict=True):
        others = gather(X, y, weights + 0.5, np.setdiff1d(np.arange(40), fold))
        for of_one, of_others in zip(one, others, strict=True):
            assert_allclose(of_one, of_others, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("p", [5, 130])
def test_a_path_is_multiplied_as_a_matrix(p):
    rng = np.random.default_rng(0)
    coef = rng.standard_normal((60, p)) * (np.arange(p) <= 3 * np.arange(60)[:, None])
    G = rng.standard_normal((p, p + 1))
    assert_allclose(products_of_path(coef, G), coef @ G, atol=1e-12)


@pytest.mark.parametrize("p", [1, 5, 130, 201])
def test_forms_of_a_path_are_those_of_its_products(p):
    rng = np.random.default_rng(p)
    V = rng.standard_normal((60, p)) * (np.arange(p) <= 3 * np.arange(60)[:, None])
    P = rng.standard_normal((p, p))
    P += P.T
    assert_allclose(quadratic_forms(V, P), ((V @ P) * V).sum(axis=1), atol=1e-10)


@given(st.integers(0, 10**6), st.floats(-12, 0), st.integers(1, 30))
def test_errors_of_products_are_found_wherever_they_are(seed, exponent, n_wrong):
    rng = np.random.default_rng(seed)
    Z, coef = rng.standard_normal((50, 31)), rng.standard_normal((4, 30))
    Z /= np.linalg.norm(Z, axis=0)
    G, b = Z[:, :30].T @ Z[:, :30], Z[:, :30].T @ Z[:, 30]
    C, wrong = b - coef @ G, np.zeros((4, 30))
    wrong[2, rng.permutation(30)[:n_wrong]] = 10.0**exponent
    found = errors_of_correlations(coef, G, b, C + wrong)
    assert found[2] >= np.linalg.norm(wrong[2])
    assert np.delete(found, 2).max() <= 1e-13 * COMBINATIONS


@pytest.mark.parametrize("centred", [True, False])
@given(st.integers(0, 10**6))
def test_cosines_are_those_of_rows(centred, seed):
    X, y, weights = table(seed)
    X[:, 1] = 0.1 if centred else 0.0
    Z, v = np.column_stack([X, y, 2 - y]), weights / weights.sum()
    Z -= v @ Z * centred
    Z[:, 1] = 0.0
    sizes = np.sqrt(v @ Z**2)
    Z /= np.where(sizes > 0, sizes, 1.0)
    whole = Z.T @ (v[:, None] * Z)
    y = np.column_stack([y, 2 - y])
    G, b, units = gather(X, y, weights, np.arange(40)).cosines(centred, 2)
    assert_allclose(units, sizes, rtol=1e-12)
    assert_allclose(G, whole[:3, :3], atol=1e-12)
    assert_allclose(b, whole[:3, 3:], atol=1e-12)


@pytest.mark.parametrize(
    ("spoil", "kept"),
    [
        (lambda X: X, True),
        (lambda X: np.where(np.arange(3) == 1, 0.1, X), True),  # constant
        (lambda X: X + np.array([0, 0, 1e6]), False),
        (lambda X: X * [1e-100, 1, 1], False),
        (lambda X: X * [1, 1e200, 1], False),
    ],
)
def test_digits_are_kept_at_ordinary_scales_and_offsets(spoil, kept):
    X, y, weights = table(0)
    assert gather(spoil(X), y, weights, np.arange(40)).keep_digits() == kept


def test_a_constant_target_is_refused():
    X, y, weights = table(0)
    assert not gather(X, 0 * y + 0.1, weights, np.arange(40)).keep_digits()


def test_constant_columns_have_no_spread():
    X, y, weights = table(0)
    X[:, 1] = 0.1
    spread = gather(X, y, weights, np.arange(40)).spread
    assert (spread == 0).tolist() == [False, True, False, False]


@pytest.mark.parametrize("intercept", [True, False])
@given(st.integers(0, 10**6))
def test_errors_are_those_of_held_out_rows(intercept, seed):
    X, y, weights = table(seed)
    train, test = np.arange(25), np.arange(25, 40)
    weights[test] += 0.5
    coef = np.random.default_rng(seed).standard_normal((4, 3))
    means = gather(X, y, weights, train).mean * intercept
    mse, lost = held_out_square(gather(X, y, weights, test), means, coef)
    intercepts = means[-1] - coef @ means[:-1]
    wrong = y[test][:, None] - X[test] @ coef.T - intercepts
    assert_allclose(mse, np.average(wrong**2, axis=0, weights=weights[test]))
    assert (lost <= 1e-9 * (1 + mse)).all()


@given(st.integers(0, 10**6), st.floats(0.05, 1))
def test_a_gap_is_that_of_the_rescaled_residual(seed, share):
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((20, 7)) + rng.standard_normal((20, 1))
    Z /= np.linalg.norm(Z, axis=0)
    Z[:, 2] = 0.0
    X, y = Z[:, :6], Z[:, 6]
    w, alphas = rng.standard_normal((4, 6)) * share, rng.uniform(0.1, 1, 4)
    penalties, R = rng.uniform(0.5, 2, 6), y - w @ X.T
    alpha = np.outer(alphas, penalties)
    sigma, size = np.linalg.norm(R, axis=1), np.abs(R @ X) / alpha
    dual = np.maximum(R @ y / np.maximum(sigma, size.max(axis=1)), 0.0)
    exact = sigma + (alpha * np.abs(w)).sum(axis=1) - dual
    given_ = w, y @ X, R @ X, alphas, penalties, False
    gaps, squares, lost = gaps_of_moments(*given_)
    assert np.all(exact <= gaps + 1e-15)
    assert_allclose(gaps, exact, rtol=1e-9)
    assert_allclose(squares, sigma**2, atol=1e-12)
    assert np.all(np.abs(squares - sigma**2) <= lost)
    assert np.all(gaps_of_moments(*given_, 1e-3)[0] > gaps)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("lengths", [(60, 91, 700), (80, 81, 3000), (90, 80)])
def test_moments_of_groups_are_those_of_their_rows(lengths, sparse, monkeypatch):
    monkeypatch.setattr(moments, "CHUNK_ENTRIES", 12)  # groups are halved
    rng = np.random.default_rng(5)
    n = sum(lengths)
    X, y = rng.standard_normal((n, 3)), rng.standard_normal((n, 2))
    groups = np.split(rng.permutation(n), np.cumsum(lengths)[:-1])
    weights = rng.integers(1, 3, n).astype(float)
    weights[groups[-1][len(groups[-1]) // 2 :]] = 0  # one half
    given = (sp.csr_array(X) if sparse else X), y, weights, groups
    one, *others = (moments_of_each(*given, n_jobs) for n_jobs in (1, 2, 3))
    for found, rows in zip(one, groups, strict=True):
        rows = rows[weights[rows] > 0]
        Z = np.hstack([X[rows], y[rows]])
        mean = np.average(Z, axis=0, weights=weights[rows])
        apart = Z - mean
        products = (weights[rows, None] * apart).T @ apart
        assert found.n_rows == len(rows)
        assert_allclose(found.weight, weights[rows].sum())
        assert_allclose(found.mean, mean, atol=1e-12)
        assert_allclose(found.products, products, atol=1e-10)
    for other in others:
        for mine, theirs in zip(one, other, strict=True):
            assert_array_equal(mine.mean, theirs.mean)
            assert_array_equal(mine.products, theirs.products)
