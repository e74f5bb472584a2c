"""
==========================================================
Sparse regression of patients and of near-infrared spectra
==========================================================

Diabetes with all interactions (442 rows, 65 features), and spectra of a fermentation
(21 rows, 1047 wavelengths), whose neighbouring columns are almost the same.
"""

import matplotlib.pyplot as plt
import numpy as np
from chemotools.datasets import load_fermentation_train
from sklearn.datasets import load_diabetes
from sklearn.linear_model import ElasticNetCV, LassoCV, RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sklearn_sqrtlasso import SqrtLasso, SqrtLassoCV

X, y = load_diabetes(return_X_y=True)
pairs = PolynomialFeatures(2, include_bias=False)
tables = {"diabetes, interactions": (pairs.fit_transform(X), y)}
A, b = load_fermentation_train()
tables["fermentation spectra"] = (A.to_numpy(), b.to_numpy().ravel())
folds = KFold(10, shuffle=True, random_state=0)
MODELS = (
    SqrtLasso(),
    SqrtLassoCV(),
    LassoCV(max_iter=20_000),
    ElasticNetCV(max_iter=20_000),
    RidgeCV(np.geomspace(1e-4, 1e4, 50)),
)
colors = {"SqrtLasso": "tab:blue", "SqrtLassoCV": "tab:blue", "LassoCV": "tab:brown"}
fig, axes = plt.subplots(len(tables), squeeze=False, layout="constrained")
for ax, (title, (X, y)) in zip(axes[:, 0], tables.items(), strict=True):
    for model in MODELS:
        name, pipeline = type(model).__name__, make_pipeline(StandardScaler(), model)
        guess = cross_val_predict(pipeline, X, y, cv=folds)
        n_features = np.count_nonzero(pipeline.fit(X, y)[-1].coef_)
        text = f"{n_features} feature" if n_features == 1 else f"{n_features} features"
        explained = 1 - np.mean((y - guess) ** 2) / np.var(y)
        ax.barh(name, explained, color=colors.get(name, "0.75"))
        ax.annotate(text, (explained, name), (4, -3), textcoords="offset points")
    ax.set(title=title, xlim=(0, 0.75), xlabel="explained variance of held-out rows")
    ax.invert_yaxis()
plt.show()

# %%
# Cross-validated, both lassos predict alike. "pivotal" keeps the few features that
# stand out of the noise, and predicts less well. Spectra are not sparse: ridge
# regression averages wavelengths that carry the same signal, and is much better.
