"""
================================
Dead units and how to avoid them
================================

A unit that is zero on all rows has no gradient and stays zero. HeLU lets it learn while
it is just below its threshold; in a network that scales with its rows, the window is a
share of the threshold. This revives some units. A learnt penalty that starts at half of
its pivotal value, the default, keeps all of them alive.
"""

# %%
# Follow the share of dead units through training
# -----------------------------------------------
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_sqrtlasso import NeLUAutoencoder

X = load_digits().data
X = (X - X.mean(axis=0)).astype("float32")
networks = {
    "relu, threshold 13": {"activation": "relu", "alpha": 13.0},
    "helu, threshold 13": {"activation": "helu", "alpha": 13.0},
    "nelu, penalty from 0.23 on": {"activation": "nelu", "alpha": 0.23},
    "nelu_helu, penalty from 0.23 on": {"activation": "nelu_helu", "alpha": 0.23},
    "nelu, default": {"activation": "nelu"},
}
epochs = 60
dead = {name: np.empty((2, epochs)) for name in networks}
for name, given in networks.items():
    for seed in (0, 1):
        network = NeLUAutoencoder(
            256, noise_std=0.0, batch_size=128, random_state=seed, **given
        )
        for epoch in range(epochs):
            dead[name][seed, epoch] = network.partial_fit(X).report(X).dead_share
    share, score = dead[name][:, -1].mean(), network.score(X)
    print(f"{name:32s} dead {share:5.1%}, explained variance {score:.3f}")

# %%
# ReLU units die early and stay dead. HeLU revives some while it trains, a network with
# penalties that scales with its rows loses units slowly, and the default loses none.
# Bands are between two seeds.
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, shares in dead.items():
    (line,) = ax.plot(100 * shares.mean(axis=0), label=name)
    ax.fill_between(range(epochs), *(100 * np.sort(shares, axis=0)), alpha=0.2)
ax.set(xlabel="epoch", ylabel="dead units, %", ylim=(0, 100))
ax.legend(frameon=False)
plt.show()
