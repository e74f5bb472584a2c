"""Kernels on products of columns, against rows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.algorithms.products import (
    add_products,
    center,
    normalize,
    scale_products,
)

seeds = st.integers(0, 10**6)


@given(seeds, st.integers(1, 5), st.integers(1, 5))
def test_products_of_two_parts_are_those_of_all_rows(seed, n_one, n_two):
    X = np.random.default_rng(seed).standard_normal((n_one + n_two, 3))
    parts = X[:n_one], X[n_one:]
    apart = parts[1].mean(axis=0) - parts[0].mean(axis=0)
    root, out = np.sqrt(n_one * n_two / (n_one + n_two)), np.empty((3, 3))
    add_products(*(Z.T @ (Z - Z.mean(axis=0)) for Z in parts), root * apart, out)
    assert_allclose(out, X.T @ (X - X.mean(axis=0)), atol=1e-12)


@given(seeds, st.integers(0, 4))
def test_products_about_zero_are_those_of_columns_in_their_units(seed, p):
    rng = np.random.default_rng(seed)
    X, scale = rng.standard_normal((6, 4)) + 1, rng.uniform(0.5, 2, p)
    means, out = X.mean(axis=0), np.empty((p, p))
    products = X.T @ (X - means)
    scale_products(products, scale, np.sqrt(6) * scale * means[:p], out)
    Z = X[:, :p] * scale
    assert_allclose(out, Z.T @ Z, atol=1e-12)


@given(seeds, st.integers(1, 13), st.integers(0, 9))
def test_centred_columns_have_no_part_in_the_roots_of_weights(seed, n, p):
    rng = np.random.default_rng(seed)
    X, scale, weights = (
        rng.standard_normal((p, n)),
        rng.random(p),
        rng.dirichlet([1] * n),
    )
    means, roots, columns = X @ weights * scale, np.sqrt(weights), X.copy()
    center(columns, scale, means, roots)
    assert_allclose(columns, (X * scale[:, None] - means[:, None]) * roots, atol=1e-14)
    assert_allclose(columns @ roots, 0, atol=1e-13)


@given(seeds, st.integers(1, 13), st.integers(1, 9))
def test_normal_columns_have_norm_one_and_the_products_of_a_target(seed, n, p):
    rng = np.random.default_rng(seed)
    X, y, (inverse, b) = rng.standard_normal((p, n)), rng.random(n), np.empty((2, p))
    X[0] = 0.0
    given_ = X.copy()
    normalize(X, y, inverse, b)
    assert_allclose(X, given_ * inverse[:, None], atol=1e-14)
    assert_allclose(np.linalg.norm(X[1:], axis=1), 1.0)
    assert_allclose(b, X @ y, atol=1e-14)
    assert inverse[0] == 0.0
