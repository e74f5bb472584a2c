"""Data that users of regressions have: hostile columns, weights, masks and groups."""

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sklearn_sqrtlasso import SqrtLasso, SqrtLassoCV, sqrt_lasso_path
from tests import sized

FORMS = {"dense": np.asarray, "csc": sp.csc_array, "csr": sp.csr_matrix}
PENALTIES = ["pivotal", "asymptotic", 0.1]

each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
each_penalty = pytest.mark.parametrize("alpha", PENALTIES)


def make(n=60, p=4):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    return X, X[:, :2] @ [2.0, -1.0] + 0.1 * rng.standard_normal(n)


def objective(model, X, y):
    root = np.sqrt(np.mean((y - model.predict(X)) ** 2))
    return root + model.alpha_ * np.abs(model.coef_).sum()


def test_polynomial_features_of_a_large_number_are_fitted():
    x, rng = np.linspace(0, 1000, 50)[:, None], np.random.default_rng(0)
    y = (x[:, 0] / 500 - 1) ** 3 + 0.05 * rng.standard_normal(50)
    X = PolynomialFeatures(4, include_bias=False).fit_transform(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SqrtLasso(0.1).fit(X, y)
    # the first three coefficients were zero, and the objective was 0.10
    scaled = make_pipeline(StandardScaler(), SqrtLasso(1e-9)).fit(X, y)
    assert_allclose(objective(model, X, y), scaled[-1].sigma_, rtol=0.02)


def test_where_double_precision_ends_one_warning_says_so():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 3)), rng.standard_normal(60)
    X = np.hstack([X, X[:, :1] + 1e-7 * rng.standard_normal((60, 1))])
    with pytest.warns(ConvergenceWarning, match="double precision") as caught:
        model = SqrtLasso(1e-9, tol=1e-15).fit(X, y)
    assert len(caught) == 1
    assert model.dual_gap_ > 1e-15


@each_form
@each_penalty
@pytest.mark.parametrize("offset", [1e7, 1.7e9, 1e12])
def test_offsets_of_features_change_neither_penalty_nor_coefficients(
    form, alpha, offset
):
    X, y = make()
    X[:, 1] = (X[:, 1] + offset) - offset
    moved = X.copy()
    moved[:, 1] += offset
    one, two = (SqrtLasso(alpha).fit(A, y) for A in (X, form(moved)))
    assert_allclose(two.alpha_, one.alpha_, rtol=1e-9)
    assert_allclose(two.coef_, one.coef_, atol=1e-9)
    assert two.dual_gap_ <= 1e-6


@each_form
@pytest.mark.parametrize("p", [4, 600])
@each_penalty
def test_rows_of_weight_zero_do_not_matter_whatever_they_hold(form, alpha, p):
    X, y = make(p=p)
    alone = SqrtLasso(alpha).fit(form(X), y)
    more, weights = np.vstack([X, X[:2]]), np.r_[np.ones(60), 0, 0]
    more[60], more[61] = 1e300, -1e-310
    targets = np.r_[y, -1e300, 1e300]
    model = SqrtLasso(alpha).fit(form(more), targets, sample_weight=weights)
    for name in ("coef_", "intercept_", "alpha_", "sigma_", "dual_gap_", "n_iter_"):
        assert_array_equal(getattr(model, name), getattr(alone, name))
    found = model.score(form(more), targets, sample_weight=weights)
    assert_allclose(found, r2_score(y, alone.predict(X)))


def test_rows_of_weight_zero_do_not_matter_in_cross_validation():
    X, y = make()
    weights = np.ones(60)
    weights[::7] = 0
    folds = list(KFold(4).split(X))
    one = SqrtLassoCV(cv=folds, alphas=10).fit(X, y, sample_weight=weights)
    X[::7], y[::7] = 1e300, -1e300
    two = SqrtLassoCV(cv=folds, alphas=10).fit(X, y, sample_weight=weights)
    assert_array_equal(two.mse_path_, one.mse_path_)
    assert_array_equal(two.coef_, one.coef_)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["X", "y"])
@each_form
def test_rows_of_weight_zero_must_be_finite(form, where, bad):
    X, y = make()
    (X if where == "X" else y)[3] = bad
    weights = np.ones(60)
    weights[3] = 0
    with pytest.raises(ValueError, match=f"Input {where} contains"):
        SqrtLasso(0.1).fit(form(X), y, sample_weight=weights)


@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csr_array, sp.csc_array])
@each_penalty
def test_entries_given_twice_are_summed_in_a_copy(form, alpha):
    data, places = np.arange(1.0, 7), np.array([1, 0, 0, 1, 0, 1])
    ends = [0, 2, 4, 6] if form is not sp.csc_array else [0, 3, 6]
    places = places if form is not sp.csc_array else np.array([2, 0, 0, 1, 1, 0])
    data[1] = 0.5
    X, y = form((data, places, np.array(ends)), shape=(3, 2)), np.array([1.0, 2, 4])
    if form is not sp.csc_array:
        X.indices[:2] = 0  # the first entry is given twice
    before = X.data.copy(), X.indices.copy(), X.indptr.copy()
    one, two = (SqrtLasso(alpha).fit(A, y) for A in (X, X.toarray()))
    one.predict(X)
    assert_allclose(one.alpha_, two.alpha_)
    assert_allclose(one.coef_, two.coef_, atol=1e-12)
    for now, then in zip((X.data, X.indices, X.indptr), before, strict=True):
        assert_array_equal(now, then)


@each_form
@pytest.mark.parametrize("of_y", [1e-300, 1.0, 1e300])
@pytest.mark.parametrize("of_x", [1e-320, 1e-300, 1.0, 1e300])
def test_all_scales_are_fitted_and_scored_or_refused(form, of_x, of_y):
    X, y = make()
    model = SqrtLasso()
    if abs(np.log10(of_y) - np.log10(of_x)) > 307:
        with pytest.raises(ValueError, match=r"coefficient of feature .* out of the"):
            model.fit(form(X * of_x), y * of_y)
        return
    model.fit(form(X * of_x), y * of_y)
    assert_allclose(model.score(form(X * of_x), y * of_y), 0.9958, atol=1e-3)
    assert model.dual_gap_ <= 1e-11  # with what products of numbers may have lost


def test_cross_validation_chooses_the_same_at_every_scale_of_the_target():
    X, y = make()
    usual = SqrtLassoCV(alphas=10).fit(X, y)
    for scale in (2.0**-900, 2.0**900):
        model = SqrtLassoCV(alphas=10).fit(X, scale * y)
        assert model.alpha_ == usual.alpha_
        assert_array_equal(model.coef_, scale * usual.coef_)


@pytest.mark.parametrize("scale", [2.0**-900, 2.0**900])
def test_errors_out_of_range_are_infinite_or_zero_without_a_warning(scale):
    X, y = make()
    usual = SqrtLassoCV(alphas=10).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SqrtLassoCV(alphas=10).fit(X, scale * y)
    assert_array_equal(model.mse_path_, np.inf if scale > 1 else 0.0)
    assert model.alpha_ == usual.alpha_


def test_the_choice_compares_errors_whose_squares_are_out_of_range():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    y = X[:, 0] + X[:, 2]
    X[:, 1] = y + 0.3 * X[:, 1]  # stands for both others at large penalties
    y = y + 0.1 * rng.standard_normal(60)
    X[0, 1] = 1e250  # held out in one fold only, in which the column is usual
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SqrtLassoCV(alphas=[0.1, 0.3, 1.0]).fit(X, y)
    errors = np.zeros(3, np.longdouble)
    for train, test in KFold(5).split(X):
        for i, alpha in enumerate(model.alphas_):
            alone = SqrtLasso(alpha).fit(X[train], y[train])
            w = alone.coef_.astype(np.longdouble)
            errors[i] += np.sum((y[test] - X[test] @ w - alone.intercept_) ** 2)
    assert np.isinf(model.mse_path_).any(axis=1).all()
    assert model.alpha_ == model.alphas_[np.argmin(errors)] < 1


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("several", [False, True])
@each_form
def test_predictions_are_infinite_only_where_they_exceed_all_numbers(
    form, several, dtype
):
    X, y = make()
    top, y = np.finfo(dtype).max / 8, np.column_stack([y, -y]) if several else y
    model = SqrtLasso(0.0).fit(X.astype(dtype), y)
    model.coef_ = np.array([8.0, -8.0, 0.0, 2.0], dtype)
    if several:
        model.coef_ = np.array([model.coef_, -model.coef_])
    rows = top * np.array([[2, 2, 1, 1], [2, 0.5, 0, 0], [0.5, 0.25, 1, 0]])
    expected = np.array([2 * top, np.inf, 2 * top])
    expected = np.column_stack([expected, -expected]) if several else expected
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for stored in (model, model.sparsify()):
            assert_allclose(stored.predict(form(rows.astype(dtype))), expected)


def test_small_coefficients_are_as_exact_as_single_precision():
    X, y = make()
    X, y = np.ldexp(X, 120).astype(np.float32), 2.0**-8 * y
    y += np.ldexp(1e-3 * X[:, 3].astype(np.float64), -128)
    model, exact = SqrtLasso(0.0).fit(X, y), SqrtLasso(0.0).fit(X.astype("f8"), y)
    assert np.abs(model.coef_).min() < np.finfo(np.float32).tiny
    spread = np.abs(X.astype("f8")) @ np.abs(exact.coef_)
    wrong = np.abs(X.astype("f8") @ (model.coef_.astype("f8") - exact.coef_))
    assert np.all(wrong <= 2 * np.finfo(np.float32).eps * spread.max())


def test_coefficients_that_single_precision_does_not_hold_are_refused():
    X, y = make()
    for scale in (1e-50, 1e50):
        with pytest.raises(ValueError, match="out of the range of float32"):
            SqrtLasso(0.1).fit(X.astype(np.float32), scale * y)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("alpha", ["pivotal", "asymptotic", 0.05, 0.0])
def test_float32_features_are_not_copied_as_a_whole(alpha, order):
    X = np.random.default_rng(0).standard_normal((sized(200_000, 100_000), 60))
    X, y = np.asarray(X, dtype=np.float32, order=order), X[:, 0] + 0.1 * X[:, 1] ** 2
    SqrtLasso(alpha).fit(X[:100], y[:100])  # compile before memory is measured
    tracemalloc.start()
    try:
        model = SqrtLasso(alpha).fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 0.35 * X.nbytes  # it was 4.1: arrays of n_samples remain
    rows = slice(0, 2000)
    one, two = (
        SqrtLasso(model.alpha_).fit(A[rows], y[rows]) for A in (X, X.astype(float))
    )
    assert_allclose(one.coef_, two.coef_, rtol=1e-6)
    assert model.dual_gap_ <= 1e-6


GROUPS = np.repeat(np.arange(12), 5)


def test_groups_stay_together_in_cross_validation():
    X, y = make()
    by_groups = SqrtLassoCV(cv=GroupKFold(4), alphas=10).fit(X, y, groups=GROUPS)
    folds = list(GroupKFold(4).split(X, y, GROUPS))
    given = SqrtLassoCV(cv=folds, alphas=10).fit(X, y)
    assert_array_equal(by_groups.mse_path_, given.mse_path_)
    assert by_groups.alpha_ == given.alpha_
    with pytest.raises(ValueError, match="groups"):
        SqrtLassoCV(cv=GroupKFold(4)).fit(X, y)


def test_groups_are_routed_to_the_splitter():
    X, y = make()
    alone = SqrtLassoCV(cv=GroupKFold(4), alphas=10)
    expected = alone.fit(StandardScaler().fit_transform(X), y, groups=GROUPS).mse_path_
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(StandardScaler(), SqrtLassoCV(cv=GroupKFold(4), alphas=10))
        assert_array_equal(pipe.fit(X, y, groups=GROUPS)[-1].mse_path_, expected)
        scores = cross_validate(
            SqrtLassoCV(cv=GroupKFold(3)),
            X,
            y,
            cv=GroupKFold(4),
            params={"groups": GROUPS},
        )["test_score"]
    assert (scores > 0.9).all()


def test_a_penalty_for_the_largest_column_that_hides_all_others_is_reported():
    X, y = make()
    X[:, 3] *= 1e6
    with pytest.warns(UserWarning, match="1e6.*StandardScaler") as caught:
        model = SqrtLasso().fit(X, y)
    assert len(caught) == 1
    assert not model.coef_.any()
    assert make_pipeline(StandardScaler(), SqrtLasso()).fit(X, y)[-1].coef_[0] > 1.5


@pytest.mark.parametrize("model", [SqrtLasso(), SqrtLassoCV(alphas=20)], ids=str)
@each_form
def test_small_columns_are_hidden_by_a_large_one_that_is_found(model, form):
    X, y = make()
    X[:, 0] *= 1e-5
    with pytest.warns(UserWarning, match="small scale.*StandardScaler") as caught:
        model.fit(form(X), y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert np.flatnonzero(model.coef_).tolist()[:1] == [1]
    two = np.column_stack([y, X[:, 1]])
    if isinstance(model, SqrtLasso):
        with pytest.warns(UserWarning, match="small scale") as caught:
            model.fit(form(X), two)  # in the first target only
        assert len(caught) == 1


@pytest.mark.parametrize("kind", ["copy", "noise", "all is found", "standardised"])
def test_small_columns_that_would_not_be_found_are_not_reported(kind):
    X, y = make()
    small = {"copy": X[:, 0], "all is found": X[:, 0]}.get(kind, X[:, 2])
    rows = np.column_stack([X, 1e-5 * small])
    if kind == "all is found":
        y = X[:, 0]
    elif kind == "standardised":
        rows = StandardScaler().fit_transform(rows)
        y = np.random.default_rng(3).standard_normal(60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SqrtLasso().fit(rows, y)


@pytest.mark.parametrize("kind", ["noise", "large alpha", "alike", "constant target"])
def test_zero_coefficients_are_not_reported_where_scales_are_not_the_reason(kind):
    X, y = make()
    if kind != "alike":
        X[:, 3] *= 1e6
    noise = np.random.default_rng(2).standard_normal(60)
    y = {"noise": noise, "constant target": np.ones(60)}.get(kind, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SqrtLasso({"large alpha": 1e7, "alike": 3.0}.get(kind, "pivotal"))
        assert not model.fit(X, y).coef_.any()


def test_scales_are_those_of_all_rows_where_most_entries_are_zero():
    rng = np.random.default_rng(0)
    X = (rng.random((500, 300)) < 0.02) * rng.standard_normal((500, 300))
    y = X[:, :10] @ rng.standard_normal(10) + 0.05 * rng.standard_normal(500)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert SqrtLasso().fit(X, y).coef_.any()


def masked(values):
    return np.ma.masked_greater(values, 1.0)


X, Y = make()
BAD = {
    "sparse y": (X, sp.csr_array(Y[:, None]), {}, "y must be a dense array"),
    "complex y": (X, 1j * Y, {}, "y must be real"),
    "list of complex y": (X, list(1j * Y), {}, "y must be real"),
    "masked X": (masked(X), Y, {}, "X must have no masked entries"),
    "masked y": (X, masked(Y), {}, "y must have no masked entries"),
    "masked weights": (
        X,
        Y,
        {"sample_weight": masked(np.r_[2.0, np.ones(59)])},
        "sample_weight must have no masked entries, got 1",
    ),
    "no number in X": (np.full_like(X, np.nan), Y, {}, "X contains NaN"),
    "infinite X": (np.full_like(X, np.inf), Y, {}, "X contains infinity"),
    "huge weights": (
        X,
        Y,
        {"sample_weight": np.full(60, 1e308)},
        "sample_weight must have a finite sum",
    ),
}


@pytest.mark.parametrize("model", [SqrtLasso(0.1), SqrtLassoCV(alphas=[0.1])], ids=str)
@pytest.mark.parametrize(("A", "y", "call", "message"), BAD.values(), ids=BAD)
def test_data_that_cannot_be_fitted_is_named(model, A, y, call, message):
    with pytest.raises(ValueError, match=message):
        model.fit(A, y, **call)
    if not call:
        with pytest.raises(ValueError, match=message):
            sqrt_lasso_path(A, y)
        model.fit(X, Y)
        with pytest.raises(ValueError, match=message):
            model.score(A, y)


def test_masked_arrays_without_masked_entries_are_arrays():
    model = SqrtLasso(0.1).fit(np.ma.masked_array(X), np.ma.masked_array(Y))
    assert_array_equal(model.coef_, SqrtLasso(0.1).fit(X, Y).coef_)


def test_penalties_that_are_no_numbers_are_refused():
    for bad in (np.inf, np.nan):
        with pytest.raises(ValueError, match="'alpha' parameter of SqrtLasso"):
            SqrtLasso(bad).fit(X, Y)
    with pytest.raises(ValueError, match="cv must give at least one fold"):
        SqrtLassoCV(cv=[]).fit(X, Y)
    assert not SqrtLasso(1e308).fit(X, Y).coef_.any()
