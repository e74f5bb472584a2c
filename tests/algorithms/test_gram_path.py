"""Newton steps on Gram matrices: optimality, factors, and where steps fail."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.algorithms.gram_path import (
    active_lines,
    all_products,
    allocate,
    append_row,
    append_rows,
    change_active_set,
    count_entering,
    eliminate_four,
    fall,
    gather_row,
    lines_by_active_rows,
    lines_by_other_rows,
    newton_steps,
    outside_square,
    refactor_columns,
    remove_row,
    sigma,
    solve_gram_path,
    spans_target,
    threshold,
    write_lines,
)
from sklearn_sqrtlasso.regression.row_path import products_of
from tests import sized
from tests.oracles import path_violations

seeds = st.integers(0, 10**6)
FALLING = np.array([1.2, 0.6, 0.2, 0.03])


def columns(seed, n=30, p=8, common=1.0):
    """Return columns and a target, all of norm one."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + common * rng.standard_normal((n, 1))
    y = X[:, :3].sum(axis=1) + rng.standard_normal(n)
    return X / np.linalg.norm(X, axis=0), y / np.linalg.norm(y)


def follow(X, y, penalties, positive=False, most=1000, shares=FALLING):
    G, b = X.T @ X, X.T @ y
    top = (b if positive else np.abs(b)) / penalties
    alphas, out = shares * top.max(), np.zeros((3, 4, len(b)))
    given = all_products(G), b, penalties, alphas, positive, most
    found = solve_gram_path(*given, out, allocate(len(b)))
    reached = out[:, : found[0]]
    assert_allclose(reached[2], b - reached[0] @ G, atol=1e-9)
    return alphas, out[0], out[1], found


def started(seed, on=(4, 1, 6)):
    """Return a problem with active columns: products, penalties, factor and lines."""
    X, y = columns(seed)
    G, b, p = X.T @ X, X.T @ y, X.shape[1]
    L, act, pull = np.zeros((p + 2, p)), np.zeros(p, np.intp), np.zeros(p)
    penalties = np.random.default_rng(seed).uniform(0.5, 1, p)
    for k, j in enumerate(on):
        pull[j] = penalties[j] * (-1) ** k
        assert append_row(G, b, pull, L, act, k, j, 0)
    whole, lines = np.zeros((2, p)), np.zeros((4, p))
    write_lines(all_products(G), b, L, act, len(on), pull, whole, lines)
    return G, b, penalties, L, act, pull, whole, lines


def check_factor(G, b, pull, L, on):
    k, p = len(on), len(b)
    R = np.tril(L[:k, :k])
    assert_allclose(R @ R.T, G[np.ix_(on, on)], atol=1e-12)
    assert_allclose(R @ L[p, :k], b[on], atol=1e-12)
    assert_allclose(R @ L[p + 1, :k], pull[on], atol=1e-12)


@pytest.mark.parametrize("positive", [False, True])
@given(seeds, st.sampled_from([0.0, 1.0, 5.0]))
@settings(max_examples=30)
def test_no_feasible_direction_descends_from_a_solution(positive, seed, common):
    X, y = columns(seed, common=common)
    X[:, 2] = 0.0
    y = np.abs(y) if positive else y
    penalties = np.random.default_rng(seed).uniform(0.5, 1, 8)
    *found, (n_reached, n_active, *_) = follow(X, y, penalties, positive)
    assert n_reached == len(FALLING)
    assert n_active == np.count_nonzero(found[1][-1])
    alphas, *solutions = found
    bounds = np.outer(alphas, penalties)
    of_coef, of_least = path_violations(X, y, bounds, *solutions, positive)
    assert of_coef.max() <= 1e-9
    assert of_least.max() <= 1e-8
    assert not solutions[0][:, 2].any()


@given(seeds, st.integers(1, 13), st.integers(1, 9))
def test_a_row_is_a_column_times_all(seed, n, p):
    X, row = np.random.default_rng(seed).standard_normal((p, n)), np.empty(p)
    gather_row(X, p // 2, row)
    assert_allclose(row, X @ X[p // 2], atol=1e-12)


@given(seeds, st.booleans())
def test_products_are_computed_when_columns_enter_or_at_once(seed, positive):
    X, y = columns(seed, n=60, p=30)
    b, penalties = X.T @ y, np.random.default_rng(seed).uniform(0.5, 1, 30)
    top = (b if positive else np.abs(b)) / penalties
    given_, found = (b, penalties, FALLING * top.max(), positive, 30), []
    for n_entering in (1, 30):
        G, rows, known = products = products_of(np.ascontiguousarray(X.T), n_entering)
        assert known.all() == (n_entering == 30) == (rows.size == 0)
        out = np.zeros((3, 4, 30))
        reached = solve_gram_path(products, *given_, out, allocate(30))
        assert_allclose(G[known], (X.T @ X)[known], atol=1e-12)
        assert known[np.flatnonzero(out[0].any(axis=0))].all()
        assert reached[0] == len(FALLING)
        found.append(out)
    assert_allclose(found[0], found[1], atol=1e-9)


def test_a_copy_of_a_column_is_left_out():
    X, y = columns(0)
    twice = np.hstack([X, X])
    *_, coef, _, (n_reached, *_) = follow(twice, y, np.ones(16))
    assert n_reached == len(FALLING)
    assert not (coef[:, :8] * coef[:, 8:]).any()
    assert_allclose(coef[:, :8] + coef[:, 8:], follow(X, y, np.ones(8))[1], atol=1e-9)


def test_sums_of_columns_and_a_residual_that_vanishes_are_told():
    X, y = columns(2, p=3)
    mixed = X @ np.random.default_rng(2).standard_normal((3, 10))
    mixed /= np.linalg.norm(mixed, axis=0)
    shares = np.geomspace(1, 1e-3, 4)
    assert follow(mixed, y, np.ones(10), shares=shares)[3][1] <= 3
    X, _ = columns(0)
    exact = X[:, 0] + X[:, 1]
    reached, _, left, _ = follow(X, exact / np.linalg.norm(exact), np.ones(8))[3]
    assert reached < len(FALLING)
    assert abs(left) < 1e-12


def test_more_than_most_columns_are_not_followed():
    X, y = columns(0)
    n_reached, n_active, *_ = follow(X, y, np.ones(8), most=3)[3]
    assert n_reached < len(FALLING)
    assert n_active == 4


@given(seeds, st.integers(0, 2))
def test_a_factor_follows_its_columns(seed, place):
    G, b, _, L, act, pull, *_ = started(seed)
    check_factor(G, b, pull, L, act[:3])
    on = np.delete(act[:3], place)
    remove_row(L, act, 3, place)
    assert_array_equal(act[:2], on)
    check_factor(G, b, pull, L, on)


def test_a_dependent_column_is_not_appended():
    G, b, _, L, act, pull, *_ = started(0)
    G[:, 5], b[5] = G[:, 4], b[4]
    G[5] = G[4]
    G[5, 5] = 1.0
    assert not append_row(G, b, pull, L, act, 3, 5, 0)


@given(seeds, st.integers(0, 3), st.integers(0, 4))
def test_columns_are_appended_at_once_as_one_by_one(seed, n_before, n):
    X, y = columns(seed)
    G, b, L, pull = X.T @ X, X.T @ y, np.zeros((10, 8)), np.ones(8)
    order = np.random.default_rng(seed).permutation(8)
    for k in range(n_before):
        assert append_row(G, b, pull, L, order, k, order[k], 0)
    assert append_rows(G, b, pull, L, order, n_before, n) == n_before + n
    check_factor(G, b, pull, L, order[: n_before + n])


@given(seeds, st.integers(0, 3))
def test_of_columns_appended_at_once_a_dependent_one_is_left_out(seed, place):
    X, y = columns(seed)
    X[:, 3 + place] = (X[:, 0] - X[:, 2]) / np.linalg.norm(X[:, 0] - X[:, 2])
    G, b, L, pull = X.T @ X, X.T @ y, np.zeros((10, 8)), np.ones(8)
    act = np.arange(8)
    for k in range(3):
        assert append_row(G, b, pull, L, act, k, k, 0)
    assert append_rows(G, b, pull, L, act, 3, 4) == 6
    on = np.delete(np.arange(7), 3 + place)
    assert_array_equal(act[:6], on)
    assert_array_equal(np.flatnonzero(pull[:7]), on)
    check_factor(G, b, pull, L, on)


@given(seeds, st.integers(0, 4))
def test_four_rows_of_a_factor_are_those_of_a_triangular_system(seed, k):
    X, _ = columns(seed)
    G, act, L = X.T @ X, np.random.default_rng(seed).permutation(8), np.zeros((10, 8))
    L[:k, :k] = np.linalg.cholesky(G[np.ix_(act[:k], act[:k])])
    eliminate_four(G, L, act, k)
    new, on = act[k : k + 4], act[:k]
    assert_allclose(L[k : k + 4, :k] @ L[:k, :k].T, G[np.ix_(new, on)], atol=1e-12)


@given(seeds)
def test_lines_are_solutions_and_correlations_at_all_thresholds(seed):
    G, b, _, L, act, pull, whole, lines = started(seed)
    on, other = act[:3], lines.copy()
    active_lines(L, 3, 8, lines)
    for write, off in (
        (lambda x: lines_by_active_rows(G, b, act, 3, x), np.arange(8)),
        (
            lambda x: lines_by_other_rows(G, b, act, 3, pull, whole, x),
            np.flatnonzero(pull == 0),
        ),
    ):
        other[2:] = 0.0
        write(other)
        for t in (0.0, 0.3, 1.0):
            w = np.linalg.solve(G[np.ix_(on, on)], b[on] - t * pull[on])
            assert_allclose(lines[0, :3] - t * lines[1, :3], w, atol=1e-9)
            c = (b - G[:, on] @ w)[off]
            assert_allclose((other[2] + t * other[3])[off], c, atol=1e-9)


@given(seeds, st.floats(0.01, 0.3))
def test_a_threshold_is_the_penalty_times_sigma(seed, alpha):
    G, b, _, L, act, pull, *_ = started(seed)
    t, on = threshold(L, 3, 8, alpha), act[:3]
    assert_allclose(t, alpha * sigma(L, 3, 8, t), rtol=1e-9)
    w = np.linalg.solve(G[np.ix_(on, on)], b[on] - t * pull[on])
    square = 1 - 2 * w @ b[on] + w @ G[np.ix_(on, on)] @ w
    assert_allclose(t, alpha * np.sqrt(square), rtol=1e-9)
    least = np.linalg.lstsq(G[np.ix_(on, on)], b[on])[0]
    assert_allclose(outside_square(L, 3, 8), 1 - least @ b[on], atol=1e-12)
    L[8, 0] = 1.0  # of a target within the span
    assert threshold(L, 3, 8, alpha) == -1.0


@given(seeds)
def test_columns_that_violate_a_condition_change(seed):
    G, b, penalties, L, act, pull, _, lines = started(seed)
    t, was, on = 0.2, pull.copy(), act[:3].copy()
    w, c = lines[0, :3] - t * lines[1, :3], lines[2] + t * lines[3]
    leave = on[w * pull[on] <= 0]
    enter = np.flatnonzero((np.abs(c) > t * penalties) & (pull == 0))
    assert count_entering(penalties, False, t, pull, lines) == len(enter)
    products = all_products(G)
    given_ = (products, b, penalties, False, t, L, act, 3, pull, lines)
    k, n_changes = change_active_set(*given_)
    assert n_changes == len(leave) + len(enter)
    assert set(act[:k]) == (set(on) - set(leave)) | set(enter)
    assert_array_equal(np.flatnonzero(pull), np.sort(act[:k]))
    assert_array_equal(pull[enter], penalties[enter] * np.sign(c[enter]))
    check_factor(G, b, pull, L, act[:k])
    k = refactor_columns(products, b, was, L, act, pull, np.zeros((2, 8)), lines)
    assert_array_equal(np.sort(act[:k]), np.sort(on))
    assert_allclose(lines[2] + t * lines[3], c, atol=1e-9)


@given(seeds)
def test_steps_end_at_a_solution_wherever_they_start(seed):
    G, b, penalties, L, act, pull, whole, lines = started(seed)
    given_ = (all_products(G), b, penalties, False)
    state = (L, act, 3, pull, whole, lines)
    check_solution(G, b, penalties, *newton_steps(*given_, 0.1, 0.0, *state), *state)


@given(seeds, st.floats(0.01, 0.5))
def test_steps_end_at_a_threshold_that_is_given(seed, low):
    G, b, penalties, L, act, pull, whole, lines = started(seed)
    given_ = (all_products(G), b, penalties, False)
    state = (L, act, 3, pull, whole, lines)
    k, t = newton_steps(*given_, 0.0, low, *state)
    assert t in (low, -1.0)
    check_solution(G, b, penalties, k, t, *state)


def check_solution(G, b, penalties, k, t, L, act, _, pull, whole, lines):
    if t > 0:
        w, on = lines[0, :k] - t * lines[1, :k], act[:k]
        c = b - G[:, on] @ w
        assert (w * pull[on] > 0).all()
        assert (np.abs(c) <= t * penalties + 1e-9).all()
        assert_allclose(c[on], t * pull[on], atol=1e-9)


SHAPES = [(6, 30), (10, 15), (20, 8)]


def followed_to_the_end(seed, shape, positive):
    """Return a table, its penalties, and a path to where columns span the target."""
    X, y = columns(seed, *shape)
    if shape[0] > shape[1]:
        y = X @ np.random.default_rng(seed).uniform(0.5, 1, shape[1])
        y /= np.linalg.norm(y)
    elif positive:
        y = np.abs(X[:, :3]).sum(axis=1)
        X, y = np.abs(X), y / np.linalg.norm(y)
    b, p = X.T @ y, shape[1]
    penalties, arrays = np.random.default_rng(seed).uniform(0.5, 1, p), allocate(p)
    top = ((b if positive else np.abs(b)) / penalties).max()
    products = products_of(np.ascontiguousarray(X.T), 1)
    given_, rank = (products, b, penalties), min(shape)
    alphas, out = top * np.geomspace(1, 1e-4, 99), np.zeros((3, 99, p))
    _, k, _, spans = solve_gram_path(*given_, alphas, positive, rank, out, arrays)
    return X, y, penalties, arrays, k, spans


@pytest.mark.parametrize("shape", SHAPES)
def test_most_paths_end_where_columns_span_the_target(shape):
    numbers = range(sized(40, 12))
    ends = [followed_to_the_end(seed, shape, False)[-1] for seed in numbers]
    assert np.mean(ends) > 0.7


@pytest.mark.parametrize("positive", [False, True])
@given(seeds, st.sampled_from(SHAPES))
@settings(max_examples=30)
def test_the_residual_vanishes_at_an_interpolation_of_least_norm(positive, seed, shape):
    found = followed_to_the_end(seed, shape, positive)
    X, y, penalties, arrays, k, spans = found
    if not spans:  # steps have failed
        return
    L, act, pull, lines, *_ = arrays
    assert spans_target(penalties, positive, L, act, k, pull, lines)
    on, w = act[:k], lines[0, :k]
    assert_allclose(X[:, on] @ w, y, atol=1e-7)
    assert not positive or w.min() > 0
    # Of all interpolations none has a smaller norm: a dual point says so.
    theta = X[:, on] @ lines[1, :k]
    c = X.T @ theta
    assert np.all((c if positive else np.abs(c)) <= penalties * (1 + 1e-7))
    assert_allclose(theta @ y, penalties[on] @ np.abs(w), rtol=1e-6)
    pull[on[0]] *= -1.0
    assert not spans_target(penalties, positive, L, act, k, pull, lines)


@given(seeds)
def test_thresholds_fall_to_a_penalty_or_to_where_columns_span_the_target(seed):
    X, y = columns(seed, n=6, p=30)
    products, b, p = products_of(np.ascontiguousarray(X.T), 1), X.T @ y, 30
    arrays, penalties = allocate(p), np.ones(p)
    arrays[3][2] = b
    t = np.abs(b).max()
    goal = 0.2 * t
    k, low = fall(products, b, penalties, False, t, goal, 0, arrays)
    L, act, pull, lines, *_ = arrays
    if low == 0.0:
        assert spans_target(penalties, False, L, act, k, pull, lines)
    elif low > 0.0:
        assert low <= goal * sigma(L, k, p, low)
        check_factor(products[0], b, pull, L, act[:k])
