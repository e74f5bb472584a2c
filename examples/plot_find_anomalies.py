"""
============================
Find rows unlike the others
============================

A row that the training rows do not explain looks noisy, so ``noise_scale`` ranks rows
by how odd they are. It is good at values that do not go together; distances to
neighbours are better at shapes of another kind.
"""

# %%
# Three kinds of odd rows
# -----------------------
# Each method is fitted on normal rows only and ranks others, with default parameters:
#
# * benign tumours, in half of which three of thirty measurements are those of other
#   benign tumours: each value alone is normal;
# * malignant tumours among benign ones;
# * eights among the other digits, when none of the training images is an eight.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import PivotalPCA, SqrtLassoTransform

rng = np.random.default_rng(0)
tumours, digits = load_breast_cancer(), load_digits()
benign, malignant = (tumours.data[tumours.target == label] for label in (1, 0))
scaler = StandardScaler().fit(benign[:200])
benign, malignant = scaler.transform(benign), scaler.transform(malignant)
swapped = benign[200:].copy()
for row in swapped:
    columns = rng.choice(30, 3, replace=False)
    row[columns] = benign[rng.integers(0, 200, 3), columns]
eight, early = digits.target == 8, np.arange(len(digits.data)) < 1200
tasks = {  # training rows, normal rows, odd rows
    "three values swapped": (benign[:200], benign[200:], swapped),
    "malignant tumours": (benign[:200], benign[200:], malignant),
    "an unknown digit": (
        digits.data[early & ~eight],
        digits.data[~early & ~eight],
        digits.data[~early & eight],
    ),
}


def distance_to_components(train, rows):
    pca = PCA(0.97).fit(train)
    return np.linalg.norm(rows - pca.inverse_transform(pca.transform(rows)), axis=1)


def isolation(train, rows):
    return -IsolationForest(random_state=0).fit(train).score_samples(rows)


def local_density(train, rows):
    return -LocalOutlierFactor(novelty=True).fit(train).score_samples(rows)


methods = {
    "SqrtLassoTransform": lambda train, X: (
        SqrtLassoTransform().fit(train).noise_scale(X)
    ),
    "PivotalPCA": lambda train, X: PivotalPCA().fit(train).noise_scale(X),
    "PCA, distance": distance_to_components,
    "IsolationForest": isolation,
    "LocalOutlierFactor": local_density,
}

# %%
# Below each picture is the area under each curve: 1 if all odd rows come first, 0.5 by
# chance. ``SqrtLassoTransform`` wins where values do not go together. Malignant tumours
# are extreme in many columns, which every method sees, ``IsolationForest`` best. An
# eight is made of strokes that other digits have: components explain many of them, and
# ``LocalOutlierFactor`` is far better. ``PivotalPCA`` gives the level 0 to rows without
# noise, which it cannot rank: the straight ends of its curves.
colors = {
    "SqrtLassoTransform": "tab:blue",
    "PivotalPCA": "tab:purple",
    "PCA, distance": "tab:gray",
    "IsolationForest": "tab:olive",
    "LocalOutlierFactor": "tab:cyan",
}
dashes = {"PCA, distance": "--", "IsolationForest": "-.", "LocalOutlierFactor": ":"}
fig, axes = plt.subplots(1, 3, figsize=(11, 5.6), layout="constrained")
marks = {}
for ax, (task, (train, normal, odd)) in zip(axes, tasks.items(), strict=True):
    is_odd = np.repeat([False, True], [len(normal), len(odd)])
    for method, color in colors.items():
        score = methods[method](train, np.vstack([normal, odd]))
        marks[task, method] = roc_auc_score(is_odd, score)
        false, true, _ = roc_curve(is_odd, score)
        ax.plot(
            100 * false,
            100 * true,
            color=color,
            linestyle=dashes.get(method, "-"),
            linewidth=1.5 if method in dashes else 2 + (method == "PivotalPCA"),
            label=f"{marks[task, method]:.2f} {method}",
        )
    ax.plot([0, 100], [0, 100], ":", color="0.6", linewidth=1)
    ax.set(title=task, xlabel="normal rows reported, %")
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.15))
axes[0].set_ylabel("odd rows found, %")

# %%
# What ``PivotalPCA`` finds odd: the eights with the highest and the lowest level, next
# to their restorations. A level is in grey values, of 16. Eights that
# look like a one or a nine are restored as they are.
train, normal, odd = tasks["an unknown digit"]
coder = PivotalPCA().fit(train)
level, restored = coder.noise_scale(odd), coder.reconstruct(odd)
order = np.argsort(-level)
shown = [*order[:4], *order[-4:]]
fig, axes = plt.subplots(2, 8, figsize=(9, 2.9), layout="constrained")
for line, title, rows in zip(axes, ("eight", "restored"), (odd, restored), strict=True):
    line[0].set_ylabel(title)
    for ax, i in zip(line, shown, strict=True):
        ax.imshow(rows[i].reshape(8, 8), cmap="magma", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
for ax, i in zip(axes[0], shown, strict=True):
    ax.set_title(f"level {level[i]:.1f}", fontsize=9)
_ = fig.suptitle("Four eights with the highest noise level, and four with the lowest")

# %%
print(f"{'area below the curve':22s}" + "".join(f"{task:>24s}" for task in tasks))
for method in methods:
    print(f"{method:22s}" + "".join(f"{marks[task, method]:24.2f}" for task in tasks))
