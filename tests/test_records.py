"""What the records of the tables say is true, row by row."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    NoisyCopies,
    RelaxedSparseCoder,
)
from sklearn_sqrtlasso.learning.alternating import METHODS
from sklearn_sqrtlasso.learning.binarization import SCHEMES
from sklearn_sqrtlasso.learning.dictionary_learning import LEARNERS
from sklearn_sqrtlasso.learning.tight_frame import INITS
from sklearn_sqrtlasso.metrics import noise_scorer
from sklearn_sqrtlasso.models.activations import ACTIVATIONS, ProjectedRows
from sklearn_sqrtlasso.models.noise import NOISE_KINDS
from sklearn_sqrtlasso.models.pointwise import POINTWISE
from sklearn_sqrtlasso.sparse_coding.dictionary import CodingOptions, make_dictionary
from sklearn_sqrtlasso.sparse_coding.encoder import code_rows
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS
from tests.problems import general

TABLES = {
    "activations": (ACTIVATIONS, NeLUAutoencoder),
    "pointwise": (POINTWISE, ANAMOAutoencoder),
    "selectors": (SELECTORS, RelaxedSparseCoder),
    "learners": (LEARNERS, RelaxedSparseCoder),
    "methods": (METHODS, ANAMOAutoencoder),
    "schemes": (SCHEMES, ANAMOAutoencoder),
    "noise of copies": (NOISE_KINDS, NoisyCopies),
    "noise of a score": (NOISE_KINDS, noise_scorer),
}
each_selector = pytest.mark.parametrize("name", SELECTORS)
each_activation = pytest.mark.parametrize("name", ACTIVATIONS)


@pytest.mark.parametrize("table", TABLES)
def test_docstrings_list_each_row(table):
    rows, documented = TABLES[table]
    text = " ".join(documented.__doc__.split())
    for name, row in rows.items():
        assert f'- "{name}": {" ".join(row.summary.split())}.' in text
    assert "<choices" not in text


@pytest.mark.parametrize("name", INITS)
def test_inits_are_named_in_the_constraint(name):
    assert INITS[name].summary
    assert INITS[name].directions(np.eye(4), 4, np.random.RandomState(0)).shape == (
        4,
        4,
    )


def options(name, **changes):
    row = SELECTORS[name]
    alpha = 0.0 if row.alpha_unit is None else 0.4
    n_nonzero = 0 if row.takes_count == "never" else 3
    return CodingOptions(name, alpha, n_nonzero, phi=1.0)._replace(**changes)


@each_selector
def test_a_selector_uses_a_count_if_and_only_if_it_takes_one(name):
    D, X = general()
    few, many = (
        np.count_nonzero(
            code_rows(X, make_dictionary(D), options(name, n_nonzero=n)).Z, axis=1
        )
        for n in (2, 5)
    )
    assert np.array_equal(few, many) == (SELECTORS[name].takes_count == "never")


@each_selector
def test_alpha_has_the_unit_that_its_selector_says(name):
    D, X = general()
    row, free = SELECTORS[name], options(name, n_nonzero=0)
    if row.takes_count == "required":
        free = options(name)
    unit = {"pure": 1.0, "correlation": 8.0, "data": 8.0, None: 1.0}[row.alpha_unit]
    Z = code_rows(X, make_dictionary(D), free).Z
    scaled = free._replace(alpha=unit * free.alpha)
    assert_array_equal(code_rows(8 * X, make_dictionary(D), scaled).Z, 8 * Z)
    # products with atoms twice as long are twice as large
    longer = free._replace(alpha=2 * free.alpha) if unit == 8 else free
    if row.alpha_unit == "correlation":
        twice = code_rows(X, make_dictionary(2 * D), longer).Z
        assert_array_equal(twice != 0, Z != 0)


@each_selector
def test_codes_in_closed_form_depend_on_the_products_alone(name):
    if SELECTORS[name].closed_form:
        D, X = general()
        Q = np.linalg.qr(np.random.default_rng(0).standard_normal((12, 12)))[0]
        other = np.vstack([D[:10], -D[10:]])  # other inner products, products alike
        C = X @ D.T
        C[:, 10:] *= -1
        Z = code_rows(X, make_dictionary(D), options(name)).Z
        turned = code_rows(X @ Q, make_dictionary(D @ Q), options(name)).Z
        assert_allclose(turned, Z, atol=1e-12)
        flipped = code_rows(X, make_dictionary(other), options(name)).Z
        Z[:, 10:] *= -1
        assert_allclose(flipped, Z, atol=1e-12)


@each_selector
def test_certified_selectors_have_gaps_of_all_codes(name):
    coder = RelaxedSparseCoder(selector=name)
    assert hasattr(coder, "duality_gap") == SELECTORS[name].certified
    D, X = general()
    solution = code_rows(X, make_dictionary(D), options(name))
    assert (solution.mu is not None) == SELECTORS[name].certified


@each_activation
@pytest.mark.parametrize("positive", [False, True])
def test_positive_makes_a_difference_where_an_activation_offers_it(name, positive):
    row = ACTIVATIONS[name]
    U = np.random.default_rng(0).standard_normal((6, 5))
    p = {key: np.full(5, 0.4) for key in row.parameters}
    Z, both = (
        row.value(ProjectedRows(U, np.arange(7), sign), p)[0] for sign in (True, False)
    )
    assert (Z >= 0).all() or not row.offers_positive
    assert np.array_equal(Z, both) != row.offers_positive


@each_activation
def test_rows_of_a_group_share_a_scale_where_an_activation_pools(name):
    row = ACTIVATIONS[name]
    U = np.random.default_rng(0).standard_normal((6, 5))
    p = {key: np.full(5, 0.7) for key in row.parameters}
    alone = row.value(ProjectedRows(U, np.arange(7), False), p)[0]
    together = row.value(ProjectedRows(U, np.array([0, 6]), False), p)[0]
    assert np.array_equal(alone, together) != row.pools_groups
    assert (row.at_scale is not None or row.whole_groups) == row.pools_groups
    assert hasattr(NeLUAutoencoder(activation=name), "duality_gap") == row.certified


@each_activation
def test_codes_have_the_unit_that_their_activation_says(name):
    row = ACTIVATIONS[name]
    U = np.random.default_rng(0).standard_normal((6, 5))
    groups = np.arange(7)
    p = {key: np.full(5, 0.4) for key in row.parameters}
    scaled = dict(p)
    for key in p:
        if row.parameter(key).has_unit and row.scales:
            scaled[key] = 8 * p[key]
    Z = row.value(ProjectedRows(U, groups, False), p)[0]
    by_8 = row.value(ProjectedRows(8 * U, groups, False), scaled)[0]
    assert np.array_equal(by_8, 8 * Z) == row.scales


@pytest.mark.parametrize("name", METHODS)
def test_a_step_is_refused_where_a_method_finds_it(name):
    X = np.random.default_rng(0).uniform(size=(20, 4))
    coder = ANAMOAutoencoder(2, decoder_method=name, decoder_step=0.1, max_iter=1)
    if METHODS[name].finds_step:
        with pytest.raises(ValueError, match="decoder_step must be 'auto'"):
            coder.fit(X)
    else:
        assert np.isfinite(coder.fit(X).loss_curve_).all()


@pytest.mark.parametrize("name", METHODS)
def test_methods_without_a_prox_are_refused_where_one_is_needed(name):
    X = np.random.default_rng(0).uniform(size=(20, 4))
    coder = ANAMOAutoencoder(2, encoder_method=name, prox="exact", max_iter=1)
    if METHODS[name].takes_prox:
        assert np.isfinite(coder.fit(X).loss_curve_).all()
    else:
        with pytest.raises(ValueError, match="prox='exact' needs encoder_method"):
            coder.fit(X)
