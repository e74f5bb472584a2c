"""
====================================
One network for all levels of noise
====================================

Networks of 128 units learn to restore photographs. Trained at noise 15 only, the
square-root-lasso network also restores cleaner and noisier images, where the ReLU
network fails. Trained at random levels, one network replaces six ReLU networks, each
trained for the level it is tested at: it is better at low noise, and worse by up to
1.5 dB at the highest.
"""

# %%
# Train on two photographs
# ------------------------
# Patches of one photograph are a group: they share one noise level.
import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from sklearn.datasets import load_sample_image
from sklearn.feature_extraction.image import extract_patches_2d

from sklearn_sqrtlasso import NeLUAutoencoder
from sklearn_sqrtlasso.images import denoise_image
from sklearn_sqrtlasso.metrics import psnr

levels = [5, 10, 15, 25, 35, 50]
photos = [load_sample_image(f"{name}.jpg").mean(axis=2) for name in ("china", "flower")]
cut = [
    extract_patches_2d(photo, (8, 8), max_patches=5000, random_state=0)
    for photo in photos
]
patches = np.vstack(cut).reshape(-1, 64).astype("float32")
patches -= patches.mean(axis=1, keepdims=True)
groups = np.repeat(["china", "flower"], 5000)


def train(activation, noise_std, seed):
    alpha = 0.0 if activation == "relu" else "pivotal"
    model = NeLUAutoencoder(
        128, activation=activation, alpha=alpha, noise_std=noise_std, max_iter=20,
        random_state=seed, n_jobs=2,
    )  # fmt: skip
    return model.fit(patches, groups=groups)


# %%
# Restore another photograph
# --------------------------
clean = data.camera().astype("float32")
rng = np.random.default_rng(0)
noisy = [
    clean + level * rng.standard_normal(clean.shape, "float32") for level in levels
]


def restored(model, image):
    return denoise_image(model, image, step=3, n_passes=0)


def curve(models):
    results = [restored(m, image) for m, image in zip(models, noisy, strict=True)]
    return [psnr(clean, result, data_range=255) for result in results]


runs = {"relu, trained at 15": [], "nelu, trained at 15": []}
runs |= {"nelu, trained at 5 to 50": [], "nelu_adaptive, trained at 5 to 50": []}
runs["six relus, each trained at its level"] = []
for seed in (0, 1):
    for name in list(runs)[:4]:
        noise = (5.0, 50.0) if "to" in name else 15.0
        runs[name].append(curve([train(name.split(",")[0], noise, seed)] * 6))
    experts = [train("relu", float(level), seed) for level in levels]
    runs["six relus, each trained at its level"].append(curve(experts))

print(f"{'PSNR of camera, dB':36s}" + "".join(f"{level:8d}" for level in levels))
for name, marks in runs.items():
    print(f"{name:36s}" + "".join(f"{mark:8.2f}" for mark in np.mean(marks, axis=0)))

# %%
colors = {
    "relu, trained at 15": "tab:red",
    "nelu, trained at 15": "tab:orange",
    "nelu, trained at 5 to 50": "tab:orange",
    "nelu_adaptive, trained at 5 to 50": "tab:blue",
    "six relus, each trained at its level": "k",
}
fig, (curves, *pair) = plt.subplots(
    1, 3, figsize=(11, 4), layout="constrained", width_ratios=[2, 1, 1]
)
for (name, marks), shape in zip(runs.items(), "vsso^", strict=True):
    style = "--" if "each" in name or "15" in name else "-"
    line = {"color": colors[name], "ls": style, "marker": shape, "markersize": 5}
    curves.plot(levels, np.mean(marks, axis=0), **line, label=name)
    curves.fill_between(levels, *np.sort(marks, axis=0), color=colors[name], alpha=0.2)
curves.set(xlabel="noise level, grey values", ylabel="PSNR of the photograph, dB")
curves.legend(frameon=False, fontsize=8)
model = train("nelu_adaptive", (5.0, 50.0), 0)
for ax, title, image in zip(
    pair,
    ["noise level 25", "restored by nelu_adaptive"],
    [noisy[3], restored(model, noisy[3])],
    strict=True,
):
    ax.imshow(image[100:300, 150:350], cmap="gray", vmin=0, vmax=255)
    ax.set(title=title, xticks=[], yticks=[])
plt.show()
