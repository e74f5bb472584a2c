"""
=======================================
Select features, then fit another model
=======================================

``SqrtLasso`` has nothing to tune, so it selects features within a Pipeline at the cost
of one fit, and the selection is repeated in each fold of the cross-validation. The data
are patients with diabetes: ten measurements and all products of up to three of them.
The best features one by one predict a little better still, given the number to keep.
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
colors = {"SqrtLasso": "tab:blue", "LassoCV": "tab:brown", "all features": "0.4"}

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
# Least squares of all products is out of the frame. Four features predict better than
# the 25 that the cross-validated lasso keeps, whatever the model that comes after.
# Ranking features one by one does as well here, when it is told how many to keep.
fig, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
for k, (name, mark) in enumerate(zip(selectors, "osD^", strict=True)):
    heights = np.array([errors[name, title] for title in models])
    places = np.arange(len(models)) + 0.2 * (k - 1.5)
    shown = np.minimum(heights, 66)
    color = colors.get(name, "tab:olive")
    label = f"{name}: {counts[name]:.0f} features"
    ax.plot(places, shown, mark, color=color, label=label)
    for place, height in zip(places[heights > 66], heights[heights > 66], strict=True):
        ax.annotate(f"  {height:.0f}, above", (place, 66), va="center", color=color)
ax.set_xticks(range(len(models)), models)
ax.set(ylim=(54, 72), ylabel="cross-validated error,\nunits of the target")
ax.legend(frameon=False, loc="upper right", ncols=2)
plt.show()
