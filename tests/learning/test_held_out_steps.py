"""Steps of tight frames that help rows which are held out."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_sqrtlasso.blockwise.groups import RowGroups, one_group, parted, ungrouped
from sklearn_sqrtlasso.learning.accelerated import AcceleratedLearner
from sklearn_sqrtlasso.learning.cleaned_rows import frame_learner, objective_of_rows
from sklearn_sqrtlasso.learning.held_out_steps import (
    may_hold_out,
    most_steps,
    steps_are_dear,
    steps_that_help,
)
from sklearn_sqrtlasso.learning.tight_frame import FrameLearner
from sklearn_sqrtlasso.models.tight_frame import TightFrame, nearest_tight_frame

N_FEATURES = 60


def gaussian_rows(n_rows, seed=0):
    """Return rows of which principal directions tell all that there is."""
    rng = np.random.default_rng(seed)
    W = nearest_tight_frame(np.random.default_rng(9).standard_normal((N_FEATURES,) * 2))
    return (
        rng.standard_normal((n_rows, N_FEATURES)) * np.geomspace(1, 0.1, N_FEATURES) @ W
    )


def sparse_rows(n_rows, seed=0):
    """Return rows of few orthogonal units, all of the same variance."""
    rng = np.random.default_rng(seed)
    W = nearest_tight_frame(np.random.default_rng(9).standard_normal((N_FEATURES,) * 2))
    codes = rng.standard_normal((n_rows, N_FEATURES))
    codes *= rng.random(codes.shape) < 0.1
    return codes @ W + 0.02 * rng.standard_normal((n_rows, N_FEATURES))


def principal_frame(X, alpha=0.25):
    """Return principal directions by a singular value decomposition."""
    whole = np.nan_to_num(X)
    W = np.linalg.svd(whole, full_matrices=False)[2]
    return TightFrame(W, np.full(len(W), alpha), False)


def helping(X, groups=None, tol=1e-3):
    groups = ungrouped(len(X)) if groups is None else groups
    learner = frame_learner(X, principal_frame(X), groups, accelerated=True)
    return steps_that_help(learner, X, tol)


def objective(X, frame):
    return objective_of_rows(X, frame, ungrouped(len(X)))


@pytest.mark.parametrize("n_rows", [50, 100, 200])
@pytest.mark.parametrize("seed", range(3))
def test_no_step_helps_where_directions_are_principal(n_rows, seed):
    X = gaussian_rows(n_rows, seed)
    n_steps = helping(X)
    assert n_steps is not None
    others = gaussian_rows(4000, seed=100)
    learner = FrameLearner(X, principal_frame(X), ungrouped(n_rows))
    first = objective(others, learner.frame)
    learner.run(50, 1e-3, lambda n_iter, loss: False)
    assert objective(others, learner.frame) > first


@pytest.mark.parametrize("seed", range(3))
def test_all_steps_help_where_rows_have_few_units(seed):
    X = sparse_rows(200, seed)
    assert helping(X) is None
    others = sparse_rows(4000, seed=100)
    learner = FrameLearner(X, principal_frame(X), ungrouped(200))
    first = objective(others, learner.frame)
    learner.run(50, 1e-3, lambda n_iter, loss: False)
    assert objective(others, learner.frame) < 0.95 * first


@pytest.mark.parametrize("rows", [gaussian_rows, sparse_rows])
@pytest.mark.parametrize("n_rows", [40, 90, 150])
def test_as_many_steps_help_as_lower_the_objective_of_a_tenth(rows, n_rows):
    X = rows(n_rows, seed=3)
    is_other = np.arange(n_rows) % 10 == 5
    W = np.linalg.svd(X[~is_other], full_matrices=False)[2]
    frame = TightFrame(W, np.full(len(W), 0.25), False)
    learner = AcceleratedLearner(X[~is_other], frame, ungrouped(np.sum(~is_other)))
    losses, falls = [objective(X[is_other], frame)], []
    for n_iter in range(4):
        learner.step(n_iter + 1)
        falls.append(learner.fall)
        losses.append(objective(X[is_other], learner.frame))
    assert helping(X) == number_of_steps(losses, falls)


def number_of_steps(losses, falls, tol=1e-3):
    for n_iter, fall in enumerate(falls, start=1):
        seen = losses[: n_iter + 1]
        if seen[-1] > (1 + tol) * min(seen):
            return seen.index(min(seen))
        if fall <= tol:
            return None
    return 0 if losses[0] <= min(losses) else None


def test_groups_are_held_out_whole():
    order = np.random.default_rng(0).permutation(120)
    groups = RowGroups(np.arange(0, 121, 5), order)
    parts = parted(groups, 10)
    assert [len(rows) for rows, _ in parts] == [110, 10]
    labels = np.empty(120, int)
    labels[order] = np.arange(120) // 5
    assert not set(labels[parts[0][0]]) & set(labels[parts[1][0]])
    for rows, its_groups in parts:
        for first, last in pairwise(its_groups.starts):
            assert len(set(labels[rows[first:last]])) == 1


@pytest.mark.parametrize("lost", [0.0, 0.1])
def test_order_of_groups_and_their_rows_changes_nothing(lost):
    X = sparse_rows(120)
    X[np.random.default_rng(1).random(X.shape) < lost] = np.nan
    order = np.random.default_rng(0).permutation(120)
    given = RowGroups(np.arange(0, 121, 5), order)
    in_order = RowGroups(given.starts)
    assert helping(X, given) == helping(X[order], in_order)


@pytest.mark.parametrize("rows", [gaussian_rows, sparse_rows])
def test_sparse_matrices_are_helped_as_arrays(rows):
    X = rows(100)
    X[np.abs(X) < 0.05] = 0
    groups, frame = ungrouped(100), principal_frame(X)
    learner = frame_learner(sp.csr_array(X), frame, groups, accelerated=True)
    assert steps_that_help(learner, sp.csr_array(X), 1e-3) == helping(X)


def test_few_rows_of_many_columns_are_dear():
    frame = TightFrame(np.empty((900, 900)), np.empty(900), False)
    X = np.zeros((1000, 900))
    assert steps_are_dear(X, frame, ungrouped(1000))
    assert not steps_are_dear(np.zeros((4000, 900)), frame, ungrouped(4000))
    few = TightFrame(np.empty((250, 900)), np.empty(250), False)
    assert not steps_are_dear(np.zeros((1000, 900)), few, ungrouped(1000))
    assert not steps_are_dear(X, frame, one_group(1000))
    assert not steps_are_dear(X, replace(frame, positive=True), ungrouped(1000))
    spikes = replace(frame, outlier_alpha=np.ones(900))
    assert not steps_are_dear(X, spikes, ungrouped(1000))
    X[:, :90] = np.nan
    assert steps_are_dear(X, frame, ungrouped(1000))
    X[0, 90] = np.nan
    assert not steps_are_dear(X, frame, ungrouped(1000))
    small = TightFrame(np.empty((90, 90)), np.empty(90), False)
    assert not steps_are_dear(np.zeros((100, 90)), small, ungrouped(100))


def test_of_ten_groups_none_is_held_out():
    assert not may_hold_out(np.empty((10, 3)), ungrouped(10))
    assert may_hold_out(np.empty((11, 3)), ungrouped(11))


def test_only_steps_of_complete_rows_are_fewer():
    X = gaussian_rows(40)
    frame = principal_frame(X)
    assert most_steps(X, frame, 100) == 30
    assert most_steps(X, frame, 1) == 1
    X[0, 0] = np.nan
    assert most_steps(X, frame, 100) == 100
