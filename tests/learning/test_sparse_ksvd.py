"""The sweep over sparse rows is the one over dense residuals."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.algorithms.dictionary_update import ksvd_sweep
from sklearn_sqrtlasso.learning.coded_rows import CodedRows
from sklearn_sqrtlasso.learning.sparse_ksvd import sparse_ksvd_sweep


def problem(seed, positive=False, noise=1.0):
    """Return sparse rows, atoms of unit norm, and codes by atom."""
    rng = np.random.default_rng(seed)
    D = rng.standard_normal((5, 30)) * (rng.random((5, 30)) < 0.5)
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    Z = rng.standard_normal((40, 5)) * (rng.random((40, 5)) < 0.4)
    Z = np.maximum(Z, 0) if positive else Z
    Z[:, 4] = 0  # an atom that no row uses
    X = Z @ D + noise * rng.standard_normal((40, 30)) * (rng.random((40, 30)) < 0.2)
    codes = sp.csc_array(Z)
    norms = np.linalg.norm(X - Z @ D, axis=1)
    return X, D, CodedRows(codes.indices, codes.indptr, codes.data, X, norms, 0.0, 0.0)


@pytest.mark.parametrize("n_steps", [1, 30])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("noise", [1.0, 1e-5])  # differences lose digits where small
def test_atoms_and_entries_are_those_of_dense_residuals(n_steps, positive, noise):
    X, D, coded = problem(0, positive, noise)
    expected, values, order = D.copy(), coded.values.copy(), np.arange(5)[::-1].copy()
    users, starts = np.asarray(coded.users, np.intp), np.asarray(coded.starts, np.intp)
    R = X - coded.codes @ D
    given = order, users, starts, values, positive, n_steps, 1e-8
    ksvd_sweep(R, expected, *given, values.copy(), np.empty(D.shape[1]))
    unused = D[4].copy()
    sparse_ksvd_sweep(sp.csr_array(X), D, order, coded, positive, n_steps, 1e-8)
    assert_allclose(D, expected, atol=1e-10)
    assert_allclose(coded.values, values, atol=1e-10)
    assert_allclose(D[4], unused, atol=0)


def test_an_atom_whose_rows_others_restore_stays():
    _, D, coded = problem(1, noise=0.0)
    Z = coded.codes.toarray()
    Z[:, 0], rows = 0, sp.csr_array(Z @ D)  # what atom 0 has is not in the rows
    before = D[0].copy()
    coded.values[coded.starts[0] : coded.starts[1]] = 0
    sparse_ksvd_sweep(rows, D, np.arange(5), coded, False, 1, 1e-8)
    assert_allclose(D[0], before, atol=0)
