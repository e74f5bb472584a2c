"""First steps of tight frames on some of many rows."""

import numpy as np
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.blockwise.groups import RowGroups, ungrouped
from sklearn_sqrtlasso.learning import first_turns
from sklearn_sqrtlasso.learning.first_turns import turned_on_some_rows
from sklearn_sqrtlasso.learning.loop import Stopping
from sklearn_sqrtlasso.learning.tight_frame import FrameLearner, pca_frame
from sklearn_sqrtlasso.models.tight_frame import TightFrame


def make_rows(n_rows=2000):
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((n_rows, 8)) * (rng.random((n_rows, 8)) < 0.3)
    mixing = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    return codes @ mixing + 0.05 * rng.standard_normal((n_rows, 8))


def first_frame(X):
    W = pca_frame(X, 8, np.random.default_rng(0))
    return TightFrame(W, np.full(8, 0.1), False, None, None)


def turned(X, groups, monkeypatch, max_iter=100):
    monkeypatch.setattr(first_turns, "FEWEST", 400)
    monkeypatch.setattr(first_turns, "PER_UNIT", 1)
    stopping = Stopping(max_iter, 1e-3)
    return turned_on_some_rows(X, first_frame(X), groups, 1.0, stopping)


def objective(X, frame, groups):
    return FrameLearner(X, frame, groups).objective


def test_little_is_left_to_gain_on_all_rows(monkeypatch):
    X = make_rows()
    groups = ungrouped(len(X))
    first = objective(X, first_frame(X), groups)
    learner = FrameLearner(X, first_frame(X), groups)
    least = learner.run(100, 1e-3, lambda n_iter, loss: False).losses[-1]
    gained = objective(X, turned(X, groups, monkeypatch), groups)
    assert first - gained > 0.95 * (first - least) > 0


def test_rows_of_a_group_stay_in_one(monkeypatch):
    X = make_rows()
    order = np.random.default_rng(1).permutation(len(X))
    given = RowGroups(np.arange(0, len(X) + 1, 50), order)
    sorted_rows = RowGroups(given.starts)
    frame = turned(X, given, monkeypatch)
    assert_allclose(
        frame.components, turned(X[order], sorted_rows, monkeypatch).components
    )


def test_few_rows_and_single_steps_leave_the_frame(monkeypatch):
    X = make_rows()
    frame = turned(X, ungrouped(len(X)), monkeypatch, max_iter=1)
    assert np.array_equal(frame.components, first_frame(X).components)
    few = X[:1500]
    frame = turned(few, ungrouped(len(few)), monkeypatch)
    assert np.array_equal(frame.components, first_frame(few).components)
