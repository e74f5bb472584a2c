"""Fit and apply estimators over rows that do not fit one machine, by Dask."""

from sklearn_sqrtlasso.dask.fitting import fit, partial_fit
from sklearn_sqrtlasso.dask.rowwise import (
    inverse_transform,
    noise_scale,
    predict,
    reconstruct,
    score,
    transform,
)

__all__ = [
    "fit",
    "inverse_transform",
    "noise_scale",
    "partial_fit",
    "predict",
    "reconstruct",
    "score",
    "transform",
]
