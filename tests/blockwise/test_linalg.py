"""Products, norms and units of rows of any size, dense or sparse."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.blockwise import linalg
from sklearn_sqrtlasso.blockwise.converted_rows import canonical_rows
from sklearn_sqrtlasso.blockwise.linalg import (
    affine_rows,
    column_means,
    dense_rows,
    largest_entry,
    largest_spread,
    multiply_rows,
    narrowed,
    project_rows,
    root_mean_square,
    row_norms,
    scaled,
    unit_near,
)

EPS = np.finfo(np.float64).eps
CONTAINERS = {"dense": np.asarray, "csr": sp.csr_array, "csr matrix": sp.csr_matrix}

each_container = pytest.mark.parametrize("contain", CONTAINERS.values(), ids=CONTAINERS)
each_dtype = pytest.mark.parametrize("dtype", ["f4", "f8"])
sizes = st.floats(0, np.finfo(np.float64).max)


def rows(dtype="f8"):
    X = np.random.default_rng(0).integers(-3, 4, (7, 4)).astype(dtype)
    X[2] = 0
    return X


@each_container
@each_dtype
@pytest.mark.parametrize("wanted", [None, "f4", "f8"])
def test_rows_become_dense_in_the_dtype_that_is_wanted(contain, dtype, wanted):
    X = dense_rows(contain(rows(dtype)), wanted)
    assert isinstance(X, np.ndarray)
    assert X.dtype == (wanted or dtype)
    assert_array_equal(X, rows())


def test_dense_rows_are_not_copied():
    X = rows()
    assert dense_rows(X) is dense_rows(X, "f8") is X


@each_container
@each_dtype
def test_products_are_contiguous_and_of_the_dtype(contain, dtype):
    W = rows(dtype)[:3] + 1
    U = project_rows(contain(rows(dtype)), W)
    assert isinstance(U, np.ndarray)
    assert U.flags.c_contiguous
    assert U.dtype == dtype
    assert_array_equal(U, rows() @ W.T)  # whole numbers: nothing is rounded


def test_products_of_dense_rows_are_written_where_they_are_wanted():
    out = np.full((7, 3), np.nan)
    assert project_rows(rows(), rows()[:3], out) is out
    assert_array_equal(out, rows() @ rows()[:3].T)
    sparse = project_rows(sp.csr_array(rows()), rows()[:3], np.empty((7, 3)))
    assert_array_equal(sparse, out)


@each_dtype
def test_norms_are_those_of_numpy(dtype):
    X = np.random.default_rng(0).standard_normal((9, 30)).astype(dtype)
    norms = row_norms(X)
    assert norms.dtype == dtype
    expected = np.linalg.norm(X.astype("f8"), axis=1)
    assert_allclose(norms, expected, rtol=30 * np.finfo(dtype).eps)  # terms of a sum


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1e300])
def test_norms_neither_overflow_nor_vanish(size):
    with np.errstate(all="raise"):
        norms = row_norms(size * rows())
    assert_allclose(norms, size * np.linalg.norm(rows(), axis=1), rtol=8 * EPS)


def test_rows_may_differ_in_size_and_have_no_entries():
    assert_array_equal(row_norms(np.array([[3e-200, 4e-200], [0, 0], [1e200, 0]])), (
        [5e-200, 0, 1e200]))  # fmt: skip
    assert_array_equal(row_norms(np.empty((2, 0))), [0, 0])


@each_dtype
def test_norms_that_are_out_of_range_are_infinite(dtype):
    top = np.finfo(dtype).max
    X = np.array([[np.inf, 1], [-np.inf, np.inf], [top, top], [3, 4]], dtype)
    with np.errstate(all="raise"):
        assert_array_equal(row_norms(X), [np.inf, np.inf, np.inf, 5])


@each_container
def test_the_largest_entry_counts_in_magnitude(contain):
    X = rows()
    X[4, 1] = -9
    assert largest_entry(contain(X)) == 9
    assert largest_entry(contain(np.abs(X))) == 9
    assert largest_entry(contain(0 * X)) == 0


@given(sizes)
def test_a_unit_is_a_power_of_two_whose_inverse_is_one_too(largest):
    unit = unit_near(largest)
    assert isinstance(unit, float)
    assert np.frexp(unit)[0] == np.frexp(1 / unit)[0] == 0.5
    assert np.finfo(np.float64).tiny <= min(unit, 1 / unit)


@given(sizes)
def test_a_unit_is_near_what_it_measures(largest):
    unit, bound = unit_near(largest), 2.0**1000
    if largest == 0:
        assert unit == 1
    elif 1 / bound <= largest <= bound:
        assert largest <= unit <= 2 * largest
    else:
        assert unit == (bound if largest > 1 else 1 / bound)


def test_the_unit_of_infinite_numbers_is_one():
    assert unit_near(np.inf) == 1
    assert_array_equal(unit_near(np.array([np.inf, 0, 3.0])), [1, 1, 4])


@given(st.lists(sizes, max_size=5), st.sampled_from(["f4", "f8"]))
def test_units_of_an_array_are_those_of_its_entries(sizes, dtype):
    units = unit_near(np.array(sizes), dtype)
    assert isinstance(units, np.ndarray)
    assert_array_equal(units, [unit_near(size, dtype) for size in sizes])


@given(sizes)
def test_units_of_single_precision_are_normal_numbers_of_it(largest):
    limits, unit = np.finfo(np.float32), unit_near(largest, np.float32)
    for value in (unit, 1 / unit):
        assert np.float32(value) == value
        assert limits.tiny <= value <= limits.max
    if 2.0**-104 <= largest <= 2.0**104:
        assert unit == unit_near(largest)


@each_container
@each_dtype
@pytest.mark.parametrize("size", [2.0**-100, 0.75, 1.0, 2.0**100])
def test_the_root_mean_square_counts_zeros(contain, dtype, size):
    X = (size * rows()).astype(dtype)
    share, unit = root_mean_square(contain(X))
    assert 0.5 <= share < 1
    assert np.frexp(unit)[0] == 0.5
    expected = np.sqrt(np.mean(rows() ** 2))
    rtol = 2 * np.finfo(dtype).eps  # of the squares, which are summed in double
    assert_allclose(share * (unit / size), expected, rtol=rtol)


@each_container
@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_the_root_mean_square_neither_overflows_nor_vanishes(contain, size):
    share, unit = root_mean_square(contain(size * rows()))
    expected = np.sqrt(np.mean(rows() ** 2))
    assert_allclose(share * (unit / size), expected, rtol=8 * EPS)


def test_the_root_mean_square_of_zeros_is_zero():
    assert root_mean_square(np.zeros((3, 2))) == (0.0, 1.0)
    assert root_mean_square(sp.csr_array((3, 2))) == (0.0, 1.0)


@each_container
def test_the_root_mean_square_is_summed_over_all_blocks(contain, monkeypatch):
    whole = root_mean_square(contain(rows()))
    monkeypatch.setattr(linalg, "BLOCK_ROWS", 3)
    assert root_mean_square(contain(rows())) == whole  # whole numbers


@each_container
def test_the_root_mean_square_is_that_of_observed_entries(contain):
    X = rows().astype(float)
    X[1:, 0] = X[0, 1] = np.nan
    share, unit = root_mean_square(contain(X))
    assert_allclose(share * unit, np.sqrt(np.nanmean(X**2)))


def test_rows_are_canonical_without_a_change_of_what_is_given():
    entries, columns, bounds = np.array([1.0, 2.0, 4.0]), np.array([2, 0, 2]), [0, 3, 3]
    rows = sp.csr_array((entries, columns, bounds), shape=(2, 3))
    assert_array_equal(canonical_rows(rows).data, [2, 5])
    assert_array_equal(canonical_rows(rows).indices, [0, 2])
    assert_array_equal(entries, [1, 2, 4])
    assert_array_equal(rows.indices, [2, 0, 2])
    once = sp.csr_array(rows.toarray())
    assert canonical_rows(once) is once
    dense = rows.toarray()
    assert canonical_rows(dense) is dense


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("given_out", [False, True])
@pytest.mark.parametrize("powers", [(0, 0), (1, 1), (1, 0.5), (-1, 1.2), (-0.5, -1)])
def test_a_product_is_infinite_only_where_it_exceeds_all_numbers(
    dtype, container, given_out, powers
):
    rng, top = np.random.default_rng(0), {"f8": 299, "f4": 36}[dtype]
    X = rng.standard_normal((9, 4)) * 10.0 ** (powers[0] * top)
    V = rng.standard_normal((4, 3)) * 10.0 ** min(powers[1] * top, 299)
    X[0, 1], X[1] = 0, [1, -1, 1, -1]
    V[0], V[2] = V[1], V[3]  # terms of the second row cancel
    X = X.astype(dtype)
    narrow = V if powers[1] > 1 else V.astype(dtype)
    out = np.empty((9, 3), dtype) if given_out else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = multiply_rows(container(X), narrow, out)
    wide = np.longdouble
    expected = X.astype(wide) @ narrow.astype(wide)
    summed = np.abs(X).astype(wide) @ np.abs(narrow).astype(wide)
    info = np.finfo(dtype)
    assert ours.dtype == X.dtype
    assert not np.isnan(ours).any()
    finite = np.abs(expected) < 0.9 * wide(info.max)
    allowed = 16 * info.eps * summed + info.smallest_normal
    sure = finite & (np.abs(expected) + allowed < wide(info.max))
    assert np.all((np.abs(ours - expected) <= allowed)[sure])
    beyond = np.abs(expected) - allowed > wide(info.max)
    assert_array_equal(ours[beyond], np.sign(expected[beyond]) * np.inf)


@each_container
@pytest.mark.parametrize("given_out", [False, True])
@pytest.mark.parametrize(
    ("dtype", "offset"), [("f8", 0.75), ("f4", 0.75), ("f4", 1.5), ("f4", 1e-9)]
)
def test_a_sum_is_infinite_only_where_it_exceeds_all_numbers(
    contain, dtype, offset, given_out
):
    top, wide = float(np.finfo(dtype).max), np.longdouble
    X = np.array([[2, 1], [1.5, 0], [2, 0], [-2, 0], [0, 0], [0.5, 0]], dtype)
    V, b = np.array([[top, top], [-top, -top]]), np.array([-offset * top, 0.25 * top])
    expected = X.astype(wide) @ V.astype(wide) + b
    out = np.empty((6, 2), dtype) if given_out else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        U, offsets = affine_rows(contain(X), V, b, out)
    assert U.dtype == offsets.dtype == dtype
    with np.errstate(over="ignore"):
        assert_allclose(U + offsets, expected.astype(dtype), rtol=1e-6)


def test_factors_may_be_out_of_the_range_of_a_dtype():
    values = np.array([1e-10, 0, 1, -1], np.float32)
    with np.errstate(all="raise", under="ignore"):
        large, small = scaled(values, 2.0**150), scaled(1e30 * values, 2.0**-200)
    assert large.dtype == small.dtype == np.float32
    assert_array_equal(large, [float(values[0]) * 2.0**150, 0, np.inf, -np.inf])
    assert_allclose(small, 1e30 * values.astype("f8") * 2.0**-200, atol=1e-44)
    assert_array_equal(scaled(values.astype("f8"), 8.0), 8 * values.astype("f8"))


def test_numbers_are_narrowed_where_none_is_out_of_range():
    V = np.array([1.0, 1e39])
    assert narrowed(V, np.dtype("f4")) is V
    assert narrowed(V, np.dtype("f8")) is V
    assert_array_equal(narrowed(V / 2e39, np.dtype("f4")), (V / 2e39).astype("f4"))


# Means, and what is left about them


def far_rows(n_rows=5000):
    """Return rows at 1e9 times their spread, and the rows about the offset."""
    spread = np.random.default_rng(3).integers(-8, 9, (n_rows, 4)).astype(float)
    offset = 1e9 * np.array([1.0, -3.0, 0.0, 2.0])
    return spread + offset, spread, offset


@each_container
@each_dtype
def test_means_are_those_of_numpy_in_double_precision(contain, dtype):
    X = np.random.default_rng(0).standard_normal((5000, 4)).astype(dtype)
    X[np.abs(X) < 0.5] = 0
    means = column_means(contain(X))
    assert means.dtype == np.float64
    assert_allclose(means, X.astype("f8").mean(axis=0), rtol=1e-12, atol=1e-14)


@each_container
def test_means_far_from_zero_keep_the_spread(contain):
    X, spread, offset = far_rows()
    means = column_means(contain(X))
    # sums of 5000 terms of 3e9 in two blocks: some roundings of 1e-6 of the spread
    assert_allclose(means - offset, spread.mean(axis=0), atol=1e-5)


@each_container
@pytest.mark.parametrize("scale", [1e-150, 1e150, 1e300])
def test_means_and_spreads_have_the_unit_of_the_rows(contain, scale):
    X = rows() + 0.5
    with np.errstate(all="raise"):
        means = column_means(contain(scale * X))
        spread = largest_spread(contain(scale * X), means)
    assert_allclose(means, scale * X.mean(axis=0), rtol=8 * EPS)
    assert_allclose(spread, scale * np.abs(X - X.mean(axis=0)).max(), rtol=8 * EPS)


@each_container
@each_dtype
def test_the_largest_spread_is_the_largest_distance_from_a_mean(contain, dtype):
    X = contain(rows(dtype))
    for mean in (np.zeros(4), rows().mean(axis=0), np.full(4, 5.0)):
        expected = np.abs(rows() - mean).max()
        assert_allclose(largest_spread(X, mean), expected, rtol=4 * EPS)
    assert largest_spread(contain(np.full((3, 4), 7.0)), np.full(4, 7.0)) == 0


def test_a_spread_beyond_all_numbers_is_the_largest_number():
    top = np.finfo(np.float64).max
    assert largest_spread(np.array([[top], [-top]]), np.array([-top])) == top
