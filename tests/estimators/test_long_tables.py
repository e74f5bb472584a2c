"""Default fits of long tables, whose cost grows less than their rows."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_sqrtlasso import ANAMOAutoencoder, NeLUAutoencoder, RelaxedSparseCoder
from sklearn_sqrtlasso.learning.coded_rows import DictionaryTask
from sklearn_sqrtlasso.learning.dictionary_learning import LEARNERS


def make_rows(n, p=4):
    return np.random.default_rng(0).standard_normal((n, p))


@pytest.mark.parametrize(("n", "epochs"), [(5, 200), (100, 20), (2500, 1)])
def test_networks_take_about_two_thousand_steps(n, epochs):
    coder = NeLUAutoencoder(2, batch_size=1, random_state=0).fit(make_rows(n))
    assert coder.n_iter_ == epochs


@pytest.mark.parametrize(("n", "epochs"), [(30, 100), (2500, 2)])
def test_alternations_take_about_five_hundred_batches(n, epochs):
    given = {"batch_size": 10, "tol": 0.0, "random_state": 0}
    coder = ANAMOAutoencoder(2, n_encoder_steps=1, n_decoder_steps=1, **given)
    assert coder.fit(make_rows(n)).n_iter_ == epochs


def test_alternations_use_batches_of_many_rows_only():
    coder = ANAMOAutoencoder(2, max_iter=2, random_state=0)
    for n, same in ((1500, None), (2001, 500)):
        X = make_rows(n)
        ours = coder.set_params(batch_size="auto").fit(X).components_
        assert_array_equal(ours, coder.set_params(batch_size=same).fit(X).components_)


@pytest.fixture
def rows_of_sweeps(monkeypatch):
    """Return the numbers of rows that are coded in learning, as they are coded."""
    counts, batches = [], DictionaryTask.batches

    def spy(self, X):
        counts.append(X.shape[0])
        return batches(self, X)

    monkeypatch.setattr(DictionaryTask, "batches", spy)
    return counts


@pytest.mark.parametrize(
    ("subsample", "most"), [("auto", 2 * 64), (50, 50), (None, 500), (1000, 500)]
)
def test_atoms_are_learnt_from_some_rows(subsample, most, rows_of_sweeps):
    coder = RelaxedSparseCoder(2, subsample=subsample, max_iter=3, random_state=0)
    coder.fit(make_rows(500))
    assert set(rows_of_sweeps) == {most}
    assert coder.n_samples_seen_ == 500
    gram = np.trace(coder.code_gram_)
    whole = RelaxedSparseCoder(2, subsample=None, max_iter=3, random_state=0)
    # sums stand for all rows, whatever the sample
    assert gram == pytest.approx(
        np.trace(whole.fit(make_rows(500)).code_gram_), rel=0.3
    )


def test_few_rows_are_all_used():
    X = make_rows(100)
    some = RelaxedSparseCoder(2, max_iter=3, random_state=0).fit(X)
    all_of_them = RelaxedSparseCoder(2, subsample=None, max_iter=3, random_state=0)
    assert_array_equal(some.components_, all_of_them.fit(X).components_)


def test_the_online_learner_uses_all_rows_and_about_100_batches(rows_of_sweeps):
    coder = RelaxedSparseCoder(2, learner="online", tol=0.0, random_state=0)
    coder.fit(make_rows(512 * 40, 2))
    assert sum(rows_of_sweeps) == 2 * 512 * 40
    rows = [np.broadcast_to(0.0, (n, 2)) for n in (10, 5120, 10**6)]
    sweeps = [LEARNERS["online"].usual_sweeps(X) for X in rows]
    assert sweeps == [30, 10, 1]
