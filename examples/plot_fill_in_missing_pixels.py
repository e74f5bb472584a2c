"""
=======================================
A photograph with holes, noise and dust
=======================================

Pixels that are NaN, or marked by a mask, are missing: ``denoise_image`` fills them in,
and removes the noise from those that are known, at a level that it reads from these.
"""

# %%
# Three kinds of damage
# ---------------------
# A third or half of the pixels are lost at random, as from a sensor with dead pixels,
# or a letter is written on the photograph. Known pixels have noise of standard
# deviation 10.
import matplotlib.pyplot as plt
import numpy as np
from skimage import data, restoration

from sklearn_sqrtlasso.images import denoise_image
from sklearn_sqrtlasso.metrics import psnr

clean = data.camera()[60:260, 100:300].astype(float)
rng = np.random.default_rng(0)
noisy = clean + 10 * rng.standard_normal(clean.shape)
letter = np.zeros(clean.shape, bool)
letter[30:170, 40:52] = letter[30:42, 40:150] = letter[94:106, 40:120] = True
masks = {
    "a third": rng.random(clean.shape) < 1 / 3,
    "half": rng.random(clean.shape) < 0.5,
    "a letter": letter,
}

# %%
# Restore
# -------
# scikit-image continues smooth surfaces into the holes; its result still has the noise,
# and is given to ``denoise_image`` together with the level. The package takes the
# photograph as it is.
restored, scores = {}, {}
for name, mask in masks.items():
    with_nan = np.where(mask, np.nan, noisy)
    smooth = restoration.inpaint_biharmonic(np.where(mask, 0, noisy) / 255, mask)
    restored[name] = {
        "damaged": with_nan,
        "biharmonic, then denoised": denoise_image(255 * smooth, noise_std=10),
        "missing pixels, blind": denoise_image(with_nan),
    }
    scores[name] = {
        method: [psnr(clean[m], image[m], data_range=255) for m in (mask, ~mask)]
        for method, image in list(restored[name].items())[1:]
    }
    for method, (lost, known) in scores[name].items():
        print(f"{name:10s}{method:28s} missing {lost:5.2f} dB, known {known:5.2f} dB")

# %%
# Results
# -------
# Pixels lost here and there are restored better together with the noise, by patches
# that have few cosine coefficients. The strokes of the letter are wider than a patch:
# nothing is known in their middle, and scikit-image continues smooth surfaces better.
fig, axes = plt.subplots(3, 3, figsize=(9, 9.4), layout="constrained")
for row, (name, images) in zip(axes, restored.items(), strict=True):
    for ax, (method, image) in zip(row, images.items(), strict=True):
        shown = np.stack([image] * 3, axis=2) / 255
        shown[np.isnan(image)] = 1, 0.6, 0.2
        ax.imshow(np.clip(shown, 0, 1))
        ax.set(xticks=[], yticks=[], title=method)
        if method in scores[name]:
            ax.set_xlabel(
                "missing pixels {:.1f} dB, known {:.1f}".format(*scores[name][method])
            )
    row[0].set_ylabel(f"{name} missing (orange)")
plt.show()
