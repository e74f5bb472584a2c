"""Laws of the codes, restorations and noise levels of ``SqrtLassoTransform``."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import SqrtLassoTransform
from tests import sized
from tests.estimators.common import (
    ROUNDING,
    SCATTERED,
    held,
    make_rows,
    random_frame,
)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_the_score_does_not_depend_on_the_unit(scale):
    X = make_rows()
    coder = SqrtLassoTransform(alpha=0.4, center=False).fit(X)
    assert_allclose(coder.score(scale * X), coder.score(X), rtol=1e-9)


def test_the_score_of_constant_columns_is_one_if_they_are_restored():
    coder = held(np.eye(4), alpha=0.0)
    assert coder.score(np.full((3, 4), 0.7)) == 1
    assert held(np.eye(4), alpha=1.0).score(np.full((3, 4), 0.7)) == 0


def test_the_inverse_of_a_square_frame_is_exact():
    W, X = random_frame((12, 12)), make_rows()
    for K in (12, 30):
        coder = held(random_frame((K, 12)), alpha=0.0)
        assert_allclose(coder.reconstruct(X), X, **ROUNDING)
    assert_allclose(held(W).inverse_transform(X @ W.T), X, **ROUNDING)


@pytest.mark.parametrize("sigma", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("shape", [(64, 64), (160, 64), (24, 64)])
def test_noise_is_coded_by_zero_19_times_of_20(shape, sigma):
    E = sigma * np.random.default_rng(1).standard_normal((sized(2000, 400), 64))
    Z = held(random_frame(shape)).transform(E)
    share = np.mean(~Z.any(axis=1))
    # three standard errors, and what the union bound and 10 000 draws leave open
    assert abs(share - 0.95) <= 3 * np.sqrt(0.05 * 0.95 / len(E)) + 0.01


# Mathematics of the package: orthonormal W, 100 units, 5 of size 1 to 2 and any sign.
N_PUBLISHED = sized(2000, 500)
PUBLISHED_ERRORS = {0.02: 0.091, 0.05: 0.227, 0.1: 0.454, 0.2: 0.909, 0.4: 1.796}
PUBLISHED_SUPPORTS = {0.02: 1.0, 0.05: 1.0, 0.1: 1.0, 0.2: 0.621, 0.4: 0.001}


def sparse_codes(n_rows, d, k):
    rng = np.random.default_rng(2)
    places = np.argsort(rng.random((n_rows, d)), axis=1) < k
    signs = rng.choice([-1, 1], (n_rows, d))
    Z = np.where(places, signs * rng.uniform(1, 2, (n_rows, d)), 0)
    return Z, rng.standard_normal((n_rows, d))


@pytest.mark.parametrize(("sigma", "error"), list(PUBLISHED_ERRORS.items()))
def test_one_penalty_is_as_good_as_published_at_every_noise_level(sigma, error):
    W, (Z, E) = random_frame((100, 100)), sparse_codes(N_PUBLISHED, 100, 5)
    found = held(W, alpha=0.1586).transform((Z + sigma * E) @ W)
    ours = np.sqrt(np.mean(np.sum((found - Z) ** 2, axis=1)))
    assert_allclose(ours, error, rtol=sized(0.015, 0.03))  # three standard errors


@pytest.mark.parametrize(("sigma", "share"), list(PUBLISHED_SUPPORTS.items()))
def test_supports_are_found_as_often_as_published(sigma, share):
    W, (Z, E) = random_frame((100, 100)), sparse_codes(N_PUBLISHED, 100, 5)
    found = held(W, alpha=0.34).transform((Z + sigma * E) @ W)
    ours = np.mean(np.all((found != 0) == (Z != 0), axis=1))
    # three standard errors, of the published share and of ours
    tolerance = 3 * np.sqrt(share * (1 - share) * (1 / 2000 + 1 / len(Z)))
    assert abs(ours - share) <= tolerance + 0.002


NOISY_FRAMES = [(32, 64), (64, 64), (160, 64), (128, 256), (256, 256), (320, 256)]


@pytest.mark.parametrize("sigma", [1e-6, 1.0])
@pytest.mark.parametrize("shape", NOISY_FRAMES)
def test_the_noise_of_pure_noise_is_known_within_5_percent(shape, sigma):
    E = sigma * np.random.default_rng(1).standard_normal((sized(600, 100), shape[1]))
    coder = held(random_frame(shape))
    groups = np.arange(len(E)) // 50
    assert_allclose(coder.noise_scale(E).mean(), sigma, rtol=0.05)
    assert_allclose(coder.noise_scale(E, groups=groups), sigma, rtol=0.05)
    assert_allclose(coder.noise_scale(E, groups="all"), sigma, rtol=0.05)


@pytest.mark.parametrize("sigma", [1e-6, 1.0])
@pytest.mark.parametrize("shape", [s for s in NOISY_FRAMES if s[0] <= s[1]])
def test_the_noise_about_sparse_rows_is_known_within_5_percent(shape, sigma):
    # rows that few units span are sparse for a frame of no more units than features
    (K, n), W = shape, random_frame(shape)
    Z, _ = sparse_codes(sized(600, 100), K, 3)
    E = np.random.default_rng(1).standard_normal((len(Z), n))
    X, coder = sigma * (6 * Z @ W + E), held(W)
    groups = np.arange(len(X)) % (len(X) // 50)
    assert_allclose(coder.noise_scale(X).mean(), sigma, rtol=0.05)
    assert_allclose(coder.noise_scale(X, groups=groups), sigma, rtol=0.05)
    assert_allclose(coder.noise_scale(X, groups="all"), sigma, rtol=0.05)


def test_noise_scale_is_the_median_over_the_training_rows():
    X = make_rows()
    for groups in (None, SCATTERED):
        coder = SqrtLassoTransform(max_iter=2, tol=0.0).fit(X, groups=groups)
        assert coder.noise_scale_ == np.median(coder.noise_scale(X, groups=groups))


def test_a_stream_of_another_number_of_components_is_refused():
    coder = SqrtLassoTransform(5, alpha=0.4).fit(make_rows())
    coder.set_params(n_components=6)
    with pytest.raises(ValueError, match=r"n_components cannot .* 5 to 6 .* call fit"):
        coder.partial_fit(make_rows())


@pytest.mark.skipif(sized(False, True), reason="too long without a compiler")
def test_noise_of_known_level_is_told_by_what_a_table_teaches():
    noise = np.random.default_rng(0).standard_normal((100, 30))
    X = StandardScaler().fit_transform(load_breast_cancer().data)
    coder = SqrtLassoTransform(max_iter=2, tol=0.0).fit(X)
    for level in (0.1, 1.0, 10.0):
        sigma = coder.noise_scale(coder.mean_ + level * noise, groups="all")
        assert_allclose(sigma, level, rtol=0.05)
