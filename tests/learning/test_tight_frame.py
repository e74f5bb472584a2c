"""Learning never raises the objective, and each of its steps is the best one."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import ortho_group

from sklearn_sqrtlasso.blockwise.encode import map_encoded
from sklearn_sqrtlasso.blockwise.groups import groups_of_labels, one_group, ungrouped
from sklearn_sqrtlasso.learning.tight_frame import (
    INITS,
    FrameLearner,
    frame_statistics,
    pca_frame,
    procrustes_frame,
    tight_frame_ahead,
)
from sklearn_sqrtlasso.models.tight_frame import TightFrame, nearest_tight_frame
from tests import oracles, sized

N_ROWS = sized(300, 50)
SHAPES = {"square": (9, 9), "over": (20, 9), "under": (4, 9)}
GROUPS = {
    "rows": ungrouped(N_ROWS),
    "together": one_group(N_ROWS),
    "groups": groups_of_labels(np.arange(N_ROWS) % 7),
}
each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
each_grouping = pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)


def random_frame(shape, seed=0):
    return nearest_tight_frame(np.random.default_rng(seed).standard_normal(shape))


def frame_of(W, alpha, positive=False):
    return TightFrame(W, np.full(len(W), alpha, W.dtype), positive)


def sparse_rows(seed=0, n_rows=N_ROWS, noise=0.1):
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n_rows, 9)) * (rng.random((n_rows, 9)) < 0.25)
    return Z @ random_frame((9, 9), seed + 99) + noise * rng.standard_normal(
        (n_rows, 9)
    )


def learn(
    X, frame, groups, max_iter=15, tol=0.0, report=lambda *step: False, n_jobs=None
):
    learner = FrameLearner(X, frame, groups, n_jobs)
    curve = learner.run(max_iter, tol, report).losses
    return learner.frame, learner.statistics, curve


def coded(X, frame, groups):
    """Return codes and levels."""
    Z, level = np.empty((len(X), len(frame.components))), np.empty(len(X))

    def note(block):
        Z[block.rows], level[block.rows] = block.Z, block.scale

    map_encoded(note, X, frame, groups)
    return Z, level


def assert_tight(W, rounding=1e-12):
    gram = W.T @ W if W.shape[0] >= W.shape[1] else W @ W.T
    assert_allclose(gram, np.eye(len(gram)), atol=rounding)


@each_shape
@pytest.mark.parametrize("alpha", [0.0, 1e-6, 0.1, 0.4, 0.9])
@pytest.mark.parametrize("positive", [False, True])
@each_grouping
def test_the_objective_never_rises(shape, alpha, positive, groups):
    for seed in range(sized(5, 1)):
        frame = frame_of(random_frame(shape, seed), alpha, positive)
        learnt, _, curve = learn(sparse_rows(seed), frame, groups)
        assert np.all(np.diff(curve) <= 0)
        assert_tight(learnt.components)


@each_shape
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_objective_falls_at_once(shape, noise):
    X, frame = sparse_rows(noise=noise), frame_of(random_frame(shape), 0.4)
    for groups in GROUPS.values():
        curve = learn(X, frame, groups)[2]
        assert curve[-1] < curve[1] < curve[0]


@each_shape
@pytest.mark.parametrize("rank", [1, 3])
def test_the_objective_never_rises_on_rank_deficient_rows(shape, rank):
    X = sparse_rows()[:, :rank] @ random_frame((rank, 9))
    for alpha in (1e-6, 0.3):
        frame = frame_of(random_frame(shape), alpha)
        learnt, _, curve = learn(X, frame, GROUPS["rows"])
        assert np.all(np.diff(curve) <= 0)
        assert_tight(learnt.components)


@each_shape
@each_grouping
def test_statistics_are_what_they_say(shape, groups):
    X, frame = sparse_rows(), frame_of(random_frame(shape), 0.4)
    Z, level = coded(X, frame, groups)
    ours = frame_statistics(X, frame, groups)
    assert_allclose(ours.moment, (Z / level[:, None]).T @ X, rtol=1e-12, atol=1e-12)
    assert_allclose(ours.objective, level.sum() + 0.4 * np.abs(Z).sum(), rtol=1e-12)
    assert ours.n_rows == N_ROWS


def test_the_objective_of_a_group_counts_once_a_row():
    X, W = sparse_rows(), random_frame((9, 9))
    Z = oracles.shrink(X @ W.T, 0.3)
    ours = frame_statistics(X, frame_of(W, 0.3), GROUPS["together"]).objective
    assert_allclose(ours, N_ROWS * oracles.objective(Z, X @ W.T, 0.3), rtol=1e-12)


@each_shape
def test_statistics_add_over_disjoint_rows(shape):
    X, frame, cut = sparse_rows(), frame_of(random_frame(shape), 0.3), N_ROWS // 3
    whole = frame_statistics(X, frame, ungrouped(N_ROWS))
    first = frame_statistics(X[:cut], frame, ungrouped(cut))
    second = frame_statistics(X[cut:], frame, ungrouped(N_ROWS - cut))
    assert_allclose(first.moment + second.moment, whole.moment, rtol=1e-12, atol=1e-12)
    assert_allclose(first.objective + second.objective, whole.objective, rtol=1e-12)
    assert first.n_rows + second.n_rows == whole.n_rows


@each_shape
@each_grouping
def test_statistics_do_not_depend_on_threads(shape, groups):
    X, frame = sparse_rows(), frame_of(random_frame(shape), 0.3)
    ours = frame_statistics(X, frame, groups, n_jobs=1)
    again = frame_statistics(X, frame, groups, n_jobs=2)
    assert_array_equal(again.moment, ours.moment)
    assert again.objective == ours.objective


@each_shape
def test_rows_coded_exactly_have_finite_weight(shape):
    X = np.vstack([np.eye(9)[:3], np.zeros((2, 9))]) @ random_frame((9, 9))
    for alpha in (0.0, 1e-9):
        frame = frame_of(random_frame(shape), alpha)
        assert np.isfinite(frame_statistics(X, frame, ungrouped(5)).moment).all()


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("small", [0.0, 1e-310, 1e-30, 1e-3])
def test_rows_coded_up_to_rounding_without_a_penalty_count_once(dtype, small):
    X, W = np.array([[3.0, small]], dtype), np.eye(1, 2, dtype=dtype)
    moment = frame_statistics(X, frame_of(W, 0.0), ungrouped(1)).moment
    scale = X[0, 1] if X[0, 1] > 1e-20 else 1.0
    assert_allclose(moment, 3 * X.astype("f8") / scale, rtol=1e-6)


@each_shape
def test_the_best_frame_beats_random_frames(shape):
    moment = np.random.default_rng(1000).standard_normal(shape)
    W = procrustes_frame(moment, random_frame(shape))
    assert_tight(W)
    # the pull towards the present frame is 1e-10 of the moment
    assert_allclose(np.sum(W * moment), np.linalg.norm(moment, "nuc"), rtol=1e-8)
    for seed in range(100):
        assert np.sum(W * moment) >= np.sum(random_frame(shape, seed) * moment)


@each_shape
def test_the_nearest_frame_is_nearer_than_random_frames(shape):
    A = np.random.default_rng(1000).standard_normal(shape)
    nearest = np.linalg.norm(A - nearest_tight_frame(A))
    others = [np.linalg.norm(A - random_frame(shape, seed)) for seed in range(100)]
    assert_tight(nearest_tight_frame(A))
    assert nearest < min(others)


@each_shape
def test_a_tight_frame_is_nearest_to_itself(shape):
    W = random_frame(shape)
    assert_allclose(nearest_tight_frame(3 * W), W, atol=1e-14)


@each_shape
def test_where_the_moment_says_nothing_the_frame_stays(shape):
    W = random_frame(shape)
    one = np.outer(W[0], W[0]) / (W[0] @ W[0])  # what W does in one direction
    assert_array_equal(procrustes_frame(np.zeros(shape), W), W)
    # 1e-10 of the moment decides on the other directions: rounding over that
    assert_allclose(procrustes_frame(W @ one, W), W, atol=1e-5)


def test_learning_stops_when_it_is_told_to():
    steps = []

    def report(n_iter, objective):
        steps.append((n_iter, objective))
        return n_iter == 3

    frame = frame_of(random_frame((9, 9)), 0.4)
    curve = learn(sparse_rows(), frame, GROUPS["rows"], 50, 0.0, report)[2]
    assert steps == list(enumerate(curve))[1:]
    assert len(steps) == 3


def test_learning_stops_where_the_objective_falls_no_more():
    X, frame = sparse_rows(), frame_of(random_frame((9, 9)), 0.4)
    curve = np.array(learn(X, frame, GROUPS["rows"], 500, 1e-3)[2])
    drops = -np.diff(curve) / curve[:-1]
    assert np.all(drops[:-1] > 1e-3)
    assert drops[-1] <= 1e-3


def test_without_steps_the_frame_is_kept():
    frame = frame_of(random_frame((9, 9)), 0.4)
    learnt, statistics, curve = learn(sparse_rows(), frame, GROUPS["rows"], 0)
    assert learnt is frame
    assert curve == [statistics.objective / N_ROWS]


@pytest.mark.parametrize("scale", [2.0**-100, 2.0**100])
def test_the_frame_does_not_depend_on_the_unit_of_the_data(scale):
    X, frame = sparse_rows(), frame_of(random_frame((9, 9)), 0.4)
    ours, _, curve = learn(X, frame, GROUPS["groups"])
    by_scale, _, scaled_curve = learn(scale * X, frame, GROUPS["groups"])
    assert_array_equal(by_scale.components, ours.components)
    assert_array_equal(scaled_curve, scale * np.array(curve))


def test_rows_of_zeros_leave_the_frame():
    frame = frame_of(random_frame((9, 9)), 0.4)
    learnt, _, curve = learn(np.zeros((N_ROWS, 9)), frame, GROUPS["rows"])
    assert_array_equal(learnt.components, frame.components)
    assert not any(curve)


def test_a_hidden_orthonormal_frame_is_found():
    hidden = ortho_group(9, seed=0).rvs()
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((sized(2000, 500), 9))
    Z *= rng.random(Z.shape) < 0.15
    X = Z @ hidden + 0.01 * rng.standard_normal(Z.shape)
    frame = frame_of(random_frame((9, 9)), 0.5)
    W = learn(X, frame, ungrouped(len(X)), 50)[0].components
    # each learnt unit is one of the hidden ones, up to sign and place
    assert np.all(np.abs(W @ hidden.T).max(axis=1) > 0.99)


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("shape", [(9, 9), (30, 9), (4, 9), (7, 7), (1, 1), (5, 1)])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_inits_give_tight_frames(init, shape, container):
    X = container(np.random.default_rng(0).standard_normal((40, shape[1])))
    W = INITS[init].directions(X, shape[0], np.random.RandomState(0))
    assert W.shape == shape
    assert np.linalg.matrix_rank(W) == min(shape)
    assert_tight(nearest_tight_frame(W))


@pytest.mark.parametrize("n_features", [9, 2100])
def test_principal_directions_catch_most_energy(n_features):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 60)) * 0.5 ** np.arange(60)
    X = X @ nearest_tight_frame(rng.standard_normal((60, n_features)))
    W = pca_frame(X, 3, np.random.RandomState(0))
    caught = np.sum((X @ W.T) ** 2, axis=0)
    most = np.linalg.svd(X, compute_uv=False)[:3] ** 2
    assert_allclose(caught, most, rtol=1e-6)  # sampled directions are that good


@pytest.mark.parametrize("contain", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("n_rows", "rank"), [(20, 20), (20, 7), (1, 1), (59, 30)])
def test_directions_of_few_rows_are_their_singular_vectors(
    contain, dtype, n_rows, rank
):
    n_features, eps = 60, np.finfo(dtype).eps
    left, right = random_frame((n_rows, rank)), random_frame((rank, n_features), 1)
    X = (left * np.linspace(2, 1, rank)) @ right
    for n_components in (1, rank, n_rows, n_features, n_features + 5):
        state = np.random.RandomState(0)
        W = pca_frame(contain(X.astype(dtype)), n_components, state)
        first = W[: min(n_components, n_features)]
        assert W.shape == (n_components, n_features)
        assert_tight(first, rounding=50 * eps)
        n_true = min(rank, n_components)
        overlap = np.abs(np.sum(W[:n_true] * right[:n_true], axis=1))
        assert_allclose(overlap, 1, rtol=0, atol=1e4 * eps)
        assert np.all(first.sum(axis=1) >= -50 * eps)


def test_directions_of_few_rows_are_those_of_the_moment_matrix():
    X = np.random.default_rng(0).standard_normal((30, 40))
    padded = np.vstack([X, np.zeros((20, 40))])  # as many rows as features
    ours = pca_frame(X, 30, np.random.RandomState(0))
    theirs = pca_frame(padded, 30, np.random.RandomState(0))
    assert_allclose(ours, theirs, rtol=0, atol=1e-10)


def test_directions_of_few_wide_rows_need_no_matrix_of_all_pairs_of_features():
    X = sp.random_array((40, 20000), density=0.001, random_state=0, format="csr")
    tracemalloc.start()
    W = pca_frame(X, 50, np.random.RandomState(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_tight(W)
    assert peak < 20000 * 50 * 8 * 6  # a square matrix has 3 GB


def test_cosines_of_a_square_are_separable_and_begin_with_the_mean():
    W = INITS["dct"].directions(np.zeros((1, 16)), 16, None)
    assert_allclose(W[0], 0.25, rtol=1e-12)
    assert_tight(W)
    for patch in W.reshape(-1, 4, 4):
        assert np.linalg.matrix_rank(patch, tol=1e-8) == 1


@each_shape
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_frames_ahead_are_tight_and_lie_beyond_the_last_change(share, shape):
    W = random_frame(shape)
    last = nearest_tight_frame(W + 0.001 * np.random.default_rng(7).random(shape))
    ahead = tight_frame_ahead(W, last, share)
    assert_tight(ahead)
    assert np.linalg.norm(ahead - (W + share * (W - last))) < 1e-3
    assert_tight(tight_frame_ahead(W, -W, share))


@each_shape
def test_a_frame_that_does_not_change_has_none_ahead(shape):
    W = random_frame(shape)
    assert_allclose(tight_frame_ahead(W, W, 0.7), W, atol=1e-13)
