"""Coding needs little memory beside its output, however many rows share a level."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from sklearn_sqrtlasso import (
    RelaxedSparseCoder,
    SqrtLasso,
    SqrtLassoCV,
    SqrtLassoTransform,
    sqrt_lasso_path,
)
from tests import sized

ALLOWED = 16 * 2**20
N_ROWS = sized(20_000, 100)
# Two arrays of the size of the components: those, and the next ones or the moment of
# codes and rows. Codes of fewer rows than columns are smaller, and so are blocks.
SHAPE, N_COMPONENTS, N_ARRAYS = sized((1500, 20_000), (150, 2000)), 60, 2
BLOCKS = 14 * 2**20
LEARNERS = [
    SqrtLassoTransform(N_COMPONENTS, random_state=0),
    *(
        RelaxedSparseCoder(N_COMPONENTS, learner=name, max_iter=2, random_state=0)
        for name in ("ksvd", "mod", "online")
    ),
]


def peak_of(work):
    """Return the most memory, in bytes, that is held at once during ``work()``."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = work()
        return tracemalloc.get_traced_memory()[1] - before, result
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).standard_normal((N_ROWS, 64))


@pytest.fixture(params=[None, 2], ids=["one thread", "two threads"])
def coder(request, rows):
    coder = SqrtLassoTransform(256, alpha=0.2, init="dct", max_iter=0)
    coder.set_params(n_jobs=request.param).fit(rows[:100])
    coder.transform(rows[:100], groups="all")  # compile before memory is measured
    return coder.set_params(n_jobs=request.param)


GROUPS = {"alone": None, "all": "all", "scattered": np.arange(N_ROWS) % 11}
each_groups = pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)


@each_groups
def test_coding_holds_little_more_than_the_codes(coder, rows, groups):
    peak, Z = peak_of(lambda: coder.transform(rows, groups=groups))
    assert Z.nbytes <= peak <= Z.nbytes + ALLOWED


@each_groups
def test_restoring_holds_little_more_than_the_rows(coder, rows, groups):
    peak, X = peak_of(lambda: coder.reconstruct(rows, groups=groups))
    assert X.nbytes <= peak <= X.nbytes + ALLOWED


@each_groups
def test_noise_levels_hold_little_more_than_themselves(coder, rows, groups):
    peak, sigma = peak_of(lambda: coder.noise_scale(rows, groups=groups))
    assert sigma.nbytes <= peak <= sigma.nbytes + ALLOWED


def test_sparse_codes_hold_no_dense_codes(coder, rows):
    coder.set_params(sparse_output=True)
    peak, Z = peak_of(lambda: coder.transform(rows))
    held = Z.data.nbytes + Z.indices.nbytes + Z.indptr.nbytes
    # blocks are packed before they are joined: twice the codes, with wide indices
    assert peak <= 2 * held + Z.nnz * 8 + ALLOWED


def test_sparse_codes_in_atoms_hold_no_dense_codes(rows):
    atoms = np.random.default_rng(1).standard_normal((512, 64))
    coder = RelaxedSparseCoder(
        dictionary=atoms, selector="omp", n_nonzero_coefs=2, sparse_output=True
    ).fit(rows[:10])
    coder.transform(rows[:10])
    peak, Z = peak_of(lambda: coder.transform(rows))
    held = Z.data.nbytes + Z.indices.nbytes + Z.indptr.nbytes
    assert Z.nnz == 2 * len(rows)
    assert peak <= 2 * held + Z.nnz * 8 + ALLOWED


@pytest.mark.parametrize("learner", LEARNERS, ids=str)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.filterwarnings("ignore")
def test_learning_from_sparse_rows_holds_few_arrays_of_the_size_of_the_model(
    learner, method
):
    X = sp.random_array(SHAPE, density=0.002, format="csr", rng=0)
    learner = clone(learner).fit(X)  # kernels are compiled before memory is measured
    learner.partial_fit(X)
    peak, _ = peak_of(lambda: getattr(learner, method)(X))
    assert peak <= N_ARRAYS * learner.components_.nbytes + BLOCKS


@pytest.mark.parametrize("method", ["transform", "score", "noise_scale"])
@pytest.mark.parametrize("learner", LEARNERS[:2], ids=str)
@pytest.mark.filterwarnings("ignore")
def test_coding_sparse_rows_holds_no_copy_of_the_model(learner, method):
    X = sp.random_array(SHAPE, density=0.002, format="csr", rng=0)
    learner = clone(learner).fit(X)
    getattr(learner, method)(X)
    peak, _ = peak_of(lambda: getattr(learner, method)(X))
    assert peak <= BLOCKS + learner.components_.nbytes / 4


@pytest.mark.parametrize(
    "model",
    [SqrtLasso(0.05, precompute=False), SqrtLassoCV(cv=8)],
    ids=["by rows", "folds"],
)
def test_regressions_on_long_tables_hold_few_vectors_of_their_length(model):
    n_rows, rng = sized(400_000, 100_000), np.random.default_rng(0)
    X = rng.integers(-100, 100, (n_rows, 16), dtype=np.int16)
    y = X[:, :5] @ np.arange(1.0, 6) + 30 * rng.standard_normal(n_rows)
    clone(model).fit(X, y)
    peak, _ = peak_of(lambda: clone(model).fit(X, y))
    assert peak <= 9 * y.nbytes + ALLOWED / 4


# A vector of correlations, three of booleans, and then one of coefficients: those of
# others are made of few columns at a time. The bound of a path is that of its result.
OF_COLUMNS, OF_ROWS, AT_ONCE = 1.5, 12, 5 * 2**19


def wide_sparse_table(n_features):
    rng = np.random.default_rng(0)
    X = sp.random_array((2000, n_features), density=2e-4, format="csc", rng=rng)
    return X, X[:, :50].sum(axis=1) + 0.01 * rng.standard_normal(2000)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"positive": True},
        {"phi": 0.0},
        {"fit_intercept": False},
        {"alpha": "asymptotic"},
        {"alpha": "pivotal"},
    ],
    ids=str,
)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.filterwarnings("ignore:All coefficients")
def test_regressions_on_many_sparse_columns_hold_one_vector_of_their_number(
    options, weighted, dtype
):
    X, y = wide_sparse_table(sized(400_000, 4000))
    X = X.astype(dtype)
    model = SqrtLasso(**{"alpha": 0.005, **options})
    weights = np.arange(2000) % 3 if weighted else None
    clone(model).fit(X, y, weights)
    peak, model = peak_of(lambda: clone(model).fit(X, y, weights))
    assert model.coef_.any() or model.alpha_ > 0.005
    copied = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes if weighted else 0
    assert peak <= copied + 8 * (OF_COLUMNS * X.shape[1] + OF_ROWS * len(y)) + AT_ONCE


# Loadings, and what the simulation of their penalty keeps of each column that counts.
OF_LOADINGS = 3.2


@pytest.mark.parametrize("alpha", ["pivotal", 0.5])
@pytest.mark.filterwarnings("ignore:All coefficients")
def test_loadings_of_many_sparse_columns_are_few_vectors_of_their_number(alpha):
    X, y = wide_sparse_table(sized(400_000, 1000))
    model = SqrtLasso(alpha, penalty_loadings="auto")
    clone(model).fit(X, y)
    peak, model = peak_of(lambda: clone(model).fit(X, y))
    assert len(model.penalty_loadings_) == X.shape[1]
    assert peak <= 8 * (OF_LOADINGS * X.shape[1] + OF_ROWS * len(y)) + AT_ONCE


@pytest.mark.filterwarnings("ignore:All coefficients")
def test_noise_of_many_sparse_rows_takes_no_more_memory_than_the_entries():
    n, p, rng = sized(100_000, 200), sized(1_000_000, 2000), np.random.default_rng(0)
    rows, columns = np.repeat(np.arange(n), 10), rng.integers(0, p, 10 * n)
    X = sp.csc_array((rng.standard_normal(10 * n), (rows, columns)), shape=(n, p))
    X.sum_duplicates()
    y = X @ (rng.random(p) < 1e-3) + rng.standard_normal(n)
    SqrtLasso().fit(X[:2000], y[:2000])
    peak, _ = peak_of(lambda: SqrtLasso().fit(X, y))
    entries = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    assert peak <= entries + sized(0, AT_ONCE)


# Shares of X: a block of rows or of columns is converted at a time, and five folds copy
# four fifths of the rows, each in its turn.
WIDE, OF_WIDE_X = sized((200, 20_000), (40, 200)), {"pivotal": 0.4, "given": 0.4}
OF_WIDE_X |= {"three folds": 1.1, "five folds": 1.2}
WIDE_MODELS = {
    "pivotal": SqrtLasso(),
    "given": SqrtLasso(sized(0.2, 0.8)),
    "three folds": SqrtLassoCV(cv=3, alphas=sized(100, 1)),
    "five folds": SqrtLassoCV(alphas=sized(100, 1)),
}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", WIDE_MODELS)
@pytest.mark.filterwarnings("ignore:All coefficients")
def test_regressions_on_wide_tables_hold_little_more_than_the_rows_of_a_fold(
    name, dtype, order
):
    rng = np.random.default_rng(0)
    X = np.asarray(rng.standard_normal(WIDE), dtype=dtype, order=order)
    y = X[:, :10].sum(axis=1) + rng.standard_normal(len(X))
    clone(WIDE_MODELS[name]).fit(X[:50], y[:50])
    peak, _ = peak_of(lambda: clone(WIDE_MODELS[name]).fit(X, y))
    assert peak <= OF_WIDE_X[name] * X.nbytes + sized(0, 2 * AT_ONCE)


@pytest.mark.filterwarnings("ignore:All coefficients")
def test_paths_on_many_sparse_columns_hold_their_result_and_little_more():
    X, y = wide_sparse_table(sized(400_000, 4000))
    given = {"alphas": 6, "eps": 0.2, "fit_intercept": True}
    sqrt_lasso_path(X, y, **given)
    peak, path = peak_of(lambda: sqrt_lasso_path(X, y, **given))
    assert path.coefs.any()
    assert peak <= path.coefs.nbytes + 8 * OF_COLUMNS * X.shape[1] + AT_ONCE
    more, _ = peak_of(lambda: SqrtLassoCV(alphas=40, eps=0.2, cv=3).fit(X, y))
    few, _ = peak_of(lambda: SqrtLassoCV(alphas=4, eps=0.2, cv=3).fit(X, y))
    assert more <= few + 8 * X.shape[1] + AT_ONCE / 4  # no coefficients of each
