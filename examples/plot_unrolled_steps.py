"""
===========================================
The exact layer and unrolled proximal steps
===========================================

The square-root-lasso layer was published as a fixed number of unrolled proximal steps.
More steps restore better and take longer; with a learnt step length and momentum, many
steps may even be better than the exact layer. But the exact layer costs no more than a
step or two, and only it is as accurate when rows are in another unit.
"""

# %%
# Train on patches of one photograph, test on another
# ---------------------------------------------------
import time

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
for n_unrolled in (1, None):  # kernels are compiled before the clock starts
    network = NeLUAutoencoder(96, n_unrolled=n_unrolled, noise_std=20.0, max_iter=1)
    network.fit(train[:500], groups="all")
errors, scaled, seconds = np.empty((3, 2, len(counts)))
for seed in (0, 1):
    for k, n_unrolled in enumerate(counts):
        network = NeLUAutoencoder(
            96, n_unrolled=n_unrolled, noise_std=20.0, max_iter=15, random_state=seed
        )
        start = time.process_time()
        network.fit(train, groups="all")
        seconds[seed, k] = time.process_time() - start
        errors[seed, k] = np.std(network.reconstruct(noisy, groups="all") - clean)
        scaled[seed, k] = np.std(
            10 * network.reconstruct(noisy / 10, groups="all") - clean
        )

# %%
# The third column restores the same rows in another unit: a tenth of each entry.
print("steps    error   error in another unit   seconds of training")
for k, n_unrolled in enumerate(counts):
    row = errors[:, k].mean(), scaled[:, k].mean(), seconds[:, k].mean()
    print(f"{n_unrolled or 'exact':>5}" + "{:9.2f}{:18.2f}{:20.2f}".format(*row))

fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
names = [str(n or "exact") for n in counts]
axes[0].plot(names, errors.mean(axis=0), "o-", label="rows as in training")
axes[0].plot(names, scaled.mean(axis=0), "s--", label="the same rows in another unit")
axes[0].set(xlabel="steps", ylabel="error of the restored rows", yscale="log")
axes[0].legend(frameon=False)
axes[1].bar(names, seconds.mean(axis=0), color="0.7")
axes[1].set(xlabel="steps", ylabel="training, seconds of CPU")
plt.show()
