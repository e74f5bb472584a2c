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
# Half of the ReLU units die at once and stay dead; HeLU revives a few of them in the
# first epochs. A penalty that starts at 0.23 silences nine of ten units; while it is
# learnt a quarter of these come back, with or without HeLU. With the default, no dead
# unit is left. Bands are between two seeds.
colors = {
    "relu": "tab:red",
    "helu": "tab:pink",
    "nelu": "tab:orange",
    "nelu_helu": "tab:olive",
}
dashes = {" threshold 13": "-", " penalty from 0.23 on": "--", " default": "-"}
fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
heights = dict(zip(networks, [56, 46, 65, 71, 0], strict=True))  # of the names
for name, shares in dead.items():
    style = {"color": colors[name.split(",")[0]], "ls": dashes[name.split(",")[1]]}
    ax.plot(100 * shares.mean(axis=0), linewidth=2, **style)
    band = 100 * np.sort(shares, axis=0)
    ax.fill_between(range(epochs), *band, color=style["color"], alpha=0.2)
    place = (epochs + 0.5, heights[name])
    ax.annotate(name, place, color=style["color"], va="center")
ax.set(xlabel="epoch", ylabel="dead units, % of 256", ylim=(-3, 100))
ax.set(xlim=(0, 1.5 * epochs), xticks=range(0, epochs + 1, 10))
ax.spines[["top", "right"]].set_visible(False)
ax.spines["bottom"].set_bounds(0, epochs)
plt.show()
