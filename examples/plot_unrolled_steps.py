"""
===========================================
The exact layer and unrolled proximal steps
===========================================

The square-root-lasso layer was published as a fixed number of unrolled proximal steps.
More steps restore better; with a learnt step length and momentum, many steps may even
be better than the exact layer. But only the exact layer is as accurate when rows are in
another unit, and it trains faster than ten steps (:doc:`/benchmarks`).
"""

# %%
# Train on patches of one photograph, test on another
# ---------------------------------------------------
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.feature_extraction.image import extract_patches_2d

from sklearn_sqrtlasso import NeLUAutoencoder


def patches(name, n_patches):
    photo = load_sample_image(f"{name}.jpg").mean(axis=2)
    cut = extract_patches_2d(photo, (8, 8), max_patches=n_patches, random_state=0)
    cut = cut.reshape(n_patches, 64).astype("float32")
    return cut - cut.mean(axis=1, keepdims=True)


train, clean = patches("china", 6000), patches("flower", 4000)
rng = np.random.default_rng(0)
noise = rng.standard_normal(clean.shape, dtype="float32")
noisy = clean + 20 * (noise - noise.mean(axis=1, keepdims=True))

counts = [1, 2, 4, 8, 16, None]
errors, scaled = np.empty((2, 2, len(counts)))
for seed in (0, 1):
    for k, n_unrolled in enumerate(counts):
        network = NeLUAutoencoder(
            96, n_unrolled=n_unrolled, noise_std=20.0, max_iter=15, random_state=seed
        )
        network.fit(train, groups="all")
        errors[seed, k] = np.std(network.reconstruct(noisy, groups="all") - clean)
        scaled[seed, k] = np.std(
            10 * network.reconstruct(noisy / 10, groups="all") - clean
        )

# %%
# The other unit is ten times as large: each entry is a tenth.
print("steps    error   error in another unit")
for k, n_unrolled in enumerate(counts):
    row = errors[:, k].mean(), scaled[:, k].mean()
    print(f"{n_unrolled or 'exact':>5}" + "{:9.2f}{:18.2f}".format(*row))

fig, ax = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
names = [str(n or "exact") for n in counts]
ax.plot(names, errors.mean(axis=0), "o-", label="rows as in training")
ax.plot(names, scaled.mean(axis=0), "s--", label="the same rows in another unit")
ax.set(xlabel="steps of the layer", ylabel="error of restored rows, grey values")
ax.set(yscale="log")
ax.legend(frameon=False)
plt.show()
