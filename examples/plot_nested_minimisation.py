"""
=====================================
Block by block, or all at once
=====================================

Nested alternating minimisation gives encoder and decoder an algorithm each. On images
of digits it is compared with Adam and L-BFGS on all parameters at once, by the clock.
The same start, one thread, and Adam both at its default rate and at better ones.
"""

# %%
# One objective, several ways down
# --------------------------------
import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from sklearn_sqrtlasso import ANAMOAutoencoder

X = load_digits().data / 16
(N, n), d, alpha, seconds = X.shape, 16, 0.1, 2.5
ways = {
    "FISTA, accelerated": {},
    "FISTA, accelerated; steps 1 and 5": {"encoder_step": 1.0, "decoder_step": 5.0},
    "FISTA, L-BFGS": {"decoder_method": "lbfgs"},
    "L-BFGS, L-BFGS": {"encoder_method": "lbfgs", "decoder_method": "lbfgs"},
}
start = ANAMOAutoencoder(d, encoder_step=1e-12, decoder_step=1e-12, max_iter=1)
start.set_params(random_state=0, warm_start=True).fit(X)
first = [start.components_, start.encoder_bias_, start.decoder_, start.decoder_bias_]
cuts, shapes = np.cumsum([w.size for w in first])[:-1], [w.shape for w in first]


def loss_and_gradient(theta):
    parts = zip(np.split(theta, cuts), shapes, strict=True)
    W, b, V, c = (w.reshape(shape) for w, shape in parts)
    Z = expit(X @ W.T + b)
    P = expit(Z @ V + c)
    G = (P - X) * P * (1 - P) * (2 / N)
    H = (G @ V.T + alpha / N) * Z * (1 - Z)
    gradient = [H.T @ X, H.sum(axis=0), Z.T @ G, G.sum(axis=0)]
    track.append((time.perf_counter(), np.sum((P - X) ** 2) / N + alpha * Z.sum() / N))
    return track[-1][1], np.concatenate([g.ravel() for g in gradient])


def adam(theta, rate):
    mean, square, count = np.zeros_like(theta), np.zeros_like(theta), 0
    while time.perf_counter() < begin + seconds:
        g, count = loss_and_gradient(theta)[1], count + 1
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
        size = np.sqrt(square / (1 - 0.999**count)) + 1e-8
        theta = theta - rate / (1 - 0.9**count) * mean / size


theta, curves = np.concatenate([w.ravel() for w in first]), {}
with threadpool_limits(1):
    for name, given in ways.items():
        coder = ANAMOAutoencoder(d, max_iter=1, tol=0, random_state=0, **given)
        while not hasattr(coder, "n_iter_") or coder.time_curve_[-1] < seconds:
            coder.partial_fit(X)
        curves[f"in turns: {name}"] = coder.time_curve_, coder.loss_curve_
    for rate in (0.001, 0.01, 0.03):
        track, begin = [], time.perf_counter()
        adam(theta, rate)
        curves[f"at once: Adam {rate}"] = np.array(track).T - [[begin], [0]]
    track, begin = [], time.perf_counter()
    limit = {"maxiter": 700}
    minimize(loss_and_gradient, theta, jac=True, method="L-BFGS-B", options=limit)
    curves["at once: L-BFGS"] = np.array(track).T - [[begin], [0]]

# %%
floors = {"mean image": np.sum((X - X.mean(axis=0)) ** 2) / N}
pca = PCA(d).fit(X)
floors["PCA"] = np.sum((pca.inverse_transform(pca.transform(X)) - X) ** 2) / N
fig, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
for name, (times, losses) in curves.items():
    best = np.minimum.accumulate(losses)[np.asarray(times) <= seconds]
    print(f"{name:46s} {best[-1]:.3f}")
    ax.plot(times[: len(best)], best, "--" if "once" in name else "-", label=name)
for name, floor in floors.items():
    print(f"{name + ', without penalty':46s} {floor:.3f}")
    ax.axhline(floor, color="k", lw=0.6)
    ax.annotate(f"{name}, without penalty", (0.15 * seconds, floor), va="top")
ax.set(xlabel="seconds", ylabel="objective", yscale="log", xlim=(0, seconds))
ax.legend(frameon=False, fontsize=8)
plt.show()
