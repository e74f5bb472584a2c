"""
=====================================
Block by block, or all at once
=====================================

Nested alternating minimisation uses a separate inner method and step length for the
encoder and for the decoder. On images of digits it is compared with Adam and L-BFGS on
all parameters at once, after as many steps: from the same start, and Adam both at its
default rate and at better ones. Alternating Adam, with long steps for the decoder, is
lowest; FISTA, the method as published, is not.
"""

# %%
# One objective, several methods
# ------------------------------
# A step is one gradient, of one layer where methods alternate, else of both, which
# costs more. What FISTA and L-BFGS evaluate to find the length of a step is not counted
# for the alternating ones; :doc:`/user_guide/anamo_autoencoder` has objectives at equal
# time.
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import load_digits

from sklearn_sqrtlasso import ANAMOAutoencoder

X = load_digits().data / 16
N, d, alpha, n_steps = len(X), 16, 0.1, 1000
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
    track.append(np.sum((P - X) ** 2) / N + alpha * Z.sum() / N)
    return track[-1], np.concatenate([g.ravel() for g in gradient])


def adam(theta, rate):
    mean, square = np.zeros_like(theta), np.zeros_like(theta)
    for count in range(1, n_steps + 1):
        g = loss_and_gradient(theta)[1]
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
        size = np.sqrt(square / (1 - 0.999**count)) + 1e-8
        theta = theta - rate / (1 - 0.9**count) * mean / size


theta, curves = np.concatenate([w.ravel() for w in first]), {}
for name, given in ways.items():
    coder = ANAMOAutoencoder(d, tol=0, **sigmoids, **given)
    of_iteration = coder.n_encoder_steps + coder.n_decoder_steps
    coder.set_params(max_iter=n_steps // of_iteration).fit(X)
    steps = of_iteration * np.arange(1, len(coder.loss_curve_) + 1)
    curves[f"alternating: {name}"] = steps, coder.loss_curve_
for rate in (0.001, 0.01, 0.03):
    track = []
    adam(theta, rate)
    curves[f"joint: Adam {rate}"] = np.arange(n_steps), track
track = []
limit = {"maxiter": n_steps, "maxfun": n_steps}
minimize(loss_and_gradient, theta, jac=True, method="L-BFGS-B", options=limit)
curves["joint: L-BFGS"] = np.arange(len(track)), track

# %%
U, S, _ = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
floors = {"mean image": np.sum(S**2) / N, "PCA": np.sum(S[d:] ** 2) / N}
fig, ax = plt.subplots(figsize=(9.5, 4.5), layout="constrained")
marks = ["o-", "s-", "D-", "x--", "+--", "v--", "^--"]
for (name, (steps, losses)), mark in zip(curves.items(), marks, strict=True):
    best = np.minimum.accumulate(losses)
    print(f"{name:46s} {best[-1]:.3f}")
    every = max(1, len(best) // 10)
    ax.plot(steps, best, mark, markevery=every, markersize=5, label=name)
for name, floor in floors.items():
    print(f"{name + ', without penalty':46s} {floor:.3f}")
    ax.axhline(floor, color="k", lw=0.6)
    ax.annotate(f"{name}, without penalty", (0.3 * n_steps, floor), va="bottom")
ax.set(xlabel="steps", ylabel="objective", yscale="log", xlim=(0, n_steps))
fig.legend(loc="outside right center", frameon=False)
plt.show()
