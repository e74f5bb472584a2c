"""
======================
Binary codes of images
======================

Three binarization schemes on images of digits, compared with the signs of principal
components. Bits restore an image roughly, and most of its exact neighbours are among
the rows nearest by Hamming distance.
"""

# %%
# Learn codes of several lengths, and look at new images
# ------------------------------------------------------
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.metrics import pairwise_distances

from sklearn_sqrtlasso import ANAMOAutoencoder
from sklearn_sqrtlasso.theory.compression import gaussian_compression_limit

X = np.random.default_rng(0).permutation(load_digits().data) / 16
X, new = X[:1200], X[1200:]
lengths, k = [8, 16, 32], np.array([10, 20, 50, 100, 200])
exact = np.argsort(pairwise_distances(new, X), axis=1)[:, :10]


def by_signs(n_bits):
    pca = PCA(n_bits).fit(X)
    Z, new_Z = pca.transform(X) > 0, pca.transform(new) > 0
    return Z, new_Z, LinearRegression().fit(Z, X).predict(new_Z)


def learnt(n_bits, binary):
    coder = ANAMOAutoencoder(
        n_bits, alpha=0.01, binary=binary, decoder_activation="sigmoid",
        encoder_method="fista", decoder_method="accelerated", max_iter=30,
        random_state=0,
    ).fit(X)  # fmt: skip
    return coder.transform(X) > 0, coder.transform(new) > 0, coder.reconstruct(new)


def recall(Z, new_Z):
    """Return the share of ten exact neighbours among the first k by Hamming."""
    order = np.argsort(pairwise_distances(new_Z, Z, "hamming"), axis=1, kind="stable")
    found = (order[:, :, None] == exact[:, None, :]).any(axis=2)
    return found.cumsum(axis=1)[:, k - 1].mean(axis=0) / 10


ways = {name: lambda n, name=name: learnt(n, name)
        for name in ("relaxed", "subgradient", "smoothstep")}  # fmt: skip
ways["signs of principal components"] = by_signs
restored, found = {}, {}
for name, way in ways.items():
    codes = [way(n_bits) for n_bits in lengths]
    restored[name] = [np.sum((new - r) ** 2) / len(new) for _, _, r in codes]
    found[name] = [recall(Z, new_Z) for Z, new_Z, _ in codes]
    print(f"{name:32s} error {np.round(restored[name], 2)}")
    print(f"recall after {k} rows {np.round(found[name][1:], 2).tolist()}")

# %%
# The limit is that of signs of Gaussian rows with the same covariance. Images are not
# Gaussian, and a nonlinear decoder can be better.
spectrum = np.maximum(np.linalg.eigvalsh(np.cov(new.T)), 0)
limit = [64 * gaussian_compression_limit(m / 64, spectrum) for m in lengths]
print(f"limit {np.round(limit, 2)}, mean image {spectrum.sum():.2f}")
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for color, (name, mark) in enumerate(zip(ways, "os^D", strict=True)):
    left.plot(lengths, restored[name], f"C{color}{mark}-", label=name)
    for n_bits, shares, style in zip(lengths[1:], found[name][1:], ":-", strict=True):
        right.plot(k, shares, f"C{color}{mark}{style}", ms=4, label=f"{n_bits} bits")
left.plot(lengths, limit, "k--", lw=0.8, label="limit of signs, Gaussian rows")
left.set(xlabel="bits", ylabel="squared error of a new image", ylim=(0, None))
right.set(xlabel="rows examined, nearest in Hamming distance first")
right.set(ylabel="ten exact neighbours found", xscale="log", ylim=(0, 1))
left.legend(frameon=False, fontsize=8)
right.legend(*(of[:2] for of in right.get_legend_handles_labels()), frameon=False)
plt.show()
