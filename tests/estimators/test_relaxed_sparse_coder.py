"""The coder of atoms: parameters, attributes, input, and what fit promises."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import RelaxedSparseCoder
from sklearn_sqrtlasso.datasets import make_sparse_codes
from sklearn_sqrtlasso.learning.dictionary_learning import LEARNERS
from sklearn_sqrtlasso.metrics import shrinkage_report
from sklearn_sqrtlasso.theory.pivotal import pivotal_alpha_of_dictionary
from tests import sized

DATA = make_sparse_codes(
    sized(300, 40), 12, 20, n_nonzero=2, model="synthesis", random_state=0
)
X, ATOMS = DATA.X, DATA.components
CONFIGURATIONS = {
    "sqrt_lasso": {"alpha": "pivotal"},
    "lasso": {"alpha": 0.4},
    "omp": {"n_nonzero_coefs": 2},
    "ols": {"alpha": 0.5},
    "topk": {"n_nonzero_coefs": 2},
    "iti": {},
    "threshold": {"alpha": 0.5},
}
each_selector = pytest.mark.parametrize("selector", CONFIGURATIONS)
each_learner = pytest.mark.parametrize("learner", LEARNERS)


def coder(selector="sqrt_lasso", **parameters):
    parameters = {"dictionary": ATOMS, **CONFIGURATIONS[selector], **parameters}
    return RelaxedSparseCoder(selector=selector, **parameters)


def learner_of(learner, **parameters):
    parameters = {"max_iter": 3, "random_state": 0, **parameters}
    return RelaxedSparseCoder(20, learner=learner, **parameters)


@each_selector
def test_given_atoms_are_used_as_they_are(selector):
    ours = coder(selector, dictionary=3 * ATOMS).fit(X)
    assert_array_equal(ours.components_, 3 * ATOMS)
    assert ours.n_iter_ == 1
    assert ours.transform(X).shape == (len(X), 20)
    assert_allclose(ours.inverse_transform(ours.transform(X)), ours.reconstruct(X))
    assert ours.score(X) > 0.3


@pytest.mark.parametrize("sigma", [0.1, 10.0])
def test_the_noise_level_is_found(sigma):
    rng = np.random.default_rng(0)
    rows = 20 * sigma * DATA.Z @ ATOMS + sigma * rng.standard_normal(X.shape)
    ours = coder("omp").fit(rows)
    assert 0.8 < np.median(ours.noise_scale(rows)) / sigma < 1.1


def test_noise_is_infinite_only_where_it_exceeds_all_numbers():
    given = {"selector": "topk", "n_nonzero_coefs": 1}
    atom = np.array([[1, -0.9, 0]], np.float32)
    ours = RelaxedSparseCoder(dictionary=atom, **given).fit(np.ones((2, 3)))
    rows = np.array([[3.3e38], [3.3e37]], np.float32) * np.ones(3, np.float32)
    removed = 3.3e37 * np.linalg.norm(1 - 0.1 / 1.81 * atom)  # of the second row
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sigma = ours.noise_scale(rows)
    assert_allclose(sigma, [np.inf, removed / np.sqrt(2)], rtol=1e-6)


def test_pivotal_codes_noise_by_zero():
    ours = coder().fit(X)
    noise = np.random.default_rng(0).standard_normal((sized(4000, 200), 12))
    silent = (ours.transform(7 * noise) == 0).all(axis=1).mean()
    assert 0.93 < silent < 0.97 or not sized(True, False)
    assert ours.alpha_ == pivotal_alpha_of_dictionary(ATOMS)


@each_learner
@each_selector
def test_learnt_atoms_have_unit_norm(learner, selector):
    ours = coder(selector, learner=learner, dictionary=None, n_components=20)
    ours.set_params(max_iter=3, random_state=0).fit(X)
    assert_allclose(np.linalg.norm(ours.components_, axis=1), 1)
    assert ours.n_iter_ == len(ours.objective_curve_) == 3
    assert np.isfinite(ours.objective_curve_).all()


@each_learner
@pytest.mark.parametrize("exponent", [-900, -400, 400, 900])
def test_the_unit_of_the_rows_does_not_change_atoms(learner, exponent):
    ours, c = learner_of(learner).fit(X), 2.0**exponent
    other = learner_of(learner).fit(c * X)
    for _ in range(2):
        assert_array_equal(other.components_, ours.components_)
        assert_allclose(other.objective_curve_, c * ours.objective_curve_, rtol=1e-12)
        other.partial_fit(c * X)
        ours.partial_fit(X)


def test_batches_learn_too():
    ours = RelaxedSparseCoder(20, selector="omp", n_nonzero_coefs=2, random_state=0)
    for _ in range(30):
        ours.partial_fit(X)
    assert ours.n_iter_ == len(ours.objective_curve_) == 30
    assert ours.objective_curve_[-1] < 0.9 * ours.objective_curve_[0]


def test_a_batch_goes_on_from_a_fit():
    ours = learner_of("online").fit(X)
    before = ours.score(X)
    ours.partial_fit(X)
    assert ours.n_samples_seen_ == 2 * len(X)
    assert ours.score(X) > before - 0.05


BAD = {
    "pivotal lasso": (
        {"selector": "lasso", "alpha": "pivotal"},
        "alpha='pivotal' has no meaning.*give a number, set alpha='auto'",
    ),
    "pivotal omp": (
        {"selector": "omp", "alpha": "pivotal"},
        "give a number or n_nonzero_coefs",
    ),
    "count of a lasso": (
        {"selector": "sqrt_lasso", "n_nonzero_coefs": 3},
        "n_nonzero_coefs=3 is not used",
    ),
    "shape": ({"dictionary": ATOMS[:, :5]}, "dictionary must be finite and have shape"),
    "number": ({"dictionary": ATOMS, "n_components": 3}, r"= \(3, 12\)"),
    "nan": ({"dictionary": ATOMS * np.nan}, "must be finite"),
    "size": ({"dictionary": ATOMS * 1e80}, "use another unit"),
}


@pytest.mark.parametrize(("parameters", "message"), BAD.values(), ids=BAD)
def test_what_makes_no_sense_is_refused(parameters, message):
    ours = RelaxedSparseCoder(**parameters)
    with pytest.raises(ValueError, match=message):
        ours.fit(X)
    assert not hasattr(ours, "components_")


def test_unsolved_rows_are_counted_in_one_warning():
    ours = coder("iti", n_nonzero_coefs=2, transform_max_iter=1).fit(X)
    with pytest.warns(ConvergenceWarning, match=f"{len(X)} of {len(X)} rows") as told:
        ours.transform(X)
    assert len(told) == 1


def test_a_pickle_holds_the_atoms_and_not_their_products():
    D = np.random.default_rng(0).standard_normal((300, X.shape[1]))
    coder = RelaxedSparseCoder(dictionary=D, selector="topk", n_nonzero_coefs=2).fit(X)
    pickled = pickle.dumps(coder)
    assert len(pickled) < 3 * D.nbytes < 8 * len(D) ** 2
    assert_array_equal(pickle.loads(pickled).transform(X), coder.transform(X))


def test_codes_are_features_of_a_classifier():
    table, target = load_breast_cancer(return_X_y=True)
    coder = RelaxedSparseCoder(
        20, selector="omp", n_nonzero_coefs=8, max_iter=5, random_state=0
    )
    model = make_pipeline(StandardScaler(), coder, LogisticRegression(max_iter=1000))
    scores = cross_val_score(model, table[:: sized(1, 6)], target[:: sized(1, 6)], cv=3)
    assert scores.mean() > 0.85


def test_codes_of_a_penalty_grow_when_refitted_and_those_of_a_count_hardly_do():
    digits = load_digits().data[:: sized(1, 10)]
    rows = digits - digits.mean(axis=0)
    base = {"n_components": 64, "max_iter": 5, "random_state": 0}
    learnt = RelaxedSparseCoder(selector="omp", n_nonzero_coefs=6, **base).fit(rows)
    shrunk, kept = (
        clone(learnt)
        .set_params(dictionary=learnt.components_, **change)
        .fit(rows)
        .shrinkage_report(rows)
        for change in (
            {"selector": "lasso", "alpha": 8.0, "n_nonzero_coefs": None},
            {"selector": "omp"},
        )
    )
    assert shrunk.refit.growth > 1.2
    assert shrunk.refit.explained_variance > shrunk.explained_variance + 0.02
    assert shrunk.refit.alignment < 1
    assert kept.refit.growth == pytest.approx(1)
    assert "times as large" in str(shrunk)


def test_the_report_of_the_coder_is_that_of_the_metric():
    ours = coder("lasso", phi=1.0).fit(X)
    own, other = ours.shrinkage_report(X), shrinkage_report(ours, X)
    for a, b in zip((*own[:-1], *own.refit), (*other[:-1], *other.refit), strict=True):
        assert_allclose(a, b, rtol=1e-10)


def test_atoms_that_are_changed_by_hand_are_those_that_code():
    ours = coder("lasso").fit(X)
    twin = clone(ours).set_params(dictionary=2 * ours.components_).fit(X)
    ours.components_ *= 2
    assert_array_equal(ours.transform(X), twin.transform(X))


def test_given_atoms_leave_nothing_of_those_learnt_before():
    ours = learner_of("mod").fit(X)
    assert hasattr(ours, "code_gram_")
    ours.set_params(dictionary=ATOMS).fit(X)
    assert not {"code_gram_", "code_moment_", "unit_"} & set(vars(ours))
    fresh = learner_of("mod").partial_fit(X)
    begun = ours.set_params(dictionary=None).partial_fit(X)
    assert_array_equal(begun.components_, fresh.components_)


def test_a_stream_of_another_number_of_atoms_is_refused():
    ours = learner_of("online").fit(X)
    ours.set_params(n_components=len(ours.components_) + 1)
    before = dict(vars(ours))
    with pytest.raises(
        ValueError, match=r"n_components cannot change from .* call fit"
    ):
        ours.partial_fit(X)
    assert vars(ours) == before
