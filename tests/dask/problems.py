"""Rows in chunks, and estimators whose fits over them are those of all rows."""

import dask.array as da
import numpy as np
from numpy.testing import assert_allclose
from sklearn.model_selection import KFold

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    RelaxedSparseCoder,
    SqrtLasso,
    SqrtLassoCV,
    SqrtLassoTransform,
)

N_ROWS, N_FEATURES, TOL = 510, 6, 1e-10
VOLATILE = {"time_curve_", "dual_gap_", "optimizer_state_", "fitted_params_"}

rng = np.random.default_rng(0)
X = rng.standard_normal((N_ROWS, 3)) @ rng.standard_normal((3, N_FEATURES))
X += 0.3 * rng.standard_normal(X.shape)
Y = X[:, :2] + rng.standard_normal((N_ROWS, 2))
WEIGHTS = rng.integers(0, 3, N_ROWS).astype(float)
GAPS = np.where(rng.random(X.shape) < 0.03, np.nan, X)
LABELS = rng.integers(0, 30, N_ROWS)

FRAME = {"max_iter": 4, "tol": 0}
ATOMS = {"n_components": 4, "max_iter": 2, "random_state": 0, "subsample": None}
TURNS = {"n_components": 3, "max_iter": 2, "random_state": 0, "batch_size": None}
TURNS |= {"n_encoder_steps": 2, "n_decoder_steps": 3}
ENCODERS = {
    "frame": (SqrtLassoTransform(**FRAME), X),
    "frame-narrow": (SqrtLassoTransform(3, alpha=0.3, **FRAME), X),
    "frame-gaps": (SqrtLassoTransform(alpha=0.3, **FRAME), GAPS),
    "frame-outliers": (SqrtLassoTransform(outlier_alpha="auto", **FRAME), X),
    "atoms-mod": (RelaxedSparseCoder(learner="mod", **ATOMS), X),
    "atoms-mod-gaps": (RelaxedSparseCoder(learner="mod", **ATOMS), GAPS),
    "atoms-online": (RelaxedSparseCoder(learner="online", **ATOMS), X),
    "atoms-sample": (RelaxedSparseCoder(4, max_iter=2, random_state=0), X),
    "turns": (ANAMOAutoencoder(**TURNS), X),
    "turns-relu": (ANAMOAutoencoder(encoder_activation="relu", **TURNS), X),
}
REGRESSIONS = {
    "lasso": (SqrtLasso(), Y, None),
    "lasso-weights": (SqrtLasso(phi=0.5), Y[:, 0], WEIGHTS),
    "lasso-origin": (SqrtLasso("asymptotic", fit_intercept=False), Y[:, 0], None),
    "folds": (SqrtLassoCV(cv=3, alphas=20), Y[:, 0], None),
    "folds-mixed": (
        SqrtLassoCV(cv=KFold(3, shuffle=True, random_state=0), alphas=5),
        Y[:, 0],
        None,
    ),
    "folds-weights": (SqrtLassoCV(cv=3, alphas=20, phi=[0, 1]), Y[:, 0], WEIGHTS),
}


def chunked(values, n_chunks=3):
    """Return an array in chunks of rows."""
    size = -(-len(values) // n_chunks)
    return da.from_array(values, chunks=(size, *values.shape[1:]))


def in_chunks(values, sizes):
    """Return an array in chunks of given numbers of rows."""
    return da.from_array(values, chunks=(tuple(sizes), *values.shape[1:]))


def learnt(model):
    """Return the numbers that a fit has set."""
    found = {}
    for name, value in vars(model).items():
        if name.endswith("_") and name not in VOLATILE:
            value = np.asarray(value)
            if value.dtype.kind in "fiu":
                found[name] = value
    return found


def assert_same_fit(model, alone, tol=TOL):
    """Assert that two fits have the same numbers up to rounding."""
    ours, theirs = learnt(model), learnt(alone)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        largest = np.abs(value).max(initial=0.0)
        assert_allclose(ours[name], value, rtol=0, atol=tol * largest, err_msg=name)
