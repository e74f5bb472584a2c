"""Fits over the chunks of Dask collections."""

from sklearn_sqrtlasso.dask.chunks import rows_of


def fit(estimator, X, y=None):
    return estimator.fit(rows_of(X))
