"""Small coding problems, degenerate ones among them, that several tests share."""

import numpy as np
from hypothesis import strategies as st


def _twins(D, rng):
    half = (len(D) + 1) // 2
    return np.vstack([D[:half], D[:half]])[: len(D)]


def _opposites(D, rng):
    half = (len(D) + 1) // 2
    return np.vstack([D[:half], -D[:half]])[: len(D)]


def _close(D, rng):
    half, apart = len(D) // 2, 10.0 ** -rng.integers(2, 7)
    D[half : 2 * half] = D[:half] + apart * D[half : 2 * half]
    return D


def _some_zero(D, rng):
    D[::3] = 0
    return D


def _flat(D, rng):
    return D[:, :2] @ rng.standard_normal((2, D.shape[1]))


ATOMS = {
    "general": lambda D, rng: D,
    "coherent": lambda D, rng: D[:1] + 0.05 * D,
    "twins": _twins,
    "opposites": _opposites,
    "integers": lambda D, rng: np.rint(D),
    "some zero": _some_zero,
    "flat": _flat,
    "orthonormal": lambda D, rng: np.eye(*D.shape),
}
NEAR = {"close": _close}  # rounding may be in the way
PENALTIES = [0.0, 1e-12, 1e-6, 1e-3, 0.03, 0.1, 0.3, 0.7, 1.0, 1.5]  # of the largest


def make_problem(kind, n_components, n_features, seed):
    """Return atoms and rows: zero, an atom, a sum of two, and some others."""
    rng = np.random.default_rng(seed)
    D = (ATOMS | NEAR)[kind](rng.standard_normal((n_components, n_features)), rng)
    X = rng.standard_normal((6, n_features))
    X[0], X[1], X[2], X[3] = 0, D[0], D[0] + D[-1], np.rint(X[3])
    return np.ascontiguousarray(D), X


def _some(kinds):
    sizes = st.integers(2, 24), st.integers(2, 16), st.integers(0, 10**6)
    return st.builds(make_problem, st.sampled_from(sorted(kinds)), *sizes)


problems, near_problems = _some(ATOMS), _some(NEAR)


def largest_penalty(D, X, root):
    """Return the penalty from which all codes are zero."""
    top = np.abs(X @ D.T).max(axis=1)
    if root:
        top = top / np.maximum(np.linalg.norm(X, axis=1), 1e-300)
    return top.max()


def general(seed=0, n_rows=40, n_components=20, n_features=12):
    """Return atoms of unit norm and rows, without anything special."""
    rng = np.random.default_rng(seed)
    D = rng.standard_normal((n_components, n_features))
    X = rng.standard_normal((n_rows, n_features))
    return D / np.linalg.norm(D, axis=1, keepdims=True), X
