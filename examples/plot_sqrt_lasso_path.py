"""
================================================
The paths of the lasso and the square-root lasso
================================================

Both paths pass through the same solutions, with different penalties. On the lasso's
path the right penalty depends on the noise; on the square-root lasso's it does not.
"""

# %%
# Ten measurements of diabetes patients, standardized, and the progress of the disease,
# as it was measured and with the noise of a much worse measurement added.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import lasso_path
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import SqrtLasso, sqrt_lasso_path

X, y = load_diabetes(return_X_y=True)
X = StandardScaler().fit_transform(X)
noise = np.random.default_rng(0).standard_normal(len(y))
noise -= X @ np.linalg.lstsq(X, noise)[0]  # the coefficients stay what they are
targets = {"as measured": y - y.mean(), "noisier": y - y.mean() + 150 * noise}

fig, axes = plt.subplots(2, 2, figsize=(9, 5.6), sharex="col", layout="constrained")
for row, (name, target) in zip(axes, targets.items(), strict=True):
    alphas, coefs, _ = lasso_path(X, target, alphas=np.geomspace(50, 0.05, 100))
    path = sqrt_lasso_path(X, target, alphas=np.geomspace(0.7, 1e-3, 100))
    row[0].semilogx(alphas, coefs.T)
    row[1].semilogx(path.alphas, path.coefs.T)
    row[0].set_ylabel(f"{name}\ncoefficients")
    model = SqrtLasso().fit(X, target)
    for ax, penalty in zip(
        row, (model.alpha_ * model.sigma_, model.alpha_), strict=True
    ):
        ax.axvline(penalty, color="k", ls="--", lw=1, label="pivotal")
    print(
        f"{name}: pivotal penalty {model.alpha_:.3f}, which is {model.alpha_:.3f} x "
        f"{model.sigma_:.0f} = {model.alpha_ * model.sigma_:.1f} for the lasso; "
        f"{np.count_nonzero(model.coef_)} features"
    )
axes[0, 0].legend(frameon=False, loc="lower right")
axes[0, 0].set_title("lasso")
axes[0, 1].set_title("square-root lasso")
axes[1, 0].set_xlabel("penalty, in units of the target")
axes[1, 1].set_xlabel("penalty, a pure number")
plt.show()

# %%
# Results
# -------
# The added noise is orthogonal to the features: the lasso's path does not change, but
# its penalty has to be almost three times as large for the same protection (dashed).
# The square-root lasso's path changes, but its pivotal penalty, computed from the
# features alone, does not.
