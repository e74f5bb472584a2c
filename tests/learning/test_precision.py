"""The precision that networks are learnt in."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso import NeLUAutoencoder
from sklearn_sqrtlasso.blockwise.groups import groups_of_labels
from sklearn_sqrtlasso.learning import precision
from sklearn_sqrtlasso.learning.batches import Corruption, TrainingData, gather_batch
from sklearn_sqrtlasso.learning.precision import dtype_of_steps, in_precision
from sklearn_sqrtlasso.learning.usual_steps import UsualSteps

MANY = 1e11


def rows(n=60, p=5):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 2)) @ rng.standard_normal((2, p))


def data_of(X, **given):
    given = {"target": None, "coded": False, "unit": 1.0, **given}
    return TrainingData(X, groups=groups_of_labels(np.arange(X.shape[0])), **given)


def test_long_learning_is_in_single_precision():
    assert dtype_of_steps(data_of(rows()), MANY) == np.float32
    assert dtype_of_steps(data_of(rows() + 1e3), MANY) == np.float32
    assert dtype_of_steps(data_of(1e-200 * rows(), unit=2.0**-664), MANY) == np.float32
    noisy = data_of(sp.csr_array(rows()), corruption=Corruption(0.1, 1.0))
    assert dtype_of_steps(noisy, MANY) == np.float32


@pytest.mark.parametrize(
    ("X", "work", "given"),
    [
        (rows(), 1e9, {}),
        (rows(), MANY, {"target": rows()}),
        (sp.csr_array(rows()), MANY, {}),
        (sp.csr_array(rows()), MANY, {"corruption": Corruption(0.1, 1.0, None, 2)}),
        (rows() + 1e6, MANY, {}),
        (np.vstack([rows(), np.full((1, 5), 1e20)]), MANY, {}),
        (np.ones((60, 5)), MANY, {}),
    ],
    ids=["short", "target", "sparse", "in a span", "offset", "outlying", "constant"],
)
def test_other_learning_is_in_double_precision(X, work, given):
    assert dtype_of_steps(data_of(X, **given), work) == np.float64


def test_batches_are_scaled_before_they_are_rounded():
    span = np.eye(5)
    data = data_of(1e-200 * rows(), unit=1e-200, corruption=Corruption(0.1, 1, span))
    data = in_precision(data, np.float32)
    batch = gather_batch(data, np.arange(9), np.arange(10), np.random.default_rng(0))
    assert batch.X.dtype == batch.target.dtype == batch.weight.dtype == np.float32
    assert_allclose(batch.target, rows()[:9], rtol=1e-6)


@pytest.fixture
def few_steps(monkeypatch):
    monkeypatch.setattr(NeLUAutoencoder, "_usual", UsualSteps(200, 50))


@pytest.mark.parametrize("size", [1.0, 1e-150])
def test_rows_are_restored_as_in_double_precision(size, few_steps, monkeypatch):
    X = size * rows()
    coder = NeLUAutoencoder(3, random_state=0, noise_std=0.0, batch_size=20)
    double, score = coder.fit(X).components_, coder.score(X)
    monkeypatch.setattr(precision, "MOST_IN_DOUBLE", 0)
    single = coder.fit(X).components_
    assert single.dtype == coder.transform(X).dtype == np.float64
    assert not np.array_equal(single, double)
    assert abs(coder.score(X) - score) < 1e-3
    again = coder.set_params(max_iter=coder.n_iter_).fit(X).components_
    assert_array_equal(again, double)


def test_a_warm_start_and_a_stream_go_on(few_steps, monkeypatch):
    X = rows()
    coder = NeLUAutoencoder(3, random_state=0, warm_start=True).fit(X)
    before = coder.score(X)
    monkeypatch.setattr(precision, "MOST_IN_DOUBLE", 0)
    assert coder.fit(X).score(X) > before - 0.01
    assert coder.partial_fit(X).components_.dtype == np.float64
    assert coder.optimizer_state_["mean"]["W"].dtype == np.float64
