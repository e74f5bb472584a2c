"""
============================================
A stack of two networks scales with its rows
============================================

A pipeline of two autoencoders is a deep autoencoder: the second codes the codes of the
first. Both scale with their rows, and so does the pipeline, to the last bit. Each layer
has its own residual scale, so the second adapts to the noise that the first has left.
"""

# %%
# Code digits by 128 units, and their codes by 32
# -----------------------------------------------
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline

from sklearn_sqrtlasso import NeLUAutoencoder

X, y = load_digits(return_X_y=True)
mean = X.mean(axis=0)
X = X - mean
train, test = X[:1200], X[1200:]
levels = np.array([0.5, 1, 2, 4, 8])


def layer(n_components, noise_std, seed):
    return NeLUAutoencoder(
        n_components, noise_std=noise_std, max_iter=150, batch_size=128,
        random_state=seed, n_jobs=2,
    )  # fmt: skip


models = {}
for seed in (0, 1):
    one = layer(32, (0.5, 8.0), seed).fit(train)
    two = make_pipeline(layer(128, (0.5, 8.0), seed), layer(32, (0.2, 4.0), seed))
    models[seed] = {"32 units": one, "128 units, then 32": two.fit(train)}

Z = models[0]["128 units, then 32"].transform(test)
huge = models[0]["128 units, then 32"].transform(2.0**60 * test)
print(
    "codes of rows 2^60 times as large, as multiples:",
    np.unique(huge[Z != 0] / Z[Z != 0]),
)


def restored(model, rows):
    return model.inverse_transform(model.transform(rows))


# %%
noise = np.random.default_rng(0).standard_normal(test.shape)
curves = {"noisy rows": [levels]}
for seed in models:
    for name, model in models[seed].items():
        errors = [np.std(restored(model, test + s * noise) - test) for s in levels]
        curves.setdefault(name, []).append(errors)
print(f"{'error by noise level':20s}" + "".join(f"{s:8g}" for s in levels))
for name, errors in curves.items():
    print(f"{name:20s}" + "".join(f"{e:8.2f}" for e in np.mean(errors, axis=0)))

fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
styles = {
    "noisy rows": {"color": "k", "ls": ":"},
    "32 units": {"color": "tab:orange", "ls": "--", "marker": "s"},
    "128 units, then 32": {"color": "tab:orange", "marker": "o"},
}
for name, errors in curves.items():
    axes[0].plot(levels, np.mean(errors, axis=0), **styles[name], label=name)
axes[0].set(
    xscale="log",
    xlabel="noise level, grey values of 16",
    ylabel="error of restored digits, grey values",
)
axes[0].set_xticks(levels, [f"{s:g}" for s in levels])
axes[0].minorticks_off()
axes[0].legend(frameon=False)
deep = models[0]["128 units, then 32"]
rows = test[:6] + 4 * noise[:6]
shown = np.vstack([test[:6], rows, restored(deep, rows)]) + np.tile(mean, (18, 1))
tiles = np.pad(shown.reshape(3, 6, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)))
axes[1].imshow(tiles.swapaxes(1, 2).reshape(30, 60), cmap="gray_r", vmin=0, vmax=16)
axes[1].set_yticks([4.5, 14.5, 24.5], ["clean", "noise 4", "restored by\ntwo layers"])
axes[1].set_xticks([])
axes[1].tick_params(length=0)
axes[1].spines[:].set_visible(False)
plt.show()
