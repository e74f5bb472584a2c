"""Sums of products of rows with their codes: at once, or later of kept codes."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from sklearn_sqrtlasso.blockwise.groups import groups_of_labels, ungrouped
from sklearn_sqrtlasso.learning import frame_moments, tight_frame
from sklearn_sqrtlasso.learning.frame_moments import KeptCodes, SparseMoments
from sklearn_sqrtlasso.learning.tight_frame import FrameLearner, frame_statistics
from sklearn_sqrtlasso.models.tight_frame import TightFrame, nearest_tight_frame

N_ROWS, N_FEATURES, N_COMPONENTS = 90, 200, 7
GROUPS = {
    "rows": ungrouped(N_ROWS),
    "scattered": groups_of_labels(np.arange(N_ROWS) % 11),
}
each_groups = pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)


@pytest.fixture(autouse=True)
def one_sum(monkeypatch):
    """As of frames that are so large that there is one sum."""
    monkeypatch.setattr(SparseMoments, "most_bytes", 1)


def rows(dtype="f8"):
    X = sp.random_array((N_ROWS, N_FEATURES), density=0.1, format="csr", rng=0)
    X.data -= 0.3
    return X.astype(dtype)


def frame_for(X, centred=True):
    rng = np.random.default_rng(1)
    W = nearest_tight_frame(rng.standard_normal((N_COMPONENTS, N_FEATURES)))
    mean = X.mean(axis=0) if centred else None
    W, alpha = W.astype(X.dtype), np.full(N_COMPONENTS, 0.1, X.dtype)
    return TightFrame(np.asfortranarray(W), alpha, False, mean)


@each_groups
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("centred", [True, False])
def test_kept_codes_make_the_moment_of_dense_rows(groups, dtype, centred):
    X = rows(dtype)
    frame = frame_for(X, centred)
    found = frame_statistics(X, frame, groups, 0.5, later=True)
    expected = frame_statistics(X.toarray(), frame, groups, 0.5)
    assert callable(found.moment)
    tol = 100 * np.finfo(dtype).eps * np.abs(expected.moment).max()
    assert_allclose(found.moment(), expected.moment, rtol=0, atol=tol)
    assert_allclose(found.objective, expected.objective, rtol=tol)


@each_groups
def test_kept_codes_are_the_same_on_threads(groups):
    X = rows()
    one, two = (
        frame_statistics(X, frame_for(X), groups, n_jobs=n_jobs, later=True)
        for n_jobs in (1, 2)
    )
    assert one.objective == two.objective
    np.testing.assert_array_equal(one.moment(), two.moment())


def test_codes_are_kept_where_they_are_smaller_than_a_sum():
    X = rows()
    frame = frame_for(X)
    many = sp.vstack([X, X, X], format="csr")
    assert isinstance(frame_moments.moments_of(X, frame, 1.0, later=True), KeptCodes)
    assert isinstance(frame_moments.moments_of(X, frame, 1.0), SparseMoments)
    at_once = frame_moments.moments_of(many, frame, 1.0, later=True)
    assert isinstance(at_once, SparseMoments)


@each_groups
def test_steps_are_those_with_sums_at_once(groups, monkeypatch):
    X, kept = rows(), KeptCodes
    learners = []
    for later in (kept, lambda X, frame, unit: SparseMoments(frame, unit)):
        monkeypatch.setattr(frame_moments, "KeptCodes", later)
        learner = FrameLearner(X, replace(frame_for(X)), groups)
        learner.run(4, 0.0, lambda n_iter, objective: False)
        learners.append(learner)
    one, two = learners
    assert_allclose(one.frame.components, two.frame.components, atol=1e-12)
    assert_allclose(one.statistics.moment, two.statistics.moment, atol=1e-11)


def test_a_rejected_step_restores_frame_and_moment(monkeypatch):
    X = rows()
    learner = FrameLearner(X, frame_for(X), GROUPS["rows"])
    before, moment = learner.frame, learner.statistics.moment.copy()

    def worse(frame, statistics, *, own):
        W = np.roll(frame.components, 1, axis=1)
        statistics.moment[:] = W  # as a step does that is taken in its place
        return replace(frame, components=W, alpha=2 * frame.alpha)

    monkeypatch.setattr(tight_frame, "turned", worse)
    learner.step(1)
    assert learner.frame is before
    assert_allclose(learner.statistics.moment, moment, rtol=1e-12, atol=1e-14)
