"""
==================================
Penalised codes grow when refitted
==================================

A penalty on the size of codes does two things: it selects atoms, and it shrinks their
weights. Refitting the weights on the same atoms shows by how much. The codes of
matching pursuit, which limits the number of atoms, are not shrunk.
"""

# %%
# Atoms are learnt from patches of one photograph, and tested on another.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d

from sklearn_sqrtlasso import RelaxedSparseCoder

train, test = (
    extract_patches_2d(image.mean(axis=2), (8, 8), max_patches=8000, random_state=0)
    .reshape(8000, 64)
    .astype(float)
    for image in load_sample_images().images
)
train, test = (X - X.mean(axis=1, keepdims=True) for X in (train, test))
learnt = RelaxedSparseCoder(
    128, selector="omp", n_nonzero_coefs=6, max_iter=20, n_jobs=2, random_state=0
).fit(train)
D = learnt.components_

# %%
# Each selector at six sparsities: explained variance before and after refitting.
grids = {
    "lasso": ("alpha", [2, 4, 8, 14, 25, 45]),
    "sqrt_lasso": ("alpha", [0.25, 0.28, 0.32, 0.38, 0.45, 0.55]),
    "omp": ("n_nonzero_coefs", [12, 9, 7, 5, 3, 2]),
}
colors = {"lasso": "tab:brown", "sqrt_lasso": "tab:blue", "omp": "tab:green"}
marks = {"lasso": "s", "sqrt_lasso": "o", "omp": "D"}
dashes = {"lasso": "--", "sqrt_lasso": "-", "omp": ":"}
fig, (curves, atoms) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for selector, (name, values) in grids.items():
    color, mark, reports = colors[selector], marks[selector], []
    for value in values:
        coder = RelaxedSparseCoder(dictionary=D, selector=selector, n_jobs=2)
        coder.set_params(**{name: value}).fit(test)
        reports.append(coder.shrinkage_report(test))
    middle = reports[2]
    print(f"{selector}\n{middle}\n")
    lines = np.array(
        [
            (r.mean_active, r.explained_variance, r.refit.explained_variance)
            for r in reports
        ]
    )
    curves.plot(lines[:, 0], lines[:, 1], f"{mark}--", color=color)
    curves.plot(lines[:, 0], lines[:, 2], f"{mark}-", color=color, label=selector)
    growth = middle.refit.growth_by_component
    growth = growth[np.isfinite(growth)]
    style = {"histtype": "step", "lw": 1.8, "ls": dashes[selector], "color": color}
    atoms.hist(growth, bins=np.linspace(0.95, 2, 22), label=selector, **style)
curves.plot([], [], "k--", label="before refitting")
curves.set(xlabel="active atoms per patch", ylabel="explained variance", xlim=(0, 14))
curves.legend(frameon=False, loc="lower right")
atoms.axvline(1, color="black", linewidth=1)
atoms.legend(frameon=False, loc="upper right")
atoms.set(xlabel="refitted weights / weights, atom by atom", ylabel="atoms")
plt.show()
