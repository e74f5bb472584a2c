"""
==========================================================
Sparse regression of patients and of near-infrared spectra
==========================================================

Prediction of rows held out, number of features and time on two tables: diabetes with
all interactions (442 rows, 65 features), and spectra of a fermentation (21 rows, 1047
wavelengths), whose neighbouring columns are almost the same.
"""

# %%
# The spectra come with the package ``chemotools``; without it, the first table is
# shown alone.
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import ElasticNetCV, LassoCV, RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sklearn_sqrtlasso import SqrtLasso, SqrtLassoCV

X, y = load_diabetes(return_X_y=True)
pairs = PolynomialFeatures(2, include_bias=False)
tables = {"diabetes, interactions": (pairs.fit_transform(X), y)}
try:
    from chemotools.datasets import load_fermentation_train

    spectra, glucose = load_fermentation_train()
    tables["fermentation spectra"] = (spectra.to_numpy(), glucose.to_numpy().ravel())
except ImportError:
    print("No spectra: 'pip install chemotools' adds the second table.")

MODELS = {
    "SqrtLasso": SqrtLasso(),
    "SqrtLassoCV": SqrtLassoCV(),
    "LassoCV": LassoCV(max_iter=20_000),
    "ElasticNetCV": ElasticNetCV(max_iter=20_000),
    "RidgeCV": RidgeCV(np.geomspace(1e-4, 1e4, 50)),
}
MODELS["SqrtLasso"].fit(*tables["diabetes, interactions"])  # compile off the clock

# %%
# Every model standardizes the columns within each of ten folds.
fig, axes = plt.subplots(
    len(tables), 1, figsize=(7.5, 2.6 * len(tables)), squeeze=False
)
for ax, (title, (X, y)) in zip(axes[:, 0], tables.items(), strict=True):
    for name, model in MODELS.items():
        pipeline = make_pipeline(StandardScaler(), clone(model))
        start = time.perf_counter()
        n_features = np.count_nonzero(pipeline.fit(X, y)[-1].coef_)
        seconds = time.perf_counter() - start
        folds = KFold(10, shuffle=True, random_state=0)
        guess = cross_val_predict(pipeline, X, y, cv=folds)
        explained = 1 - np.mean((y - guess) ** 2) / np.var(y)
        text = f"{n_features} features, {1000 * seconds:.0f} ms"
        print(f"{title}, {name:12s} {explained:.3f}, {text}")
        ax.barh(name, explained, color="C0" if name.startswith("Sqrt") else "0.75")
        ax.annotate(text, (explained, name), (4, -3), textcoords="offset points")
    ax.set(title=title, xlim=(0, 0.72))
    ax.invert_yaxis()
axes[-1, 0].set_xlabel("explained variance of held-out rows")
fig.tight_layout()
plt.show()

# %%
# What we see
# -----------
# Cross-validated, square-root lasso and lasso predict alike. The pivotal penalty needs
# no cross-validation and keeps the few features that stand out of the noise, at a price
# in prediction. Spectra are no case for sparsity: neighbouring wavelengths carry the
# same signal, and ridge regression, which averages them, is well ahead.
