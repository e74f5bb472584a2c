"""Rows with missing entries and outliers are learnt from by steps that never err."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.blockwise.encode import map_encoded
from sklearn_sqrtlasso.blockwise.groups import groups_of_labels, one_group, ungrouped
from sklearn_sqrtlasso.learning import cleaned_rows
from sklearn_sqrtlasso.learning.cleaned_rows import (
    CleaningLearner,
    clean_rows,
    cleaner_rows,
    frame_learner,
)
from sklearn_sqrtlasso.learning.tight_frame import (
    FrameLearner,
    frame_statistics,
    procrustes_frame,
)
from sklearn_sqrtlasso.models.tight_frame import TightFrame, nearest_tight_frame

N_ROWS, N_FEATURES = 120, 12
GROUPS = {
    "rows": ungrouped(N_ROWS),
    "together": one_group(N_ROWS),
    "groups": groups_of_labels(np.arange(N_ROWS) % 7),
}
each_grouping = pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
each_kind = pytest.mark.parametrize("kind", ["outliers", "gaps", "both"])


def problem(kind, n_units=8, alpha=0.1, seed=0):
    """Return rows, and a frame that codes them."""
    rng = np.random.default_rng(seed)
    mixing = np.linalg.qr(rng.standard_normal((N_FEATURES, N_FEATURES)))[0]
    codes = rng.standard_normal((N_ROWS, N_FEATURES))
    X = codes * (rng.random(codes.shape) < 0.25) @ mixing
    X += 0.05 * rng.standard_normal(X.shape)
    spikes = None
    if kind != "gaps":
        X += 5 * rng.standard_normal(X.shape) * (rng.random(X.shape) < 0.05)
        spikes = np.full(N_FEATURES, 0.5)
    if kind != "outliers":
        X[rng.random(X.shape) < 0.1] = np.nan
    W = nearest_tight_frame(rng.standard_normal((n_units, N_FEATURES)))
    return X, TightFrame(W, np.full(n_units, alpha), False, None, spikes)


def learnt(X, frame, groups, max_iter=30, tol=0.0, **given):
    learner = frame_learner(X, frame, groups, **given)
    curve = learner.run(max_iter, tol, lambda n_iter, loss: False).losses
    return learner, np.array(curve)


def least_objective(X, frame, groups):
    """Return the objective per row of a frame for the best clean rows."""
    clean, penalty = clean_rows(X, frame, groups)
    pure = replace(frame, outlier_alpha=None)
    return (frame_statistics(clean, pure, groups).objective + penalty) / N_ROWS


@each_kind
@each_grouping
@pytest.mark.parametrize("n_units", [8, 12])
@pytest.mark.parametrize("alpha", [1e-6, 0.1, 0.4])
def test_the_objective_never_rises(kind, groups, n_units, alpha):
    X, frame = problem(kind, n_units, alpha)
    learner, curve = learnt(X, frame, groups)
    assert isinstance(learner, CleaningLearner)
    assert np.all(np.diff(curve) <= 0)
    assert_allclose(curve[0], least_objective(X, frame, groups), rtol=1e-6)
    W = learner.frame.components
    assert_allclose(W @ W.T, np.eye(n_units), atol=1e-12)
    assert least_objective(X, learner.frame, groups) <= curve[-1] * (1 + 1e-6)


@each_kind
@pytest.mark.parametrize("seed", range(3))
def test_less_is_left_to_gain_than_by_exact_codes_in_turns(kind, seed):
    X, frame = problem(kind, seed=seed)
    groups = GROUPS["rows"]
    _, curve = learnt(X, frame, groups, max_iter=40)
    for _ in range(20):
        clean, _ = clean_rows(X, frame, groups)
        pure = replace(frame, outlier_alpha=None)
        moment = frame_statistics(clean, pure, groups).moment
        frame = replace(frame, components=procrustes_frame(moment, frame.components))
    assert curve[-1] <= least_objective(X, frame, groups) * 1.002
    assert curve[-1] < 0.9 * curve[0]


@each_kind
@each_grouping
def test_statistics_are_of_clean_rows_and_moments_of_cleaner_ones(kind, groups):
    X, frame = problem(kind)
    clean = np.where(np.isnan(X), 0.3, X)
    observed, W = ~np.isnan(X), frame.components
    if kind != "gaps":
        clean = np.where(observed, np.clip(clean, -1, 1), clean)
    Z, t = np.empty((N_ROWS, len(W))), np.empty(N_ROWS)

    def note(block):
        Z[block.rows], t[block.rows] = block.Z, block.scale

    map_encoded(note, clean, replace(frame, outlier_alpha=None), groups)
    cleaner, found = cleaner_rows(clean, X, frame, groups)
    taken = np.where(observed, np.abs(np.nan_to_num(X) - clean), 0).sum()
    penalty = 0.5 * taken if kind != "gaps" else 0
    assert_allclose(found.objective, t.sum() + 0.1 * np.abs(Z).sum() + penalty)
    assert_allclose(found.moment, (Z / t[:, None]).T @ cleaner, atol=1e-9)
    left = np.where(observed, cleaner - Z @ W, 0)
    bound = 0.5 * t[:, None] if kind != "gaps" else np.inf
    assert np.all(np.abs(left) <= bound * (1 + 1e-9) + 1e-12)
    assert_allclose(cleaner[~observed], (Z @ W)[~observed])


@each_kind
def test_threads_and_sparse_rows_change_nothing(kind):
    X, frame = problem(kind)
    X[np.abs(X) < 0.05] = 0
    groups = GROUPS["groups"]
    _, alone = learnt(X, frame, groups)
    _, threads = learnt(X, frame, groups, n_jobs=2)
    assert_array_equal(threads, alone)
    _, sparse = learnt(sp.csr_array(X), frame, groups)
    assert_allclose(sparse, alone, rtol=1e-8)


def test_complete_rows_need_no_cleaning():
    X, frame = problem("outliers")
    frame = replace(frame, outlier_alpha=None)
    learner = frame_learner(X, frame, GROUPS["rows"])
    assert type(learner) is FrameLearner
    assert clean_rows(X, frame, GROUPS["rows"])[0] is X


def test_an_earlier_point_is_restored():
    X, frame = problem("both")
    learner = CleaningLearner(X, frame, GROUPS["rows"])
    learner.step(1)
    before, objective = learner.state(), learner.objective
    curve = [learner.step(n) for n in (2, 3)]
    assert curve[-1] < objective
    learner.restore(before)
    assert learner.objective == objective
    assert [learner.step(n) for n in (2, 3)] == curve


def test_rows_that_are_decoded_without_an_error_are_cleaned(monkeypatch):
    """Closed forms leave them, and Newton's steps are told by some rows."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 3)) @ rng.standard_normal((3, 400))
    X += 0.1 * rng.standard_normal(X.shape)
    X += 9 * rng.standard_normal(X.shape) * (rng.random(X.shape) < 0.1)
    W = nearest_tight_frame(np.linalg.svd(X, full_matrices=False)[2])
    frame = TightFrame(W, np.full(40, 0.14), False, None, np.full(400, 0.11))
    _, usual = learnt(X, frame, ungrouped(40), tol=1e-3)
    monkeypatch.setattr(cleaned_rows, "NEWTON_STEPS", 0)
    _, stuck = learnt(X, frame, ungrouped(40), tol=1e-3)
    assert usual[0] < stuck[0]
    assert usual[-1] < 0.95 * stuck[-1]
