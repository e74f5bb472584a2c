"""What a fit tells while it groups, and who may stop it."""

import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import SqrtLassoTransform
from tests.estimators.common import make_rows


class Listener:
    """A callback that writes down what it hears, and stops or fails when told so."""

    def __init__(self, stop_at=None, fail_at=None):
        self.stop_at, self.fail_at = stop_at, fail_at
        self.heard, self.scores = [], []

    def setup(self, estimator, context):
        self.heard.append("setup")

    def teardown(self, estimator, context):
        self.heard.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.heard.append(f"{context.task_name} begins")

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.heard.append(f"{context.task_name} ends")
        self.scores.append(fitted_estimator.score(X))
        if context.task_id == self.fail_at:
            raise ZeroDivisionError
        return context.task_id == self.stop_at


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


def test_nothing_is_printed_unasked(coder, capsys):
    coder.fit(make_rows()).transform(make_rows())
    assert capsys.readouterr() == ("", "")


def test_callbacks_hear_each_step(listen):
    listener = Listener()
    coder = listen(listener).fit(make_rows())
    step = ["step begins", "step ends"]
    expected = ["setup", "fit begins", *coder.n_iter_ * step, "fit ends", "teardown"]
    assert listener.heard == expected


def test_callbacks_see_an_estimator_that_codes(listen):
    listener = Listener()
    coder = listen(listener).fit(make_rows())
    assert listener.scores[-1] == coder.score(make_rows())
    assert len(set(listener.scores)) > 2


def test_callbacks_do_not_change_the_fit(listen):
    coder = listen(Listener()).fit(make_rows())
    alone = SqrtLassoTransform(alpha=0.4).fit(make_rows())
    np.testing.assert_array_equal(coder.components_, alone.components_)


def test_a_callback_that_returns_true_stops_the_fit(listen):
    coder = listen(Listener(stop_at=2), Listener()).fit(make_rows())
    assert coder.n_iter_ == 3
    shorter = SqrtLassoTransform(alpha=0.4, max_iter=3, tol=0.0).fit(make_rows())
    np.testing.assert_array_equal(coder.components_, shorter.components_)


def test_a_failing_callback_leaves_an_unfitted_estimator_unfitted(listen):
    listener = Listener(fail_at=1)
    coder = listen(listener)
    before = dict(vars(coder))
    with pytest.raises(ZeroDivisionError):
        coder.fit(make_rows())
    assert vars(coder) == before
    assert listener.heard[-1] == "teardown"
    with pytest.raises(NotFittedError):
        coder.transform(make_rows())


def test_a_failing_callback_leaves_a_fitted_estimator_as_it_was(listen):
    coder = listen(Listener()).fit(make_rows())
    W = coder.components_
    coder.set_callbacks(Listener(fail_at=1))
    with pytest.raises(ZeroDivisionError):
        coder.fit(make_rows(1))
    assert coder.components_ is W


def test_clones_keep_their_callbacks_and_parameters_do_not_show_them(listen):
    listener = Listener()
    coder = listen(listener)
    assert coder.get_params() == SqrtLassoTransform(alpha=0.4).get_params()
    clone(coder).fit(make_rows())
    assert steps(listener) > 0


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
