"""
=================================================
Denoise with learnt atoms at unknown noise levels
=================================================

The classical use of k-SVD: restore an image by sparse codes of its patches in learnt
atoms. Matching pursuit needs the noise level to decide when to stop. The square-root
lasso uses one penalty for all levels; its weights are refitted.
"""

# %%
# Atoms are learnt from clean patches of one photograph; a part of another is restored.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.feature_extraction.image import extract_patches_2d

from sklearn_sqrtlasso import RelaxedSparseCoder
from sklearn_sqrtlasso.images import denoise_image
from sklearn_sqrtlasso.metrics import psnr

train = load_sample_image("china.jpg").mean(axis=2)
clean = load_sample_image("flower.jpg").mean(axis=2)[130:290, 200:400]
patches = extract_patches_2d(train, (8, 8), max_patches=20_000, random_state=0)
patches = patches.reshape(len(patches), 64)
patches -= patches.mean(axis=1, keepdims=True)
learnt = RelaxedSparseCoder(
    128, selector="omp", n_nonzero_coefs=5, max_iter=15, n_jobs=2, random_state=0
).fit(patches)

# %%
# One pursuit is given the level; the others keep one parameter at all levels.
levels = [10, 20, 40, 80]
rng = np.random.default_rng(0)
noise = rng.standard_normal(clean.shape)
coders = {
    "pursuit, told the level": {"selector": "omp"},
    "pursuit, told 20 always": {"selector": "omp", "alpha": 1.1 * 20 * 8},
    "square-root lasso, one alpha": {"selector": "sqrt_lasso", "alpha": 0.3},
}
scores = {name: [] for name in coders}
fig, axes = plt.subplots(4, 4, figsize=(10, 8.4), layout="constrained")
for column, level in zip(axes.T, levels, strict=True):
    noisy = clean + level * noise
    images = [("noisy", noisy)]
    for name, parameters in coders.items():
        coder = RelaxedSparseCoder(dictionary=learnt.components_, n_jobs=2)
        coder.set_params(**{"alpha": 1.1 * level * 8, **parameters}).fit(patches)
        restored = denoise_image(coder, noisy, groups=None, n_passes=0)
        scores[name].append(psnr(clean, restored, data_range=255))
        images.append((name, restored))
    for ax, (name, image) in zip(column, images, strict=True):
        quality = psnr(clean, image, data_range=255)
        ax.imshow(image, cmap="gray", vmin=0, vmax=255)
        ax.set_title(f"{name}\n{quality:.1f} dB at level {level}", fontsize=8)
        ax.axis("off")
for name, values in scores.items():
    print(f"{name:30s}" + "".join(f"{value:8.2f}" for value in values))
plt.show()
