"""
===========================================
The effect of a treatment among many others
===========================================

One coefficient is wanted, and two hundred others are in the way. A lasso shrinks it,
and what it drops biases it.
:func:`~sklearn_sqrtlasso.inference.confidence_intervals` removes the bias; the package
``doubleml`` does so with the same regressions as learners.
"""

# %%
# The treatment has effect 1/2. It depends on three of the features, which also act on
# the outcome, but so little that a lasso of the outcome drops them.
import doubleml as dml
import matplotlib.pyplot as plt
import numpy as np

from sklearn_sqrtlasso import SqrtLasso
from sklearn_sqrtlasso.inference import confidence_intervals

n_rows, n_features, effect = 200, 200, 0.5


def draw(seed):
    """Return features, treatment and outcome."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, n_features))
    confounder = X[:, :3].sum(axis=1)
    treatment = 0.7 * confounder + rng.standard_normal(n_rows)
    outcome = effect * treatment + 0.25 * confounder + rng.standard_normal(n_rows)
    return X, treatment, outcome


# %%
# Four estimates of the same effect. A double machine learner predicts treatment and
# outcome by the features, on folds, and regresses one residual on the other.


def of_lasso(X, treatment, outcome):
    """Return the coefficient of the square-root lasso: shrunk."""
    return SqrtLasso().fit(np.column_stack([treatment, X]), outcome).coef_[0], np.nan


def of_refit(X, treatment, outcome):
    """Return the coefficient, refitted on the support."""
    model = SqrtLasso(phi=0).fit(np.column_stack([treatment, X]), outcome)
    return model.coef_[0], np.nan


def of_intervals(X, treatment, outcome):
    """Return the coefficient without bias, and its standard error."""
    found = confidence_intervals(np.column_stack([treatment, X]), outcome, features=[0])
    return found.coef[0], found.standard_errors[0]


def of_double_learner(X, treatment, outcome):
    """Return the estimate of a partially linear model, and its standard error."""
    np.random.seed(0)  # noqa: NPY002 - doubleml draws its folds from it
    data = dml.DoubleMLData.from_arrays(X, outcome, treatment)
    model = dml.DoubleMLPLR(data, SqrtLasso(phi=0), SqrtLasso(phi=0), n_folds=5).fit()
    return model.coef[0], model.se[0]


METHODS = {
    "SqrtLasso()": of_lasso,
    "SqrtLasso(phi=0)": of_refit,
    "confidence_intervals": of_intervals,
    "DoubleMLPLR": of_double_learner,
}
tables = [draw(seed) for seed in range(30)]
found = {name: np.array([f(*table) for table in tables]) for name, f in METHODS.items()}

# %%
# Each dot is a table of data, each bar an interval of level 0.95.
fig, ax = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
for place, (name, pairs) in enumerate(found.items()):
    coef, error = pairs.T
    at = place + np.linspace(-0.35, 0.35, len(coef))
    hit = np.abs(coef - effect) <= 1.96 * error
    colors = np.where(np.isnan(error), "C7", np.where(hit, "C0", "C3"))
    ax.vlines(at, coef - 1.96 * error, coef + 1.96 * error, color=colors, lw=1)
    missed = ~hit & ~np.isnan(error)
    ax.scatter(at[~missed], coef[~missed], s=8, color=colors[~missed])
    ax.scatter(at[missed], coef[missed], s=40, color=colors[missed], marker="x")
    share = f", {hit.mean():.0%} cover" if not np.isnan(error).all() else ""
    print(f"{name}: mean {coef.mean():.2f}, deviation {coef.std():.2f}{share}")
ax.axhline(effect, color="k", lw=0.8)
ax.text(-0.45, effect - 0.01, "true effect", va="top")
ax.scatter([], [], s=40, color="C3", marker="x", label="interval without the effect")
ax.legend(frameon=False, loc="lower left")
ax.set(xticks=range(len(found)), xticklabels=found, ylabel="effect")
plt.show()

# %%
# The lasso shrinks the effect and gives it a part of what it dropped; refitting undoes
# only the former. Both methods with intervals find what the treatment depends on, too.
# They need that: features that neither regression can find would bias them as well.
