"""A fit over chunks is the fit of all rows, and no task ever has two chunks."""

import importlib
import pickle
import sys
import warnings

import dask
import dask.array as da
import numpy as np
import pytest
from dask.core import get_dependencies
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import SGDRegressor

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    PivotalPCA,
    RelaxedSparseCoder,
    SqrtLasso,
    SqrtLassoCV,
    SqrtLassoTransform,
)
from sklearn_sqrtlasso.dask import calls, chunks, fit, partial_fit, score
from tests.dask.problems import (
    ENCODERS,
    LABELS,
    N_FEATURES,
    N_ROWS,
    REGRESSIONS,
    WEIGHTS,
    X,
    Y,
    assert_same_fit,
    chunked,
    in_chunks,
)

pytestmark = pytest.mark.filterwarnings("ignore")
N_CHUNKS = (1, 3, 17)


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_is_that_of_all_rows(name):
    estimator, rows = ENCODERS[name]
    alone = clone(estimator).fit(rows)
    for n_chunks in N_CHUNKS if name in ("frame", "turns") else N_CHUNKS[1:2]:
        model = fit(clone(estimator), chunked(rows, n_chunks))
        assert_same_fit(model, alone)
        assert abs(score(model, chunked(rows, 2)) - alone.score(rows)) < 1e-10


@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_regression_is_that_of_all_rows(name):
    estimator, y, weights = REGRESSIONS[name]
    alone = clone(estimator).fit(X, y, weights)
    expected = alone.score(X, y, weights)
    for n_chunks in N_CHUNKS:
        given = {"y": chunked(y, 2)}
        if weights is not None:
            given["sample_weight"] = chunked(weights, 5)
        rows = chunked(X, n_chunks)
        model = fit(clone(estimator), rows, **given)
        assert_same_fit(model, alone)
        assert model.dual_gap_ is not None
        assert np.all(np.asarray(model.dual_gap_) <= model.tol)
        assert abs(score(model, rows, **given) - expected) < 1e-10


GROUPS = {"mixed": LABELS, "sorted": np.sort(LABELS), "all": "all"}


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("alpha", ["auto", 0.3])
def test_groups_may_span_chunks(name, alpha):
    coder, labels = SqrtLassoTransform(alpha=alpha, max_iter=2, tol=1e-6), GROUPS[name]
    given = labels if isinstance(labels, str) else chunked(labels, 4)
    alone = clone(coder).fit(X, groups=labels)
    model = fit(clone(coder), chunked(X, 7), groups=given)
    assert_same_fit(model, alone)
    found = score(model, chunked(X, 7), groups=given)
    assert abs(found - alone.score(X, groups=labels)) < 1e-10


def test_groups_that_span_chunks_have_no_gaps():
    coder = SqrtLassoTransform(outlier_alpha="auto", max_iter=1)
    with pytest.raises(ValueError, match="sort the rows by groups"):
        fit(coder, chunked(X), groups=chunked(LABELS))
    places = np.repeat(np.arange(3), 170)
    alone = clone(coder).fit(X, groups=places)
    assert_same_fit(fit(coder, chunked(X), groups=chunked(places)), alone)


def test_a_fit_in_single_precision_is_near():
    alone = SqrtLassoTransform(alpha=0.3, max_iter=3, tol=0).fit(X)
    rows = chunked(X.astype(np.float32))
    model = fit(SqrtLassoTransform(alpha=0.3, max_iter=3, tol=0), rows)
    assert model.components_.dtype == np.float32
    assert_same_fit(model, alone, tol=1e-4)


def test_a_network_travels_from_chunk_to_chunk():
    network = NeLUAutoencoder(4, max_iter=3, random_state=0)
    model = fit(clone(network), chunked(X))
    alone, order = clone(network), np.random.RandomState(0)
    for _ in range(3):
        for place in order.permutation(3):
            alone.partial_fit(X[170 * place : 170 * (place + 1)])
    assert_same_fit(model, alone, tol=0)


def test_partial_fit_takes_chunks_in_turn():
    coder = SqrtLassoTransform(4)
    model = partial_fit(clone(coder), chunked(X), groups=chunked(LABELS))
    for place in range(3):
        rows = slice(170 * place, 170 * (place + 1))
        coder.partial_fit(X[rows], groups=LABELS[rows])
    assert_same_fit(model, coder, tol=0)


def test_few_chunks_wait_for_the_model():
    made, waiting = [], []

    class Counter:
        def partial_fit(self, X):
            waiting.append(len(made) - len(waiting))
            return self

    def make():
        made.append(1)
        return np.zeros((10, 1))

    parts = [dask.delayed(make, pure=False)() for _ in range(12)]
    rows = da.concatenate([da.from_delayed(part, (10, 1), float) for part in parts])
    with dask.config.set(scheduler="threads", num_workers=12):
        partial_fit(Counter(), rows)
    assert len(waiting) == 12
    assert max(waiting) <= 4


def test_partial_fit_is_for_others_too():
    model = SGDRegressor(random_state=0)
    partial_fit(model, chunked(X), chunked(Y[:, 0]), n_epochs=2, random_state=0)
    alone, order = SGDRegressor(random_state=0), np.random.RandomState(0)
    for place in [*order.permutation(3), *order.permutation(3)]:
        rows = slice(170 * place, 170 * (place + 1))
        alone.partial_fit(X[rows], Y[rows, 0])
    assert_array_equal(model.coef_, alone.coef_)


@pytest.mark.parametrize("sizes", [(0, 200, 0, 310, 0), (1, 508, 1), (255, 255)])
def test_chunks_may_be_empty_or_of_one_row(sizes):
    coder = SqrtLassoTransform(alpha=0.3, max_iter=2, tol=0)
    assert_same_fit(fit(clone(coder), in_chunks(X, sizes)), clone(coder).fit(X))
    given = in_chunks(X, sizes), in_chunks(Y, sizes)
    assert_same_fit(fit(SqrtLasso(), *given), SqrtLasso().fit(X, Y))
    network = NeLUAutoencoder(4, max_iter=1)
    assert fit(network, given[0]).n_iter_ == np.count_nonzero(sizes)


def test_sizes_of_chunks_may_be_unknown():
    rows, keep = chunked(X), chunked(X[:, 0] > 0)
    kept = X[:, 0] > 0
    coder = SqrtLassoTransform(alpha=0.3, max_iter=2, tol=0)
    assert_same_fit(fit(clone(coder), rows[keep]), clone(coder).fit(X[kept]))
    model = fit(SqrtLasso(), rows[keep], chunked(Y)[keep])
    assert_same_fit(model, SqrtLasso().fit(X[kept], Y[kept]))


@pytest.mark.parametrize("name", ["frame", "frame-gaps", "turns", "lasso"])
def test_no_task_has_two_chunks(monkeypatch, name):
    """Tasks see a chunk, or what was made of one; values that are joined are short."""
    graphs, lengths, join = [], [], calls.combined

    def compute(*values):
        graphs.extend(dict(value.__dask_graph__()) for value in values)
        return dask.compute(*values)

    def watched(values, combine):
        fields = [f for v in values for f in (v if isinstance(v, tuple) else (v,))]
        lengths.extend(np.shape(field)[0] for field in fields if np.ndim(field))
        return join(values, combine)

    monkeypatch.setattr(chunks, "compute", compute)
    monkeypatch.setattr(calls, "combined", watched)
    targets = {"y": chunked(Y, 5)} if name == "lasso" else {}
    estimator, rows = ENCODERS[name] if name in ENCODERS else (SqrtLasso(), X)
    fit(clone(estimator), chunked(rows, 5), **targets)
    n_calls = 0
    for graph in graphs:
        for key in graph:
            needed = [str(of) for of in get_dependencies(graph, key)]
            if str(key).startswith("('combined"):
                assert all("call_chunk" in of or "combined" in of for of in needed)
                continue
            of_rows = [of for of in needed if "of-call_chunk" not in of]
            assert len(of_rows) <= 1 + ("call_chunk" in str(key)) * len(targets)
            n_calls += "call_chunk" in str(key)
    assert n_calls >= 5
    assert max(lengths, default=0) < N_ROWS // 5


def test_a_model_needs_no_dask():
    model = fit(SqrtLassoTransform(max_iter=1), chunked(X))
    assert b"dask" not in pickle.dumps(model)
    network = fit(NeLUAutoencoder(3, max_iter=1), chunked(X))
    assert b"dask" not in pickle.dumps(network)


def test_progress_is_told(capsys):
    fit(SqrtLassoTransform(max_iter=2, tol=0, verbose=1), chunked(X))
    fit(NeLUAutoencoder(3, max_iter=2, verbose=1), chunked(X))
    printed = capsys.readouterr().out
    assert "[SqrtLassoTransform] step 2/2" in printed
    assert "[NeLUAutoencoder] step 2/2" in printed


HOLES = np.where(X > 2, np.nan, X)
REFUSED = {
    "columns": (SqrtLassoTransform(), {"X": X.T}, "at least as many rows"),
    "ksvd": (RelaxedSparseCoder(subsample=None), {"X": X}, "mod"),
    "batches": (ANAMOAutoencoder(), {"X": X}, "batch_size=None"),
    "bits": (ANAMOAutoencoder(binary="relaxed", batch_size=None), {"X": X}, "binary"),
    "early": (NeLUAutoencoder(early_stopping=True), {"X": X}, "early_stopping"),
    "products": (SqrtLasso(precompute=False), {"X": X, "y": Y}, "precompute"),
    "loadings": (SqrtLasso(penalty_loadings="auto"), {"X": X, "y": Y}, "residuals"),
    "offset": (SqrtLasso(), {"X": X + 1e6, "y": Y}, "centre"),
    "target": (SqrtLasso(), {"X": X}, "y must"),
    "folds": (SqrtLassoCV(cv=[([0], [1])]), {"X": X, "y": Y[:, 0]}, "KFold"),
    "weights": (SqrtLasso(), {"X": X, "y": Y, "sample_weight": 0 * WEIGHTS}, "zeros"),
    "parameter": (SqrtLasso(tol=-1), {"X": X, "y": Y}, "tol"),
    "short": (SqrtLasso(), {"X": X, "y": Y[:9]}, "each of the 510"),
    "infinite": (SqrtLassoTransform(), {"X": np.where(X > 2, np.inf, X)}, "infinity"),
    "gaps": (NeLUAutoencoder(), {"X": HOLES}, "NaN: fill in .* RelaxedSparseCoder"),
    "holes": (SqrtLasso(), {"X": HOLES, "y": Y}, "NaN: fill in .* RelaxedSparseCoder"),
    "no target": (SqrtLasso(), {"X": X, "y": HOLES[:, :2]}, "y contains NaN"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_fitted_is_refused_and_changes_nothing(name):
    estimator, arrays, message = REFUSED[name]
    before = dict(vars(estimator))
    given = {key: chunked(value, 2) for key, value in arrays.items()}
    with pytest.raises(ValueError, match=message):
        fit(estimator, **given)
    assert vars(estimator) == before


def test_other_estimators_are_told_of_partial_fit():
    with pytest.raises(TypeError, match="partial_fit"):
        fit(PivotalPCA(), chunked(X))
    with pytest.raises(TypeError, match="no partial_fit"):
        partial_fit(PivotalPCA(), chunked(X))
    with pytest.raises(ValueError, match="n_epochs"):
        partial_fit(NeLUAutoencoder(), chunked(X), n_epochs=0)
    with pytest.raises(TypeError, match="sample_weight has no meaning"):
        fit(SqrtLassoTransform(), chunked(X), sample_weight=chunked(WEIGHTS))


def test_chunks_of_columns_are_refused_with_what_to_do():
    split = chunked(X).rechunk((200, 3))
    with pytest.raises(ValueError, match=r"X\.rechunk\(\{1: -1\}\)"):
        fit(SqrtLassoTransform(), split)
    with pytest.raises(TypeError, match="got ndarray"):
        fit(SqrtLassoTransform(), X)
    with pytest.raises(ValueError, match="one row"):
        fit(SqrtLassoTransform(), in_chunks(X[:0], (0, 0)))


def test_a_chunk_of_other_columns_is_refused():
    parts = [chunked(X, 1), chunked(X[:, :4], 1)]
    blocks = np.array([part.to_delayed().ravel()[0] for part in parts])
    array = [
        dask.array.from_delayed(block, (N_ROWS, N_FEATURES), float) for block in blocks
    ]
    with pytest.raises(ValueError, match="X has 4 features, but"):
        fit(SqrtLassoTransform(), dask.array.concatenate(array))


def test_the_extra_is_named_where_dask_is_missing(monkeypatch):
    compat = "sklearn_sqrtlasso.dask.compat"
    monkeypatch.setitem(sys.modules, "dask", None)
    monkeypatch.delitem(sys.modules, compat)
    with pytest.raises(ImportError, match=r"sklearn-sqrtlasso\[dask\]"):
        importlib.import_module(compat)


def test_warnings_of_codes_are_those_of_a_fit():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        fit(SqrtLassoTransform(alpha=5.0, max_iter=1), chunked(X))
    assert any("code of zeros" in str(one.message) for one in seen)
