"""The arrays of a caller are never changed, however sparse rows are stored."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso import NeLUAutoencoder
from tests.estimators.encoders import ENCODERS, N_FEATURES, OF_THE_CLASS, new

METHODS = ["transform", "reconstruct", "noise_scale", "score", "report"]
PARTS = ("data", "indices", "indptr", "row", "col", "offsets", "rows")


def dense_rows():
    rng = np.random.default_rng(0)
    shape = (40, N_FEATURES)
    return rng.standard_normal(shape) * (rng.random(shape) < 0.4)


def scattered(X):
    """Return rows whose entries stand backwards, in halves, beside a stored zero."""
    rows, columns = X.nonzero()
    order = np.repeat(np.arange(len(rows))[::-1], 2)
    order = order[np.argsort(-rows[order], kind="stable")][::-1]
    stored = [X[rows, columns][order] / 2, np.zeros(len(X))]
    places = [rows[order], np.arange(len(X))], [columns[order], 0 * X[:, 0].astype(int)]
    rows, columns = map(np.concatenate, places)
    order = np.argsort(rows, kind="stable")
    bounds = np.searchsorted(rows[order], np.arange(len(X) + 1))
    parts = np.concatenate(stored)[order], columns[order], bounds
    return sp.csr_matrix(parts, shape=X.shape)


def with_long_indices(X):
    A = scattered(X)
    A.indices, A.indptr = A.indices.astype("i8"), A.indptr.astype("i8")
    return A


CONTAINERS = {
    "csr": scattered,
    "array": lambda X: sp.csr_array(scattered(X)),
    "int64": with_long_indices,
    "single": lambda X: scattered(X).astype("f4"),
    "sorted": lambda X: sp.csr_matrix(X),
    "coo": lambda X: scattered(X).tocoo(),
    "csc": lambda X: sp.csc_matrix(X),
    "bsr": lambda X: sp.bsr_matrix(X, blocksize=(4, 3)),
    "lil": sp.lil_matrix,
    "dia": sp.dia_matrix,
}


def parts(A):
    """Return the arrays of a sparse matrix by name."""
    named = {name: getattr(A, name, None) for name in PARTS}
    return {name: part for name, part in named.items() if isinstance(part, np.ndarray)}


def locked(A):
    """Make the arrays of a matrix read-only, as those of a memory map are."""
    for part in parts(A).values():
        part.flags.writeable = part.dtype == object  # of LIL: scipy cannot read them
    return A


def contents(A):
    return {name: part.tolist() for name, part in parts(A).items()}


def used(coder, A):
    """Fit to rows and call all methods; return the codes."""
    coder.fit(A)
    for method in METHODS:
        getattr(coder, method)(A)
    Z = coder.transform(A)
    return Z.toarray() if sp.issparse(Z) else Z


def test_the_entries_are_scattered():
    X = dense_rows()
    A = scattered(X)
    assert_allclose(A.toarray(), X, rtol=1e-15)
    assert not A.has_canonical_format
    assert not scattered(X).has_sorted_indices
    assert A.nnz > 2 * np.count_nonzero(X) > 0


@pytest.mark.parametrize("name", ENCODERS)
def test_no_method_changes_the_rows(name):
    A = scattered(dense_rows())
    before = contents(A)
    used(new(name), A)
    assert contents(A) == before


@pytest.mark.parametrize("name", OF_THE_CLASS)
@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_rows_in_any_container_are_left_as_they_are(name, container):
    A = locked(container(dense_rows()))
    before = contents(A)
    assert len(before) > 0
    Z = used(new(name), A)
    assert contents(A) == before
    once = sp.csr_matrix(dense_rows().astype(A.dtype))  # each entry stored once
    rounding = 1e-3 if A.dtype == np.float32 else 1e-9
    assert_allclose(Z, used(new(name), once), rtol=0, atol=rounding)


def test_clean_rows_and_codes_are_left_as_they_are():
    X = dense_rows()
    clean, codes = locked(scattered(X)), locked(scattered(X))
    before = contents(clean)
    coder = NeLUAutoencoder(max_iter=2, random_state=0).fit(X, X_clean=clean)
    again = NeLUAutoencoder(max_iter=2, random_state=0).fit(X, X_clean=X)
    assert_allclose(coder.components_, again.components_, rtol=0, atol=1e-9)
    restored = coder.inverse_transform(codes)
    assert_allclose(restored, coder.inverse_transform(X), rtol=0, atol=1e-12)
    assert_array_equal(contents(codes)["data"], before["data"])
    assert contents(clean) == contents(codes) == before
