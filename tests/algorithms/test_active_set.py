"""Laws of the exact solution of a regression: factors, breakpoints and optimality."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.algorithms.active_set import (
    ROOM,
    append_column,
    direction,
    distance_to_end,
    drop_column,
    exchange_dependent,
    factorize,
    first_zero,
    follow_active_set_path,
    next_breakpoint,
    prune,
    rounding_of_correlations,
    solve_exactly,
    solve_factored,
    split_correlations,
    subtract_active,
    subtract_active_elsewhere,
    update_active_set,
)
from tests import oracles

seeds = st.integers(0, 10**6)
shapes = st.tuples(st.integers(2, 9), st.integers(1, 9), st.integers(0, 10**6))


def problem(shape, kind=np.asarray):
    n, p, seed = shape
    rng = np.random.default_rng(seed)
    X, y = kind(rng.standard_normal((n, p))), rng.standard_normal(n)
    return X, y / np.linalg.norm(y), rng


def room():
    """Return numbers that are overwritten, which nothing depends on."""
    return np.full((ROOM, 30), np.nan)


def storage(n, p):
    size = min(n, p)
    return np.zeros((size, size)), np.zeros(size, dtype=np.intp)


def follow(X, y, alpha, w, positive=False, floors=(0.0, 0.0)):
    G, w = X.T @ X, w.copy()
    L, act = storage(*X.shape)
    k = factorize(G, w, L, act)
    r = y - X @ w
    each = np.broadcast_to(np.float64(alpha), w.shape).copy()
    square, _, n_breakpoints = solve_exactly(
        G, w, X.T @ r, r @ r, np.array(floors), each, positive, L, act, k, 1000
    )
    assert n_breakpoints < 1000
    return w, square


def objective(X, y, alpha, w):
    return oracles.coding_objective(y, w, X.T, alpha, root=True)


def violation(X, y, alpha, w, positive=False):
    """Return how far correlations are from what optimality asks, relative to sigma."""
    sigma = np.linalg.norm(y - X @ w)
    return oracles.lasso_violation(y, w, X.T, alpha * sigma, positive) / sigma


def active_problem(seed, n=12, p=10, k=4):
    """Return columns, k active ones with coefficients and signs, and their factor."""
    X, y, rng = problem((n, p, seed))
    w = np.zeros(p)
    w[rng.permutation(p)[:k]] = rng.standard_normal(k)
    L, act = storage(n, p)
    assert factorize(X.T @ X, w, L, act) == k
    return X, y, w, L, act


def factor_error(L, on, G):
    """Return how far a factor is from that of the columns ``on``."""
    lower = np.tril(L[: len(on), : len(on)])
    return np.abs(lower @ lower.T - G[np.ix_(on, on)]).max(initial=0) / np.abs(G).max()


@given(st.tuples(st.integers(2, 24), st.integers(2, 24), st.integers(0, 10**6)))
def test_a_factor_grown_and_shrunk_is_that_of_the_columns_left(shape):
    X, _, rng = problem(shape)
    G = X.T @ X
    L, act = storage(*X.shape)
    k = 0
    for j in range(len(L)):
        k += append_column(L, act, k, G, j)
    place = int(rng.integers(k))
    drop_column(L, act, k, place, room())
    assert factor_error(L, act[: k - 1], G) <= 1e-9


@given(shapes)
def test_solve_inverts_a_factor(shape):
    n, p, seed = shape
    A = np.random.default_rng(seed).standard_normal((p, p + n))
    G, x = A @ A.T, np.arange(1.0, p + 1)
    b = x.copy()
    solve_factored(np.linalg.cholesky(G), 0, p, b, b)
    assert_allclose(G @ b, x, rtol=1e-6)


@given(shapes, st.integers(0, 9))
def test_a_factor_is_solved_from_any_known_entries_on(shape, kept):
    _, p, seed = shape
    rng = np.random.default_rng(seed)
    L, z = np.tril(rng.uniform(-1, 1, (p, p)), -1) + np.eye(p), rng.standard_normal(p)
    half, found = L.T @ z, np.empty(p)
    x = L @ half
    x[:kept] = half[:kept]
    solve_factored(L, min(kept, p), p, x, found)
    assert_allclose(x, half, rtol=1e-9, atol=1e-9)
    assert_allclose(found, z, rtol=1e-9, atol=1e-9)


def test_a_dependent_column_is_not_appended():
    X = np.array([[1.0, 2.0], [1.0, 2.0]])
    L, act = np.zeros((2, 2)), np.zeros(2, dtype=np.intp)
    assert append_column(L, act, 0, X.T @ X, 0)
    assert not append_column(L, act, 1, X.T @ X, 1)


def test_what_a_dependent_column_carries_moves_to_the_others():
    X = np.array([[1.0, 2.0], [0.0, 0.0]])
    w = np.array([1.0, 1.0])
    L, act = storage(2, 2)
    assert factorize(X.T @ X, w, L, act) == 1
    assert_allclose(w, [3.0, 0.0])


@given(shapes)
def test_moving_to_independent_columns_keeps_fit_and_signs(shape):
    X, _, rng = problem(shape)
    before = rng.standard_normal(X.shape[1])
    w = before.copy()
    L, act = storage(*X.shape)
    k = factorize(X.T @ X, w, L, act)
    assert_allclose(X @ w, X @ before, atol=1e-8 * np.abs(X).max())
    assert np.all(w * before >= 0)
    assert sorted(act[:k]) == np.flatnonzero(w).tolist()
    assert_allclose(L[:k, :k] @ L[:k, :k].T, (X.T @ X)[np.ix_(act[:k], act[:k])])


@given(shapes, st.floats(0.05, 1.5), st.booleans())
def test_a_path_from_zero_ends_at_the_optimum(shape, fraction, positive):
    X, y, _ = problem(shape)
    alpha = fraction * np.abs(X.T @ y).max()
    w, square = follow(X, y, alpha, np.zeros(X.shape[1]), positive)
    if square > 1e-12:  # else the residual has vanished
        assert violation(X, y, alpha, w, positive) <= 1e-6 * alpha
        assert_allclose(square, np.sum((y - X @ w) ** 2), rtol=1e-6)
    assert not positive or np.all(w >= 0)


@given(shapes, st.floats(0.05, 1.0), st.booleans())
def test_columns_of_other_sizes_with_penalties_as_large_have_the_same_fit(
    shape, fraction, positive
):
    X, y, rng = problem(shape)
    alpha, sizes = (
        fraction * np.abs(X.T @ y).max(),
        2.0 ** rng.integers(-9, 9, shape[1]),
    )
    w, square = follow(X, y, alpha, np.zeros(X.shape[1]), positive)
    v, energy = follow(sizes * X, y, alpha * sizes, np.zeros(X.shape[1]), positive)
    if square > 1e-12:  # else the residual has vanished
        assert_allclose(sizes * v, w, atol=1e-7 * np.abs(w).max())
        assert_allclose(energy, square, rtol=1e-7)


@given(shapes, st.floats(0.3, 1.0))
def test_a_path_ends_at_one_place_wherever_it_begins(shape, fraction):
    X, y, rng = problem(shape)
    alpha = fraction * np.abs(X.T @ y).max()
    w, _ = follow(X, y, alpha, np.zeros(X.shape[1]))
    begin = rng.standard_normal(X.shape[1]) * (rng.random(X.shape[1]) < 0.5)
    v, _ = follow(X, y, alpha, begin, floors=(0.03, 0.0))
    best = objective(X, y, alpha, w)
    assert_allclose(objective(X, y, alpha, v), best, rtol=1e-7)


@pytest.mark.parametrize("copies", [2, 5])
def test_equal_columns_do_no_harm(copies):
    X, y, _ = problem((6, 3, 0), lambda X: np.repeat(X, copies, axis=1))
    alpha = 0.3 * np.abs(X.T @ y).max()
    w, _ = follow(X, y, alpha, np.zeros(X.shape[1]))
    assert violation(X, y, alpha, w) <= 1e-9


@given(st.integers(0, 10**6))
def test_copies_of_columns_are_not_exchanged_for_ever(seed):
    X, y, rng = problem((10, 8, seed), lambda X: np.repeat(X, 3, axis=1))
    alpha = 0.05 * np.abs(X.T @ y).max()
    begin = rng.standard_normal(24) * (rng.random(24) < 0.3)
    w, _ = follow(
        X, y, alpha, begin, floors=(0.03, 0.01)
    )  # in fewer than 1000 breakpoints
    best, _ = follow(X, y, alpha, np.zeros(24), floors=(0.03, 0.01))
    ours, others = objective(X, y, alpha, w), objective(X, y, alpha, best)
    assert_allclose(ours, others, rtol=1e-6)


def test_the_floor_makes_a_lasso_of_it():
    X, y, _ = problem((8, 6, 3))
    alpha, floor = 0.1 * np.abs(X.T @ y).max(), 0.9
    w, _ = follow(X, y, alpha, np.zeros(6), floors=(floor, floor))
    c = X.T @ (y - X @ w)
    assert np.linalg.norm(y - X @ w) < np.sqrt(floor)
    assert_allclose(c[w != 0], alpha * np.sqrt(floor) * np.sign(w[w != 0]))


@given(seeds)
def test_the_first_zero_is_where_a_sign_would_turn(seed):
    rng = np.random.default_rng(seed)
    w, z, act = *rng.standard_normal((2, 6)), rng.permutation(6)
    far, place = first_zero(w, np.sign(w), act, 6, z[act])
    if place < 0:
        assert far == np.inf
        assert (w * z >= 0).all()
    else:
        moved = w + far * z
        assert_allclose(moved[act[place]], 0, atol=1e-15)
        assert (moved * np.sign(w) >= -1e-15).all()


@given(seeds, st.sampled_from([(1.0, 0.0), (0.0, 1.0), (0.0, -1.0)]))
def test_along_a_direction_active_correlations_keep_to_the_threshold(seed, rates):
    (timed, rate), (X, _, w, L, act) = rates, active_problem(seed)
    G, sign, on = X.T @ X, np.sign(w), act[:4]
    e, found = np.random.default_rng(seed).standard_normal(10), room()
    given = (G, L, act, 4, sign, e, timed, rate)
    flat = direction(*given, 0, found)
    half, d, dc = found[4:, :10]
    for kept in range(5):  # columns that were the same before
        again = room()
        again[4, :kept] = half[:kept]
        assert direction(*given, kept, again) == flat
        assert_array_equal(again[5, :4], d[:4])
    assert_allclose(dc, timed * e - G[:, on] @ d[:4], atol=1e-12 * np.abs(dc).max())
    assert_allclose(dc[on], rate * sign[on], atol=1e-12 * np.abs(dc).max())
    assert 0 < flat <= 1e-8 * max(np.abs(dc).max(), np.abs(e).max())


@given(seeds, st.booleans(), st.sampled_from([0.0, 1.0, -1.0]))
def test_at_the_next_breakpoint_one_column_meets_its_bound_and_none_is_past(
    seed, positive, rate
):
    rng, act = np.random.default_rng(seed), np.arange(4)
    w, c, dc = rng.standard_normal(8), rng.uniform(-1, 1, 8), rng.standard_normal(8)
    w[4:] = 0
    d, sign = rng.standard_normal(4), np.sign(w)
    alpha, pace = rng.uniform(0.5, 2, 8), (1.0, rate, 0.0)  # the scale is 1
    c *= alpha
    far, j = next_breakpoint(w, c, alpha, act, 4, sign, pace, d, dc, -1, positive)
    if far == np.inf:
        far, j = 1e3, -1  # nothing is past there, either
    after = c + far * dc
    room = alpha * (1 + rate * far) - (after if positive else np.abs(after))
    kept = (w[:4] + far * d) * sign[:4]
    distance = np.r_[kept, room[4:]]
    assert (distance >= -1e-9 * max(1, far)).all()
    assert j < 0 or abs(distance[j]) <= 1e-9 * max(1, far)


def test_a_column_that_has_just_left_does_not_come_back_at_once():
    w, c, act = np.zeros(2), np.array([1.0, 0.5]), np.zeros(2, dtype=int)
    one, dc = np.ones(2), np.zeros(2)
    given = (w, c, one, act, 0, np.zeros(2), (1.0, -1.0, 0.0), np.zeros(2))
    assert next_breakpoint(*given, dc, -1, False) == (0.0, 0)
    assert next_breakpoint(*given, dc, 0, False) == (0.5, 1)


@given(seeds)
def test_an_exchange_of_a_dependent_column_keeps_the_fit(seed):
    X, _, w, L, act = active_problem(seed)
    j = np.flatnonzero(w == 0)[0]
    X[:, j] = X[:, act[:4]] @ np.random.default_rng(seed).standard_normal(4)
    G, before, sign = X.T @ X, w.copy(), np.sign(w)
    sign[j] = 1.0
    k = exchange_dependent(G, w, L, act, 4, sign, j, room())
    assert_allclose(X @ w, X @ before, atol=1e-9 * np.abs(X).max())
    assert k in (3, 4)
    assert (w * sign >= 0).all()
    assert factor_error(L, act[:k], G) <= 1e-9


def test_a_column_of_zeros_is_exchanged_for_nothing():
    X, _, w, L, act = active_problem(0)
    j, before, sign = np.flatnonzero(w == 0)[0], w.copy(), np.sign(w)
    X[:, j], sign[j] = 0, 1
    assert exchange_dependent(X.T @ X, w, L, act, 4, sign, j, room()) == 4
    assert_array_equal(w, before)
    assert sign[j] == 0


@given(seeds, st.integers(0, 9))
def test_a_breakpoint_adds_a_column_or_drops_it(seed, j):
    X, y, w, L, act = active_problem(seed)
    G, c, sign, before = X.T @ X, X.T @ (y - X @ w), np.sign(w), w.copy()
    alpha, columns, factor = np.arange(1.0, 11.0), act.copy(), L.copy()
    k, kept = update_active_set(G, w, c, alpha, L, act, 4, sign, j, room())
    assert kept == (4 if before[j] == 0 else np.flatnonzero(columns[:4] == j)[0])
    assert_array_equal(act[:kept], columns[:kept])
    assert_array_equal(np.tril(L[:kept, :kept]), np.tril(factor[:kept, :kept]))
    assert k == (5 if before[j] == 0 else 3)
    assert set(act[:k]) == set(np.flatnonzero(before)) ^ {j}
    assert sign[j] == (alpha[j] * np.sign(c[j]) if before[j] == 0 else 0)
    assert w[j] == 0
    assert factor_error(L, act[:k], G) <= 1e-9


@given(st.floats(0.1, 2), st.floats(0.1, 2), st.floats(0, 2))
def test_a_straight_piece_ends_where_the_scale_is_sigma(t, square, q):
    rate = -1.0 if t**2 > square else 1.0
    end = t + rate * distance_to_end(t, square, rate, q)
    if end == np.inf:  # sigma grows at least as fast as the scale
        assert q >= 1
    elif end > 0:
        sigma_square = square + q * (end**2 - t**2)
        # the root of a difference: half of the digits, where it nearly vanishes
        assert_allclose(end**2, sigma_square, rtol=1e-6, atol=1e-12)


def along(X, y, w, mu, alpha, max_breakpoints=1000):
    """Follow the second path down from a lasso solution at the threshold ``mu``."""
    G, c, w = X.T @ X, X.T @ (y - X @ w), w.copy()
    L, act = storage(*X.shape)
    k, pull, e = factorize(G, w, L, act), alpha * np.sign(w), np.zeros(len(w))
    each, t = np.full(len(w), alpha), mu / alpha
    square = np.sum((y - X @ w) ** 2)
    state = np.array([t, square, -1.0, 0.0, 0.0, max_breakpoints])
    given = (pull, e, state, each, False, room())
    of = follow_active_set_path(G, w, c, L, act, k, *given)
    return w, c, state, of


@given(seeds, st.floats(0.3, 0.95))
def test_a_path_along_the_threshold_passes_lasso_solutions(seed, fraction):
    X, y, _ = problem((12, 5, seed))
    top, nothing = np.abs(X.T @ y).max(), np.zeros(5)
    w, c, (t, square, *_), (k, _) = along(X, y, nothing, top, fraction * top)
    assert oracles.lasso_violation(y, w, X.T, fraction * top * t) <= 1e-9 * top
    assert_allclose(t, np.sqrt(square), rtol=1e-9)
    assert_allclose(square, np.sum((y - X @ w) ** 2), rtol=1e-9)
    assert_allclose(c, X.T @ (y - X @ w), atol=1e-9 * top)
    assert k == np.count_nonzero(w)


def test_a_path_of_few_breakpoints_stops_on_its_way():
    X, y, _ = problem((12, 5, 0))
    top, nothing = np.abs(X.T @ y).max(), np.zeros(5)
    end, n_breakpoints = along(X, y, nothing, top, 0.1 * top)[2][0], []
    for most in (1, 2, 3):
        w, _, (t, *_), (_, n) = along(X, y, nothing, top, 0.1 * top, most)
        assert oracles.lasso_violation(y, w, X.T, 0.1 * top * t) <= 1e-9 * top
        assert t > end
        n_breakpoints.append(n)
    assert n_breakpoints == [1, 2, 3]


@given(seeds, st.booleans())
def test_correlations_are_split_into_what_the_threshold_allows_and_the_rest(
    seed, positive
):
    X, y, w, _, act = active_problem(seed)
    w = np.abs(w) if positive else w
    whole = X.T @ (y - X @ w)
    t, c, pull, e = np.median(np.abs(whole)), whole.copy(), np.zeros(10), np.empty(10)
    alpha = np.linspace(0.5, 2, 10)
    split_correlations(w, c, t, alpha, act, 4, positive, pull, e, 0.0)
    assert_allclose(c + e, whole, atol=1e-12)
    assert_array_equal(pull, alpha * np.sign(w))
    assert_array_equal(c[w != 0], t * pull[w != 0])
    assert ((c if positive else np.abs(c)) <= t * alpha * (1 + 1e-9)).all()
    inside = (w == 0) & (np.abs(whole) <= t * alpha)
    assert not e[inside].any()


def test_a_correlation_above_the_threshold_by_rounding_stays_there():
    c, e, pull = np.array([0.5 + 1e-15, 0.5 + 1e-3]), np.empty(2), np.zeros(2)
    none, one = np.zeros(2), np.ones(2)
    split_correlations(none, c, 0.5, one, np.arange(2), 0, False, pull, e, 1e-14)
    assert (c[0], e[0]) == (0.5 + 1e-15, 0.0)
    assert c[1] < 0.5
    assert_allclose(c[1] + e[1], 0.5 + 1e-3)


@given(seeds)
def test_active_columns_are_subtracted_by_their_rows_or_by_those_of_others(seed):
    X, _, w, _, act = active_problem(seed)
    G, d, dc = X.T @ X, np.random.default_rng(seed).standard_normal(4), np.ones(10)
    few = dc.copy()
    subtract_active(G, act, 4, d, dc)
    subtract_active_elsewhere(G, act, 4, w, d, few, room())
    assert_allclose(dc, 1 - G[:, act[:4]] @ d, atol=1e-9)
    assert_allclose(few[w == 0], dc[w == 0], atol=1e-9)


def test_rounding_of_correlations_is_that_of_the_largest_column():
    G = np.diag([1.0, 4.0, 100.0])
    assert 1e-15 < rounding_of_correlations(G, 2) < 1e-13
    assert_allclose(rounding_of_correlations(G, 2) * 5, rounding_of_correlations(G, 3))


@given(shapes, st.floats(0.3, 3), st.floats(0.1, 1))
def test_a_floor_above_the_residual_gives_a_lasso_solution(shape, first, share):
    X, y, _ = problem(shape)
    floors = np.array([1 + first, (1 + first) * share])
    floors[1] = max(floors[1], 1.0)  # no residual is larger
    alpha = 0.1 * np.abs(X.T @ y).max()
    w, square = follow(X, y, alpha, np.zeros(X.shape[1]), False, floors**2)
    assert square <= floors[1] ** 2
    assert oracles.lasso_violation(y, w, X.T, alpha * floors[1], False) <= 1e-8


@given(seeds)
def test_pruning_drops_what_is_zero_or_past_it(seed):
    X, _, w, L, act = active_problem(seed)
    sign, before = np.sign(w), w.copy()
    w[act[1]], w[act[2]] = 0.0, -1e-20 * sign[act[2]]
    kept = {act[0], act[3]}
    k = prune(w, L, act, 4, sign, room())
    assert set(act[:k]) == kept == set(np.flatnonzero(w))
    assert_array_equal(w[act[:k]], before[act[:k]])
    assert factor_error(L, act[:k], X.T @ X) <= 1e-9
