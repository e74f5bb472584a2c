"""
====================================================
The same rows by PCA, DictionaryLearning and a frame
====================================================

Digits are decomposed into 32 components by principal component analysis, by
scikit-learn's dictionary learning and by two coders of this package. What do the
components look like, how many of them does a row need, and what remains of noise?
"""

# %%
# Four decompositions
# -------------------
# Codes of the dictionaries have five atoms; the transform has one penalty for all noise
# levels, and PCA uses all of its components.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, MiniBatchDictionaryLearning
from sklearn.model_selection import train_test_split

from sklearn_sqrtlasso import RelaxedSparseCoder, SqrtLassoTransform

X = load_digits().data
train, test = train_test_split(X, random_state=0)
mean = train.mean(axis=0)
train, test = train - mean, test - mean
decompositions = {
    "PCA": PCA(32),
    "DictionaryLearning": MiniBatchDictionaryLearning(
        32, transform_algorithm="omp", transform_n_nonzero_coefs=5, random_state=0
    ),
    "RelaxedSparseCoder": RelaxedSparseCoder(32, n_nonzero_coefs=5, random_state=0),
    "SqrtLassoTransform": SqrtLassoTransform(32, random_state=0),
}
colors = {
    "PCA": "tab:gray",
    "DictionaryLearning": "tab:brown",
    "RelaxedSparseCoder": "tab:green",
    "SqrtLassoTransform": "tab:blue",
}
levels = [0, 1, 2, 4, 8]
noise = np.random.default_rng(0).standard_normal(test.shape)


def restored(model, rows):
    codes = model.transform(rows)
    if hasattr(model, "inverse_transform"):
        return model.inverse_transform(codes)
    return codes @ model.components_  # scikit-learn before 1.8


errors, used = {}, {}
for name, model in decompositions.items():
    model.fit(train)
    used[name] = np.count_nonzero(model.transform(test)) / len(test)
    rows = [restored(model, test + level * noise) for level in levels]
    errors[name] = [np.sqrt(np.mean((row - test) ** 2)) for row in rows]

# %%
# Error of restored pixels, of 0 to 16, by the noise that was added
# -----------------------------------------------------------------
print(f"{'':20s} nonzeros a row" + "".join(f"{f'noise {s}':>9s}" for s in levels))
for name in decompositions:
    marks = "".join(f"{error:9.2f}" for error in errors[name])
    print(f"{name:20s} {used[name]:14.1f}{marks}")

# %%
# Components of PCA are orthogonal and dense, and a row needs all of them; those of
# dictionaries are pieces of digits, and a row needs few. With little noise, codes of
# few atoms lose more than PCA does.
fig = plt.figure(figsize=(9, 6.6), layout="constrained")
above, below = fig.subfigures(2, 1, height_ratios=[1, 1.3])
for name, ax in zip(decompositions, above.subplots(1, 4), strict=True):
    atoms = decompositions[name].components_[:16].reshape(4, 4, 8, 8)
    atoms = atoms / np.abs(atoms).max(axis=(2, 3), keepdims=True)
    tiles = np.pad(atoms, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    ax.imshow(tiles.swapaxes(1, 2).reshape(40, 40), cmap="RdBu_r", vmin=-1, vmax=1)
    ax.set_title(f"{name}\n{used[name]:.0f} nonzeros a row", fontsize=10)
    ax.axis("off")
ax = below.subplots()
for (name, curve), mark in zip(errors.items(), "Ds^o", strict=True):
    ax.plot(levels, curve, f"{mark}-", color=colors[name], label=name)
ax.plot(levels, levels, "k:", label="as it comes")
ax.set(
    xlabel="noise, grey values of 16", ylabel="error of restored pixels, grey values"
)
ax.legend(frameon=False)
plt.show()
