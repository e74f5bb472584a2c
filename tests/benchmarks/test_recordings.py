"""Recordings without training, beside wavelets with thresholds by BayesShrink.

Constants were chosen on the made signals alone; the length of a window with
PyWavelets' record in view as well.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from sklearn_sqrtlasso.signals import denoise_signal
from tests.benchmarks.test_denoising import line

LEVELS = (0.02, 0.05, 0.1, 0.2, 0.5, 1)  # relative to the deviation of the signal
WAVES = [  # of a heartbeat: offset, height and width, relative to its length
    (-0.2, 0.15, 0.025),
    (-0.03, -0.12, 0.01),
    (0.0, 1.0, 0.011),
    (0.03, -0.25, 0.01),
    (0.3, 0.3, 0.05),
]
JUMPS = {0.1: 4, 0.13: -5, 0.15: 3, 0.23: -4, 0.25: 5, 0.4: -4.2, 0.65: 4.3, 0.8: -2.2}


def heartbeats(length, n_samples=4000):
    """Return made heartbeats of jittered length and height on a slow wave."""
    rng, t = np.random.default_rng(length), np.arange(n_samples)
    x = 0.15 * np.sin(21 * t / n_samples) + 0.1 * np.sin(70 * t / n_samples)
    at = length / 2
    while at < n_samples + length:
        beat = length * (1 + 0.06 * rng.standard_normal())
        height = 1 + 0.05 * rng.standard_normal()
        for offset, size, width in WAVES:
            x += (
                height
                * size
                * np.exp(-(((t - at) / beat - offset) ** 2) / 2 / width**2)
            )
        at += beat
    return x


def made():
    t, rows = (np.arange(2048) + 0.5) / 2048, np.arange(4000)
    return {
        "doppler": np.sqrt(t * (1 - t)) * np.sin(2.1 * np.pi / (t + 0.05)),
        "bumps": sum(abs(h) / (1 + abs(t - p) * 120) ** 4 for p, h in JUMPS.items()),
        "blocks": sum(h * (t > p) for p, h in JUMPS.items()),
        "heavisine": 4 * np.sin(4 * np.pi * t) - np.sign(t - 0.3) - np.sign(0.72 - t),
        "pulses": 10 * np.exp(-(((rows % 300 - 150) / 15.0) ** 2)) + np.sin(rows / 40),
        **{f"heartbeats of {n}": heartbeats(n) for n in (120, 180, 260)},
    }


def recorded():
    pywt = pytest.importorskip("pywt")
    signals = {"PyWavelets": pywt.data.ecg().astype(float)}
    heartpy = importlib.util.find_spec("heartpy")
    if heartpy:
        folder = Path(heartpy.origin).parent / "data"
        for k, column in (("", 0), ("2", 1), ("3", 1)):
            path = folder / f"data{k}.csv"
            x = np.genfromtxt(path, delimiter=",", skip_header=1, usecols=column)
            signals[f"heartpy {k or 1}"] = x[np.isfinite(x)][:6000]
    return signals


def gain(clean, noisy):
    """Return decibels by which wavelets leave more noise."""
    skimage = pytest.importorskip("skimage.restoration")
    known = {"wavelet": "sym8", "method": "BayesShrink", "rescale_sigma": False}
    theirs, ours = skimage.denoise_wavelet(noisy, **known), denoise_signal(noisy)
    return 10 * np.log10(np.mean((theirs - clean) ** 2) / np.mean((ours - clean) ** 2))


@pytest.mark.parametrize("signals", [made, recorded])
def test_gain_over_wavelets(benchmark, note, signals):
    note(line("gain, dB, at level", LEVELS))
    for name, clean in signals().items():
        n_seeds = 24 if len(clean) < 2000 else 4
        gains = np.zeros((n_seeds, len(LEVELS)))
        for seed in range(n_seeds):
            noise = clean.std() * np.random.default_rng(seed).standard_normal(
                len(clean)
            )
            gains[seed] = [gain(clean, clean + level * noise) for level in LEVELS]
        note(line(f"{name}, {n_seeds} seeds", gains.mean(axis=0)))


def test_a_level_that_rises_midway(benchmark, note):
    """The second half is ten times as noisy as the first."""
    skimage = pytest.importorskip("skimage.restoration")
    clean = heartbeats(180)
    half = len(clean) // 2
    levels = clean.std() * np.repeat([0.05, 0.5], half)
    noisy = clean + levels * np.random.default_rng(0).standard_normal(len(clean))
    found = {
        "by stretches of 500": denoise_signal(noisy, stretch=500),
        "one level": denoise_signal(noisy),
        "wavelets": skimage.denoise_wavelet(noisy, wavelet="sym8", rescale_sigma=True),
    }
    for name, restored in found.items():
        error = (restored - clean) / clean.std()
        note(line(name, [np.std(error[:half]), np.std(error[half:])]))
