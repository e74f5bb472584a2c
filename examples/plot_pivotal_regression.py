"""
===========================================
Regression with one penalty for every noise
===========================================

The best penalty of the lasso is proportional to the noise, which nobody tells us. That
of the square-root lasso is not: "pivotal" is computed from the features alone.
"""

# %%
# A hundred rows of five hundred correlated features, five of which matter: the design
# of Belloni, Chernozhukov and Wang (2011), at noise levels from 0.01 to 10.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import Lasso, LassoCV

from sklearn_sqrtlasso import SqrtLasso, sqrt_lasso_path

N, P, TRIALS = 100, 500, 3
truth = np.where(np.arange(P) < 5, 1.0, 0.0)
correlation = 0.5 ** np.abs(np.subtract.outer(np.arange(P), np.arange(P)))
root = np.linalg.cholesky(correlation)
levels, grid = np.geomspace(0.01, 10, 7), np.geomspace(3, 3e-4, 20)


def lasso_oracle(X, y):
    """Return the best solution of the lasso's path, which is the same for both."""
    coefs = sqrt_lasso_path(X, y, fit_intercept=True).coefs
    return coefs[:, np.argmin(np.linalg.norm(X @ (coefs - truth[:, None]), axis=0))]


METHODS = {
    "square-root lasso, pivotal": lambda X, y: SqrtLasso().fit(X, y).coef_,
    "lasso tuned at noise 1": lambda X, y: Lasso(0.26).fit(X, y).coef_,
    "LassoCV": lambda X, y: LassoCV(alphas=grid, tol=1e-6, n_jobs=2).fit(X, y).coef_,
    "lasso, told the truth": lasso_oracle,
}
found = {name: np.zeros((2, len(levels), TRIALS)) for name in METHODS}
for trial in range(TRIALS):
    rng = np.random.default_rng(trial)
    X, noise = rng.standard_normal((N, P)) @ root.T, rng.standard_normal(N)
    for i, level in enumerate(levels):
        for name, fit in METHODS.items():
            coef = fit(X, X @ truth + level * noise)
            risk = np.sqrt((coef - truth) @ correlation @ (coef - truth)) / level
            hits = np.count_nonzero((coef != 0) & (truth != 0))
            score = 2 * hits / (5 + np.count_nonzero(coef))
            found[name][:, i, trial] = risk, score

# %%
# What we see
# -----------
# Without a look at the noise the square-root lasso finds the five features wherever
# anybody can, with next to no others; cross-validation keeps many more. The lasso that
# is told the truth is tuned for prediction, shrinks less and predicts better: to
# predict, fit the features that were found anew, or use SqrtLassoCV.
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
for name, marker in zip(METHODS, "osvd", strict=True):
    risk, score = np.median(found[name], axis=2)
    print(f"{name:28s} error / noise {risk.round(2)}, F1 {score.round(2)}")
    axes[0].loglog(levels, risk, marker=marker, label=name)
    axes[1].semilogx(levels, score, marker=marker)
axes[0].set(xlabel="noise level", ylabel="prediction error / noise level")
axes[1].set(xlabel="noise level", ylabel="F1 score of the support", ylim=(0, 1.03))
axes[0].legend(frameon=False, fontsize=8)
plt.show()
