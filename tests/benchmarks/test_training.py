"""Training of a 64 -> 256 -> 64 autoencoder, against torch and the bare products."""

import time

import numpy as np
import pytest
from sklearn.neural_network import MLPRegressor

from sklearn_sqrtlasso import NeLUAutoencoder
from sklearn_sqrtlasso.blockwise.blocks import thread_map

N_ROWS, N_FEATURES, N_UNITS = 20_480, 64, 256


def rows():
    rng = np.random.default_rng(0)
    return rng.standard_normal((N_ROWS, N_FEATURES), dtype=np.float32)


def ours(X, batch_size, n_threads=2, activation="nelu", alpha="pivotal", n_steps=None):
    coder = NeLUAutoencoder(
        N_UNITS,
        activation=activation,
        alpha=alpha,
        n_unrolled=n_steps,
        noise_std=0.0,
        batch_size=batch_size,
        n_jobs=n_threads,
        random_state=0,
    )
    return lambda: coder.partial_fit(X)


def bare_products(X, batch_size, n_threads):
    """Return the five matrix products of an epoch, in parts of a batch."""
    W = np.random.default_rng(0).standard_normal((N_UNITS, N_FEATURES))
    W = W.astype(np.float32)

    def multiply(x):
        U = x @ W.T
        R = U @ W
        return R @ W.T, U.T @ R, U.T @ x

    def epoch():
        with thread_map(n_threads) as pmap:
            for start in range(0, N_ROWS, batch_size):
                half = batch_size // 2
                parts = [X[start : start + half], X[start + half : start + batch_size]]
                pmap(multiply, parts)

    return epoch


def torch_relu(X, batch_size, n_threads):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(n_threads)
    model = torch.nn.Sequential(
        torch.nn.Linear(N_FEATURES, N_UNITS),
        torch.nn.ReLU(),
        torch.nn.Linear(N_UNITS, N_FEATURES),
    )
    return torch_epoch(torch, X, batch_size, model)


def torch_epoch(torch, X, batch_size, model):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    data = torch.from_numpy(X)

    def epoch():
        order = torch.randperm(N_ROWS)
        for start in range(0, N_ROWS, batch_size):
            x = data[order[start : start + batch_size]]
            optimizer.zero_grad(set_to_none=True)
            loss = ((model(x) - x) ** 2).mean()
            loss.backward()
            optimizer.step()

    return epoch


def unrolled_in_torch(n_steps):
    torch = pytest.importorskip("torch")

    class Unrolled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.W = torch.nn.Parameter(torch.randn(N_UNITS, N_FEATURES) / 8)
            self.V = torch.nn.Parameter(torch.randn(N_UNITS, N_FEATURES) / 16)
            self.step, self.alpha = 1.0, 0.11

        def forward(self, x):
            u = x @ self.W.T
            z = torch.zeros_like(u)
            for _ in range(n_steps):
                r = z - u
                v = z - self.step * r / r.norm(dim=1, keepdim=True).clamp_min(1e-6)
                z = torch.nn.functional.softshrink(v, self.step * self.alpha)
            return z @ self.V

    return Unrolled()


@pytest.mark.goals
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("batch_size", [128, 1024])
def test_training(race, note, batch_size, n_threads):
    X = rows()
    runners = {
        "torch_relu": torch_relu(X, batch_size, n_threads),
        "our_relu": ours(X, batch_size, n_threads, "relu", 0.0),
        "products": bare_products(X, batch_size, n_threads),
    }
    medians = race(
        ours(X, batch_size, n_threads),
        rounds=7,
        goals={"torch_relu": 0.77},
        n_threads=n_threads,
        **runners,
    )
    rates = {name: N_ROWS / seconds / 1e3 for name, seconds in medians.items()}
    note(", ".join(f"{name} {rate:.0f}k rows/s" for name, rate in rates.items()))


@pytest.mark.parametrize("batch_size", [128, 1024])
def test_unrolled_in_torch(benchmark, note, batch_size):
    torch, X = pytest.importorskip("torch"), rows()
    benchmark.pedantic(ours(X, batch_size, n_steps=10), rounds=1)
    for name in ("eager", "compiled"):
        model = unrolled_in_torch(10)
        model = torch.compile(model) if name == "compiled" else model
        epoch = torch_epoch(torch, X, batch_size, model)
        start = time.perf_counter()
        epoch()
        first, start = time.perf_counter() - start, time.perf_counter()
        epoch()
        rate = N_ROWS / (time.perf_counter() - start) / 1e3
        note(f"torch, 10 steps, {name}: {rate:.0f}k rows/s, first epoch {first:.1f} s")


def test_scikit_learn_beside(race):
    X = rows()
    theirs = MLPRegressor(
        hidden_layer_sizes=(N_UNITS,), batch_size=1024, random_state=0
    )
    race(ours(X, 1024), rounds=5, mlp_regressor=lambda: theirs.partial_fit(X, X))


@pytest.mark.parametrize("kind", ["sparse", "dense"])
def test_transform_of_a_network(race, kind):
    """Code rows of six units in noise, and rows of noise, most of which is kept."""
    X, rng = rows(), np.random.default_rng(0)
    coder = NeLUAutoencoder(N_UNITS, max_iter=3, n_jobs=1, random_state=0).fit(X)
    W = coder.components_
    if kind == "sparse":
        coder.set_params(learn_alpha=False)
        coder.alpha_ = 0.2
        X = X / 10 + 5 * W[rng.integers(0, N_UNITS, (N_ROWS, 6))].sum(axis=1)
    race(lambda: coder.transform(X), bare_product=lambda: X @ W.T, target="1.25 x")
