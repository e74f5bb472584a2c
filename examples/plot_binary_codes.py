"""
=================================================
Sixteen bits for an image: what they still know
=================================================

Three ways to learn codes of bits, on images of digits. A code of few bits restores an
image roughly; its Hamming distances still find most of an image's neighbours' class.
"""

# %%
# Learn codes of several lengths, and look at new images
# ------------------------------------------------------
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsClassifier

from sklearn_sqrtlasso import ANAMOAutoencoder
from sklearn_sqrtlasso.theory.compression import gaussian_compression_limit

X, y = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(X))
X, y = X[order] / 16, y[order]
X, new, y, new_y = X[:1200], X[1200:], y[:1200], y[1200:]
lengths = [8, 16, 32]


def classes_found(Z, new_Z, metric):
    neighbours = KNeighborsClassifier(5, metric=metric).fit(Z, y)
    return neighbours.score(new_Z, new_y)


def by_signs(n_bits):
    pca = PCA(n_bits).fit(X)
    Z, new_Z = pca.transform(X) > 0, pca.transform(new) > 0
    return Z, new_Z, LinearRegression().fit(Z, X).predict(new_Z)


def learnt(n_bits, binary):
    coder = ANAMOAutoencoder(
        n_bits, alpha=0.01, binary=binary, max_iter=20, random_state=0
    ).fit(X)
    return coder.transform(X) > 0, coder.transform(new) > 0, coder.reconstruct(new)


ways = {name: lambda n, name=name: learnt(n, name)
        for name in ("relaxed", "subgradient", "smoothstep")}  # fmt: skip
ways["signs of principal components"] = by_signs
restored, found = {}, {}
for name, way in ways.items():
    codes = [way(n_bits) for n_bits in lengths]
    restored[name] = [np.sum((new - r) ** 2) / len(new) for _, _, r in codes]
    found[name] = [classes_found(Z, new_Z, "hamming") for Z, new_Z, _ in codes]
    errors, classes = np.round(restored[name], 2), np.round(found[name], 3)
    print(f"{name:32s} error {errors}, class {classes}")

# %%
# The limit is that of signs of Gaussian rows with the same covariance: images are not
# Gaussian, and a decoder that is not linear may pass it.
spectrum = np.maximum(np.linalg.eigvalsh(np.cov(new.T)), 0)
limit = [64 * gaussian_compression_limit(m / 64, spectrum) for m in lengths]
exact = classes_found(X, new, "euclidean")
print(f"limit {np.round(limit, 2)}, mean image {spectrum.sum():.2f}, exact {exact:.3f}")
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for name in ways:
    left.plot(lengths, restored[name], "o-", label=name)
    right.plot(lengths, found[name], "o-")
left.plot(lengths, limit, "k--", lw=0.8, label="limit, Gaussian rows")
right.axhline(exact, color="k", lw=0.8)
right.annotate("exact neighbours", (lengths[0], exact), va="bottom")
left.set(xlabel="bits", ylabel="squared error of a new image", ylim=(0, None))
right.set(xlabel="bits", ylabel="class found by 5 Hamming neighbours")
left.legend(frameon=False, fontsize=8)
plt.show()
