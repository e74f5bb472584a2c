"""Who learns the two layers otherwise: all parameters at once, from the same start."""

import time

import numpy as np
import pytest
from scipy.optimize import minimize

from sklearn_sqrtlasso import ANAMOAutoencoder
from sklearn_sqrtlasso.algorithms.sigmoid import SIGMOIDS
from sklearn_sqrtlasso.models import biased_autoencoder
from tests.estimators.encoders import PUBLISHED

ALPHA = 0.1
NAMES = ("components_", "encoder_bias_", "decoder_", "decoder_bias_")
RATES = (0.001, 0.01, 0.03, 0.1)  # of Adam; the first is the usual default


class Budget:
    """Seconds that may pass, and the least loss that was seen when.

    Parameters
    ----------
    seconds : float
        After them, ``left`` is false; the clock starts now.
    """

    def __init__(self, seconds):
        self.start, self.seconds = time.perf_counter(), seconds
        self.times, self.losses, self.evaluations = [], [], []

    def left(self):
        """Return whether there is time left."""
        return time.perf_counter() - self.start < self.seconds

    def note(self, loss, evaluations=1):
        """Note a loss, found by some more evaluations of a gradient."""
        self.times.append(time.perf_counter() - self.start)
        self.evaluations.append(sum(self.evaluations[-1:]) + evaluations)
        self.losses.append(min([float(loss), *self.losses[-1:]]))

    def best(self, evaluations=np.inf):
        """Return the least loss within the seconds and some evaluations."""
        within = np.array(self.times) <= self.seconds
        within &= np.array(self.evaluations) <= evaluations
        return np.array(self.losses)[within][-1] if within.any() else np.nan


def first_parameters(X, n_components, seed):
    """Return where ``ANAMOAutoencoder`` begins with a seed."""
    start = ANAMOAutoencoder(n_components, **PUBLISHED, random_state=seed, max_iter=1)
    start.set_params(encoder_step=1e-12, decoder_step=1e-12).fit(X)
    return [getattr(start, name) for name in NAMES]


class Joint:
    """Objective and gradient of both layers, by one pass forward and one back."""

    def __init__(self, X, n_components, seed):
        first = first_parameters(X, n_components, seed)
        self.X, self.shapes = X, [w.shape for w in first]
        self.cuts = np.cumsum([w.size for w in first])[:-1]
        self.start = np.concatenate([w.ravel() for w in first])

    def __call__(self, theta):
        """Return the mean loss, and its gradient."""
        parts = zip(np.split(theta, self.cuts), self.shapes, strict=True)
        W, b, V, c = (w.reshape(shape) for w, shape in parts)
        X, n_rows = self.X, len(self.X)
        U = X @ W.T
        Z, P = np.empty_like(U), np.empty_like(X)
        SIGMOIDS[8](U, b, Z)
        SIGMOIDS[8](Z @ V, c, P)
        miss = P - X
        G = miss * P
        G *= 1 - P
        G *= 2 / n_rows
        H = G @ V.T
        H += ALPHA / n_rows
        H *= Z
        H *= 1 - Z
        gradient = [H.T @ X, H.sum(axis=0), Z.T @ G, G.sum(axis=0)]
        loss = (np.vdot(miss, miss) + ALPHA * Z.sum()) / n_rows
        return loss, np.concatenate([g.ravel() for g in gradient])


def adam(X, n_components, seed, seconds, rate):
    """Learn by Adam, all rows in each step."""
    joint = Joint(X, n_components, seed)
    theta, budget = joint.start, Budget(seconds)
    mean, square, count = np.zeros_like(theta), np.zeros_like(theta), 0
    while budget.left():
        loss, g = joint(theta)
        budget.note(loss)
        count += 1
        mean = 0.9 * mean + 0.1 * g
        square = 0.999 * square + 0.001 * g * g
        size = np.sqrt(square / (1 - 0.999**count)) + 1e-8
        theta = theta - rate / (1 - 0.9**count) * mean / size
    return budget


def lbfgs(X, n_components, seed, seconds):
    """Learn by scipy's L-BFGS."""
    joint = Joint(X, n_components, seed)
    budget = Budget(seconds)

    def evaluate(theta):
        loss, gradient = joint(theta)
        budget.note(loss)
        return loss, gradient

    def stop(theta):
        if not budget.left():
            raise StopIteration

    minimize(
        evaluate, joint.start, jac=True, method="L-BFGS-B", callback=stop,
        options={"maxiter": 10**6, "maxfun": 10**7, "ftol": 0.0, "gtol": 0.0},
    )  # fmt: skip
    return budget


def torch_adam(X, n_components, seed, seconds, rate):
    """Learn by PyTorch's Adam, all rows in each step, in single precision."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    first = first_parameters(X, n_components, seed)
    W, b, V, c = (torch.tensor(w, dtype=torch.float32) for w in first)
    data = torch.from_numpy(X.astype(np.float32))
    for w in (W, b, V, c):
        w.requires_grad_()
    optimiser, budget = torch.optim.Adam([W, b, V, c], lr=rate), Budget(seconds)
    while budget.left():
        optimiser.zero_grad(set_to_none=True)
        z = torch.sigmoid(torch.addmm(b, data, W.T))
        miss = torch.sigmoid(torch.addmm(c, z, V)) - data
        loss = ((miss * miss).sum() + ALPHA * z.sum()) / len(data)
        loss.backward()
        optimiser.step()
        budget.note(loss.item())
    return budget


def in_turns(X, n_components, seed, seconds, given, monkeypatch):
    """Learn by nested alternating minimisation; each block counts as an evaluation."""
    count, plain = [0], biased_autoencoder.sum_over_rows

    def counting(*given):
        block = plain(*given)

        def counted(function):
            def call(theta):
                count[0] += 1
                return function(theta)

            return call

        return block._replace(
            evaluate=counted(block.evaluate), value=counted(block.value)
        )

    monkeypatch.setattr(biased_autoencoder, "sum_over_rows", counting)
    given = {**PUBLISHED, "alpha": ALPHA, **given}
    coder = ANAMOAutoencoder(n_components, random_state=seed, tol=0, **given)
    budget = Budget(seconds)
    while budget.left():
        before = count[0]
        coder.partial_fit(X)
        budget.note(coder.loss_curve_[-1], count[0] - before)
    monkeypatch.setattr(biased_autoencoder, "sum_over_rows", plain)
    return budget
