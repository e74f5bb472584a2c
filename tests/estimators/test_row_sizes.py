"""The usual size of rows in a stream, against outliers, zeros and changes of unit."""

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_sqrtlasso.estimators.row_sizes import UNUSUAL, follow_sizes

ROWS = np.array([[3.0, -1.0], [1.0, 1.0]])
LOG2 = np.log2(np.sqrt(3.0))


def follow(*sizes):
    """Return what is known after batches of given sizes."""
    found = follow_sizes(sizes[0] * ROWS)
    for size in sizes[1:]:
        found = follow_sizes(size * ROWS, found.log2_sizes)
    return found


@pytest.mark.parametrize("exponent", [-1000, 0, 1000])
@pytest.mark.parametrize("contain", [np.asarray, sp.csr_array])
def test_the_first_size_is_usual(contain, exponent):
    sizes = follow_sizes(contain(ROWS * 2.0**exponent))
    assert sizes.log2_sizes == pytest.approx((LOG2 + exponent,) * 2)
    assert (sizes.outlying, sizes.shift, sizes.tells) == (0, 0.0, True)


def test_usual_sizes_are_followed_slowly():
    usual, last = follow(1, 4).log2_sizes
    assert LOG2 < usual < LOG2 + 0.5
    assert last == pytest.approx(LOG2 + 2)
    assert follow(*[1] + 50 * [4]).log2_sizes[0] == pytest.approx(LOG2 + 2, abs=0.02)


@pytest.mark.parametrize("exponent", [-20, -4, 4, 20])
def test_one_batch_of_another_size_is_scaled_to_the_usual_one(exponent):
    sizes = follow(1, 2.0**exponent)
    assert sizes.outlying == exponent
    assert not sizes.tells
    assert sizes.log2_sizes == pytest.approx((LOG2, LOG2 + exponent))
    assert follow(1, 2.0**exponent, 1).tells


@pytest.mark.parametrize("exponent", [-20, -5, 5, 20])
def test_two_batches_of_another_size_make_theirs_usual(exponent):
    sizes = follow(1, 2.0**exponent, 2.0 ** (exponent + 1))
    assert sizes.log2_sizes == pytest.approx((LOG2 + exponent + 1,) * 2)
    assert sizes.shift == pytest.approx(exponent + 1)
    assert (sizes.outlying, sizes.tells) == (0, True)


def test_zeros_change_nothing():
    assert follow(0).log2_sizes == (None, None)
    assert not follow(0).tells
    assert follow(0, 1).log2_sizes == pytest.approx((LOG2, LOG2))
    for sizes in ((1,), (1, 2), (1, 2.0**UNUSUAL * 2)):
        assert follow(*sizes, 0).log2_sizes == follow(*sizes).log2_sizes
        assert (follow(*sizes, 0).outlying, follow(*sizes, 0).tells) == (0, False)
