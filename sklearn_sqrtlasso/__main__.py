"""Compile kernels beforehand: ``python -m sklearn_sqrtlasso compile``."""

import argparse
import sys
import warnings

import numpy as np

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    PivotalPCA,
    RelaxedSparseCoder,
    SqrtLasso,
    SqrtLassoCV,
    SqrtLassoTransform,
)
from sklearn_sqrtlasso.models.activations import ACTIVATIONS
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS

WIDTH = 30  # characters of the bar
MANY = 2000  # columns of a table that is not small


def _fits():
    """Return estimators that call, together, the kernels of the package."""
    return [
        SqrtLassoTransform(),
        SqrtLasso(),
        SqrtLasso(phi=0.0),
        SqrtLassoCV(cv=2),
        PivotalPCA(),
        ANAMOAutoencoder(4),
        *(NeLUAutoencoder(activation=name, max_iter=1) for name in ACTIVATIONS),
        *(RelaxedSparseCoder(selector=name, max_iter=1) for name in SELECTORS),
    ]


def _run(estimator, dtype):
    """Fit an estimator to a few rows, and encode them, where it has codes.

    Regressors are fitted to fewer rows than columns, too, to many columns, and to some
    that are nearly copies, where Newton steps fail.
    """
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((40, 6)).astype(dtype)
    target, near = rows[::-1, 0], rows + 1e-7 * rng.standard_normal(rows.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one step does not converge
        estimator.fit(rows, target)
        if hasattr(estimator, "transform"):
            estimator.inverse_transform(estimator.transform(rows))
        else:
            estimator.fit(rows[:5], target[:5])
            estimator.fit(rng.standard_normal((40, MANY)).astype(dtype), target)
            estimator.fit(np.hstack([rows, near.astype(dtype)]), target)


def _compile_kernels(write):
    """Run all fits in both dtypes; write a bar of what is done."""
    todo = [(fit, dtype) for dtype in (np.float64, np.float32) for fit in _fits()]
    for i, (estimator, dtype) in enumerate(todo):
        done = WIDTH * i // len(todo)
        name = f"{type(estimator).__name__}, {np.dtype(dtype).name}"
        write(f"\r[{'#' * done:<{WIDTH}}] {i}/{len(todo)} {name:<32}")
        _run(estimator, dtype)
    write(f"\r[{'#' * WIDTH}] {len(todo)}/{len(todo)} {'compiled':<32}\n")


def main():
    """Read the command line and run its command."""
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_sqrtlasso", description=__doc__
    )
    parser.add_argument("command", choices=["compile"], help="compile the kernels")
    parser.parse_args()
    _compile_kernels(sys.stderr.write)


if __name__ == "__main__":
    main()
