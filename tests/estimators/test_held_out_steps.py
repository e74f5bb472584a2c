"""Fits of transforms that try steps on rows that are held out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso import SqrtLassoTransform
from sklearn_sqrtlasso.learning import held_out_steps


def gaussian_rows(n_rows=80, n_features=40):
    """Return rows of which principal directions tell all that there is."""
    rng = np.random.default_rng(0)
    mixing = np.linalg.qr(rng.standard_normal((n_features, n_features)))[0]
    return rng.standard_normal((n_rows, n_features)) * np.geomspace(1, 0.1, 40) @ mixing


def sparse_rows(n_rows=200, n_features=40):
    """Return rows of few orthogonal units, all of the same variance."""
    rng = np.random.default_rng(0)
    mixing = np.linalg.qr(rng.standard_normal((n_features, n_features)))[0]
    codes = rng.standard_normal((n_rows, n_features))
    codes *= rng.random(codes.shape) < 0.1
    return codes @ mixing + 0.02 * rng.standard_normal((n_rows, n_features))


def test_principal_directions_are_kept_where_they_tell_all():
    X = gaussian_rows()
    coder = SqrtLassoTransform(early_stopping=True).fit(X)
    assert (coder.n_iter_, coder.stop_reason_) == (0, "held_out")
    kept = SqrtLassoTransform(alpha=coder.alpha_[0], max_iter=0).fit(X)
    assert_allclose(coder.components_, kept.components_, atol=1e-12)
    learnt = SqrtLassoTransform(early_stopping=False).fit(X)
    assert learnt.n_iter_ > 0
    assert coder.objective_curve_[0] == learnt.objective_curve_[0]


def test_steps_go_on_where_they_help():
    X = sparse_rows()
    coder = SqrtLassoTransform(early_stopping=True).fit(X)
    usual = SqrtLassoTransform(early_stopping=False).fit(X)
    assert coder.stop_reason_ != "held_out"
    assert 4 < coder.n_iter_ <= 30
    assert np.all(np.diff(coder.objective_curve_) <= 0)
    assert coder.objective_curve_[-1] <= 1.01 * usual.objective_curve_[-1]


@pytest.mark.parametrize("rows", [gaussian_rows, sparse_rows])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lost", [0.0, 0.05])
@pytest.mark.parametrize("grouped", [False, True])
def test_frames_are_tight_and_codes_those_of_transform(rows, dtype, lost, grouped):
    X = rows().astype(dtype)
    X[np.random.default_rng(1).random(X.shape) < lost] = np.nan
    groups = np.arange(len(X)) // 4 if grouped else None
    coder = SqrtLassoTransform(early_stopping=True, random_state=0)
    Z = coder.fit_transform(X, groups=groups)
    again = SqrtLassoTransform(early_stopping=True, random_state=1, n_jobs=2)
    assert_array_equal(again.fit(X, groups=groups).transform(X, groups=groups), Z)
    W = coder.components_
    assert_allclose(W @ W.T, np.eye(len(W)), atol=100 * np.finfo(dtype).eps)
    assert np.all(np.diff(coder.objective_curve_) <= 0)
    coder.partial_fit(X, groups=groups)
    assert np.all(np.isfinite(coder.components_))


def test_small_tables_are_learnt_as_without(monkeypatch):
    X = gaussian_rows()
    usual = SqrtLassoTransform(early_stopping=False).fit(X)
    assert_array_equal(SqrtLassoTransform().fit(X).components_, usual.components_)
    monkeypatch.setattr(held_out_steps, "DEAR", 1)
    assert SqrtLassoTransform().fit(X).stop_reason_ == "held_out"


def test_few_groups_cannot_be_held_out():
    X = gaussian_rows()
    with pytest.raises(ValueError, match="more than 10 groups, got 1"):
        SqrtLassoTransform(early_stopping=True).fit(X, groups="all")
    SqrtLassoTransform(early_stopping=True, max_iter=0).fit(X, groups="all")
    SqrtLassoTransform().fit(X, groups="all")
