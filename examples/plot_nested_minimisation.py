"""
=====================================
Block by block, or all at once
=====================================

Nested alternating minimisation uses a separate inner method and step length for the
encoder and for the decoder. On images of digits it is compared with Adam and L-BFGS on
all parameters at once, at equal time: the same start, one thread, and Adam both at its
default rate and at better ones. Alternating Adam, with long steps for the decoder, is
fastest; FISTA, the method as published, is not.
"""

# %%
# One objective, several methods
# ------------------------------
import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from sklearn_sqrtlasso import ANAMOAutoencoder

X = load_digits().data / 16
N, d, alpha, seconds = len(X), 16, 0.1, 2.5
sigmoids = {"encoder_activation": "sigmoid", "decoder_activation": "sigmoid"}
sigmoids |= {"alpha": alpha, "random_state": 0}
ways = {
    "FISTA, accelerated": {"encoder_method": "fista", "decoder_method": "accelerated"},
    "FISTA, L-BFGS": {"encoder_method": "fista", "decoder_method": "lbfgs"},
    "Adam, Adam": {"encoder_method": "adam", "decoder_method": "adam"},
}
start = ANAMOAutoencoder(d, encoder_step=1e-12, decoder_step=1e-12, **sigmoids)
start.set_params(max_iter=1, **ways["FISTA, accelerated"]).fit(X)
first = [start.components_, start.encoder_bias_, start.decoder_, start.decoder_bias_]
cuts, shapes = np.cumsum([w.size for w in first])[:-1], [w.shape for w in first]


def loss_and_gradient(theta):
    parts = zip(np.split(theta, cuts), shapes, strict=True)
    W, b, V, c = (w.reshape(shape) for w, shape in parts)
    Z = 0.5 + 0.5 * np.tanh(0.5 * (X @ W.T + b))  # faster than the sigmoid of scipy
    P = 0.5 + 0.5 * np.tanh(0.5 * (Z @ V + c))
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
        coder = ANAMOAutoencoder(d, **sigmoids, **given).partial_fit(X)
        while coder.time_curve_[-1] < seconds:
            coder.partial_fit(X)
        curves[f"alternating: {name}"] = coder.time_curve_, coder.loss_curve_
    for rate in (0.001, 0.01, 0.03):
        track, begin = [], time.perf_counter()
        adam(theta, rate)
        curves[f"joint: Adam {rate}"] = np.array(track).T - [[begin], [0]]
    track, begin = [], time.perf_counter()
    limit = {"maxiter": 1500}
    minimize(loss_and_gradient, theta, jac=True, method="L-BFGS-B", options=limit)
    curves["joint: L-BFGS"] = np.array(track).T - [[begin], [0]]

# %%
U, S, _ = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
floors = {"mean image": np.sum(S**2) / N, "PCA": np.sum(S[d:] ** 2) / N}
fig, ax = plt.subplots(figsize=(9.5, 4.5), layout="constrained")
for name, (times, losses) in curves.items():
    best = np.minimum.accumulate(losses)[np.asarray(times) <= seconds]
    print(f"{name:46s} {best[-1]:.3f}")
    ax.plot(
        times[: len(best)], best, "--" if name.startswith("joint") else "-", label=name
    )
for name, floor in floors.items():
    print(f"{name + ', without penalty':46s} {floor:.3f}")
    ax.axhline(floor, color="k", lw=0.6)
    ax.annotate(f"{name}, without penalty", (0.3 * seconds, floor), va="bottom")
ax.set(xlabel="seconds", ylabel="objective", yscale="log", xlim=(0, seconds))
fig.legend(loc="outside right center", frameon=False)
plt.show()
