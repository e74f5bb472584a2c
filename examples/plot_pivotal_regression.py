"""
=================================================
Regression with one penalty for every noise level
=================================================

The best penalty of the lasso is proportional to the noise, which is unknown. That of
the square-root lasso is not: "pivotal" is computed from the features alone.
"""

# %%
# A hundred rows of five hundred correlated features, five of which matter: the design
# of Belloni, Chernozhukov and Wang (2011), at noise levels from 0.01 to 10.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import Lasso, LassoCV

from sklearn_sqrtlasso import SqrtLasso, sqrt_lasso_path

truth = np.where(np.arange(500) < 5, 1.0, 0.0)
distance = np.abs(np.subtract.outer(np.arange(500), np.arange(500)))
root, levels = np.linalg.cholesky(0.5**distance), np.geomspace(0.01, 10, 7)
grid = np.geomspace(3, 3e-4, 20)


def lasso_oracle(X, y):
    """Return the best solution of the lasso's path, which is the same for both."""
    coefs = sqrt_lasso_path(X, y, fit_intercept=True).coefs
    return coefs[:, np.argmin(np.linalg.norm(root.T @ (coefs.T - truth).T, axis=0))]


METHODS = {
    "square-root lasso, pivotal": lambda X, y: SqrtLasso().fit(X, y).coef_,
    "the same, relaxed: phi=0": lambda X, y: SqrtLasso(phi=0).fit(X, y).coef_,
    "lasso tuned at noise 1": lambda X, y: Lasso(0.26).fit(X, y).coef_,
    "LassoCV": lambda X, y: LassoCV(alphas=grid, tol=1e-6, n_jobs=2).fit(X, y).coef_,
    "lasso, told the truth": lasso_oracle,
}
colors = {
    "square-root lasso, pivotal": "tab:blue",
    "the same, relaxed: phi=0": "tab:cyan",
    "lasso tuned at noise 1": "tab:brown",
    "LassoCV": "tab:brown",
    "lasso, told the truth": "k",
}
styles = {"LassoCV": "--", "lasso, told the truth": ":"}
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
for (name, fit), marker in zip(METHODS.items(), "o*svd", strict=True):
    risk, score = np.empty((2, 3, len(levels)))
    for trial, i in np.ndindex(risk.shape):
        rng = np.random.default_rng(trial)
        X = rng.standard_normal((100, 500)) @ root.T
        coef = fit(X, X @ truth + levels[i] * rng.standard_normal(100))
        risk[trial, i] = np.linalg.norm(root.T @ (coef - truth)) / levels[i]
        score[trial, i] = 2 * np.sum(coef[:5] != 0) / (5 + np.count_nonzero(coef))
    style = {"color": colors[name], "ls": styles.get(name, "-"), "marker": marker}
    axes[0].loglog(levels, np.median(risk, axis=0), **style, label=name)
    axes[1].semilogx(levels, np.median(score, axis=0), **style)
axes[0].set(xlabel="noise level", ylabel="prediction error / noise level")
axes[1].set(xlabel="noise level", ylabel="F1 score of the support", ylim=(0, 1.03))
axes[0].legend(frameon=False, fontsize=8)
plt.show()

# %%
# Without an estimate of the noise, the square-root lasso finds the five features
# wherever that is possible. Its predictions are shrunk: the error is 0.75 of the noise,
# where the lasso with the oracle penalty, which keeps more features, has 0.54. With
# ``phi=0`` the five features are fitted by least squares, and the error is 0.19.
# :class:`~sklearn_sqrtlasso.SqrtLassoCV` chooses ``phi`` together with the penalty.
