"""
===========================
One model, six noise levels
===========================

A transform is learnt once, on one photograph. It then restores other photographs at
noise levels from 5 to 50 grey values that are not given: the square-root lasso computes
its threshold from the residual of the image. Without any model, ``denoise_image``
restores groups of similar patches, at a noise level that it reads from the image.
"""

# %%
# Learn on centered patches of one photograph
# -------------------------------------------
# The penalty is chosen on the same photograph, by the mean PSNR over the six levels.
# The fixed threshold, for comparison, is tuned on it at level 15, as for a camera
# whose noise level never changes.
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from skimage import data, restoration
from sklearn.datasets import load_sample_image
from sklearn.decomposition import SparseCoder
from sklearn.feature_extraction.image import extract_patches_2d

from sklearn_sqrtlasso import SqrtLassoTransform
from sklearn_sqrtlasso.images import denoise_image
from sklearn_sqrtlasso.metrics import psnr

levels = [5, 10, 15, 25, 35, 50]
china, flower = (
    load_sample_image(f"{n}.jpg").mean(axis=2) for n in ("china", "flower")
)
patches = extract_patches_2d(china, (8, 8), max_patches=10_000, random_state=0)
patches = patches.reshape(len(patches), -1)
patches -= patches.mean(axis=1, keepdims=True)
by_patches = partial(denoise_image, n_passes=0)  # one by one, by an estimator


def mean_psnr(restore, clean, levels, seed=0):
    rng = np.random.default_rng(seed)
    noisy = [clean + level * rng.standard_normal(clean.shape) for level in levels]
    return np.mean([psnr(clean, restore(image), data_range=255) for image in noisy])


def best(candidates, levels, **options):
    print("tuning", end="", flush=True)
    marks = []
    for candidate in candidates:
        restore = partial(by_patches, candidate, step=4, **options)
        marks.append(mean_psnr(restore, china, levels))
        print(".", end="", flush=True)
    return candidates[int(np.argmax(marks))]


alphas = [0.15, 0.16, 0.17, 0.18, 0.19, 0.20, 0.21]
frame = partial(SqrtLassoTransform, center=False, tol=1e-3, n_jobs=2)
models = [frame(alpha=alpha).fit(patches) for alpha in alphas]
model = best(models, levels)
print(f" learnt and tuned: alpha = {model.alpha_}")

thresholds = 15 * np.arange(0.5, 3.1, 0.25)
threshold = partial(SparseCoder, model.components_, transform_algorithm="threshold")
coders = [threshold(transform_alpha=t).fit(patches) for t in thresholds]
fixed = best(coders, [15], groups=None)
print(f" fixed threshold {fixed.transform_alpha:g}, best at noise level 15")

# %%
# Restore other photographs
# -------------------------
# As one group, all patches of an image share one residual scale; without groups, each
# patch has its own. scikit-image's denoisers use their own estimate of the noise.


def by_means(noisy):
    sigma = restoration.estimate_sigma(noisy)
    return restoration.denoise_nl_means(
        noisy,
        patch_size=5,
        patch_distance=6,
        h=0.8 * sigma,
        sigma=sigma,
        fast_mode=True,
    )


methods = {
    "similar patches, untrained": partial(denoise_image, n_jobs=2),
    "pivotal, image as a group": partial(by_patches, model),
    "pivotal, patch by patch": partial(by_patches, model, groups=None),
    "fixed threshold": partial(by_patches, fixed, groups=None),
    "wavelets": partial(restoration.denoise_wavelet, rescale_sigma=True),
    "non-local means": by_means,
}
images = {"flower": flower, "camera": data.camera().astype(float)}
scores, kept = {}, {}
for title, clean in images.items():
    rng = np.random.default_rng(7)
    noisy_images = [
        clean + level * rng.standard_normal(clean.shape) for level in levels
    ]
    table = {"noisy": [psnr(clean, x, data_range=255) for x in noisy_images]}
    for name, restore in methods.items():
        restored = [restore(noisy) for noisy in noisy_images]
        table[name] = [psnr(clean, x, data_range=255) for x in restored]
        kept[title, name] = restored
    kept[title, "noisy"] = noisy_images
    scores[title] = table
    heading = f"PSNR of {title}, dB"
    print(f"\n{heading:27s}" + "".join(f"{level:8d}" for level in levels))
    for name, row in table.items():
        print(f"{name:27s}" + "".join(f"{value:8.2f}" for value in row), flush=True)

# %%
# Results
# -------
# The fixed threshold is good near the level that it was tuned at, and far worse away
# from it. The pivotal model follows the noise, and treating the image as one group
# helps most at low noise; at high noise wavelets are better. What it cannot see is that
# patches of an image are alike: groups of them are restored best at every level.
shown = [
    "noisy",
    "fixed threshold",
    "pivotal, image as a group",
    "similar patches, untrained",
]
colors = {
    "noisy": "0.6",
    "similar patches, untrained": "k",
    "pivotal, image as a group": "tab:blue",
    "pivotal, patch by patch": "tab:blue",
    "fixed threshold": "tab:red",
    "wavelets": "tab:brown",
    "non-local means": "tab:olive",
}
marks = dict(zip(colors, ["x:", "o-", "s-", "s:", "D-.", "v--", "^--"], strict=True))
fig = plt.figure(figsize=(14, 7.4), layout="constrained")
left, right = fig.subfigures(1, 2, width_ratios=[1.6, 1])
axes = left.subplots(3, 4)
for row, level in zip(axes, [5, 25, 50], strict=True):
    for ax, name in zip(row, shown, strict=True):
        index = levels.index(level)
        crop = kept["camera", name][index][60:260, 160:360]
        ax.imshow(crop, cmap="gray", vmin=0, vmax=255)
        ax.set_title(f"{name}, {scores['camera'][name][index]:.1f} dB", fontsize=8)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(f"noise level {level}")
for ax, (title, table) in zip(right.subplots(2, 1), scores.items(), strict=True):
    for name, row in table.items():
        width = 2.5 if name in shown[1:] else 1.2
        style = {"ms": 5, "lw": width, "color": colors[name], "label": name}
        ax.plot(levels, row, marks[name], **style)
    ax.set(title=title, ylabel="PSNR, dB", xlabel="noise level, grey values")
    ax.set_xticks(levels)
lines, names = right.axes[0].get_legend_handles_labels()
right.legend(lines, names, loc="outside lower center", ncols=3, fontsize=8)
path = Path("denoise_every_noise_level.png").resolve()
fig.savefig(path, dpi=150)
print(f"\nfigure saved as {path}")
plt.show()
