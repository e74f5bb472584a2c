"""Hostile arrays: what rows contain, how large they are, in which container they come.

Each draw returns ``Rows``: what is given to a method, and the same numbers in a plain
array, which the judges read.
"""

import tempfile
from typing import Any, NamedTuple

import joblib
import numpy as np
import scipy.sparse as sp


class Rows(NamedTuple):
    """Rows as they are given, and the numbers that they hold."""

    name: str
    given: Any
    X: np.ndarray

    @property
    def dtype(self):
        """The dtype that the package computes in."""
        return np.dtype("f4" if self.given_dtype == np.float32 else "f8")

    @property
    def given_dtype(self):
        """The dtype of what is given."""
        return getattr(self.given, "dtype", np.dtype("f8"))


def _low_rank(rng, n, p):
    r = max(1, min(n, p) // 2)
    return rng.standard_normal((n, r)) @ rng.standard_normal((r, p))


def _twin_columns(rng, n, p):
    X = rng.standard_normal((n, p))
    return X[:, np.arange(p) // 2]


def _constant_columns(rng, n, p):
    X = rng.standard_normal((n, p))
    X[:, ::2] = X[0, ::2]
    return X


CONTENTS = {
    "gaussian": lambda rng, n, p: rng.standard_normal((n, p)),
    "spikes": lambda rng, n, p: (
        0.1 * rng.standard_normal((n, p)) + 5 * (rng.random((n, p)) > 0.8)
    ),
    "sparse": lambda rng, n, p: (
        rng.standard_normal((n, p)) * (rng.random((n, p)) > 0.6)
    ),
    "uniform": lambda rng, n, p: rng.random((n, p)),
    "tied": lambda rng, n, p: rng.integers(-2, 3, (n, p)).astype(float),
    "bits": lambda rng, n, p: rng.integers(0, 2, (n, p)).astype(float),
    "low rank": _low_rank,
    "twin rows": lambda rng, n, p: rng.standard_normal((n, p))[np.arange(n) // 2],
    "twin columns": _twin_columns,
    "close columns": lambda rng, n, p: (
        _twin_columns(rng, n, p) + 1e-9 * rng.standard_normal((n, p))
    ),
    "constant columns": _constant_columns,
    "constant": lambda rng, n, p: np.full((n, p), rng.standard_normal()),
    "zeros": lambda rng, n, p: np.zeros((n, p)),
    "some zero rows": lambda rng, n, p: (
        rng.standard_normal((n, p)) * (rng.random((n, 1)) > 0.5)
    ),
    "one nonzero": lambda rng, n, p: np.eye(n, p) * (np.arange(n) == 0)[:, None],
}


def _powers(rng, size, most):
    return 10.0 ** rng.uniform(-most, most, size)


MAGNITUDES = {
    "as it is": lambda rng, X: X,
    "huge": lambda rng, X: 1e299 * X,
    "tiny": lambda rng, X: 1e-299 * X,
    "subnormal": lambda rng, X: 1e-309 * X,
    "large": lambda rng, X: 1e30 * X,
    "small": lambda rng, X: 1e-30 * X,
    "columns of any size": lambda rng, X: X * _powers(rng, X.shape[1], 290),
    "rows of any size": lambda rng, X: X * _powers(rng, (len(X), 1), 290),
    "columns of many sizes": lambda rng, X: X * _powers(rng, X.shape[1], 8),
    "rows of many sizes": lambda rng, X: X * _powers(rng, (len(X), 1), 8),
    "one huge entry": lambda rng, X: np.where(
        np.arange(X.size).reshape(X.shape), X, 1e299
    ),
    "offset 1e6": lambda rng, X: X + 1e6 * rng.standard_normal(X.shape[1]),
    "offset 1e12": lambda rng, X: X + 1e12 * rng.standard_normal(X.shape[1]),
}


def _duplicate_entries(X):
    """Return CSR rows, each entry of which is stored as two halves, backwards."""
    rows = sp.csr_array(X)
    data, indices = (np.repeat(of, 2) for of in (rows.data / 2, rows.indices))
    for i in range(len(X)):
        part = slice(2 * rows.indptr[i], 2 * rows.indptr[i + 1])
        data[part], indices[part] = data[part][::-1], indices[part][::-1]
    return sp.csr_array((data, indices, 2 * rows.indptr), shape=X.shape)


def _explicit_zeros(X):
    n, p = X.shape
    places = np.tile(np.arange(p), n), p * np.arange(n + 1)
    return sp.csr_array((X.ravel().copy(), *places), shape=X.shape)


def _long_indices(X):
    rows = sp.csr_array(X)
    rows.indices, rows.indptr = rows.indices.astype("i8"), rows.indptr.astype("i8")
    return rows


def _mapped(X):
    with tempfile.NamedTemporaryFile(delete=False) as file:
        joblib.dump(X, file.name)
    return joblib.load(file.name, mmap_mode="r")


def _fixed(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def _single(X):
    top = np.abs(X).max(initial=0)
    return (X if top < 1e36 else X / top * 1e36).astype("f4")


def _integers(X):
    return np.rint(X).astype("i8") if np.abs(X).max(initial=0) < 1e15 else X


CONTAINERS = {
    "C": lambda X: X,
    "fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "read-only": _fixed,
    "memory map": _mapped,
    "list": lambda X: X.tolist(),
    "float32": _single,
    "float32 CSR": lambda X: sp.csr_array(_single(X)),
    "integers": _integers,
    "CSR": sp.csr_matrix,
    "CSC": sp.csc_array,
    "COO": sp.coo_array,
    "CSR with duplicates": _duplicate_entries,
    "CSR with zeros": _explicit_zeros,
    "CSR with long indices": _long_indices,
}


def dense(X):
    """Return numbers in a plain array of double precision."""
    return np.asarray(X.toarray() if sp.issparse(X) else X, dtype=np.float64)


def _one(rng, table, first=0.0):
    """Return a key of a table: with some probability the first one."""
    names = list(table)
    return names[0] if rng.random() < first else names[rng.integers(len(names))]


def draw_rows(rng, n, p, tame=0.4):
    """Return n rows of p features, ordinary ones with probability ``tame`` a choice."""
    names = [_one(rng, of, tame) for of in (CONTENTS, MAGNITUDES, CONTAINERS)]
    content, magnitude, container = names
    with np.errstate(all="ignore"):
        X = MAGNITUDES[magnitude](rng, CONTENTS[content](rng, n, p))
        X = np.clip(X, -1e300, 1e300)
        given = CONTAINERS[container](np.ascontiguousarray(X))
    return Rows(f"{n} x {p} {content}, {magnitude}, {container}", given, dense(given))


def draw_bad_rows(rng, n, p, missing=False):
    """Return rows that have to be refused; ``missing`` where NaN has a meaning."""
    X = rng.standard_normal((n, p))
    spoilt = X.copy()
    numbers = [np.inf, -np.inf] if missing else [np.nan, np.inf, -np.inf]
    spoilt[rng.integers(n), rng.integers(p)] = rng.choice(numbers)
    bad = {
        "not finite": spoilt,
        "not finite, CSR": sp.csr_array(spoilt),
        "not finite, float32": spoilt.astype("f4"),
        "a vector": X[0],
        "no rows": X[:0],
        "no columns": X[:, :0],
        "complex": X * 1j,
        "words": np.full((n, p), "word"),
        "three axes": X[None],
        "None": None,
    }
    name = _one(rng, bad, 0.3)
    return Rows(f"bad rows ({name})", bad[name], X)


def draw_groups(rng, n):
    """Return groups of n rows, each alone more often than not."""
    some = {
        "alone": None,
        "all": "all",
        "scattered": rng.integers(0, 3, n),
        "words": np.array(["a", "b", "c"])[rng.integers(0, 3, n)],
    }
    return some[_one(rng, some, 0.4)]


def draw_targets(rng, X, several=False):
    """Return targets of rows: of some columns and noise, in any unit, or degenerate."""
    spread = np.abs(X - X[:1]).max(axis=0, initial=0)
    unit = np.where(spread > 0, spread, 1)
    with np.errstate(all="ignore"):
        y = np.sum(((X - X[:1]) / unit)[:, :3], axis=1)
    y = np.nan_to_num(y) + rng.choice([0, 0.3]) * rng.standard_normal(len(X))
    change = {
        "as it is": y,
        "huge": 1e299 * y,
        "tiny": 1e-299 * y,
        "offset": 1e9 + y,
        "constant": np.full(len(X), 3.0),
        "zero": np.zeros(len(X)),
        "integers": np.rint(y),
    }
    name = _one(rng, change, 0.5)
    y = change[name]
    if several and rng.random() < 0.2:
        y = np.column_stack([y, rng.standard_normal(len(y))])
    return f"y {name} {y.shape}", y
