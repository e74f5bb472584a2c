"""Saved estimators: what to trust, which version wrote them, what they hold."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.linear_model import Ridge

import sklearn_sqrtlasso
from sklearn_sqrtlasso import (
    Denoiser,
    NoisyCopies,
    SqrtLasso,
    SqrtLassoCV,
    SqrtLassoTransform,
)
from sklearn_sqrtlasso.estimators import persistence
from tests.estimators.encoders import ENCODERS, N_FEATURES, OF_THE_CLASS, is_given_atoms

skops = pytest.importorskip("skops.io")

N_ROWS = 83  # no other axis has this length
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N_ROWS, 3)) @ RNG.standard_normal((3, N_FEATURES))
X += 0.3 * RNG.standard_normal(X.shape)
Y = X[:, 0] + RNG.standard_normal(N_ROWS)
OTHERS = {
    "SqrtLasso": SqrtLasso(),
    "SqrtLassoCV": SqrtLassoCV(cv=3),
    "Denoiser": Denoiser(SqrtLassoTransform()),
    "NoisyCopies": NoisyCopies(Ridge(), random_state=0),
    "seed": SqrtLassoTransform(random_state=np.random.RandomState(0), n_jobs=2),
}
ESTIMATORS = {**ENCODERS, **OTHERS}
each_estimator = pytest.mark.parametrize("name", ESTIMATORS)
each_class = pytest.mark.parametrize("name", [*OF_THE_CLASS, *OTHERS])


def fitted(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of short fits
        return clone(ESTIMATORS[name]).fit(X, Y)


def public_path(estimator):
    return f"sklearn_sqrtlasso.{type(estimator).__name__}"


def answer(estimator):
    found = getattr(estimator, "transform", getattr(estimator, "predict", None))(X)
    return found.toarray() if issparse(found) else np.asarray(found)


def arrays_of(value):
    """Return all arrays in nested attributes, estimators included."""
    if isinstance(value, np.ndarray):
        return [value]
    if hasattr(value, "__dict__"):
        value = vars(value)
    if isinstance(value, dict):
        value = list(value.values())
    inside = value if isinstance(value, list | tuple) else []
    return [array for part in inside for array in arrays_of(part)]


@each_estimator
def test_a_model_is_trusted_by_its_public_path(name):
    estimator = fitted(name)
    parts = [estimator, getattr(estimator, "coder_", estimator)]
    file = skops.dumps(estimator)
    trusted = skops.get_untrusted_types(data=file)
    assert trusted == sorted({public_path(part) for part in parts})
    loaded = skops.loads(file, trusted=trusted)
    assert_array_equal(answer(loaded), answer(estimator))


@each_estimator
def test_a_model_holds_no_rows(name):
    estimator = fitted(name)
    given = [ESTIMATORS[name].get_params()] if is_given_atoms(estimator) else []
    assert not [of.shape for of in arrays_of(estimator) if N_ROWS in of.shape]
    saved = pickle.dumps(estimator)
    assert not any(row.tobytes() in saved for row in X)
    assert len(saved) < 2**14 + len(pickle.dumps(given))


@each_class
def test_public_classes_have_public_paths(name):
    cls = type(ESTIMATORS[name])
    assert f"{cls.__module__}.{cls.__qualname__}" == public_path(ESTIMATORS[name])
    assert getattr(sklearn_sqrtlasso, cls.__name__) is cls


@each_class
@pytest.mark.parametrize("through", ["pickle", "skops"])
def test_a_file_of_another_version_says_so(name, through, monkeypatch):
    estimator = fitted(name)
    trusted = skops.get_untrusted_types(data=skops.dumps(estimator))
    write, read = {
        "pickle": (pickle.dumps, pickle.loads),
        "skops": (skops.dumps, lambda file: skops.loads(file, trusted=trusted)),
    }[through]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_array_equal(answer(read(write(estimator))), answer(estimator))
    file = write(estimator)
    monkeypatch.setattr(persistence, "__version__", "9.9")
    said = "from version 0.* of sklearn_sqrtlasso when using version 9.9"
    with pytest.warns(InconsistentVersionWarning, match=said):
        loaded = read(file)
    assert not hasattr(loaded, persistence.STAMP)
    assert_array_equal(answer(loaded), answer(estimator))


def test_diagrams_link_to_the_documentation_of_the_estimator():
    for coder in (SqrtLassoTransform(), Denoiser(SqrtLassoTransform())):
        page = f"api/generated/sklearn_sqrtlasso.{type(coder).__name__}.html"
        assert coder._get_doc_link().endswith(page)
        assert page in coder._repr_html_()
