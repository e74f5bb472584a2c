"""
==============================================
One penalty for several distributions of noise
==============================================

Noise of four distributions and five levels is added to rows with sparse codes. Both
coders are tuned once, for Gaussian noise of level 0.1. The square-root lasso stays
close to the best threshold for each distribution and level; the fixed threshold does
not.
"""

# %%
# Two thousand rows, each of five entries in an orthonormal basis of 100.
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize_scalar

from sklearn_sqrtlasso import SqrtLassoTransform
from sklearn_sqrtlasso.datasets import make_sparse_codes

levels = [0.02, 0.05, 0.1, 0.2, 0.4]
laws = ["gaussian", "uniform", "laplace", "student_t"]
draw = partial(make_sparse_codes, 2000, 100, n_nonzero=5)


def pivotal(rows, alpha):
    frame = {"init": rows.components, "max_iter": 0, "center": False}
    coder = SqrtLassoTransform(alpha=alpha, **frame)
    return coder.fit(rows.X).transform(rows.X)


def soft(rows, threshold):
    U = rows.X @ rows.components.T
    return np.sign(U) * np.maximum(np.abs(U) - threshold, 0)


def error(rows, codes):
    return np.sqrt(np.mean(np.sum((codes - rows.Z) ** 2, axis=1)))


def tuned(coder, rows, largest):
    loss = minimize_scalar(
        lambda value: error(rows, coder(rows, value)), (0, largest / 2, largest)
    )
    return loss.x


known = draw(noise_std=0.1, random_state=1)
alpha, threshold = tuned(pivotal, known, 0.4), tuned(soft, known, 0.4)
print(f"tuned once: alpha = {alpha:.4f}, threshold = {threshold:.4f}")

# %%
# The oracle tunes its threshold on the test rows, for each distribution and level.
colors = {
    "fixed threshold": "tab:red",
    "square-root lasso": "tab:blue",
    "threshold of an oracle": "k",
}
marks = {"fixed threshold": "s-", "square-root lasso": "o-"}
fig, axes = plt.subplots(1, 4, figsize=(11, 3.2), sharey=True, layout="constrained")
for ax, law in zip(axes, laws, strict=True):
    rows = [draw(noise=law, noise_std=level, random_state=2) for level in levels]
    curves = {
        "fixed threshold": [error(r, soft(r, threshold)) for r in rows],
        "square-root lasso": [error(r, pivotal(r, alpha)) for r in rows],
        "threshold of an oracle": [
            error(r, soft(r, tuned(soft, r, 4 * level)))
            for r, level in zip(rows, levels, strict=True)
        ],
    }
    print(f"\n{law}" + "".join(f"{level:>10g}" for level in levels))
    for name, curve in curves.items():
        print(f"{name:24s}" + "".join(f"{value:10.3f}" for value in curve))
        style = marks.get(name, "--")
        ax.loglog(levels, curve, style, color=colors[name], label=name)
    ax.set(title=law.replace("_", " "), xlabel="noise level")
    ax.set_xticks(levels, [f"{level:g}" for level in levels])
    ax.minorticks_off()
axes[0].set_ylabel("root mean square error of the code")
axes[0].legend(frameon=False, fontsize=8)
plt.show()
