"""What a fit tells while it groups, and who may stop it."""

import re
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    PivotalPCA,
    RelaxedSparseCoder,
    SqrtLassoTransform,
)
from tests.estimators.common import Listener, make_rows


def steps(listener):
    return listener.heard.count("step ends")


@pytest.fixture
def listen():
    """Give a coder listeners, where scikit-learn knows callbacks (1.9 and later)."""
    pytest.importorskip("sklearn.callback")
    return lambda *listeners: SqrtLassoTransform(alpha=0.4).set_callbacks(*listeners)


def test_a_line_is_printed_for_each_step(capsys):
    coder = SqrtLassoTransform(alpha=0.4, max_iter=5, tol=0.0, verbose=1).fit(
        make_rows()
    )
    lines = capsys.readouterr().out.splitlines()
    pattern = r"\[SqrtLassoTransform\] step (\d)/5, objective (.*)"
    told = [re.fullmatch(pattern, line).groups() for line in lines]
    assert [int(step) for step, _ in told] == [1, 2, 3, 4, 5]
    objectives = [float(objective) for _, objective in told]
    np.testing.assert_allclose(objectives, coder.objective_curve_[1:], rtol=1e-5)


def test_callbacks_see_an_estimator_that_codes(listen):
    listener = Listener()
    coder = listen(listener).fit(make_rows())
    assert listener.scores[-1] == coder.score(make_rows())
    assert len(set(listener.scores)) > 2


def test_a_callback_that_returns_true_stops_the_fit(listen):
    coder = listen(Listener(stop_at=2), Listener()).fit(make_rows())
    assert (coder.n_iter_, coder.stop_reason_) == (3, "callback")
    shorter = SqrtLassoTransform(alpha=0.4, max_iter=3, tol=0.0).fit(make_rows())
    np.testing.assert_array_equal(coder.components_, shorter.components_)


def test_callbacks_work_inside_pipelines_and_searches(listen):
    listener = Listener()
    pipe = make_pipeline(
        StandardScaler(), listen(listener).set_params(max_iter=2, tol=0.0)
    )
    pipe.fit(make_rows())
    assert steps(listener) == 2
    grid = {"sqrtlassotransform__alpha": [0.3, 0.4]}
    GridSearchCV(pipe, grid, cv=2).fit(make_rows())
    assert steps(listener) == 2 + 2 * (2 * 2 + 1)


def test_scores_are_monitored_at_each_step(listen):
    callback = pytest.importorskip("sklearn.callback")
    monitor = callback.ScoringMonitor(scoring={"variance": lambda e, X, y: e.score(X)})
    coder = listen(monitor).fit(make_rows())
    rows = monitor.get_logs().data
    scores = [row["variance"] for row in rows if row["task_name"] == "step"]
    assert len(scores) == coder.n_iter_
    assert scores[-1] == coder.score(make_rows())


def test_a_progress_bar_is_shown(listen, capsys):
    callback = pytest.importorskip("sklearn.callback")
    pytest.importorskip("rich")
    listen(callback.ProgressBar()).fit(make_rows())
    assert "SqrtLassoTransform" in capsys.readouterr().out


@pytest.mark.parametrize(
    "coder",
    [
        SqrtLassoTransform(max_iter=500),
        PivotalPCA(max_iter=500),
        RelaxedSparseCoder(8, max_iter=500),
        RelaxedSparseCoder(8, learner="online", max_iter=500),
        NeLUAutoencoder(8, max_iter=2000, tol=0.01),
        ANAMOAutoencoder(8, max_iter=2000, tol=0.01),
    ],
)
def test_a_fit_says_why_it_ended(coder):
    X = make_rows()
    X[0, 0] = np.nan if isinstance(coder, PivotalPCA) else X[0, 0]
    coder.fit(X)
    assert coder.stop_reason_ == "tol"
    assert 1 < coder.n_iter_ < coder.max_iter
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        coder.set_params(max_iter=1, tol=1e-9).fit(X)
    assert (coder.stop_reason_, coder.n_iter_) == ("max_iter", 1)
