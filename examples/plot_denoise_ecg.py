"""
=======================================
An electrocardiogram at any noise level
=======================================

One network learns windows of the first half of an electrocardiogram and restores the
second half, at noise levels from 2 to 60 units of the recorder. The windows of a
recording share one noise level, so they are one group; the level is not given. Beside
them, ``denoise_signal`` without training compares windows of the noisy recording with
each other. Only at the lowest level do the networks leave more than the noise.
"""

# %%
# Windows of 48 samples, their means removed
# ------------------------------------------
import matplotlib.pyplot as plt
import numpy as np
import pywt
from numpy.lib.stride_tricks import sliding_window_view

from sklearn_sqrtlasso import NeLUAutoencoder
from sklearn_sqrtlasso.signals import denoise_signal

signal = pywt.data.ecg().astype(float)
half, width = len(signal) // 2, 48
train = sliding_window_view(signal[:half], width)
train = train - train.mean(axis=1, keepdims=True)
levels = [2, 5, 10, 20, 40, 60]


def restore(network, noisy):
    return denoise_signal(noisy, width, estimator=network, n_passes=0)


def wavelets(noisy):
    coefficients = pywt.wavedec(noisy, "sym8", level=5)
    sigma = np.median(np.abs(coefficients[-1])) / 0.6745
    bound = sigma * np.sqrt(2 * np.log(len(noisy)))
    kept = [pywt.threshold(c, bound, "soft") for c in coefficients[1:]]
    return pywt.waverec([coefficients[0], *kept], "sym8")[: len(noisy)]


def network(activation, noise_std, seed):
    alpha = 0.0 if activation == "relu" else "pivotal"
    coder = NeLUAutoencoder(
        96, activation=activation, alpha=alpha, noise_std=noise_std, max_iter=300,
        random_state=seed, n_jobs=2,
    )  # fmt: skip
    return coder.fit(train, groups="all")


# %%
clean = signal[half:]
noisy = [clean + s * np.random.default_rng(s).standard_normal(half) for s in levels]
errors = {
    "noisy": [levels],
    "wavelets": [[np.std(wavelets(x) - clean) for x in noisy]],
    "windows compared, untrained": [[np.std(denoise_signal(x) - clean) for x in noisy]],
}
for seed in (0, 1):
    for name, given in {
        "relu, trained at 10": ("relu", 10.0),
        "nelu_adaptive, trained at 2 to 60": ("nelu_adaptive", (2.0, 60.0)),
    }.items():
        model = network(*given, seed)
        marks = [np.std(restore(model, x) - clean) for x in noisy]
        errors.setdefault(name, []).append(marks)
print(f"{'error by noise level':36s}" + "".join(f"{s:7d}" for s in levels))
for name, marks in errors.items():
    print(f"{name:36s}" + "".join(f"{m:7.2f}" for m in np.mean(marks, axis=0)))

# %%
# Above, both networks are alike up to level 20; beyond, the one trained at a single
# level lets more and more noise pass. Without training, noise is removed at every
# level, with up to a third more error where the networks know the heartbeat.
# Below, level 40: the spikes of the heartbeats keep their places and most of their
# heights; the small wave before the second is lost.
fig, axes = plt.subplots(2, 1, figsize=(8, 6), layout="constrained")
colors = {
    "noisy": "0.6",
    "wavelets": "tab:brown",
    "windows compared, untrained": "k",
    "relu, trained at 10": "tab:red",
    "nelu_adaptive, trained at 2 to 60": "tab:blue",
}
styles = {"noisy": ":", "wavelets": "D--", "relu, trained at 10": "s-"}
styles["windows compared, untrained"] = "^-"
for name, marks in errors.items():
    style = styles.get(name, "o-")
    mean = np.mean(marks, axis=0)
    axes[0].loglog(levels, mean, style, color=colors[name], label=name)
axes[0].set(
    xlabel="noise level, units of the recorder",
    ylabel="root mean square error,\nunits of the recorder",
)
for axis in (axes[0].xaxis, axes[0].yaxis):
    axis.set_ticks(levels, [str(level) for level in levels])
    axis.set_ticks([], minor=True)
axes[0].legend(frameon=False)
axes[1].plot(noisy[4], color="0.8", label="noise 40")
axes[1].plot(restore(model, noisy[4]), label="restored")
axes[1].plot(clean, "k", lw=0.8, label="clean")
axes[1].set(xlabel="sample of the second half", ylabel="signal, units of the recorder")
axes[1].legend(frameon=False, ncols=3)
plt.show()
