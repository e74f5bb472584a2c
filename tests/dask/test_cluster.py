"""On a cluster of processes: the same numbers, also if a worker is killed."""

import os
import signal

import dask.array as da
import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import NeLUAutoencoder, SqrtLassoTransform
from sklearn_sqrtlasso.dask import fit, transform
from sklearn_sqrtlasso.estimators import progress
from tests.dask.problems import (
    ENCODERS,
    LABELS,
    REGRESSIONS,
    X,
    assert_same_fit,
    chunked,
)

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("name", ["frame", "frame-gaps", "atoms-mod", "turns"])
def test_an_encoder_is_that_of_one_machine(client, name):
    estimator, rows = ENCODERS[name]
    with client.as_current():
        model = fit(clone(estimator), chunked(rows))
        codes = transform(model, chunked(rows)).compute()
    alone = clone(estimator).fit(rows)
    assert_same_fit(model, alone)
    assert np.array_equal(codes, transform(model, chunked(rows)).compute())


@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_regression_is_that_of_one_machine(client, name):
    estimator, y, weights = REGRESSIONS[name]
    given = {} if weights is None else {"sample_weight": chunked(weights)}
    with client.as_current():
        model = fit(clone(estimator), chunked(X), chunked(y), **given)
    assert_same_fit(model, clone(estimator).fit(X, y, weights))


def test_groups_and_networks(client):
    coder, network = SqrtLassoTransform(max_iter=2), NeLUAutoencoder(3, max_iter=1)
    with client.as_current():
        model = fit(clone(coder), chunked(X), groups=chunked(LABELS))
        of_cluster = fit(clone(network).set_params(random_state=0), chunked(X))
    assert_same_fit(model, clone(coder).fit(X, groups=LABELS))
    of_threads = fit(clone(network).set_params(random_state=0), chunked(X))
    assert_same_fit(of_cluster, of_threads)


def test_a_killed_worker_costs_no_fit(client, monkeypatch):
    killed, step = [], progress.Progress.step

    def kill_one(self, n_iter, objective, attributes=None):
        if not killed:
            killed.append(next(iter(client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)
        return step(self, n_iter, objective, attributes)

    monkeypatch.setattr(progress.Progress, "step", kill_one)
    coder = SqrtLassoTransform(max_iter=4, tol=0)
    with client.as_current():
        rows = chunked(X, 6).persist()
        model = fit(clone(coder), rows)
    assert killed
    assert_same_fit(model, clone(coder).fit(X))


def test_a_grid_search_of_pipelines_runs_on_workers(client):
    steps = StandardScaler(), SqrtLassoTransform(3, max_iter=2)
    grid = {"sqrtlassotransform__alpha": [0.1, 0.3, "auto"]}
    search = GridSearchCV(make_pipeline(*steps), grid, cv=3)
    with client.as_current(), joblib.parallel_config("dask"):
        search.fit(X)
    alone = GridSearchCV(make_pipeline(*steps), grid, cv=3).fit(X)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )


def test_rows_may_be_a_memory_map(tmp_path):
    np.save(tmp_path / "rows.npy", X)
    rows = da.from_array(np.load(tmp_path / "rows.npy", mmap_mode="r"), chunks=(100, 6))
    coder = SqrtLassoTransform(max_iter=2)
    assert_same_fit(fit(clone(coder), rows), clone(coder).fit(X))
