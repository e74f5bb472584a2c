"""Fitting at once, in batches, or in vain."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import ortho_group
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.validation import check_is_fitted

from sklearn_sqrtlasso import SqrtLassoTransform
from sklearn_sqrtlasso.blockwise.linalg import unit_near
from sklearn_sqrtlasso.models.tight_frame import nearest_tight_frame
from tests import sized
from tests.estimators.common import (
    N_ROWS,
    SCATTERED,
    assert_fails_without_a_trace,
    each_groups,
    make_rows,
    random_frame,
)


def assert_tight(W, rounding=1e-12):
    gram = W.T @ W if W.shape[0] >= W.shape[1] else W @ W.T
    assert_allclose(gram, np.eye(len(gram)), atol=rounding)


@each_groups
def test_the_objective_never_rises(coder, groups):
    coder.set_params(max_iter=100, tol=1e-3)
    curve = coder.fit(make_rows(), groups=groups).objective_curve_
    assert curve.shape == (coder.n_iter_ + 1,)
    assert np.all(np.diff(curve) <= 0)


def test_components_are_a_tight_frame(coder):
    for method in (coder.fit, coder.partial_fit, coder.partial_fit):
        assert_tight(method(make_rows()).components_)


def test_a_seed_gives_one_frame():
    fits = [
        SqrtLassoTransform(20, init="random", random_state=seed).fit(make_rows())
        for seed in (0, 0, np.random.RandomState(0), 1)
    ]
    assert_array_equal(fits[0].components_, fits[1].components_)
    assert_array_equal(fits[0].components_, fits[2].components_)
    assert not np.array_equal(fits[0].components_, fits[3].components_)


@pytest.mark.parametrize("shape", [(12, 12), (30, 12), (5, 12)])
def test_without_steps_the_init_is_kept_projected(shape):
    init = np.random.default_rng(0).standard_normal(shape)
    coder = SqrtLassoTransform(shape[0], init=init, max_iter=0).fit(make_rows())
    assert_allclose(coder.components_, nearest_tight_frame(init), rtol=1e-12)
    assert coder.n_iter_ == 0
    assert coder.objective_curve_.shape == (1,)


def test_an_init_tells_the_number_of_components():
    init = np.random.default_rng(0).standard_normal((5, 12))
    coder = SqrtLassoTransform(init=init, max_iter=0).fit(make_rows())
    assert_allclose(coder.components_, nearest_tight_frame(init), rtol=1e-12)


def test_a_fit_that_has_not_settled_warns_once():
    coder = SqrtLassoTransform(alpha=0.4, max_iter=2)
    with pytest.warns(ConvergenceWarning, match=r"max_iter=2.* more than tol=1\.0e-03"):
        coder.fit(make_rows())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("options", [{"tol": 0.0}, {"tol": 0.5}, {"max_iter": 0}, {}])
def test_a_fit_that_has_settled_or_was_not_asked_to_does_not_warn(options):
    SqrtLassoTransform(alpha=0.4, **{"max_iter": 500, **options}).fit(make_rows())
    SqrtLassoTransform(alpha=0.4, max_iter=1).partial_fit(make_rows())


def test_a_given_init_stays_as_it_was_given():
    init = make_rows()[:5].tolist()
    coder = SqrtLassoTransform(init=init, max_iter=1).fit(make_rows())
    assert coder.init is init
    assert init == make_rows()[:5].tolist()


def test_the_first_batch_is_one_step_of_fit(coder):
    X = make_rows()
    coder.set_params(alpha=0.4)  # the pivotal one is simulated where nothing is learnt
    batch = clone(coder).partial_fit(X, groups=SCATTERED)
    once = coder.set_params(max_iter=1).fit(X, groups=SCATTERED)
    assert_allclose(batch.components_, once.components_, rtol=0, atol=1e-13)
    assert batch.n_iter_ == once.n_iter_ == 1
    assert batch.n_samples_seen_ == once.n_samples_seen_ == N_ROWS
    assert batch.objective_curve_[0] == once.objective_curve_[0]


def test_batches_forget_in_proportion():
    cuts = np.cumsum([10, 3, N_ROWS // 2])
    batches = np.split(make_rows(), cuts)
    coder = SqrtLassoTransform(alpha=0.0, center=False, init="random", random_state=0)
    for batch in batches:  # without penalty z = W x, and W stays as it was
        coder.partial_fit(batch)
    weights = np.array([*cuts, N_ROWS]) / N_ROWS
    moment = np.zeros((12, 12))
    for weight, batch in zip(weights, batches, strict=True):
        X = batch / unit_near(np.abs(batch).max())
        moment += weight * X.T @ X / np.linalg.norm(X, axis=1).mean()
    assert coder.n_samples_seen_ == N_ROWS
    assert_allclose(coder.moment_, coder.components_ @ moment, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("splits", [[24], [8, 16], [1] * 24, [20, 1, 3]])
def test_what_is_forgotten_does_not_depend_on_how_rows_are_split(splits):
    coder = SqrtLassoTransform(alpha=0.4, center=False).partial_fit(make_rows())
    first = coder.moment_
    for n_rows in splits:  # rows of zeros tell nothing, but they count
        coder.partial_fit(np.zeros((n_rows, 12)))
    kept = N_ROWS / (N_ROWS + 24)
    assert_allclose(coder.moment_, kept * first, rtol=1e-12)


def hidden_rows(seed, n_rows):
    hidden, rng = ortho_group(12, seed=0).rvs(), np.random.default_rng(seed)
    Z = rng.standard_normal((n_rows, 12)) * (rng.random((n_rows, 12)) < 0.15)
    return hidden, Z @ hidden + 0.05 * rng.standard_normal((n_rows, 12))


@pytest.mark.parametrize("size", [20, 37, 200])
def test_a_stream_teaches_what_fit_learns(size):
    hidden, X = hidden_rows(0, sized(4000, 1500))
    coder = SqrtLassoTransform(alpha=0.5, init="random", random_state=0)
    for start in range(0, len(X), size):
        coder.partial_fit(X[start : start + size])
    at_once = clone(coder).set_params(tol=0.0).fit(X)
    test = hidden_rows(1, 500)[1]
    assert coder.score(test) > at_once.score(test) - 0.01
    assert np.all(np.abs(coder.components_ @ hidden.T).max(axis=1) > 0.99)


def test_a_batch_after_fit_goes_on_from_there():
    hidden, X = hidden_rows(0, sized(2000, 600))
    coder = SqrtLassoTransform(alpha=0.5).fit(X)
    n_iter, curve = coder.n_iter_, coder.objective_curve_
    coder.partial_fit(hidden_rows(1, 50)[1])
    assert coder.n_iter_ == n_iter + 1
    assert coder.n_samples_seen_ == len(X) + 50
    assert_array_equal(coder.objective_curve_[:-1], curve)
    assert np.all(np.abs(coder.components_ @ hidden.T).max(axis=1) > 0.99)


@pytest.mark.parametrize("exponent", [-500, 500])
def test_the_unit_of_the_rows_scales_curves_and_noise_exactly(coder, exponent):
    X, c = make_rows(), 2.0**exponent
    ours, other = clone(coder).fit(X), coder.fit(c * X)
    for _ in range(3):
        assert_array_equal(other.components_, ours.components_)
        assert_array_equal(other.objective_curve_, c * ours.objective_curve_)
        assert other.noise_scale_ == c * ours.noise_scale_
        other.partial_fit(c * X, groups=SCATTERED)
        ours.partial_fit(X, groups=SCATTERED)


BAD_PARAMETERS = {
    "n_components": (0, r"'n_components'.*\[1, inf\).*Got 0"),
    "alpha": (-0.5, r"'alpha'.*\[0\.0, inf\).*'pivotal'.*Got -0\.5"),
    "positive": ("yes", r"'positive'.*bool.*Got 'yes'"),
    "init": ("svd", r"'init'.*'pca'.*Got 'svd'"),
    "max_iter": (-1, r"'max_iter'.*\[0, inf\).*Got -1"),
    "tol": (-1.0, r"'tol'.*\[0\.0, inf\).*Got -1\.0"),
    "sparse_output": (2.5, r"'sparse_output'.*bool.*Got 2\.5"),
    "n_jobs": (0.5, r"'n_jobs'.*int.*None.*Got 0\.5"),
    "random_state": ("seed", r"'random_state'.*int.*Got 'seed'"),
    "verbose": (-1, r"'verbose'.*\[0, inf\).*Got -1"),
}
BAD_INITS = {
    "shape": (
        np.eye(12)[:, :5],
        r"init must .* have shape .* = \(12, 12\), got shape \(12, 5\)",
    ),
    "rank": (np.ones((12, 12)), "init must have full rank 12 .* got rank 1"),
    "nan": (np.full((12, 12), np.nan), "init must be finite"),
}
methods = pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_transform"])


@methods
@pytest.mark.parametrize("name", BAD_PARAMETERS)
def test_bad_parameters_are_named_with_value_and_range(method, name):
    value, message = BAD_PARAMETERS[name]
    coder = SqrtLassoTransform(**{name: value})
    assert_fails_without_a_trace(coder, method, make_rows(), message)
    with pytest.raises(NotFittedError):
        check_is_fitted(coder)


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
@pytest.mark.parametrize("case", BAD_INITS)
def test_bad_inits_leave_the_estimator_as_it_was(method, case):
    init, message = BAD_INITS[case]
    coder = SqrtLassoTransform(init=init)
    assert_fails_without_a_trace(coder, method, make_rows(), message)
    coder = SqrtLassoTransform().fit(make_rows()).set_params(init=init)
    assert_fails_without_a_trace(coder, method, make_rows(), message)


def test_a_kept_frame_is_its_own_inverse():
    coder = SqrtLassoTransform(30, init=random_frame((30, 12)), max_iter=0, alpha=0.0)
    X = make_rows()
    assert_allclose(coder.fit(X).reconstruct(X), X, rtol=1e-12, atol=1e-12)
