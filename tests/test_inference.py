"""Confidence intervals of single coefficients: against formulas, and their coverage."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.linear_model import LinearRegression

from sklearn_sqrtlasso import SqrtLasso
from sklearn_sqrtlasso.inference import confidence_intervals


def make(n=60, p=80, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 0.5 * rng.standard_normal((n, 1)) + 2
    return X, X[:, 0] - X[:, 1] + rng.standard_normal(n)


@pytest.mark.parametrize("phi", [1.0, 0.4, 0.0])
def test_they_are_the_formula(phi):
    X, y = make()
    sizes, j, alpha = X.std(axis=0), 3, 0.3
    model = SqrtLasso(alpha, phi=phi, penalty_loadings=sizes).fit(X, y)
    others = np.delete(X, j, axis=1)
    node = SqrtLasso(alpha, phi=phi, penalty_loadings=np.delete(sizes, j))
    node.fit(others, X[:, j])
    z, r = X[:, j] - node.predict(others), y - model.predict(X)
    coef = model.coef_[j] + z @ r / (z @ (X[:, j] - X[:, j].mean()))
    error = model.sigma_ * np.linalg.norm(z) / (z @ (X[:, j] - X[:, j].mean()))
    found = confidence_intervals(X, y, level=0.9, alpha=alpha, phi=phi, features=[j])
    assert_allclose(found.coef, coef, rtol=1e-7)
    assert_allclose(found.standard_errors, error, rtol=1e-7)
    assert_allclose(found.intervals[0], coef + np.array([-1, 1]) * 1.6448536 * error)
    assert_allclose(found.sigma, model.sigma_, rtol=1e-9)


def test_without_a_penalty_they_are_those_of_least_squares():
    X, y = make(p=5)
    found = confidence_intervals(X, y, alpha=1e-9)
    least, C = LinearRegression().fit(X, y), X - X.mean(axis=0)
    sigma = np.sqrt(np.sum((y - least.predict(X)) ** 2) / (60 - 6))
    errors = sigma * np.sqrt(np.linalg.inv(C.T @ C).diagonal())
    assert_allclose(found.coef, least.coef_, rtol=1e-6)
    assert_allclose(found.standard_errors, errors, rtol=1e-6)


def test_units_forms_threads_and_counts_of_rows_do_not_matter():
    X, y = make()
    plain = confidence_intervals(X, y, features=[0, 5, -1])
    assert_array_equal(plain.coef, confidence_intervals(X, y).coef[[0, 5, -1]])
    scales = 10.0 ** np.linspace(-100, 100, 80)
    scaled = confidence_intervals(X * scales, 1e5 * y, features=[0, 5, 79], n_jobs=2)
    ratio = (scales / 1e5)[[0, 5, 79], None]
    assert_allclose(scaled.intervals * ratio, plain.intervals, rtol=1e-8)
    sparse = confidence_intervals(sp.csr_array(X), y, features=[0, 5, 79])
    assert_allclose(sparse.intervals, plain.intervals, rtol=1e-8)
    in_a_column = confidence_intervals(X, y[:, None], features=[0, 5, 79])
    assert_array_equal(in_a_column.intervals, plain.intervals)
    counts = np.arange(60) % 3
    rows = np.repeat(np.arange(60), counts)
    given = {"features": [0, 5], "alpha": 0.3}
    weighted = confidence_intervals(X, y, sample_weight=counts, **given)
    repeated = confidence_intervals(X[rows], y[rows], **given)
    assert_allclose(weighted.intervals, repeated.intervals, rtol=1e-6)
    shares = np.random.default_rng(1).dirichlet(np.ones(60))
    one, two = (
        confidence_intervals(X, y, sample_weight=w, **given)
        for w in (shares, 7 * shares)
    )
    assert_allclose(one.intervals, two.intervals, rtol=1e-6)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_of_a_frame_are_chosen_by_name(library):
    frames = pytest.importorskip(library)
    X, y = make(p=12)
    frame = frames.DataFrame({f"gene {j}": X[:, j] for j in range(12)})
    given = {"alpha": 0.3}
    by_index = confidence_intervals(X, y, features=[7, 0], **given)
    by_name = confidence_intervals(frame, y, features=["gene 7", "gene 0"], **given)
    assert_allclose(by_name.intervals, by_index.intervals, rtol=1e-9)
    with pytest.raises(ValueError, match=r"names of columns of X, got \['gene 99'\]"):
        confidence_intervals(frame, y, features=["gene 0", "gene 99"], **given)
    with pytest.raises(ValueError, match=r"names of columns of X, got \['gene 0'\]"):
        confidence_intervals(X, y, features=["gene 0"], **given)


def test_features_are_chosen_by_a_mask():
    X, y = make(p=12)
    mask = np.isin(np.arange(12), [0, 7])
    by_mask = confidence_intervals(X, y, features=mask, alpha=0.3)
    by_index = confidence_intervals(X, y, features=[0, 7], alpha=0.3)
    assert_array_equal(by_mask.intervals, by_index.intervals)


def test_what_others_explain_has_no_end():
    X, y = make(p=4)
    X[:, 3], X[:, 2] = X[:, 0], 7.0
    found = confidence_intervals(X, y, alpha=0.01)
    assert_array_equal(np.isinf(found.standard_errors), [True, False, True, True])
    assert_array_equal(found.intervals[2], [-np.inf, np.inf])
    assert np.all(np.isfinite(found.coef))


TOEPLITZ = 0.5 ** np.abs(np.subtract.outer(np.arange(150), np.arange(150)))
DESIGNS = {
    "Belloni, Chernozhukov, Wang": TOEPLITZ,
    "Dezeure et al., equicorrelated": np.full((150, 150), 0.8) + 0.2 * np.eye(150),
}


@pytest.mark.parametrize("covariance", DESIGNS.values(), ids=DESIGNS)
def test_they_cover_what_they_say(covariance):
    rng, root = np.random.default_rng(0), np.linalg.cholesky(covariance)
    truth = np.where(np.arange(150) < 4, 1.0, 0.0)
    X = rng.standard_normal((80, 150)) @ root.T  # one penalty for all designs of a law
    alpha = SqrtLasso(penalty_loadings=X.std(axis=0)).fit(X, X[:, 0]).alpha_
    given, hits = {"alpha": alpha, "features": np.r_[:4, 20:28]}, []
    features = given["features"]
    for _ in range(40):
        X = rng.standard_normal((80, 150)) @ root.T
        y = X @ truth + rng.standard_normal(80)
        low, high = confidence_intervals(X, y, **given).intervals.T
        hits.append((low <= truth[features]) & (truth[features] <= high))
    for some in (np.s_[:, :4], np.s_[:, 4:]):  # coefficients that are zero, and not
        share = np.mean(np.array(hits)[some])
        scatter = np.std(np.array(hits)[some].mean(axis=1)) / np.sqrt(40)
        assert abs(share - 0.95) <= 0.02 + norm.ppf(0.999) * scatter


BAD = {
    "level": [0.0, 1.0, "high"],
    "alpha": [-1.0, "asymptotic", np.nan],
    "phi": [-0.1, 1.5, "one"],
    "features": [[80], [-81], [0.5], [[0]], [], [True, False], np.zeros(80, bool)],
    "sample_weight": [-np.ones(60), np.ones(3)],
}


@pytest.mark.parametrize(("name", "value"), [(k, v) for k in BAD for v in BAD[k]])
def test_bad_arguments_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        confidence_intervals(*make(), **{name: value})


def test_bad_data_are_refused():
    X, y = make()
    with pytest.raises(ValueError, match="y must have shape"):
        confidence_intervals(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="inconsistent"):
        confidence_intervals(X, y[:-1])
    with pytest.raises(ValueError, match="X contains"):
        confidence_intervals(np.where(X > 3, np.nan, X), y)
