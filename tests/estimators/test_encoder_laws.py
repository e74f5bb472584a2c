"""What is true of every encoder, whatever its class and its parameters."""

import copy
import functools
import pickle
import re
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import ANAMOAutoencoder
from sklearn_sqrtlasso.blockwise import blocks
from sklearn_sqrtlasso.sparse_coding import encoder as atoms
from tests.estimators.common import (
    DEGENERATE,
    N_ROWS,
    ROUNDING,
    SCATTERED,
    Listener,
    assert_fails_without_a_trace,
    dense,
    learnt,
    make_rows,
    same,
)
from tests.estimators.encoders import (
    ENCODERS,
    FAMILIES,
    N_FEATURES,
    OF_THE_CLASS,
    has_noise_in_units,
    is_centred,
    is_certified,
    is_detector,
    is_frame_of_noise,
    is_given_atoms,
    is_grouped,
    is_homogeneous,
    learns_from_batches,
    learns_the_same_in_any_unit,
    new,
    restores_by_codes,
    takes_missing,
)

PLAIN = (np.ndarray, int, float, bool, str, type(None))


def names_where(fact):
    return [name for name, coder in ENCODERS.items() if fact(coder)]


GROUPED, HOMOGENEOUS = names_where(is_grouped), names_where(is_homogeneous)
CENTRED = names_where(is_centred)
LEARNING = names_where(lambda coder: not is_given_atoms(coder))
STREAMING = names_where(learns_from_batches)
PACKED = names_where(lambda coder: "sparse_output" in coder.get_params())
GROUPINGS = {"alone": {}, "all": {"groups": "all"}, "scattered": {"groups": SCATTERED}}
WAYS = {
    f"{name}-{label}": (name, given)
    for name, coder in ENCODERS.items()
    for label, given in GROUPINGS.items()
    if is_grouped(coder) or not given
}


def each_of(names):
    return pytest.mark.parametrize("name", names)


def each_way_of(names):
    ways = {label: way for label, way in WAYS.items() if way[0] in names}
    return pytest.mark.parametrize(("name", "given"), ways.values(), ids=ways)


each, each_way = each_of(ENCODERS), each_way_of(ENCODERS)


@functools.cache
def _fit(name):
    return new(name).fit(make_rows())


def fitted(name):
    """Return a fitted encoder that may be changed; it is fitted once in a session."""
    return copy.deepcopy(_fit(name))


def sparse_rows():
    return np.where(np.abs(make_rows()) < 1.5, 0, make_rows())


def assert_learnt_the_same(one, two):
    np.testing.assert_equal(learnt(two), learnt(one))  # to the bit, and deeply


# Threads and seeds


def use_small_blocks(monkeypatch):
    """Let the few rows of a test be many blocks."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 2**12)
    monkeypatch.setattr(atoms, "FEWEST_ROWS", 8)
    monkeypatch.setattr(atoms, "MOST_ROWS", 16)


@each_way
def test_threads_change_no_bit(name, given, monkeypatch):
    X = make_rows()
    use_small_blocks(monkeypatch)
    one, two = (new(name, n_jobs=n).fit(X, **given) for n in (1, 2))
    assert_learnt_the_same(one, two)
    for method in ("transform", "reconstruct", "noise_scale"):
        ours = getattr(one, method)(X, **given)
        assert_array_equal(dense(getattr(two, method)(X, **given)), dense(ours))


@each_way
def test_the_size_of_blocks_hardly_changes_codes(name, given, monkeypatch):
    X, coder = make_rows(), fitted(name)
    Z = dense(coder.transform(X, **given))
    use_small_blocks(monkeypatch)
    assert_allclose(dense(coder.transform(X, **given)), Z, **ROUNDING)


@each
def test_a_second_fit_is_a_first_fit(name):
    again = new(name).fit(make_rows(1)).fit(make_rows())
    assert_learnt_the_same(again, _fit(name))


@each
def test_a_fit_changes_neither_parameters_nor_rows(name):
    X, coder = make_rows(), new(name)
    before = coder.get_params()
    Z = coder.fit(X).transform(X)
    coder.inverse_transform(Z)
    coder.reconstruct(X), coder.noise_scale(X), coder.score(X), coder.report(X)
    if name in STREAMING:
        coder.partial_fit(X)
    assert all(coder.get_params()[key] is value for key, value in before.items())
    assert_array_equal(X, make_rows())


@each
def test_nothing_is_warned_of_or_printed_unasked(name, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if is_detector(ENCODERS[name]) or is_frame_of_noise(
            ENCODERS[name]
        ):  # most of the rows are noise
            warnings.filterwarnings("ignore", ".* rows have a code of zeros")
        new(name).fit(make_rows()).transform(make_rows())
    assert capsys.readouterr() == ("", "")


# Codes, restorations and figures


@each_way
def test_fitting_and_coding_at_once_is_fitting_then_coding(name, given):
    X = make_rows()
    Z = new(name).fit(X, **given).transform(X, **given)
    assert_array_equal(dense(new(name).fit_transform(X, **given)), dense(Z))


@each_way_of(names_where(restores_by_codes))
def test_reconstruction_is_coding_and_decoding(name, given):
    X, coder = make_rows(), fitted(name)
    decoded = coder.inverse_transform(coder.transform(X, **given))
    assert decoded.shape == X.shape
    assert_allclose(coder.reconstruct(X, **given), decoded, **ROUNDING)


@each_way
def test_the_score_is_the_explained_variance(name, given):
    X, coder = make_rows() + 3, fitted(name)
    restored = coder.reconstruct(X, **given)
    expected = r2_score(X, restored, multioutput="variance_weighted")
    assert_allclose(coder.score(X, **given), expected, rtol=1e-9, atol=1e-12)


@each_way
def test_the_report_counts_the_codes(name, given):
    X, coder = make_rows(), fitted(name)
    Z, report = dense(coder.transform(X, **given)), coder.report(X, **given)
    assert report.n_components == Z.shape[1] == len(coder.components_)
    assert report.dead_share == np.mean(~Z.any(axis=0))
    assert report.mean_active == pytest.approx(np.mean(np.count_nonzero(Z, axis=1)))
    assert report.explained_variance == coder.score(X, **given)
    assert f"{report.explained_variance:.3f}" in str(report)


@each_way_of(PACKED)
def test_sparse_codes_are_the_dense_codes(name, given):
    X, coder = make_rows(), fitted(name)
    Z = coder.set_params(sparse_output=False).transform(X, **given)
    ours = coder.set_params(sparse_output=True).transform(X, **given)
    assert ours.format == "csr"
    assert ours.nnz == np.count_nonzero(Z)
    assert_array_equal(ours.toarray(), Z)
    restored = coder.inverse_transform(Z)
    assert_allclose(coder.inverse_transform(ours), restored, **ROUNDING)


@each_of(PACKED)
def test_sparse_codes_come_in_the_container_that_is_asked_for(name):
    X, coder = make_rows(), fitted(name).set_params(sparse_output=True)
    assert isinstance(coder.transform(X), sp.csr_matrix)
    if "sparse_interface" in sklearn.get_config():  # scikit-learn 1.9 and later
        with sklearn.config_context(sparse_interface="sparray"):
            assert isinstance(coder.transform(X), sp.csr_array)


# Rows stand alone, or in their groups


@each
def test_a_row_does_not_depend_on_its_neighbours(name):
    X, coder = make_rows(), fitted(name)
    Z = dense(coder.transform(X))
    assert_allclose(dense(coder.transform(X[7:8])), Z[7:8], **ROUNDING)
    assert_allclose(dense(coder.transform(X[7:9])), Z[7:9], **ROUNDING)


@each_way
def test_permuting_rows_permutes_codes(name, given):
    X, order = make_rows(), np.random.default_rng(0).permutation(N_ROWS)
    coder, labels = fitted(name), given.get("groups")
    moved = {"groups": labels[order]} if labels is SCATTERED else given
    Z = dense(coder.transform(X, **given))
    assert_allclose(dense(coder.transform(X[order], **moved)), Z[order], **ROUNDING)


@each_of(GROUPED)
def test_groups_do_not_see_each_other(name):
    X, few, coder = make_rows(), SCATTERED < 3, fitted(name)
    Z = dense(coder.transform(X, groups=SCATTERED))
    alone = dense(coder.transform(X[few], groups=SCATTERED[few]))
    assert_allclose(alone, Z[few], **ROUNDING)


@each_of(GROUPED)
def test_other_labels_of_the_same_groups_are_the_same_groups(name):
    X, coder, renamed = make_rows(), fitted(name), (3 * SCATTERED + 2) % 7
    Z = dense(coder.transform(X, groups=SCATTERED))
    assert_allclose(dense(coder.transform(X, groups=renamed)), Z, **ROUNDING)


@each_of(GROUPED)
def test_rows_of_a_group_have_one_noise_level(name):
    sigma = fitted(name).noise_scale(3 * make_rows(), groups=SCATTERED)
    for label in range(7):
        assert len(set(sigma[label == SCATTERED])) == 1
    assert len(set(sigma)) == 7


@each_of(GROUPED)
@pytest.mark.parametrize("scatter", [False, True])
def test_groups_of_one_row_are_rows_alone(name, scatter):
    X, labels = make_rows(), np.arange(N_ROWS)
    labels = np.random.default_rng(0).permutation(labels) if scatter else labels
    Z, alone = fitted(name).transform(X, groups=labels), fitted(name).transform(X)
    assert_allclose(dense(Z), dense(alone), **ROUNDING)
    assert scatter or np.array_equal(dense(Z), dense(alone))


@each_of(GROUPED)
def test_one_label_for_all_rows_is_all(name):
    X, coder = make_rows(), fitted(name)
    Z = coder.transform(X, groups=np.zeros(N_ROWS))
    assert_array_equal(dense(Z), dense(coder.transform(X, groups="all")))


@each
def test_groups_matter_where_the_encoder_pools_them_only(name):
    X, coder = make_rows(), fitted(name)
    if not is_grouped(coder):
        with pytest.raises(TypeError, match="unexpected keyword argument 'groups'"):
            coder.transform(X, groups="all")
        return
    pools = coder._encoder(X.dtype).pools_groups
    Z, alone = coder.transform(X, groups="all"), coder.transform(X)
    assert pools != np.array_equal(dense(Z), dense(alone))


# Units


@each_way_of(HOMOGENEOUS)
def test_a_power_of_two_scales_all_exactly(name, given):
    X, coder = make_rows(), fitted(name)
    for method in ("transform", "reconstruct", "noise_scale"):
        ours = dense(getattr(coder, method)(X, **given))
        for c in 2.0 ** np.array([-400, -1, 1, 37, 400]):
            assert_array_equal(dense(getattr(coder, method)(c * X, **given)), c * ours)


@each_way_of(HOMOGENEOUS)
def test_scaling_rows_scales_their_codes(name, given):
    X, coder = make_rows(), fitted(name)
    Z = dense(coder.transform(X, **given))
    for c in (1e-150, 1e-9, 0.37, 10.0, 1e150):
        by_c = dense(coder.transform(c * X, **given)) / c
        # c * X is rounded, and 1 / (1 - k alpha^2) enlarges that
        assert_allclose(by_c, Z, rtol=1e-9, atol=1e-9)


@each_way_of(CENTRED)
def test_scaling_rows_about_the_mean_scales_their_codes(name, given):
    X, coder = make_rows() + 3, new(name).fit(make_rows() + 3)
    from_mean = X - coder.mean_
    for method in ("transform", "noise_scale"):
        ours = dense(getattr(coder, method)(X, **given))
        for c in (0.5, 3.0, 2.0**40, 1e12):
            moved = coder.mean_ + c * from_mean
            by_c = dense(getattr(coder, method)(moved, **given)) / c
            # the sum with the mean is rounded, and 1 / (1 - k alpha^2) enlarges that
            assert_allclose(by_c, ours, rtol=1e-9, atol=1e-9)


@each_of(names_where(learns_the_same_in_any_unit))
@pytest.mark.parametrize("exponent", [-500, 500])
def test_the_unit_of_the_rows_does_not_change_what_is_learnt(name, exponent):
    X, c, ours = make_rows(), 2.0**exponent, fitted(name)
    other = new(name).fit(c * X)
    for _ in range(1 + (name in LEARNING)):
        assert_array_equal(other.components_, ours.components_)
        assert_array_equal(dense(other.transform(c * X)), c * dense(ours.transform(X)))
        if name in LEARNING:
            other.partial_fit(c * X)
            ours.partial_fit(X)


@each_way
def test_single_precision_stays_single(name, given):
    container = np.asarray if given else sp.csr_array
    X = container(sparse_rows().astype("f4"))
    coder = new(name, n_jobs=2).fit(X, **given)
    Z = coder.transform(X, **given)
    assert coder.components_.dtype == Z.dtype == np.float32
    assert coder.inverse_transform(Z).dtype == np.float32
    assert coder.reconstruct(X, **given).dtype == np.float32
    assert coder.noise_scale(X, **given).dtype == np.float32
    if name in STREAMING:
        assert coder.partial_fit(X).components_.dtype == np.float32


@each_way
def test_single_precision_follows_double(name, given):
    X, coder = make_rows(), fitted(name)
    high = dense(coder.transform(X, **given))
    low = dense(coder.transform(X.astype("f4"), **given))
    # entries of size 15, and products of 12 of them: some roundings of 1e-6
    assert_allclose(low, high, rtol=0, atol=5e-5)


# Containers


def unsorted(X):
    """Return CSR rows whose entries stand backwards, each as two halves."""
    rows = sp.csr_array(X)
    places = np.repeat(np.arange(rows.nnz)[::-1], 2)
    counts = np.diff(rows.indptr)
    order = np.concatenate(np.split(places, 2 * np.cumsum(counts[::-1])[:-1])[::-1])
    data, indices = rows.data[order] / 2, rows.indices[order]
    return sp.csr_array((data, indices, 2 * rows.indptr), shape=X.shape)


def with_indices(dtype):
    def container(X):
        rows = sp.csr_array(X)
        rows.indices = rows.indices.astype(dtype)
        rows.indptr = rows.indptr.astype(dtype)
        return rows

    return container


def fixed(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def names_of(X):
    return [f"sensor{j}" for j in range(X.shape[1])]


def table(X):
    return pa.table(dict(zip(names_of(X), X.T, strict=True)))


SPARSE = {
    "array": sp.csr_array,
    "matrix": sp.csr_matrix,
    "coo": sp.coo_array,
    "csc": sp.csc_array,
    "unsorted halves": unsorted,
    "int32": with_indices("i4"),
    "int64": with_indices("i8"),
}
ARRAYS = {
    "list": lambda X: X.tolist(),
    "fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "reversed": lambda X: X[::-1].copy()[::-1],
    "read-only": fixed,
}
FRAMES = {
    "pandas": lambda X: pd.DataFrame(X, range(7, 7 + len(X)), names_of(X)),
    "polars": lambda X: pl.DataFrame(X, schema=names_of(X)),
    "pyarrow": table,
}
LAYOUTS = {kind: ARRAYS[kind] for kind in ("fortran", "strided", "read-only")}
METHODS = ["transform", "reconstruct", "noise_scale", "score"]


@each
def test_the_container_of_rows_does_not_matter(name):
    coder = fitted(name)
    expected = [dense(getattr(coder, method)(make_rows())) for method in METHODS]
    containers = ARRAYS | FRAMES if name in OF_THE_CLASS else LAYOUTS
    for container in containers.values():
        X = container(make_rows())
        coder.fit(X)
        ours = [dense(getattr(coder, method)(X)) for method in METHODS]
        np.testing.assert_equal(ours, expected)


@each_way
def test_sparse_rows_are_coded_like_dense_ones(name, given):
    X, coder = sparse_rows(), fitted(name)
    Z = dense(coder.transform(X, **given))
    for container in SPARSE.values():
        assert_allclose(dense(coder.transform(container(X), **given)), Z, **ROUNDING)
    for method in METHODS:
        ours = dense(getattr(coder, method)(sp.csr_array(X), **given))
        expected = dense(getattr(coder, method)(X, **given))
        assert_allclose(ours, expected, **ROUNDING)


@each
@pytest.mark.parametrize("container", [sp.csr_array, unsorted], ids=["csr", "unsorted"])
def test_sparse_rows_are_learnt_like_dense_ones(name, container):
    X = sparse_rows()
    ours, expected = new(name).fit(container(X)), new(name).fit(X)
    W, restored = expected.components_, expected.reconstruct(X)
    of_weights, of_rows = ROUNDING, ROUNDING
    if is_frame_of_noise(ours):  # directions that few rows use weigh 1e-10 of others
        of_weights = of_rows = {"atol": 2e-6}
    if isinstance(ours, ANAMOAutoencoder):  # whose steps may amplify the rounding of X
        blurred = new(name).fit(
            X * (1 + 2e-16 * (np.arange(X.size) % 3 - 1).reshape(X.shape))
        )
        of_weights = {"atol": 1e-12 + 100 * np.abs(blurred.components_ - W).max()}
        of_rows = {
            "atol": 1e-12 + 100 * np.abs(blurred.reconstruct(X) - restored).max()
        }
    assert_allclose(ours.components_, W, **of_weights)
    assert_allclose(ours.reconstruct(container(X)), restored, **of_rows)


@each
def test_memory_mapped_rows_are_enough(name, tmp_path):
    joblib.dump(make_rows(), tmp_path / "rows")
    X, coder = joblib.load(tmp_path / "rows", mmap_mode="r"), new(name)
    Z = dense(fitted(name).transform(make_rows()))
    assert_array_equal(dense(coder.fit(X).transform(X)), Z)
    if name in STREAMING:
        coder.partial_fit(X)


@each
def test_other_numbers_are_coded_as_floats(name):
    for dtype in ("i4", "u1", "?", "f2", ">f8") if name in OF_THE_CLASS else ["i4"]:
        X = np.rint(np.abs(make_rows())).astype(dtype)
        Z = dense(new(name).fit_transform(X))
        assert Z.dtype.kind == "f"
        assert_array_equal(Z, dense(new(name).fit_transform(X.astype(Z.dtype))))


@each
def test_codes_are_decoded_from_any_container(name):
    coder = fitted(name)
    Z = make_rows(n_features=len(coder.components_))
    expected = coder.inverse_transform(Z)
    for container in (ARRAYS | FRAMES | SPARSE).values():
        assert_allclose(coder.inverse_transform(container(Z)), expected, **ROUNDING)


# Rows with little in them

LITTLE = {
    f"{name}-{kind}": (name, X) for name in LEARNING for kind, X in DEGENERATE.items()
}


def for_rows(name, X):
    """Return an encoder whose noise has the unit of the rows."""
    coder = new(name)
    if has_noise_in_units(coder):
        coder.set_params(noise_std=0.1 * np.abs(X).max())
    return coder


def is_too_little(coder, X):
    """Return whether there is no row to hold out."""
    return getattr(coder, "early_stopping", False) is True and len(X) < 6


@pytest.mark.parametrize(("name", "X"), LITTLE.values(), ids=LITTLE)
def test_degenerate_rows_are_fitted_and_coded(name, X):
    coder = for_rows(name, X)
    if is_too_little(coder, X):
        assert_fails_without_a_trace(coder, "fit", X, "validation_fraction")
        return
    for method in ("fit", "partial_fit") if name in STREAMING else ["fit"]:
        getattr(coder, method)(X)
        for given in ({}, {"groups": "all"}) if is_grouped(coder) else [{}]:
            figures = [dense(getattr(coder, of)(X, **given)) for of in METHODS]
            assert all(np.isfinite(figure).all() for figure in figures)


# Names and frames


@each
def test_codes_are_named_after_the_class(name):
    coder = fitted(name)
    names, prefix = coder.get_feature_names_out(), type(coder).__name__.lower()
    assert list(names) == [f"{prefix}{j}" for j in range(len(coder.components_))]


@each
def test_names_of_features_are_remembered_and_checked(name):
    X = FRAMES["pandas"](make_rows())
    coder = new(name).fit(X)
    assert list(coder.feature_names_in_) == list(X.columns)
    with pytest.raises(ValueError, match="feature names should match"):
        coder.transform(X[X.columns[::-1]])


@each_of(OF_THE_CLASS)
def test_frames_have_the_names_that_scikit_learn_sees(name):
    for frame in FRAMES.values():
        X = frame(make_rows())
        ours, theirs = new(name).fit(X), StandardScaler().fit(X)
        names = getattr(theirs, "feature_names_in_", None)
        assert_array_equal(getattr(ours, "feature_names_in_", None), names)


@each_of(names_where(lambda coder: not coder.sparse_output))
@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_codes_come_as_the_frame_that_is_asked_for_and_are_decoded(name, kind):
    X = FRAMES[kind](make_rows())
    coder = new(name).set_output(transform=kind).fit(X)
    Z, expected = coder.transform(X), fitted(name).transform(make_rows())
    assert type(Z) is type(X)
    assert list(Z.columns) == list(coder.get_feature_names_out())
    assert_array_equal(Z.to_numpy(), expected)
    assert kind == "polars" or list(Z.index) == list(X.index)
    decoded = fitted(name).inverse_transform(expected)
    assert_allclose(coder.inverse_transform(Z), decoded, **ROUNDING)


@each_of(names_where(lambda coder: coder.sparse_output))
def test_sparse_codes_do_not_fit_into_frames(name):
    coder = fitted(name).set_output(transform="pandas")
    with pytest.raises(ValueError, match="sparse"):
        coder.transform(make_rows())


@each
def test_a_pipeline_codes_and_restores(name):
    X, coder = 5 + 3 * make_rows(), new(name)
    pipe, scaler = make_pipeline(StandardScaler(), coder).fit(X), StandardScaler()
    scaled = scaler.fit_transform(X)
    Z = pipe.transform(X)
    assert_array_equal(dense(Z), dense(coder.transform(scaled)))
    expected = scaler.inverse_transform(coder.inverse_transform(Z))
    assert_allclose(pipe.inverse_transform(Z), expected, **ROUNDING)


@each
def test_an_encoder_shows_itself_in_html(name):
    assert type(ENCODERS[name]).__name__ in fitted(name)._repr_html_()


# What is kept


def assert_plain(value):
    assert type(value) in (*PLAIN, dict, list, tuple)
    parts = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list | tuple):
        for part in parts:
            assert_plain(part)


@each
def test_learnt_attributes_are_plain(name):
    coder = fitted(name)
    assert learnt(coder).keys() >= {"components_", "n_iter_", "n_features_in_"}
    assert_plain(learnt(coder))


@each
def test_a_copy_codes_the_same(name):
    X, coder = make_rows(), fitted(name)
    Z = dense(coder.transform(X))
    for twin in (pickle.loads(pickle.dumps(coder)), copy.deepcopy(coder)):
        assert_learnt_the_same(twin, coder)
        assert_array_equal(dense(twin.transform(X)), Z)


@each
def test_a_pickle_holds_no_training_rows(name):
    X = make_rows()
    all_rows, few = (len(pickle.dumps(new(name).fit(rows))) for rows in (X, X[::4]))
    assert all_rows - few < X.nbytes / 4  # curves; rows would be three quarters


@each
def test_a_clone_is_not_fitted(name):
    coder, copied = fitted(name), clone(fitted(name))
    for key, value in coder.get_params().items():
        assert_array_equal(copied.get_params()[key], value)
    with pytest.raises(NotFittedError):
        copied.transform(make_rows())


# What is refused

BAD_ROWS = {
    "nan": (np.full((5, N_FEATURES), np.nan), "Input X contains NaN"),
    "infinity": (np.full((5, N_FEATURES), np.inf), "Input X contains infinity"),
    "vector": (np.ones(N_FEATURES), "Expected 2D array, got 1D array"),
    "no rows": (np.ones((0, N_FEATURES)), r"0 sample\(s\).*minimum of 1 is required"),
    "complex": (np.ones((5, N_FEATURES)) * 1j, "Complex data not supported"),
}
LEARN = ["fit", "partial_fit", "fit_transform"]


@each
@pytest.mark.parametrize("method", LEARN)
def test_bad_rows_leave_the_encoder_as_it_was(name, method):
    for kind, (X, message) in BAD_ROWS.items():
        if not hasattr(ENCODERS[name], method):
            return
        if is_given_atoms(ENCODERS[name]) and method == "partial_fit":
            message = "dictionary gives them"
        elif takes_missing(ENCODERS[name]) and kind == "nan":
            message = "X must have an entry in every column .* in 12 columns"
            if method == "partial_fit":  # a later batch may lack a column
                assert_fails_without_a_trace(new(name), method, X, message)
                continue
        assert_fails_without_a_trace(new(name), method, X, message)
        assert_fails_without_a_trace(fitted(name), method, X, message)


@each
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_parameters_are_named_and_leave_the_encoder_as_it_was(name, method):
    if not hasattr(ENCODERS[name], method):
        return
    coders = [new(name)] if method == "partial_fit" else [new(name), fitted(name)]
    for parameter in new(name).get_params():  # validated once in a stream of batches
        message = f"'{parameter}' parameter of {type(ENCODERS[name]).__name__} must be"
        for coder in map(copy.deepcopy, coders):
            coder.set_params(**{parameter: object()})
            assert_fails_without_a_trace(coder, method, make_rows(), message)


@each
def test_rows_of_another_width_are_refused(name):
    message = rf"X has 5 features, but {type(ENCODERS[name]).__name__} is expecting 12"
    for method in (*METHODS, "report"):
        coder = fitted(name)
        assert_fails_without_a_trace(coder, method, make_rows(n_features=5), message)


@each_of(STREAMING)
def test_a_batch_of_another_width_is_refused(name):
    coder, X = fitted(name), make_rows(n_features=5)
    assert_fails_without_a_trace(coder, "partial_fit", X, "X has 5 features")


@each
def test_codes_of_another_width_are_refused(name):
    K = len(fitted(name).components_)
    with pytest.raises(
        ValueError, match=f"X must be codes and have {K} columns.* got 3"
    ):
        fitted(name).inverse_transform(np.ones((2, 3)))


@each
def test_an_unfitted_encoder_says_so(name):
    for method in (*METHODS, "report", "inverse_transform"):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(new(name), method)(make_rows())


# Certificates


@each
def test_a_gap_is_there_where_something_is_minimised(name):
    coder = ENCODERS[name]
    assert hasattr(coder, "duality_gap") == is_certified(coder)
    if hasattr(type(coder), "duality_gap") and not is_certified(coder):
        with pytest.raises(AttributeError, match="duality_gap") as told:
            _ = coder.duality_gap
        reason = re.search(r"not available for (\w+)", str(told.value.__cause__))
        assert reason[1] in {*coder.get_params(), type(coder).__name__}


@each_way_of(names_where(is_certified))
def test_codes_are_certified(name, given):
    gap = fitted(name).duality_gap(make_rows(), **given)
    assert gap.shape == (N_ROWS,)
    assert np.all(gap > -1e-14)  # rounding
    if getattr(fitted(name), "n_unrolled", None) is None:  # else a few steps only
        assert np.all(gap <= 1e-8)


# Batches


@each_of(STREAMING)
def test_batches_are_learnt_from(name):
    coder = new(name).partial_fit(make_rows())
    n_iter = coder.n_iter_
    assert coder.transform(make_rows()).shape == (N_ROWS, len(coder.components_))
    coder.partial_fit(make_rows(1))
    assert coder.n_iter_ == n_iter + 1 == 2
    n_iter = fitted(name).n_iter_
    assert fitted(name).partial_fit(make_rows(1)).n_iter_ == n_iter + 1


@each_of(names_where(is_given_atoms))
def test_given_atoms_cannot_be_learnt_by_batches(name):
    for coder in (new(name), fitted(name)):
        message = "dictionary gives them"
        assert_fails_without_a_trace(coder, "partial_fit", make_rows(), message)


# Progress


@each_of(LEARNING)
def test_a_line_is_printed_for_each_step(name, capsys):
    coder = new(name, verbose=1).fit(make_rows())
    lines = capsys.readouterr().out.splitlines()
    pattern = rf"\[{type(coder).__name__}\] step (\d+)/{coder.max_iter}, objective (.*)"
    told = [re.fullmatch(pattern, line).groups() for line in lines]
    assert [int(step) for step, _ in told] == list(range(1, coder.n_iter_ + 1))
    assert np.isfinite([float(objective) for _, objective in told]).all()


@pytest.fixture
def listen():
    """Give an encoder listeners, where scikit-learn knows callbacks (from 1.9 on)."""
    pytest.importorskip("sklearn.callback")
    return lambda name, *listeners: new(name).set_callbacks(*listeners)


def test_callbacks_hear_of_given_atoms_too(listen):
    listener = Listener()
    name = "RelaxedSparseCoder-dictionary"
    coder = listen(name, listener).fit(make_rows())
    assert listener.heard == ["setup", "fit begins", "fit ends", "teardown"]
    assert listener.scores == [coder.score(make_rows())]


@each_of(LEARNING)
def test_callbacks_hear_each_step_of_an_encoder_that_codes(name, listen):
    listener = Listener()
    coder = listen(name, listener).fit(make_rows())
    step = ["step begins", "step ends"]
    expected = ["setup", "fit begins", *coder.n_iter_ * step, "fit ends", "teardown"]
    assert listener.heard == expected
    assert len(listener.scores) == coder.n_iter_ + 1
    assert listener.scores[-1] == coder.score(make_rows())
    assert_learnt_the_same(coder, _fit(name))  # and to be heard changes nothing


@each_of(LEARNING)
def test_a_callback_that_returns_true_stops_the_fit(name, listen):
    most = fitted(name).n_iter_
    coder = listen(name, Listener(stop_at=1), Listener()).fit(make_rows())
    assert coder.n_iter_ == min(2, most)


@each_of([name for name in LEARNING if ENCODERS[name].max_iter > 0])
def test_a_failing_callback_leaves_the_encoder_as_it_was(name, listen):
    for coder in (new(name), fitted(name)):
        listener = Listener(fail_at=0)
        before = dict(vars(coder.set_callbacks(listener)))
        with pytest.raises(ZeroDivisionError):
            coder.fit(make_rows(1))
        assert same(before, vars(coder))
        assert listener.heard[-1] == "teardown"


@each_of(LEARNING)
def test_clones_keep_callbacks_and_parameters_do_not_show_them(name, listen):
    listener = Listener()
    coder = listen(name, listener)
    assert coder.get_params() == new(name).get_params()
    assert clone(coder).fit(make_rows()).n_iter_ == listener.heard.count("step ends")


def test_the_list_has_every_class_and_distinct_configurations():
    assert {type(coder) for coder in ENCODERS.values()} == set(FAMILIES)
    assert all(fitted(name).n_features_in_ == N_FEATURES for name in ENCODERS)
