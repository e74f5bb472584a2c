"""Rows with missing entries and outliers have the codes of one convex problem."""

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import orthogonal_mp

from sklearn_sqrtlasso.sparse_coding.component_usage import report_refit
from sklearn_sqrtlasso.sparse_coding.dictionary import CodingOptions, make_dictionary
from sklearn_sqrtlasso.sparse_coding.encoder import code_rows
from sklearn_sqrtlasso.sparse_coding.missing_patterns import parts_of, weigh_entries
from sklearn_sqrtlasso.sparse_coding.outliers import (
    SpikedAtoms,
    dictionary_with_spikes,
)
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS
from tests import sized
from tests.sparse_coding.test_selectors import LASSOS, RULES

N_FEATURES, N_ROWS = 7, sized(12, 4)
PENALTIES = {"sqrt_lasso": 0.3, "lasso": 0.5}
WITH_OUTLIERS = [name for name, row in SELECTORS.items() if row.takes_outliers]

each_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
each_lasso = pytest.mark.parametrize("selector", LASSOS)
each_sign = pytest.mark.parametrize("positive", [False, True])
each_selector_with_outliers = pytest.mark.parametrize("selector", WITH_OUTLIERS)


def make_atoms(n_components=9, seed=0):
    D = np.random.default_rng(seed).standard_normal((n_components, N_FEATURES))
    return D / np.linalg.norm(D, axis=1, keepdims=True)


def make_rows(n_rows=N_ROWS, share=0.25, seed=1):
    """Return rows with missing entries, the last one without, the first all missing."""
    rng = np.random.default_rng(seed)
    X = (
        rng.standard_normal((n_rows, N_FEATURES))
        * np.geomspace(0.1, 10, n_rows)[:, None]
    )
    X[rng.random(X.shape) < share] = np.nan
    X[0], X[-1] = np.nan, rng.standard_normal(N_FEATURES)
    return X


def code(X, D, rule, **changes):
    return code_rows(X, make_dictionary(D), rule._replace(**changes))


def rule_of(selector, **given):
    return CodingOptions(selector, PENALTIES[selector], **{"phi": 1.0, **given})


def by_conic_solver(x, D, rule):
    """Return the code and its objective, of a row whose missing entries are free."""
    z, e = cp.Variable(len(D), nonneg=rule.positive), cp.Variable(len(x))
    seen, free = ~np.isnan(x), np.isnan(x) * 1.0
    left = np.nan_to_num(x) - e - D.T @ z
    loss = cp.norm2(left) if LASSOS[rule.selector] else cp.sum_squares(left) / 2
    loss = loss + rule.alpha * cp.norm1(z)
    limits = []
    if rule.outlier_alpha is None:
        limits = [cp.multiply(1 - free, e) == 0]
    else:
        loss = loss + rule.outlier_alpha * cp.norm1(cp.multiply(seen * 1.0, e))
    problem = cp.Problem(cp.Minimize(loss), limits)
    problem.solve(solver=cp.CLARABEL)
    return z.value, problem.value


@each_lasso
@each_sign
def test_codes_minimise_over_missing_entries_too(selector, positive):
    D, X = make_atoms(), make_rows()
    rule = rule_of(selector, positive=positive)
    solution = code(X, D, rule)
    assert solution.gap.max() <= 1e-8
    for x, z in zip(X[1:], solution.Z[1:], strict=True):
        # codes know half of the digits of a gap of 1e-8
        assert_allclose(z, by_conic_solver(x, D, rule)[0], atol=1e-3)


@each_selector_with_outliers
@each_sign
def test_codes_minimise_over_outliers_too(selector, positive):
    D, X = make_atoms(), make_rows()
    X[2:, 3] += 20
    rule = rule_of(selector, positive=positive, outlier_alpha=0.6)
    found = code(X, D, rule)
    assert found.gap.max() <= 1e-8
    assert np.count_nonzero(found.outliers) > 0
    for x, z, e in zip(X[1:], found.Z[1:], found.outliers[1:], strict=True):
        ours = np.linalg.norm(np.nan_to_num(x - e - z @ D))
        ours += rule.alpha * np.abs(z).sum() + rule.outlier_alpha * np.abs(e).sum()
        best = by_conic_solver(x, D, rule)[1]
        assert ours <= best + 1e-7 * max(1, best)
        assert not (positive and np.any(z < 0))
        assert_array_equal(e[np.isnan(x)], 0)


@each_rule
@each_sign
def test_a_code_is_that_of_observed_entries_in_what_they_leave_of_atoms(rule, positive):
    D, X = make_atoms(), make_rows()
    found = code(X, D, rule, positive=positive)
    for x, z in zip(X[1:], found.Z[1:], strict=True):
        seen = ~np.isnan(x)
        alone = code(x[None, seen], D[:, seen], rule, positive=positive)
        assert_allclose(z, alone.Z[0], rtol=1e-9, atol=1e-9)
    assert_array_equal(found.Z[0], 0)
    assert found.gap[0] == 0


@each_rule
def test_rows_without_missing_entries_are_coded_as_before(rule):
    D, X = make_atoms(), make_rows(sized(80, 6), share=0.0)[1:]
    few = X.copy()
    few[::3, 1] = np.nan
    whole = ~np.isnan(few).any(axis=1)
    for ours, theirs in zip(code(few, D, rule)[:3], code(X, D, rule)[:3], strict=True):
        if ours is not None:
            assert_array_equal(ours[whole], theirs[whole])


def test_matching_pursuit_is_that_of_scikit_learn():
    D, X = make_atoms(), make_rows()
    Z = code(X, D, CodingOptions("omp", n_nonzero=2)).Z
    for x, z in zip(X[1:], Z[1:], strict=True):
        seen = ~np.isnan(x)
        norms = np.linalg.norm(D[:, seen], axis=1)
        theirs = (
            orthogonal_mp((D[:, seen] / norms[:, None]).T, x[seen], n_nonzero_coefs=2)
            / norms
        )
        assert_allclose(z, theirs, atol=1e-9)


@each_selector_with_outliers
def test_a_refit_is_least_squares_on_observed_entries_that_are_no_outliers(selector):
    D, X = make_atoms(), make_rows()
    X[2:, 3] += 20
    found = code(X, D, rule_of(selector, phi=0.0, outlier_alpha=0.6))
    for x, z, e in zip(X[1:], found.Z[1:], found.outliers[1:], strict=True):
        on, kept = z != 0, ~np.isnan(x) & (e == 0)
        if on.sum() <= kept.sum():
            theirs = np.linalg.lstsq(D[on][:, kept].T, x[kept], rcond=None)[0]
            assert_allclose(z[on], theirs, rtol=1e-6, atol=1e-6)


@each_selector_with_outliers
@each_sign
@given(power=st.integers(-300, 300), seed=st.integers(0, 9))
def test_a_power_of_two_scales_codes_and_outliers_exactly(
    selector, positive, power, seed
):
    D, X = make_atoms(), make_rows(4, seed=seed)
    rule = rule_of(selector, phi=0.5, positive=positive, outlier_alpha=0.6)
    ours, scaled = code(X, D, rule), code(2.0**power * X, D, rule)
    assert_array_equal(scaled.Z, 2.0**power * ours.Z)
    assert_array_equal(scaled.outliers, 2.0**power * ours.outliers)
    assert_array_equal(scaled.gap, ours.gap)


@each_selector_with_outliers
def test_the_size_of_atoms_and_their_penalty_does_not_matter(selector):
    D, X = make_atoms(), make_rows()
    rule = rule_of(selector, outlier_alpha=0.6)
    ours = code(X, D, rule)
    for c in (2.0**-130, 2.0**130):
        scaled = code(X, c * D, rule, alpha=c * rule.alpha)
        assert_allclose(scaled.Z * c, ours.Z, atol=1e-9)
        assert_allclose(scaled.outliers, ours.outliers, atol=1e-9)


@each_selector_with_outliers
def test_outliers_are_told_without_a_penalty_of_codes(selector):
    D, X = make_atoms(3), make_rows(share=0.0)[1:]
    D[1] = 0
    X[:, 3] += 20
    rule = rule_of(selector, outlier_alpha=0.6)
    free, least = code(X, D, rule, alpha=0.0), code(X, D, rule, alpha=1e-6)
    assert_allclose(free.Z, least.Z, atol=1e-3)
    assert_allclose(free.outliers, least.outliers, atol=1e-3)


@each_selector_with_outliers
def test_what_exceeds_the_penalty_of_outliers_has_no_more_influence(selector):
    D, X = make_atoms(), make_rows(share=0.0)[1:]
    X[:, 2] += 1e4
    rule = rule_of(selector, outlier_alpha=0.4)
    before = code(X, D, rule)
    X[:, 2] += 1e4
    after = code(X, D, rule)
    assert (before.outliers[:, 2] != 0).all()
    assert_allclose(after.Z, before.Z, atol=1e-6)
    assert_allclose(after.outliers[:, 2] - before.outliers[:, 2], 1e4, rtol=1e-9)


@each_selector_with_outliers
def test_a_penalty_of_outliers_that_no_residual_reaches_changes_nothing(selector):
    D, X = make_atoms(), make_rows()
    without = code(X, D, rule_of(selector))
    for beta in (1.0, 1e300):
        found = code(X, D, rule_of(selector, outlier_alpha=beta))
        assert_array_equal(found.outliers, 0)
        assert_allclose(found.Z, without.Z, atol=1e-9)


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1))
def test_parts_hold_each_incomplete_row_once(missing):
    missing = np.array(missing)
    numbers = np.arange(1.0, 1 + missing.size).reshape(missing.shape)
    X = np.where(missing, np.nan, numbers)
    first, *others = parts_of(X, make_dictionary(np.eye(3, 4)))
    lacking = missing.any(axis=1)
    assert_array_equal(first.X, np.where(lacking[:, None], 0, X))
    found = [row for part in others for row in part.rows]
    some = np.flatnonzero(lacking & ~missing.all(axis=1))
    assert sorted(found) == list(some)
    assert len(others) == len(np.unique(missing[some], axis=0))
    for part in others:
        lost = missing[part.rows[0]]
        assert_array_equal(part.X, np.where(lost, 0, X[part.rows]))
        assert_array_equal(part.dictionary.D, np.where(lost, 0, np.eye(3, 4)))


@pytest.mark.parametrize("n_lost", [2, 6, 15])
@pytest.mark.parametrize("left", [0, 1e-9, 1e-3])
def test_products_of_weighed_atoms_keep_their_digits(n_lost, left):
    """Also of atoms of which hardly anything is left."""
    rng = np.random.default_rng(n_lost)
    D, lost = rng.standard_normal((5, 16)), np.arange(16) < n_lost
    D[:2, ~lost] *= left
    for weights in (np.zeros(1), rng.random(n_lost)):
        found = weigh_entries(make_dictionary(D), lost, weights)
        expected = D.copy()
        expected[:, lost] *= weights
        assert_array_equal(found.D, expected)
        size = np.linalg.norm(expected, axis=1)
        error = np.abs(found.G - expected @ expected.T)
        assert np.all(error <= 1e-13 * np.outer(size, size))


def test_complete_rows_are_one_part():
    X = np.ones((3, 4))
    (only,) = parts_of(X, make_dictionary(np.eye(4)))
    assert only.X is X


def test_a_report_counts_observed_entries_only():
    D, X = make_atoms(), make_rows(60, share=0.1)[1:]
    Z = code(X, D, rule_of("sqrt_lasso")).Z
    found, seen = report_refit(X, Z, D), ~np.isnan(X)
    mean = np.nanmean(X, axis=0)
    error = np.sum((X - Z @ D)[seen] ** 2)
    assert_allclose(
        found.explained_variance, 1 - error / np.sum((X - mean)[seen] ** 2), rtol=1e-9
    )
    refit = code(X, D, rule_of("sqrt_lasso", phi=0.0)).Z
    assert_allclose(
        found.refit.growth, np.linalg.norm(refit) / np.linalg.norm(Z), rtol=1e-6
    )


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("n_outliers", [0, 3, 5])
def test_inner_products_of_atoms_and_spikes(n_outliers, positive):
    rng = np.random.default_rng(0)
    A, beta = rng.standard_normal((7, 5)), rng.uniform(0.1, 2, n_outliers)
    D, G = dictionary_with_spikes(A, rng.uniform(0.1, 2, 7), beta, positive)
    assert_allclose(G, D @ D.T, atol=1e-12)
    spikes = np.hstack([np.diag(1 / beta), np.zeros((n_outliers, 5 - n_outliers))])
    assert_allclose(D[7 : 7 + n_outliers], spikes)
    assert_allclose(D[7 + n_outliers :], -spikes[: positive * n_outliers])


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("n_atoms", [4, 9])
def test_spikes_of_a_pattern_are_those_of_its_atoms(positive, n_atoms):
    """Patterns follow each other in one place, and none leaves a trace."""
    rng = np.random.default_rng(0)
    whole = make_dictionary(rng.standard_normal((n_atoms, 6)))
    spiked = SpikedAtoms(whole, 0.1, 0.5, positive)
    for missing in ([], [1, 4], [0, 4, 5], [], [2]):
        D = whole.D.copy()
        D[:, missing] = 0
        found = spiked.of(make_dictionary(D), np.array(missing, np.int64))
        signs = (1, -1) if positive else (1,)
        expected = np.vstack([D / 0.1, *(sign * np.eye(6) / 0.5 for sign in signs)])
        seen = np.setdiff1d(np.arange(6), missing)
        assert_allclose(found.D[:n_atoms], expected[:n_atoms])
        assert_allclose(found.D[n_atoms:], expected[n_atoms:])
        assert_allclose(found.G, expected @ expected.T, atol=1e-12)
        assert not found.D[:n_atoms][:, missing].any()
        assert found.D[:n_atoms][:, seen].any()
