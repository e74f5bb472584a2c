"""The synthetic rows are what they are said to be."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sqrtlasso.datasets import MODELS, NOISES, make_sparse_codes


@pytest.mark.parametrize("noise", NOISES)
def test_noise_of_every_law_has_the_standard_deviation_asked_for(noise):
    rows = make_sparse_codes(4000, 100, noise=noise, noise_std=0.3, random_state=0)
    # Student's t has no fourth moment: its sample deviation settles slowly.
    tolerance = 0.05 if noise == "student_t" else 0.01
    assert_allclose(np.std(rows.X - rows.X_clean), 0.3, rtol=tolerance)


def test_laws_differ_in_their_tails():
    kurtosis = {}
    for noise in NOISES:
        rows = make_sparse_codes(2000, 100, noise=noise, random_state=0)
        kurtosis[noise] = np.mean((rows.X - rows.X_clean) ** 4) / 0.1**4
    assert kurtosis["uniform"] < 2 < kurtosis["gaussian"] < 4 < kurtosis["laplace"] < 8
    assert kurtosis["student_t"] > 8


@pytest.mark.parametrize("shape", [(30, 30), (30, 50), (30, 20)])
def test_transform_model_is_a_tight_frame(shape):
    n_features, n_components = shape
    W = make_sparse_codes(5, n_features, n_components, random_state=0).components
    gram = W.T @ W if n_components >= n_features else W @ W.T
    assert_allclose(gram, np.eye(min(shape)), atol=1e-12)


def test_synthesis_model_has_unit_atoms():
    rows = make_sparse_codes(5, 30, 50, model="synthesis", random_state=0)
    assert_allclose(np.linalg.norm(rows.components, axis=1), 1)


@pytest.mark.parametrize("model", MODELS)
def test_rows_are_made_of_their_codes(model):
    rows = make_sparse_codes(20, 12, 20, n_nonzero=3, model=model, random_state=1)
    assert_allclose(rows.X_clean, rows.Z @ rows.components)
    assert_array_equal(np.count_nonzero(rows.Z, axis=1), 3)
    sizes = np.abs(rows.Z[rows.Z != 0])
    assert sizes.min() >= 1
    assert sizes.max() <= 2


def test_each_row_may_have_its_own_noise():
    level = np.repeat([0.0, 5.0], 50)
    rows = make_sparse_codes(100, 64, noise_std=level, random_state=0)
    noise = rows.X - rows.X_clean
    assert_array_equal(noise[:50], 0)
    assert_allclose(np.std(noise[50:]), 5, rtol=0.05)


def test_same_seed_same_rows():
    one, other = (make_sparse_codes(10, random_state=4) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "both"}, "model must be one of .*'both'"),
        ({"noise": "pink"}, "noise must be one of .*'pink'"),
        ({"n_nonzero": 65}, r"n_nonzero must be an integer in \[0, 64\], got 65"),
        ({"n_nonzero": 1.5}, r"n_nonzero must be an integer in \[0, 64\], got 1.5"),
        ({"n_features": 0}, "n_features must be an integer, at least 1, got 0"),
        ({"n_components": 8.0}, "n_components must be an integer, .* got 8.0"),
        ({"noise_std": -1.0}, "noise_std must be at least 0 and finite, got -1.0"),
        ({"noise_std": [1, 2]}, r"noise_std must be a number or have shape \(10,\)"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        make_sparse_codes(10, **options)
