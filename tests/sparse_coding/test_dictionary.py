"""Inner products of atoms."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.sparse_coding.dictionary import ALIASED, make_dictionary


@pytest.mark.parametrize("n_atoms", [1, 60, ALIASED, ALIASED + 1, 3 * ALIASED])
@pytest.mark.parametrize("n_features", [1, 7])
def test_inner_products_are_those_of_each_pair_and_symmetric(n_atoms, n_features):
    D = np.random.default_rng(n_atoms).standard_normal((n_atoms, n_features))
    G = make_dictionary(D).G
    assert G.flags.c_contiguous
    assert_array_equal(G, G.T)
    assert_allclose(G, np.einsum("ik,jk->ij", D, D), atol=1e-13)
