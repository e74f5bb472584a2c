"""The work of coding grows with all that makes it take longer."""

import numpy as np
import pytest

from sklearn_sqrtlasso.blockwise.encode import map_encoded
from sklearn_sqrtlasso.blockwise.groups import ungrouped
from sklearn_sqrtlasso.sparse_coding.coding_work import work_of_row
from sklearn_sqrtlasso.sparse_coding.dictionary import CodingOptions, make_dictionary
from sklearn_sqrtlasso.sparse_coding.encoder import DictionaryEncoder
from sklearn_sqrtlasso.sparse_coding.wide_rows import MANY

SMALL = {"k": 10, "n_atoms": 50, "n_missing": 4, "n_spikes": 60}


@pytest.mark.parametrize("name", SMALL)
def test_more_of_anything_is_more_work(name):
    more = SMALL | {name: 2 * SMALL[name]}
    assert work_of_row(**more) > work_of_row(**SMALL)


def test_spikes_beyond_paths_are_no_work():
    wide, wider = (work_of_row(10, 50, 4, MANY * times) for times in (1, 2))
    assert wide == wider


@pytest.mark.parametrize("outlier_alpha", [None, 0.8])
@pytest.mark.parametrize("positive", [False, True])
def test_work_of_a_block_is_that_of_its_rows(outlier_alpha, positive):
    rng = np.random.default_rng(0)
    X, D = rng.standard_normal((20, 6)), rng.standard_normal((5, 6))
    X[:8, 2] = np.nan  # as many in each
    options = CodingOptions(
        "sqrt_lasso", 0.3, positive=positive, outlier_alpha=outlier_alpha
    )
    outlying = outlier_alpha is not None
    encoder = DictionaryEncoder(make_dictionary(D), options, outlying)
    n_spikes = outlying * 6 * (1 + positive)

    def work(block):
        used, expected = np.count_nonzero(block.Z, axis=1), 0.0
        for rows, lost in ((slice(8), 1), (slice(8, 20), 0)):
            k = max(used[rows].mean(), 1)
            expected += len(used[rows]) * work_of_row(k, 5, lost, n_spikes)
        assert encoder.work_of(block) == pytest.approx(expected)
        return expected

    assert len(list(map_encoded(work, X, encoder, ungrouped(20)))) == 1
