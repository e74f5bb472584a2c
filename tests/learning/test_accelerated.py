"""Accelerated learning of tight frames."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.blockwise.groups import RowGroups, one_group, ungrouped
from sklearn_sqrtlasso.learning.accelerated import AcceleratedLearner
from sklearn_sqrtlasso.learning.tight_frame import FrameLearner
from sklearn_sqrtlasso.models.tight_frame import TightFrame, nearest_tight_frame

N_ROWS, N_FEATURES = 150, 12
GROUPS = {
    "rows": ungrouped(N_ROWS),
    "groups": RowGroups(np.arange(0, N_ROWS + 1, 5)),
    "all": one_group(N_ROWS),
}


def problem(n_units=12, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    mixing = nearest_tight_frame(rng.standard_normal((N_FEATURES, N_FEATURES)))
    codes = rng.standard_normal((N_ROWS, N_FEATURES))
    X = codes * (rng.random(codes.shape) < 0.25) @ mixing
    X += 0.05 * rng.standard_normal(X.shape)
    W = nearest_tight_frame(rng.standard_normal((n_units, N_FEATURES)))
    alpha = np.full(n_units, 0.4)
    return X.astype(dtype), TightFrame(W.astype(dtype), alpha.astype(dtype), False)


def curve_of(learner, n_steps):
    return np.array(learner.run(n_steps, 0.0, lambda n_iter, loss: False).losses)


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("n_units", [8, 12, 15])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_objective_never_rises_and_frames_stay_tight(groups, n_units, dtype):
    X, frame = problem(n_units, dtype)
    learner = AcceleratedLearner(X, frame, GROUPS[groups])
    curve = curve_of(learner, 30)
    assert np.all(np.diff(curve) <= 0)
    W = learner.frame.components
    assert W.dtype == dtype
    assert_allclose(
        np.linalg.svd(W)[1], 1, atol=50 * np.finfo(dtype).eps, err_msg="not tight"
    )
    again = FrameLearner(X, learner.frame, GROUPS[groups]).objective
    assert_allclose(again, curve[-1], rtol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_three_tenths_of_the_steps_lower_the_objective_as_much(seed):
    X, frame = problem(seed=seed)
    plain = curve_of(FrameLearner(X, frame, GROUPS["rows"]), 100)
    accelerated = curve_of(AcceleratedLearner(X, frame, GROUPS["rows"]), 30)
    assert_allclose(accelerated[:2], plain[:2], rtol=1e-12)
    assert accelerated[-1] <= plain[-1] + 0.01 * (plain[0] - plain[-1])


def test_an_earlier_point_is_restored():
    learner = AcceleratedLearner(*problem(), GROUPS["rows"])
    learner.step(1)
    before, objective = learner.state(), learner.objective
    curve = [learner.step(n) for n in (2, 3)]
    assert curve[-1] < objective
    learner.restore(before)
    assert learner.objective == objective
    assert [learner.step(n) for n in (2, 3)] == curve


def test_a_learner_from_some_rows_is_one_of_these():
    X, frame = problem()
    some, groups = np.arange(0, N_ROWS, 3), ungrouped(N_ROWS // 3)
    part = AcceleratedLearner(X, frame, GROUPS["rows"]).among(some, frame, groups)
    alone = AcceleratedLearner(X[some], frame, groups)
    assert_array_equal(curve_of(part, 5), curve_of(alone, 5))
