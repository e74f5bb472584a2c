"""
=====================================================
How close networks are to the limit of one bit a unit
=====================================================

An autoencoder whose units are signs compresses a row to as many bits as it has units.
The least risk of two layers on Gaussian rows is known in closed form; networks trained
by stochastic gradients reach it. White patches of a photograph are harder: they have
the covariance of white Gaussian rows, but heavy tails, which a sign does not encode.
"""

# %%
# Train one network for each rate
# -------------------------------
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import extract_patches_2d

from sklearn_sqrtlasso import NeLUAutoencoder
from sklearn_sqrtlasso.theory.compression import gaussian_compression_limit

rng = np.random.default_rng(0)
d, n_rows = 50, 40_000
white = rng.standard_normal((2, n_rows, d), dtype="float32")
spectrum = np.exp(-np.arange(d) / 12)
colored = white * np.sqrt(spectrum, dtype="float32")
photo = load_sample_image("china.jpg").mean(axis=2)
cut = extract_patches_2d(photo, (8, 8), max_patches=2 * n_rows, random_state=0)
whitener = PCA(d, whiten=True, random_state=0)
patches = whitener.fit_transform(cut.reshape(2 * n_rows, 64)).astype("float32")
rates = [0.2, 0.5, 0.8, 1.0, 1.5, 2.0]


def risk(rows, rate, seed):
    network = NeLUAutoencoder(
        int(rate * d), activation="sign", alpha=0.0, learn_alpha=False, unit_rows=True,
        noise_std=0.0, learning_rate=0.01, max_iter=6, random_state=seed, n_jobs=2,
    ).fit(rows[0])  # fmt: skip
    return np.mean((network.reconstruct(rows[1]) - rows[1]) ** 2)


sources = {
    "white Gaussian rows": white,
    "Gaussian rows of falling variance": colored,
    "white patches of a photograph": patches.reshape(2, n_rows, d),
}
trained = {name: [risk(rows, r, 0) for r in rates] for name, rows in sources.items()}

# %%
# For comparison: signs of principal components, at most one bit a feature, and the
# rate-distortion bound of white Gaussian rows, which holds for codes of any kind.
fine = np.linspace(0.02, 2, 100)
limits = {
    "white Gaussian rows": [gaussian_compression_limit(r) for r in fine],
    "Gaussian rows of falling variance": [
        gaussian_compression_limit(max(r, 1 / d), spectrum) for r in fine
    ],
}
print(f"{'risk by bits per feature':36s}" + "".join(f"{r:8g}" for r in rates))
for name, risks in trained.items():
    print(f"{name:36s}" + "".join(f"{value:8.4f}" for value in risks))
print(
    f"{'limit, white':36s}"
    + "".join(f"{gaussian_compression_limit(r):8.4f}" for r in rates)
)

fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for k, (name, risks) in enumerate(trained.items()):
    ax.plot(rates, risks, f"C{k}{'os^'[k]}", label=f"trained: {name}")
    if name in limits:
        line = f"C{k}{('-', '-.')[k]}"
        ax.plot(fine, limits[name], line, lw=1, label="limit of two layers")
pca = fine[fine <= 1]
ax.plot(pca, 1 - 2 / np.pi * pca, "k:", label="signs of principal components, white")
ax.plot(fine, 4.0**-fine, "k--", lw=0.8, label="rate-distortion bound, white")
ax.set(xlabel="bits per feature", ylabel="risk per feature", ylim=(0, 1))
ax.legend(frameon=False, fontsize=8)
plt.show()
