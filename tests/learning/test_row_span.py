"""Few rows of many columns, in a basis of their span."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from sklearn_sqrtlasso import RelaxedSparseCoder
from sklearn_sqrtlasso.learning import coded_rows, row_span
from sklearn_sqrtlasso.learning.coded_rows import ScaledRows
from sklearn_sqrtlasso.learning.row_span import RowSpan, span_of_few_rows


def make_rows(n=8, p=40, rank=8):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, rank)) @ rng.standard_normal((rank, p))


@pytest.mark.parametrize("rank", [3, 8])
@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
@pytest.mark.parametrize(
    "kind", [np.asarray, sp.csr_array, lambda X: ScaledRows(4 * X, 4.0)]
)
def test_coordinates_in_an_orthonormal_basis_are_the_rows(rank, scale, kind):
    X = scale * make_rows(rank=rank)
    span = span_of_few_rows(kind(X))
    assert span.basis.shape == (rank, X.shape[1])
    assert_allclose(span.basis @ span.basis.T, np.eye(rank), atol=1e-13)
    assert_allclose(span.unfold(span.coordinates), X, rtol=0, atol=1e-12 * scale)


def test_atoms_of_wide_rows_do_not_depend_on_when_these_are_scaled(monkeypatch):
    X = make_rows()
    coder = RelaxedSparseCoder(5, random_state=0)
    expected = coder.fit(X).components_
    monkeypatch.setattr(coded_rows, "HELD_ENTRIES", 0)
    assert_allclose(coder.fit(X).components_, expected, rtol=0, atol=0)


def test_coordinates_about_a_mean_are_principal():
    X = make_rows() + 5
    span = span_of_few_rows(X, X.mean(axis=0))
    assert len(span.basis) == len(X) - 1
    A = span.coordinates
    assert_allclose(span.unfold(A), X - X.mean(axis=0), atol=1e-12)
    moment = A.T @ A
    assert_allclose(moment, np.diag(np.sort(np.diagonal(moment))[::-1]), atol=1e-10)


@pytest.mark.parametrize(
    "X",
    [
        make_rows(n=30),
        np.zeros((3, 40)),
        np.where(np.random.default_rng(1).random((8, 40)) < 0.1, np.nan, make_rows()),
    ],
    ids=["many rows", "zeros", "missing entries"],
)
def test_other_rows_are_left_as_they_are(X):
    span = span_of_few_rows(X)
    assert span.coordinates is X
    assert span.unfold(X) is X


def test_rows_of_words_have_a_basis_if_they_are_few(monkeypatch):
    X = sp.random_array((8, 400), density=0.02, format="csr", rng=0)
    span = span_of_few_rows(X)
    assert_allclose(span.unfold(span.coordinates), X.toarray(), rtol=0, atol=1e-13)
    monkeypatch.setattr(row_span, "SMALL", 8 * 400 - 1)
    assert span_of_few_rows(X).coordinates is X
    assert span_of_few_rows(X, n_components=3).coordinates is X
    of_a_large_model = span_of_few_rows(X, n_components=4)
    assert_allclose(of_a_large_model.basis, span.basis)


def test_single_precision_stays_single():
    span = span_of_few_rows(make_rows().astype(np.float32))
    assert span.basis.dtype == span.coordinates.dtype == np.float32
    assert span.unfold(np.ones((2, 8), np.float32)).dtype == np.float32
    assert RowSpan(np.ones((1, 1)), None).unfold(np.ones((2, 1))).shape == (2, 1)
