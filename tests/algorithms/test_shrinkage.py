"""Laws of the exact shrinkage, checked against a numpy oracle."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.algorithms.shrinkage import shrink_groups
from sklearn_sqrtlasso.blockwise.groups import one_group
from sklearn_sqrtlasso.sparse_coding.shrinkage_gap import shrinkage_gap
from tests import oracles

EPS = {np.dtype(name): float(np.finfo(name).eps) for name in ("f8", "f4")}

# Ties, zeros and eighteen decades: if the closed form goes wrong, it goes wrong here.
entries = st.sampled_from([0.0, 1.0, -1.0, 2.0, 1e-6, 1e-15]) | st.floats(-1e3, 1e3)
alphas = st.sampled_from([0.0, 0.5, 0.5**0.5, 3**-0.5, 1.0]) | st.floats(0.0, 2.0)
rests = st.sampled_from([0.0, 1e-12]) | st.floats(0.0, 1e3)
# A first guess far below the root, beside an entry that has no penalty.
FEW_UNITS = np.repeat([-3.0, 1.0, 0.0], [1, 2, 47])[None]
LOW_GUESS = (FEW_UNITS, np.repeat([0.0, 0.9, 0.1], [1, 2, 47]), 0.0)
each_dtype = pytest.mark.parametrize("dtype", ["f8", "f4"])
each_sign = pytest.mark.parametrize("positive", [False, True])


@st.composite
def problems(draw):
    """Draw one run of rows, its penalties and energies out of reach, and its sign."""
    n_rows, n_units = draw(st.tuples(st.integers(1, 4), st.integers(1, 12)))
    U = draw(hnp.arrays(np.float64, (n_rows, n_units), elements=entries))
    alpha = draw(alphas | hnp.arrays(np.float64, n_units, elements=alphas))
    outside = draw(rests | hnp.arrays(np.float64, n_rows, elements=rests))
    return U, alpha, outside, draw(st.booleans())


def shrink(U, alpha, outside=0.0, positive=False, groups=None, n_turns=2):
    """Return codes and levels; each row stands alone unless ``groups`` gives bounds."""
    U = np.atleast_2d(U)
    n_rows, n_units = U.shape
    groups = np.arange(n_rows + 1) if groups is None else np.array(groups)
    out, level = np.empty_like(U), np.empty(n_rows, U.dtype)
    alpha, outside = np.full(n_units, alpha, U.dtype), np.full(n_rows, outside, U.dtype)
    steps = np.empty((n_turns, 4))
    shrink_groups(U, outside, alpha, positive, groups, steps, out, level)
    return out, level


def gap(U, Z, alpha, outside=0.0, positive=False):
    outside = np.full(len(U), outside)
    groups = one_group(len(U))
    return shrinkage_gap(U, Z, alpha, outside, positive=positive, groups=groups)[0]


def size(U, alpha, outside=0.0):
    """Return what rounding of an objective is relative to."""
    zero, whole = np.zeros_like(U), U
    return sum(oracles.objective(Z, U, alpha, outside) for Z in (zero, whole))


def gaussian_rows(n_rows, n_units, dtype="f8"):
    rng = np.random.default_rng(n_rows + n_units)
    return rng.standard_normal((n_rows, n_units)).astype(dtype)


@given(problems(), st.sampled_from(["f8", "f4"]))
def test_no_code_is_better_than_the_oracle(problem, dtype):
    *numbers, positive = problem
    U, alpha, outside = (np.asarray(x, dtype) for x in numbers)
    Z, _ = shrink(U, alpha, outside, positive, [0, len(U)])
    U, Z, alpha, outside = (x.astype("f8") for x in (U, Z, alpha, outside))
    ours = oracles.objective(Z, U, alpha, outside)
    best = oracles.objective(
        oracles.shrink(U, alpha, outside, positive), U, alpha, outside
    )
    # u - z is rounded once an entry, and the level errs to second order only
    assert ours <= best + 4 * EPS[np.dtype(dtype)] * size(U, alpha, outside)


@given(problems())
def test_the_duality_gap_closes(problem):
    U, alpha, outside, positive = problem
    U = np.where(np.abs(U) < 1e-15, 0, U)  # eighteen decades: squares do not vanish
    Z, _ = shrink(U, alpha, outside, positive, [0, len(U)])
    assert gap(U, Z, alpha, outside, positive) <= 1e-9


@given(problems(), st.sampled_from(["f8", "f4"]))
@example((*LOW_GUESS, True), "f8")
@example((*LOW_GUESS, False), "f8")
def test_the_level_is_the_residual_scale(problem, dtype):
    *numbers, positive = problem
    U, alpha, outside = (np.asarray(x, dtype) for x in numbers)
    Z, level = shrink(U, alpha, outside, positive, [0, len(U)])
    U, Z, outside = (x.astype("f8") for x in (U, Z, outside))
    norm = oracles.residual_scale(np.zeros_like(U), U, outside)
    left = oracles.residual_scale(Z, U, outside)
    # both are sums of as many squares as there are entries, each rounded once
    assert_allclose(level, left, rtol=0, atol=U.size * EPS[np.dtype(dtype)] * norm)


@given(problems())
def test_nothing_is_nan(problem):
    U, alpha, outside, positive = problem
    Z, level = shrink(U, alpha, outside, positive)
    assert np.isfinite(Z).all()
    assert np.isfinite(level).all()


@given(problems())
def test_codes_are_what_exceeds_the_level(problem):
    U, alpha, outside, positive = problem
    Z, level = shrink(U, alpha, outside, positive)
    assert_array_equal(Z, oracles.soft(U, alpha * level[:, None], positive) + 0.0)


@given(problems())
def test_few_entries_survive_unless_the_row_is_kept(problem):
    U, alpha, outside, positive = problem
    Z, level = shrink(U, alpha, outside, positive)
    active = np.sum(np.square(alpha) * (Z != 0), axis=1)
    # at the critical size an entry may survive by its own rounding, hence not "<"
    assert np.all((active <= 1 + 4 * EPS[U.dtype]) | (level == 0))


@given(problems())
def test_a_group_of_one_is_the_row_alone(problem):
    U, alpha, outside, positive = problem
    outside = np.full(len(U), outside)
    together = shrink(U, alpha, outside, positive)
    for b in range(len(U)):
        alone = shrink(U[b], alpha, outside[b], positive, [0, 1])
        assert_array_equal(together[0][b], alone[0][0])
        assert together[1][b] == alone[1][0]


@given(problems(), st.integers(2, 5))
def test_groups_in_turns_are_coded_like_one_after_the_other(problem, n_turns):
    U, alpha, outside, positive = problem
    U, outside = np.vstack([U, U + 1, -3 * U]), np.tile(np.full(len(U), outside), 3)
    groups = [0, len(U) // 3, *range(len(U) // 3 + 1, len(U) + 1)]
    alone = shrink(U, alpha, outside, positive, groups, 1)
    in_turns = shrink(U, alpha, outside, positive, groups, n_turns)
    for one, other in zip(alone, in_turns, strict=True):
        assert_array_equal(one, other)


@given(problems())
def test_runs_do_not_see_each_other(problem):
    U, alpha, outside, positive = problem
    m, outside = len(U), np.full(len(U), outside)
    run = shrink(U, alpha, outside, positive, [0, m])
    U, outside = (
        np.vstack([U, 5 * U + 1, U]),
        np.concatenate([outside, outside + 1, outside]),
    )
    three = shrink(U, alpha, outside, positive, [0, m, 2 * m, 3 * m])
    assert_array_equal(three[0][2 * m :], run[0])
    assert_array_equal(three[1][2 * m :], run[1])


@given(problems())
def test_a_group_of_copies_is_coded_like_one(problem):
    U, alpha, outside, positive = problem
    u, outside = U[:1], np.full(len(U), outside)[:1]
    Z, _ = shrink(np.repeat(u, 3, axis=0), alpha, outside[0], positive, [0, 3])
    best = oracles.objective(shrink(u, alpha, outside, positive)[0], u, alpha, outside)
    ours = oracles.objective(Z[:1], u, alpha, outside)
    assert ours <= best + 4 * EPS[U.dtype] * size(u, alpha, outside)


@given(problems())
def test_turning_the_sign_of_a_row_turns_its_code(problem):
    U, alpha, outside, _ = problem
    assert_array_equal(shrink(-U, alpha, outside)[0], -shrink(U, alpha, outside)[0])


@given(problems())
def test_nonnegative_codes_of_nonnegative_rows_are_the_signed_codes(problem):
    U, alpha, outside, _ = problem
    U = np.abs(U)
    assert_array_equal(shrink(U, alpha, outside, True)[0], shrink(U, alpha, outside)[0])


@each_dtype
@each_sign
@pytest.mark.parametrize("alpha", [1.0, 1.5, 1e6])
def test_large_alpha_codes_everything_by_zero(alpha, positive, dtype):
    U = np.vstack([gaussian_rows(20, 7, dtype), np.eye(7, dtype=dtype)])
    if alpha == 1:  # a row of one entry is a tie there: kept or not, it costs the same
        U = U[:20]
    assert_array_equal(shrink(U, alpha, positive=positive)[0], 0)


@each_dtype
def test_without_penalty_rows_are_kept(dtype):
    U = gaussian_rows(20, 7, dtype)
    assert_array_equal(shrink(U, 0.0)[0], U)
    assert_array_equal(shrink(U, 0.0, positive=True)[0], np.maximum(U, 0))


@each_dtype
@each_sign
def test_rows_of_zeros_have_codes_of_zeros(positive, dtype):
    U = np.zeros((3, 5), dtype)
    for groups in (None, [0, 3]):
        Z, level = shrink(U, 0.5, positive=positive, groups=groups)
        assert not Z.any()
        assert not level.any()


@each_dtype
@pytest.mark.parametrize("n_units", [1, 2, 3, 7, 64])
def test_equal_entries_are_kept_whole_or_not_at_all(n_units, dtype):
    U = np.full((1, n_units), 0.7, dtype)
    below, above = 0.99 * n_units**-0.5, 1.01 * n_units**-0.5
    assert_array_equal(shrink(U, below)[0], U)
    assert_array_equal(shrink(U, above)[0], 0)


@each_dtype
@each_sign
@pytest.mark.parametrize("k", range(1, 17))
def test_at_critical_alpha_codes_are_optimal(k, positive, dtype):
    rng = np.random.default_rng(k)
    ties = [np.ones(k), np.arange(1, k + 1), rng.choice([0, 1, -1, 2], k)]
    alpha = np.float64(np.asarray(k**-0.5, dtype))
    for u in [*ties, *rng.standard_normal((5, k))]:
        u = u[None].astype(dtype)
        Z = shrink(u, alpha, positive=positive)[0].astype("f8")
        best = oracles.shrink(u.astype("f8"), alpha, 0.0, positive)
        excess = oracles.objective(Z, u, alpha) - oracles.objective(best, u, alpha)
        assert excess <= 4 * EPS[np.dtype(dtype)] * size(u, alpha)


def test_single_precision_follows_double():
    U, alpha = gaussian_rows(200, 100), 0.2
    low, high = shrink(U.astype("f4"), alpha), shrink(U, alpha)
    # 25 of 100 entries at most are active, far from the critical size of 25 at 1 / 25:
    # the level errs by the rounding of 100 squares over the room 1 - k alpha^2
    assert_allclose(low[1], high[1], rtol=100 * EPS[np.dtype("f4")])
    assert_allclose(low[0], high[0], rtol=0, atol=100 * EPS[np.dtype("f4")])


def adversarial_rows():
    for ratio in (0.5, 0.8, 0.96, 0.999):
        for n_units in (10, 100, 1000):
            decay = ratio ** np.arange(n_units)
            yield np.maximum(decay, 1e-18)
            yield np.where(np.arange(n_units) % 2, decay, 1.0)
            yield np.sqrt(np.arange(n_units) + 1.0) * decay


@pytest.mark.parametrize("alpha", [1e-9, 0.03, 0.1, 0.25, 0.5, 0.99])
def test_newton_ends_at_the_root_on_adversarial_rows(alpha):
    for u in adversarial_rows():
        assert gap(u[None], shrink(u, alpha)[0], alpha) <= 1e-9
