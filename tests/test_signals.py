"""Recordings restored by windows: their laws, streams, levels, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA

from sklearn_sqrtlasso import SqrtLassoTransform
from sklearn_sqrtlasso.signals import denoise_chunks, denoise_signal
from tests import sized

N = sized(2600, 400)
QUICK = {"window": 12, "similar": 10, "reach": 40}


def pulses(n_samples=N, level=1.0, seed=0):
    """Return a signal that repeats every 100 samples, and the same with noise."""
    t = np.arange(n_samples)
    clean = 10 * np.exp(-((((t % 100) - 50) / 8) ** 2)) + 2 * np.sin(t / 30)
    return clean, clean + level * np.random.default_rng(seed).standard_normal(n_samples)


@pytest.mark.parametrize("level", [0.1, 1.0, 3.0])
def test_noise_of_any_level_is_removed(level):
    clean, noisy = pulses(level=level)
    left = denoise_signal(noisy, reach=150) - clean
    assert np.std(left) < 0.5 * level


@pytest.mark.parametrize("power", [-900, -3, 40, 900])
def test_it_scales_to_the_last_bit(power):
    noisy = pulses()[1]
    scaled = denoise_signal(np.ldexp(noisy, power), **QUICK)
    assert_array_equal(scaled, np.ldexp(denoise_signal(noisy, **QUICK), power))


def test_an_offset_is_left_as_it_is():
    noisy = pulses()[1]
    moved = denoise_signal(noisy + 1e9, **QUICK) - 1e9
    assert_allclose(moved, denoise_signal(noisy, **QUICK), rtol=0, atol=1e-3)


def test_a_signal_without_noise_is_unchanged():
    assert_array_equal(denoise_signal(np.full(300, 7.0)), 7.0)
    assert_array_equal(denoise_signal(np.zeros(40)), 0.0)


def test_channels_are_restored_one_by_one():
    both = np.column_stack([pulses()[1], 5 * pulses(seed=1)[1]])
    restored = denoise_signal(both, **QUICK)
    for channel, expected in zip(restored.T, both.T, strict=True):
        assert_array_equal(channel, denoise_signal(expected, **QUICK))


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_dtypes(dtype):
    noisy = np.round(100 * pulses()[1]).astype(dtype)
    restored = denoise_signal(noisy, **QUICK)
    assert restored.dtype == (np.float32 if dtype == np.float32 else np.float64)
    assert_allclose(restored, denoise_signal(noisy.astype(float), **QUICK), atol=0.01)


def test_each_stretch_has_its_own_level():
    clean, noise = pulses(N)[0], pulses(N)[1] - pulses(N)[0]
    half = N // 2
    noisy = clean + np.where(np.arange(N) < half, 0.1, 2.0) * noise
    left = denoise_signal(noisy, **QUICK, stretch=half) - clean
    assert np.std(left[:half]) < 0.1
    assert np.std(left[half:]) < 1.4


@pytest.mark.parametrize("given", [{"noise_std": 1.0}, {"stretch": 130}])
@pytest.mark.parametrize("size", [1, 77, N])
def test_a_stream_is_the_whole_recording_to_the_last_bit(given, size):
    noisy = pulses()[1]
    chunks = [noisy[at : at + size] for at in range(0, N, size)]
    parts = list(denoise_chunks(chunks, **QUICK, **given))
    expected = denoise_signal(noisy, **QUICK, **given)
    assert_array_equal(np.concatenate(parts), expected)
    assert_array_equal(denoise_signal(noisy, **QUICK, **given, n_jobs=2), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_stream_may_have_channels(dtype):
    both = np.column_stack([pulses()[1], 5 * pulses(seed=1)[1]]).astype(dtype)
    parts = list(denoise_chunks(np.array_split(both, 9), **QUICK, stretch=200))
    assert_array_equal(np.vstack(parts), denoise_signal(both, **QUICK, stretch=200))
    assert parts[0].dtype == dtype
    one = list(denoise_chunks(np.array_split(both[:, 0], 9), **QUICK, stretch=200))
    assert_array_equal(np.concatenate(one), np.vstack(parts)[:, 0])


@pytest.mark.parametrize("n_channels", [1, 2])
def test_chunks_may_be_empty(n_channels):
    noisy = np.column_stack([pulses()[1]] * n_channels).squeeze()
    filled = np.array_split(noisy, 4)
    chunks = [noisy[:0], *filled[:2], noisy[:0], *filled[2:], noisy[:0]]
    parts = list(denoise_chunks(chunks, **QUICK, stretch=200))
    expected = list(denoise_chunks(filled, **QUICK, stretch=200))
    assert_array_equal(np.concatenate(parts), np.concatenate(expected))


@pytest.mark.parametrize("second", [np.zeros(50), np.zeros((50, 3))])
def test_chunks_of_other_channels_are_refused(second):
    with pytest.raises(ValueError, match="must have the same channels"):
        list(denoise_chunks([np.zeros((50, 2)), second], noise_std=1.0))


def test_a_stream_forgets_what_is_done(monkeypatch):
    monkeypatch.setattr("sklearn_sqrtlasso.signals.PIECE", 120)
    lag, taken = [], 0

    def chunks():
        nonlocal taken
        for at in range(0, N, 20):
            taken += 20
            yield pulses()[1][at : at + 20]

    done = 0
    for part in denoise_chunks(chunks(), noise_std=1.0, **QUICK):
        lag.append(taken - done)
        done += len(part)
    assert done == N
    assert max(lag) < N // 2 + 720


def test_an_estimator_makes_the_first_estimate():
    clean, noisy = pulses()
    windows = np.lib.stride_tricks.sliding_window_view(noisy, 12)
    coder = SqrtLassoTransform(6).fit(windows - windows.mean(axis=1, keepdims=True))
    alone = denoise_signal(noisy, 12, estimator=coder, n_passes=0)
    means = windows.mean(axis=1, keepdims=True)
    restored = coder.reconstruct(windows - means, groups="all") + means
    place = np.add.outer(np.arange(len(windows)), np.arange(12)).ravel()
    averaged = np.bincount(place, restored.ravel()) / np.bincount(place)
    assert_allclose(alone, averaged, rtol=0, atol=1e-5)
    assert np.std(denoise_signal(noisy, estimator=coder, **QUICK) - clean) < 0.9


def test_passes_do_not_undo_what_an_estimator_removes():
    """Noise of four equal samples is hardly seen in the fastest changes."""
    clean, _ = pulses()
    noise = np.repeat(np.random.default_rng(0).standard_normal(N // 4), 4)
    windows = np.lib.stride_tricks.sliding_window_view(clean[: len(noise)], 24)
    smooth = PCA(3).fit(windows - windows.mean(axis=1, keepdims=True))
    given = {"window": 24, "estimator": smooth}
    alone = denoise_signal(clean[: len(noise)] + noise, **given, n_passes=0)
    with pytest.warns(UserWarning, match="noise is correlated.*n_passes=0"):
        restored = denoise_signal(clean[: len(noise)] + noise, **given)
    assert_allclose(restored, alone, rtol=0, atol=1e-5)
    told = denoise_signal(clean[: len(noise)] + noise, **given, noise_std=1.0)
    assert np.std(told - alone) > 1e-3


@pytest.mark.parametrize("channels", [1, 2])
def test_missing_samples_are_filled_in(channels):
    clean, noisy = pulses()
    damaged = np.repeat(noisy[:, None], channels, axis=1)
    damaged[np.random.default_rng(5).random(damaged.shape) < 0.1] = np.nan
    damaged[200:212, 0] = np.nan
    lost = np.isnan(damaged)
    restored = denoise_signal(damaged, **QUICK)
    truth = np.repeat(clean[:, None], channels, axis=1)
    whole = denoise_signal(noisy, **QUICK)
    assert np.std((restored - truth)[lost]) < np.std(noisy - clean)
    assert np.std((restored - truth)[~lost]) < 1.3 * np.std(whole - clean)
    assert_array_equal(denoise_signal(damaged[:, 0], **QUICK), restored[:, 0])


def test_chunks_with_missing_samples_are_refused():
    with pytest.raises(ValueError, match="chunks must not have missing samples"):
        list(denoise_chunks([np.full(50, np.nan)], noise_std=1.0))


def test_progress_is_told(capsys):
    denoise_signal(pulses()[1], **QUICK, verbose=1)
    assert f"{N} of {N} samples" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("x", "given", "message"),
    [
        (np.zeros(20), {}, "at least as long as a window, 32, got 20"),
        (np.full(50, np.nan), {}, "samples that are not missing"),
        (np.full(50, np.inf), {}, "must not be infinite"),
        (np.zeros((2, 50)), {}, r"of \(2, 50\); use x\.T"),
        (np.zeros((9, 9, 9)), {}, r"got shape \(9, 9, 9\)"),
        (np.zeros(50, bool), {}, "float or integer dtype, got shape"),
        (np.zeros(50), {"window": 4}, "window must be an integer of at least 8"),
        (np.zeros(50), {"similar": 1}, "similar must be an integer of at least 2"),
        (np.zeros(50), {"reach": 0.5}, "reach must be an integer of at least 0"),
        (np.zeros(50), {"n_passes": -1}, "n_passes must be an integer of at least 0"),
        (np.zeros(50), {"noise_std": -1.0}, "noise_std must be a positive finite"),
        (np.zeros(50), {"stretch": 9}, "stretch must be an integer of at least window"),
        (np.zeros(50), {"stretch": 50, "noise_std": 1.0}, "exclude each other"),
    ],
)
def test_what_is_refused(x, given, message):
    with pytest.raises(ValueError, match=message):
        denoise_signal(x, **given)


def test_a_stream_needs_a_level():
    with pytest.raises(ValueError, match="noise_std or stretch must be given"):
        next(denoise_chunks([np.zeros(50)]))


def test_an_estimator_of_other_windows_is_refused():
    coder = SqrtLassoTransform(2).fit(np.random.default_rng(0).standard_normal((50, 9)))
    with pytest.raises(ValueError, match="window must be the number of features"):
        denoise_signal(np.zeros(50), estimator=coder)
