"""
========================================
Units that die while layers take turns
========================================

A ReLU unit that is zero on all rows learns nothing more. HeLU codes the same, but lets
a unit learn while it is just below zero. Both are learnt block by block here, at a
penalty that is strong at first: many units of a random start are silenced.
"""

# %%
# Follow the share of dead units
# ------------------------------
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_sqrtlasso import ANAMOAutoencoder

X = load_digits().data / 16
iterations, seeds = 30, (0, 1)
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for color, activation in enumerate(("relu", "helu")):
    dead, scores = np.empty((len(seeds), iterations)), []
    for seed in seeds:
        coder = ANAMOAutoencoder(
            64, alpha=0.5, encoder_activation=activation, decoder_activation="identity",
            random_state=seed,
        )  # fmt: skip
        for n in range(iterations):
            dead[seed, n] = coder.partial_fit(X).report(X).dead_share
        scores.append(coder.score(X))
    print(
        f"{activation}: dead {dead[:, -1].mean():.1%}, explained variance "
        f"{np.mean(scores):.3f}, objective {coder.loss_curve_[-1]:.3f}"
    )
    ax.plot(100 * dead.mean(axis=0), f"C{color}", label=activation)
    ax.fill_between(range(iterations), *(100 * dead), color=f"C{color}", alpha=0.2)
ax.set(xlabel="outer iteration", ylabel="dead units, %", ylim=(0, None))
ax.legend(frameon=False)
plt.show()
