"""
=======================================
Select features, then fit another model
=======================================

``SqrtLasso`` has nothing to tune, so it selects features within a Pipeline at the cost
of one fit, and the selection is repeated in each fold of the cross-validation. The data
are patients with diabetes: ten measurements and all products of up to three of them.
"""

# %%
# Selectors and models
# --------------------
# The selectors compared: the lasso with its penalty cross-validated, the best features
# one by one, as many as the square-root lasso selects on all rows, and none.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.feature_selection import SelectFromModel, SelectKBest, f_regression
from sklearn.linear_model import LassoCV, LinearRegression
from sklearn.model_selection import KFold, cross_validate
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVR

from sklearn_sqrtlasso import SqrtLasso

X, y = load_diabetes(return_X_y=True)
products = PolynomialFeatures(3, interaction_only=True, include_bias=False)
X = products.fit_transform(X)
names = products.get_feature_names_out(load_diabetes().feature_names)
n_features = np.count_nonzero(
    SqrtLasso().fit(StandardScaler().fit_transform(X), y).coef_
)
selectors = {
    "SqrtLasso": SelectFromModel(SqrtLasso(random_state=0), threshold=1e-9),
    "LassoCV": SelectFromModel(LassoCV(alphas=30, eps=1e-2), threshold=1e-9),
    f"best {n_features} one by one": SelectKBest(f_regression, k=n_features),
    "all features": "passthrough",
}
models = {
    "least squares": LinearRegression(),
    "20 neighbours": KNeighborsRegressor(20),
    "RBF SVM": SVR(C=30),
}
colors = {"SqrtLasso": "tab:blue", "LassoCV": "tab:brown", "all features": "0.7"}

# %%
# Cross-validated errors
# ----------------------
# Root mean square errors of the folds, in the units of the target.
folds = KFold(10, shuffle=True, random_state=0)
errors, counts = {}, {}
print(f"{len(y)} rows, {X.shape[1]} features")
for name, selector in selectors.items():
    for title, model in models.items():
        pipeline = make_pipeline(StandardScaler(), selector, model)
        found = cross_validate(
            pipeline, X, y, cv=folds, return_estimator=True,
            scoring="neg_root_mean_squared_error",
        )  # fmt: skip
        errors[name, title] = -found["test_score"].mean()
    fitted = found["estimator"]
    sizes = [one[:-1].transform(X[:1]).shape[1] for one in fitted]
    counts[name] = np.median(sizes)
    print(
        f"{name:20s} {counts[name]:4.0f} features"
        + "".join(f"   {title} {errors[name, title]:.1f}" for title in models)
    )
chosen = make_pipeline(StandardScaler(), selectors["SqrtLasso"]).fit(X, y)
print("selected on all rows:", ", ".join(names[chosen[-1].get_support()]))

# %%
# Least squares of all products is out of the frame. After a selection, the three models
# predict about as well as each other, from a handful of the features.
fig, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
width = 0.8 / len(selectors)
for k, name in enumerate(selectors):
    heights = [errors[name, title] for title in models]
    places = np.arange(len(models)) + (k - 1.5) * width
    label = f"{name}: {counts[name]:.0f} features"
    dots = ax.plot(
        places, heights, "o", color=colors.get(name, "tab:olive"), label=label
    )
    for place, height in zip(places, heights, strict=True):
        if height > 66:
            ax.annotate(
                f"{height:.0f} ↑", (place, 65.6), ha="center", va="top",
                color=dots[0].get_color(),
            )  # fmt: skip
ax.set_xticks(range(len(models)), models)
ax.set(ylim=(53, 66), ylabel="cross-validated error,\nunits of the target")
ax.legend(frameon=False, loc="upper right")
plt.show()
