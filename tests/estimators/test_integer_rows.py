"""Rows of integers are converted in blocks, and results are those of all at once."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    RelaxedSparseCoder,
    SqrtLasso,
    SqrtLassoCV,
    SqrtLassoTransform,
    sqrt_lasso_path,
)
from sklearn_sqrtlasso.blockwise import blocks, converted_rows, linalg
from sklearn_sqrtlasso.blockwise.converted_rows import (
    ConvertedRows,
    are_many_integers,
    canonical_rows,
)
from sklearn_sqrtlasso.blockwise.integer_rows import IntegerRows
from sklearn_sqrtlasso.learning import coded_rows
from sklearn_sqrtlasso.regression import design, moments
from sklearn_sqrtlasso.regression.designs import design_of
from tests import sized
from tests.estimators.encoders import N_FEATURES, OF_THE_CLASS, learns_from_batches, new
from tests.estimators.test_sparse_matrices import doubled, peak_of, wide_indices

METHODS = ["transform", "reconstruct", "noise_scale", "duality_gap"]
NUMBERS = ["score", "report"]


def integers(dtype=np.int32, shape=(40, N_FEATURES)):
    rows = np.random.default_rng(3).integers(0, 9, shape)
    return (rows % 2 if np.dtype(dtype) == bool else rows).astype(dtype)


@pytest.fixture
def few_are_many(monkeypatch):
    monkeypatch.setattr(converted_rows, "HELD_ENTRIES", 0)


def results(coder, X):
    """Return what a fit and all methods make of rows, as dense arrays and numbers."""
    coder.fit(X)
    found = [getattr(coder, of)(X) for of in METHODS if hasattr(coder, of)]
    found = [of.toarray() if hasattr(of, "toarray") else of for of in found]
    found += [np.array(getattr(coder, of)(X), float) for of in NUMBERS]
    if learns_from_batches(coder):
        found.append(coder.partial_fit(1000 * X).partial_fit(X).components_)
    return found


@pytest.mark.parametrize("name", OF_THE_CLASS)
def test_integers_read_in_blocks_are_numbers_like_others(name, few_are_many):
    X = integers()
    assert are_many_integers(X)
    expected = results(new(name), X.astype(np.float64))
    for ours, theirs in zip(results(new(name), X), expected, strict=True):
        assert ours.dtype == theirs.dtype
        assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64])
def test_rows_of_integers_act_as_an_array(dtype):
    X = integers(dtype)
    rows, whole = IntegerRows(X), X.astype(np.float64)
    assert (rows.shape, rows.size, len(rows)) == (X.shape, X.size, len(X))
    some = np.array([3, 1])
    for ours, theirs in [
        (rows[2:5], whole[2:5]),
        (rows[some], whole[some]),
        (rows * np.float64(4), whole * 4.0),
        (rows @ whole.T, whole @ whole.T),
        (rows.max(axis=0), whole.max(axis=0)),
        (rows.min(), whole.min()),
        (np.asarray(rows), whole),
        (rows.astype(np.float32), whole.astype(np.float32)),
    ]:
        assert ours.dtype == theirs.dtype
        assert_array_equal(ours, theirs)


def test_rows_of_integers_share_no_memory_with_those_given():
    X = integers()
    rows = IntegerRows(X)
    rows[:2][:] = -1
    rows.astype(np.float64)[:] = -1
    assert_array_equal(X, integers())


@pytest.mark.parametrize(
    "X",
    [integers(np.float64), integers().tolist(), integers(shape=(3, N_FEATURES))],
    ids=["floats", "lists", "wide"],
)
def test_other_rows_are_converted_as_a_whole(X, few_are_many):
    assert not are_many_integers(X)


def test_few_integers_are_converted_as_a_whole():
    assert not are_many_integers(integers())


KINDS = {
    "integers": lambda X: sp.csr_array(X.astype(np.int32)),
    "unsigned": lambda X: sp.csr_matrix(X.astype(np.uint16)),
    "wide indices": lambda X: wide_indices(X.astype(np.int16)),
    "unsorted, repeated": doubled,
    "single precision": lambda X: doubled(X.astype(np.float32)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OF_THE_CLASS)
def test_sparse_rows_read_in_blocks_are_rows_like_others(name, kind, few_are_many):
    X = KINDS[kind](integers())
    assert are_many_integers(X) or isinstance(canonical_rows(X), ConvertedRows)
    dtype = np.float32 if X.dtype == np.float32 else np.float64
    usual = sp.csr_array(integers().astype(dtype))
    before = [of.copy() for of in (X.data, X.indices, X.indptr)]
    for ours, theirs in zip(
        results(new(name), X), results(new(name), usual), strict=True
    ):
        assert ours.dtype == theirs.dtype
        rtol = 1e-9 if dtype == np.float64 else 1e-3
        assert_allclose(ours, theirs, rtol=rtol, atol=rtol)
    for array, copy in zip((X.data, X.indices, X.indptr), before, strict=True):
        assert_array_equal(array, copy)


def test_sparse_rows_of_integers_act_as_a_matrix():
    X = doubled(integers())
    X = sp.csr_array((X.data.astype(np.int8), X.indices, X.indptr), shape=X.shape)
    rows, whole = ConvertedRows(X, np.float64), sp.csr_array(X.toarray().astype(float))
    V, some = np.random.default_rng(0).random((N_FEATURES, 3)), np.array([3, 1])
    for ours, theirs in [
        (rows[2:5], whole[2:5]),
        (rows[some], whole[some]),
        (rows.copy(), whole),
        (rows.astype(np.float32), whole.astype(np.float32)),
        (rows / 4, whole / 4),
        ((rows * 4)[:], whole * 4),
    ]:
        assert type(ours) is sp.csr_array
        assert ours.has_canonical_format
        assert ours.dtype == theirs.dtype
        assert_array_equal(ours.toarray(), theirs.toarray())
    product = rows @ sp.csr_array(V)
    assert_allclose(product.toarray(), whole @ V)
    assert rows.astype(np.float64, copy=False) is rows
    assert_allclose(rows @ V, whole @ V)
    assert_allclose(rows @ V[:, 0], whole @ V[:, 0])
    assert_allclose(rows.T @ np.arange(40.0), whole.T @ np.arange(40.0))
    assert_array_equal(rows.toarray(), whole.toarray())
    assert (rows.max(), rows.min()) == (whole.max(), whole.min())


def test_a_missing_entry_is_in_rows_that_are_brought_in_order_at_once(few_are_many):
    X = doubled(integers(np.float64))
    X.data[3] = np.nan
    assert not isinstance(canonical_rows(X), ConvertedRows)


SHORT = {"max_iter": 1, "random_state": 0}
CODERS = [
    SqrtLassoTransform(3, **SHORT),
    NeLUAutoencoder(3, batch_size=5000, **SHORT),
    ANAMOAutoencoder(3, batch_size=5000, **SHORT),
    RelaxedSparseCoder(3, learner="online", **SHORT),
]
STREAMED = ["fit", "partial_fit", "transform", "noise_scale", "score"]


@pytest.fixture(scope="module")
def many():
    """Return sparse rows of integers, as they are and in reverse order."""
    rng, shape = np.random.default_rng(0), (sized(20_000, 400), 25)
    columns = np.arange(25) * 8 + rng.integers(8, size=shape)
    bounds = np.arange(0, columns.size + 1, 25)
    entries = rng.integers(1, 5, columns.size, dtype=np.int32)
    shape = len(columns), 200
    X = sp.csr_array((entries, columns.ravel(), bounds), shape=shape)
    reversed_ = entries[::-1].astype(float), columns[:, ::-1].ravel(), bounds
    return X, sp.csr_array(reversed_, shape=shape)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("coder", CODERS, ids=str)
def test_no_copy_of_sparse_rows_is_made(coder, many, few_are_many, monkeypatch):
    monkeypatch.setattr(coded_rows, "HELD_ENTRIES", 0)
    monkeypatch.setattr(linalg, "BLOCK_ENTRIES", 2**14)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 2**19)
    coder = clone(coder).fit(many[0][:100])  # kernels are compiled beforehand
    copy = many[0].nnz * 12  # bytes in double precision, with their columns
    methods = [of for of in STREAMED if hasattr(coder, of)]
    usual = many[0].astype(np.float64)
    expected = [peak_of(lambda of=of: getattr(coder, of)(usual)) for of in methods]
    for X in many:
        for method, peak in zip(methods, expected, strict=True):
            ours = peak_of(lambda of=method, X=X: getattr(coder, of)(X))
            assert ours < peak + copy / 2, method


class Path:
    """The path of the square-root lasso, with the methods of a regressor."""

    def fit(self, X, y, sample_weight=None):
        self.coef_ = sqrt_lasso_path(X, y, alphas=5, fit_intercept=True).coefs
        return self


REGRESSORS = {
    "moments": SqrtLasso(),
    "rows": SqrtLasso(precompute=False),
    "least squares": SqrtLasso(0),
    "loadings": SqrtLasso(penalty_loadings="auto"),
    "without an intercept": SqrtLasso(0.1, fit_intercept=False, phi=0),
    "folds": SqrtLassoCV(cv=3, alphas=20),
    "folds of rows": SqrtLassoCV(cv=[(np.arange(30), np.arange(20, 40))], alphas=20),
    "path": Path(),
}
WEIGHTS = {"all alike": None, "some zero": np.arange(40) % 3}


def regression_on(X, n_targets=1):
    """Return targets that some columns explain, with noise."""
    rng = np.random.default_rng(4)
    W = np.zeros((X.shape[1], n_targets))
    W[:2] = 1 + rng.random((2, n_targets))
    noise = rng.standard_normal((len(X), n_targets))
    return (X.astype(float) @ W + noise).squeeze()


def found_by(regressor, X, y, weights):
    """Return what a fit to rows and its methods find."""
    regressor.fit(X, y, sample_weight=weights)
    found = [regressor.coef_]
    if not isinstance(regressor, Path):
        found += [regressor.intercept_, regressor.sigma_, regressor.predict(X)]
        found += [regressor.score(X, y, sample_weight=weights)]
        found += [clone(regressor).fit(X, y, weights).sparsify().predict(X)]
    return found


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint64])
@pytest.mark.parametrize("regressor", REGRESSORS.values(), ids=REGRESSORS)
def test_regressions_on_integers_are_those_on_numbers(
    regressor, dtype, weights, few_are_many
):
    X = integers(dtype)
    y = regression_on(X)
    expected = found_by(regressor, X.astype(np.float64), y, weights)
    for ours, theirs in zip(found_by(regressor, X, y, weights), expected, strict=True):
        assert np.asarray(ours).dtype == np.asarray(theirs).dtype
        assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("precompute", ["auto", False, "given"])
def test_integers_explain_several_targets(precompute, few_are_many):
    X = integers()
    rows = X.astype(np.float64)
    y, centred = regression_on(X, 3), rows - rows.mean(axis=0)
    precompute = centred.T @ centred if precompute == "given" else precompute
    ours = SqrtLasso(0.1, precompute=precompute).fit(X, y)
    theirs = clone(ours).fit(rows, y)
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-9, atol=1e-12)
    assert_allclose(ours.predict(X), theirs.predict(rows), rtol=1e-12)


def test_equal_columns_of_integers_are_found(few_are_many):
    X = np.hstack([integers(), integers()])
    one, other = np.arange(3), np.array([N_FEATURES, 1, 5])
    for rows in IntegerRows(X), X.astype(np.float64):
        columns = design_of(rows, np.full(40, 1 / 40), True)
        assert_array_equal(columns.are_equal(one, other), [True, True, False])


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (integers(), np.ones(39), "inconsistent numbers of samples"),
        (integers(), None, "y"),
        (integers(), np.full(40, np.nan), "NaN"),
        (integers(), np.ones((40, 1, 1)), "dim"),
    ],
    ids=["too short", "none", "missing", "of three axes"],
)
def test_targets_of_integers_are_checked(X, y, message, few_are_many):
    with pytest.raises(ValueError, match=message):
        SqrtLasso().fit(X, y)


def test_predictions_from_integers_check_the_number_of_columns(few_are_many):
    model = SqrtLasso().fit(integers(), regression_on(integers()))
    with pytest.raises(ValueError, match="features"):
        model.predict(integers()[:, 1:])


IN_FEW_ROWS = {of: REGRESSORS[of] for of in ("moments", "rows", "folds", "path")}


@pytest.mark.parametrize("regressor", IN_FEW_ROWS.values(), ids=IN_FEW_ROWS)
def test_no_copy_of_the_integers_of_a_regression_is_made(
    regressor, few_are_many, monkeypatch
):
    for module, name in [
        (moments, "CHUNK_ENTRIES"),
        (design, "BLOCK_ENTRIES"),
        (linalg, "BLOCK_ENTRIES"),
    ]:
        monkeypatch.setattr(module, name, 2**12)
    X = integers(np.int16, (sized(20_000, 2000), 64))
    y = regression_on(X)
    regressor.fit(X[:500], y[:500])  # kernels are compiled beforehand
    copy = X.size * 8  # bytes in double precision
    assert peak_of(lambda: regressor.fit(X, y)) < copy / 2
    if hasattr(regressor, "predict"):
        assert peak_of(lambda: regressor.predict(X)) < copy / 8
        assert peak_of(lambda: regressor.score(X, y)) < copy / 4


def test_single_precision_is_not_copied_for_coefficients_in_double(monkeypatch):
    monkeypatch.setattr(linalg, "BLOCK_ENTRIES", 2**12)
    X = integers(np.float32, (2000, 64))
    model = SqrtLasso().fit(X.astype(np.float64), regression_on(X))
    expected = model.predict(X.astype(np.float64))
    assert peak_of(lambda: model.predict(X)) < X.size
    assert_allclose(model.predict(X), expected, rtol=1e-12)
