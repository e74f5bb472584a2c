"""
=======================================
The phase transition of sparse recovery
=======================================

Sparse codes of n measurements are found up to a number k of atoms, beyond which
recovery fails abruptly. If all weights are of one size, thresholding with inversion
recovers more atoms than matching pursuit, both with k given and with its tuned
threshold.
"""

# %%
# Random unit atoms, 300 of them, weights of +1 and -1, 60 rows for each k.
import matplotlib.pyplot as plt
import numpy as np

from sklearn_sqrtlasso import RelaxedSparseCoder

N_ATOMS, N_ROWS = 300, 60
deltas = {0.2: np.linspace(0.1, 0.35, 9), 0.5: np.linspace(0.15, 0.45, 9)}
deltas[0.8] = np.linspace(0.15, 0.6, 9)
rng = np.random.default_rng(0)


def share_found(delta, rho, selector, told):
    k = max(1, round(rho * (n := int(delta * N_ATOMS))))
    found = []
    for _ in range(6):
        D = rng.standard_normal((N_ATOMS, n))
        D /= np.linalg.norm(D, axis=1, keepdims=True)
        places = np.argsort(rng.random((N_ROWS // 6, N_ATOMS)), axis=1)[:, :k]
        Z = np.zeros((N_ROWS // 6, N_ATOMS))
        np.put_along_axis(Z, places, rng.choice([-1.0, 1.0], places.shape), axis=1)
        coder = RelaxedSparseCoder(
            dictionary=D, selector=selector, n_nonzero_coefs=k if told else None,
            n_jobs=2,
        ).fit(Z @ D)  # fmt: skip
        error = np.linalg.norm(coder.transform(Z @ D) - Z, axis=1)
        found.extend(error < 1e-2 * k**0.5)
    return np.mean(found)


# %%
# The curves fall from one to zero; where they cross one half is the transition.
coders = {
    "inversion, told k": ("iti", True),
    "inversion, tuned": ("iti", False),
    "matching pursuit, told k": ("omp", True),
}
fig, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained", sharey=True)
for ax, (delta, rhos) in zip(axes, deltas.items(), strict=True):
    for (name, (selector, told)), mark in zip(coders.items(), "os^", strict=True):
        curve = [share_found(delta, rho, selector, told) for rho in rhos]
        half = np.interp(-0.5, -np.array(curve), rhos)
        print(f"n / N = {delta}: {name:25s} half of the rows at k / n = {half:.3f}")
        ax.plot(rhos, curve, f"{mark}-", label=name)
    ax.set(title=f"n = {delta:g} N measurements", xlabel="k / n: atoms of a row / n")
axes[0].set_ylabel("share of rows found")
axes[-1].legend(frameon=False, fontsize=8)
plt.show()
