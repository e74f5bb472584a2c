"""Laws of the codes, restorations and noise levels of ``SqrtLassoTransform``."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import r2_score

from sklearn_sqrtlasso import SqrtLassoTransform
from tests import sized
from tests.estimators.common import (
    N_ROWS,
    ROUNDING,
    SCATTERED,
    dense,
    each_groups,
    held,
    make_rows,
    random_frame,
)


@each_groups
@pytest.mark.parametrize("exponent", [-400, -1, 1, 37, 400])
def test_a_power_of_two_scales_codes_exactly(coder, groups, exponent):
    X, c = make_rows(), 2.0**exponent
    coder = coder.fit(X)
    Z, by_c = coder.transform(X, groups=groups), coder.transform(c * X, groups=groups)
    assert_array_equal(dense(by_c), c * dense(Z))


@each_groups
@pytest.mark.parametrize("c", [1e-150, 1e-9, 0.3, 7.0, 1e150])
def test_scaling_rows_scales_their_codes(coder, groups, c):
    X = make_rows()
    coder = coder.fit(X)
    Z, by_c = coder.transform(X, groups=groups), coder.transform(c * X, groups=groups)
    # c * X is rounded, and 1 / (1 - k alpha^2) enlarges that
    assert_allclose(dense(by_c) / c, dense(Z), rtol=1e-10, atol=1e-10)


@each_groups
def test_fitting_and_coding_at_once_is_fitting_then_coding(coder, groups):
    X = make_rows()
    at_once = coder.fit_transform(X, groups=groups)
    Z = coder.fit(X, groups=groups).transform(X, groups=groups)
    assert_array_equal(dense(at_once), dense(Z))


@each_groups
def test_reconstruction_is_coding_and_decoding(coder, groups):
    X = make_rows()
    coder = coder.fit(X, groups=groups)
    decoded = coder.inverse_transform(coder.transform(X, groups=groups))
    assert_allclose(coder.reconstruct(X, groups=groups), decoded, **ROUNDING)


@each_groups
def test_the_score_is_the_explained_variance(coder, groups):
    X = make_rows() + 3
    coder = coder.fit(X)
    expected = r2_score(
        X, coder.reconstruct(X, groups=groups), multioutput="variance_weighted"
    )
    assert_allclose(coder.score(X, groups=groups), expected, rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_the_score_does_not_depend_on_the_unit(scale):
    X = make_rows()
    coder = SqrtLassoTransform(alpha=0.4).fit(X)
    assert_allclose(coder.score(scale * X), coder.score(X), rtol=1e-9)


def test_the_score_of_constant_columns_is_one_if_they_are_restored():
    coder = held(np.eye(4), alpha=0.0)
    assert coder.score(np.full((3, 4), 0.7)) == 1
    assert held(np.eye(4), alpha=1.0).score(np.full((3, 4), 0.7)) == 0


@pytest.mark.parametrize("scatter", [False, True])
def test_groups_of_one_row_are_rows_alone(coder, scatter):
    X = make_rows()
    labels = np.random.default_rng(0).permutation(N_ROWS) if scatter else range(N_ROWS)
    coder = coder.fit(X)
    Z, alone = coder.transform(X, groups=np.array(labels)), coder.transform(X)
    assert_allclose(dense(Z), dense(alone), **ROUNDING)
    assert scatter or np.array_equal(dense(Z), dense(alone))


def test_permuting_rows_and_groups_permutes_codes(coder):
    X, order = make_rows(), np.random.default_rng(0).permutation(N_ROWS)
    coder = coder.fit(X)
    Z = dense(coder.transform(X, groups=SCATTERED))
    moved = dense(coder.transform(X[order], groups=SCATTERED[order]))
    assert_allclose(moved, Z[order], **ROUNDING)


def test_one_group_of_all_rows_is_all(coder):
    X = make_rows()
    coder = coder.fit(X)
    by_label = coder.transform(X, groups=np.zeros(N_ROWS))
    assert_array_equal(dense(coder.transform(X, groups="all")), dense(by_label))


@each_groups
def test_threads_do_not_change_a_bit(coder, groups):
    X = make_rows()
    one, two = (clone(coder).set_params(n_jobs=n) for n in (1, 2))
    Z, again = (dense(c.fit_transform(X, groups=groups)) for c in (one, two))
    assert_array_equal(two.components_, one.components_)
    assert_array_equal(again, Z)


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
        coder = SqrtLassoTransform().fit(X, groups=groups)
        assert coder.noise_scale_ == np.median(coder.noise_scale(X, groups=groups))


def test_noise_scale_has_the_unit_of_the_data(coder):
    X = make_rows()
    coder = coder.fit(X)
    sigma = coder.noise_scale(X, groups=SCATTERED)
    by_c = coder.noise_scale(2.0**300 * X, groups=SCATTERED)
    assert_array_equal(by_c, 2.0**300 * sigma)
