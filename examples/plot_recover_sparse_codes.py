"""
===========================================
A network that finds sparse codes in noise
===========================================

Rows have three nonzeros in an unknown basis. Autoencoders learn it from rows of one
noise level, and then restore rows of other levels. At that level and above, the network
of square-root-lasso units stays close to soft-thresholding in the true basis, tuned at
each level; the network of soft units is good only at the level of training.
"""

# %%
# Learn at noise 0.2
# ------------------
# The order and the signs of the units are arbitrary, so codes are compared by what they
# restore: the clean row, in the true basis.
import matplotlib.pyplot as plt
import numpy as np

from sklearn_sqrtlasso import NeLUAutoencoder
from sklearn_sqrtlasso.datasets import make_sparse_codes

levels = np.array([0.05, 0.1, 0.2, 0.4, 0.8])
basis = make_sparse_codes(10, 64, n_nonzero=3, random_state=0).components


def draw(n_rows, level, seed):
    rows = make_sparse_codes(n_rows, 64, n_nonzero=3, noise_std=0.0, random_state=seed)
    clean = rows.Z @ basis
    noise = np.random.default_rng(seed).standard_normal(clean.shape)
    return clean, clean + level * noise


def error(restored, clean):
    return np.sqrt(np.mean((restored - clean) ** 2))


def soft(U, threshold):
    return np.sign(U) * np.maximum(np.abs(U) - threshold, 0)


tests = [draw(2000, level, seed=100 + k) for k, level in enumerate(levels)]
curves = {"soft units": [], "square-root-lasso units": []}
for seed in (0, 1):
    clean, noisy = draw(20_000, 0.2, seed)
    for name, activation, alpha in [
        ("soft units", "soft", 0.5),
        ("square-root-lasso units", "nelu", "pivotal"),
    ]:
        network = NeLUAutoencoder(
            64, activation=activation, alpha=alpha, decoder="tied", max_iter=40,
            unit_rows=True, learning_rate=3e-3, random_state=seed, n_jobs=2,
        ).fit(noisy, X_clean=clean)  # fmt: skip
        curves[name].append([error(network.reconstruct(x), c) for c, x in tests])

# %%
# The oracle knows the basis, and tunes its threshold on the test rows.
oracle = [
    min(error(soft(x @ basis.T, a * level) @ basis, c) for a in np.linspace(1, 4, 31))
    for level, (c, x) in zip(levels, tests, strict=True)
]
print(
    f"{'error of the restored rows':30s}" + "".join(f"{level:8g}" for level in levels)
)
for name, two_seeds in curves.items():
    for errors in two_seeds:
        print(f"{name:30s}" + "".join(f"{value:8.4f}" for value in errors))
print(f"{'oracle, true basis':30s}" + "".join(f"{value:8.4f}" for value in oracle))

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for (name, two_seeds), color, mark in zip(
    curves.items(), ["tab:red", "tab:orange"], ["s-", "o-"], strict=True
):
    for errors, label in zip(two_seeds, (name, None), strict=True):
        ax.plot(levels, errors / levels, mark, lw=1, color=color, label=label)
ax.plot(levels, oracle / levels, "k--", label="soft thresholds of an oracle")
ax.axvline(0.2, color="0.8", zorder=0)
place = {"xycoords": ("data", "axes fraction"), "va": "top", "color": "0.5"}
ax.annotate("trained here", (0.205, 0.98), **place)
ax.set(xscale="log", xlabel="noise level", ylabel="error, in units of the noise")
ax.set_xticks(levels, [f"{level:g}" for level in levels])
ax.minorticks_off()
ax.legend(frameon=False)
plt.show()
