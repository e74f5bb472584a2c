"""Rows of a fit count in batches that follow: they keep it, and drift is followed."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import NeLUAutoencoder, RelaxedSparseCoder, SqrtLassoTransform
from tests.benchmarks.shapes_data import topic_rows
from tests.estimators.common import batches_of, low_rank, score_after

N_UNITS = 10
CODERS = {
    "transform": SqrtLassoTransform(random_state=0),
    "atoms": RelaxedSparseCoder(random_state=0),
    "network": NeLUAutoencoder(random_state=0),
}


def measurements(load, n_rows):
    X = StandardScaler().fit_transform(load().data)
    X = X[np.random.default_rng(0).permutation(len(X))]
    return X[:n_rows], X[n_rows:]


TABLES = {
    "wine": lambda: measurements(load_wine, 120),
    "cancer": lambda: measurements(load_breast_cancer, 400),
    "digits": lambda: measurements(load_digits, 1200),
    "tall": lambda: low_rank(3000, 8),
    "wide": lambda: low_rank(50, 200),
}
each_coder = pytest.mark.parametrize("name", CODERS)
each_table = pytest.mark.parametrize("table", TABLES)


@pytest.fixture(scope="module")
def fits():
    found = {}

    def fit(name, table):
        if (name, table) not in found:
            rows, others = TABLES[table]()
            coder = copy.deepcopy(CODERS[name]).fit(rows)
            found[name, table] = coder, rows, others
        return found[name, table]

    return fit


@each_coder
@each_table
@pytest.mark.parametrize("size", [1, 50, 500])
def test_batches_of_the_rows_keep_what_a_fit_has_learnt(name, table, size, fits):
    coder, rows, others = fits(name, table)
    batches = batches_of(rows, size, 20)
    for n_batches in (1, 4, 20):
        after = score_after(coder, batches[:n_batches], others)
        assert after >= 0.995 * coder.score(others)


@each_coder
@pytest.mark.parametrize("size", [1, 50, 500])
def test_new_rows_of_text_improve_what_few_have_taught(name, size):
    X = topic_rows(2500, 1500, N_UNITS, 0)
    coder = copy.deepcopy(CODERS[name]).set_params(n_components=N_UNITS).fit(X[:1000])
    n_rows = min(1000, 100 * size)
    batches = [X[at : at + size] for at in range(1000, 1000 + n_rows, size)]
    before, after = coder.score(X[2000:]), score_after(coder, batches, X[2000:])
    assert after > (1.0 if size > 1 else 0.995) * before


@each_coder
@each_table
def test_rows_of_another_kind_are_followed(name, table, fits):
    coder, rows, others = fits(name, table)
    columns = np.random.default_rng(2).permutation(rows.shape[1])
    batches = batches_of(rows[:, columns], 100, 50)
    before = coder.score(others[:, columns])
    after = score_after(coder, batches, others[:, columns])
    assert after - before > 0.25 * (coder.score(others) - before)


@pytest.mark.parametrize("size", [1, 7, 100, 200])
def test_a_network_takes_steps_as_of_a_stream_with_a_smaller_rate(size):
    rows, others = low_rank(512, 8)
    coder = NeLUAutoencoder(8, max_iter=30, batch_size=100, random_state=0).fit(rows)
    stream, n_seen = copy.deepcopy(coder), len(rows)
    stream.optimizer_state_["n_seen"] = 0
    for _ in range(3):
        n_seen += size
        rate = coder.learning_rate * np.sqrt(min(size, 100) / n_seen)
        stream.set_params(learning_rate=rate).partial_fit(others[:size])
        coder.partial_fit(others[:size])
        assert_array_equal(coder.components_, stream.components_)


def test_a_stream_from_scratch_keeps_its_rate():
    coder, rows = NeLUAutoencoder(8, random_state=0), low_rank(256, 8)[0]
    for at in range(0, 256, 32):
        coder.partial_fit(rows[at : at + 32])
    assert coder.optimizer_state_["n_seen"] == 0
    coder.fit(rows).partial_fit(rows[:32])
    assert coder.optimizer_state_["n_seen"] == 256 + 32
