"""
====================================================
Sparse codes learnt from examples at one noise level
====================================================

Encoders are learnt from pairs of noisy rows and sparse codes at noise 0.1, and tested
at other levels. At that level and above, square-root-lasso units stay within an eighth
of soft-thresholding in the true basis, tuned at each level; soft units do not. Below
it, an error of the learnt basis remains for all.
"""

# %%
# Learn from pairs at noise 0.1
# -----------------------------
import matplotlib.pyplot as plt
import numpy as np

from sklearn_sqrtlasso import NeLUAutoencoder
from sklearn_sqrtlasso.datasets import make_sparse_codes

levels = np.array([0.02, 0.05, 0.1, 0.2, 0.4])
truth = make_sparse_codes(22_000, 100, n_nonzero=5, noise_std=0.0, random_state=0)
train, test = slice(20_000), slice(20_000, None)
encoders = {
    "soft units": {"activation": "soft", "alpha": 0.2},
    "square-root lasso": {"activation": "nelu"},
    "square-root lasso, 5 published steps": {"activation": "nelu", "n_unrolled": 5},
}


def noisy(level, seed):
    noise = np.random.default_rng(seed).standard_normal(truth.X.shape)
    return truth.X_clean + level * noise


def error(Z):
    return np.sqrt(np.mean(np.sum((Z - truth.Z[test]) ** 2, axis=1)))


def soft(U, threshold):
    return np.sign(U) * np.maximum(np.abs(U) - threshold, 0)


curves = {name: [] for name in encoders}
for seed in (0, 1):
    X = noisy(0.1, seed)
    for name, given in encoders.items():
        coder = NeLUAutoencoder(
            max_iter=15, learning_rate=1e-3, unit_rows=True, learn_alpha="shared",
            random_state=seed, n_jobs=2, **given,
        )  # fmt: skip
        coder.fit(X[train], Z=truth.Z[train])
        tests = [noisy(level, 10 + seed)[test] for level in levels]
        curves[name].append([error(coder.transform(rows)) for rows in tests])

# %%
# The oracle soft-thresholds in the true basis, at a threshold tuned on the test rows.
# Errors are divided by the noise level, so a method that adapts to it is a flat line:
# from 0.1 on, the square-root lasso is. Soft units are only good at the level of
# training. The five unrolled steps are below the oracle near it, and above at the ends.
for level in levels:
    U = noisy(level, 10)[test] @ truth.components.T
    trials = [soft(U, a * level) for a in np.linspace(1, 4, 31)]
    curves.setdefault("oracle", [[]])[0].append(min(map(error, trials)))

print(f"{'error of the code':38s}" + "".join(f"{level:8g}" for level in levels))
colors = {
    "soft units": "tab:red",
    "square-root lasso": "tab:blue",
    "square-root lasso, 5 published steps": "tab:blue",
    "oracle": "k",
}
styles = {"oracle": "--", "square-root lasso, 5 published steps": "s--"}
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for name, two_seeds in curves.items():
    mean = np.mean(two_seeds, axis=0)
    print(f"{name:38s}" + "".join(f"{value:8.3f}" for value in mean))
    style, color = styles.get(name, "o-"), colors[name]
    ax.plot(levels, mean / levels, style, color=color, label=name)
    both = np.array([two_seeds[0], two_seeds[-1]]) / levels
    ax.fill_between(levels, both.min(axis=0), both.max(axis=0), color=color, alpha=0.3)
ax.axvline(0.1, color="0.8", zorder=0)
place = {"xycoords": ("data", "axes fraction"), "va": "bottom", "color": "0.5"}
ax.annotate("trained here", (0.102, 0.02), **place)
ax.set(
    xscale="log",
    yscale="log",
    xlabel="noise level, units of the data",
    ylabel="error of a code / noise level",
    ylim=(2.2, 22),
)
ax.set_yticks([3, 5, 10, 20], ["3", "5", "10", "20"])
ax.set_xticks(levels, [f"{level:g}" for level in levels])
ax.minorticks_off()
ax.legend(frameon=False)
plt.show()
