"""Default fits of long tables, whose cost grows less than their rows."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.decomposition import PCA

from sklearn_sqrtlasso import ANAMOAutoencoder, NeLUAutoencoder, RelaxedSparseCoder
from sklearn_sqrtlasso.blockwise.groups import groups_of_labels
from sklearn_sqrtlasso.estimators import anamo_autoencoder
from sklearn_sqrtlasso.learning.alternating import Alternation
from sklearn_sqrtlasso.learning.batches import TrainingData
from sklearn_sqrtlasso.learning.coded_rows import DictionaryTask
from sklearn_sqrtlasso.learning.dictionary_learning import LEARNERS
from sklearn_sqrtlasso.learning.usual_steps import UsualSteps


def make_rows(n, p=4):
    return np.random.default_rng(0).standard_normal((n, p))


@pytest.mark.parametrize(("n", "epochs"), [(10, 200), (100, 20), (2500, 1)])
def test_networks_take_about_two_thousand_steps(n, epochs):
    coder = NeLUAutoencoder(2, batch_size=1, random_state=0).fit(make_rows(n))
    assert coder.n_iter_ == epochs
    assert 1000 <= coder.optimizer_state_["n_steps"] <= 2000


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
@pytest.mark.parametrize(("n", "epochs"), [(900, 20), (300, 100)])
def test_dear_alternations_start_in_principal_directions(n, epochs, kind, monkeypatch):
    """Their decoder restores rows before any step: one is as good as twenty."""
    monkeypatch.setattr(anamo_autoencoder, "AFFORDABLE", 100 * 2 * 4 * 500)
    X = kind(make_rows(n))
    coder = ANAMOAutoencoder(2, tol=0.0, random_state=0)
    coder.set_params(n_encoder_steps=1, n_decoder_steps=1)
    assert coder.fit(X).n_iter_ == epochs
    first = coder.loss_curve_[0]
    lost = PCA(2).fit(make_rows(n)).noise_variance_ * 2
    assert (first < 1.1 * lost) == (epochs == 20)
    coder.set_params(max_iter=20).fit(X)  # from Gaussian weights
    assert coder.loss_curve_[0] > 1.1 * lost


def test_alternations_on_few_rows_in_their_span_end_early():
    coder = ANAMOAutoencoder(2, tol=0.0, random_state=0)
    coder.set_params(n_encoder_steps=1, n_decoder_steps=1)
    n_iter = [coder.fit(make_rows(10, p)).n_iter_ for p in (5, 6, 20)]
    assert n_iter == [100, 20, 20]
    coder.set_params(encoder_activation="relu")  # has no directions to start from
    n_iter = [coder.fit(make_rows(10, p)).n_iter_ for p in (19, 20)]
    assert n_iter == [100, 25]


def test_alternations_take_no_more_rows_than_five_hundred_batches(monkeypatch):
    taken, iterate = [], Alternation.iterate

    def spy(self, objectives):
        objectives = list(objectives)
        taken.extend(of.n_rows for of in objectives)
        return iterate(self, objectives)

    monkeypatch.setattr(Alternation, "iterate", spy)
    coder = ANAMOAutoencoder(2, batch_size=3, random_state=0)
    coder.set_params(n_encoder_steps=1, n_decoder_steps=1).fit(make_rows(1600))
    assert coder.n_iter_ == 1
    assert sum(taken) == 1500
    taken.clear()
    coder.set_params(max_iter=1).fit(make_rows(1600))
    assert sum(taken) == 1600


def test_some_rows_of_groups_remain_groups():
    groups = groups_of_labels(np.arange(60) // 10)
    data = TrainingData(make_rows(60), None, coded=False, groups=groups)
    rng = np.random.default_rng(0)
    some = UsualSteps(9, 1).some_rows(data, 5, rng)
    assert some.groups.n_rows == 45
    for start, stop in pairwise(some.groups.starts):
        rows = some.groups.order[start:stop]
        assert len(np.unique(rows // 10)) == 1
        assert len(np.unique(rows)) == len(rows)
    assert UsualSteps(9, 1).some_rows(data, 7, rng) is data


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


def test_the_online_learner_uses_up_to_51200_rows_and_about_100_batches(rows_of_sweeps):
    coder = RelaxedSparseCoder(2, learner="online", tol=0.0, random_state=0)
    coder.fit(make_rows(512 * 40, 2))
    assert sum(rows_of_sweeps) == 2 * 512 * 40
    rows = [np.broadcast_to(0.0, (n, 2)) for n in (10, 5120, 10**6)]
    learner = LEARNERS["online"]
    assert [learner.usual_sweeps(X) for X in rows] == [30, 10, 1]
    assert [learner.usual_rows(X, 2) for X in rows] == [51200, 51200, 226274]
    wide = [np.broadcast_to(0.0, (10**6, p)) for p in (64, 1000)]
    assert [learner.usual_rows(X, 2) for X in wide] == [2**17, 51200]
