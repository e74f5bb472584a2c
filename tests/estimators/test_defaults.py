"""What defaults promise on tables, and that any one choice can be changed alone."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils._param_validation import StrOptions

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    PivotalPCA,
    RelaxedSparseCoder,
    SqrtLassoTransform,
)
from sklearn_sqrtlasso.models.activations import ACTIVATIONS
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS
from tests.estimators.common import wine
from tests.estimators.encoders import FAMILIES, learns_from_batches, short

SHORT = {"max_iter": 3, "random_state": 0}


def choices(constraints):
    """Return the values of a categorical parameter that its constraints list."""
    values = []
    for constraint in constraints:
        if isinstance(constraint, StrOptions):
            values += sorted(constraint.options)
        elif constraint == "boolean":
            values += [False, True]
        elif constraint is None:
            values.append(None)
    return values


CHOICES = {
    f"{family.__name__}-{name}={value}": family(**{**short(family), name: value})
    for family in FAMILIES
    for name, constraints in family._parameter_constraints.items()
    for value in choices(constraints)
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("coder", CHOICES.values(), ids=CHOICES)
def test_any_one_choice_can_be_changed_alone(coder):
    X, coder = wine(), clone(coder)
    assert coder.fit(X).score(X) > -1
    if learns_from_batches(coder):
        assert np.isfinite(coder.partial_fit(X).score(X))


COUNTS = {
    "n_unrolled": NeLUAutoencoder(n_unrolled=2, **SHORT),
    "n_nonzero_coefs": RelaxedSparseCoder(n_nonzero_coefs=5, **SHORT),
    "batch_size": ANAMOAutoencoder(batch_size=20, **SHORT),
    "fewer units": ANAMOAutoencoder(2, **SHORT),
    "fewer atoms": RelaxedSparseCoder(2, **SHORT),
    "fewer penalties": NeLUAutoencoder(2, **SHORT),
}


@pytest.mark.parametrize("coder", COUNTS.values(), ids=COUNTS)
def test_counts_can_be_changed_alone_without_a_warning(coder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert coder.fit(wine()).score(wine()) > 0


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("coder", "parameter", "table"),
    [
        (NeLUAutoencoder(**SHORT), "activation", ACTIVATIONS),
        (RelaxedSparseCoder(**SHORT), "selector", SELECTORS),
    ],
    ids=["activation", "selector"],
)
def test_a_grid_over_a_table_scores_every_row(coder, parameter, table):
    pipeline = make_pipeline(coder, LogisticRegression(max_iter=1000))
    name = f"{type(coder).__name__.lower()}__{parameter}"
    search = GridSearchCV(pipeline, {name: list(table)}, cv=2, error_score="raise")
    scores = search.fit(wine(), load_wine().target).cv_results_["mean_test_score"]
    assert np.all(scores > 0.35)  # the share of a class


# Penalties that are not given


def test_a_count_alone_is_kept_to():
    coder = RelaxedSparseCoder(n_nonzero_coefs=5, **SHORT).fit(wine())
    assert np.count_nonzero(coder.transform(wine()), axis=1).max() == 5
    assert coder.fitted_params_["selector"] == "omp"


@pytest.mark.parametrize("selector", ["lasso", "threshold"])
def test_default_penalties_follow_the_size_of_rows_and_of_given_atoms(selector):
    D = np.random.default_rng(0).standard_normal((10, 13))
    coder = RelaxedSparseCoder(dictionary=D, selector=selector)
    Z, alpha = coder.fit_transform(wine()), coder.alpha_
    for c in (1e-6, 1e6):
        ours = clone(coder).fit(c * wine())
        assert ours.alpha_ == pytest.approx(c * alpha)
        assert_allclose(ours.transform(c * wine()), c * Z, atol=1e-9 * c)
        ours = clone(coder).set_params(dictionary=c * D).fit(wine())
        assert ours.alpha_ == pytest.approx(c * alpha)
        assert_allclose(c * ours.transform(wine()), Z, atol=1e-9)


STREAMS = {
    "nelu": NeLUAutoencoder(random_state=0),
    "soft": NeLUAutoencoder(activation="soft", random_state=0),
    "lasso": RelaxedSparseCoder(selector="lasso", random_state=0),
    "threshold": RelaxedSparseCoder(selector="threshold", random_state=0),
    "tanh": ANAMOAutoencoder(random_state=0),
    "relu": ANAMOAutoencoder(encoder_activation="relu", random_state=0),
}


@pytest.mark.parametrize("size", [1e6, 1e-6])
@pytest.mark.parametrize("coder", STREAMS.values(), ids=STREAMS)
def test_defaults_recover_from_a_first_batch_of_another_size(coder, size):
    X, rng, coder = wine(), np.random.default_rng(0), clone(coder)
    for step in range(90):
        batch = X[rng.integers(len(X), size=40)]
        coder.partial_fit(batch if step else size * batch)
    assert coder.score(X) > 0.85


@pytest.mark.parametrize("coder", [NeLUAutoencoder(4), ANAMOAutoencoder(4)], ids=str)
def test_single_rows_have_noise_and_penalties_of_their_size(coder):
    row = wine()[:1]
    coder.set_params(random_state=0).partial_fit(row)
    other = clone(coder)
    if isinstance(coder, ANAMOAutoencoder):
        assert coder.alpha_ == pytest.approx(0.01 * np.mean(row**2))
    else:
        other.set_params(noise_std=0.0).partial_fit(row)
        assert np.any(other.components_ != coder.components_)


# Quality


def test_raw_images_are_restored_by_few_iterations_of_the_defaults():
    X = load_digits().data  # entries from 0 to 16
    assert ANAMOAutoencoder(max_iter=10, random_state=0).fit(X[:900]).score(X) > 0.9


@pytest.mark.parametrize(
    ("coder", "loss"),
    [
        (SqrtLassoTransform(random_state=0), 0.01),
        (NeLUAutoencoder(random_state=0), 0.01),
        (PivotalPCA(), 0.01),
        (RelaxedSparseCoder(random_state=0), 0.03),
        (ANAMOAutoencoder(random_state=0), 0.03),
    ],
    ids=["sqrt_lasso", "nelu", "pivotal_pca", "relaxed", "anamo"],
)
def test_codes_of_a_mixed_table_serve_as_well_as_its_columns(coder, loss):
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    columns = make_column_transformer(
        (OneHotEncoder(), ["sex"]), remainder=StandardScaler()
    )

    def accuracy(*steps):
        pipeline = make_pipeline(columns, *steps, LogisticRegression())
        return cross_val_score(pipeline, X, y > y.median()).mean()

    assert accuracy(coder) > accuracy() - loss


def test_bounded_codes_of_few_columns_are_not_too_small_for_a_penalised_classifier():
    X, y = load_iris(return_X_y=True)

    def accuracy(*steps):
        pipeline = make_pipeline(StandardScaler(), *steps, LogisticRegression())
        return cross_val_score(pipeline, X, y).mean()

    of_codes = [accuracy(ANAMOAutoencoder(random_state=seed)) for seed in range(5)]
    assert np.mean(of_codes) > accuracy() - 0.03


def test_noise_of_training_restores_noisy_rows():
    X = StandardScaler().fit_transform(load_breast_cancer().data)
    train, clean = X[::2], X[1::2]
    noisy = clean + np.random.default_rng(0).standard_normal(clean.shape)
    coder = NeLUAutoencoder(max_iter=60, random_state=0)

    def error(coder):
        return np.mean((coder.fit(train).reconstruct(noisy) - clean) ** 2)

    assert error(coder) < 0.8 * error(clone(coder).set_params(noise_std=0.0))


def test_targets_take_the_place_of_noise():
    X = wine()
    coder = NeLUAutoencoder(**SHORT).fit(X, X_clean=X)
    quiet = clone(coder).set_params(noise_std=0.0).fit(X, X_clean=X)
    assert_array_equal(coder.components_, quiet.components_)
