"""
=====================================
Sparse codes as features of a table
=====================================

In a pipeline with a cross-validated grid, the codes of rows in learnt atoms are the
features of a linear classifier. Two to eight weights a row come within two percent of
the accuracy of all 64 columns, for which principal components take 32.
"""

# %%
# Sixty-four columns, ten classes, and few labels: 300 rows for training. The atoms are
# learnt within each fold, from the rows of its training part alone.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import RelaxedSparseCoder

X, y = load_digits(return_X_y=True)
folds = StratifiedShuffleSplit(8, train_size=300, random_state=0)
classifier = LogisticRegression(max_iter=2000)
coder = RelaxedSparseCoder(
    96, selector="omp", positive=True, n_nonzero_coefs=4, max_iter=10, random_state=0
)
pipelines = {
    "columns": (make_pipeline(StandardScaler(), classifier), {}),
    "PCA": (
        make_pipeline(PCA(random_state=0), classifier),
        {"pca__n_components": [8, 16, 32]},
    ),
    "RelaxedSparseCoder": (
        make_pipeline(coder, StandardScaler(with_mean=False), classifier),
        {"relaxedsparsecoder__n_nonzero_coefs": [2, 4, 8]},
    ),
}

# %%
# Held-out accuracy of each choice.
colors = {"columns": "0.5", "PCA": "tab:gray", "RelaxedSparseCoder": "tab:green"}
marks = {"columns": "s", "PCA": "D", "RelaxedSparseCoder": "o"}
units = {"PCA": "{} components", "RelaxedSparseCoder": "{} atoms a row"}
fig, ax = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
labels = []
for pipeline, grid in pipelines.values():
    search = GridSearchCV(pipeline, grid, cv=folds, n_jobs=2).fit(X, y)
    keys = "mean_test_score", "std_test_score", "params"
    results = zip(*(search.cv_results_[key] for key in keys), strict=True)
    for mean, std, chosen in results:
        name = next(n for n, (p, _) in pipelines.items() if p is pipeline)
        size = [units[name].format(value) for value in chosen.values()]
        labels.append(", ".join([name if size else "64 columns", *size]))
        ax.errorbar(
            mean, len(labels), xerr=std, fmt=marks[name], color=colors[name], capsize=3
        )
        print(f"{labels[-1]:34s} {mean:.3f} ± {std:.3f}")
ax.set_yticks(range(1, len(labels) + 1), labels)
ax.set(xlabel="accuracy on held-out rows: mean and standard deviation of 8 splits")
ax.invert_yaxis()
plt.show()
