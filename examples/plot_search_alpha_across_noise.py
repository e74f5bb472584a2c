"""
=================================
A grid search across noise levels
=================================

The penalty of a denoiser is tuned by cross-validation on a table of measurements, for
noise from a tenth of each column's spread to one and a half times as much. The best
threshold moves with the noise; the best penalty of the square-root lasso hardly does.
"""

# %%
# Thirty measurements of cell nuclei, standardized within the pipeline. The scorer adds
# noise to held-out rows and measures how much of their variance is restored; every
# level is reported, and the mean over all levels is maximised.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import SparseCoder
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import SqrtLassoTransform
from sklearn_sqrtlasso.metrics import denoising_scorer

X = load_breast_cancer().data
levels = [0.1, 0.2, 0.4, 0.8, 1.6]
scoring = {"all levels": denoising_scorer(levels, metric="r2", relative=True)}
for level in levels:
    scoring[f"{level:g}"] = denoising_scorer([level], metric="r2", relative=True)


def search(coder, grid):
    pipeline = make_pipeline(StandardScaler(), coder)
    folds = KFold(5, shuffle=True, random_state=0)
    options = {"scoring": scoring, "refit": "all levels", "cv": folds, "n_jobs": 2}
    return GridSearchCV(pipeline, grid, **options).fit(X)


alphas = np.geomspace(0.15, 0.6, 15)
pivotal = search(
    SqrtLassoTransform(alpha=0.3, center=False), {"sqrtlassotransform__alpha": alphas}
)

# %%
# For comparison, the same transform with a threshold in units of standardized data.
W = pivotal.best_estimator_[-1].components_
thresholds = np.geomspace(0.05, 5, 15)
threshold = SparseCoder(W, transform_algorithm="threshold")
fixed = search(threshold, {"sparsecoder__transform_alpha": thresholds})

# %%
# Results
# -------
# Over a factor of 16 in noise the best threshold moves by more than a factor of ten,
# the best penalty by less than two, on a broad maximum: one search serves all levels.
panels = {
    "square-root lasso": (pivotal, alphas, "penalty α, a pure number"),
    "fixed threshold": (fixed, thresholds, "threshold, standard deviations"),
}
ticks = [[0.15, 0.2, 0.3, 0.4, 0.6], [0.05, 0.2, 1, 5]]
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
for ax, marks, title in zip(axes, ticks, panels, strict=True):
    result, grid, label = panels[title]
    print(f"{title}: best over all levels {grid[result.best_index_]:.3f}")
    for level, color in zip(
        levels, plt.cm.viridis(np.linspace(0, 0.9, 5)), strict=True
    ):
        curve = result.cv_results_[f"mean_test_{level:g}"]
        top = int(np.argmax(curve))
        print(f"  noise {level:4g}: best {grid[top]:.3f}, explained {curve[top]:.3f}")
        ax.semilogx(grid, curve, color=color, label=f"{level:g}")
        ax.plot(grid[top], curve[top], "o", color=color)
    best = grid[result.best_index_]
    ax.axvline(best, color="0.4", lw=1, ls="--", zorder=0, label="best for all levels")
    ax.set(title=title, xlabel=label, ylim=(-0.1, 1.02))
    ax.set_xticks(marks, [f"{mark:g}" for mark in marks])
    ax.minorticks_off()
axes[0].set_ylabel("explained variance of held-out rows")
axes[1].legend(frameon=False, fontsize=8, title="noise; dots: best", title_fontsize=8)
plt.show()
