"""Sparse rows of more columns than atoms: laws of formats, and no dense copy."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from sklearn_sqrtlasso import RelaxedSparseCoder
from sklearn_sqrtlasso.learning import coded_rows
from sklearn_sqrtlasso.learning.dictionary_learning import LEARNERS
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS
from tests import sized
from tests.benchmarks.shapes_data import topic_rows
from tests.estimators.test_memory import peak_of

N_ROWS, N_FEATURES, N_ATOMS = 80, 50, 6
ATOMS = np.random.default_rng(7).standard_normal((N_ATOMS, N_FEATURES)) / 7
METHODS = ("transform", "reconstruct", "noise_scale", "score")
ROUNDING = {"rtol": 1e-7, "atol": 1e-9}


def make_rows():
    """Return rows of few nonzeros, with empty rows and columns."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((N_ROWS, 8)) @ rng.standard_normal((8, N_FEATURES))
    X += rng.standard_normal(X.shape)
    X[rng.random(X.shape) < 0.8] = 0
    X[[4, 9]], X[:, [2, 11]] = 0, 0
    return X


def unsorted(X):
    """Return CSR rows whose entries are in reversed order, and split in two."""
    X = sp.csr_array(X)
    data = np.repeat(X.data[::-1] / 2, 2)
    rows = np.repeat(np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))[::-1], 2)
    columns = np.repeat(X.indices[::-1], 2)
    order = np.argsort(rows, kind="stable")
    indptr = 2 * X.indptr
    return sp.csr_array((data[order], columns[order], indptr), shape=X.shape)


def wide_indices(X):
    X = sp.csr_array(X)
    indices, indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return sp.csr_array((X.data, indices, indptr), shape=X.shape)


FORMATS = {
    "csr": sp.csr_array,
    "csr matrix": sp.csr_matrix,
    "csc": sp.csc_array,
    "coo matrix": sp.coo_matrix,
    "unsorted": unsorted,
    "int64": wide_indices,
}
each_format = pytest.mark.parametrize("format_of", FORMATS.values(), ids=FORMATS)


def quiet(work):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return work()


@pytest.fixture(params=SELECTORS)
def coder(request):
    row = SELECTORS[request.param]
    given = {"n_nonzero_coefs": 3} if row.takes_count != "never" else {"alpha": 0.3}
    coder = RelaxedSparseCoder(dictionary=ATOMS, selector=request.param, **given)
    return quiet(lambda: coder.fit(make_rows()))


@each_format
def test_sparse_rows_are_coded_like_dense_ones(coder, format_of):
    X = make_rows()
    for method in METHODS:
        ours, theirs = (getattr(coder, method)(of) for of in (format_of(X), X))
        assert_allclose(ours, theirs, **ROUNDING)


def test_single_precision_and_gaps(coder):
    X = make_rows().astype(np.float32)
    ours, theirs = coder.transform(sp.csr_array(X)), coder.transform(X)
    assert ours.dtype == theirs.dtype == np.float32
    assert_allclose(ours, theirs, atol=1e-5)
    if SELECTORS[coder.selector].certified:
        assert coder.duality_gap(sp.csr_array(X)).max() < 1e-8


def test_incomplete_sparse_rows_are_coded_like_dense_ones(coder):
    X = make_rows()
    X[np.random.default_rng(0).random(X.shape) < 0.02] = np.nan
    for method in METHODS:
        ours, theirs = (getattr(coder, method)(of) for of in (sp.csr_array(X), X))
        assert_allclose(ours, theirs, **ROUNDING)


def test_the_code_of_a_row_does_not_depend_on_its_neighbours(coder):
    X = sp.csr_array(make_rows())
    together = coder.transform(X)
    alone = np.vstack([coder.transform(X[[i]]) for i in range(5)])
    assert_allclose(alone, together[:5], **ROUNDING)


def new(learner, **given):
    given = {"alpha": 0.3, "max_iter": 3, "random_state": 0, "tol": 0.0} | given
    return RelaxedSparseCoder(N_ATOMS, learner=learner, **given)


each_learner = pytest.mark.parametrize("learner", LEARNERS)
LEARNT = ("components_", "objective_curve_", "code_gram_", "code_moment_")


def assert_learnt_alike(ours, theirs):
    for name in LEARNT:
        assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-8)


@each_learner
@pytest.mark.parametrize("format_of", [sp.csr_matrix, unsorted, wide_indices])
@pytest.mark.parametrize("given", [{}, {"positive": True}, {"n_nonzero_coefs": 2}])
def test_sparse_rows_are_learnt_like_dense_ones(learner, format_of, given):
    given = given | ({"alpha": "auto"} if "n_nonzero_coefs" in given else {})
    X, coder = make_rows(), new(learner, **given)
    ours = quiet(lambda: coder.fit(format_of(X)))
    assert_learnt_alike(ours, quiet(lambda: new(learner, **given).fit(X)))


@each_learner
@pytest.mark.parametrize("n_columns", [N_ATOMS, N_ATOMS + 1])
def test_sparse_rows_of_few_columns_are_learnt_like_dense_ones(learner, n_columns):
    X = make_rows()[:, 30 : 30 + n_columns]
    ours = quiet(lambda: new(learner).fit(sp.csr_array(X)))
    assert_learnt_alike(ours, quiet(lambda: new(learner).fit(X)))


@each_learner
def test_incomplete_sparse_rows_are_learnt_like_dense_ones(learner):
    X = make_rows()
    X[np.random.default_rng(0).random(X.shape) < 0.02] = np.nan
    ours = quiet(lambda: new(learner).fit(sp.csr_array(X)))
    assert_learnt_alike(ours, quiet(lambda: new(learner).fit(X)))


def test_streams_of_sparse_batches_are_those_of_dense_ones():
    ours, theirs = new("online"), new("online")
    for rows in (slice(0, 40), slice(40, 80)):
        quiet(lambda rows=rows: ours.partial_fit(sp.csr_array(make_rows()[rows])))
        quiet(lambda rows=rows: theirs.partial_fit(make_rows()[rows]))
    assert_learnt_alike(ours, theirs)


@each_learner
@pytest.mark.parametrize("format_of", [np.asarray, sp.csr_array])
def test_rows_that_are_read_in_blocks_are_learnt_alike(learner, format_of, monkeypatch):
    X = format_of(make_rows())
    whole = quiet(lambda: new(learner).fit(X))
    monkeypatch.setattr(coded_rows, "HELD_ENTRIES", 0)
    assert_learnt_alike(quiet(lambda: new(learner).fit(X)), whole)


WIDE = sized((3000, 4000), (60, 80))


@pytest.fixture(scope="module")
def wide_rows():
    rng = np.random.default_rng(0)
    return sp.random_array(WIDE, density=0.005, rng=rng, format="csr")


@each_learner
def test_no_row_is_made_dense(learner, wide_rows):
    coder = new(learner, alpha=0.1, max_iter=2, n_nonzero_coefs=None)
    quiet(lambda: new(learner, alpha=0.1, max_iter=2).fit(wide_rows[:50]))  # compile
    quiet(lambda: coder.fit(wide_rows[:50]).transform(wide_rows[:50]))
    model, held = 8 * N_ATOMS * WIDE[1], 16 * wide_rows.nnz
    allowed = 8 * model + 2 * held + 2**23  # with a block of the rows that are compared
    peak, _ = peak_of(lambda: quiet(lambda: coder.fit(wide_rows)))
    assert peak < allowed < 8 * WIDE[0] * WIDE[1] / sized(3, 1e-9)
    for method in ("transform", "noise_scale", "score"):
        peak, _ = peak_of(lambda method=method: getattr(coder, method)(wide_rows))
        assert peak < allowed


def test_rows_of_words_use_less_than_half_of_the_atoms_by_default():
    X = topic_rows(400, 4000, 8, seed=3)
    coder = RelaxedSparseCoder(30, max_iter=3, random_state=0).fit(X[:300])
    used = np.mean(coder.transform(X[300:]) != 0)
    assert 0.02 < used < 0.5
    everything = RelaxedSparseCoder(dictionary=coder.components_, alpha=0.0).fit(X[:2])
    best = everything.score(X[300:])
    assert coder.score(X[300:]) > best - 0.05


def test_a_report_of_shrinkage_makes_rows_dense_in_blocks():
    X = sp.random_array((800, 10_000), density=1e-3, format="csr", rng=0)
    atoms = np.random.default_rng(1).standard_normal((3, X.shape[1]))
    coder = RelaxedSparseCoder(dictionary=atoms, alpha=0.01).fit(X[:9])
    coder.shrinkage_report(X[:9])
    peak, report = peak_of(lambda: coder.shrinkage_report(X))
    assert peak < 8 * X.shape[0] * X.shape[1] / 2
    assert report.n_components == 3
