"""Chunks are tested where the extra "dask" is installed; one cluster serves all."""

from importlib.util import find_spec

import pytest

MISSING = [name for name in ("dask", "distributed") if find_spec(name) is None]
collect_ignore_glob = ["test_*.py"] if MISSING else []


@pytest.fixture(scope="session")
def client():
    """Return a client of two processes."""
    from distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    cluster = LocalCluster(**options, dashboard_address=None)
    with cluster, Client(cluster, set_as_default=False) as client:
        yield client
