"""Fit and apply estimators over rows that do not fit one machine, by Dask."""

from sklearn_sqrtlasso.dask.fitting import fit

__all__ = ["fit"]
