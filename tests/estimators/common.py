"""Rows, groups and helpers that the tests of the estimators share."""

import copy

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import SqrtLassoTransform
from sklearn_sqrtlasso.models.tight_frame import nearest_tight_frame
from tests import sized

N_ROWS = sized(200, 40)
SCATTERED = np.arange(N_ROWS) % 7
# Products of other shapes are summed in another order: some roundings of entries to 15.
ROUNDING = {"rtol": 1e-12, "atol": 1e-12}

each_groups = pytest.mark.parametrize(
    "groups", [None, "all", SCATTERED], ids=["alone", "all", "scattered"]
)


def make_rows(seed=0, n_features=12):
    rng = np.random.default_rng(seed)
    signal, chance, noise = rng.standard_normal((3, N_ROWS, n_features))
    return 5 * signal * (chance > 1) + noise


def wine():
    return StandardScaler().fit_transform(load_wine().data)


def dense(Z):
    return Z.toarray() if hasattr(Z, "toarray") else Z


def random_frame(shape, seed=0):
    return nearest_tight_frame(np.random.default_rng(seed).standard_normal(shape))


def held(W, alpha="pivotal"):
    """Return a coder that keeps the frame W, and a mean of zero."""
    coder = SqrtLassoTransform(len(W), init=W, max_iter=0, alpha=alpha, center=False)
    return coder.fit(np.eye(W.shape[1]))


def same(before, after):
    """Return whether two sets of attributes hold the same things, not copies."""
    return before.keys() == after.keys() and all(
        before[name] is after[name] for name in before
    )


def learnt(coder):
    """Return the learnt attributes that a fit repeats: all but seconds."""
    names = [name for name in vars(coder) if name.endswith("_")]
    return {name: getattr(coder, name) for name in names if name != "time_curve_"}


def assert_fails_without_a_trace(coder, method, X, message):
    """Assert that a method says why it fails, and changes no attribute."""
    before = dict(vars(coder))
    kept = copy.deepcopy(learnt(coder))
    with pytest.raises(ValueError, match=f"(?s){message}"):
        getattr(coder, method)(X)
    assert same(before, vars(coder))
    np.testing.assert_equal(learnt(coder), kept)  # nor is anything changed in place


DEGENERATE = {
    "one row": np.ones((1, 3)),
    "one feature": np.arange(5.0)[:, None],
    "three numbers": np.array([[1.0], [2.0], [-3.0]]),
    "one number": np.array([[5.0]]),
    "zeros": np.zeros((6, 4)),
    "constant": np.full((6, 4), 3.0),
    "tiny": np.full((6, 4), 1e-150),
    "constant columns": np.column_stack(
        [np.zeros(6), np.ones(6), np.arange(12).reshape(6, 2)]
    ),
    "duplicates": np.repeat(np.arange(4.0)[None], 6, axis=0),
    "one nonzero": np.eye(6, 4) * 1e-3,
    "tiny and huge": np.diag([1e-150, 1.0, 1e150, 0.0]),
}


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


# Batches after a fit


def low_rank(n_rows, n_features, rank=4):
    """Return rows of low rank in noise, and 200 others."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows + 200, rank)) @ rng.standard_normal(
        (rank, n_features)
    )
    X += 0.3 * rng.standard_normal(X.shape)
    return X[:n_rows], X[n_rows:]


def batches_of(X, size, n_batches=10):
    """Return random batches of rows, each without repetitions."""
    rng = np.random.default_rng(1)
    size = min(size, X.shape[0])
    return [X[rng.choice(X.shape[0], size, replace=False)] for _ in range(n_batches)]


def score_after(coder, batches, others):
    """Return the score of other rows after batches, of a copy of a coder."""
    coder = copy.deepcopy(coder)
    for rows in batches:
        coder.partial_fit(rows)
    return coder.score(others)
