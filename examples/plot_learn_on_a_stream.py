"""
===================
Learn from a stream
===================

Forty thousand patches of a photograph pass by once, in batches of 64, and are
forgotten. ``partial_fit`` takes memory for one batch. From time to time, what has been
learnt restores another photograph.
"""

# %%
# The stream
# ----------
import pickle

import matplotlib.pyplot as plt
import numpy as np
from skimage.color import rgb2gray
from sklearn.datasets import load_sample_image
from sklearn.decomposition import IncrementalPCA
from sklearn.feature_extraction.image import extract_patches_2d

from sklearn_sqrtlasso import SqrtLassoTransform
from sklearn_sqrtlasso.images import denoise_image
from sklearn_sqrtlasso.metrics import psnr

BATCH, N_BATCHES, LEVEL = 64, 640, 20.0
training = 255 * rgb2gray(load_sample_image("china.jpg"))
clean = 255 * rgb2gray(load_sample_image("flower.jpg"))[150:246, 270:366]
noisy = clean + LEVEL * np.random.default_rng(0).standard_normal(clean.shape)


def stream():
    """Yield batches of patches from random places, without their means."""
    for seed in range(N_BATCHES):
        patches = extract_patches_2d(
            training, (8, 8), max_patches=BATCH, random_state=seed
        )
        patches = patches.reshape(BATCH, 64)
        yield patches - patches.mean(axis=1, keepdims=True)


# %%
# Learn, and restore as one goes
# ------------------------------
# Scikit-learn's learner of streams, principal components, knows no noise level: its
# number of components is what limits the noise.
learners = {
    "SqrtLassoTransform": SqrtLassoTransform(64, random_state=0),
    "IncrementalPCA, 8 components": IncrementalPCA(8),
    "IncrementalPCA, 16 components": IncrementalPCA(16),
}
checks = {1, 2, 5, 16, 50, 160, N_BATCHES}
curves = {name: [] for name in learners}
for count, batch in enumerate(stream(), start=1):
    for name, learner in learners.items():
        learner.partial_fit(batch)
        if count in checks:
            restored = denoise_image(learner, noisy, n_passes=0)
            curves[name].append((count * BATCH, psnr(clean, restored, data_range=255)))

# %%
# Memory does not grow with the rows: kept are components, sums and the last few rows.
seen = N_BATCHES * BATCH
size = len(pickle.dumps(learners["SqrtLassoTransform"])) / 2**10
print(f"{seen} patches seen; the model takes {size:.0f} KiB")
print(f"noisy {psnr(clean, noisy, data_range=255):.1f} dB")
for name, curve in curves.items():
    print(f"{name:30s}" + "".join(f"{quality:6.1f}" for _, quality in curve))

# %%
# A first batch of as many patches as pixels teaches the transform too little. It gains
# over the next thousands, and what comes after does not spoil it. Principal components
# gain less: they keep noise, if they are many, or lose detail, if they are few; the
# penalty of the transform follows the noise.
colors = {
    "SqrtLassoTransform": "tab:blue",
    "IncrementalPCA, 8 components": "tab:gray",
    "IncrementalPCA, 16 components": "tab:gray",
}
styles = {"IncrementalPCA, 16 components": "s--"}
fig, ax = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
for name, curve in curves.items():
    ax.semilogx(
        *zip(*curve, strict=True),
        styles.get(name, "o-"),
        color=colors[name],
        label=name,
    )
before = psnr(clean, noisy, data_range=255)
ax.axhline(before, color="k", linestyle=":", label="as it comes")
ax.set(xlabel="patches seen", ylabel="restored photograph, PSNR in dB")
ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.54))
plt.show()
