"""
==================================
The width of HeLU in small batches
==================================

A unit of ReLU that is zero on all rows has no gradient and stays dead. HeLU gives the
same codes as ReLU, but lets units learn within a window below zero. With Adam on small
batches and a penalty, most units die within a few batches, and jump across the
published window of 0.05. The window has to be about as wide as the pre-activations; if
it is too wide, the surrogate gradient misleads.
"""

# %%
# Share of dead units through learning, a batch of a hundred rows at a time
# -------------------------------------------------------------------------
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_sqrtlasso import ANAMOAutoencoder

X = load_digits().data / 16
batches = np.array_split(np.random.default_rng(0).permutation(X), 18)
networks = {"relu": {"encoder_activation": "relu"}}
for width in (0.05, 0.25, 1.0, 4.0):
    networks[f"helu, {width}"] = {"encoder_activation": "helu", "width": width}
adam = {"alpha": 0.1, "decoder_activation": "sigmoid", "decoder_step": 0.01}
n_epochs, seeds = 5, (0, 1, 2)
n_steps = n_epochs * len(batches)
dead, score = {}, {}
for name, given in networks.items():
    dead[name], score[name] = np.empty((2, len(seeds), n_steps))
    for seed in seeds:
        network = ANAMOAutoencoder(64, random_state=seed, **adam, **given)
        for step, batch in enumerate(n_epochs * batches):
            report = network.partial_fit(batch).report(X)
            dead[name][seed, step] = report.dead_share
            score[name][seed, step] = network.score(X)
    share, explained = dead[name][:, -1].mean(), score[name][:, -1].mean()
    print(f"{name:12s} dead {share:5.1%}, explained variance {explained:.3f}")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
steps = np.arange(1, n_steps + 1)
for name, mark in zip(networks, "os^Dv", strict=True):
    for ax, values in ((left, 100 * dead[name]), (right, score[name])):
        style = {"marker": mark, "markevery": 0.12, "markersize": 5, "label": name}
        ax.plot(steps, values.mean(axis=0), **style)
        ax.fill_between(steps, values.min(axis=0), values.max(axis=0), alpha=0.15)
left.set(xlabel="batches", ylabel="dead units, %", xscale="log", ylim=(0, 100))
right.set(xlabel="batches", ylabel="explained variance", xscale="log", ylim=(0, 1))
right.legend(frameon=False, title="encoder, width")
plt.show()
