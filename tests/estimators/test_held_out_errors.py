"""Grids of penalties end where training sides nearly interpolate noise."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso import SqrtLassoCV
from sklearn_sqrtlasso.estimators import held_out_errors
from sklearn_sqrtlasso.estimators.held_out_errors import (
    GROWN,
    EarlyStopping,
    Grid,
    HeldOut,
    HeldOutRows,
    best_place,
    have_grown,
    pooled_errors,
)
from sklearn_sqrtlasso.regression.fit import fit_of

N_ALPHAS = 30
ROWS = np.arange(100)
UNEQUAL = [(ROWS[:70], ROWS[70:]), (ROWS[10:], ROWS[:10])]


def errors(mse, unit=1.0, weight=1.0):
    mse = np.atleast_2d(mse).astype(float)
    last = fit_of(np.zeros(2), 1.0, 0.0, 1)
    return HeldOut(mse, np.full(mse.shape, unit), np.zeros(mse.shape[1]), weight, last)


def wide(noise, n_informative, seed=0):
    """Return a table of more columns than rows, of few and many relevant ones."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((100, 1000))
    signal = X[:, :n_informative].sum(axis=1) / np.sqrt(n_informative)
    return X, signal + noise * rng.standard_normal(100)


@pytest.fixture
def many(monkeypatch):
    """Let small tables have as many columns in use as large ones."""
    monkeypatch.setattr(held_out_errors, "MANY", 20)


def test_errors_are_joined_and_cut():
    grid = Grid(np.array([3.0, 2.0, 1.0]), np.array([1.0]))
    assert_array_equal(grid.first(2).alphas, [3.0, 2.0])
    assert_array_equal(grid.after(2).alphas, [1.0])
    whole = errors([4.0, 1.0]).join(errors([9.0], weight=1.0))
    assert_array_equal(whole.mse, [[4.0, 1.0, 9.0]])
    assert whole.smallest == 1.0
    assert_array_equal(whole.first(2).mse, [[4.0, 1.0]])
    assert len(whole.first(2).gaps) == 2


def test_errors_are_pooled_by_weight_whatever_their_unit():
    rng = np.random.default_rng(0)
    mse, weights = rng.random((3, 2, 4)), np.array([1.0, 2.0, 5.0])
    for unit in (1.0, 2.0**800):
        folds = [errors(m, unit, w) for m, w in zip(mse, weights, strict=True)]
        expected = np.sqrt(np.average(mse, axis=0, weights=weights))
        assert_allclose(pooled_errors(folds) / unit, expected, rtol=1e-14)


@pytest.mark.parametrize("unit", [1.0, 2.0**800])
def test_errors_have_grown_if_those_of_all_shares_have(unit):
    grown = [4.0, 1.0, 1.01 * GROWN**2]
    assert have_grown([errors(grown, unit)])
    assert have_grown([errors([grown, grown], unit)])
    assert not have_grown([errors([grown, [*grown[:2], 1.0]], unit)])
    assert not have_grown([errors([4.0, 1.0, 0.99 * GROWN**2], unit)])


def test_of_errors_that_tie_the_largest_penalty_is_chosen():
    below = 1.0 - 1e-13
    assert best_place(np.array([[2.0, 1.0, below], [2.0, 3.0, below]])) == (0, 1)
    assert best_place(np.array([[2.0, 1.0, 0.9]])) == (0, 2)
    assert best_place(np.array([[np.inf, np.inf]])) == (0, 0)
    assert best_place(np.array([[np.inf, 1.0]])) == (0, 1)


@pytest.mark.parametrize(
    ("mse", "ends", "expected"),
    [
        ([4.0, 1.0, 1.0, 1.0, 2.0, 3.0], (2, 3, 4), 6),
        ([4.0, 1.0, 1.0, 2.0, 2.0, 3.0], (2, 4, 5), 4),
        ([4.0, 1.0, 2.0, 2.0, 2.0, 3.0], (2, 5, 6), 5),
        ([4.0, 1.0, 2.0, 2.0, 2.0, 3.0], (3, 3, 3), 3),
        ([4.0, 3.0, 3.0, 2.0, 2.0, 1.0], (1, 4, 6), 6),
    ],
)
def test_folds_end_where_one_has_ended_and_errors_have_grown(mse, ends, expected):
    whole, grid = errors(mse), Grid(np.arange(6.0, 0.0, -1), np.array([1.0]))

    def follow(place, found, grid):
        return whole.first(max(len(found.gaps), len(grid.alphas)))

    given = [whole.first(n_alphas) for n_alphas in ends]
    found, part = SqrtLassoCV()._to_one_end(given, grid, follow)
    assert len(part.alphas) == expected
    for fold in found:
        assert_array_equal(fold.mse, [mse[:expected]])


def test_a_path_ends_where_many_columns_are_in_use_and_its_error_has_grown(many):
    X, y = wide(noise=0.0, n_informative=1000)
    rows, w = HeldOutRows(X, y, np.ones(100), ROWS[:40]), np.ones(1000) / np.sqrt(1000)
    good, worse, bad = w, 0.98 * w, 0.5 * w
    few = bad * (np.arange(1000) < 49)

    def ends(*coefs, rank=98):
        stopping = EarlyStopping(rows, rank)
        return [stopping(fit_of(coef, 1.0, 0.0, 1), 0.0) for coef in coefs]

    assert ends(bad, worse, good) == [False] * 3
    assert ends(good, bad) == [False, True]
    assert ends(worse, few) == [False, False]  # of 98, half are not in use
    assert ends(good, bad, rank=1001) == [False, False]


@pytest.mark.parametrize("phi", [1.0, [0.0, 1.0]])
@pytest.mark.parametrize("cv", [3, UNEQUAL])
def test_an_end_changes_neither_the_choice_nor_the_errors_before_it(many, cv, phi):
    X, y = wide(noise=0.5, n_informative=3)
    ended = SqrtLassoCV(alphas=N_ALPHAS, cv=cv, phi=phi).fit(X, y)
    n_alphas = len(ended.alphas_)
    assert n_alphas < N_ALPHAS
    largest = ended.alphas_[0]
    grid = largest * np.geomspace(1, 1e-3, N_ALPHAS)
    assert_allclose(ended.alphas_, grid[:n_alphas], rtol=1e-12)
    whole = SqrtLassoCV(alphas=grid, cv=cv, phi=phi).fit(X, y)
    assert_array_equal(whole.alphas_, grid)
    first = whole.mse_path_[..., :n_alphas, :]
    assert_allclose(ended.mse_path_, first, rtol=1e-4)
    mse = whole.mse_path_.mean(axis=-1)
    assert np.all(mse[..., n_alphas - 1] > mse[..., :n_alphas].min(axis=-1))
    assert_allclose(whole.alpha_, ended.alpha_, rtol=1e-12)
    assert whole.phi_ == ended.phi_
    assert_allclose(whole.coef_, ended.coef_, atol=1e-6)


def test_the_grid_goes_on_where_errors_fall_to_its_end(many):
    X, y = wide(noise=0.0, n_informative=1000)
    ended = SqrtLassoCV(alphas=N_ALPHAS, cv=3).fit(X, y)
    assert len(ended.alphas_) == len(ended.mse_path_) == N_ALPHAS
    whole = SqrtLassoCV(alphas=ended.alphas_, cv=3).fit(X, y)
    assert_allclose(ended.mse_path_, whole.mse_path_, rtol=1e-4)


def test_threads_end_at_the_same_penalty(many):
    X, y = wide(noise=1.0, n_informative=3)
    one, two = (SqrtLassoCV(alphas=N_ALPHAS, n_jobs=n).fit(X, y) for n in (1, 2))
    assert len(one.alphas_) < N_ALPHAS
    assert_array_equal(one.mse_path_, two.mse_path_)
    assert_array_equal(one.coef_, two.coef_)
