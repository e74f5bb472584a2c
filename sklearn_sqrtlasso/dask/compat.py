"""Names of the extra "dask", or an error that says how to install it."""

try:
    import dask
    import dask.array as da
    from dask.base import is_dask_collection
    from dask.delayed import Delayed, delayed
except ImportError as error:
    raise ImportError(
        "sklearn_sqrtlasso.dask needs dask with arrays: "
        "pip install 'sklearn-sqrtlasso[dask]'."
    ) from error

__all__ = [
    "Delayed",
    "compute",
    "da",
    "delayed",
    "is_dask_collection",
    "is_frame",
    "persist",
]

compute, persist = dask.compute, dask.persist


def is_frame(X):
    """Return whether X is a Dask DataFrame.

    Parameters
    ----------
    X : object
        Anything.

    Returns
    -------
    frame : bool
        Found without an import of ``dask.dataframe``, which needs pandas.
    """
    return is_dask_collection(X) and hasattr(X, "map_partitions")
